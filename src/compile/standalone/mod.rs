//! An ONNX file as others' exporters leave it, made into one that stands alone: weights inside, a batch of one, input
//! and output as sessions take them.

mod ending;
mod external;
mod interface;
mod values;

use std::path::Path;

use thiserror::Error;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::Dimension;
use tract_onnx::pb::tensor_shape_proto::dimension::Value;
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto, ValueInfoProto};

pub use ending::drop_softmax;
pub use external::{ExternalError, first_external};

use external::{is_external, take_in};
use interface::{adapt_input, adapt_output, dimensions, tensor_type};
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
/// - an input of N x H x W x 3, as TensorFlow's converters leave it, a grey one, or one of another type than f32 becomes
///   one of N x 3 x H x W, f32;
/// - outputs of other floating point types become f32.
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
    for output in 0..graph.output.len() {
        adapt_output(graph, output);
    }
    if let Some(picture) = picture(graph) {
        adapt_input(graph, picture);
    }
    // What exporters note of shapes in between holds for the free batch.
    graph.value_info.clear();
    Ok(())
}

/// Names of what the model gives.
pub fn outputs(model: &ModelProto) -> impl Iterator<Item = &str> {
    let graph = model.graph.iter();
    graph.flat_map(|graph| graph.output.iter().map(|output| output.name.as_str()))
}

/// Leaves only the output of this name.
pub fn keep_output(model: &mut ModelProto, name: &str) {
    if let Some(graph) = &mut model.graph {
        graph.output.retain(|output| output.name == name);
    }
}

/// Whether the model's input is 8-bit levels. To be asked before [`standalone`].
pub fn takes_levels(model: &mut ModelProto) -> bool {
    let tensor = model.graph.as_mut().and_then(|graph| {
        let picture = picture(graph)?;
        tensor_type(&mut graph.input[picture])
    });
    tensor.is_some_and(|tensor| tensor.elem_type == DataType::Uint8 as i32)
}

/// Whether height and width of the input are free. To be asked after [`standalone`].
pub fn is_free_size(model: &mut ModelProto) -> bool {
    let tensor = model.graph.as_mut().and_then(|graph| {
        let picture = picture(graph)?;
        tensor_type(&mut graph.input[picture])
    });
    let is_free = |dimension: &Dimension| !matches!(dimension.value, Some(Value::DimValue(_)));
    tensor.is_some_and(|tensor| dimensions(tensor).iter().skip(2).all(is_free))
}

/// Which of the inputs is the picture, if there is one only. Before version 4 of the format, weights are inputs, too.
fn picture(graph: &GraphProto) -> Option<usize> {
    let is_weight = |input: &ValueInfoProto| {
        let mut weights = graph.initializer.iter();
        weights.any(|tensor| tensor.name == input.name)
    };
    let inputs = graph.input.iter().enumerate();
    let mut pictures = inputs.filter(|(_, input)| !is_weight(input));
    match (pictures.next(), pictures.next()) {
        (Some((index, _)), None) => Some(index),
        _ => None,
    }
}

/// All of a graph's, also of the graphs in it: the branches of an If, the body of a Loop.
fn tensors(graph: &mut GraphProto) -> Box<dyn Iterator<Item = &mut TensorProto> + '_> {
    let attributes = graph.node.iter_mut().flat_map(|node| &mut node.attribute);
    let inner = attributes.flat_map(|attribute| {
        let graph = attribute.g.as_mut();
        attribute
            .t
            .iter_mut()
            .chain(graph.into_iter().flat_map(tensors))
    });
    Box::new(graph.initializer.iter_mut().chain(inner))
}
