//! Weights in a `.safetensors` file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::{TensorFile, WeightsError};
use crate::zoo::floats::{self, FloatType};

pub(super) struct SafetensorsFile {
    file: File,
    metadata: Metadata,
    /// Where the tensors begin in the file.
    start: u64,
}

/// The length of the header, before it.
const HEADER_LEN: u64 = size_of::<u64>() as u64;

/// Longest header that the format allows.
const MAX_HEADER: u64 = 100_000_000;

impl SafetensorsFile {
    pub(super) fn open(path: &Path) -> Result<Self, WeightsError> {
        let (mut file, len) = super::open_file(path)?;
        let (header, metadata) = read_header(&mut file, len).map_err(|error| {
            // What the system says is no damage.
            if error.raw_os_error().is_some() {
                return WeightsError::Read {
                    path: path.to_owned(),
                    source: error,
                };
            }
            WeightsError::Damaged {
                path: path.to_owned(),
                problem: format!("not a whole safetensors file ({error}); fetch it again"),
            }
        })?;
        Ok(SafetensorsFile {
            file,
            metadata,
            start: HEADER_LEN + header,
        })
    }
}

/// Length of the header, and what it says, if that accounts for all `len` bytes of the file.
fn read_header(file: &mut File, len: u64) -> io::Result<(u64, Metadata)> {
    let damaged = |problem: String| io::Error::new(io::ErrorKind::InvalidData, problem);
    let rest = len
        .checked_sub(HEADER_LEN)
        .ok_or_else(|| damaged(format!("it has {len} bytes")))?;
    let mut header = [0; HEADER_LEN as usize];
    file.read_exact(&mut header)?;
    let header = u64::from_le_bytes(header);
    if header > rest.min(MAX_HEADER) {
        return Err(damaged(format!(
            "it announces a header of {header} bytes, and {rest} follow"
        )));
    }
    let mut json = vec![0; header as usize];
    file.read_exact(&mut json)?;
    // Checks that the tensors follow each other without gaps, and that their sizes are those of their shapes.
    let metadata: Metadata =
        serde_json::from_slice(&json).map_err(|error| damaged(error.to_string()))?;
    let (tensors, rest) = (metadata.data_len() as u64, rest - header);
    if tensors != rest {
        return Err(damaged(format!(
            "its tensors have {tensors} bytes, and {rest} follow the header"
        )));
    }
    Ok((header, metadata))
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
