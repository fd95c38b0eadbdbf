//! From operators of a graph to ONNX nodes.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, NodeProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, type_proto,
};

use super::Export;
use super::parameter::{Norm, Parameter};
use crate::zoo::{Activation, Conv, ConvPart, NodeId, Op, TensorSpec};

/// The first operator set with `HardSwish`.
const HARD_SWISH_OPSET: i64 = 14;

/// The nodes of an export, and the float tensors they refer to.
pub(super) fn lower(export: &Export) -> (GraphProto, Vec<Parameter>) {
    let mut lowering = Lowering {
        export,
        graph: GraphProto {
            name: export.name.to_owned(),
            ..GraphProto::default()
        },
        parameters: Vec::new(),
        values: Vec::new(),
    };
    for id in 0..export.graph.nodes.len() {
        let value = lowering.node(id);
        lowering.values.push(value);
    }
    (lowering.graph, lowering.parameters)
}

struct Lowering<'a> {
    export: &'a Export<'a>,
    graph: GraphProto,
    parameters: Vec<Parameter>,
    /// Name of the value that each node of our graph became.
    values: Vec<String>,
}

impl Lowering<'_> {
    fn node(&mut self, id: NodeId) -> String {
        let nodes = &self.export.graph.nodes;
        let node = &nodes[id];
        let input = |index: usize| self.values[node.inputs[index]].clone();
        match &node.op {
            Op::Input => {
                self.graph
                    .input
                    .push(value("input", &[1, node.channels, node.side, node.side]));
                "input".to_owned()
            }
            Op::Conv(conv) => {
                let norm = nodes.get(id + 1).and_then(|next| match &next.op {
                    Op::BatchNorm { name, eps } if self.export.fold_bn && next.inputs == [id] => {
                        Some(Norm {
                            name: name.clone(),
                            eps: *eps,
                            channels: node.channels,
                            first: 0,
                        })
                    }
                    _ => None,
                });
                let x = input(0);
                self.conv(conv, x, norm)
            }
            // Gone into the convolution.
            Op::BatchNorm { .. } if self.export.fold_bn => input(0),
            Op::BatchNorm { name, eps } => {
                let mut inputs = vec![input(0)];
                for field in ["weight", "bias", "running_mean", "running_var"] {
                    inputs.push(self.parameter(TensorSpec {
                        name: format!("{name}.{field}"),
                        shape: vec![node.channels],
                    }));
                }
                self.add(
                    "BatchNormalization",
                    name,
                    inputs,
                    vec![float("epsilon", *eps as f32)],
                )
            }
            Op::Activation(activation) => {
                let x = input(0);
                self.activation(*activation, &format!("act{id}"), x)
            }
            Op::Add => self.add("Add", &format!("add{id}"), vec![input(0), input(1)], vec![]),
            Op::Mul => self.add("Mul", &format!("mul{id}"), vec![input(0), input(1)], vec![]),
            Op::GlobalAveragePool => self.add(
                "GlobalAveragePool",
                &format!("pool{id}"),
                vec![input(0)],
                vec![],
            ),
            Op::Linear { name } => {
                let inputs = nodes[node.inputs[0]].channels;
                let flat = self.add(
                    "Flatten",
                    &format!("{name}.flatten"),
                    vec![input(0)],
                    vec![int("axis", 1)],
                );
                let weight = TensorSpec {
                    name: format!("{name}.weight"),
                    shape: vec![node.channels, inputs],
                };
                let bias = TensorSpec {
                    name: format!("{name}.bias"),
                    shape: vec![node.channels],
                };
                let operands = vec![flat, self.parameter(weight), self.parameter(bias)];
                let logits = "logits".to_owned();
                self.push(
                    "Gemm",
                    name,
                    operands,
                    vec![logits.clone()],
                    vec![int("transB", 1)],
                );
                self.graph.output.push(value(&logits, &[1, node.channels]));
                logits
            }
        }
    }

    fn conv(&mut self, conv: &Conv, x: String, norm: Option<Norm>) -> String {
        if let [part] = conv.parts.as_slice() {
            return self.conv_part(part, conv, x, norm);
        }
        let name = conv.parts[0]
            .name
            .rsplit_once('.')
            .map_or("mixed", |(name, _)| name);
        let sizes: Vec<i64> = conv.parts.iter().map(|part| part.inputs as i64).collect();
        let sizes = self.constant(
            &format!("{name}.split.sizes"),
            TensorProto {
                dims: vec![sizes.len() as i64],
                data_type: DataType::Int64 as i32,
                int64_data: sizes,
                ..TensorProto::default()
            },
        );
        let pieces: Vec<String> = conv
            .parts
            .iter()
            .map(|part| format!("{}.in", part.name))
            .collect();
        let axis = || vec![int("axis", 1)];
        self.push(
            "Split",
            &format!("{name}.split"),
            vec![x, sizes],
            pieces.clone(),
            axis(),
        );
        let mut first = 0;
        let mut outputs = Vec::new();
        for (part, piece) in conv.parts.iter().zip(pieces) {
            let norm = norm.clone().map(|norm| Norm { first, ..norm });
            outputs.push(self.conv_part(part, conv, piece, norm));
            first += part.outputs;
        }
        self.add("Concat", &format!("{name}.concat"), outputs, axis())
    }

    fn conv_part(&mut self, part: &ConvPart, conv: &Conv, x: String, norm: Option<Norm>) -> String {
        let weight = TensorSpec {
            name: format!("{}.weight", part.name),
            shape: part.weight_shape().to_vec(),
        };
        let bias_name = format!("{}.bias", part.name);
        let bias = conv.bias.then(|| TensorSpec {
            name: bias_name.clone(),
            shape: vec![part.outputs],
        });
        let mut inputs = vec![x, weight.name.clone()];
        match norm {
            Some(norm) => {
                self.parameters
                    .push(Parameter::folded_weight(weight, norm.clone()));
                self.parameters.push(Parameter::folded_bias(
                    bias_name.clone(),
                    part.outputs,
                    bias,
                    norm,
                ));
                inputs.push(bias_name);
            }
            None => {
                self.parameter(weight);
                inputs.extend(bias.map(|bias| self.parameter(bias)));
            }
        }
        let (before, after) = (part.pads.0 as i64, part.pads.1 as i64);
        let attributes = vec![
            ints("kernel_shape", &[part.kernel as i64; 2]),
            ints("strides", &[conv.stride as i64; 2]),
            ints("pads", &[before, before, after, after]),
            int("group", part.groups as i64),
        ];
        self.add("Conv", &part.name, inputs, attributes)
    }

    fn activation(&mut self, activation: Activation, name: &str, x: String) -> String {
        // x / 6 + 0.5, clamped to [0, 1].
        let hard_sigmoid = || vec![float("alpha", 1.0 / 6.0), float("beta", 0.5)];
        match activation {
            Activation::Relu => self.add("Relu", name, vec![x], vec![]),
            Activation::Relu6 => {
                let bounds =
                    [("zero", 0.0), ("six", 6.0)].map(|(name, bound)| self.scalar(name, bound));
                self.add("Clip", name, [vec![x], bounds.to_vec()].concat(), vec![])
            }
            Activation::Sigmoid => self.add("Sigmoid", name, vec![x], vec![]),
            Activation::HardSigmoid => self.add("HardSigmoid", name, vec![x], hard_sigmoid()),
            Activation::HardSwish if self.export.opset >= HARD_SWISH_OPSET => {
                self.add("HardSwish", name, vec![x], vec![])
            }
            Activation::HardSwish => {
                let gate = self.add(
                    "HardSigmoid",
                    &format!("{name}.gate"),
                    vec![x.clone()],
                    hard_sigmoid(),
                );
                self.add("Mul", name, vec![x, gate], vec![])
            }
            Activation::Swish => {
                let gate = self.add("Sigmoid", &format!("{name}.gate"), vec![x.clone()], vec![]);
                self.add("Mul", name, vec![x, gate], vec![])
            }
        }
    }

    fn parameter(&mut self, tensor: TensorSpec) -> String {
        let name = tensor.name.clone();
        self.parameters.push(Parameter::weight(tensor));
        name
    }

    fn scalar(&mut self, name: &str, value: f32) -> String {
        let tensor = TensorProto {
            data_type: DataType::Float as i32,
            float_data: vec![value],
            ..TensorProto::default()
        };
        self.constant(name, tensor)
    }

    fn constant(&mut self, name: &str, tensor: TensorProto) -> String {
        if self
            .graph
            .initializer
            .iter()
            .all(|other| other.name != name)
        {
            self.graph.initializer.push(TensorProto {
                name: name.to_owned(),
                ..tensor
            });
        }
        name.to_owned()
    }

    /// Adds a node with one output, named after it.
    fn add(
        &mut self,
        op: &str,
        name: &str,
        inputs: Vec<String>,
        attributes: Vec<AttributeProto>,
    ) -> String {
        let output = format!("{name}.out");
        self.push(op, name, inputs, vec![output.clone()], attributes);
        output
    }

    fn push(
        &mut self,
        op: &str,
        name: &str,
        input: Vec<String>,
        output: Vec<String>,
        attribute: Vec<AttributeProto>,
    ) {
        self.graph.node.push(NodeProto {
            op_type: op.to_owned(),
            name: name.to_owned(),
            input,
            output,
            attribute,
            ..NodeProto::default()
        });
    }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: kind as i32,
        ..AttributeProto::default()
    }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        i,
        ..attribute(name, AttributeType::Int)
    }
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto {
        ints: ints.to_vec(),
        ..attribute(name, AttributeType::Ints)
    }
}

fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto {
        f,
        ..attribute(name, AttributeType::Float)
    }
}

/// The declaration of a float value of a fixed shape.
fn value(name: &str, shape: &[usize]) -> ValueInfoProto {
    let dim = shape.iter().map(|n| Dimension {
        value: Some(dimension::Value::DimValue(*n as i64)),
        ..Dimension::default()
    });
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto { dim: dim.collect() }),
    };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}
