//! Mixed precision: as many layers in float as it takes for pictures to get the same class.

use crate::engine::net::Net;
use crate::engine::{EngineError, Executor, Options};

use super::machine::Machine;
use super::measure::largest;
use super::progress::Work;
use super::quantizer::{Attempt, Quantizer};
use super::{Progress, QuantizeError, QuantizeOptions, Quantized};

/// What may become of pictures that were held back.
#[derive(Debug, Clone, Copy)]
pub struct Limit<'a> {
    /// As they are quantized with.
    pub held_back: &'a [Vec<f32>],
    /// The part of them that may get another class, from 0 to 1.
    pub most: f64,
}

/// Parts of the layers that are put in float, one after another: the most sensitive.
const PARTS: [f64; 5] = [0.04, 0.08, 0.16, 0.32, 0.64];

/// As [`super::quantize`], within a limit.
///
/// # Errors
/// Also where no attempt keeps within the limit.
pub fn quantize_within(
    net: &Net,
    pictures: &[Vec<f32>],
    limit: Limit,
    options: &QuantizeOptions,
    engine: &Options,
    tell: &mut dyn FnMut(Progress),
) -> Result<Quantized, QuantizeError> {
    let mut machine = Machine::new(engine, Work::new(tell))?;
    let expected = classes(machine.executor(net.clone())?, limit.held_back)?;
    let count = limit.held_back.len();
    // A percentage of them need not be a number that can be told exactly.
    let allowed = (limit.most * count as f64 + 1e-6).floor() as usize;
    let quantizer = Quantizer {
        net,
        pictures,
        options,
    };
    let too_different = |changed, in_float| QuantizeError::TooDifferent {
        pictures: count,
        allowed,
        changed,
        in_float,
    };
    let mut attempt = Attempt::default();
    let mut least = count;
    let mut parts = PARTS.into_iter();
    loop {
        let in_float = attempt.sensitive.len();
        let outcome = match quantizer.run(&attempt, &mut machine) {
            // The last ones have been put in float.
            Err(QuantizeError::NoLayers) if in_float > 0 => {
                return Err(too_different(least, in_float));
            }
            outcome => outcome?,
        };
        let found = machine.executor(outcome.quantized.net.clone())?;
        let found = classes(found, limit.held_back)?;
        let pairs = expected.iter().zip(&found);
        let changed = pairs.filter(|(expected, found)| expected != found).count();
        log::debug!("{in_float} sensitive layers in float: {changed} of {count} get another class");
        if changed <= allowed {
            return Ok(outcome.quantized);
        }
        least = least.min(changed);
        let Some(part) = parts.next() else {
            return Err(too_different(least, in_float));
        };
        attempt.known.extend(outcome.known());
        let sensitivities = match outcome.sensitivities.is_empty() {
            true => outcome.measure_sensitivities(&mut machine)?,
            false => outcome.sensitivities,
        };
        attempt.sensitive = most_sensitive(&sensitivities, part);
        attempt.sensitivities = sensitivities;
    }
}

/// This part of the layers, one at least.
fn most_sensitive(sensitivities: &[Option<f64>], part: f64) -> Vec<usize> {
    let layers = sensitivities.iter().enumerate();
    let mut layers: Vec<(usize, f64)> = layers
        .filter_map(|(layer, decibel)| Some((layer, (*decibel)?)))
        .collect();
    layers.sort_by(|a, b| a.1.total_cmp(&b.1));
    layers.truncate((part * layers.len() as f64).ceil() as usize);
    layers.into_iter().map(|(layer, _)| layer).collect()
}

/// The likeliest class of each picture.
fn classes(mut executor: Executor, pictures: &[Vec<f32>]) -> Result<Vec<usize>, EngineError> {
    let classes = pictures.iter();
    classes
        .map(|picture| Ok(largest(executor.run(picture)?)))
        .collect()
}
