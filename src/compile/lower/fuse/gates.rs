//! Factors of channels into the pointwise convolutions that read the product.

use edge_classify_kernels::Activation;

use super::{Graph, Id, Op, Uses};
use crate::compile::lower::graph::Node;

/// Whether a product by a vector of 1 x 1 pixel has no activation, and no levels: on such, it is a layer of its own.
fn is_gated(graph: &Graph, id: Id) -> bool {
    let node = &graph.nodes[id];
    node.op == Op::Multiply
        && node.activation == Activation::Identity
        && node.levels.is_none()
        && graph.nodes[node.inputs[1]].shape.pixels() == 1
}

/// Whether the reader is a pointwise convolution of this input only, without a gate.
fn takes(graph: &Graph, reader: Id, input: Id) -> bool {
    let node = &graph.nodes[reader];
    matches!(node.op, Op::Pointwise { gate: false, .. })
        && node.inputs.iter().filter(|read| **read == input).count() == 1
        && node.inputs[0] == input
}

pub(super) fn into_pointwise(graph: &mut Graph, uses: &Uses, id: Id) -> bool {
    if !is_gated(graph, id) {
        return false;
    }
    let readers = uses.of(id).to_vec();
    if graph.output == id || !readers.iter().all(|reader| takes(graph, *reader, id)) {
        return false;
    }
    let [x, factors] = [0, 1].map(|slot| graph.nodes[id].inputs[slot]);
    for reader in readers {
        let node = &mut graph.nodes[reader];
        node.inputs[0] = x;
        node.inputs.insert(1, factors);
        if let Op::Pointwise { gate, .. } = &mut node.op {
            *gate = true;
        }
    }
    true
}

/// A slice of a product becomes a product of slices, where pointwise convolutions read all of it.
pub(super) fn through_slice(graph: &mut Graph, uses: &Uses, id: Id) -> bool {
    let node = &graph.nodes[id];
    let Op::Slice { .. } = node.op else {
        return false;
    };
    let product = node.inputs[0];
    let fits = |slice: &Id| {
        matches!(graph.nodes[*slice].op, Op::Slice { .. })
            && *slice != graph.output
            && uses
                .of(*slice)
                .iter()
                .all(|reader| takes(graph, *reader, *slice))
    };
    if !is_gated(graph, product) || graph.output == product || !uses.of(product).iter().all(fits) {
        return false;
    }
    let (name, op, shape) = (node.name.clone(), node.op.clone(), node.shape);
    let parts = [0, 1].map(|slot| {
        let whole = graph.nodes[product].inputs[slot];
        let mut part = graph.nodes[whole].shape;
        part.channels = shape.channels;
        graph.add(Node::new(&name, op.clone(), vec![whole], part))
    });
    graph.nodes[id] = Node::new(&name, Op::Multiply, parts.to_vec(), shape);
    true
}
