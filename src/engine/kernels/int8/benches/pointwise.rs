//! Speed of the int8 matrix products on the layers of MobileNetV2 at 224 x 224, in operations (two for a multiply-add),
//! beside that of the f32 kernels in the same moment. What they read and write is in the caches.
//!
//!     cargo bench -p edge-classify-int8 --bench pointwise -- [ISA [ROUNDS [swish]]]

use std::time::Instant;

use edge_classify_int8::{
    Output, PackedConv, PackedMatrix, Quantization, QuantizedWeights, Requantization, conv,
    pointwise,
};
use edge_classify_kernels as single;
use edge_classify_kernels::{
    Activation, Epilogue, Factor, Isa, Memory, Ring, Rows, RowsMut, Window,
};

/// Rows (pixels), k (input channels), n (output channels), whether a residual is added.
const LAYERS: &[(usize, usize, usize, bool)] = &[
    (12544, 32, 16, false),
    (12544, 16, 96, false),
    (3136, 96, 24, false),
    (3136, 24, 144, false),
    (3136, 144, 24, true),
    (784, 144, 32, false),
    (784, 32, 192, false),
    (784, 192, 32, true),
    (196, 192, 64, false),
    (196, 64, 384, false),
    (196, 384, 64, true),
    (196, 384, 96, false),
    (196, 96, 576, false),
    (196, 576, 96, true),
    (49, 576, 160, false),
    (49, 160, 960, false),
    (49, 960, 160, true),
    (49, 960, 320, false),
    (49, 320, 1280, false),
    (1, 1280, 1000, false),
];

/// Height and width, input channels, output channels and stride of 3x3 convolutions: a stem and EdgeTPU blocks.
const CONVOLUTIONS: &[(usize, usize, usize, usize)] =
    &[(224, 3, 32, 2), (112, 24, 96, 2), (28, 48, 384, 1)];

/// A layer in both types, with its times in seconds.
struct Layer<'a> {
    name: String,
    operations: usize,
    run: [Box<dyn FnMut() + 'a>; 2],
    times: [Vec<f64>; 2],
}

fn values(len: usize) -> Vec<f32> {
    (0..len)
        .map(|i| ((i * 7919 % 2039) as f32 - 1019.0) / 1019.0)
        .collect()
}

fn levels(len: usize) -> Vec<i8> {
    (0..len)
        .map(|i| ((i * 7919 % 255) as i32 - 127) as i8)
        .collect()
}

fn requantization(activation: Activation, residual: bool) -> Requantization {
    let quantization = Quantization {
        scale: 0.0235,
        zero_point: -128,
    };
    Requantization {
        input: quantization,
        output: Some(quantization),
        residual: residual.then_some(quantization),
        activation,
    }
}

fn pointwise_layer<'a>(
    isa: Isa,
    (rows, k, n, residual): (usize, usize, usize, bool),
    activation: Activation,
) -> Layer<'a> {
    let memory = &mut Memory::none();
    let (scales, bias) = (vec![0.001; n], values(n));
    let weights = QuantizedWeights {
        levels: &levels(n * k),
        scales: &scales,
        bias: &bias,
    };
    let requantization = requantization(activation, residual);
    let w = PackedMatrix::new(isa, &weights, n, k, requantization, memory);
    let x: Vec<u8> = levels(rows * k).into_iter().map(|x| x as u8).collect();
    let (mut out, added) = (vec![0u8; rows * n], vec![77u8; rows * n]);
    let integer = move || {
        let x = Rows {
            data: &x[..],
            stride: k,
        };
        let out = Output::Levels(RowsMut {
            data: &mut out,
            stride: n,
        });
        let residual = residual.then_some(Rows {
            data: &added[..],
            stride: n,
        });
        pointwise(x, rows, &w, residual, out);
    };
    let w = single::PackedMatrix::new(isa, &values(n * k), n, k);
    let (x, mut out, added) = (
        values(rows * k),
        vec![0f32; rows * n],
        vec![0.5f32; rows * n],
    );
    let float = move || {
        let x = Rows {
            data: &x[..],
            stride: k,
        };
        let out = RowsMut {
            data: &mut out,
            stride: n,
        };
        let epilogue = Epilogue {
            bias: Some(&bias),
            residual: residual.then_some(Rows {
                data: &added[..],
                stride: n,
            }),
            activation,
        };
        single::pointwise(x, rows, &Factor::new(&w), &epilogue, out, &mut []);
    };
    Layer {
        name: format!("{rows:6} {k:5} {n:5}"),
        operations: 2 * rows * k * n,
        run: [Box::new(integer), Box::new(float)],
        times: [Vec::new(), Vec::new()],
    }
}

