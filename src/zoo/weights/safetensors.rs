//! Weights in a `.safetensors` file.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use super::{TensorFile, WeightsError};
use crate::zoo::floats::{self, FloatType};

pub(super) struct SafetensorsFile(Vec<u8>);

impl SafetensorsFile {
    pub(super) fn open(path: &Path) -> Result<Self, WeightsError> {
        let bytes = std::fs::read(path).map_err(|source| WeightsError::Read {
            path: path.to_owned(),
            source,
        })?;
        SafeTensors::deserialize(&bytes).map_err(|error| WeightsError::Damaged {
            path: path.to_owned(),
            problem: format!("not a whole safetensors file ({error}); fetch it again"),
        })?;
        Ok(SafetensorsFile(bytes))
    }

    fn parsed(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.0).expect("was parsed when opened")
    }
}

impl TensorFile for SafetensorsFile {
    fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let tensors = self.parsed();
        tensors
            .iter()
            .map(|(name, view)| (name.to_owned(), view.shape().to_vec()))
            .collect()
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, String> {
        let tensors = self.parsed();
        let view = tensors.tensor(name).map_err(|error| error.to_string())?;
        let float = match view.dtype() {
            Dtype::F64 => FloatType::F64,
            Dtype::F32 => FloatType::F32,
            Dtype::F16 => FloatType::F16,
            Dtype::BF16 => FloatType::Bf16,
            other => {
                return Err(format!(
                    "is of type {other:?}; expected F32, F16, BF16 or F64"
                ));
            }
        };
        Ok(floats::decode(view.data(), float))
    }
}
