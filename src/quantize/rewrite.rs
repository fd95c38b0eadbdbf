//! Networks that compute the same as another and lose less when their values are of levels: tried, and taken where that
//! pays.

use crate::engine::net::Net;

use super::center::center;
use super::equalize::{EqualizeError, equalize, equalize_below_bounds};
use super::machine::Machine;
use super::placement::{Placed, place};
use super::range_choice;
use super::ranges::Method;
use super::reference::Reference;
use super::statistics::Statistics;
use super::weight_choice;
use super::{QuantizeError, QuantizeOptions, Step};

/// The network with other weights, and the number of values that are others for it.
type Change = fn(&Net, &[Statistics]) -> Result<(Net, usize), EqualizeError>;

/// A step that changes the network and not what it computes.
pub struct Rewrite {
    pub step: Step,
    /// What is told of it.
    pub name: &'static str,
    change: Change,
    /// The gain in dB for which it is taken: more where that cuts off what is beyond all expectation.
    least: f64,
}

/// In their order.
pub const REWRITES: [Rewrite; 3] = [
    Rewrite {
        step: Step::Centering,
        name: "centering channels",
        change: center,
        least: 0.0,
    },
    Rewrite {
        step: Step::Equalization,
        name: "equalizing channels",
        change: equalize,
        least: 0.0,
    },
    Rewrite {
        step: Step::BoundedEqualization,
        name: "equalizing channels below bounds",
        change: equalize_below_bounds,
        least: 0.5,
    },
];

/// A network, with its layers placed and what its values are like.
pub struct Candidate {
    net: Net,
    pub placed: Placed,
    /// Of each value.
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
        let statistics = machine.statistics(&placed.net, trial.pictures)?;
        let seen = range_choice::joined(&placed, &statistics);
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
        // Values that the network had before it was placed keep their index.
        let statistics = &self.statistics[..self.net.values().len()];
        let (net, values) = (rewrite.change)(&self.net, statistics)?;
        let candidate = Candidate::new(net, trial, machine)?;
        let gain = candidate.promise - self.promise;
        log::debug!("{}: {values} values, {gain:+.2} dB", rewrite.name);
        Ok((gain > rewrite.least).then_some(candidate))
    }

    /// Of making one, in runs of the network.
    pub fn cost(pictures: u64, compared: u64) -> u64 {
        2 * pictures + compared
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
