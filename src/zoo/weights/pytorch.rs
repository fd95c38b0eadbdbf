//! Weights in a PyTorch checkpoint. The reader interprets the pickle as data: it runs nothing in it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use pytorch_reader::{DType, PytorchError, PytorchReader, Tensor};

use super::{TensorFile, WeightsError};
use crate::zoo::floats::{self, FloatType};

pub(super) struct Checkpoint(HashMap<String, Tensor>);

/// Under which training programs nest the weights.
const NESTED: [&str; 4] = ["state_dict_ema.", "state_dict.", "model.", "module."];

impl Checkpoint {
    pub(super) fn open(path: &Path) -> Result<Self, WeightsError> {
        let reader = PytorchReader::new(path).map_err(|error| match error {
            PytorchError::Io(source) if source.kind() == std::io::ErrorKind::NotFound => {
                WeightsError::Read {
                    path: path.to_owned(),
                    source,
                }
            }
            error => WeightsError::Damaged {
                path: path.to_owned(),
                problem: format!(
                    "cannot be read as a PyTorch checkpoint of tensors only ({error})"
                ),
            },
        })?;
        let mut tensors = reader.into_tensors();
        for prefix in NESTED {
            if tensors.keys().any(|name| name.starts_with(prefix)) {
                tensors = tensors
                    .into_iter()
                    .filter_map(|(name, tensor)| {
                        Some((name.strip_prefix(prefix)?.to_owned(), tensor))
                    })
                    .collect();
            }
        }
        Ok(Checkpoint(tensors))
    }
}

impl TensorFile for Checkpoint {
    fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        self.0
            .iter()
            .map(|(name, tensor)| (name.clone(), tensor.shape().to_vec()))
            .collect()
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, String> {
        let tensor = self.0.get(name).ok_or("is not in the file")?;
        let float = match tensor.dtype() {
            DType::F64 => FloatType::F64,
            DType::F32 => FloatType::F32,
            DType::F16 => FloatType::F16,
            DType::BF16 => FloatType::Bf16,
            other => {
                return Err(format!(
                    "is of type {other:?}; expected F32, F16, BF16 or F64"
                ));
            }
        };
        let bytes = tensor.read().map_err(|error| error.to_string())?;
        Ok(floats::decode(&bytes, float))
    }
}
