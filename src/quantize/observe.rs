//! Looking at every layer of a network while it runs in f32, with its values rounded to levels or not.
//!
//! Where values are rounded after every layer and weights are those of levels, that is the quantized network but for the
//! rounding of sums in f32: what it classifies right, that will.

use std::sync::Arc;

use edge_classify_int8::Quantization;

use crate::engine::net::{Net, Shape};
use crate::engine::{EngineError, Executor, Observed, Options, Packed, Team};

/// A network that runs a layer at a time.
pub struct Simulation {
    executor: Executor,
    outputs: Vec<Output>,
}

/// What a layer writes.
struct Output {
    shape: Shape,
    quantization: Option<Quantization>,
}

impl Simulation {
    /// `quantizations` has one for each value that is of levels, or none for any to run in float.
    pub fn new(
        net: &Net,
        quantizations: &[Option<Quantization>],
        options: &Options,
        team: &Arc<Team>,
    ) -> Result<Self, EngineError> {
        let packed = Packed::apart(net.clone(), options.isa)?;
        let mut simulation = Simulation {
            executor: Executor::new(Arc::new(packed), team.clone())?,
            outputs: Vec::new(),
        };
        simulation.round_to(net, quantizations);
        Ok(simulation)
    }

    /// From here on, values of the same network are rounded to these levels.
    pub fn round_to(&mut self, net: &Net, quantizations: &[Option<Quantization>]) {
        let output = |value: usize, shape| Output {
            shape,
            quantization: quantizations.get(value).copied().flatten(),
        };
        let layers = net.layers().iter();
        let outputs = layers.map(|layer| output(layer.output.value, net.shape(layer.output)));
        self.outputs = outputs.collect();
    }

    /// The logits for a picture of f32 in planes. `see` is shown each layer when its output is rounded.
    pub fn run(
        &mut self,
        planes: &[f32],
        see: &mut (dyn FnMut(Observed) + Send),
    ) -> Result<Vec<f32>, EngineError> {
        let outputs = &self.outputs;
        let logits = self.executor.run_observed(planes, &mut |observed| {
            let Output {
                shape,
                quantization,
            } = &outputs[observed.layer];
            if let Some(quantization) = quantization {
                let stride = observed.output.stride;
                for pixel in observed.output.data.chunks_mut(stride) {
                    round(*quantization, &mut pixel[..shape.channels]);
                }
            }
            see(observed);
        })?;
        Ok(logits.to_vec())
    }
}

/// To what the nearest levels stand for.
pub fn round(quantization: Quantization, values: &mut [f32]) {
    /// Adding it leaves no bits behind the point of a small number.
    const INTEGERS: f32 = 12_582_912.0;
    let Quantization { scale, zero_point } = quantization;
    let inverse = 1.0 / scale;
    let [low, high] = [i8::MIN, i8::MAX].map(|level| f32::from(level) - f32::from(zero_point));
    for value in values {
        let level = (*value * inverse).max(low).min(high);
        *value = (level + INTEGERS - INTEGERS) * scale;
    }
}