fn conv_layer<'a>(
    isa: Isa,
    (size, channels, n, stride): (usize, usize, usize, usize),
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
    let (rows, k) = (out_size * out_size, channels * 9);
    let memory = &mut Memory::none();
    let (scales, bias) = (vec![0.001; n], values(n));
    let weights = QuantizedWeights {
        levels: &levels(n * k),
        scales: &scales,
        bias: &bias,
    };
    let requantization = requantization(activation, false);
    let w = PackedConv::new(isa, &weights, n, channels, 3, 3, requantization, memory);
    let x: Vec<u8> = levels(size * size * channels)
        .into_iter()
        .map(|x| x as u8)
        .collect();
    let (mut out, mut scratch) = (vec![0u8; rows * n], vec![0; w.scratch_len(&window)]);
    let integer = move || {
        let pixels = Rows {
            data: &x[..],
            stride: channels,
        };
        let out = Output::Levels(RowsMut {
            data: &mut out,
            stride: n,
        });
        let x = Ring::whole(pixels, size);
        conv(x, &window, &w, None, 0..out_size, out, &mut scratch);
    };
    let w = single::PackedConv::new(isa, &values(n * k), n, channels, 3, 3);
    let (x, mut out) = (values(size * size * channels), vec![0f32; rows * n]);
    let mut scratch = vec![0.0; w.scratch_len(&window)];
    let float = move || {
        let pixels = Rows {
            data: &x[..],
            stride: channels,
        };
        let out = RowsMut {
            data: &mut out,
            stride: n,
        };
        let epilogue = Epilogue {
            bias: Some(&bias),
            residual: None,
            activation,
        };
        let x = Ring::whole(pixels, size);
        single::conv(x, &window, &w, &epilogue, 0..out_size, out, &mut scratch);
    };
    Layer {
        name: format!("3x3/{stride} {size:3} {channels:3} {n:4}"),
        operations: 2 * rows * k * n,
        run: [Box::new(integer), Box::new(float)],
        times: [Vec::new(), Vec::new()],
    }
}

/// Seconds that a computation takes: of some short measurements the best, as other programs take the processor away for
/// milliseconds.
fn measure(operations: usize, run: &mut dyn FnMut()) -> f64 {
    run();
    let times = 50_000_000usize.div_ceil(operations);
    let once = |_| {
        let start = Instant::now();
        for _ in 0..times {
            run();
        }
        start.elapsed().as_secs_f64() / times as f64
    };
    (0..8).map(once).fold(f64::INFINITY, f64::min)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let rounds = arguments
        .get(1)
        .map_or(5, |rounds| rounds.parse().expect("a number of rounds"));
    let activation = match arguments.iter().any(|argument| argument == "swish") {
        true => Activation::Swish,
        false => Activation::Clamp {
            low: 0.0,
            high: 6.0,
        },
    };
    for isa in Isa::available() {
        if arguments.first().is_some_and(|name| name != isa.name()) {
            continue;
        }
        let mut layers: Vec<Layer> = LAYERS
            .iter()
            .map(|shape| pointwise_layer(isa, *shape, activation))
            .collect();
        layers.extend(
            CONVOLUTIONS
                .iter()
                .map(|shape| conv_layer(isa, *shape, activation)),
        );
        for _ in 0..rounds {
            for layer in &mut layers {
                for (run, times) in layer.run.iter_mut().zip(&mut layer.times) {
                    times.push(measure(layer.operations, run));
                }
            }
        }
        println!("{}", isa.name());
        println!("  rows     k     n      int8 us   GOP/s    f32 us   GOP/s   times");
        let mut sums = [0.0; 2];
        for layer in &mut layers {
            let times = [0, 1].map(|i| median(&mut layer.times[i]));
            let rate = times.map(|time| layer.operations as f64 / time / 1e9);
            println!(
                "{:18}  {:9.1} {:7.1} {:9.1} {:7.1} {:7.2}",
                layer.name,
                times[0] * 1e6,
                rate[0],
                times[1] * 1e6,
                rate[1],
                times[1] / times[0]
            );
            for (sum, time) in sums.iter_mut().zip(times) {
                *sum += time;
            }
        }
        let [int8, f32] = sums.map(|sum| sum * 1e6);
        println!(
            "all                 {int8:9.1} {:17.1} {:15.2}",
            f32,
            f32 / int8
        );
    }
}
