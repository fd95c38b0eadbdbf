//! ONNX to a decluttered, typed graph with fixed shapes.

use prost::Message;
use thiserror::Error;
use tract_core::internal::DimLike;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;

use super::{fake_quantize, standalone};
use crate::panics;

#[derive(Debug, Error)]
pub enum OnnxError {
    #[error("not an ONNX model that can be read: {0}")]
    Parse(String),
    #[error(
        "its weights are in another file, '{0}'; put all in one, and the model among the installed ones, with \
         edge-classify models import"
    )]
    External(String),
    #[error("needs one input, a picture as N x 3 x H x W; this model has {0}")]
    Input(String),
    #[error(
        "the input is {}x{} pixels (width x height), but {}x{} is asked for; correct preprocess.size in the model card",
        found.1,
        found.0,
        wanted.1,
        wanted.0
    )]
    SizeMismatch {
        /// Height and width.
        found: (usize, usize),
        wanted: (usize, usize),
    },
    #[error("needs one output of 1 x classes; this model has {0}")]
    Output(String),
    #[error("cannot be prepared for running: {0}")]
    Analyse(String),
}

/// Side of the square that the input is taken for when neither the model nor a card says.
const DEFAULT_SIZE: usize = 224;

/// Parses an ONNX file.
pub fn parse(onnx: &[u8]) -> Result<ModelProto, OnnxError> {
    let model = ModelProto::decode(onnx).map_err(|e| OnnxError::Parse(e.to_string()))?;
    match model.graph {
        Some(_) => Ok(model),
        // Every field may be absent from any message, so that quite other bytes can pass for one.
        None => Err(OnnxError::Parse("there is no network in it".to_owned())),
    }
}

/// Reads an ONNX classifier. A free batch dimension becomes 1; free height and width become
/// `size`, which must otherwise agree with the model's own. Sizes are of height and width.
pub fn load(onnx: &[u8], size: Option<(usize, usize)>) -> Result<TypedModel, OnnxError> {
    // tract asserts some properties of a graph instead of reporting them.
    panics::guard(|| load_unguarded(onnx, size), OnnxError::Analyse)
}

fn load_unguarded(onnx: &[u8], size: Option<(usize, usize)>) -> Result<TypedModel, OnnxError> {
    let proto = parse(onnx)?;
    if let Some(location) = standalone::first_external(&proto) {
        return Err(OnnxError::External(location.to_owned()));
    }
    let mut model = tract_onnx::onnx()
        .model_for_proto_model(&proto)
        .map_err(|e| OnnxError::Parse(chain(&e)))?;
    drop(proto);
    let fact = match model.input_outlets() {
        Ok([_]) => model
            .input_fact(0)
            .map_err(|e| OnnxError::Input(chain(&e)))?,
        Ok(inputs) => return Err(OnnxError::Input(format!("{} inputs", inputs.len()))),
        Err(e) => return Err(OnnxError::Input(chain(&e))),
    };
    let (height, width) = input_size(fact, size)?;
    model
        .set_input_fact(0, f32::fact([1, 3, height, width]).into())
        .map_err(|e| OnnxError::Analyse(chain(&e)))?;
    let model = model
        .into_typed()
        .and_then(|mut model| {
            fake_quantize::join_pairs(&mut model)?;
            model.into_decluttered()
        })
        .map_err(|e| OnnxError::Analyse(chain(&e)))?;
    check_output(&model)?;
    Ok(model)
}

/// Height and width to run at, from what the model declares and the card says.
fn input_size(
    fact: &InferenceFact,
    size: Option<(usize, usize)>,
) -> Result<(usize, usize), OnnxError> {
    let declared = |axis: usize| -> Option<usize> {
        let dim = fact.shape.dim(axis)?.concretize()?;
        dim.to_usize().ok()
    };
    let refuse = || OnnxError::Input(format!("an input of {fact:?}"));
    if let Some(datum_type) = fact.datum_type.concretize()
        && datum_type != DatumType::F32
    {
        return Err(refuse());
    }
    if fact.shape.rank().concretize().is_some_and(|rank| rank != 4)
        || declared(0).is_some_and(|batch| batch != 1)
        || declared(1).is_some_and(|channels| channels != 3)
    {
        return Err(refuse());
    }
    let (height, width) = (declared(2), declared(3));
    let fallback = size.unwrap_or_else(|| {
        let side = height.or(width).unwrap_or(DEFAULT_SIZE);
        (side, side)
    });
    let found = (height.unwrap_or(fallback.0), width.unwrap_or(fallback.1));
    if let Some(wanted) = size
        && wanted != found
    {
        return Err(OnnxError::SizeMismatch { found, wanted });
    }
    match found {
        (0, _) | (_, 0) => Err(refuse()),
        found => Ok(found),
    }
}

fn check_output(model: &TypedModel) -> Result<(), OnnxError> {
    let fact = match model.output_outlets() {
        Ok([_]) => model
            .output_fact(0)
            .map_err(|e| OnnxError::Output(chain(&e)))?,
        Ok(outputs) => return Err(OnnxError::Output(format!("{} outputs", outputs.len()))),
        Err(e) => return Err(OnnxError::Output(chain(&e))),
    };
    // Some exporters leave the classes as 1 x C x 1 x 1, others without a batch.
    let concrete = fact.shape.as_concrete();
    let is_classes = concrete.is_some_and(|shape| {
        shape.iter().all(|&d| d > 0) && shape.iter().filter(|&&d| d > 1).count() <= 1
    });
    if fact.datum_type != DatumType::F32 || !is_classes {
        return Err(OnnxError::Output(format!("an output of {fact:?}")));
    }
    Ok(())
}

/// tract's errors are chains whose first link alone says little.
fn chain(error: &TractError) -> String {
    format!("{error:#}")
}
