//! Sums into the convolutions that compute one of the terms.

use edge_classify_kernels::Activation;

use super::levels::may_go;
use super::{Graph, Id, Op, Uses};
use crate::compile::lower::graph::Node;

/// Whether the layer can add something to its result; nothing else may read that.
fn adds(graph: &Graph, uses: &Uses, id: Id) -> bool {
    let node = &graph.nodes[id];
    let free = match node.op {
        Op::Pointwise { residual, .. } | Op::Convolution { residual, .. } => !residual,
        _ => false,
    };
    free && uses.single(id) && node.activation == Activation::Identity
}

fn give(graph: &mut Graph, id: Id, term: Id, activation: Activation) {
    let node = &mut graph.nodes[id];
    node.inputs.push(term);
    node.activation = activation;
    if let Op::Pointwise { residual, .. } | Op::Convolution { residual, .. } = &mut node.op {
        *residual = true;
    }
}

pub(super) fn into_producer(graph: &mut Graph, uses: &Uses, id: Id) -> bool {
    let node = &graph.nodes[id];
    if node.op != Op::Add || node.inputs[0] == node.inputs[1] {
        return false;
    }
    let (activation, levels) = (node.activation, node.levels);
    for slot in 0..2 {
        let (term, other) = (
            graph.nodes[id].inputs[slot],
            graph.nodes[id].inputs[1 - slot],
        );
        if !may_go(&graph.nodes[term], &graph.nodes[id]) {
            continue;
        }
        if adds(graph, uses, term) {
            give(graph, term, other, activation);
            graph.nodes[term].levels = levels;
            graph.replace(id, term);
            return true;
        }
        let parts = graph.nodes[term].inputs.clone();
        let concat = graph.nodes[term].op == Op::Concat && uses.single(term);
        if !concat || !parts.iter().all(|part| adds(graph, uses, *part)) {
            continue;
        }
        let name = graph.nodes[id].name.clone();
        let mut first = 0;
        for part in parts {
            let shape = graph.nodes[part].shape;
            let slice = Node::new(&name, Op::Slice { first }, vec![other], shape);
            let slice = graph.add(slice);
            give(graph, part, slice, activation);
            graph.nodes[part].levels = None;
            first += shape.channels;
        }
        graph.nodes[term].levels = levels;
        graph.replace(id, term);
        return true;
    }
    false
}
