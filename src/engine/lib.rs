//! Running a network made of layers: a picture in, logits out.
//!
//! A crate of its own, without tract, so that its tests are soon built: for each kind of processor, and with a sanitizer.
//! It knows nothing of files, cameras or labels.

mod cache;
mod error;
mod executor;
mod isa;
pub mod net;
mod options;
mod precision;
mod report;
mod threads;

pub use edge_classify_kernels::Normalization;
pub use error::EngineError;
pub use executor::{Executor, Observed, Packed, Picture, Team};
pub use isa::{ISA_VARIABLE, chosen_isa};
pub use options::Options;
pub use precision::Precision;
pub use report::{LayerReport, Report};
pub use threads::Threads;
