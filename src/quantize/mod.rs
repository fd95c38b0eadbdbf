//! Post-training quantization: a network of f32 to one of int8, with photographs.
//!
//! Channels are centered and equalized where that leaves the network as it is and pays ([`center`], [`equalize`],
//! [`rewrite`]); layers are placed in levels or float ([`placement`]); what the values are like is looked at ([`observe`],
//! [`statistics`]) and ranges are chosen from that ([`ranges`]); weights are rounded so that outputs change least ([`weights`], [`rounding`]), and biases make up for what
//! still changes in the mean ([`bias`]). Where too much is lost, the layers to which the logits are most sensitive stay in
//! float ([`sensitivity`], [`mixed`]). On the same kind of processor, the same network and pictures always give
//! the same result.

mod bias;
mod center;
mod describe;
mod equalize;
mod given;
mod histogram;
mod machine;
mod measure;
mod mixed;
mod moments;
mod observe;
mod options;
mod placement;
mod progress;
mod quantizer;
mod range_choice;
mod ranges;
mod reference;
mod rewrite;
mod rounding;
mod sensitivity;
mod statistics;
#[cfg(test)]
mod tests;
mod weight_choice;
mod weights;

use thiserror::Error;

use crate::engine::EngineError;
use crate::engine::net::{Layer, Net, NetError};
use crate::report::Report;

pub use describe::SENSITIVE;
pub use given::with_levels;
pub use measure::Comparison;
pub use mixed::{Limit, quantize_within};
pub use observe::Simulation;
pub use options::{QuantizeOptions, Range, Step};
pub use progress::Progress;
pub use quantizer::quantize;
pub use ranges::Method;

/// A network in levels.
#[derive(Debug)]
pub struct Quantized {
    pub net: Net,
    /// What was done, and what it cost; what comes of photographs that were held back is left for others to add.
    pub report: Report,
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
    #[error(
        "with up to {in_float} of its most sensitive layers in float, {changed} of {pictures} pictures that were held back \
         still get another class, and no more than {allowed} may; allow more, or calibrate with more photographs like those \
         it will see"
    )]
    TooDifferent {
        pictures: usize,
        allowed: usize,
        /// In the best attempt.
        changed: usize,
        /// In the last attempt.
        in_float: usize,
    },
    #[error("layer '{layer}': {problem}")]
    Weights { layer: String, problem: String },
    #[error("the quantized network is not sound: {0}")]
    Net(#[from] NetError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl QuantizeError {
    /// Of a layer whose weights cannot be read.
    fn unreadable(layer: &Layer) -> impl FnOnce(String) -> QuantizeError + use<> {
        let layer = layer.name.clone();
        move |problem| QuantizeError::Weights { layer, problem }
    }
}
