//! Writes small plans to begin with into the directory that it is given: of each kind of layer, in f32 and in int8.

use std::path::PathBuf;

use edge_classify::engine::Precision;
use edge_classify::engine::net::{Kind, Layer, Net, Shape, Span, Weights};
use edge_classify::plan::{self, Belongings, SelfTest};
use edge_classify_int8::Quantization;
use edge_classify_kernels::{Activation, Pool, Window};

fn main() {
    let directory = std::env::args_os().nth(1).expect("a directory is named");
    let directory = PathBuf::from(directory);
    let levels = net(true);
    let nets = [
        ("f32", net(false)),
        ("fp16", net(false).with_precision(Precision::Fp16)),
        ("int8", levels),
    ];
    for (name, net) in nets {
        let belongings = Belongings {
            card: Some("name = 'seed'".to_owned()),
            labels: Some("a\nb\nc\nd\n".to_owned()),
        };
        let test = SelfTest::record(&net).expect("it runs").expect("numbers");
        let bytes = plan::write_tested(&net, belongings, &test).expect("it can be written");
        let file = directory.join(format!("{name}.plan"));
        std::fs::write(file, bytes).expect("it can be written there");
    }
}

const CHANNELS: usize = 8;

/// Layers one after the other, each with a value of its own.
struct Maker {
    values: Vec<Shape>,
    layers: Vec<Layer>,
    of_levels: Vec<bool>,
    levels: bool,
    seed: u32,
}

impl Maker {
    fn value(&mut self, side: usize, channels: usize, of_levels: bool) -> Span {
        self.values.push(Shape {
            height: side,
            width: side,
            channels,
        });
        self.of_levels.push(of_levels && self.levels);
        self.whole(self.values.len() - 1)
    }

    fn whole(&self, value: usize) -> Span {
        Span {
            value,
            first: 0,
            channels: self.values[value].channels,
        }
    }

