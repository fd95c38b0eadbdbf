//! Channels of a value brought to the same range, which then one scale fits (cross-layer equalization: Nagel et al. 2019,
//! arXiv:1906.04721).
//!
//! A channel divided by a factor where it is written, and multiplied with it in the weights that read it, leaves the network
//! as it was, if what is between is linear or a ReLU. Values that are added up are divided by the same. Below a ReLU6,
//! channels that stay far from its bound can be made larger until they come near it: what is cut off there is beyond what
//! is to be expected, and so beyond what levels would reach.

use edge_classify_kernels::Activation;

use crate::engine::net::{Kind, Layer, Net, Span, Weights};

use super::QuantizeError;
use super::statistics::{Channel, Statistics};
use super::weights::{parameters, parameters_mut};

/// Channels are made larger by no more than this beside the largest: what is next to nothing stays so.
const MOST: f32 = 64.0;

/// The same network with equalized channels, and the number of values that have them: those without an upper bound, for
/// which that is exact. `statistics` has one for each value.
///
/// # Errors
/// What is wrong with the weights that could not be read.
pub fn equalize(net: &Net, statistics: &[Statistics]) -> Result<(Net, usize), QuantizeError> {
    equalize_groups(net, &groups_by_bound(net, false), statistics)
}

/// Values with an upper bound whose channels can be equalized, in groups of those that are divided by the same.
pub fn bounded_groups(net: &Net) -> Vec<Vec<usize>> {
    groups_by_bound(net, true)
}

fn groups_by_bound(net: &Net, bounded: bool) -> Vec<Vec<usize>> {
    let has_bound = |value: &usize| bound_of(net.layers(), *value).is_some();
    let mut groups = groups(net);
    groups.retain(|group| group.iter().any(has_bound) == bounded);
    groups
}

/// As [`equalize`], of the values of these groups.
///
/// # Errors
/// As [`equalize`].
pub fn equalize_groups(
    net: &Net,
    groups: &[Vec<usize>],
    statistics: &[Statistics],
) -> Result<(Net, usize), QuantizeError> {
    let mut layers = net.layers().to_vec();
    let mut equalized = 0;
    for group in groups {
        let factors = factors(&layers, group, statistics)?;
        for layer in &mut layers {
            scale(layer, group, &factors)?;
        }
        equalized += group.len();
    }
    let net = Net::new(
        net.values().to_vec(),
        layers,
        net.input_value(),
        net.output(),
    )?;
    Ok((net, equalized))
}

/// Values that are divided by the same factors: those that are added up.
fn groups(net: &Net) -> Vec<Vec<usize>> {
    let values = net.values().len();
    let mut first: Vec<usize> = (0..values).collect();
    let mut good = vec![true; values];
    good[net.input_value()] = false;
    good[net.output().value] = false;
    let whole = |span: Span| span.channels == net.values()[span.value].channels;
    for layer in net.layers() {
        let writes = parameters(&layer.kind).is_some() || matches!(layer.kind, Kind::Add { .. });
        let linear = is_homogeneous(layer.activation) || upper_bound(layer).is_some();
        good[layer.output.value] &= writes && linear && whole(layer.output);
        for span in added(layer) {
            good[span.value] &= linear && whole(span);
            let [a, b] = [span, layer.output].map(|span| first[span.value]);
            for value in &mut first {
                if *value == a.max(b) {
                    *value = a.min(b);
                }
            }
        }
        match &layer.kind {
            Kind::Pointwise { gate, .. } => {
                good[layer.input.value] &= whole(layer.input);
                gate.iter().for_each(|gate| good[gate.value] = false);
            }
            Kind::Convolution { .. } | Kind::Depthwise { .. } => {
                good[layer.input.value] &= whole(layer.input);
            }
            Kind::Add { .. } => {}
            _ => layer.reads().for_each(|span| good[span.value] = false),
        }
    }
    let members = |leader: usize| {
        (0..values)
            .filter(|value| first[*value] == leader)
            .collect()
    };
    let groups = (0..values)
        .filter(|value| first[*value] == *value)
        .map(members);
    groups
        .filter(|group: &Vec<usize>| group.iter().all(|value| good[*value]))
        .collect()
}

/// Whether a factor above 0 can be drawn through it.
fn is_homogeneous(activation: Activation) -> bool {
    match activation {
        Activation::Identity => true,
        Activation::Clamp { low, high } => {
            (low == 0.0 || low == f32::NEG_INFINITY) && (high == 0.0 || high == f32::INFINITY)
        }
        _ => false,
    }
}

/// The upper bound of a layer that would be homogeneous without it.
fn upper_bound(layer: &Layer) -> Option<f32> {
    match layer.activation {
        Activation::Clamp { low, high } => {
            let is = (low == 0.0 || low == f32::NEG_INFINITY) && high > 0.0 && high.is_finite();
            is.then_some(high)
        }
        _ => None,
    }
}

