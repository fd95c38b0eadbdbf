//! What the report says of layers, ranges and sizes.

use crate::engine::net::{Kind, Layer, Net};
use crate::report::{LayerReport, RangeReport, Sizes};

use super::placement::{Placed, has_kernel};
use super::range_choice::{self, Choices};
use super::statistics::Statistics;
use super::weights::parameters;

/// Equal parts of what was seen of a value.
const PARTS: usize = 64;

/// The reason why a layer was put in float without being asked for.
pub const SENSITIVE: &str = "too sensitive";

/// Layers that were put in float, by their index in the network.
pub struct Float<'a> {
    pub asked: &'a [usize],
    pub sensitive: &'a [usize],
}

/// Of each layer of a placed network, which of the network's it is: placing puts others between these.
pub fn origins(net: &Net, placed: &Net) -> Vec<Option<usize>> {
    let mut next = net.layers().iter().enumerate().peekable();
    let origin = |layer: &Layer| {
        let is = |(_, own): &(usize, &Layer)| own.name == layer.name;
        next.next_if(is).map(|(index, _)| index)
    };
    placed.layers().iter().map(origin).collect()
}

/// Of each layer of the placed network, whose noise is given; `sensitivities` are by the index of `origins`.
pub fn layers(
    placed: &Placed,
    origins: &[Option<usize>],
    noise: &[f64],
    sensitivities: &[Option<f64>],
    float: &Float,
) -> Vec<LayerReport> {
    let layers = placed.net.layers().iter().enumerate();
    let layers = layers.map(|(index, layer)| {
        let in_levels = placed.computes_in_levels(index);
        let sensitivity = origins[index].and_then(|origin| sensitivities.get(origin).copied());
        LayerReport {
            name: layer.name.clone(),
            in_levels,
            reason: (!in_levels).then(|| reason(&layer.kind, origins[index], float).to_owned()),
            signal_to_noise: noise.get(index).copied(),
            sensitivity: sensitivity.flatten(),
        }
    });
    layers.collect()
}

/// Why a layer does not compute in levels.
fn reason(kind: &Kind, origin: Option<usize>, float: &Float) -> &'static str {
    let Some(origin) = origin else {
        return "converts";
    };
    match kind {
        Kind::Excite { .. } => "squeeze-and-excitation is in float by design",
        kind if !has_kernel(kind) => "there is no int8 kernel for its kind",
        _ if float.asked.contains(&origin) => "asked for in float",
        _ if float.sensitive.contains(&origin) => SENSITIVE,
        _ => "what reads its vector is in float",
    }
}

/// Of each value in levels; `seen` is of those that share a quantization together.
pub fn ranges(placed: &Placed, choices: &Choices, seen: &[Statistics]) -> Vec<RangeReport> {
    let choices = choices.0.iter().enumerate();
    let ranges = choices.filter_map(|(value, choice)| {
        let choice = choice.as_ref()?;
        let writer = range_choice::writer(placed, value)?;
        let copies_input =
            writer.input.value == placed.net.input_value() && matches!(writer.kind, Kind::Activate);
        let layer = match copies_input {
            true => "input",
            false => &writer.name,
        };
        let statistics = &seen[placed.shared[value]];
        let (low, high) = statistics.seen();
        let tried = choice.tried.iter();
        Some(RangeReport {
            layer: layer.to_owned(),
            method: choice.method.to_string(),
            scale: choice.quantization.scale,
            zero_point: choice.quantization.zero_point,
            seen: [low, high],
            histogram: statistics.histogram.parts(low, high, PARTS),
            tried: tried
                .map(|(method, decibel)| (method.to_string(), *decibel))
                .collect(),
        })
    });
    ranges.collect()
}

/// Weights and biases of the network, and of the same in levels.
pub fn sizes(net: &Net, quantized: &Net) -> Sizes {
    Sizes {
        before: bytes(net),
        after: bytes(quantized),
    }
}

fn bytes(net: &Net) -> u64 {
    const FLOAT: usize = size_of::<f32>();
    let layers = net.layers().iter();
    let bytes = layers.map(|layer| {
        let all = layer.kind.parameters();
        let levels = parameters(&layer.kind)
            .and_then(|(weights, _)| Some((weights.len(), weights.scales()?.len())));
        match levels {
            Some((levels, scales)) => levels + FLOAT * (all - levels + scales),
            None => FLOAT * all,
        }
    });
    bytes.sum::<usize>() as u64
}
