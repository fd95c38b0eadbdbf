//! Pointwise convolutions of the same input into one, which reads it once.

use edge_classify_kernels::Activation;

use super::{Graph, Id, Op, Uses};
use crate::compile::lower::graph::Node;

/// tract splits one with many outputs where those are split afterwards.
pub(super) fn join(graph: &mut Graph, uses: &Uses, id: Id) -> bool {
    let plain = |user: &Id| {
        let node = &graph.nodes[*user];
        let alone = matches!(
            node.op,
            Op::Pointwise {
                gate: false,
                residual: false,
                ..
            }
        );
        alone && *user != graph.output
    };
    let users: Vec<Id> = uses.of(id).iter().copied().filter(plain).collect();
    let Some(first) = users.first().map(|first| &graph.nodes[*first]) else {
        return false;
    };
    let (name, activation, mut shape) = (first.name.clone(), first.activation, first.shape);
    let levels = first.levels;
    if users.len() < 2
        || users.iter().any(|user| {
            let user = &graph.nodes[*user];
            user.activation != activation || user.levels != levels
        })
    {
        return false;
    }
    let (mut all_weights, mut all_bias) = (Vec::new(), Vec::new());
    for user in &users {
        let node = &mut graph.nodes[*user];
        let before = all_bias.len();
        if let Op::Pointwise { weights, bias, .. } =
            std::mem::replace(&mut node.op, Op::Slice { first: before })
        {
            all_weights.extend(weights);
            all_bias.extend(bias);
        }
    }
    shape.channels = all_bias.len();
    let op = Op::Pointwise {
        weights: all_weights,
        bias: all_bias,
        gate: false,
        residual: false,
    };
    let joined = Node::new(&name, op, vec![id], shape).with(activation);
    let joined = graph.add(joined.in_levels(levels));
    for slice in users {
        let node = &mut graph.nodes[slice];
        node.inputs[0] = joined;
        node.activation = Activation::Identity;
        node.levels = None;
    }
    true
}
