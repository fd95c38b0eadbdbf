//! Nodes that a layer could compute, but between others that tract does: as a part of theirs, no tensor crosses over.

use std::collections::BTreeSet;

use tract_core::internal::*;
use tract_core::ops::array::{Slice, TypedConcat};
use tract_core::ops::binary::TypedBinOp;
use tract_core::ops::element_wise::ElementWiseOp;
use tract_core::ops::nn::Reduce;

use super::read::{Known, Reader};

/// The nodes without weights that only tract's nodes read, and that read nothing that those do not have. Each may also
/// read or be read by others of these.
pub(super) fn absorbed(
    model: &TypedModel,
    theirs: &BTreeSet<usize>,
    reader: &Reader,
) -> BTreeSet<usize> {
    let nodes = model.nodes();
    let read: BTreeSet<OutletId> = theirs
        .iter()
        .flat_map(|id| &nodes[*id].inputs)
        .copied()
        .collect();
    let candidates = nodes.iter().filter(|node| {
        let output = reader.known(OutletId::new(node.id, 0));
        !theirs.contains(&node.id) && matches!(output, Some(Known::Ours(_))) && is_light(node)
    });
    let mut found: BTreeSet<usize> = candidates.map(|node| node.id).collect();
    loop {
        let among =
            |id: usize, found: &BTreeSet<usize>| theirs.contains(&id) || found.contains(&id);
        let stays = |id: &usize| {
            let node = &nodes[*id];
            let mut readers = node.outputs.iter().flat_map(|output| &output.successors);
            let mut inputs = node
                .inputs
                .iter()
                .filter(|input| reader.known(**input).is_some());
            let is_output = model
                .output_outlets()
                .is_ok_and(|outputs| outputs.iter().any(|output| output.node == *id));
            !is_output
                && readers.all(|reader| among(reader.node, &found))
                && inputs.all(|input| among(input.node, &found) || read.contains(input))
        };
        let left: BTreeSet<usize> = found.iter().copied().filter(stays).collect();
        if left.len() == found.len() {
            return found;
        }
        found = left;
    }
}

fn is_light(node: &TypedNode) -> bool {
    let op = node.op();
    op.is::<ElementWiseOp>()
        || op.is::<TypedBinOp>()
        || op.is::<AxisOp>()
        || op.is::<Slice>()
        || op.is::<TypedConcat>()
        || op.is::<Reduce>()
}
