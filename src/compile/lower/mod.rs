//! tract's decluttered graph to the engine's [`Net`].
//!
//! Read node by node ([`read`]), rewritten until layers hold all that their kernels can do at once ([`fuse`]), and put
//! in order with splits and concatenations resolved to ranges of channels ([`emit`]).

mod constants;
mod elementwise;
mod emit;
mod fuse;
mod graph;
mod layout;
mod product;
mod read;
#[cfg(test)]
mod tests;
mod windows;

use thiserror::Error;
use tract_onnx::prelude::TypedModel;

use crate::engine::net::Net;
use crate::panics;

/// The first node that the engine's layers cannot compute, and why.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("'{node}' ({op}): {reason}")]
pub struct NotCovered {
    pub node: String,
    pub op: String,
    pub reason: String,
}

/// Lowers a decluttered model with one input of 1 x C x H x W and one output of classes.
pub fn lower(model: &TypedModel) -> Result<Net, NotCovered> {
    // tract computes the constants.
    panics::guard(
        || {
            let mut graph = read::read(model)?;
            fuse::fuse(&mut graph);
            emit::emit(graph)
        },
        |reason| NotCovered {
            node: String::new(),
            op: "the network".to_owned(),
            reason,
        },
    )
}
