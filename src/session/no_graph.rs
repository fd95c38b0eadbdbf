//! In place of the runner of tract's graphs in a build without tract: there are none.

use crate::engine::{EngineError, Threads};

/// None can be had.
pub enum Graph {}

impl Graph {
    pub fn nodes(&self) -> usize {
        match *self {}
    }

    pub fn reason(&self) -> &str {
        match *self {}
    }
}

/// None can be had.
pub enum GraphRunner {}

impl GraphRunner {
    pub fn new(graph: Graph, _threads: Threads) -> Result<Self, EngineError> {
        match graph {}
    }

    pub fn another(&self) -> Result<Self, EngineError> {
        match *self {}
    }

    pub fn input_size(&self) -> (usize, usize) {
        match *self {}
    }

    pub fn classes(&self) -> usize {
        match *self {}
    }

    pub fn run(&mut self, _input: &[f32], _logits: &mut [f32]) -> Result<(), EngineError> {
        match *self {}
    }
}
