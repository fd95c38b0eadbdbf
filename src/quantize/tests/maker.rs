//! Random networks of the family, with their weights.

use edge_classify_kernels::{Activation, Pool, Window};

use crate::engine::net::{Kind, Layer, Net, Shape, Span, Weights};

const RELU: Activation = Activation::Clamp {
    low: 0.0,
    high: f32::INFINITY,
};
const RELU6: Activation = Activation::Clamp {
    low: 0.0,
    high: 6.0,
};

/// Makes a network of random inverted residuals.
pub struct Maker {
    state: u64,
    values: Vec<Shape>,
    layers: Vec<Layer>,
}

impl Maker {
    pub fn new(seed: u64) -> Maker {
        Maker {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            values: Vec::new(),
            layers: Vec::new(),
        }
    }

    /// From 0 to `end`, without it (xorshift: Marsaglia 2003).
    fn below(&mut self, end: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 20) as usize % end
    }

    pub fn floats(&mut self, count: usize, scale: f32) -> Vec<f32> {
        let mut float = || (self.below(2001) as f32 / 1000.0 - 1.0) * scale;
        (0..count).map(|_| float()).collect()
    }

    fn weights(&mut self, count: usize, inputs: usize) -> Weights {
        self.floats(count, 2.0 / (inputs as f32).sqrt()).into()
    }

    fn value(&mut self, side: usize, channels: usize) -> Span {
        self.values.push(Shape {
            height: side,
            width: side,
            channels,
        });
        Span {
            value: self.values.len() - 1,
            first: 0,
            channels,
        }
    }

    fn layer(&mut self, kind: Kind, activation: Activation, input: Span, output: Span) {
        self.layers.push(Layer {
            name: format!("layer {}", self.layers.len()),
            kind,
            activation,
            input,
            output,
        });
    }

    fn activation(&mut self) -> Activation {
        [RELU, RELU, RELU6, Activation::HardSwish, Activation::Swish][self.below(5)]
    }

    fn side(&self, span: Span) -> usize {
        self.values[span.value].height
    }

    fn pointwise(
        &mut self,
        input: Span,
        channels: usize,
        activation: Activation,
        gate: Option<Span>,
        residual: Option<Span>,
    ) -> Span {
        let output = self.value(self.side(input), channels);
        let kind = Kind::Pointwise {
            weights: self.weights(channels * input.channels, input.channels),
            bias: self.floats(channels, 0.5).into(),
            gate,
            residual,
        };
        self.layer(kind, activation, input, output);
        output
    }

    fn window(&mut self, input: Span, kernel: usize, stride: usize) -> Window {
        let side = self.side(input);
        let out = side.div_ceil(stride);
        Window {
            height: side,
            width: side,
            kernel_h: kernel,
            kernel_w: kernel,
            stride_h: stride,
            stride_w: stride,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: kernel / 2,
            pad_left: kernel / 2,
            out_height: out,
            out_width: out,
        }
    }

    fn depthwise(
        &mut self,
        input: Span,
        output: Span,
        kernel: usize,
        stride: usize,
        a: Activation,
    ) {
        let kind = Kind::Depthwise {
            weights: self.weights(input.channels * kernel * kernel, kernel * kernel),
            bias: self.floats(input.channels, 0.5).into(),
            window: self.window(input, kernel, stride),
        };
        self.layer(kind, a, input, output);
    }

    fn block(&mut self, input: Span) -> Span {
        let expanded = 8 * (1 + self.below(4));
        let (first, second) = (self.activation(), self.activation());
        let wide = self.pointwise(input, expanded, first, None, None);
        let stride = 1 + self.below(2);
        let side = self.side(wide).div_ceil(stride);
        let filtered = self.value(side, expanded);
        // Mixed kernels now and then.
        let split = [expanded, expanded / 2][self.below(2)];
        let part = |span: Span, first, channels| Span {
            first,
            channels,
            ..span
        };
        let (a, b) = (part(wide, 0, split), part(filtered, 0, split));
        self.depthwise(a, b, 3, stride, second);
        if split < expanded {
            let [a, b] = [wide, filtered].map(|span| part(span, split, expanded - split));
            self.depthwise(a, b, 5, stride, second);
        }
        let gate = (self.below(3) == 0).then(|| self.squeeze(filtered));
        let residual = (stride == 1).then_some(input).filter(|_| self.below(3) > 0);
        let channels = match residual {
            Some(residual) => residual.channels,
            None => 4 * (1 + self.below(4)),
        };
        self.pointwise(filtered, channels, Activation::Identity, gate, residual)
    }

    fn squeeze(&mut self, input: Span) -> Span {
        let (channels, hidden) = (input.channels, 4);
        let [mean, gate] = [(); 2].map(|()| self.value(1, channels));
        self.layer(Kind::Mean, Activation::Identity, input, mean);
        let kind = Kind::Excite {
            squeeze: self.weights(hidden * channels, channels),
            squeeze_bias: self.floats(hidden, 0.5).into(),
            squeeze_activation: RELU,
            excite: self.weights(hidden * channels, hidden),
            excite_bias: self.floats(channels, 0.5).into(),
        };
        self.layer(kind, Activation::Sigmoid, mean, gate);
        gate
    }

    /// What comes between blocks now and then.
    fn other(&mut self, input: Span) -> Span {
        let output = self.value(self.side(input), input.channels);
        match self.below(5) {
            0 => self.layer(
                Kind::Shuffle { groups: 2 },
                Activation::Identity,
                input,
                output,
            ),
            1 => {
                let (pool, window) = (Pool::Max, self.window(input, 3, 1));
                self.layer(
                    Kind::Pool { pool, window },
                    Activation::Identity,
                    input,
                    output,
                );
            }
            2 => {
                let other = self.pointwise(input, input.channels, Activation::Identity, None, None);
                self.layer(Kind::Add { other }, RELU, input, output);
            }
            3 => {
                let kind = Kind::Affine {
                    scale: self.floats(input.channels, 1.5).into(),
                    shift: self.floats(input.channels, 0.5).into(),
                };
                self.layer(kind, Activation::Identity, input, output);
            }
            _ => return input,
        }
        output
    }

    /// Where channels below a ReLU6 are of different size, and weigh as much.
    pub fn uneven_net(mut self) -> Net {
        const CHANNELS: usize = 16;
        let sizes = [1.0, 0.01];
        let size = |channel: usize| sizes[channel % sizes.len()];
        let input = self.value(16, 3);
        let wide = self.pointwise(input, CHANNELS, RELU6, None, None);
        let narrow = self.pointwise(wide, 4, Activation::Identity, None, None);
        for (layer, reads) in self.layers.iter_mut().zip([false, true]) {
            let Kind::Pointwise { weights, bias, .. } = &mut layer.kind else {
                continue;
            };
            let mut scaled = weights.values().unwrap().into_owned();
            let columns = scaled.len() / layer.output.channels;
            for (at, weight) in scaled.iter_mut().enumerate() {
                *weight *= match reads {
                    true => 1.0 / size(at % columns),
                    false => size(at / columns),
                };
            }
            *weights = scaled.into();
            *bias = vec![0.0; layer.output.channels].into();
        }
        let mean = self.value(1, narrow.channels);
        self.layer(Kind::Mean, Activation::Identity, narrow, mean);
        let output = self.pointwise(mean, 10, Activation::Identity, None, None);
        Net::new(self.values, self.layers, input.value, output).unwrap()
    }

    pub fn net(mut self) -> Net {
        let input = self.value(16, 3);
        let mut last = self.value(8, 8);
        let kind = Kind::Convolution {
            weights: self.weights(8 * 27, 27),
            bias: self.floats(8, 0.5).into(),
            window: self.window(input, 3, 2),
            residual: None,
        };
        let activation = self.activation();
        self.layer(kind, activation, input, last);
        for _ in 0..1 + self.below(3) {
            last = self.block(last);
            last = self.other(last);
        }
        let mean = self.value(1, last.channels);
        self.layer(Kind::Mean, Activation::Identity, last, mean);
        let output = self.pointwise(mean, 10, Activation::Identity, None, None);
        Net::new(self.values, self.layers, input.value, output).unwrap()
    }
}
