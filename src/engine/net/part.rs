//! Parts of a network that our layers do not cover: run by somebody else, between them.

use std::fmt::Debug;

use edge_classify_kernels::{Rows, RowsMut};

use super::Shape;

/// Computes a part of a network.
pub trait Delegate: Debug + Send + Sync {
    /// The output for inputs of the part's shapes. Unlike a layer, it may allocate, and may fail.
    fn run(&self, inputs: &[Rows], output: RowsMut) -> Result<(), String>;
}

/// A part of a network, with whoever computes it.
#[derive(Debug)]
pub struct Part {
    pub inputs: Vec<Shape>,
    pub output: Shape,
    /// What it is made of in the model: names and operators.
    pub nodes: Vec<String>,
    /// Why it is no layers.
    pub reason: String,
    pub parameters: usize,
    pub multiply_adds: u64,
    pub delegate: Box<dyn Delegate>,
}

/// No two parts are known to compute the same.
impl PartialEq for Part {
    fn eq(&self, other: &Part) -> bool {
        std::ptr::eq(self, other)
    }
}
