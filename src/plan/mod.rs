//! The plan: a compiled network in one file, with all that belongs to it.
//!
//! A safetensors file, of f32, of fp16, or of int8 with f32, which its version says. Its metadata has one entry, JSON: the
//! version of the form, the layers, the model's card (TOML), its labels, and a self-test. Each tensor, and that entry, comes
//! with the XXH3 of its bytes, so that a file that was damaged is noticed before anything is computed with it. Loading maps a
//! tensor at a time. The report of how the network was quantized, JSON, is a tensor too, the last: who runs the plan does
//! not read it. Against whoever changes a file on purpose there are signatures.

mod read;
mod schema;
mod self_test;
mod signature;
mod source;
#[cfg(test)]
mod tests;
mod write;

use std::path::PathBuf;

use thiserror::Error;

use crate::engine::Precision;
use crate::report::Report;

pub use read::Plan;
pub use self_test::{Mismatch, SelfTest};
#[cfg(feature = "host")]
pub use signature::PrivateKey;
pub use signature::{PublicKey, SignatureError, Verified, signature_file};
pub use write::{write, write_tested};

/// The extension of plans.
pub const EXTENSION: &str = "plan";

/// What belongs to a network besides its layers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Belongings {
    /// The model's card, in TOML.
    pub card: Option<String>,
    /// One a line.
    pub labels: Option<String>,
    /// Of a network that was quantized. It stays in the file: [`Plan::report`] reads it.
    pub report: Option<Report>,
}

#[derive(Debug, Error)]
pub enum PlanError {
    #[error("{path}: {source}", path = path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path}: not a plan; 'edge-classify compile' of the full build makes one", path = path.display())]
    NotAPlan { path: PathBuf },
    #[error(
        "{path}: a plan of version {found}; this program reads versions {VERSION} to {VERSION_INT8}: compile the model \
         again with it",
        path = path.display()
    )]
    Version { path: PathBuf, found: u64 },
    #[error("{path}: damaged: {problem}; compile or copy it again", path = path.display())]
    Damaged { path: PathBuf, problem: String },
}

/// Of the form that is written here.
pub const VERSION: u64 = 1;

/// The same form with weights of fp16, which programs that read the first version alone do not know.
pub const VERSION_FP16: u64 = 2;

/// With values and weights of 8 bits.
pub const VERSION_INT8: u64 = 3;

fn version(precision: Precision) -> u64 {
    match precision {
        Precision::F32 => VERSION,
        Precision::Fp16 => VERSION_FP16,
        Precision::Int8 => VERSION_INT8,
    }
}

/// The entry of the metadata.
const ENTRY: &str = "edge-classify";

/// The tensor that is no weights.
const REPORT: &str = "report";

fn checksum(bytes: &[u8]) -> String {
    format_checksum(xxhash_rust::xxh3::xxh3_64(bytes))
}

/// Checksum as it is written.
fn format_checksum(checksum: u64) -> String {
    format!("{checksum:016x}")
}
