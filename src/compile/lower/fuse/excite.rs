//! The two layers of squeeze-and-excitation into one.

use super::{Graph, Id, Op, Uses};

/// Whether all that read the node, or slices of it, multiply channels by it.
fn is_gate(graph: &Graph, uses: &Uses, id: Id) -> bool {
    let users = uses.of(id);
    graph.output != id
        && users.iter().all(|user| {
            let node = &graph.nodes[*user];
            match node.op {
                Op::Slice { .. } => is_gate(graph, uses, *user),
                Op::Multiply => node.inputs[1] == id && node.inputs[0] != id,
                Op::Pointwise { gate: true, .. } => {
                    node.inputs[1] == id
                        && node.inputs.iter().filter(|read| **read == id).count() == 1
                }
                _ => false,
            }
        })
}

pub(super) fn join(graph: &mut Graph, uses: &Uses, id: Id) -> bool {
    let plain = |id: Id| {
        let node = &graph.nodes[id];
        let alone = matches!(
            node.op,
            Op::Pointwise {
                gate: false,
                residual: false,
                ..
            }
        );
        alone && node.shape.pixels() == 1
    };
    if !plain(id) || !is_gate(graph, uses, id) {
        return false;
    }
    let hidden = graph.nodes[id].inputs[0];
    if !plain(hidden) || !uses.single(hidden) {
        return false;
    }
    let source = graph.nodes[hidden].inputs[0];
    if graph.nodes[source].shape != graph.nodes[id].shape {
        return false;
    }
    let squeeze_activation = graph.nodes[hidden].activation;
    let first = std::mem::replace(&mut graph.nodes[hidden].op, Op::Gone);
    let second = std::mem::replace(&mut graph.nodes[id].op, Op::Gone);
    let (
        Op::Pointwise {
            weights: squeeze,
            bias: squeeze_bias,
            ..
        },
        Op::Pointwise {
            weights: excite,
            bias: excite_bias,
            ..
        },
    ) = (first, second)
    else {
        return false;
    };
    graph.nodes[id].op = Op::Excite {
        squeeze,
        squeeze_bias,
        squeeze_activation,
        excite,
        excite_bias,
    };
    graph.nodes[id].inputs[0] = source;
    // Factors are of f32.
    graph.nodes[id].levels = None;
    true
}
