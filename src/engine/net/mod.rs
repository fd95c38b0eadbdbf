//! A network as a list of layers: plain data that can be looked at, checked and packed for a processor.
//!
//! Values are NHWC pictures, of f32 or of levels of 8 bits. A layer reads and writes *spans*, ranges of a value's channels,
//! so that a split is the same value read in parts and a concatenation the same value written in parts, and neither is a
//! layer.

#[cfg(test)]
pub(super) mod interpreter;
mod part;
mod quantized;
mod verify;
mod weights;
mod written;

use std::fmt;
use std::sync::Arc;

use edge_classify_int8::Quantization;
use edge_classify_kernels::{Activation, Pool, Window};

use super::Precision;

pub use part::{Delegate, Part};
pub use verify::NetError;
pub use weights::{Store, WeightLevels, Weights};

/// Height and width in pixels, and channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}x{}x{}", self.height, self.width, self.channels)
    }
}

impl Shape {
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }
}

/// `channels` channels of a value, from `first` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Index into [`Net::values`].
    pub value: usize,
    pub first: usize,
    pub channels: usize,
}

impl Span {
    /// The channels of the value.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.channels
    }
}

/// What a layer computes, before its activation.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// 1 x 1 convolution, or a linear layer: outputs x inputs weights and a bias for each output.
    Pointwise {
        weights: Weights,
        bias: Weights,
        /// Factors of the input's channels: squeeze-and-excitation. Of 1 x 1 pixel.
        gate: Option<Span>,
        /// Added to the output before the activation.
        residual: Option<Span>,
    },
    /// Dense convolution: outputs x inputs x kernel height x kernel width weights. Reads whole values only.
    Convolution {
        weights: Weights,
        bias: Weights,
        window: Window,
        residual: Option<Span>,
    },
    /// Channels x kernel height x kernel width weights.
    Depthwise {
        weights: Weights,
        bias: Weights,
        window: Window,
    },
    /// Has no activation.
    Pool {
        pool: Pool,
        window: Window,
    },
    /// Of all pixels; has no activation.
    Mean,
    /// The two layers of squeeze-and-excitation after its mean: hidden x channels weights with an activation of their
    /// own, then channels x hidden.
    Excite {
        squeeze: Weights,
        squeeze_bias: Weights,
        squeeze_activation: Activation,
        excite: Weights,
        excite_bias: Weights,
    },
    /// By a factor for each channel, of 1 x 1 pixel.
    Multiply {
        gate: Span,
    },
    Add {
        other: Span,
    },
    /// `x * scale + shift` for each channel.
    Affine {
        scale: Weights,
        shift: Weights,
    },
    /// Nothing but its activation; without one, a copy.
    Activate,
    /// Channels as `groups` rows of a matrix, read by its columns; has no activation.
    Shuffle {
        groups: usize,
    },
    /// What no other kind does, with the inputs after the first; has no activation.
    Part {
        part: Arc<Part>,
        more: Vec<Span>,
    },
}

impl Kind {
    /// The field's name for it.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Pointwise { .. } => "pointwise",
            Kind::Convolution { .. } => "convolution",
            Kind::Depthwise { .. } => "depthwise",
            Kind::Pool { .. } => "pool",
            Kind::Mean => "mean",
            Kind::Excite { .. } => "excite",
            Kind::Multiply { .. } => "multiply",
            Kind::Add { .. } => "add",
            Kind::Affine { .. } => "affine",
            Kind::Activate => "activate",
            Kind::Shuffle { .. } => "shuffle",
            Kind::Part { .. } => "delegate",
        }
    }
}

impl Kind {
    pub fn window(&self) -> Option<Window> {
        match self {
            Kind::Convolution { window, .. }
            | Kind::Depthwise { window, .. }
            | Kind::Pool { window, .. } => Some(*window),
            _ => None,
        }
    }

    /// Values that it holds: weights and biases, factors and shifts.
    pub fn parameters(&self) -> usize {
        match self {
            Kind::Pointwise { weights, bias, .. }
            | Kind::Convolution { weights, bias, .. }
            | Kind::Depthwise { weights, bias, .. } => weights.len() + bias.len(),
            Kind::Excite {
                squeeze,
                squeeze_bias,
                excite,
                excite_bias,
                ..
            } => squeeze.len() + squeeze_bias.len() + excite.len() + excite_bias.len(),
            Kind::Affine { scale, shift } => scale.len() + shift.len(),
            Kind::Part { part, .. } => part.parameters,
            _ => 0,
        }
    }

