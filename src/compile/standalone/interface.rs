//! A network's input and output, brought to the form that sessions take: pictures of 1 x 3 x H x W in, one value for
//! each class out, all f32.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::Dimension;
use tract_onnx::pb::tensor_shape_proto::dimension::Value;
use tract_onnx::pb::type_proto::{self, Tensor};
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto};

/// Weights of red, green and blue in a grey level (ITU-R BT.601), as Pillow has them.
const LUMA: [f32; 3] = [19595.0 / 65536.0, 38470.0 / 65536.0, 7471.0 / 65536.0];

/// Pins the batch of a picture to one, and puts what the network expects of it before the network: the channels last,
/// as TensorFlow's converters leave it, a single grey channel, or numbers of another type.
pub(super) fn adapt_input(graph: &mut GraphProto, input: usize) {
    let picture = &mut graph.input[input];
    set_batch_to_one(picture);
    let name = picture.name.clone();
    let Some(tensor) = tensor_type(picture) else {
        return;
    };
    let is_float = tensor.elem_type == DataType::Float as i32;
    let elem_type = std::mem::replace(&mut tensor.elem_type, DataType::Float as i32);
    let (mut grey, mut last) = (false, false);
    if let [_, second, third, fourth] = dimensions(tensor) {
        let counts = |dimension: &Dimension| {
            [1, 3].map(|count| dimension.value == Some(Value::DimValue(count))) != [false; 2]
        };
        last = !counts(second) && counts(fourth);
        if last {
            std::mem::swap(third, fourth);
            std::mem::swap(second, third);
        }
        grey = second.value == Some(Value::DimValue(1));
        if grey {
            second.value = Some(Value::DimValue(3));
        }
    }
    let mut steps = Vec::new();
    if grey {
        let weights = format!("{name}_luma");
        steps.push(node("Conv", &[&weights], None));
        graph.initializer.push(TensorProto {
            name: weights,
            data_type: DataType::Float as i32,
            dims: vec![1, 3, 1, 1],
            float_data: LUMA.to_vec(),
            ..TensorProto::default()
        });
    }
    if last {
        let order = AttributeProto {
            name: "perm".to_owned(),
            r#type: AttributeType::Ints as i32,
            ints: vec![0, 2, 3, 1],
            ..AttributeProto::default()
        };
        steps.push(node("Transpose", &[], Some(order)));
    }
    if !is_float {
        steps.push(cast(elem_type));
    }
    if steps.is_empty() {
        return;
    }
    graph.input[input].name = format!("{name}_rgb");
    let mut from = graph.input[input].name.clone();
    let count = steps.len();
    for (index, step) in steps.iter_mut().enumerate() {
        let to = match index + 1 == count {
            true => name.clone(),
            false => format!("{name}_step_{index}"),
        };
        step.name = format!("{name}_{}", step.op_type.to_lowercase());
        step.input.insert(0, from);
        step.output.push(to.clone());
        from = to;
    }
    graph.node.splice(0..0, steps);
}

/// Pins the batch of an output to one, and makes its values f32.
pub(super) fn adapt_output(graph: &mut GraphProto, output: usize) {
    let values = &mut graph.output[output];
    set_batch_to_one(values);
    let halves = [
        DataType::Float16 as i32,
        DataType::Bfloat16 as i32,
        DataType::Double as i32,
    ];
    let Some(tensor) = tensor_type(values).filter(|tensor| halves.contains(&tensor.elem_type))
    else {
        return;
    };
    tensor.elem_type = DataType::Float as i32;
    let inner = values.name.clone();
    values.name += "_f32";
    let mut step = cast(DataType::Float as i32);
    step.name = format!("{inner}_cast");
    step.input.push(inner);
    step.output.push(graph.output[output].name.clone());
    graph.node.push(step);
}

fn node(op_type: &str, more_inputs: &[&str], attribute: Option<AttributeProto>) -> NodeProto {
    NodeProto {
        op_type: op_type.to_owned(),
        input: more_inputs.iter().map(|name| (*name).to_owned()).collect(),
        attribute: attribute.into_iter().collect(),
        ..NodeProto::default()
    }
}

fn cast(to: i32) -> NodeProto {
    let to = AttributeProto {
        name: "to".to_owned(),
        r#type: AttributeType::Int as i32,
        i: to.into(),
        ..AttributeProto::default()
    };
    node("Cast", &[], Some(to))
}

pub(super) fn tensor_type(value: &mut ValueInfoProto) -> Option<&mut Tensor> {
    // The one kind of value that tract knows.
    let type_proto::Value::TensorType(tensor) = value.r#type.as_mut()?.value.as_mut()?;
    Some(tensor)
}

pub(super) fn dimensions(tensor: &mut Tensor) -> &mut [Dimension] {
    tensor
        .shape
        .as_mut()
        .map_or(&mut [], |shape| &mut shape.dim)
}

fn set_batch_to_one(value: &mut ValueInfoProto) {
    if let Some(tensor) = tensor_type(value)
        && let Some(batch) = dimensions(tensor).first_mut()
        && !matches!(batch.value, Some(Value::DimValue(1..)))
    {
        batch.value = Some(Value::DimValue(1));
    }
}
