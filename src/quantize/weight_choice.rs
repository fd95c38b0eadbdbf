//! Which levels the weights get, and the biases for them.

use std::borrow::Cow;

use edge_classify_int8::Quantization;

use crate::engine::Observed;
use crate::engine::net::{Layer, Net, Weights};

use super::machine::Machine;
use super::moments::Moments;
use super::placement::Placed;
use super::weights::{WeightLevels, parameters, parameters_mut};
use super::{QuantizeError, QuantizeOptions, bias, rounding};

/// What is done to the weights of one layer.
struct Task<'a> {
    options: &'a QuantizeOptions,
    threads: usize,
    moments: Option<&'a Moments>,
    /// Of what is multiplied with the weights.
    input_scale: f32,
}

/// Of each layer that computes in levels: levels for its weights, and biases for those.
#[derive(Debug, Clone)]
pub struct Chosen(Vec<Option<(WeightLevels, Vec<f32>)>>);

/// As `options` say, with moments of what each layer reads.
pub fn choose(
    placed: &Placed,
    quantizations: &[Option<Quantization>],
    moments: &[Option<Moments>],
    options: &QuantizeOptions,
    machine: &mut Machine,
) -> Result<Chosen, QuantizeError> {
    let mut chosen = Chosen(vec![None; placed.net.layers().len()]);
    for (index, layer) in placed.net.layers().iter().enumerate() {
        let Some((weights, bias)) = parameters(&layer.kind) else {
            continue;
        };
        if !placed.computes_in_levels(index) {
            continue;
        }
        let (values, bias) = (weights.values(), bias.values());
        let (values, bias) = (
            values.map_err(QuantizeError::unreadable(layer))?,
            bias.map_err(QuantizeError::unreadable(layer))?,
        );
        let input = quantizations[layer.input.value];
        let task = Task {
            options,
            threads: machine.engine.threads.get(),
            moments: moments.get(index).and_then(Option::as_ref),
            input_scale: input.map_or(1.0, |input| input.scale),
        };
        chosen.0[index] = Some(task.choose(&values, bias));
        if options.round_weights > 0 {
            machine.work.advance(rounding_cost(&placed.net, layer));
        }
    }
    Ok(chosen)
}

impl Task<'_> {
    fn choose(&self, values: &[f32], bias: Cow<[f32]>) -> (WeightLevels, Vec<f32>) {
        let QuantizeOptions {
            shrink_weights,
            correct_biases,
            round_weights,
            ..
        } = *self.options;
        let least = bias.iter().map(|bias| least_scale(*bias, self.input_scale));
        let least: Vec<f32> = least.collect();
        let mut levels = match self.moments.filter(|_| shrink_weights) {
            Some(moments) => {
                let squares = moments.squares(correct_biases);
                let len = moments.row_len();
                let importance = |row: usize, column: usize| {
                    let first = if moments.is_by_channel() {
                        row * len
                    } else {
                        0
                    };
                    squares[first + column]
                };
                WeightLevels::nearest(values, &least, Some(&importance))
            }
            None => WeightLevels::nearest(values, &least, None),
        };
        if let Some(moments) = self.moments.filter(|_| round_weights > 0) {
            rounding::round(
                &mut levels,
                values,
                moments,
                correct_biases,
                round_weights,
                self.threads,
            );
        }
        let bias = match self.moments.filter(|_| correct_biases) {
            Some(moments) => bias::correct(&bias, values, &levels.values(), moments),
            None => bias.into_owned(),
        };
        (levels, bias)
    }
}

/// Of weights of a channel, for its bias to be no larger a sum than an f32 tells from its neighbours: some channels are
/// hardly more than that.
pub fn least_scale(bias: f32, input_scale: f32) -> f32 {
    const LARGEST: f32 = (1 << 24) as f32;
    bias.abs() / LARGEST / input_scale
}

/// In runs of the network, roughly: every weight is weighed against all others of its row some times.
pub fn rounding_cost(net: &Net, layer: &Layer) -> u64 {
    /// Sweeps over a row until nothing moves, as they are slower than layers.
    const SWEEPS: u64 = 8;
    let Some((weights, _)) = parameters(&layer.kind) else {
        return 0;
    };
    let layers = net.layers().iter();
    let run: u64 = layers
        .map(|layer| {
            let pixels = net.shape(layer.output).pixels();
            layer.kind.multiply_adds(pixels)
        })
        .sum();
    let row = weights.len() / layer.output.channels.max(1);
    weights.len() as u64 * row as u64 * SWEEPS / run.max(1)
}

/// Of what each layer of levels reads, if a step asks for it.
pub fn moments(
    placed: &Placed,
    quantizations: &[Option<Quantization>],
    pictures: &[Vec<f32>],
    options: &QuantizeOptions,
    machine: &mut Machine,
) -> Result<Vec<Option<Moments>>, QuantizeError> {
    let net = &placed.net;
    let products = options.shrink_weights || options.round_weights > 0;
    let wanted = |layer: usize| {
        let wanted = (options.correct_biases || products) && placed.computes_in_levels(layer);
        wanted.then(|| Moments::new(net, layer, products))?
    };
    let mut moments: Vec<Option<Moments>> = (0..net.layers().len()).map(wanted).collect();
    if moments.iter().all(Option::is_none) {
        return Ok(moments);
    }
    let mut simulation = machine.simulation(net, quantizations)?;
    for (number, picture) in pictures.iter().enumerate() {
        simulation.run(picture, &mut |observed: Observed| {
            if let Some(moments) = &mut moments[observed.layer] {
                moments.see(net, &observed, number);
            }
        })?;
        machine.work.advance(1);
    }
    Ok(moments)
}

impl Chosen {
    /// The network in levels.
    pub fn in_levels(
        &self,
        placed: &Placed,
        quantizations: Vec<Option<Quantization>>,
    ) -> Result<Net, QuantizeError> {
        let net = self.applied(placed, &|_| true, &|levels| {
            Weights::quantized(levels.levels.clone(), levels.scales.clone())
        })?;
        Ok(net.with_quantizations(quantizations)?)
    }

    /// The network in float with these weights, as their levels stand for them.
    pub fn simulated(&self, placed: &Placed) -> Result<Net, QuantizeError> {
        self.applied(placed, &|_| true, &|levels| Weights::from(levels.values()))
    }

    /// As [`Chosen::simulated`], of one layer alone.
    pub fn simulated_in(&self, placed: &Placed, layer: usize) -> Result<Net, QuantizeError> {
        self.applied(placed, &|other| other == layer, &|levels| {
            Weights::from(levels.values())
        })
    }

    fn applied(
        &self,
        placed: &Placed,
        wanted: &dyn Fn(usize) -> bool,
        form: &dyn Fn(&WeightLevels) -> Weights,
    ) -> Result<Net, QuantizeError> {
        let net = &placed.net;
        let mut layers = net.layers().to_vec();
        for (index, (layer, chosen)) in layers.iter_mut().zip(&self.0).enumerate() {
            let Some((levels, corrected)) = chosen.as_ref().filter(|_| wanted(index)) else {
                continue;
            };
            if let Some((weights, bias)) = parameters_mut(&mut layer.kind) {
                *weights = form(levels);
                *bias = Weights::from(corrected.clone());
            }
        }
        let values = net.values().to_vec();
        Ok(Net::new(values, layers, net.input_value(), net.output())?)
    }
}
