//! A network as a graph of operators: what a definition comes to for one input size and number of classes.

use super::{Activation, Padding};

/// Operators in an order in which they can run; every operator has one output.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    pub nodes: Vec<Node>,
}

pub type NodeId = usize;

#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub op: Op,
    pub inputs: Vec<NodeId>,
    /// Channels of the output.
    pub channels: usize,
    /// Height and width of the output; 1 after global pooling.
    pub side: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    Input,
    Conv(Conv),
    BatchNorm {
        name: String,
        eps: f64,
    },
    Activation(Activation),
    Add,
    Mul,
    GlobalAveragePool,
    /// Flattens and multiplies by a matrix, with bias.
    Linear {
        name: String,
    },
}

/// A convolution. With several parts it is mixed: input and output channels are split among them.
#[derive(Debug, Clone, PartialEq)]
pub struct Conv {
    pub parts: Vec<ConvPart>,
    pub stride: usize,
    pub bias: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ConvPart {
    /// Name of its tensors in the state dict, without `.weight` and `.bias`.
    pub name: String,
    pub kernel: usize,
    pub inputs: usize,
    pub outputs: usize,
    pub groups: usize,
    /// Rows (and columns) of padding before and after.
    pub pads: (usize, usize),
}

/// A tensor of weights, by its name in a `timm` state dict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    pub name: String,
    pub shape: Vec<usize>,
}

impl ConvPart {
    pub fn weight_shape(&self) -> [usize; 4] {
        [
            self.outputs,
            self.inputs / self.groups,
            self.kernel,
            self.kernel,
        ]
    }
}

impl Graph {
    /// The weights, in the order of the state dict.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        let mut tensors = Vec::new();
        let mut add = |name: String, shape: &[usize]| {
            tensors.push(TensorSpec {
                name,
                shape: shape.to_vec(),
            })
        };
        for node in &self.nodes {
            match &node.op {
                Op::Conv(conv) => {
                    for part in &conv.parts {
                        add(format!("{}.weight", part.name), &part.weight_shape());
                        if conv.bias {
                            add(format!("{}.bias", part.name), &[part.outputs]);
                        }
                    }
                }
                Op::BatchNorm { name, .. } => {
                    for field in ["weight", "bias", "running_mean", "running_var"] {
                        add(format!("{name}.{field}"), &[node.channels]);
                    }
                }
                Op::Linear { name } => {
                    add(
                        format!("{name}.weight"),
                        &[node.channels, self.nodes[node.inputs[0]].channels],
                    );
                    add(format!("{name}.bias"), &[node.channels]);
                }
                Op::Input | Op::Activation(_) | Op::Add | Op::Mul | Op::GlobalAveragePool => {}
            }
        }
        tensors
    }

    /// Trained parameters: all weights but the running statistics of batch normalisation.
    pub fn parameters(&self) -> u64 {
        let trained = |tensor: &&TensorSpec| !tensor.name.contains(".running_");
        let count = |tensor: TensorSpec| tensor.shape.iter().map(|n| *n as u64).product::<u64>();
        self.tensors()
            .iter()
            .filter(trained)
            .cloned()
            .map(count)
            .sum()
    }

    /// Multiply-adds of convolutions and linear layers, padding counted as if it were data.
    pub fn multiply_adds(&self) -> u64 {
        let count = |node: &Node| match &node.op {
            Op::Conv(conv) => {
                let weights = |part: &ConvPart| {
                    part.weight_shape()
                        .map(|n| n as u64)
                        .iter()
                        .product::<u64>()
                };
                conv.parts.iter().map(weights).sum::<u64>() * (node.side as u64).pow(2)
            }
            Op::Linear { .. } => node.channels as u64 * self.nodes[node.inputs[0]].channels as u64,
            _ => 0,
        };
        self.nodes.iter().map(count).sum()
    }
}

/// Padding before and after, and the output side, of a convolution over `side` pixels.
pub(super) fn pad(
    padding: Padding,
    side: usize,
    kernel: usize,
    stride: usize,
) -> ((usize, usize), usize) {
    match padding {
        Padding::Symmetric => {
            let pad = (stride - 1 + kernel - 1) / 2;
            (
                (pad, pad),
                (side + 2 * pad).saturating_sub(kernel) / stride + 1,
            )
        }
        Padding::Same => {
            let output = side.div_ceil(stride);
            let total = ((output - 1) * stride + kernel).saturating_sub(side);
            ((total / 2, total - total / 2), output)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_follows_tensorflow_and_pytorch() {
        assert_eq!(pad(Padding::Same, 224, 3, 2), ((0, 1), 112));
        assert_eq!(pad(Padding::Same, 225, 3, 2), ((1, 1), 113));
        assert_eq!(pad(Padding::Same, 112, 5, 2), ((1, 2), 56));
        assert_eq!(pad(Padding::Same, 7, 1, 2), ((0, 0), 4));
        assert_eq!(pad(Padding::Same, 1, 3, 2), ((1, 1), 1));
        assert_eq!(pad(Padding::Symmetric, 224, 3, 2), ((1, 1), 112));
        assert_eq!(pad(Padding::Symmetric, 225, 3, 2), ((1, 1), 113));
        assert_eq!(pad(Padding::Symmetric, 14, 5, 1), ((2, 2), 14));
    }
}
