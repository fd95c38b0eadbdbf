//! tract's decluttered graph to the engine's [`Net`].
//!
//! Read node by node ([`read`]), rewritten until layers hold all that their kernels can do at once ([`fuse`]), and put
//! in order with splits and concatenations resolved to ranges of channels ([`emit`]). Nodes that no layer computes stay
//! tract's: which those are is settled first ([`partition`]), and models of them alone are cut out last ([`cut`]).

mod absorb;
mod constants;
mod cut;
mod elementwise;
mod emit;
mod fuse;
mod graph;
mod groups;
mod layout;
mod moved;
mod partition;
mod product;
mod read;
#[cfg(test)]
mod tests;
mod windows;

use thiserror::Error;
use tract_onnx::prelude::TypedModel;

use crate::engine::net::Net;
use crate::panics;
use partition::Partition;

/// The first node that the engine's layers cannot compute, and why.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("'{node}' ({op}): {reason}")]
pub struct NotCovered {
    pub node: String,
    pub op: String,
    pub reason: String,
}

impl NotCovered {
    /// Of the network rather than a node.
    fn whole(reason: impl Into<String>) -> NotCovered {
        NotCovered {
            node: String::new(),
            op: "the network".to_owned(),
            reason: reason.into(),
        }
    }
}

/// Lowers a decluttered model with one input of 1 x C x H x W and one output of classes. Parts that no layer covers
/// become layers that tract computes; an error says why too much would.
pub fn lower(model: &TypedModel) -> Result<Net, NotCovered> {
    // tract computes the constants.
    panics::guard(|| lower_unguarded(model), NotCovered::whole)
}

fn lower_unguarded(model: &TypedModel) -> Result<Net, NotCovered> {
    let mut partition = Partition::new(model)?;
    loop {
        let mut graph = partition.read()?;
        fuse::fuse(&mut graph);
        // Only fusion shows which products are activations.
        let products: Vec<&graph::Node> = graph
            .order()
            .into_iter()
            .map(|id| &graph.nodes[id])
            .collect();
        let products = products
            .into_iter()
            .filter(|node| graph.multiplies_pictures(node));
        let mut again = false;
        for node in products {
            partition.leave(&node.name, "multiplies two pictures")?;
            again = true;
        }
        if !again {
            return emit::emit(graph, cut::parts(&partition)?);
        }
    }
}
