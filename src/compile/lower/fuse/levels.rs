//! Levels that values are rounded to, where the model says so: into the layers that compute those values.
//!
//! Rounding may be left out between two nodes that become one layer, as that only makes the result more exact. What levels
//! do not reach beyond is another matter: quantizers leave a rectifier out before levels that begin at zero. So a node that
//! rounds is read as such bounds, then rounding; the bounds go where an activation does, and go nowhere only if the values
//! are within them by what computes them.

use edge_classify_int8::Quantization;
use edge_classify_kernels::{Activation, Pool};

use super::{Graph, Id, Op, Uses};
use crate::compile::lower::graph::Node;

/// The bounds of levels that end at zero: those may be an activation's.
pub(in super::super) fn bounds(levels: Quantization) -> Activation {
    let Quantization { zero_point, .. } = levels;
    if ![i8::MIN, i8::MAX].contains(&zero_point) {
        return Activation::Identity;
    }
    Activation::Clamp {
        low: levels.value(i8::MIN),
        high: levels.value(i8::MAX),
    }
}

/// Whether the node does nothing to values but move them.
fn moves(op: &Op) -> bool {
    matches!(
        op,
        Op::Slice { .. }
            | Op::Shuffle { .. }
            | Op::Pool {
                pool: Pool::Max,
                ..
            }
    )
}

/// What the node's result has been rounded to, by itself or by what it moves.
pub(super) fn of(graph: &Graph, mut id: Id) -> Option<Quantization> {
    loop {
        let node = &graph.nodes[id];
        if node.levels.is_some() || !moves(&node.op) {
            return node.levels;
        }
        id = node.inputs[0];
    }
}

/// Whether one node may take another in that reads it: rounding is left out then, but no layer goes from levels to float.
pub(super) fn may_go(before: &Node, after: &Node) -> bool {
    before.levels.is_none() || after.levels.is_some()
}

fn is_nonnegative(graph: &Graph, id: Id) -> bool {
    let mut stack = vec![id];
    while let Some(id) = stack.pop() {
        let node = &graph.nodes[id];
        let by_levels = node
            .levels
            .is_some_and(|levels| levels.zero_point == i8::MIN);
        let by_activation = match node.activation {
            Activation::Clamp { low, .. } => low >= 0.0,
            Activation::Sigmoid | Activation::HardSigmoid { .. } => true,
            _ => false,
        };
        if by_levels || by_activation {
            continue;
        }
        if !moves(&node.op) && !matches!(node.op, Op::Pool { .. } | Op::Mean | Op::Concat) {
            return false;
        }
        stack.extend(&node.inputs);
    }
    true
}

/// Bounds of levels of values that are within them: after an activation, of what was given, of means and maxima of such.
pub(super) fn drop_bounds(graph: &mut Graph, _: &Uses, id: Id) -> bool {
    let node = &graph.nodes[id];
    let Some(levels) = node.levels.filter(|_| node.op == Op::Activate) else {
        return false;
    };
    if node.activation == Activation::Identity || node.activation != bounds(levels) {
        return false;
    }
    let before = &graph.nodes[node.inputs[0]];
    let within = before.activation != Activation::Identity
        || before.op == Op::Input
        || (levels.zero_point == i8::MIN && is_nonnegative(graph, node.inputs[0]));
    if within {
        graph.nodes[id].activation = Activation::Identity;
    }
    within
}

/// A node that only rounds, into the one before it.
pub(super) fn into_producer(graph: &mut Graph, uses: &Uses, id: Id) -> bool {
    let node = &graph.nodes[id];
    let rounds = node.op == Op::Activate && node.activation == Activation::Identity;
    let Some(levels) = node.levels.filter(|_| rounds) else {
        return false;
    };
    let producer = node.inputs[0];
    if of(graph, producer) == Some(levels) {
        graph.replace(id, producer);
        return true;
    }
    if !uses.single(producer) {
        return false;
    }
    let before = &graph.nodes[producer];
    match before.op {
        Op::Slice { .. } => return false,
        // What moves values can do so as well when they have been rounded.
        Op::Shuffle { .. }
        | Op::Pool {
            pool: Pool::Max, ..
        } => {
            let source = before.inputs[0];
            if of(graph, source).is_some() {
                return false;
            }
            let mut moves = before.clone();
            let shape = graph.nodes[source].shape;
            let rounds = Node::new(&graph.nodes[id].name, Op::Activate, vec![source], shape);
            moves.inputs[0] = graph.add(rounds.in_levels(Some(levels)));
            graph.nodes[id] = moves;
            return true;
        }
        _ => {}
    }
    graph.nodes[producer].levels = Some(levels);
    graph.replace(id, producer);
    true
}

/// Once all is fused: what moves values has their levels, and parts that only a concatenation reads have its levels. A
/// concatenation of parts that have the same is of those.
pub(in super::super) fn settle(graph: &mut Graph) {
    let order = graph.order();
    for id in &order {
        let node = &graph.nodes[*id];
        if moves(&node.op) {
            graph.nodes[*id].levels = of(graph, *id);
        } else if node.op == Op::Concat && node.levels.is_none() {
            let mut parts = node.inputs.iter().map(|part| graph.nodes[*part].levels);
            let first = parts.next().flatten();
            if parts.all(|levels| levels == first) {
                graph.nodes[*id].levels = first;
            }
        }
    }
    let uses = graph.uses();
    for id in order.into_iter().rev() {
        let node = &graph.nodes[id];
        if node.op != Op::Concat || node.levels.is_none() {
            continue;
        }
        let (levels, parts) = (node.levels, node.inputs.clone());
        for part in parts {
            let node = &mut graph.nodes[part];
            if uses.single(part) && !moves(&node.op) && node.op != Op::Input {
                node.levels = levels;
            }
        }
    }
}
