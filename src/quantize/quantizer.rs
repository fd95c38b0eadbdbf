//! The steps in their order.

use std::sync::Arc;

use edge_classify_int8::Quantization;

use crate::engine::net::{Layer, Net, Weights};
use crate::engine::{Observed, Options, Team};

use super::equalize::{EqualizeError, equalize};
use super::measure::{Comparison, LayerNoise};
use super::moments::Moments;
use super::observe::Simulation;
use super::placement::{Placed, place};
use super::ranges::Method;
use super::statistics::Statistics;
use super::weights::{WeightLevels, parameters, parameters_mut};
use super::{QuantizeError, QuantizeOptions, QuantizeReport, Quantized, Range, bias, rounding};

/// Quantizes a network with pictures of f32 in planes, run on this machine as `engine` says.
pub fn quantize(
    net: Net,
    pictures: &[Vec<f32>],
    options: &QuantizeOptions,
    engine: &Options,
) -> Result<Quantized, QuantizeError> {
    if pictures.is_empty() {
        return Err(QuantizeError::NoPictures);
    }
    let team = Arc::new(Team::new(engine.threads)?);
    let machine = Machine { engine, team };
    let mut report = QuantizeReport::default();
    let net = if options.equalize {
        let statistics = machine.statistics(&net, pictures)?;
        let (net, equalized) = equalize(&net, &statistics).map_err(|error| match error {
            EqualizeError::Net(error) => QuantizeError::Net(error),
            EqualizeError::Weights { layer, problem } => QuantizeError::Weights { layer, problem },
        })?;
        report.equalized = equalized;
        net
    } else {
        net
    };
    let placed = place(&net, &|_| false)?;
    if !placed.in_levels.contains(&true) {
        return Err(QuantizeError::NoLayers);
    }
    let mut quantizer = Quantizer::new(placed, pictures, options, machine)?;
    quantizer.choose_ranges()?;
    quantizer.choose_weights()?;
    quantizer.measure(&mut report)?;
    let net = quantizer.net()?;
    Ok(Quantized { net, report })
}

/// Of weights of a channel, for its bias to be no larger a sum than an f32 tells from its neighbours: some channels are
/// hardly more than that.
fn least_scale(bias: f32, input_scale: f32) -> f32 {
    const LARGEST: f32 = (1 << 24) as f32;
    bias.abs() / LARGEST / input_scale
}

/// What the network is run with.
struct Machine<'a> {
    engine: &'a Options,
    team: Arc<Team>,
}

impl Machine<'_> {
    fn simulation(
        &self,
        net: &Net,
        quantizations: &[Option<Quantization>],
    ) -> Result<Simulation, QuantizeError> {
        let simulation = Simulation::new(net, quantizations, self.engine, &self.team)?;
        Ok(simulation)
    }

    /// Of all values, in float.
    fn statistics(
        &self,
        net: &Net,
        pictures: &[Vec<f32>],
    ) -> Result<Vec<Statistics>, QuantizeError> {
        let mut statistics = Statistics::of_values(net);
        let mut simulation = self.simulation(net, &[])?;
        for picture in pictures {
            simulation.run(picture, &mut |observed| {
                Statistics::see(&mut statistics, net, &observed);
            })?;
        }
        let faulty = |layer: &&Layer| statistics[layer.output.value].histogram.is_faulty();
        match net.layers().iter().find(faulty) {
            Some(layer) => Err(QuantizeError::NotFinite {
                layer: layer.name.clone(),
            }),
            None => Ok(statistics),
        }
    }
}

struct Quantizer<'a> {
    placed: Placed,
    pictures: &'a [Vec<f32>],
    options: &'a QuantizeOptions,
    machine: Machine<'a>,
    /// Logits in float.
    logits: Vec<Vec<f32>>,
    quantizations: Vec<Option<Quantization>>,
    methods: Vec<Option<Method>>,
    /// Of each layer: weights in levels, and biases for them.
    levels: Vec<Option<WeightLevels>>,
    biases: Vec<Option<Vec<f32>>>,
}

