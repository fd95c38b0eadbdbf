//! Image classification on ARM boards: camera frames or pictures in, labels out.
//!
//! Layers go one way: [`cli`] → {[`validate`], [`daemon`], [`hub`], [`zoo`]} → {[`compile`], [`model`], [`camera`],
//! [`sinks`]} → [`plan`] → {[`engine`], [`preprocess`]}. `ARCHITECTURE.md` has the map and the rules.

pub mod camera;
pub mod cli;
pub mod compile;
pub mod daemon;
pub mod engine;
pub mod hub;
pub mod model;
mod nearest;
mod panics;
pub mod plan;
pub mod preprocess;
mod safetensors_header;
pub mod sinks;
mod text;
pub mod validate;
pub mod zoo;
