//! Which levels the values get.

use std::collections::BTreeMap;

use edge_classify_int8::Quantization;

use crate::engine::net::Layer;

use super::machine::Machine;
use super::placement::Placed;
use super::ranges::Method;
use super::reference::Reference;
use super::statistics::Statistics;
use super::{QuantizeError, Range};

/// How the levels of a value were chosen.
#[derive(Debug, Clone)]
pub struct Choice {
    pub method: Method,
    pub quantization: Quantization,
    /// What each method that was tried gives: signal to noise in the logits, in dB.
    pub tried: Vec<(Method, f64)>,
}

/// Of each value that is of levels.
#[derive(Debug, Clone)]
pub struct Choices(pub Vec<Option<Choice>>);

impl Choices {
    pub fn quantizations(&self) -> Vec<Option<Quantization>> {
        let quantization = |choice: &Option<Choice>| choice.as_ref().map(|c| c.quantization);
        self.0.iter().map(quantization).collect()
    }

    /// How values were chosen that have been tried, by the name of the layer that writes them first.
    pub fn by_writer(&self, placed: &Placed) -> BTreeMap<String, Choice> {
        let choices = self.0.iter().enumerate();
        let named = choices.filter_map(|(value, choice)| {
            let choice = choice.as_ref().filter(|choice| !choice.tried.is_empty())?;
            Some((writer(placed, value)?.name.clone(), choice.clone()))
        });
        named.collect()
    }
}

/// The layer that writes a value first.
pub fn writer(placed: &Placed, value: usize) -> Option<&Layer> {
    let mut layers = placed.net.layers().iter();
    layers.find(|layer| layer.output.value == value)
}

/// Values in levels that others may have their quantization from.
pub fn leaders(placed: &Placed) -> Vec<usize> {
    let values = 0..placed.shared.len();
    values
        .filter(|value| placed.in_levels[*value] && placed.shared[*value] == *value)
        .collect()
}

/// The same statistics, but for the first of values that share a quantization, which gets what was seen of all of them.
pub fn joined(placed: &Placed, statistics: &[Statistics]) -> Vec<Statistics> {
    let mut joined = statistics.to_vec();
    for (value, leader) in placed.shared.iter().copied().enumerate() {
        if leader != value {
            joined[leader].join(&statistics[value]);
        }
    }
    joined
}

/// By one method for all values.
pub fn by_method(placed: &Placed, statistics: &[Statistics], method: Method) -> Choices {
    let mut choices = Choices(vec![None; placed.shared.len()]);
    for leader in leaders(placed) {
        let choice = Choice {
            method,
            quantization: candidate(&statistics[leader], method),
            tried: Vec::new(),
        };
        set(&mut choices, placed, leader, &choice);
    }
    choices
}

/// As `range` says; what is `known` already, by the name of the layer that writes the value, is not tried again.
pub fn choose(
    placed: &Placed,
    statistics: &[Statistics],
    pictures: &[Vec<f32>],
    range: Range,
    known: &BTreeMap<String, Choice>,
    machine: &mut Machine,
) -> Result<Choices, QuantizeError> {
    let count = match range {
        Range::By(method) => return Ok(by_method(placed, statistics, method)),
        Range::Measured { pictures } => pictures,
    };
    let net = &placed.net;
    let reference = Reference::new(net, pictures, count, machine)?;
    let mut trial = machine.simulation(net, &[])?;
    let mut choices = Choices(vec![None; placed.shared.len()]);
    for leader in leaders(placed) {
        let statistics = &statistics[leader];
        let mut tried: Vec<(Method, f64)> = Vec::new();
        let mut found: Vec<(Quantization, f64)> = Vec::new();
        let known = writer(placed, leader).and_then(|writer| known.get(&writer.name));
        for method in Method::ALL {
            if known.is_none() {
                let candidate = candidate(statistics, method);
                let same = found.iter().find(|(other, _)| *other == candidate);
                let decibel = match same {
                    Some((_, decibel)) => *decibel,
                    None => {
                        let quantizations = only(placed, leader, candidate);
                        trial.round_to(net, &quantizations);
                        reference.signal_to_noise(&mut trial)?
                    }
                };
                found.push((candidate, decibel));
                tried.push((method, decibel));
            }
            machine.work.advance(reference.pictures() as u64);
        }
        let choice = match known {
            Some(known) => Choice {
                quantization: candidate(statistics, known.method),
                ..known.clone()
            },
            None => {
                let method = best(&tried);
                let quantization = candidate(statistics, method);
                Choice {
                    method,
                    quantization,
                    tried,
                }
            }
        };
        set(&mut choices, placed, leader, &choice);
    }
    Ok(choices)
}

/// The first with the most.
fn best(tried: &[(Method, f64)]) -> Method {
    let first = (tried[0].0, f64::NEG_INFINITY);
    let most = tried
        .iter()
        .fold(first, |best, tried| match tried.1 > best.1 {
            true => *tried,
            false => best,
        });
    most.0
}

fn candidate(statistics: &Statistics, method: Method) -> Quantization {
    let (low, high) = statistics.range();
    method.quantization(&statistics.histogram, low, high)
}

/// Levels for one value, and those that share them.
fn only(placed: &Placed, leader: usize, quantization: Quantization) -> Vec<Option<Quantization>> {
    let shared = placed.shared.iter();
    shared
        .map(|other| (*other == leader).then_some(quantization))
        .collect()
}

fn set(choices: &mut Choices, placed: &Placed, leader: usize, choice: &Choice) {
    let shared = choices.0.iter_mut().zip(&placed.shared);
    for (own, _) in shared.filter(|(_, other)| **other == leader) {
        *own = Some(choice.clone());
    }
}