impl<'a> Quantizer<'a> {
    fn new(
        placed: Placed,
        pictures: &'a [Vec<f32>],
        options: &'a QuantizeOptions,
        machine: Machine<'a>,
    ) -> Result<Self, QuantizeError> {
        let (values, layers) = (placed.in_levels.len(), placed.net.layers().len());
        Ok(Quantizer {
            placed,
            pictures,
            options,
            machine,
            logits: Vec::new(),
            quantizations: vec![None; values],
            methods: vec![None; values],
            levels: vec![None; layers],
            biases: vec![None; layers],
        })
    }

    /// Gives every value that is of levels its quantization.
    fn choose_ranges(&mut self) -> Result<(), QuantizeError> {
        let net = &self.placed.net;
        let mut statistics = self.machine.statistics(net, self.pictures)?;
        for value in (0..statistics.len()).rev() {
            let leader = self.placed.shared[value];
            if leader != value {
                let own = statistics[value].clone();
                statistics[leader].join(&own);
            }
        }
        let leaders = (0..statistics.len())
            .filter(|value| self.placed.in_levels[*value] && self.placed.shared[*value] == *value);
        let mut trial = self.machine.simulation(net, &[])?;
        for leader in leaders.collect::<Vec<_>>() {
            let (low, high) = statistics[leader].range();
            let histogram = &statistics[leader].histogram;
            let candidate = |method: Method| method.quantization(histogram, low, high);
            let method = match self.options.range {
                Range::By(method) => method,
                Range::Measured { pictures } => {
                    let candidates = Method::ALL.map(|method| (method, candidate(method)));
                    self.least_noise(&mut trial, leader, &candidates, pictures)?
                }
            };
            self.set_range(leader, method, candidate(method));
        }
        Ok(())
    }

    fn set_range(&mut self, leader: usize, method: Method, quantization: Quantization) {
        for value in self.sharing(leader) {
            self.quantizations[value] = Some(quantization);
            self.methods[value] = Some(method);
        }
    }

    fn sharing(&self, leader: usize) -> Vec<usize> {
        let values = 0..self.placed.shared.len();
        values
            .filter(|value| self.placed.shared[*value] == leader)
            .collect()
    }

    /// The method whose levels change the logits least where all else is in float.
    fn least_noise(
        &mut self,
        trial: &mut Simulation,
        leader: usize,
        candidates: &[(Method, Quantization)],
        pictures: usize,
    ) -> Result<Method, QuantizeError> {
        // From all of them, as neighbours may be alike.
        let step = self.pictures.len().div_ceil(pictures.max(1));
        let pictures = self.pictures.iter().step_by(step);
        if self.logits.is_empty() {
            trial.round_to(&self.placed.net, &[]);
            for picture in pictures.clone() {
                self.logits.push(trial.run(picture, &mut |_| ())?);
            }
        }
        let mut best = (candidates[0].0, f64::NEG_INFINITY);
        let mut tried: Vec<Quantization> = Vec::new();
        for (method, candidate) in candidates {
            if tried.contains(candidate) {
                continue;
            }
            tried.push(*candidate);
            let mut quantizations = vec![None; self.quantizations.len()];
            for value in self.sharing(leader) {
                quantizations[value] = Some(*candidate);
            }
            trial.round_to(&self.placed.net, &quantizations);
            let mut comparison = Comparison::default();
            for (picture, logits) in pictures.clone().zip(&self.logits) {
                comparison.add(logits, &trial.run(picture, &mut |_| ())?);
            }
            if comparison.signal_to_noise() > best.1 {
                best = (*method, comparison.signal_to_noise());
            }
        }
        Ok(best.0)
    }