    /// Of convolutions and linear layers, for an output of so many pixels.
    pub fn multiply_adds(&self, pixels: usize) -> u64 {
        match self {
            Kind::Pointwise { weights, .. }
            | Kind::Convolution { weights, .. }
            | Kind::Depthwise { weights, .. } => weights.len() as u64 * pixels as u64,
            Kind::Excite {
                squeeze, excite, ..
            } => (squeeze.len() + excite.len()) as u64,
            Kind::Part { part, .. } => part.multiply_adds,
            _ => 0,
        }
    }
}

/// One step of the network.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// From the model it was made of.
    pub name: String,
    pub kind: Kind,
    pub activation: Activation,
    pub input: Span,
    pub output: Span,
}

impl Layer {
    /// What somebody else runs.
    pub fn part(&self) -> Option<&Arc<Part>> {
        match &self.kind {
            Kind::Part { part, .. } => Some(part),
            _ => None,
        }
    }

    /// All spans that it reads.
    pub fn reads(&self) -> impl Iterator<Item = Span> {
        let more = match &self.kind {
            Kind::Pointwise { gate, residual, .. } => [*gate, *residual],
            Kind::Convolution { residual, .. } => [*residual, None],
            Kind::Multiply { gate } => [Some(*gate), None],
            Kind::Add { other } => [Some(*other), None],
            _ => [None, None],
        };
        let parts: &[Span] = match &self.kind {
            Kind::Part { more, .. } => more,
            _ => &[],
        };
        let more = more.into_iter().flatten();
        std::iter::once(self.input)
            .chain(more)
            .chain(parts.iter().copied())
    }
}

/// A checked network: what every layer reads has been written before it, and all sizes agree.
#[derive(Debug, Clone, PartialEq)]
pub struct Net {
    values: Vec<Shape>,
    /// What the levels of each value stand for, unless it is of f32.
    quantizations: Vec<Option<Quantization>>,
    layers: Vec<Layer>,
    input: usize,
    output: Span,
    precision: Precision,
}

impl Net {
    /// Layers in the order in which they run; `input` is the value that is given, `output` of 1 x 1 pixel what is asked
    /// for.
    pub fn new(
        values: Vec<Shape>,
        layers: Vec<Layer>,
        input: usize,
        output: Span,
    ) -> Result<Net, NetError> {
        let net = Net {
            quantizations: vec![None; values.len()],
            values,
            layers,
            input,
            output,
            precision: Precision::F32,
        };
        verify::verify(&net)?;
        Ok(net)
    }

    /// The same, of weights that are of this precision, unless they are levels.
    pub fn with_precision(self, precision: Precision) -> Net {
        let precision = match self.is_quantized() {
            true => self.precision,
            false => precision,
        };
        Net { precision, ..self }
    }

    /// The same, with some values as levels: one entry for each value. A layer whose input is of levels is computed in
    /// integers.
    ///
    /// # Errors
    /// If a layer cannot be computed on what it reads and writes then.
    pub fn with_quantizations(
        self,
        quantizations: Vec<Option<Quantization>>,
    ) -> Result<Net, NetError> {
        let net = Net {
            quantizations,
            ..self
        };
        quantized::verify(&net)?;
        Ok(net)
    }

    /// What the levels of a value stand for, unless it is of f32.
    pub fn quantization(&self, value: usize) -> Option<Quantization> {
        self.quantizations[value]
    }

    /// Whether a value is of levels.
    pub fn is_quantized(&self) -> bool {
        self.quantizations.iter().any(Option::is_some)
    }

    /// Whether it gives the same bits on every processor: all is computed on levels, or in f32 in a fixed order, or only
    /// copied.
    pub fn is_exact(&self) -> bool {
        let is_levels = |span: Span| self.quantization(span.value).is_some();
        let mut layers = self.layers.iter();
        self.is_quantized()
            && layers.all(|layer| {
                let mut touches = layer.reads().chain([layer.output]);
                let copies = matches!(layer.kind, Kind::Shuffle { .. } | Kind::Activate)
                    && layer.activation == Activation::Identity;
                touches.any(is_levels) || copies || matches!(layer.kind, Kind::Excite { .. })
            })
    }

    /// The precision that the weights have, whatever they are handed out in: int8 if some are levels.
    pub fn precision(&self) -> Precision {
        match self.is_quantized() {
            true => Precision::Int8,
            false => self.precision,
        }
    }

    pub fn values(&self) -> &[Shape] {
        &self.values
    }

    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The layers themselves, for whoever needs nothing else any more.
    pub fn into_layers(self) -> Vec<Layer> {
        self.layers
    }

    /// The picture.
    pub fn input(&self) -> Shape {
        self.values[self.input]
    }

    /// Index of the value that is given.
    pub fn input_value(&self) -> usize {
        self.input
    }

    pub fn output(&self) -> Span {
        self.output
    }

    /// Shape of what a span covers.
    pub fn shape(&self, span: Span) -> Shape {
        Shape {
            channels: span.channels,
            ..self.values[span.value]
        }
    }
}