    fn floats(&mut self, len: usize) -> Weights {
        let value = |_| {
            self.seed = self
                .seed
                .wrapping_mul(1_664_525)
                .wrapping_add(1_013_904_223);
            (self.seed >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..len).map(value).collect::<Vec<f32>>().into()
    }

    /// Of a layer that is computed on levels, if there are such.
    fn weights(&mut self, rows: usize, row: usize) -> Weights {
        let values = self.floats(rows * row);
        if !self.levels {
            return values;
        }
        let values = values.values().expect("they are here");
        let levels = values.iter().map(|value| (value * 200.0) as i8).collect();
        Weights::quantized(levels, vec![0.005; rows])
    }

    fn add(&mut self, kind: Kind, activation: Activation, input: Span, output: Span) {
        self.layers.push(Layer {
            name: self.layers.len().to_string(),
            kind,
            activation,
            input,
            output,
        });
    }
}

fn window(side: usize, kernel: usize, stride: usize) -> Window {
    Window {
        height: side,
        width: side,
        kernel_h: kernel,
        kernel_w: kernel,
        stride_h: stride,
        stride_w: stride,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: (kernel - 1) / 2,
        pad_left: (kernel - 1) / 2,
        out_height: side.div_ceil(stride),
        out_width: side.div_ceil(stride),
    }
}

fn net(levels: bool) -> Net {
    let mut net = Maker {
        values: Vec::new(),
        layers: Vec::new(),
        of_levels: Vec::new(),
        levels,
        seed: 7,
    };
    let identity = Activation::Identity;
    let relu6 = Activation::Clamp {
        low: 0.0,
        high: 6.0,
    };
    let hard_sigmoid = Activation::HardSigmoid {
        alpha: 0.2,
        beta: 0.5,
    };
    let mut last = net.value(8, 3, false);
    if levels {
        let quantized = net.value(8, 3, true);
        net.add(Kind::Activate, identity, last, quantized);
        last = quantized;
    }
    let stem = net.value(4, CHANNELS, true);
    let kind = Kind::Convolution {
        weights: net.weights(CHANNELS, 27),
        bias: net.floats(CHANNELS),
        window: window(8, 3, 2),
        residual: None,
    };
    net.add(kind, relu6, last, stem);
    let expanded = net.value(4, 2 * CHANNELS, true);
    let kind = Kind::Pointwise {
        weights: net.weights(2 * CHANNELS, CHANNELS),
        bias: net.floats(2 * CHANNELS),
        gate: None,
        residual: None,
    };
    net.add(kind, Activation::HardSwish, stem, expanded);
    let deep = net.value(4, 2 * CHANNELS, true);
    let kind = Kind::Depthwise {
        weights: net.weights(2 * CHANNELS, 9),
        bias: net.floats(2 * CHANNELS),
        window: window(4, 3, 1),
    };
    net.add(kind, Activation::Swish, expanded, deep);
    let mean = net.value(1, 2 * CHANNELS, false);
    net.add(Kind::Mean, identity, deep, mean);
    let gate = net.value(1, 2 * CHANNELS, false);
    let kind = Kind::Excite {
        squeeze: net.floats(4 * 2 * CHANNELS),
        squeeze_bias: net.floats(4),
        squeeze_activation: relu6,
        excite: net.floats(4 * 2 * CHANNELS),
        excite_bias: net.floats(2 * CHANNELS),
    };
    net.add(kind, hard_sigmoid, mean, gate);
    let mut gated = deep;
    if levels {
        gated = net.value(4, 2 * CHANNELS, true);
        net.add(Kind::Multiply { gate }, identity, deep, gated);
    }
    let block = net.value(4, CHANNELS, true);
    let kind = Kind::Pointwise {
        weights: net.weights(CHANNELS, 2 * CHANNELS),
        bias: net.floats(CHANNELS),
        gate: (!levels).then_some(gate),
        residual: Some(stem),
    };
    net.add(kind, identity, gated, block);
    let pools = [
        Pool::Max,
        Pool::Average {
            count_padding: false,
        },
    ]
    .map(|pool| {
        let pooled = net.value(2, CHANNELS, true);
        let window = window(4, 2, 2);
        net.add(Kind::Pool { pool, window }, identity, block, pooled);
        pooled
    });
    let sum = net.value(2, CHANNELS, true);
    net.add(Kind::Add { other: pools[1] }, relu6, pools[0], sum);
    let shuffled = net.value(2, CHANNELS, true);
    net.add(Kind::Shuffle { groups: 2 }, identity, sum, shuffled);
    let joined = net.value(2, CHANNELS, true);
    for (first, activation) in [
        (0, Activation::Sigmoid),
        (CHANNELS / 2, Activation::HardSwish),
    ] {
        let half = |span: Span| Span {
            first,
            channels: CHANNELS / 2,
            ..span
        };
        net.add(Kind::Activate, activation, half(shuffled), half(joined));
    }
    let mut head = joined;
    if !levels {
        head = net.value(2, CHANNELS, false);
        let kind = Kind::Affine {
            scale: net.floats(CHANNELS),
            shift: net.floats(CHANNELS),
        };
        net.add(kind, identity, joined, head);
    }
    let features = net.value(1, CHANNELS, true);
    net.add(Kind::Mean, identity, head, features);
    let logits = net.value(1, 4, false);
    let kind = Kind::Pointwise {
        weights: net.weights(4, CHANNELS),
        bias: net.floats(4),
        gate: None,
        residual: None,
    };
    net.add(kind, identity, features, logits);
    let quantization = |of_levels: &bool| {
        of_levels.then_some(Quantization {
            scale: 0.05,
            zero_point: -20,
        })
    };
    let quantizations = net.of_levels.iter().map(quantization).collect();
    let whole = Net::new(net.values, net.layers, 0, logits).expect("it is sound");
    match levels {
        true => whole
            .with_quantizations(quantizations)
            .expect("it is sound"),
        false => whole,
    }
}
