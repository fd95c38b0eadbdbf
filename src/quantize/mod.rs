//! Post-training quantization: a network of f32 to one of int8, with photographs.
//!
//! Channels are equalized where that leaves the network as it is ([`equalize`]); layers are placed in levels or float
//! ([`placement`]); what the values are like is looked at ([`observe`], [`statistics`]) and ranges are chosen from that
//! ([`ranges`]); weights are rounded so that outputs change least ([`weights`], [`rounding`]), and biases make up for what
//! still changes in the mean ([`bias`]). On the same kind of processor, the same network and pictures always give
//! the same result.

mod bias;
mod equalize;
mod histogram;
mod measure;
mod moments;
mod observe;
mod options;
mod placement;
mod quantizer;
mod ranges;
mod rounding;
mod statistics;
#[cfg(test)]
mod tests;
mod weights;

use thiserror::Error;

use crate::engine::EngineError;
use crate::engine::net::{Net, NetError};

pub use measure::Comparison;
pub use observe::Simulation;
pub use options::{QuantizeOptions, Range};
pub use quantizer::quantize;
pub use ranges::Method;

/// A network in levels.
#[derive(Debug)]
pub struct Quantized {
    pub net: Net,
    pub report: QuantizeReport,
}

/// What was done, and what it cost.
#[derive(Debug, Clone, Default)]
pub struct QuantizeReport {
    /// Values whose channels were equalized.
    pub equalized: usize,
    /// For each layer of the quantized network: its name, and the ratio of signal to quantization noise in its output, in dB.
    pub layers: Vec<(String, f64)>,
    /// For each value in levels: the layer that writes it first, and how its range was chosen.
    pub ranges: Vec<(String, Method)>,
    /// Float against simulated levels, on the pictures that were given.
    pub comparison: Comparison,
}

/// Why a network cannot be quantized.
#[derive(Debug, Error)]
pub enum QuantizeError {
    #[error(
        "there are no pictures to calibrate with; give some tens that are like those it will see"
    )]
    NoPictures,
    #[error(
        "layer '{layer}' gives values that are no finite numbers for a calibration picture; look at its weights"
    )]
    NotFinite { layer: String },
    #[error("no layer of this network can compute in int8; use it in float")]
    NoLayers,
    #[error("layer '{layer}': {problem}")]
    Weights { layer: String, problem: String },
    #[error("the quantized network is not sound: {0}")]
    Net(#[from] NetError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}
