//! The blocks that networks are made of.

use super::{Builder, Groups, Layer};
use crate::zoo::scaling::round_channels;
use crate::zoo::{Activation, BlockDef, BlockKind, NodeId, Op, ReduceFrom};

impl Builder<'_> {
    /// Squeeze-excite (Hu et al., 2018): channels weighted by a gate computed from their means.
    fn squeeze_excite(
        &mut self,
        name: &str,
        x: NodeId,
        block: &BlockDef,
        block_inputs: usize,
    ) -> NodeId {
        let Some(ratio) = block.squeeze else { return x };
        let se = self.definition.squeeze_excite;
        let channels = self.channels(x);
        let base = if se.reduce_from == ReduceFrom::Input {
            block_inputs
        } else {
            channels
        };
        let reduced = round_channels(base as f64 * ratio, se.divisor as usize);
        let activation = se.activation.unwrap_or(self.block_activation(block));
        let mut gate = self.pool(x);
        gate = self.pooled_conv(&format!("{name}.se.conv_reduce"), gate, reduced, true);
        gate = self.activate(gate, activation);
        gate = self.pooled_conv(&format!("{name}.se.conv_expand"), gate, channels, true);
        gate = self.activate(gate, se.gate);
        self.add(Op::Mul, vec![x, gate], channels, self.nodes[x].side)
    }

    fn block_activation(&self, block: &BlockDef) -> Activation {
        block.activation.unwrap_or(self.definition.activation)
    }

    pub(super) fn block(
        &mut self,
        name: &str,
        block: &BlockDef,
        stride: usize,
        input: NodeId,
    ) -> NodeId {
        let activation = self.block_activation(block);
        let inputs = self.channels(input);
        let outputs = self.scaled(block.channels);
        let expanded = self.expanded(block, inputs);
        let kernels = &block.kernels;
        let expand_kernels = block.expand_kernels.as_deref().unwrap_or(&[1]);
        let project_kernels = block.project_kernels.as_deref().unwrap_or(&[1]);
        let mut skip = stride == 1 && inputs == outputs && !block.noskip;
        let mut x = input;
        match block.kind {
            BlockKind::InvertedResidual => {
                let expand = Layer::dense("conv_pw", "bn1", expanded, expand_kernels);
                let depthwise = Layer::depthwise("conv_dw", "bn2", expanded, kernels, stride);
                x = self.layer(name, x, expand.activated(activation));
                x = self.layer(name, x, depthwise.activated(activation));
                x = self.squeeze_excite(name, x, block, inputs);
                x = self.layer(
                    name,
                    x,
                    Layer::dense("conv_pwl", "bn3", outputs, project_kernels),
                );
            }
            BlockKind::DepthwiseSeparable | BlockKind::DepthwiseSeparableAct => {
                let depthwise = Layer::depthwise("conv_dw", "bn1", inputs, kernels, stride);
                x = self.layer(name, x, depthwise.activated(activation));
                x = self.squeeze_excite(name, x, block, inputs);
                let mut pointwise = Layer::dense("conv_pw", "bn2", outputs, project_kernels);
                if block.kind == BlockKind::DepthwiseSeparableAct {
                    pointwise = pointwise.activated(activation);
                    skip = false;
                }
                x = self.layer(name, x, pointwise);
            }
            BlockKind::ConvBnAct => {
                let conv = Layer {
                    stride,
                    ..Layer::dense("conv", "bn1", outputs, kernels)
                };
                x = self.layer(name, x, conv.activated(activation));
                skip = false;
            }
            BlockKind::EdgeResidual => {
                x = self.strided_expansion(
                    &format!("{name}.conv_exp"),
                    x,
                    expanded,
                    kernels,
                    stride,
                );
                x = self.bn_act(&format!("{name}.bn1"), x, Some(activation));
                x = self.squeeze_excite(name, x, block, inputs);
                x = self.layer(
                    name,
                    x,
                    Layer::dense("conv_pwl", "bn2", outputs, project_kernels),
                );
            }
            BlockKind::UniversalInvertedBottleneck => {
                let start = block.expand_kernels.as_deref().unwrap_or(&[0]);
                let end = block.project_kernels.as_deref().unwrap_or(&[0]);
                // The stride is in the middle; where there is none, at the start, else at the end.
                let (mut start_stride, mut middle_stride, mut end_stride) = (1, 1, 1);
                match (kernels[0], start[0]) {
                    (0, 0) => end_stride = stride,
                    (0, _) => start_stride = stride,
                    _ => middle_stride = stride,
                }
                if start[0] > 0 {
                    let depthwise = Layer::depthwise(
                        "dw_start.conv",
                        "dw_start.bn",
                        inputs,
                        start,
                        start_stride,
                    );
                    x = self.layer(name, x, depthwise);
                }
                let expand = Layer::dense("pw_exp.conv", "pw_exp.bn", expanded, &[1]);
                x = self.layer(name, x, expand.activated(activation));
                if kernels[0] > 0 {
                    let depthwise = Layer::depthwise(
                        "dw_mid.conv",
                        "dw_mid.bn",
                        expanded,
                        kernels,
                        middle_stride,
                    );
                    x = self.layer(name, x, depthwise.activated(activation));
                }
                x = self.squeeze_excite(name, x, block, inputs);
                x = self.layer(
                    name,
                    x,
                    Layer::dense("pw_proj.conv", "pw_proj.bn", outputs, &[1]),
                );
                if end[0] > 0 {
                    x = self.layer(
                        name,
                        x,
                        Layer::depthwise("dw_end.conv", "dw_end.bn", outputs, end, end_stride),
                    );
                }
            }
        }
        if skip {
            x = self.add(Op::Add, vec![x, input], outputs, self.nodes[x].side);
        }
        x
    }

    /// Channels between the expanding and the projecting convolution of a block.
    fn expanded(&self, block: &BlockDef, inputs: usize) -> usize {
        let from = block
            .expand_from
            .map_or(inputs, |channels| self.scaled(channels));
        let exact = from as f64 * block.expansion.unwrap_or(1.0);
        if self.definition.round_expanded {
            round_channels(exact, 8)
        } else {
            (exact as usize).max(1)
        }
    }

    /// The full convolution of an edge residual block. TensorFlow and `geffnet` put the stride on the projection,
    /// which drops three of four pixels that the expansion computed; with the padding of stride 1, a strided
    /// expansion gives the others.
    fn strided_expansion(
        &mut self,
        name: &str,
        x: NodeId,
        outputs: usize,
        kernels: &[u32],
        stride: usize,
    ) -> NodeId {
        let side = self.nodes[x].side;
        let conv = self.conv(name, x, outputs, kernels, 1, Groups::Dense);
        self.nodes[conv].side = side.div_ceil(stride);
        if let Op::Conv(conv) = &mut self.nodes[conv].op {
            conv.stride = stride;
        }
        conv
    }
}
