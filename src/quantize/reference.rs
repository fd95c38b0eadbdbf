//! What the network in float says of some of the pictures, for changed networks to be compared with.

use edge_classify_int8::Quantization;

use crate::engine::EngineError;
use crate::engine::net::Net;

use super::machine::Machine;
use super::measure::Comparison;
use super::observe::Simulation;

pub struct Reference<'a> {
    pictures: Vec<&'a [f32]>,
    logits: Vec<Vec<f32>>,
}

impl<'a> Reference<'a> {
    /// Of about `count` pictures: from all of them, as neighbours may be alike.
    pub fn new(
        net: &Net,
        pictures: &'a [Vec<f32>],
        count: usize,
        machine: &Machine,
    ) -> Result<Self, EngineError> {
        let step = pictures.len().div_ceil(count.max(1)).max(1);
        let pictures: Vec<&[f32]> = pictures.iter().step_by(step).map(Vec::as_slice).collect();
        let mut float = machine.simulation(net, &[])?;
        let logits = pictures
            .iter()
            .map(|picture| float.run(picture, &mut |_| ()));
        let logits = logits.collect::<Result<_, _>>()?;
        Ok(Reference { pictures, logits })
    }

    pub fn pictures(&self) -> usize {
        self.pictures.len()
    }

    /// Signal to noise in the logits of a simulation, in dB.
    pub fn signal_to_noise(&self, simulation: &mut Simulation) -> Result<f64, EngineError> {
        let mut comparison = Comparison::default();
        for (picture, logits) in self.pictures.iter().zip(&self.logits) {
            comparison.add(logits, &simulation.run(picture, &mut |_| ())?);
        }
        Ok(comparison.signal_to_noise())
    }

    /// As [`Reference::signal_to_noise`], of a network with values rounded to these levels.
    pub fn signal_to_noise_of(
        &self,
        net: &Net,
        quantizations: &[Option<Quantization>],
        machine: &Machine,
    ) -> Result<f64, EngineError> {
        self.signal_to_noise(&mut machine.simulation(net, quantizations)?)
    }
}
