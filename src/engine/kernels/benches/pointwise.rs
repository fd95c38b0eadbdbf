//! Speed of the pointwise kernel on the layers of MobileNetV2 and MobileNetV3 at 224 x 224, as a share of the peak of one
//! core's f32 multiply-adds measured in the same moment.
//!
//!     cargo bench --bench pointwise -- [ISA [ROUNDS [gate] [swish]]]

use std::hint::black_box;
use std::time::Instant;

use edge_classify_kernels::conv;
use edge_classify_kernels::pointwise;
use edge_classify_kernels::{
    Activation, Epilogue, Factor, Isa, Kernel, PackedConv, PackedMatrix, Ring, Rows, RowsMut, Simd,
    Window,
};

/// Rows (pixels), k (input channels), n (output channels).
const LAYERS: &[(usize, usize, usize)] = &[
    // MobileNetV2
    (12544, 32, 16),
    (12544, 16, 96),
    (3136, 96, 24),
    (3136, 24, 144),
    (3136, 144, 24),
    (784, 144, 32),
    (784, 32, 192),
    (784, 192, 32),
    (196, 192, 64),
    (196, 64, 384),
    (196, 384, 64),
    (196, 384, 96),
    (196, 96, 576),
    (196, 576, 96),
    (49, 576, 160),
    (49, 160, 960),
    (49, 960, 160),
    (49, 960, 320),
    (49, 320, 1280),
    (1, 1280, 1000),
    // MobileNetV3 large
    (12544, 16, 16),
    (12544, 16, 64),
    (3136, 64, 24),
    (3136, 24, 72),
    (3136, 72, 24),
    (784, 72, 40),
    (784, 40, 120),
    (784, 120, 40),
    (784, 40, 240),
    (196, 240, 80),
    (196, 80, 200),
    (196, 200, 80),
    (196, 80, 184),
    (196, 184, 80),
    (196, 80, 480),
    (196, 480, 112),
    (196, 112, 672),
    (196, 672, 112),
    (49, 672, 160),
    (1, 960, 1280),
];

/// Height and width, input channels, output channels and stride of 3x3 convolutions: stems and EdgeTPU blocks.
const CONVOLUTIONS: &[(usize, usize, usize, usize)] = &[
    (224, 3, 16, 2),
    (224, 3, 32, 2),
    (112, 24, 96, 2),
    (56, 32, 256, 1),
    (28, 48, 384, 1),
    (14, 96, 768, 1),
];

/// Chains of multiply-adds, none of which waits for another.
struct Peak {
    steps: usize,
}

impl Kernel for Peak {
    /// Operations.
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd<Element = f32>>(self, simd: S) -> f64 {
        // As many as there are registers for.
        let chains = if S::TILE_ROWS[1] > 0 { 12 } else { 6 };
        let (a, c) = (simd.splat(black_box(0.999)), simd.splat(black_box(0.001)));
        let mut sums = [c; 12];
        for _ in 0..self.steps {
            for sum in &mut sums[..chains] {
                *sum = simd.mul_add(*sum, a, c);
            }
        }
        let mut sum = c;
        for one in sums {
            sum = simd.add(sum, one);
        }
        let mut out = [0.0; 16];
        // SAFETY: no vector is longer.
        unsafe { simd.store(out.as_mut_ptr(), sum) };
        black_box(out);
        (self.steps * chains * S::LANES * 2) as f64
    }
}

fn peak(isa: Isa) -> f64 {
    let start = Instant::now();
    let operations = isa.run(Peak { steps: 20_000 });
    operations / start.elapsed().as_secs_f64() / 1e9
}

fn values(len: usize) -> Vec<f32> {
    (0..len)
        .map(|i| ((i * 7919 % 2039) as f32 - 1019.0) / 1019.0)
        .collect()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// GFLOP/s of a computation, and the peak beside it.
fn measure(isa: Isa, operations: usize, mut once: impl FnMut()) -> (f64, f64) {
    once();
    let times = 30_000_000usize.div_ceil(operations);
    // Other programs take the processor away for milliseconds: the best of some short measurements goes without.
    let (mut rate, mut best) = (0f64, 0f64);
    for _ in 0..8 {
        best = best.max(peak(isa));
        let start = Instant::now();
        for _ in 0..times {
            once();
        }
        rate = rate.max((operations * times) as f64 / start.elapsed().as_secs_f64() / 1e9);
    }
    (rate, best)
}

/// One layer with its rates and their shares of the peak, one of each round.
struct Layer<'a> {
    name: String,
    operations: usize,
    once: Box<dyn FnMut() + 'a>,
    rates: Vec<f64>,
    shares: Vec<f64>,
}

