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

use edge_classify_int8::Quantization;
use thiserror::Error;
use tract_onnx::prelude::TypedModel;

use crate::engine::net::Net;
use crate::{panics, quantize};
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
/// become layers that tract computes; an error says why too much would. Where a quantizer has rounded the model's values to
/// levels (QuantizeLinear, DequantizeLinear), the layers compute in int8.
pub fn lower(model: &TypedModel) -> Result<Net, NotCovered> {
    // tract computes the constants.
    panics::guard(|| lower_unguarded(model), NotCovered::whole)
}

/// The network in int8 as far as its values are said to be of levels, or in float if that cannot be done.
fn in_levels(net: Net, levels: &[Option<Quantization>]) -> Net {
    if levels.iter().all(Option::is_none) {
        return net;
    }
    match quantize::with_levels(&net, levels) {
        Ok(quantized) => quantized,
        Err(reason) => {
            log::warn!("the model's levels of 8 bits are not used, it runs in float: {reason}");
            net
        }
    }
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
            let (net, levels) = emit::emit(graph, cut::parts(&partition)?)?;
            return Ok(in_levels(net, &levels));
        }
    }
}
