//! An ONNX file as others' exporters leave it, made into one that stands alone: weights inside, a batch of one,
//! logits as output.

mod ending;
mod external;
mod values;

use std::path::Path;

use thiserror::Error;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_shape_proto::Dimension;
use tract_onnx::pb::tensor_shape_proto::dimension::Value;
use tract_onnx::pb::type_proto;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto,
};

pub use external::{ExternalError, first_external};

use ending::drop_softmax;
use external::{is_external, take_in};
use values::count_not_finite;

#[derive(Debug, Error)]
pub enum StandaloneError {
    #[error(transparent)]
    External(#[from] ExternalError),
    #[error(
        "tensor {tensor} holds values that are not finite numbers ({count}); the training diverged or the file is \
         damaged; --allow-nan imports it all the same"
    )]
    NotFinite { tensor: String, count: usize },
}

/// Changes `model`, which comes from a file in `directory`:
/// - weights in other files, which must lie in or below `directory`, are taken in;
/// - the batch, free or not said, is one;
/// - an input of N x H x W x 3, as TensorFlow's converters leave it, becomes one of N x 3 x H x W;
/// - a softmax at the end goes, as the logits are what is wanted.
///
/// Weights that are not numbers are refused unless `allow_nan`.
pub fn standalone(
    model: &mut ModelProto,
    directory: &Path,
    allow_nan: bool,
) -> Result<(), StandaloneError> {
    let Some(graph) = &mut model.graph else {
        return Ok(());
    };
    let mut total = 0;
    for tensor in tensors(graph) {
        if is_external(tensor) {
            take_in(tensor, directory, &mut total)?;
        }
        let count = count_not_finite(tensor);
        if count > 0 && !allow_nan {
            return Err(StandaloneError::NotFinite {
                tensor: tensor.name.clone(),
                count,
            });
        }
    }
    drop_softmax(graph);
    let weights: Vec<&str> = graph
        .initializer
        .iter()
        .map(|tensor| tensor.name.as_str())
        .collect();
    // Before version 4 of the format, weights are inputs, too.
    let is_weight = |input: &ValueInfoProto| weights.contains(&input.name.as_str());
    let mut pictures = graph.input.iter_mut().filter(|input| !is_weight(input));
    if let (Some(picture), None) = (pictures.next(), pictures.next()) {
        set_batch_to_one(picture);
        if let Some(node) = channels_first(picture) {
            graph.node.insert(0, node);
        }
    }
    graph.output.iter_mut().for_each(set_batch_to_one);
    // What exporters note of shapes in between holds for the free batch.
    graph.value_info.clear();
    Ok(())
}

/// Height of the input, where the model fixes it. To be asked after [`standalone`].
pub fn input_side(model: &ModelProto) -> Option<usize> {
    let graph = model.graph.as_ref()?;
    let is_weight = |name: &str| graph.initializer.iter().any(|tensor| tensor.name == name);
    let mut input = graph
        .input
        .iter()
        .find(|input| !is_weight(&input.name))?
        .clone();
    match dimensions(&mut input).get(2)?.value {
        Some(Value::DimValue(height)) => usize::try_from(height).ok(),
        _ => None,
    }
}

fn tensors(graph: &mut GraphProto) -> impl Iterator<Item = &mut TensorProto> {
    let attributes = graph.node.iter_mut().flat_map(|node| &mut node.attribute);
    let constants = attributes.filter_map(|attribute| attribute.t.as_mut());
    graph.initializer.iter_mut().chain(constants)
}

/// The dimensions of a tensor that has any.
fn dimensions(value: &mut ValueInfoProto) -> &mut [Dimension] {
    let kind = value.r#type.as_mut().and_then(|kind| kind.value.as_mut());
    match kind {
        Some(type_proto::Value::TensorType(tensor)) => tensor
            .shape
            .as_mut()
            .map_or(&mut [], |shape| &mut shape.dim),
        _ => &mut [],
    }
}

fn set_batch_to_one(value: &mut ValueInfoProto) {
    if let Some(batch) = dimensions(value).first_mut()
        && !matches!(batch.value, Some(Value::DimValue(1..)))
    {
        batch.value = Some(Value::DimValue(1));
    }
}

/// Turns an input with the channels last into one with them first, and gives what turns it back for the network.
fn channels_first(input: &mut ValueInfoProto) -> Option<NodeProto> {
    let three = Some(Value::DimValue(3));
    match dimensions(input) {
        [_, height, width, channels] if channels.value == three && height.value != three => {
            std::mem::swap(width, channels);
            std::mem::swap(height, width);
        }
        _ => return None,
    }
    let channels_last = input.name.clone();
    input.name += "_channels_first";
    Some(NodeProto {
        op_type: "Transpose".to_owned(),
        name: "channels_last".to_owned(),
        input: vec![input.name.clone()],
        output: vec![channels_last],
        attribute: vec![AttributeProto {
            name: "perm".to_owned(),
            r#type: AttributeType::Ints as i32,
            ints: vec![0, 2, 3, 1],
            ..AttributeProto::default()
        }],
        ..NodeProto::default()
    })
}
