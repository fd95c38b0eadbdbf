//! How near to the processor's peak the depthwise kernels run: `cargo bench --bench depthwise [-- ISA]`.

use std::hint::black_box;
use std::time::Instant;

use edge_classify_kernels::{
    Activation, Isa, Kernel, Lines, Memory, Ring, Rows, RowsMut, Simd, Window,
};
use edge_classify_kernels::{PackedDepthwise, depthwise};

/// Input height and width, channels, kernel, stride; padded to give the input's size over the stride.
const LAYERS: &[(usize, usize, usize, usize)] = &[
    (112, 32, 3, 1),
    (112, 96, 3, 2),
    (56, 144, 3, 1),
    (56, 144, 3, 2),
    (56, 144, 5, 2),
    (28, 192, 3, 1),
    (28, 240, 5, 1),
    (14, 384, 3, 1),
    (14, 512, 3, 1),
    (14, 480, 5, 1),
    (14, 576, 3, 2),
    (14, 672, 5, 2),
    (7, 960, 3, 1),
    (7, 1024, 3, 1),
    (7, 1152, 5, 1),
    (56, 60, 7, 2),
    (28, 84, 7, 1),
    (28, 84, 9, 1),
    (28, 84, 11, 1),
    (14, 120, 9, 1),
    (14, 150, 9, 2),
    (7, 396, 9, 1),
    (7, 396, 11, 1),
];
const ROUNDS: usize = 25;

/// Independent chains of multiply-adds, more than any processor has in flight.
struct Peak(usize);

impl Kernel for Peak {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd<Element = f32>>(self, simd: S) -> f64 {
        const CHAINS: usize = 12;
        let mut chains = [simd.splat(1.0); CHAINS];
        let (a, b) = (simd.splat(black_box(0.999)), simd.splat(black_box(0.001)));
        for _ in 0..self.0 {
            for chain in &mut chains {
                *chain = simd.mul_add(*chain, a, b);
            }
        }
        black_box(chains.map(|chain| simd.sum(chain)));
        (2 * CHAINS * S::LANES * self.0) as f64
    }
}

struct Layer {
    name: String,
    window: Window,
    x: Lines,
    out: Lines,
    w: PackedDepthwise,
    /// Of taps within the picture.
    flops: f64,
    repeats: usize,
    seconds: Vec<f64>,
}

impl Layer {
    fn new(isa: Isa, (size, channels, kernel, stride): (usize, usize, usize, usize)) -> Self {
        let out_size = size.div_ceil(stride);
        let pad = ((out_size - 1) * stride + kernel).saturating_sub(size) / 2;
        let window = Window {
            height: size,
            width: size,
            kernel_h: kernel,
            kernel_w: kernel,
            stride_h: stride,
            stride_w: stride,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: pad,
            pad_left: pad,
            out_height: out_size,
            out_width: out_size,
        };
        let taps = |o: usize| {
            (0..kernel)
                .filter(|t| (pad..pad + size).contains(&(o * stride + t)))
                .count()
        };
        let along: usize = (0..out_size).map(taps).sum();
        let flops = (2 * along * along * channels) as f64;
        let weights: Vec<f32> = (0..channels * kernel * kernel)
            .map(|i| (i % 17) as f32 * 0.01)
            .collect();
        // As in the arena, whole cache lines.
        let mut x: Lines = Memory::none().take(size * size * channels);
        for (i, value) in x.values_mut().iter_mut().enumerate() {
            *value = (i % 23) as f32 * 0.1 - 1.0;
        }
        Layer {
            name: format!("{size}x{size}x{channels} k{kernel}s{stride}"),
            window,
            x,
            out: Memory::none().take(out_size * out_size * channels),
            w: PackedDepthwise::new(isa, &weights, None, channels, kernel, kernel),
            flops,
            repeats: (1.5e7 / flops).ceil() as usize,
            seconds: Vec::new(),
        }
    }

    fn measure(&mut self, activation: Activation) {
        let channels = self.w.channels();
        let start = Instant::now();
        for _ in 0..self.repeats {
            let (x, out) = (
                Rows {
                    data: self.x.values(),
                    stride: channels,
                },
                self.out.values_mut(),
            );
            let out = RowsMut {
                data: out,
                stride: channels,
            };
            depthwise(
                Ring::whole(x, self.window.height),
                &self.window,
                &self.w,
                activation,
                0..self.window.out_height,
                out,
                None,
            );
            black_box(&mut self.out);
        }
        self.seconds
            .push(start.elapsed().as_secs_f64() / self.repeats as f64);
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with("--"))
        .collect();
    for isa in Isa::available() {
        let chosen = if asked.is_empty() {
            isa.name() != "portable"
        } else {
            asked.iter().any(|a| a == isa.name())
        };
        if !chosen {
            continue;
        }
        let mut layers: Vec<Layer> = LAYERS.iter().map(|layer| Layer::new(isa, *layer)).collect();
        let mut peaks = Vec::new();
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let flops = isa.run(Peak(20_000));
            peaks.push(flops / start.elapsed().as_secs_f64() / 1e9);
            for layer in &mut layers {
                layer.measure(Activation::Clamp {
                    low: 0.0,
                    high: 6.0,
                });
            }
        }
        let peak = median(&mut peaks);
        println!(
            "{}: peak {peak:.1} GFLOP/s (multiply-adds in registers)",
            isa.name()
        );
        for layer in &mut layers {
            let rate = layer.flops / median(&mut layer.seconds) / 1e9;
            let micros = layer.flops / rate / 1e3;
            println!(
                "{:22} {rate:7.1} GFLOP/s {:5.1}% {micros:8.1} us",
                layer.name,
                100.0 * rate / peak
            );
        }
    }
}
