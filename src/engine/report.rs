//! What a network is made of once it is packed, for people to look at.

use std::ops::Range;
use std::sync::Arc;

use edge_classify_kernels::{Activation, Element, Window};
use half::f16;

use super::executor::Packed;
use super::net::{Kind, Layer, Net, Part, Shape, Span};
use super::{EngineError, Options, Precision};

/// A network as this processor runs it.
#[derive(Debug)]
pub struct Report {
    /// What the kernels are run with.
    pub isa: &'static str,
    pub precision: Precision,
    pub layers: Vec<LayerReport>,
    /// Weights and biases: so many values.
    pub parameters: usize,
    /// Bytes in which all values between the layers lie.
    pub arena: usize,
}

/// One layer. Where nothing of it is left, as another computes it on the way, it has no place.
#[derive(Debug)]
pub struct LayerReport {
    pub name: String,
    pub kind: &'static str,
    /// In which it is computed.
    pub precision: Precision,
    pub window: Option<Window>,
    pub activation: Activation,
    pub gated: bool,
    pub residual: bool,
    pub input: Shape,
    pub output: Shape,
    pub multiply_adds: u64,
    /// Bytes that are read and written: inputs, output, weights.
    pub bytes: usize,
    /// Bytes of the arena between the first and the last value of the output.
    pub place: Option<Range<usize>>,
    /// How many layers, this one among them, are computed together, by bands of rows or by channels.
    pub group: usize,
    /// What tract runs.
    pub part: Option<Arc<Part>>,
}

impl LayerReport {
    /// The kind of layer, with its window.
    pub fn title(&self) -> String {
        let window = self.window.map_or_else(String::new, |window| {
            let (height, width) = (window.kernel_h, window.kernel_w);
            format!(" {height}x{width} s{}", window.stride_h)
        });
        format!("{}{window}", self.kind)
    }

    /// Every layer as it is before the network is packed, to be run in a precision: in no place.
    pub fn all(net: &Net, precision: Precision) -> Vec<LayerReport> {
        let layers = net.layers().iter();
        layers
            .map(|layer| LayerReport::new(net, layer, precision))
            .collect()
    }

    fn new(net: &Net, layer: &Layer, precision: Precision) -> LayerReport {
        let (input, output) = (net.shape(layer.input), net.shape(layer.output));
        let bytes = |span: Span| {
            let (shape, levels) = (net.shape(span), net.quantization(span.value).is_some());
            let size = match precision {
                Precision::Int8 if !levels => Precision::F32.size(),
                precision => precision.size(),
            };
            shape.pixels() * shape.channels * size
        };
        // Squeeze-and-excitation is computed in f32 between levels, too.
        let weight = match (&layer.kind, precision) {
            (Kind::Excite { .. }, Precision::Int8) => Precision::F32.size(),
            _ => precision.size(),
        };
        let weights = layer.kind.parameters() * weight;
        let bytes: usize = layer.reads().chain([layer.output]).map(bytes).sum();
        let (gated, residual) = match &layer.kind {
            Kind::Pointwise { gate, residual, .. } => (gate.is_some(), residual.is_some()),
            Kind::Convolution { residual, .. } => (false, residual.is_some()),
            _ => (false, false),
        };
        LayerReport {
            name: layer.name.clone(),
            kind: layer.kind.name(),
            precision: match precision {
                Precision::Int8 if net.quantization(layer.input.value).is_none() => Precision::F32,
                precision => precision,
            },
            window: layer.kind.window(),
            activation: layer.activation,
            gated,
            residual,
            input,
            output,
            multiply_adds: layer.kind.multiply_adds(output.pixels()),
            bytes: bytes + weights,
            place: None,
            group: 1,
            part: layer.part().cloned(),
        }
    }
}

impl Report {
    pub fn new(net: Net, options: &Options) -> Result<Report, EngineError> {
        match options.precision_of(&net)? {
            Precision::Fp16 => Report::of::<f16>(net, options, Precision::Fp16),
            precision => Report::of::<f32>(net, options, precision),
        }
    }

    fn of<E: Element>(
        net: Net,
        options: &Options,
        precision: Precision,
    ) -> Result<Report, EngineError> {
        let isa = options.isa;
        let mut layers = LayerReport::all(&net, precision);
        let parameters = net.layers().iter().map(|layer| layer.kind.parameters());
        let parameters = parameters.sum();
        let packed = Packed::<E>::new(net, isa, options.cache)?;
        for (index, place) in packed.places() {
            layers[index].place = Some(place);
        }
        for group in packed.groups() {
            for index in group {
                layers[*index].group = group.len();
            }
        }
        Ok(Report {
            isa: isa.name(),
            precision,
            layers,
            parameters,
            arena: packed.arena_bytes(),
        })
    }
}
