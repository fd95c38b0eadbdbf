//! Sums of pointwise convolutions into one of all their inputs.

use edge_classify_kernels::Activation;

use super::levels::{self, may_go};
use super::{Graph, Id, Op, Uses};
use crate::compile::lower::graph::Node;

/// Whether it is a pointwise convolution that nothing but the sum reads.
fn is_term(graph: &Graph, uses: &Uses, id: Id) -> bool {
    let node = &graph.nodes[id];
    let plain = matches!(
        node.op,
        Op::Pointwise {
            gate: false,
            residual: false,
            ..
        }
    );
    plain && node.activation == Activation::Identity && uses.single(id)
}

/// What the two inputs are together: neighbouring slices of a value, or a concatenation of what nothing else reads.
fn together(graph: &Graph, uses: &Uses, [a, b]: [Id; 2]) -> Option<(Op, Vec<Id>)> {
    let [x, y] = [a, b].map(|id| &graph.nodes[id]);
    if let (Op::Slice { first }, Op::Slice { first: second }) = (&x.op, &y.op)
        && x.inputs == y.inputs
    {
        let adjacent = first + x.shape.channels == *second;
        return adjacent.then(|| (Op::Slice { first: *first }, x.inputs.clone()));
    }
    let free =
        |id: Id| uses.single(id) && !matches!(graph.nodes[id].op, Op::Slice { .. } | Op::Input);
    (free(a) && free(b)).then(|| (Op::Concat, vec![a, b]))
}

/// tract splits a pointwise convolution of a concatenation among its parts.
pub(super) fn join(graph: &mut Graph, uses: &Uses, id: Id) -> bool {
    let node = &graph.nodes[id];
    let terms = [0, 1].map(|slot| node.inputs.get(slot).copied().unwrap_or(id));
    if node.op != Op::Add || !terms.iter().all(|term| is_term(graph, uses, *term)) {
        return false;
    }
    let inputs = terms.map(|term| graph.nodes[term].inputs[0]);
    let [one, other] = inputs.map(|input| levels::of(graph, input));
    if one != other || terms.iter().any(|term| !may_go(&graph.nodes[*term], node)) {
        return false;
    }
    let reversed = [terms[1], terms[0]];
    let (terms, (op, sources)) = if let Some(whole) = together(graph, uses, inputs) {
        (terms, whole)
    } else if let Some(whole) = together(graph, uses, [inputs[1], inputs[0]]) {
        (reversed, whole)
    } else {
        return false;
    };
    let [left_len, right_len] =
        terms.map(|term| graph.nodes[graph.nodes[term].inputs[0]].shape.channels);
    let ops = terms.map(|id| std::mem::replace(&mut graph.nodes[id].op, Op::Gone));
    let [
        Op::Pointwise {
            weights: left,
            bias,
            ..
        },
        Op::Pointwise {
            weights: right,
            bias: more,
            ..
        },
    ] = ops
    else {
        return false;
    };
    let rows = left
        .chunks_exact(left_len)
        .zip(right.chunks_exact(right_len));
    let weights = rows
        .flat_map(|(left, right)| left.iter().chain(right))
        .copied()
        .collect();
    let bias = bias.iter().zip(&more).map(|(a, b)| a + b).collect();
    let node = &graph.nodes[id];
    let mut shape = node.shape;
    shape.channels = left_len + right_len;
    let of_concat = one.filter(|_| op == Op::Concat);
    let whole = Node::new(&node.name, op, sources, shape);
    let whole = graph.add(whole.in_levels(of_concat));
    let node = &mut graph.nodes[id];
    node.inputs = vec![whole];
    node.op = Op::Pointwise {
        weights,
        bias,
        gate: false,
        residual: false,
    };
    true
}
