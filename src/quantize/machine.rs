//! What networks are run with while they are quantized.

use std::sync::Arc;

use edge_classify_int8::Quantization;

use crate::engine::net::{Layer, Net};
use crate::engine::{EngineError, Executor, Options, Packed, Team};

use super::QuantizeError;
use super::observe::Simulation;
use super::progress::Work;
use super::statistics::Statistics;

pub struct Machine<'a> {
    pub engine: &'a Options,
    team: Arc<Team>,
    /// How far all of it has come.
    pub work: Work<'a>,
}

impl<'a> Machine<'a> {
    pub fn new(engine: &'a Options, work: Work<'a>) -> Result<Self, EngineError> {
        let team = Arc::new(Team::new(engine.threads)?);
        Ok(Machine { engine, team, work })
    }

    pub fn simulation(
        &self,
        net: &Net,
        quantizations: &[Option<Quantization>],
    ) -> Result<Simulation, EngineError> {
        Simulation::new(net, quantizations, self.engine, &self.team)
    }

    /// The network as it is going to be run.
    pub fn executor(&self, net: Net) -> Result<Executor, EngineError> {
        let packed = Packed::new(net, self.engine.isa, self.engine.cache)?;
        Executor::new(Arc::new(packed), self.team.clone())
    }

    /// Of all values, in float.
    pub fn statistics(
        &mut self,
        net: &Net,
        pictures: &[Vec<f32>],
    ) -> Result<Vec<Statistics>, QuantizeError> {
        let mut statistics = Statistics::of_values(net);
        let mut simulation = self.simulation(net, &[])?;
        for picture in pictures {
            simulation.run(picture, &mut |observed| {
                Statistics::see(&mut statistics, net, &observed);
            })?;
            self.work.advance(1);
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
