//! Grouped convolutions: one on each range of channels.

use edge_classify_kernels::Window;

use super::graph::{Id, Node, Op};
use super::read::{Read, Reader, Tracked};
use tract_core::internal::*;

use super::layout::Layout;
use crate::engine::net::Shape;

/// The weights of a grouped convolution, and what it slides.
pub(super) struct Grouped<'a> {
    pub groups: usize,
    pub weights: &'a [f32],
    pub bias: &'a [f32],
    /// `None` for a pointwise one.
    pub window: Option<Window>,
}

/// Outputs with which every kernel's vectors are full.
const FULL: usize = 16;

impl Reader<'_> {
    /// Small groups are taken together, with weights of zero between them: what that adds to the work is what vectors
    /// that are not full would waste, and there are fewer layers.
    pub fn grouped(
        &mut self,
        node: &TypedNode,
        x: &Tracked,
        layout: Layout,
        conv: &Grouped,
    ) -> Read {
        let inputs = self.shape(x.id).channels;
        let (groups, outputs) = (conv.groups, conv.bias.len());
        if groups == 0 || !inputs.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
            return Err(format!("{groups} groups of {inputs} channels"));
        }
        let (of, to) = (inputs / groups, outputs / groups);
        let together = (1..=groups)
            .find(|n| groups.is_multiple_of(*n) && n * to >= FULL)
            .unwrap_or(groups);
        let output = self.emit(node, Op::Concat, Vec::new(), layout)?;
        let whole = self.shape(x.id);
        let result = self.shape(output.id);
        let mut parts = Vec::new();
        for first in (0..groups).step_by(together) {
            let slice = Shape {
                channels: of * together,
                ..whole
            };
            let first_input = Op::Slice { first: first * of };
            let slice = Node::new(&node.name, first_input, vec![x.id], slice);
            let slice = self.graph.add(slice);
            let weights = diagonal(conv, first..first + together, of, to);
            let bias = conv.bias[first * to..][..to * together].to_vec();
            let op = match conv.window {
                None => Op::Pointwise {
                    weights,
                    bias,
                    gate: false,
                    residual: false,
                },
                Some(window) => Op::Convolution {
                    weights,
                    bias,
                    window,
                    residual: false,
                },
            };
            let shape = Shape {
                channels: to * together,
                ..result
            };
            let part: Id = self
                .graph
                .add(Node::new(&node.name, op, vec![slice], shape));
            parts.push(part);
        }
        self.graph.nodes[output.id].inputs = parts;
        Ok(output)
    }
}

/// The weights of some groups as those of one convolution.
fn diagonal(conv: &Grouped, groups: std::ops::Range<usize>, of: usize, to: usize) -> Vec<f32> {
    let taps = conv
        .window
        .map_or(1, |window| window.kernel_h * window.kernel_w);
    let row = of * taps;
    let count = groups.len();
    let mut weights = vec![0.0; count * to * count * row];
    for (at, group) in groups.enumerate() {
        for o in 0..to {
            let from = &conv.weights[(group * to + o) * row..][..row];
            weights[((at * to + o) * count + at) * row..][..row].copy_from_slice(from);
        }
    }
    weights
}
