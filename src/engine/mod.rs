//! Running a network: a tensor in, logits out.
//!
//! The engine knows nothing of files, cameras or labels. [`Session`] is the one interface the rest
//! of the program sees; what executes the layers is behind it.

mod cache;
mod delegate;
mod executor;
mod graph;
mod isa;
pub mod net;
mod options;
mod report;
mod session;
mod threads;

pub use delegate::{Border, TractPart};
pub use edge_classify_kernels::Normalization;
pub use executor::Picture;
pub use isa::{ISA_VARIABLE, chosen_isa};
pub use options::Options;
pub use report::{LayerReport, Report};
pub use session::{EngineError, Program, Session};
pub use threads::Threads;
