//! A network whose values are of levels already: those of somebody else's quantizer, in the file that it comes from.
//!
//! Ranges are as they are given, weights are the levels that their values stand for. A layer computes in int8 if all that
//! this takes is given, and stays in float otherwise, with its values as exact as float is.

use edge_classify_int8::{Quantization, Requantization};
use edge_classify_kernels::{Activation, Pool};

use crate::engine::net::{Kind, Layer, Net, Weights};

use super::QuantizeError;
use super::placement::{Placed, place, reads_as_levels};
use super::weight_choice::least_scale;
use super::weights::{WeightLevels, parameters, parameters_mut};

/// The network in int8. Its values are in float still, and its weights what levels stand for; `levels` says what each
/// value is to be rounded to.
///
/// # Errors
/// If no layer, or not the network as a whole, can compute in int8.
pub fn with_levels(net: &Net, levels: &[Option<Quantization>]) -> Result<Net, QuantizeError> {
    let mut weights: Vec<Option<WeightLevels>> = Vec::new();
    let mut in_float: Vec<bool> = Vec::new();
    let (mut rounded, mut rows) = (0, 0);
    for layer in net.layers() {
        let mut stays = !has_levels(layer, levels);
        if let Some((values, bias)) = parameters(&layer.kind) {
            let found = match stays {
                true => None,
                false => recovered(layer, values, bias, levels)?,
            };
            stays = found.is_none();
            if let Some((found, inexact)) = &found {
                rounded += inexact;
                rows += found.scales.len();
            }
            weights.push(found.map(|(found, _)| found));
        }
        in_float.push(stays);
    }
    if rounded > 0 {
        log::info!(
            "weights of {rounded} of {rows} output channels are no levels from -127 to 127 of one scale, and rounded anew"
        );
    }
    let placed = place(net, &|layer| in_float[layer])?;
    let quantizations = quantizations(&placed, levels);
    if quantizations.iter().all(Option::is_none) {
        return Err(QuantizeError::NoLayers);
    }
    let mut layers = placed.net.layers().to_vec();
    // Layers that were added have none.
    let with_weights = (0..layers.len()).filter(|layer| parameters(&layers[*layer].kind).is_some());
    for (index, levels) in with_weights.collect::<Vec<_>>().into_iter().zip(weights) {
        let Some(levels) = levels.filter(|_| placed.computes_in_levels(index)) else {
            continue;
        };
        if let Some((weights, _)) = parameters_mut(&mut layers[index].kind) {
            *weights = Weights::quantized(levels.levels, levels.scales);
        }
    }
    let Placed { net, .. } = placed;
    let net = Net::new(
        net.values().to_vec(),
        layers,
        net.input_value(),
        net.output(),
    )?;
    Ok(net.with_quantizations(quantizations)?)
}

/// Whether the layer can compute on the levels that its values have.
fn has_levels(layer: &Layer, levels: &[Option<Quantization>]) -> bool {
    let output = levels[layer.output.value];
    let is_bounded = matches!(
        layer.activation,
        Activation::Identity | Activation::Clamp { .. }
    );
    let fits = match layer.kind {
        Kind::Pointwise { gate: Some(_), .. } => false,
        Kind::Pointwise { .. } | Kind::Convolution { .. } | Kind::Mean => true,
        Kind::Activate if layer.activation == Activation::Identity => true,
        Kind::Pool {
            pool: Pool::Max, ..
        }
        | Kind::Shuffle { .. } => output == levels[layer.input.value],
        Kind::Multiply { .. } => output.is_some() && is_bounded,
        _ => output.is_some(),
    };
    fits && reads_as_levels(layer).all(|span| levels[span.value].is_some())
}

/// The levels of a layer's weights, and how many rows had to be rounded for them; none if sums could be too large, or are
/// no numbers.
fn recovered(
    layer: &Layer,
    weights: &Weights,
    bias: &Weights,
    levels: &[Option<Quantization>],
) -> Result<Option<(WeightLevels, usize)>, QuantizeError> {
    let Some(input) = levels[layer.input.value] else {
        return Ok(None);
    };
    let bias = bias.values().map_err(QuantizeError::unreadable(layer))?;
    let weights = weights.values().map_err(QuantizeError::unreadable(layer))?;
    if !weights.iter().chain(&*bias).all(|value| value.is_finite()) {
        return Ok(None);
    }
    let least: Vec<f32> = bias
        .iter()
        .map(|bias| least_scale(*bias, input.scale))
        .collect();
    let (found, inexact) = WeightLevels::recovered(&weights, &least);
    let residual = match layer.kind {
        Kind::Pointwise { residual, .. } | Kind::Convolution { residual, .. } => residual,
        _ => None,
    };
    let fits = |output: Option<Quantization>| {
        let requantization = Requantization {
            input,
            output,
            residual: residual.and_then(|span| levels[span.value]),
            activation: layer.activation,
        };
        let len = found.levels.len() / found.scales.len();
        let mut rows = found.levels.chunks(len).zip(&found.scales).zip(&*bias);
        rows.all(|((row, scale), bias)| {
            requantization.fits(row, requantization.bias(*bias, *scale), *scale)
        })
    };
    // Where nobody reads its levels, the output may be of f32.
    let fits = fits(levels[layer.output.value]) && fits(None);
    Ok(fits.then_some((found, inexact)))
}

/// Of each value that is of levels: those that were given, for copies those of what they are copies of.
fn quantizations(placed: &Placed, levels: &[Option<Quantization>]) -> Vec<Option<Quantization>> {
    let mut all = levels.to_vec();
    all.resize(placed.in_levels.len(), None);
    for layer in placed.net.layers() {
        if layer.output.value >= levels.len() {
            all[layer.output.value] = all[layer.input.value];
        }
    }
    let is_levels = placed.in_levels.iter();
    all.into_iter()
        .zip(is_levels)
        .map(|(levels, is_levels)| levels.filter(|_| *is_levels))
        .collect()
}
