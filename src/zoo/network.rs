//! From a definition to a graph: scaling of depth and width, and the blocks.
//!
//! Scaling and layer names follow `timm` and `geffnet`, so that their weights fit.

use super::graph::pad;
use super::{
    Activation, BlockDef, BlockKind, Conv, ConvPart, DepthRounding, Graph, Head, NetworkDef, Node,
    NodeId, Op, ReduceFrom,
};

/// Builds the graph of a network for square inputs of `size` pixels.
pub fn graph(definition: &NetworkDef, size: usize, classes: usize) -> Graph {
    let mut builder = Builder {
        definition,
        nodes: Vec::new(),
    };
    let input = builder.add(Op::Input, vec![], 3, size);
    let stem = definition.stem;
    let stem = if definition.fix_stem {
        stem as usize
    } else {
        builder.scaled(stem)
    };
    let mut x = builder.conv("conv_stem", input, stem, &[3], 2, Groups::Dense);
    x = builder.bn_act("bn1", x, Some(definition.activation));
    let last = definition.stages.len() - 1;
    for (stage, blocks) in definition.stages.iter().enumerate() {
        let fixed = definition.fix_first_last && (stage == 0 || stage == last);
        let depth = if fixed { 1.0 } else { definition.depth };
        let repeats = scale_repeats(blocks, depth, definition.depth_rounding);
        let mut index = 0;
        for (block, repeats) in blocks.iter().zip(repeats) {
            for repeat in 0..repeats {
                let stride = if repeat == 0 {
                    block.stride as usize
                } else {
                    1
                };
                x = builder.block(&format!("blocks.{stage}.{index}"), block, stride, x);
                index += 1;
            }
        }
    }
    x = builder.head(x);
    builder.add(
        Op::Linear {
            name: "classifier".to_owned(),
        },
        vec![x],
        classes,
        1,
    );
    Graph {
        nodes: builder.nodes,
    }
}

/// Channels scaled by `width`: rounded half up to a multiple of `divisor`, at least `divisor`, never below 0.9 of the
/// exact value. (MobileNetV2 reference code, `_make_divisible`.)
fn round_channels(channels: f64, divisor: usize) -> usize {
    let step = divisor as f64;
    let rounded = (((channels + step / 2.0) as usize) / divisor * divisor).max(divisor);
    if (rounded as f64) < 0.9 * channels {
        rounded + divisor
    } else {
        rounded
    }
}

/// Repeats of a stage's blocks scaled together, handed out from the last block to the first.
fn scale_repeats(blocks: &[BlockDef], depth: f64, rounding: DepthRounding) -> Vec<u32> {
    let mut left: u32 = blocks.iter().map(|block| block.repeats).sum();
    let scaled = f64::from(left) * depth;
    let mut left_scaled = match rounding {
        DepthRounding::Up => scaled.ceil(),
        DepthRounding::Nearest => scaled.round_ties_even().max(1.0),
    };
    let mut repeats: Vec<u32> = Vec::new();
    for block in blocks.iter().rev() {
        let share = (f64::from(block.repeats) / f64::from(left) * left_scaled)
            .round_ties_even()
            .max(1.0);
        repeats.push(share as u32);
        left -= block.repeats;
        left_scaled -= share;
    }
    repeats.reverse();
    repeats
}

#[derive(Clone, Copy, PartialEq)]
enum Groups {
    Dense,
    Depthwise,
}

struct Builder<'a> {
    definition: &'a NetworkDef,
    nodes: Vec<Node>,
}

