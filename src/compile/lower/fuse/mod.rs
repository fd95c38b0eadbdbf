//! Rewrites that let each layer do all that its kernel can: no pass over memory is left that another could make.
//!
//! Every rule looks at one node and what is next to it. They are tried until none changes anything: each makes the graph
//! smaller or moves an elementwise node towards the layer that will take it in.

mod activations;
mod affine;
mod excite;
mod gates;
pub(super) mod levels;
mod residuals;
mod siblings;
mod slices;
mod strides;
mod sums;

use edge_classify_kernels::Activation;

use super::graph::{Graph, Id, Op, Uses};

/// Changes the graph at a node, or says that there is nothing to change.
type Rule = fn(&mut Graph, &Uses, Id) -> bool;

const RULES: [Rule; 23] = [
    sums::join,
    slices::of_whole,
    slices::rejoined,
    slices::of_slice,
    slices::nest,
    slices::of_concat,
    slices::hoist,
    affine::drop_identity,
    affine::into_producer,
    affine::into_consumer,
    affine::through_mean,
    affine::through_concat,
    levels::drop_bounds,
    levels::into_producer,
    activations::into_producer,
    activations::through_concat,
    activations::recognise,
    gates::into_pointwise,
    // Once more, as terms have lost their biases to their weights.
    sums::join,
    residuals::into_producer,
    strides::drop_identity,
    strides::join,
    strides::into_pointwise,
];

pub(super) fn fuse(graph: &mut Graph) {
    loop {
        let before = rewrite(graph, &RULES);
        // Only now have layers got their activations, and is it known which vectors are nothing but gates.
        if !(before | rewrite(graph, &[gates::through_slice, siblings::join, excite::join])) {
            return;
        }
    }
}

fn rewrite(graph: &mut Graph, rules: &[Rule]) -> bool {
    let mut changed = false;
    loop {
        let mut again = false;
        for rule in rules {
            let mut uses = graph.uses();
            let mut id = 0;
            while id < graph.nodes.len() {
                if graph.nodes[id].op != Op::Gone && rule(graph, &uses, id) {
                    again = true;
                    uses = graph.uses();
                }
                id += 1;
            }
        }
        if !again {
            return changed;
        }
        changed = true;
    }
}

/// Whether the layer applies an activation to its result.
fn activates(op: &Op) -> bool {
    matches!(
        op,
        Op::Pointwise { .. }
            | Op::Convolution { .. }
            | Op::Depthwise { .. }
            | Op::Multiply
            | Op::Add
            | Op::Affine { .. }
            | Op::Activate
    )
}

/// The activation that does the first, then the second, if it is one of ours.
fn then(first: Activation, second: Activation) -> Option<Activation> {
    match (first, second) {
        (Activation::Identity, other) | (other, Activation::Identity) => Some(other),
        (
            Activation::Clamp { low, high },
            Activation::Clamp {
                low: from,
                high: to,
            },
        ) => Some(Activation::Clamp {
            low: low.max(from).min(to),
            high: high.max(from).min(to),
        }),
        _ => None,
    }
}

/// The one number that all are.
fn uniform(values: &[f32]) -> Option<f32> {
    let first = *values.first()?;
    values.iter().all(|value| *value == first).then_some(first)
}