impl<'a> Layer<'a> {
    fn new(name: String, operations: usize, once: impl FnMut() + 'a) -> Self {
        Layer {
            name,
            operations,
            once: Box::new(once),
            rates: Vec::new(),
            shares: Vec::new(),
        }
    }
}

fn pointwise_layer<'a>(
    isa: Isa,
    (rows, k, n): (usize, usize, usize),
    gated: bool,
    activation: Activation,
) -> Layer<'a> {
    let w = PackedMatrix::new(isa, &values(n * k), n, k);
    let (x, bias, gate) = (values(rows * k), values(n), values(k));
    let (mut out, mut scratch) = (vec![0.0; rows * n], vec![0.0; w.scratch_len(rows)]);
    Layer::new(
        format!("{rows:6} {k:5} {n:5}"),
        2 * rows * k * n,
        move || {
            let epilogue = Epilogue {
                bias: Some(&bias),
                residual: None,
                activation,
            };
            let out = RowsMut {
                data: &mut out,
                stride: n,
            };
            let factor = Factor {
                gate: gated.then_some(&gate[..]),
                ..Factor::new(&w)
            };
            pointwise(
                Rows {
                    data: &x,
                    stride: k,
                },
                rows,
                &factor,
                &epilogue,
                out,
                &mut scratch,
            );
        },
    )
}

fn conv_layer<'a>(
    isa: Isa,
    (size, channels, outputs, stride): (usize, usize, usize, usize),
    activation: Activation,
) -> Layer<'a> {
    let out_size = size.div_ceil(stride);
    let window = Window {
        height: size,
        width: size,
        kernel_h: 3,
        kernel_w: 3,
        stride_h: stride,
        stride_w: stride,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: 1,
        pad_left: 1,
        out_height: out_size,
        out_width: out_size,
    };
    let w = PackedConv::new(
        isa,
        &values(outputs * channels * 9),
        outputs,
        channels,
        3,
        3,
    );
    let (x, bias) = (values(size * size * channels), values(outputs));
    let (mut out, mut scratch) = (
        vec![0.0; out_size * out_size * outputs],
        vec![0.0; w.scratch_len(&window)],
    );
    let name = format!("3x3/{stride} {size:3} {channels:3} {outputs:4}");
    Layer::new(
        name,
        2 * out_size * out_size * outputs * channels * 9,
        move || {
            let epilogue = Epilogue {
                bias: Some(&bias),
                residual: None,
                activation,
            };
            let out = RowsMut {
                data: &mut out,
                stride: outputs,
            };
            let pixels = Rows {
                data: &x,
                stride: channels,
            };
            let x = Ring::whole(pixels, size);
            conv(x, &window, &w, &epilogue, 0..out_size, out, &mut scratch);
        },
    )
}

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let rounds = arguments
        .get(1)
        .map_or(5, |rounds| rounds.parse().expect("a number of rounds"));
    let gated = arguments.iter().any(|argument| argument == "gate");
    let swish = arguments.iter().any(|argument| argument == "swish");
    let activation = if swish {
        Activation::Swish
    } else {
        Activation::Clamp {
            low: 0.0,
            high: 6.0,
        }
    };
    for isa in Isa::available() {
        if arguments.first().is_some_and(|name| name != isa.name()) {
            continue;
        }
        let mut layers: Vec<Layer> = LAYERS
            .iter()
            .map(|shape| pointwise_layer(isa, *shape, gated, activation))
            .collect();
        layers.extend(
            CONVOLUTIONS
                .iter()
                .map(|shape| conv_layer(isa, *shape, activation)),
        );
        let mut peaks = Vec::new();
        for _ in 0..rounds {
            for layer in &mut layers {
                let (rate, peak) = measure(isa, layer.operations, &mut layer.once);
                peaks.push(peak);
                layer.rates.push(rate);
                layer.shares.push(rate / peak);
            }
        }
        println!("{}: peak {:.1} GFLOP/s", isa.name(), median(&mut peaks));
        println!("  rows     k     n  GFLOP/s  of peak");
        for layer in &mut layers {
            let (rate, share) = (median(&mut layer.rates), median(&mut layer.shares));
            println!("{:18}  {rate:7.1}  {:6.1}%", layer.name, share * 100.0);
        }
    }
}