impl Builder<'_> {
    fn add(&mut self, op: Op, inputs: Vec<NodeId>, channels: usize, side: usize) -> NodeId {
        self.nodes.push(Node {
            op,
            inputs,
            channels,
            side,
        });
        self.nodes.len() - 1
    }

    fn channels(&self, x: NodeId) -> usize {
        self.nodes[x].channels
    }

    fn scaled(&self, channels: u32) -> usize {
        round_channels(
            f64::from(channels) * self.definition.width,
            self.definition.divisor as usize,
        )
    }

    fn conv(
        &mut self,
        name: &str,
        x: NodeId,
        outputs: usize,
        kernels: &[u32],
        stride: usize,
        groups: Groups,
    ) -> NodeId {
        let (inputs, side) = (self.channels(x), self.nodes[x].side);
        let mut output_side = 0;
        let parts = split(inputs, kernels.len())
            .zip(split(outputs, kernels.len()))
            .zip(kernels)
            .enumerate()
            .map(|(index, ((inputs, outputs), kernel))| {
                let kernel = *kernel as usize;
                let (pads, side) = pad(self.definition.padding, side, kernel, stride);
                output_side = side;
                ConvPart {
                    name: if kernels.len() == 1 {
                        name.to_owned()
                    } else {
                        format!("{name}.{index}")
                    },
                    kernel,
                    inputs,
                    outputs,
                    groups: if groups == Groups::Depthwise {
                        inputs
                    } else {
                        1
                    },
                    pads,
                }
            })
            .collect();
        self.add(
            Op::Conv(Conv {
                parts,
                stride,
                bias: false,
            }),
            vec![x],
            outputs,
            output_side,
        )
    }

    /// A 1x1 convolution with bias on pooled channels, as in squeeze-excite.
    fn pooled_conv(&mut self, name: &str, x: NodeId, outputs: usize, bias: bool) -> NodeId {
        let conv = self.conv(name, x, outputs, &[1], 1, Groups::Dense);
        if let Op::Conv(conv) = &mut self.nodes[conv].op {
            conv.bias = bias;
        }
        conv
    }

    fn activate(&mut self, x: NodeId, activation: Activation) -> NodeId {
        self.add(
            Op::Activation(activation),
            vec![x],
            self.channels(x),
            self.nodes[x].side,
        )
    }

    fn bn_act(&mut self, name: &str, x: NodeId, activation: Option<Activation>) -> NodeId {
        let op = Op::BatchNorm {
            name: name.to_owned(),
            eps: self.definition.bn_eps,
        };
        let x = self.add(op, vec![x], self.channels(x), self.nodes[x].side);
        match activation {
            Some(activation) => self.activate(x, activation),
            None => x,
        }
    }

    fn pool(&mut self, x: NodeId) -> NodeId {
        self.add(Op::GlobalAveragePool, vec![x], self.channels(x), 1)
    }

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

    fn block(&mut self, name: &str, block: &BlockDef, stride: usize, input: NodeId) -> NodeId {
        let at = |layer: &str| format!("{name}.{layer}");
        let activation = Some(self.block_activation(block));
        let inputs = self.channels(input);
        let outputs = self.scaled(block.channels);
        let expand_from = block
            .expand_from
            .map_or(inputs, |channels| self.scaled(channels));
        let expanded = expand_from as f64 * block.expansion.unwrap_or(1.0);
        let expanded = if self.definition.round_expanded {
            round_channels(expanded, 8)
        } else {
            (expanded as usize).max(1)
        };
        let one = vec![1];
        let expand_kernels = block.expand_kernels.as_ref().unwrap_or(&one);
        let project_kernels = block.project_kernels.as_ref().unwrap_or(&one);
        let kernels = &block.kernels;
        let mut skip = stride == 1 && inputs == outputs && !block.noskip;
        let mut x = input;
        match block.kind {
            BlockKind::InvertedResidual => {
                x = self.conv(
                    &at("conv_pw"),
                    x,
                    expanded,
                    expand_kernels,
                    1,
                    Groups::Dense,
                );
                x = self.bn_act(&at("bn1"), x, activation);
                x = self.conv(
                    &at("conv_dw"),
                    x,
                    expanded,
                    kernels,
                    stride,
                    Groups::Depthwise,
                );
                x = self.bn_act(&at("bn2"), x, activation);
                x = self.squeeze_excite(name, x, block, inputs);
                x = self.conv(
                    &at("conv_pwl"),
                    x,
                    outputs,
                    project_kernels,
                    1,
                    Groups::Dense,
                );
                x = self.bn_act(&at("bn3"), x, None);
            }
            BlockKind::DepthwiseSeparable | BlockKind::DepthwiseSeparableAct => {
                let pointwise = block.kind == BlockKind::DepthwiseSeparableAct;
                skip &= !pointwise;
                x = self.conv(
                    &at("conv_dw"),
                    x,
                    inputs,
                    kernels,
                    stride,
                    Groups::Depthwise,
                );
                x = self.bn_act(&at("bn1"), x, activation);
                x = self.squeeze_excite(name, x, block, inputs);
                x = self.conv(
                    &at("conv_pw"),
                    x,
                    outputs,
                    project_kernels,
                    1,
                    Groups::Dense,
                );
                x = self.bn_act(&at("bn2"), x, activation.filter(|_| pointwise));
            }
            BlockKind::ConvBnAct => {
                skip = false;
                x = self.conv(&at("conv"), x, outputs, kernels, stride, Groups::Dense);
                x = self.bn_act(&at("bn1"), x, activation);
            }
            BlockKind::EdgeResidual => {
                x = self.strided_expansion(&at("conv_exp"), x, expanded, kernels[0], stride);
                x = self.bn_act(&at("bn1"), x, activation);
                x = self.squeeze_excite(name, x, block, inputs);
                x = self.conv(
                    &at("conv_pwl"),
                    x,
                    outputs,
                    project_kernels,
                    1,
                    Groups::Dense,
                );
                x = self.bn_act(&at("bn2"), x, None);
            }
            BlockKind::UniversalInvertedBottleneck => {
                let start = block
                    .expand_kernels
                    .as_ref()
                    .map_or(0, |kernels| kernels[0]);
                let end = block
                    .project_kernels
                    .as_ref()
                    .map_or(0, |kernels| kernels[0]);
                // The stride is in the middle; where there is none, at the start, else at the end.
                let (mut start_stride, mut middle_stride, mut end_stride) = (1, 1, 1);
                match (kernels[0], start) {
                    (0, 0) => end_stride = stride,
                    (0, _) => start_stride = stride,
                    _ => middle_stride = stride,
                }
                if start > 0 {
                    x = self.conv(
                        &at("dw_start.conv"),
                        x,
                        inputs,
                        &[start],
                        start_stride,
                        Groups::Depthwise,
                    );
                    x = self.bn_act(&at("dw_start.bn"), x, None);
                }
                x = self.conv(&at("pw_exp.conv"), x, expanded, &one, 1, Groups::Dense);
                x = self.bn_act(&at("pw_exp.bn"), x, activation);
                if kernels[0] > 0 {
                    x = self.conv(
                        &at("dw_mid.conv"),
                        x,
                        expanded,
                        kernels,
                        middle_stride,
                        Groups::Depthwise,
                    );
                    x = self.bn_act(&at("dw_mid.bn"), x, activation);
                }
                x = self.squeeze_excite(name, x, block, inputs);
                x = self.conv(&at("pw_proj.conv"), x, outputs, &one, 1, Groups::Dense);
                x = self.bn_act(&at("pw_proj.bn"), x, None);
                if end > 0 {
                    x = self.conv(
                        &at("dw_end.conv"),
                        x,
                        outputs,
                        &[end],
                        end_stride,
                        Groups::Depthwise,
                    );
                    x = self.bn_act(&at("dw_end.bn"), x, None);
                }
            }
        }
        if skip {
            x = self.add(Op::Add, vec![x, input], outputs, self.nodes[x].side);
        }
        x
    }

    /// The full convolution of an edge residual block. TensorFlow and `geffnet` put the stride on the projection,
    /// which drops three of four pixels that the expansion computed; with the padding of stride 1, a strided
    /// expansion gives the others bit for bit.
    fn strided_expansion(
        &mut self,
        name: &str,
        x: NodeId,
        outputs: usize,
        kernel: u32,
        stride: usize,
    ) -> NodeId {
        let side = self.nodes[x].side;
        let conv = self.conv(name, x, outputs, &[kernel], 1, Groups::Dense);
        self.nodes[conv].side = side.div_ceil(stride);
        if let Op::Conv(conv) = &mut self.nodes[conv].op {
            conv.stride = stride;
        }
        conv
    }

    fn head(&mut self, mut x: NodeId) -> NodeId {
        let definition = self.definition;
        let features = definition.head_features as usize;
        let activation = Some(definition.activation);
        match definition.head {
            Head::None => self.pool(x),
            Head::Default => {
                x = self.pooled_conv("conv_head", x, features, definition.head_bias);
                x = if definition.head_norm {
                    self.bn_act("bn2", x, activation)
                } else {
                    self.activate(x, definition.activation)
                };
                self.pool(x)
            }
            Head::Efficient => {
                x = self.pool(x);
                x = self.pooled_conv("conv_head", x, features, definition.head_bias);
                if definition.head_norm {
                    self.bn_act("norm_head", x, activation)
                } else {
                    self.activate(x, definition.activation)
                }
            }
        }
    }
}

