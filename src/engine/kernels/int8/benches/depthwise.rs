//! How fast the depthwise kernels are next to those of f32: `cargo bench -p edge-classify-int8 --bench depthwise
//! [-- ISA]`.

use std::hint::black_box;
use std::time::Instant;

use edge_classify_int8::{PackedDepthwise, Quantization, QuantizedWeights, Requantization};
use edge_classify_kernels::{Activation, Isa, Lines, Memory, Ring, Rows, RowsMut, Window};

/// Input height and width, channels, kernel, stride; padded to give the input's size over the stride. Those of MobileNetV2
/// come first.
const LAYERS: &[(usize, usize, usize, usize)] = &[
    (112, 32, 3, 1),
    (112, 96, 3, 2),
    (56, 144, 3, 1),
    (56, 144, 3, 2),
    (28, 192, 3, 1),
    (28, 192, 3, 2),
    (14, 384, 3, 1),
    (14, 576, 3, 1),
    (14, 576, 3, 2),
    (7, 960, 3, 1),
    (56, 144, 5, 2),
    (28, 240, 5, 1),
    (14, 480, 5, 1),
    (14, 672, 5, 2),
    (7, 1152, 5, 1),
    (56, 60, 7, 2),
    (28, 84, 7, 1),
    (28, 84, 9, 1),
    (28, 84, 11, 1),
    (14, 150, 9, 2),
    (7, 396, 11, 1),
];
const ROUNDS: usize = 25;
const ACTIVATION: Activation = Activation::Clamp {
    low: 0.0,
    high: 6.0,
};

struct Layer {
    name: String,
    window: Window,
    channels: usize,
    x: Lines<u8>,
    out: Lines<u8>,
    w: PackedDepthwise,
    x_f32: Lines,
    out_f32: Lines,
    w_f32: edge_classify_kernels::PackedDepthwise,
    /// Of taps within the picture.
    operations: f64,
    repeats: usize,
    seconds: [Vec<f64>; 2],
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
        let along: usize = (0..out_size).map(|o| window.taps_of_column(o).len()).sum();
        let operations = (2 * along * along * channels) as f64;
        let levels: Vec<i8> = (0..channels * kernel * kernel)
            .map(|i| (i % 17) as i8 - 8)
            .collect();
        let values: Vec<f32> = levels.iter().map(|level| f32::from(*level)).collect();
        let weights = QuantizedWeights {
            levels: &levels,
            scales: &vec![0.01; channels],
            bias: &vec![0.0; channels],
        };
        let requantization = Requantization {
            input: Quantization {
                scale: 6.0 / 255.0,
                zero_point: -128,
            },
            output: Some(Quantization {
                scale: 6.0 / 255.0,
                zero_point: -128,
            }),
            residual: None,
            activation: ACTIVATION,
        };
        // As in the arena, whole cache lines.
        let memory = &mut Memory::none();
        let mut x: Lines<u8> = memory.take(size * size * channels);
        for (i, value) in x.values_mut().iter_mut().enumerate() {
            *value = (i % 251) as u8;
        }
        let mut x_f32: Lines = memory.take(size * size * channels);
        for (i, value) in x_f32.values_mut().iter_mut().enumerate() {
            *value = (i % 23) as f32 * 0.1 - 1.0;
        }
        let out_len = out_size * out_size * channels;
        Layer {
            name: format!("{size}x{size}x{channels} k{kernel}s{stride}"),
            window,
            channels,
            x,
            out: memory.take(out_len),
            w: PackedDepthwise::new(
                isa,
                &weights,
                channels,
                kernel,
                kernel,
                requantization,
                memory,
            ),
            x_f32,
            out_f32: memory.take(out_len),
            w_f32: edge_classify_kernels::PackedDepthwise::new(
                isa, &values, None, channels, kernel, kernel,
            ),
            operations,
            repeats: (1.5e7 / operations).ceil() as usize,
            seconds: [Vec::new(), Vec::new()],
        }
    }

    fn measure(&mut self) {
        let (stride, rows) = (self.channels, 0..self.window.out_height);
        let start = Instant::now();
        for _ in 0..self.repeats {
            let x = Rows {
                data: self.x.values(),
                stride,
            };
            let x = Ring::whole(x, self.window.height);
            let data = self.out.values_mut();
            let out = RowsMut { data, stride };
            let rows = rows.clone();
            edge_classify_int8::depthwise(x, &self.window, &self.w, rows, out, None);
            black_box(&mut self.out);
        }
        self.seconds[0].push(start.elapsed().as_secs_f64() / self.repeats as f64);
        let start = Instant::now();
        for _ in 0..self.repeats {
            let x = Rows {
                data: self.x_f32.values(),
                stride,
            };
            let x = Ring::whole(x, self.window.height);
            let data = self.out_f32.values_mut();
            let out = RowsMut { data, stride };
            let (window, w, rows) = (&self.window, &self.w_f32, rows.clone());
            edge_classify_kernels::depthwise(x, window, w, ACTIVATION, rows, out, None);
            black_box(&mut self.out_f32);
        }
        self.seconds[1].push(start.elapsed().as_secs_f64() / self.repeats as f64);
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
        for _ in 0..ROUNDS {
            layers.iter_mut().for_each(Layer::measure);
        }
        println!("{}", isa.name());
        for layer in &mut layers {
            let [ours, single] = &mut layer.seconds;
            let (ours, single) = (median(ours), median(single));
            println!(
                "{:22} {:7.1} GOP/s {:8.1} us, f32 {:8.1} us: {:.2} times as fast",
                layer.name,
                layer.operations / ours / 1e9,
                ours * 1e6,
                single * 1e6,
                single / ours
            );
        }
    }
}
