//! Why a network does not run.

use thiserror::Error;

#[derive(Debug, Error)]
pub enum EngineError {
    #[error("the network cannot be prepared for this machine: {0}")]
    Prepare(String),
    #[error("the input has {found} values; this network takes {expected}")]
    InputLength { expected: usize, found: usize },
    #[error("the logits have {found} places; this network has {expected} classes")]
    OutputLength { expected: usize, found: usize },
    #[error("inference failed: {0}")]
    Run(String),
}