/// The least upper bound of what is written of a value.
fn bound_of(layers: &[Layer], value: usize) -> Option<f32> {
    let writers = layers.iter().filter(|layer| layer.output.value == value);
    writers.filter_map(upper_bound).reduce(f32::min)
}

/// What is added to a layer's output as it is.
fn added(layer: &Layer) -> Vec<Span> {
    match &layer.kind {
        Kind::Pointwise { residual, .. } | Kind::Convolution { residual, .. } => {
            residual.iter().copied().collect()
        }
        Kind::Add { other } => vec![layer.input, *other],
        _ => Vec::new(),
    }
}

/// What each channel is divided by: no more than 1. Where only depthwise convolutions read it, all channels get one range,
/// as these have a scale for each channel; other weights of a row share one, and so both sides share the burden.
pub fn factors(
    layers: &[Layer],
    group: &[usize],
    statistics: &[Statistics],
) -> Result<Vec<f32>, QuantizeError> {
    let channels = statistics[group[0]].channels.len();
    // Beside the largest of their value: values of a group have levels of their own.
    let mut ranges = vec![0.0f32; channels];
    // Beside an upper bound, with which a channel comes as near to it as it may.
    let mut least = vec![1.0 / MOST; channels];
    for value in group {
        let bound = bound_of(layers, *value);
        let reach = |channel: &Channel| match bound {
            Some(bound) => channel.expected().min(bound),
            None => channel.largest(),
        };
        let reaches: Vec<f32> = statistics[*value].channels.iter().map(reach).collect();
        let most = reaches.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        let both = ranges.iter_mut().zip(&mut least).zip(reaches);
        for ((range, least), reach) in both {
            *range = range.max(reach / most);
            *least = least.max(bound.map_or(0.0, |bound| reach / bound));
        }
    }
    let mut columns = vec![0.0f32; channels];
    for layer in layers
        .iter()
        .filter(|layer| group.contains(&layer.input.value))
    {
        if matches!(layer.kind, Kind::Depthwise { .. }) {
            continue;
        }
        let Some((weights, _)) = parameters(&layer.kind) else {
            continue;
        };
        let weights = weights.values().map_err(QuantizeError::unreadable(layer))?;
        for row in weights.chunks_exact(weights.len() / layer.output.channels) {
            let largest = row.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            let taps = row.len() / channels;
            for (column, weights) in columns.iter_mut().zip(row.chunks_exact(taps)) {
                let own = weights.iter().fold(0.0f32, |m, v| m.max(v.abs()));
                *column = column.max(own / largest.max(f32::MIN_POSITIVE));
            }
        }
    }
    let shared = columns.iter().any(|column| *column > 0.0);
    let factors = ranges
        .iter()
        .zip(&columns)
        .map(|(range, column)| match shared {
            true => (range / column.max(1e-3)).sqrt(),
            false => *range,
        });
    let factors: Vec<f32> = factors.collect();
    let largest = factors.iter().copied().fold(0.0, f32::max);
    if largest <= 0.0 {
        return Ok(vec![1.0; channels]);
    }
    Ok(factors
        .into_iter()
        .zip(least)
        .map(|(factor, least)| match factor > 0.0 {
            true => (factor / largest).max(least).min(1.0),
            // Of a channel that was not seen to have values there is nothing to go by.
            false => 1.0,
        })
        .collect())
}

/// Divides what a layer writes of the group, and multiplies what it reads of it.
fn scale(layer: &mut Layer, group: &[usize], factors: &[f32]) -> Result<(), QuantizeError> {
    let writes = group.contains(&layer.output.value);
    let reads = group.contains(&layer.input.value);
    if !(writes || reads) || parameters(&layer.kind).is_none() {
        return Ok(());
    }
    let failed = QuantizeError::unreadable(layer);
    let by_channel = matches!(layer.kind, Kind::Depthwise { .. });
    let (rows, columns) = (layer.output.channels, layer.input.channels);
    let Some((weights, bias)) = parameters_mut(&mut layer.kind) else {
        return Ok(());
    };
    let read = || Ok((weights.values()?.into_owned(), bias.values()?.into_owned()));
    let (mut new, mut new_bias) = read().map_err(failed)?;
    let len = new.len() / rows;
    for (row, values) in new.chunks_exact_mut(len).enumerate() {
        let taps = if by_channel { len } else { len / columns };
        for (column, values) in values.chunks_exact_mut(taps).enumerate() {
            let read = match (reads, by_channel) {
                (false, _) => 1.0,
                (true, true) => factors[row],
                (true, false) => factors[column],
            };
            let written = if writes { factors[row] } else { 1.0 };
            values.iter_mut().for_each(|value| *value *= read / written);
        }
        if writes {
            new_bias[row] /= factors[row];
        }
    }
    *weights = Weights::from(new);
    *bias = Weights::from(new_bias);
    Ok(())
}
