//! Networks that our layers do not cover, run by tract.

use std::sync::Arc;

use tract_core::prelude::*;
use tract_linalg::multithread::{Executor, multithread_tract_scope};

use crate::engine::{EngineError, Threads};
use crate::panics;

/// A decluttered graph with one input of 1x3xHxW and one output of 1xC, both f32.
pub struct Graph {
    model: Box<TypedModel>,
    reason: String,
}

impl Graph {
    /// The reason is why no layers of ours run it.
    pub fn new(model: TypedModel, reason: impl ToString) -> Graph {
        Graph {
            model: Box::new(model),
            reason: reason.to_string(),
        }
    }

    /// How many nodes there are to run.
    pub fn nodes(&self) -> usize {
        self.model.nodes().len()
    }

    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// A plan of tract's and the state that it needs to run.
pub struct GraphRunner {
    plan: Arc<TypedRunnableModel>,
    state: TypedSimpleState,
    executor: Executor,
    height: usize,
    width: usize,
    classes: usize,
}

impl GraphRunner {
    pub fn new(graph: Graph, threads: Threads) -> Result<Self, EngineError> {
        panics::guard(
            || Self::prepare(*graph.model, threads),
            EngineError::Prepare,
        )
    }

    fn prepare(model: TypedModel, threads: Threads) -> Result<Self, EngineError> {
        let failed = |e: TractError| EngineError::Prepare(format!("{e:#}"));
        let concrete = |fact: &TypedFact| {
            fact.shape
                .as_concrete()
                .map(<[usize]>::to_vec)
                .ok_or_else(|| EngineError::Prepare(format!("its shape {fact:?} is not fixed")))
        };
        let input = concrete(model.input_fact(0).map_err(failed)?)?;
        let output = concrete(model.output_fact(0).map_err(failed)?)?;
        let &[1, 3, height, width] = input.as_slice() else {
            return Err(EngineError::Prepare(format!("its input is {input:?}")));
        };
        let executor = match threads.get() {
            1 => Executor::SingleThread,
            n => Executor::multithread(n),
        };
        let plan =
            multithread_tract_scope(executor.clone(), || model.into_optimized()?.into_runnable())
                .map_err(failed)?;
        Ok(GraphRunner {
            state: plan.spawn().map_err(failed)?,
            plan,
            executor,
            height,
            width,
            classes: output.iter().product(),
        })
    }

    /// Another one with the same weights.
    pub fn another(&self) -> Result<Self, EngineError> {
        let failed = |e: TractError| EngineError::Prepare(format!("{e:#}"));
        Ok(GraphRunner {
            plan: self.plan.clone(),
            state: self.plan.spawn().map_err(failed)?,
            executor: self.executor.clone(),
            ..*self
        })
    }

    /// Height and width of the input in pixels.
    pub fn input_size(&self) -> (usize, usize) {
        (self.height, self.width)
    }

    /// Length of the output.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Writes the output for a picture (f32, NCHW); both have the right length.
    pub fn run(&mut self, input: &[f32], logits: &mut [f32]) -> Result<(), EngineError> {
        let failed = |e: TractError| EngineError::Run(format!("{e:#}"));
        let tensor = Tensor::from_shape(&[1, 3, self.height, self.width], input).map_err(failed)?;
        let mut panicked = false;
        let outputs = panics::guard(
            || {
                multithread_tract_scope(self.executor.clone(), || {
                    self.state.run(tvec!(tensor.into_tvalue()))
                })
                .map_err(failed)
            },
            |message| {
                panicked = true;
                EngineError::Run(message)
            },
        );
        if panicked {
            self.state = self.plan.spawn().map_err(failed)?;
        }
        let outputs = outputs?;
        let output = outputs[0].try_as_plain_ram().map_err(failed)?;
        let output = output.as_slice::<f32>().map_err(failed)?;
        if output.len() != logits.len() {
            return Err(EngineError::Run(format!("an output of {}", output.len())));
        }
        logits.copy_from_slice(output);
        Ok(())
    }
}
