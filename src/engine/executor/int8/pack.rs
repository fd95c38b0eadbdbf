//! From layers of levels to what runs them.

use std::borrow::Cow;

use edge_classify_int8::{
    ActivationLevels, PackedConv, PackedDepthwise, PackedExcite, PackedMatrix, Quantization,
    QuantizedWeights, Requantization,
};
use edge_classify_kernels::{Isa, Memory};

use super::Run;
use crate::executor::arena::Arena;
use crate::executor::sums::Means;
use crate::net::{Kind, Layer, Net, Span, Weights};

/// What levels of spans stand for, for layers that have left their network.
#[derive(Debug, Clone)]
pub struct Quantizations(Vec<Option<Quantization>>);

impl Quantizations {
    pub fn of(net: &Net) -> Quantizations {
        let values = 0..net.values().len();
        Quantizations(values.map(|value| net.quantization(value)).collect())
    }

    fn of_span(&self, span: Span) -> Option<Quantization> {
        self.0[span.value]
    }

    /// Of a span that is known to be of levels.
    fn levels(&self, span: Span) -> Result<Quantization, String> {
        self.of_span(span)
            .ok_or_else(|| "what should be levels is f32".to_owned())
    }

    /// Whether the layer is run here: what reads or writes levels, and squeeze-and-excitation between such.
    pub fn runs(&self, layer: &Layer) -> bool {
        let touches = layer.reads().chain([layer.output]);
        let touches = touches.into_iter().any(|span| self.of_span(span).is_some());
        let excites = matches!(layer.kind, Kind::Excite { .. });
        touches || (excites && self.0.iter().any(Option::is_some))
    }
}

/// Bytes of the two pieces of memory that a layer's weights are packed into, at most.
pub fn bytes(layer: &Layer, isa: Isa) -> [usize; 2] {
    let (inputs, outputs) = (layer.input.channels, layer.output.channels);
    match &layer.kind {
        Kind::Pointwise { .. } => [PackedMatrix::bytes(isa, outputs, inputs), 0],
        Kind::Convolution { window, .. } => {
            let (height, width) = (window.kernel_h, window.kernel_w);
            [PackedConv::bytes(isa, outputs, inputs, height, width), 0]
        }
        Kind::Depthwise { window, .. } => {
            let taps = window.kernel_h * window.kernel_w;
            [PackedDepthwise::bytes(isa, inputs, taps), 0]
        }
        Kind::Excite { squeeze_bias, .. } => PackedExcite::bytes(squeeze_bias.len(), outputs),
        _ => [0, 0],
    }
}

