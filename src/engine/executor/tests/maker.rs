//! Networks of layers made at random, and their input.

use edge_classify_kernels::{Activation, Pool, Window};

use crate::net::{Kind, Layer, Net, Shape, Span};

/// Numbers that look random, and networks made of them.
pub struct Maker {
    state: u64,
    pub values: Vec<Shape>,
    pub layers: Vec<Layer>,
}

impl Maker {
    pub fn new(seed: u64) -> Maker {
        Maker {
            state: seed | 1,
            values: Vec::new(),
            layers: Vec::new(),
        }
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 33) as usize % n
    }

    pub fn floats(&mut self, len: usize, scale: f32) -> Vec<f32> {
        let mut next = || (self.below(2001) as f32 / 1000.0 - 1.0) * scale;
        (0..len).map(|_| next()).collect()
    }

    pub fn activation(&mut self) -> Activation {
        [
            Activation::Identity,
            Activation::Clamp {
                low: 0.0,
                high: 6.0,
            },
            Activation::HardSwish,
            Activation::HardSigmoid {
                alpha: 0.2,
                beta: 0.5,
            },
            Activation::Sigmoid,
            Activation::Swish,
        ][self.below(6)]
    }

    pub fn value(&mut self, shape: Shape) -> Span {
        self.values.push(shape);
        whole(self.values.len() - 1, shape)
    }

    pub fn layer(&mut self, kind: Kind, input: Span, output: Span, activation: Activation) {
        self.layers.push(Layer {
            name: String::new(),
            kind,
            activation,
            input,
            output,
        });
    }

    /// Part of the channels.
    pub fn part(&mut self, span: Span) -> Span {
        let channels = 1 + self.below(span.channels);
        Span {
            first: span.first + self.below(span.channels - channels + 1),
            channels,
            ..span
        }
    }

    pub fn window(&mut self, input: Shape) -> Window {
        let kernel = [1, 2, 3, 5, 7][self.below(5)];
        let stride = 1 + self.below(2);
        let dilation = 1 + usize::from(self.below(4) == 0);
        let pad = self.below(kernel);
        // Some are of one row, or see rows of padding alone.
        let [kernel_h, pad_top] = match self.below(8) {
            0 => [1, 0],
            1 => [kernel, kernel + self.below(3)],
            _ => [kernel, pad],
        };
        let out = |size: usize, kernel: usize, pad: usize| {
            let reach = (kernel - 1) * dilation + 1;
            1 + (size + 2 * pad).saturating_sub(reach) / stride
        };
        Window {
            height: input.height,
            width: input.width,
            kernel_h,
            kernel_w: kernel,
            stride_h: stride,
            stride_w: stride,
            dilation_h: dilation,
            dilation_w: dilation,
            pad_top,
            pad_left: pad,
            out_height: out(input.height, kernel_h, pad_top),
            out_width: out(input.width, kernel, pad),
        }
    }

    /// A layer of any kind on `input`, into a value of its own or two into halves of one.
    pub fn any(&mut self, input: Span) -> Span {
        let shape = self.values[input.value];
        let part = self.part(input);
        let like = |channels: usize| Shape { channels, ..shape };
        let activation = self.activation();
        let none = Activation::Identity;
        match self.below(12) {
            0 | 1 => {
                let channels = 1 + self.below(70);
                let output = self.value(like(channels));
                let split = self.below(channels);
                for (first, channels) in [(0, split), (split, channels - split)] {
                    if channels == 0 {
                        continue;
                    }
                    let gate = self.vector(part.channels);
                    let residual = self.value(like(channels));
                    self.fill(residual, input);
                    let kind = Kind::Pointwise {
                        weights: self.floats(channels * part.channels, 0.3).into(),
                        bias: self.floats(channels, 1.0).into(),
                        gate: Some(gate).filter(|_| first == 0),
                        residual: Some(residual).filter(|_| first != 0),
                    };
                    let output = Span {
                        first,
                        channels,
                        ..output
                    };
                    self.layer(kind, part, output, activation);
                }
                output
            }
            2 => {
                let (window, channels) = (self.window(shape), 1 + self.below(40));
                let output = self.value(Shape {
                    height: window.out_height,
                    width: window.out_width,
                    channels,
                });
                let taps = window.kernel_h * window.kernel_w * shape.channels;
                let kind = Kind::Convolution {
                    weights: self.floats(channels * taps, 0.1).into(),
                    bias: self.floats(channels, 1.0).into(),
                    window,
                    residual: None,
                };
                self.layer(kind, whole(input.value, shape), output, activation);
                output
            }
            3 | 4 => {
                let window = self.window(shape);
                let output = self.value(Shape {
                    height: window.out_height,
                    width: window.out_width,
                    channels: part.channels,
                });
                let taps = window.kernel_h * window.kernel_w;
                let kind = Kind::Depthwise {
                    weights: self.floats(part.channels * taps, 0.3).into(),
                    bias: self.floats(part.channels, 1.0).into(),
                    window,
                };
                self.layer(kind, part, output, activation);
                // Squeeze-and-excitation.
                let mean = self.value(Shape {
                    height: 1,
                    width: 1,
                    channels: part.channels,
                });
                self.layer(Kind::Mean, output, mean, none);
                let hidden = 1 + self.below(9);
                let kind = Kind::Excite {
                    squeeze: self.floats(hidden * part.channels, 0.3).into(),
                    squeeze_bias: self.floats(hidden, 1.0).into(),
                    squeeze_activation: self.activation(),
                    excite: self.floats(hidden * part.channels, 0.3).into(),
                    excite_bias: self.floats(part.channels, 1.0).into(),
                };
                let excited = self.value(self.values[mean.value]);
                self.layer(kind, mean, excited, Activation::Sigmoid);
                let product = self.value(self.values[output.value]);
                self.layer(Kind::Multiply { gate: excited }, output, product, none);
                product
            }
            5 => {
                let window = self.window(shape);
                // Every window must see some of the picture.
                let pads = (window.pad_top, window.kernel_h);
                if pads.0 * 2 > pads.1 || window.dilation_h > 1 || shape.height < pads.1 {
                    return input;
                }
                let output = self.value(Shape {
                    height: window.out_height,
                    width: window.out_width,
                    channels: part.channels,
                });
                let pool = [
                    Pool::Max,
                    Pool::Average {
                        count_padding: false,
                    },
                ][self.below(2)];
                self.layer(Kind::Pool { pool, window }, part, output, none);
                output
            }
            6 => {
                let other = self.value(like(part.channels));
                self.fill(other, input);
                let output = self.value(like(part.channels));
                self.layer(Kind::Add { other }, part, output, activation);
                output
            }
            7 => {
                let output = self.value(like(part.channels));
                let kind = Kind::Affine {
                    scale: self.floats(part.channels, 1.0).into(),
                    shift: self.floats(part.channels, 1.0).into(),
                };
                self.layer(kind, part, output, activation);
                output
            }
            8 => {
                let output = self.value(like(part.channels));
                self.layer(Kind::Activate, part, output, activation);
                output
            }
            9 => {
                let groups = 1 + self.below(6);
                let part = Span {
                    channels: part.channels / groups * groups,
                    ..part
                };
                if part.channels == 0 {
                    return input;
                }
                let output = self.value(like(part.channels));
                self.layer(Kind::Shuffle { groups }, part, output, none);
                output
            }
            10 => {
                let other = self.vector(part.channels);
                let output = self.value(like(part.channels * 2));
                let half = Span {
                    channels: part.channels,
                    ..output
                };
                let second = Span {
                    first: part.channels,
                    ..half
                };
                for half in [half, second] {
                    let kind = Kind::Part {
                        part: super::delegate::added(vec![
                            like(part.channels),
                            self.values[other.value],
                        ]),
                        more: vec![other],
                    };
                    self.layer(kind, part, half, none);
                }
                output
            }
            _ => {
                // A concatenation with itself.
                let output = self.value(like(part.channels * 2));
                for first in [0, part.channels] {
                    let half = Span {
                        first,
                        channels: part.channels,
                        ..output
                    };
                    self.layer(Kind::Activate, part, half, activation);
                }
                output
            }
        }
    }

    /// A vector computed from the picture.
    pub fn vector(&mut self, channels: usize) -> Span {
        let picture = whole(0, self.values[0]);
        let mean = self.value(Shape {
            height: 1,
            width: 1,
            channels: picture.channels,
        });
        self.layer(Kind::Mean, picture, mean, Activation::Identity);
        let vector = self.value(Shape {
            height: 1,
            width: 1,
            channels,
        });
        self.fill(vector, mean);
        vector
    }

    /// Computes `to` of `from`, which has as many pixels.
    pub fn fill(&mut self, to: Span, from: Span) {
        let kind = Kind::Pointwise {
            weights: self.floats(to.channels * from.channels, 0.3).into(),
            bias: self.floats(to.channels, 1.0).into(),
            gate: None,
            residual: None,
        };
        self.layer(kind, from, to, Activation::Sigmoid);
    }

    pub fn net(mut self, layers: usize) -> (Net, Vec<f32>) {
        let picture = Shape {
            height: 1 + self.below(12),
            width: 1 + self.below(12),
            channels: [3, 1 + self.below(20)][self.below(2)],
        };
        let mut span = self.value(picture);
        for _ in 0..layers {
            span = self.any(span);
        }
        let mean = self.value(Shape {
            height: 1,
            width: 1,
            channels: span.channels,
        });
        self.layer(Kind::Mean, span, mean, Activation::Identity);
        let input = self.floats(picture.pixels() * picture.channels, 1.0);
        (Net::new(self.values, self.layers, 0, mean).unwrap(), input)
    }
}

pub fn whole(value: usize, shape: Shape) -> Span {
    Span {
        value,
        first: 0,
        channels: shape.channels,
    }
}

/// From pixels to planes.
pub fn planes(pixels: &[f32], channels: usize) -> Vec<f32> {
    let plane = |c: usize| pixels.iter().skip(c).step_by(channels).copied();
    (0..channels).flat_map(plane).collect()
}
