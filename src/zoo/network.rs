//! From a definition to a graph. Layers are named as in `timm` and `geffnet`, so that their weights fit.

mod blocks;

use thiserror::Error;

use super::graph::pad;
use super::scaling::{round_channels, scale_repeats, split};
use super::{Activation, Conv, ConvPart, Graph, Head, NetworkDef, Node, NodeId, Op, TensorSpec};

/// Protocol buffers hold at most 2 GiB; this leaves room for all but the weights.
const MAX_WEIGHT_BYTES: f64 = 2_130_000_000.0;

/// A network that cannot be built from its definition.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum GraphError {
    #[error("{network}: {layer}: {channels} channels cannot be split among {parts} kernels")]
    Split {
        network: String,
        layer: String,
        channels: usize,
        parts: usize,
    },
    #[error("{network}: {parameters:.1e} parameters do not fit into an ONNX file of at most 2 GiB")]
    TooLarge { network: String, parameters: f64 },
}

/// Builds the graph of a network for square inputs of `size` pixels.
pub fn graph(definition: &NetworkDef, size: usize, classes: usize) -> Result<Graph, GraphError> {
    let mut builder = Builder {
        definition,
        nodes: Vec::new(),
        problem: None,
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
    builder.finish()
}

#[derive(Clone, Copy, PartialEq)]
enum Groups {
    Dense,
    Depthwise,
}

struct Builder<'a> {
    definition: &'a NetworkDef,
    nodes: Vec<Node>,
    problem: Option<GraphError>,
}

/// A convolution with batch normalisation after it, and an activation unless it is linear.
struct Layer<'a> {
    conv: &'a str,
    norm: &'a str,
    outputs: usize,
    kernels: &'a [u32],
    stride: usize,
    groups: Groups,
    activation: Option<Activation>,
}

impl<'a> Layer<'a> {
    fn dense(conv: &'a str, norm: &'a str, outputs: usize, kernels: &'a [u32]) -> Self {
        Layer {
            conv,
            norm,
            outputs,
            kernels,
            stride: 1,
            groups: Groups::Dense,
            activation: None,
        }
    }

    fn depthwise(
        conv: &'a str,
        norm: &'a str,
        channels: usize,
        kernels: &'a [u32],
        stride: usize,
    ) -> Self {
        Layer {
            conv,
            norm,
            outputs: channels,
            kernels,
            stride,
            groups: Groups::Depthwise,
            activation: None,
        }
    }

    fn activated(self, activation: Activation) -> Self {
        Layer {
            activation: Some(activation),
            ..self
        }
    }
}

impl Builder<'_> {
    /// The graph, if it can be built and written.
    fn finish(self) -> Result<Graph, GraphError> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let graph = Graph { nodes: self.nodes };
        let count = |tensor: TensorSpec| tensor.shape.iter().map(|n| *n as f64).product::<f64>();
        let parameters: f64 = graph.tensors().into_iter().map(count).sum();
        if parameters * size_of::<f32>() as f64 > MAX_WEIGHT_BYTES {
            let network = self.definition.name.clone();
            return Err(GraphError::TooLarge {
                network,
                parameters,
            });
        }
        Ok(graph)
    }

    fn layer(&mut self, block: &str, x: NodeId, layer: Layer) -> NodeId {
        let Layer {
            conv,
            norm,
            outputs,
            kernels,
            stride,
            groups,
            activation,
        } = layer;
        let x = self.conv(
            &format!("{block}.{conv}"),
            x,
            outputs,
            kernels,
            stride,
            groups,
        );
        self.bn_act(&format!("{block}.{norm}"), x, activation)
    }

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
        let channels = inputs.min(outputs);
        let kernels = if channels < kernels.len() {
            self.problem.get_or_insert_with(|| GraphError::Split {
                network: self.definition.name.clone(),
                layer: name.to_owned(),
                channels,
                parts: kernels.len(),
            });
            &kernels[..1]
        } else {
            kernels
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_built_is_an_error() {
        let base = crate::zoo::Registry::bundled()
            .get("mnasnet_100")
            .unwrap()
            .clone();
        let with = |stage: &str, width| {
            let stages = vec![vec![stage.parse().unwrap()]];
            graph(
                &NetworkDef {
                    stages,
                    width,
                    divisor: 1,
                    ..base.clone()
                },
                64,
                10,
            )
        };
        assert!(with("ir_r1_k3.5.7_s1_e1_c16", 1.0).is_ok());
        let split = with("ir_r1_k3.5_p1.1.1_s1_e1_c1", 0.01);
        assert!(
            matches!(
                split,
                Err(GraphError::Split {
                    channels: 1,
                    parts: 3,
                    ..
                })
            ),
            "{split:?}"
        );
        let large = with("cn_r1_k31_s1_c65536", 100.0);
        assert!(
            matches!(large, Err(GraphError::TooLarge { .. })),
            "{large:?}"
        );
    }
}