/// `mean` is where a depthwise convolution's mean goes, if it computes one.
pub fn pack(
    layer: Layer,
    mean: Option<Span>,
    isa: Isa,
    arena: &Arena,
    quantizations: &Quantizations,
    memory: &mut Memory,
) -> Result<Run, String> {
    let place = |span: Span| arena.place(span);
    let (inputs, outputs) = (layer.input.channels, layer.output.channels);
    let (input, output) = (layer.input, layer.output);
    let activation = layer.activation;
    let levels = |span: Span| quantizations.levels(span);
    let requantization = |residual: Option<Span>| {
        Ok::<_, String>(Requantization {
            input: levels(input)?,
            output: quantizations.of_span(output),
            residual: residual.map(levels).transpose()?,
            activation,
        })
    };
    Ok(match layer.kind {
        Kind::Pointwise {
            weights,
            bias,
            residual,
            ..
        } => {
            let requantization = requantization(residual)?;
            let w = with_weights(&weights, &bias, &requantization, |weights| {
                PackedMatrix::new(isa, weights, outputs, inputs, requantization, memory)
            })?;
            Run::Pointwise {
                w,
                residual: residual.map(place),
            }
        }
        Kind::Convolution {
            weights,
            bias,
            window,
            residual,
        } => {
            let requantization = requantization(residual)?;
            let (height, width) = (window.kernel_h, window.kernel_w);
            let w = with_weights(&weights, &bias, &requantization, |weights| {
                PackedConv::new(
                    isa,
                    weights,
                    outputs,
                    inputs,
                    height,
                    width,
                    requantization,
                    memory,
                )
            })?;
            Run::Convolution {
                w,
                window,
                residual: residual.map(place),
            }
        }
        Kind::Depthwise {
            weights,
            bias,
            window,
        } => {
            let requantization = requantization(None)?;
            let (height, width) = (window.kernel_h, window.kernel_w);
            let w = with_weights(&weights, &bias, &requantization, |weights| {
                PackedDepthwise::new(isa, weights, inputs, height, width, requantization, memory)
            })?;
            let written = levels(output)?;
            let pixels = place(output).pixels;
            Run::Depthwise {
                w,
                window,
                means: mean.map(|mean| Means {
                    place: place(mean),
                    scale: written.mean_multiplier(pixels, None),
                }),
            }
        }
        Kind::Pool { pool, window } => Run::Pool {
            isa,
            pool,
            window,
            input: levels(input)?,
            output: levels(output)?,
        },
        Kind::Mean => Run::Mean {
            isa,
            input: levels(input)?,
            output: quantizations.of_span(output),
        },
        Kind::Excite {
            squeeze,
            squeeze_bias,
            squeeze_activation,
            excite,
            excite_bias,
        } => Run::Excite {
            w: PackedExcite::new(
                isa,
                &finite(&squeeze)?,
                &finite(&squeeze_bias)?,
                &finite(&excite)?,
                &finite(&excite_bias)?,
                memory,
            ),
            squeeze_activation,
            activation,
        },
        Kind::Multiply { gate } => {
            let bounded = requantization(None)?;
            Run::Multiply {
                isa,
                gate: place(gate),
                bounds: bounded.bounds(),
                input: bounded.input,
                output: levels(output)?,
            }
        }
        Kind::Add { other } => Run::Add {
            isa,
            other: place(other),
            terms: [levels(input)?, levels(other)?],
            activation,
            output: levels(output)?,
        },
        Kind::Activate => match (quantizations.of_span(input), quantizations.of_span(output)) {
            (Some(input), Some(output)) => {
                Run::Activate(ActivationLevels::new(isa, input, activation, output))
            }
            (Some(input), None) => Run::Dequantize { isa, input },
            (None, Some(output)) => Run::Quantize { isa, output },
            (None, None) => unreachable!("a layer of f32"),
        },
        Kind::Shuffle { groups } => Run::Shuffle { groups },
        Kind::Affine { .. } | Kind::Part { .. } => {
            unreachable!("a network of levels is checked to have none on them")
        }
    })
}

/// Values of f32, if all are numbers that can be computed with.
fn finite(weights: &Weights) -> Result<Cow<'_, [f32]>, String> {
    let values = weights.values()?;
    match values.iter().all(|value| value.is_finite()) {
        true => Ok(values),
        false => Err("a weight or bias is infinite or no number".to_owned()),
    }
}

/// Packs weights of levels. An error says that sums could be too large.
fn with_weights<T>(
    weights: &Weights,
    bias: &Weights,
    requantization: &Requantization,
    pack: impl FnOnce(&QuantizedWeights) -> T,
) -> Result<T, String> {
    let (levels, bias) = (weights.levels()?, finite(bias)?);
    let levels = levels.ok_or("its weights are no levels")?;
    let weights = QuantizedWeights {
        levels: &levels.levels,
        scales: &levels.scales,
        bias: &bias,
    };
    if weights.levels.contains(&i8::MIN) {
        return Err("a weight is -128, where levels are from -127 to 127".to_owned());
    }
    let len = weights.levels.len() / weights.scales.len().max(1);
    let rows = weights.levels.chunks(len.max(1)).zip(weights.scales);
    for ((row, scale), bias) in rows.zip(weights.bias) {
        let bias = requantization.bias(*bias, *scale);
        if !requantization.fits(row, bias, *scale) {
            return Err("its sums can be larger than integers of 32 bits".to_owned());
        }
    }
    Ok(pack(&weights))
}
