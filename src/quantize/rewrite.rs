//! Networks that compute the same as another and lose less when their values are of levels: tried, and taken where that
//! pays.

use crate::engine::net::Net;

use super::center::center;
use super::equalize::{bounded_groups, equalize, equalize_groups, factors};
use super::machine::Machine;
use super::placement::{Placed, place};
use super::range_choice;
use super::ranges::{Method, quantization};
use super::reference::Reference;
use super::statistics::Statistics;
use super::weight_choice;
use super::{QuantizeError, QuantizeOptions, Step};

/// The network with other weights, and the number of values that are others for it.
type Change = fn(&Candidate, Trial, &mut Machine) -> Result<(Net, usize), QuantizeError>;

/// A step that changes the network and not what it computes.
pub struct Rewrite {
    pub step: Step,
    /// What is told of it.
    pub name: &'static str,
    change: Change,
}

/// In their order.
pub const REWRITES: [Rewrite; 3] = [
    Rewrite {
        step: Step::Centering,
        name: "centering channels",
        change: |candidate, _, _| center(&candidate.net, &candidate.statistics),
    },
    Rewrite {
        step: Step::Equalization,
        name: "equalizing channels",
        change: |candidate, _, _| equalize(&candidate.net, &candidate.statistics),
    },
    Rewrite {
        step: Step::BoundedEqualization,
        name: "equalizing channels below bounds",
        change: equalize_below_bounds,
    },
];

/// What values have to gain by themselves for that in dB: it cuts off what is beyond all expectation, and comes some
/// day.
const LEAST: f64 = 1.0;

/// Values with an upper bound are equalized where that is worth it with nothing but them in levels.
fn equalize_below_bounds(
    candidate: &Candidate,
    trial: Trial,
    machine: &mut Machine,
) -> Result<(Net, usize), QuantizeError> {
    let (net, statistics) = (&candidate.net, &candidate.statistics);
    let mut paying = Vec::new();
    for group in bounded_groups(net) {
        // Values that stay in float have nothing to gain.
        let of_levels = |value: &&usize| candidate.placed.has_levels(**value);
        let of_levels: Vec<usize> = group.iter().filter(of_levels).copied().collect();
        if of_levels.is_empty() {
            machine.work.advance(2 * trial.reference.pictures() as u64);
            continue;
        }
        let factors = factors(net.layers(), &group, statistics)?;
        let mut lone = |net: &Net, factors: &[f32]| {
            let mut levels = vec![None; net.values().len()];
            for value in &of_levels {
                let (low, high) = statistics[*value].range_divided_by(factors);
                levels[*value] = Some(quantization(f64::from(low), f64::from(high)));
            }
            machine.work.advance(trial.reference.pictures() as u64);
            trial.reference.signal_to_noise_of(net, &levels, machine)
        };
        let before = lone(net, &vec![1.0; factors.len()])?;
        let (equalized, _) = equalize_groups(net, std::slice::from_ref(&group), statistics)?;
        if lone(&equalized, &factors)? > before + LEAST {
            paying.push(group);
        }
    }
    equalize_groups(net, &paying, statistics)
}

/// A network, with its layers placed and what its values are like.
pub struct Candidate {
    net: Net,
    pub placed: Placed,
    /// Of each value that it had before it was placed.
    statistics: Vec<Statistics>,
    /// The same, with those of values that share their levels joined.
    pub seen: Vec<Statistics>,
    /// Signal to noise in the logits with quick ranges and nearest levels, in dB.
    promise: f64,
}

/// What candidates are made from, and measured with.
#[derive(Clone, Copy)]
pub struct Trial<'a> {
    pub pictures: &'a [Vec<f32>],
    /// Whether a layer is to stay in float.
    pub keep: &'a dyn Fn(usize) -> bool,
    pub reference: &'a Reference<'a>,
}

impl Candidate {
    /// # Errors
    /// If the network cannot be run, or its weights cannot be read.
    pub fn new(net: Net, trial: Trial, machine: &mut Machine) -> Result<Candidate, QuantizeError> {
        let placed = place(&net, trial.keep)?;
        let mut statistics = machine.statistics(&placed.net, trial.pictures)?;
        let seen = range_choice::joined(&placed, &statistics);
        // Values that the network had before it was placed keep their index.
        statistics.truncate(net.values().len());
        let promise = promise(&placed, &seen, trial, machine)?;
        Ok(Candidate {
            net,
            placed,
            statistics,
            seen,
            promise,
        })
    }

    /// What comes of a rewrite of this network, if that pays.
    ///
    /// # Errors
    /// As [`Candidate::new`].
    pub fn rewritten(
        &self,
        rewrite: &Rewrite,
        trial: Trial,
        machine: &mut Machine,
    ) -> Result<Option<Candidate>, QuantizeError> {
        machine.work.start(rewrite.name);
        let (net, values) = (rewrite.change)(self, trial, machine)?;
        let candidate = Candidate::new(net, trial, machine)?;
        let gain = candidate.promise - self.promise;
        log::debug!("{}: {values} values, {gain:+.2} dB", rewrite.name);
        Ok((gain > 0.0).then_some(candidate))
    }

    /// Of making one, in runs of the network.
    pub fn cost(pictures: u64, compared: u64) -> u64 {
        2 * pictures + compared
    }

    /// Of deciding on values below bounds, in runs of the network.
    pub fn cost_of_bounds(net: &Net, compared: u64) -> u64 {
        2 * bounded_groups(net).len() as u64 * compared
    }
}

/// With ranges that need no search, and biases corrected: without that, means hide everything else.
fn promise(
    placed: &Placed,
    seen: &[Statistics],
    trial: Trial,
    machine: &mut Machine,
) -> Result<f64, QuantizeError> {
    let options = QuantizeOptions {
        correct_biases: true,
        ..QuantizeOptions::plain()
    };
    let ranges = range_choice::by_method(placed, seen, Method::Percentile(1e-4));
    let levels = ranges.quantizations();
    let moments = weight_choice::moments(placed, &levels, trial.pictures, &options, machine)?;
    let chosen = weight_choice::choose(placed, &levels, &moments, &options, machine)?;
    let net = chosen.simulated(placed)?;
    let found = trial.reference.signal_to_noise_of(&net, &levels, machine)?;
    machine.work.advance(trial.reference.pictures() as u64);
    Ok(found)
}
