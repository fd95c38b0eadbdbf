//! One loaded network and the state it needs to run.

use std::sync::Arc;

use thiserror::Error;
use tract_core::prelude::*;
use tract_linalg::multithread::{Executor, multithread_tract_scope};

use super::Threads;
use crate::panics;

/// A network ready to run, one inference at a time.
pub struct Session {
    plan: Arc<TypedRunnableModel>,
    state: TypedSimpleState,
    executor: Executor,
    height: usize,
    width: usize,
    classes: usize,
}

#[derive(Debug, Error)]
pub enum EngineError {
    #[error("the network cannot be prepared for this machine: {0}")]
    Prepare(String),
    #[error("the input has {found} values; this network takes {expected}")]
    InputLength { expected: usize, found: usize },
    #[error("inference failed: {0}")]
    Run(String),
}

impl Session {
    /// Prepares a decluttered network with one input of 1x3xHxW and one output of 1xC, both f32.
    pub fn new(model: TypedModel, threads: Threads) -> Result<Self, EngineError> {
        panics::guard(|| Self::prepare(model, threads), EngineError::Prepare)
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
        let executor = threads.executor();
        let plan =
            multithread_tract_scope(executor.clone(), || model.into_optimized()?.into_runnable())
                .map_err(failed)?;
        Ok(Session {
            state: plan.spawn().map_err(failed)?,
            plan,
            executor,
            height,
            width,
            classes: output.iter().product(),
        })
    }

    /// Height and width of the input in pixels.
    pub fn input_size(&self) -> (usize, usize) {
        (self.height, self.width)
    }

    /// Length of the input tensor: 3 x height x width.
    pub fn input_len(&self) -> usize {
        3 * self.height * self.width
    }

    /// Number of classes: the length of the output.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Runs the network on `input` (f32, NCHW, one picture) and returns its logits.
    pub fn run(&mut self, input: &[f32]) -> Result<Vec<f32>, EngineError> {
        if input.len() != self.input_len() {
            return Err(EngineError::InputLength {
                expected: self.input_len(),
                found: input.len(),
            });
        }
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
        let logits = outputs[0]
            .try_as_plain_ram()
            .and_then(|t| Ok(t.as_slice::<f32>()?.to_vec()));
        logits.map_err(failed)
    }
}
