//! Scales and shifts of channels: batch normalisation, and the factors of means and hard activations.

use edge_classify_kernels::Activation;

use super::levels::may_go;
use super::{Graph, Id, Op, Uses, activates, then, uniform};
use crate::compile::lower::graph::Node;

/// Scales nearer to 1 are rounding: those of a sum over pixels and of the inverse of their number.
const NEAR: f32 = 3e-7;

pub(super) fn drop_identity(graph: &mut Graph, _: &Uses, id: Id) -> bool {
    let Op::Affine { scale, shift } = &graph.nodes[id].op else {
        return false;
    };
    let nothing = scale.iter().all(|s| (s - 1.0).abs() <= NEAR) && shift.iter().all(|t| *t == 0.0);
    if nothing {
        graph.nodes[id].op = Op::Activate;
    }
    nothing
}

/// Into the weights of the layer before, if that has no activation, or one that a uniform scale can pass.
pub(super) fn into_producer(graph: &mut Graph, uses: &Uses, id: Id) -> bool {
    let node = &graph.nodes[id];
    let Op::Affine { scale, shift } = &node.op else {
        return false;
    };
    let producer = node.inputs[0];
    let before = &graph.nodes[producer];
    if !uses.single(producer) || !may_go(before, node) {
        return false;
    }
    let passed = match before.activation {
        Activation::Identity => Some(Activation::Identity),
        Activation::Clamp { low, high } => match (uniform(scale), uniform(shift)) {
            (Some(s), Some(t)) if s > 0.0 => Some(Activation::Clamp {
                low: low * s + t,
                high: high * s + t,
            }),
            _ => None,
        },
        _ => None,
    };
    let activation = passed.and_then(|passed| then(passed, node.activation));
    let takes = match &before.op {
        Op::Pointwise { residual, .. } | Op::Convolution { residual, .. } => !residual,
        Op::Depthwise { .. } | Op::Affine { .. } | Op::Activate => true,
        _ => false,
    };
    let Some(activation) = activation.filter(|_| takes) else {
        return false;
    };
    let (scale, shift, levels) = (scale.clone(), shift.clone(), node.levels);
    let before = &mut graph.nodes[producer];
    (before.activation, before.levels) = (activation, levels);
    match &mut before.op {
        Op::Pointwise { weights, bias, .. }
        | Op::Convolution { weights, bias, .. }
        | Op::Depthwise { weights, bias, .. } => {
            let row = weights.len() / scale.len();
            for (weights, scale) in weights.chunks_exact_mut(row).zip(&scale) {
                weights.iter_mut().for_each(|weight| *weight *= scale);
            }
            change(bias, &scale, &shift);
        }
        Op::Affine {
            scale: first,
            shift: then,
        } => {
            first.iter_mut().zip(&scale).for_each(|(a, b)| *a *= b);
            change(then, &scale, &shift);
        }
        _ => before.op = Op::Affine { scale, shift },
    }
    graph.replace(id, producer);
    true
}

fn change(values: &mut [f32], scale: &[f32], shift: &[f32]) {
    for ((value, scale), shift) in values.iter_mut().zip(scale).zip(shift) {
        *value = *value * scale + shift;
    }
}

/// Into the weights of a pointwise convolution after it.
pub(super) fn into_consumer(graph: &mut Graph, uses: &Uses, id: Id) -> bool {
    let node = &graph.nodes[id];
    let affine = &graph.nodes[match node.inputs.first() {
        Some(input) => *input,
        None => return false,
    }];
    let (Op::Pointwise { gate: false, .. }, Op::Affine { scale, shift }) = (&node.op, &affine.op)
    else {
        return false;
    };
    let plain = affine.activation == Activation::Identity && affine.levels.is_none();
    if !plain || !uses.single(node.inputs[0]) {
        return false;
    }
    let (scale, shift, source) = (scale.clone(), shift.clone(), affine.inputs[0]);
    let node = &mut graph.nodes[id];
    node.inputs[0] = source;
    if let Op::Pointwise { weights, bias, .. } = &mut node.op {
        for (row, bias) in weights.chunks_exact_mut(scale.len()).zip(bias) {
            for ((weight, scale), shift) in row.iter_mut().zip(&scale).zip(&shift) {
                *bias += *weight * shift;
                *weight *= scale;
            }
        }
    }
    true
}

/// After a mean, where there are fewer values.
pub(super) fn through_mean(graph: &mut Graph, uses: &Uses, id: Id) -> bool {
    let node = &graph.nodes[id];
    if node.op != Op::Mean || !uses.single(node.inputs[0]) {
        return false;
    }
    let before = &graph.nodes[node.inputs[0]];
    let plain = before.activation == Activation::Identity && before.levels.is_none();
    if !matches!(before.op, Op::Affine { .. }) || !plain {
        return false;
    }
    let mean = Node::new(&node.name, Op::Mean, before.inputs.clone(), node.shape);
    let affine =
        Node::new(&before.name, before.op.clone(), Vec::new(), node.shape).in_levels(node.levels);
    let mean = graph.add(mean);
    graph.nodes[id] = Node {
        inputs: vec![mean],
        ..affine
    };
    true
}

/// Before a concatenation, where each part has a layer of its own.
pub(super) fn through_concat(graph: &mut Graph, uses: &Uses, id: Id) -> bool {
    let node = &graph.nodes[id];
    let Op::Affine { scale, shift } = &node.op else {
        return false;
    };
    let (scale, shift, activation) = (scale.clone(), shift.clone(), node.activation);
    let affine = |from: usize, channels: usize| Op::Affine {
        scale: scale[from..from + channels].to_vec(),
        shift: shift[from..from + channels].to_vec(),
    };
    push(graph, uses, id, affine, activation)
}

/// Replaces an elementwise node after a concatenation by one after each part.
pub(super) fn push(
    graph: &mut Graph,
    uses: &Uses,
    id: Id,
    op: impl Fn(usize, usize) -> Op,
    activation: Activation,
) -> bool {
    let concat = graph.nodes[id].inputs[0];
    let parts = graph.nodes[concat].inputs.clone();
    let takes = |part: &Id| uses.single(*part) && activates(&graph.nodes[*part].op);
    let may_go = may_go(&graph.nodes[concat], &graph.nodes[id]);
    if graph.nodes[concat].op != Op::Concat
        || !may_go
        || !uses.single(concat)
        || !parts.iter().all(takes)
    {
        return false;
    }
    let (name, levels) = (graph.nodes[id].name.clone(), graph.nodes[id].levels);
    let mut from = 0;
    for (slot, part) in parts.into_iter().enumerate() {
        let shape = graph.nodes[part].shape;
        let node = Node::new(&name, op(from, shape.channels), vec![part], shape).with(activation);
        graph.nodes[concat].inputs[slot] = graph.add(node);
        from += shape.channels;
    }
    graph.nodes[concat].levels = levels;
    graph.replace(id, concat);
    true
}