/// Channels split evenly, the remainder to the first.
fn split(channels: usize, parts: usize) -> impl Iterator<Item = usize> {
    let (even, rest) = (channels / parts, channels % parts);
    (0..parts).map(move |part| if part == 0 { even + rest } else { even })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_round_as_in_the_reference() {
        let cases = [
            (24.0 * 1.1, 24),
            (40.0 * 0.5, 24),
            (16.0 * 0.5, 8),
            (1.0, 8),
            (92.0, 96),
            (8.0 * 1.4, 16),
        ];
        for (exact, rounded) in cases {
            assert_eq!(round_channels(exact, 8), rounded, "{exact}");
        }
        assert_eq!(round_channels(7.5, 1), 8);
    }

    #[test]
    fn repeats_are_handed_out_from_the_end() {
        let stage = |text: &str| -> Vec<BlockDef> {
            text.split(' ')
                .map(|block| block.parse().unwrap())
                .collect()
        };
        let blocks = stage("cn_r1_k1_s1_c8 cn_r3_k1_s1_c8");
        assert_eq!(scale_repeats(&blocks, 1.0, DepthRounding::Up), [1, 3]);
        assert_eq!(scale_repeats(&blocks, 1.2, DepthRounding::Up), [1, 4]);
        assert_eq!(scale_repeats(&blocks, 1.2, DepthRounding::Nearest), [1, 4]);
        assert_eq!(scale_repeats(&blocks, 1.1, DepthRounding::Nearest), [1, 3]);
        assert_eq!(scale_repeats(&blocks, 0.01, DepthRounding::Nearest), [1, 1]);
    }

    #[test]
    fn channels_split_with_the_remainder_first() {
        assert_eq!(split(20, 3).collect::<Vec<_>>(), [8, 6, 6]);
    }
}
