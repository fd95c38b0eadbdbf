//! Weights in a `.safetensors` file.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, SafeTensors};

use super::{TensorFile, WeightsError};
use crate::zoo::floats::{self, FloatType};

pub(super) struct SafetensorsFile {
    bytes: Vec<u8>,
    metadata: Metadata,
    /// Where the tensors begin in `bytes`.
    start: usize,
}

/// The length of the header, before it.
const HEADER_LEN: usize = size_of::<u64>();

impl SafetensorsFile {
    pub(super) fn open(path: &Path) -> Result<Self, WeightsError> {
        let bytes = std::fs::read(path).map_err(|source| WeightsError::Read {
            path: path.to_owned(),
            source,
        })?;
        let (len, metadata) =
            SafeTensors::read_metadata(&bytes).map_err(|error| WeightsError::Damaged {
                path: path.to_owned(),
                problem: format!("not a whole safetensors file ({error}); fetch it again"),
            })?;
        Ok(SafetensorsFile {
            bytes,
            metadata,
            start: HEADER_LEN + len,
        })
    }
}

impl TensorFile for SafetensorsFile {
    fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let tensors = self.metadata.tensors();
        tensors
            .into_iter()
            .map(|(name, info)| (name, info.shape.clone()))
            .collect()
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, String> {
        let info = self.metadata.info(name).ok_or("is not in the file")?;
        let float = match info.dtype {
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
        let (begin, end) = info.data_offsets;
        let bytes = self
            .bytes
            .get(self.start + begin..self.start + end)
            .ok_or("reaches past the end")?;
        Ok(floats::decode(bytes, float))
    }
}
