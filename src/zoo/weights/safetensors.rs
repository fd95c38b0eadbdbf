//! Weights in a `.safetensors` file.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::{TensorFile, WeightsError};
use crate::safetensors_header::{self, HeaderError};
use crate::zoo::floats::{self, FloatType};

pub(super) struct SafetensorsFile {
    file: File,
    metadata: Metadata,
    /// Where the tensors begin in the file.
    start: u64,
}

impl SafetensorsFile {
    pub(super) fn open(path: &Path) -> Result<Self, WeightsError> {
        let (mut file, len) = super::open_file(path)?;
        let (start, metadata) = safetensors_header::read(&mut file, len).map_err(|error| {
            let path = path.to_owned();
            match error {
                HeaderError::Read(source) => WeightsError::Read { path, source },
                error => WeightsError::Damaged {
                    path,
                    problem: format!("not a whole safetensors file ({error}); fetch it again"),
                },
            }
        })?;
        Ok(SafetensorsFile {
            file,
            metadata,
            start,
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
        let mut bytes = vec![0; end - begin];
        self.file
            .read_exact_at(&mut bytes, self.start + begin as u64)
            .map_err(|error| error.to_string())?;
        Ok(floats::decode(&bytes, float))
    }
}
