//! Channels of a value moved so that each has a mean of 0, which leaves less for its levels to reach over.
//!
//! What is taken from a channel where it is written, by the bias, is given back by the biases of what reads it (as in
//! Outlier Suppression+, Wei et al. 2023, arXiv:2304.09145). That leaves the network as it is if it is written without an
//! activation, and read without a border, which is of zeros.

use crate::engine::net::{Kind, Layer, Net, Span, Weights};
use edge_classify_kernels::Activation;

use super::QuantizeError;
use super::statistics::{Channel, Statistics};
use super::weights::{parameters, parameters_mut};

/// The same network with such channels, and the number of values that have them. `statistics` has one for each
/// value.
///
/// # Errors
/// What is wrong with the weights that could not be read.
pub fn center(net: &Net, statistics: &[Statistics]) -> Result<(Net, usize), QuantizeError> {
    let mut layers = net.layers().to_vec();
    let can = movable(net);
    let shifts = |value: usize| -> Vec<f32> {
        let channels = statistics[value].channels.iter();
        channels.map(Channel::mean).collect()
    };
    let shifts: Vec<Option<Vec<f32>>> = (0..can.len())
        .map(|value| can[value].then(|| shifts(value)))
        .collect();
    for layer in &mut layers {
        shift(layer, &shifts)?;
    }
    let (values, input) = (net.values().to_vec(), net.input_value());
    let net = Net::new(values, layers, input, net.output())?;
    Ok((net, can.into_iter().filter(|can| *can).count()))
}

/// Of each value, whether its channels can be moved.
fn movable(net: &Net) -> Vec<bool> {
    let mut can = vec![false; net.values().len()];
    let whole = |span: Span| span.channels == net.values()[span.value].channels;
    for layer in net.layers() {
        let has_bias = parameters(&layer.kind).is_some();
        can[layer.output.value] =
            has_bias && layer.activation == Activation::Identity && whole(layer.output);
    }
    can[net.input_value()] = false;
    can[net.output().value] = false;
    for layer in net.layers() {
        match &layer.kind {
            Kind::Pointwise {
                gate: None,
                residual,
                ..
            } => {
                for span in [Some(layer.input), *residual].into_iter().flatten() {
                    can[span.value] &= whole(span);
                }
            }
            Kind::Convolution { residual, .. } => {
                can[layer.input.value] = false;
                if let Some(span) = residual {
                    can[span.value] &= whole(*span);
                }
            }
            _ => layer.reads().for_each(|span| can[span.value] = false),
        }
    }
    can
}

/// Takes from what a layer writes, and gives back what it reads.
fn shift(layer: &mut Layer, shifts: &[Option<Vec<f32>>]) -> Result<(), QuantizeError> {
    let of = |span: Span| shifts[span.value].as_ref();
    let (read, written) = (of(layer.input), of(layer.output));
    let residual = match &layer.kind {
        Kind::Pointwise { residual, .. } | Kind::Convolution { residual, .. } => {
            residual.and_then(of)
        }
        _ => None,
    };
    let failed = QuantizeError::unreadable(layer);
    let Some((weights, bias)) = parameters_mut(&mut layer.kind) else {
        return Ok(());
    };
    if read.or(written).or(residual).is_none() {
        return Ok(());
    }
    let parts = || Ok((weights.values()?, bias.values()?.into_owned()));
    let (rows, mut new) = parts().map_err(failed)?;
    let len = rows.len() / new.len();
    for (channel, (bias, row)) in new.iter_mut().zip(rows.chunks_exact(len)).enumerate() {
        let mut sum = f64::from(*bias);
        if let Some(read) = read {
            let products = row.iter().zip(read);
            sum += products
                .map(|(w, x)| f64::from(*w) * f64::from(*x))
                .sum::<f64>();
        }
        sum += residual.map_or(0.0, |residual| f64::from(residual[channel]));
        sum -= written.map_or(0.0, |written| f64::from(written[channel]));
        *bias = sum as f32;
    }
    *bias = Weights::from(new);
    Ok(())
}
