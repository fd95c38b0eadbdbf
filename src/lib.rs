//! Image classification on ARM boards: camera frames or pictures in, labels out.
//!
//! Layers go one way: [`cli`] → {[`validate`], [`daemon`], [`hub`], [`zoo`]} → {[`compile`], [`model`], [`camera`],
//! [`sinks`]} → [`plan`] → {[`session`], [`report`], [`preprocess`]}, and {[`session`], [`board`]} → [`engine`]. `ARCHITECTURE.md` has
//! the map and the rules.
//!
//! Without the feature `host`, which makes models, plans can be run and nothing else: no tract, no zoo, no hub.

pub mod board;
pub mod camera;
pub mod cli;
#[cfg(feature = "host")]
pub mod compile;
pub mod daemon;
pub use edge_classify_engine as engine;
#[cfg(feature = "host")]
pub mod hub;
pub mod model;
mod nearest;
mod noise;
mod panics;
pub mod plan;
pub mod preprocess;
#[cfg(feature = "host")]
pub mod quantize;
pub mod report;
mod safetensors_header;
pub mod session;
pub mod sinks;
mod text;
pub mod validate;
#[cfg(feature = "host")]
pub mod zoo;
