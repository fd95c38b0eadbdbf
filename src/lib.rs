//! Image classification on ARM boards: camera frames or pictures in, labels out.
//!
//! Layers go one way: [`cli`] → {[`validate`], [`daemon`], [`hub`], [`zoo`]} → {[`compile`], [`model`], [`camera`],
//! [`sinks`]} → [`plan`] → {[`session`], [`preprocess`]}, and [`session`] → [`engine`]. `ARCHITECTURE.md` has the map
//! and the rules.

pub mod camera;
pub mod cli;
pub mod compile;
pub mod daemon;
pub use edge_classify_engine as engine;
pub mod hub;
pub mod model;
mod nearest;
mod panics;
pub mod plan;
pub mod preprocess;
mod safetensors_header;
pub mod session;
pub mod sinks;
mod text;
pub mod validate;
pub mod zoo;
