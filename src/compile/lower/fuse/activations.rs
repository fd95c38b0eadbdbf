//! Activations into the layers before them, and those that exporters spell out.

use edge_classify_kernels::Activation;

use super::affine::push;
use super::levels::{bounds, may_go};
use super::{Graph, Id, Op, Uses, activates, then, uniform};
use crate::compile::lower::graph::Node;

/// Numbers that differ by rounding.
fn near(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-6 * b.abs()
}

pub(super) fn into_producer(graph: &mut Graph, uses: &Uses, id: Id) -> bool {
    let node = &graph.nodes[id];
    if node.op != Op::Activate {
        return false;
    }
    let (producer, activation, levels) = (node.inputs[0], node.activation, node.levels);
    let before = &graph.nodes[producer];
    if activation == Activation::Identity {
        if levels.is_none() {
            graph.replace(id, producer);
        }
        return levels.is_none();
    }
    let fits = uses.single(producer) && activates(&before.op) && may_go(before, node);
    let Some(both) = then(before.activation, activation).filter(|_| fits) else {
        return false;
    };
    let before = &mut graph.nodes[producer];
    (before.activation, before.levels) = (both, levels);
    graph.replace(id, producer);
    true
}

pub(super) fn through_concat(graph: &mut Graph, uses: &Uses, id: Id) -> bool {
    let Node { op, activation, .. } = &graph.nodes[id];
    let (does, activation) = (*op == Op::Activate, *activation);
    does && activation != Activation::Identity
        && push(graph, uses, id, |_, _| Op::Activate, activation)
}

/// `min(max(a x + b, 0), h)` is a hard sigmoid times h; `x` times its sigmoid is swish, times its hard sigmoid may be
/// hard swish.
pub(super) fn recognise(graph: &mut Graph, uses: &Uses, id: Id) -> bool {
    match graph.nodes[id].op {
        Op::Affine { .. } => hard_sigmoid(graph, uses, id),
        Op::Multiply => scaled_factor(graph, uses, id) || swish(graph, uses, id),
        _ => false,
    }
}

fn hard_sigmoid(graph: &mut Graph, uses: &Uses, id: Id) -> bool {
    let node = &graph.nodes[id];
    let (Op::Affine { scale, shift }, Activation::Clamp { low: 0.0, high }) =
        (&node.op, node.activation)
    else {
        return false;
    };
    let (Some(a), Some(b)) = (uniform(scale), uniform(shift)) else {
        return false;
    };
    // With no other reader, its producer's weights take the scale.
    if uses.single(node.inputs[0]) || !high.is_finite() || high <= 0.0 {
        return false;
    }
    let (shape, channels, levels) = (node.shape, node.shape.channels, node.levels);
    let name = node.name.clone();
    let hard = Activation::HardSigmoid {
        alpha: a / high,
        beta: b / high,
    };
    let unit = Node::new(&name, Op::Activate, node.inputs.clone(), shape).with(hard);
    if high == 1.0 {
        graph.nodes[id] = unit.in_levels(levels);
    } else {
        let unit = graph.add(unit);
        let op = Op::Affine {
            scale: vec![high; channels],
            shift: vec![0.0; channels],
        };
        graph.nodes[id] = Node::new(&name, op, vec![unit], shape).in_levels(levels);
    }
    true
}

/// The scale of a factor becomes that of the product.
fn scaled_factor(graph: &mut Graph, uses: &Uses, id: Id) -> bool {
    let node = &graph.nodes[id];
    for slot in 0..2 {
        let factor = &graph.nodes[node.inputs[slot]];
        let Op::Affine { scale, shift } = &factor.op else {
            continue;
        };
        // Only where the unscaled factor may be a function of the other one.
        let source = factor.inputs[0];
        let of_other = graph.nodes[source].inputs.first() == Some(&node.inputs[1 - slot]);
        let plain = factor.activation == Activation::Identity && uniform(shift) == Some(0.0);
        if !plain || !of_other || uniform(scale).is_none() || !uses.single(node.inputs[slot]) {
            continue;
        }
        let scale = Node::new(&node.name, factor.op.clone(), Vec::new(), node.shape)
            .with(node.activation)
            .in_levels(node.levels);
        let mut product = node.clone().with(Activation::Identity).in_levels(None);
        product.inputs[slot] = source;
        let product = graph.add(product);
        graph.nodes[id] = Node {
            inputs: vec![product],
            ..scale
        };
        return true;
    }
    false
}

fn swish(graph: &mut Graph, uses: &Uses, id: Id) -> bool {
    let node = &graph.nodes[id];
    for slot in 0..2 {
        let (x, factor) = (node.inputs[slot], &graph.nodes[node.inputs[1 - slot]]);
        let of_x = factor.op == Op::Activate && factor.inputs[0] == x;
        let activation = match factor.activation {
            Activation::Sigmoid => Activation::Swish,
            Activation::HardSigmoid { alpha, beta }
                if near(alpha, 1.0 / 6.0) && near(beta, 0.5) =>
            {
                Activation::HardSwish
            }
            _ => continue,
        };
        if !of_x || !uses.single(node.inputs[1 - slot]) {
            continue;
        }
        let outer = node.activation;
        let swish = Node::new(&node.name, Op::Activate, vec![x], node.shape).with(activation);
        let only_bounds = node.levels.is_some_and(|levels| outer == bounds(levels));
        if outer == Activation::Identity || only_bounds {
            graph.nodes[id] = swish.in_levels(node.levels);
        } else {
            let inner = graph.add(swish);
            let node = &mut graph.nodes[id];
            node.op = Op::Activate;
            node.inputs = vec![inner];
        }
        return true;
    }
    false
}