    /// Rounds the weights of all layers that compute in levels, and corrects their biases.
    fn choose_weights(&mut self) -> Result<(), QuantizeError> {
        let QuantizeOptions {
            shrink_weights,
            round_weights,
            correct_biases,
            ..
        } = *self.options;
        let unrounded = self.moments(correct_biases, round_weights || shrink_weights)?;
        for (index, layer) in self.placed.net.layers().iter().enumerate() {
            let Some((weights, bias)) = parameters(&layer.kind) else {
                continue;
            };
            if !self.placed.computes_in_levels(index) {
                continue;
            }
            let unreadable = |problem| QuantizeError::Weights {
                layer: layer.name.clone(),
                problem,
            };
            let values = weights.values().map_err(unreadable)?;
            let moments = unrounded[index].as_ref();
            let bias = bias.values().map_err(unreadable)?;
            let input = self.quantizations[layer.input.value].map_or(1.0, |input| input.scale);
            let least: Vec<f32> = bias.iter().map(|bias| least_scale(*bias, input)).collect();
            let mut levels = match moments.filter(|_| shrink_weights) {
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
                    WeightLevels::nearest(&values, &least, Some(&importance))
                }
                None => WeightLevels::nearest(&values, &least, None),
            };
            if let Some(moments) = moments.filter(|_| round_weights) {
                let threads = self.machine.engine.threads.get();
                rounding::round(&mut levels, &values, moments, correct_biases, threads);
            }
            self.biases[index] = Some(match moments.filter(|_| correct_biases) {
                Some(moments) => bias::correct(&bias, &values, &levels.values(), moments),
                None => bias.into_owned(),
            });
            self.levels[index] = Some(levels);
        }
        Ok(())
    }

    /// Of what each layer of levels reads; none where neither means nor products are wanted.
    fn moments(&self, means: bool, products: bool) -> Result<Vec<Option<Moments>>, QuantizeError> {
        let net = &self.placed.net;
        let wanted = |layer: usize| {
            let wanted = (means || products) && self.placed.computes_in_levels(layer);
            wanted.then(|| Moments::new(net, layer, products))?
        };
        let mut moments: Vec<Option<Moments>> = (0..net.layers().len()).map(wanted).collect();
        if moments.iter().all(Option::is_none) {
            return Ok(moments);
        }
        let mut simulation = self.machine.simulation(net, &self.quantizations)?;
        for (number, picture) in self.pictures.iter().enumerate() {
            simulation.run(picture, &mut |observed: Observed| {
                if let Some(moments) = &mut moments[observed.layer] {
                    moments.see(net, &observed, number);
                }
            })?;
        }
        Ok(moments)
    }

    /// The network in levels.
    fn net(&self) -> Result<Net, QuantizeError> {
        let net = self.with_weights(|levels| {
            Weights::quantized(levels.levels.clone(), levels.scales.clone())
        })?;
        Ok(net.with_quantizations(self.quantizations.clone())?)
    }

    /// The network in float with the weights that were chosen, as their levels stand for them.
    fn simulated(&self) -> Result<Net, QuantizeError> {
        self.with_weights(|levels| Weights::from(levels.values()))
    }

    fn with_weights(&self, form: impl Fn(&WeightLevels) -> Weights) -> Result<Net, QuantizeError> {
        let net = &self.placed.net;
        let mut layers = net.layers().to_vec();
        let chosen = self.levels.iter().zip(&self.biases);
        for (layer, (levels, corrected)) in layers.iter_mut().zip(chosen) {
            let (Some(levels), Some(corrected)) = (levels, corrected) else {
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

    fn measure(&self, report: &mut QuantizeReport) -> Result<(), QuantizeError> {
        let net = self.simulated()?;
        let mut float = self.machine.simulation(&self.placed.net, &[])?;
        let mut quantized = self.machine.simulation(&net, &self.quantizations)?;
        let mut noise = LayerNoise::new(&net);
        for picture in self.pictures {
            let expected = float.run(picture, &mut |observed| noise.see_float(&net, &observed))?;
            let found = quantized.run(picture, &mut |observed| {
                noise.see_quantized(&net, &observed);
            })?;
            report.comparison.add(&expected, &found);
        }
        let names = net.layers().iter().map(|layer| layer.name.clone());
        report.layers = names.zip(noise.signal_to_noise()).collect();
        let methods = self.methods.iter().enumerate();
        let named = methods.filter_map(|(value, method)| {
            let mut layers = net.layers().iter();
            let writer = layers.find(|layer| layer.output.value == value)?;
            Some((writer.name.clone(), (*method)?))
        });
        report.ranges = named.collect();
        Ok(())
    }
}
