//! Weights in a PyTorch checkpoint. The reader interprets the pickle as data: it runs nothing in it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use pytorch_reader::{DType, PytorchReader, Tensor};

use super::pickle::{self, Global};
use super::{TensorFile, WeightsError, archive, trusted};
use crate::panics;
use crate::zoo::floats::{self, FloatType};

pub(super) struct Checkpoint(HashMap<String, Tensor>);

/// Under which training programs nest the weights.
const NESTED: [&str; 4] = ["state_dict_ema.", "state_dict.", "model.", "module."];

/// Pickles of a checkpoint that PyTorch wrote before 1.6: a number that marks it, the version of the format, the
/// system's word sizes, the weights, the order of the storages behind them.
const LEGACY_PICKLES: usize = 5;

/// What marks it, in its first bytes.
const LEGACY_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const LEGACY_MAGIC_WITHIN: usize = 64;

/// Where a tar archive has its magic.
const TAR_MAGIC: (usize, &[u8]) = (257, b"ustar");

impl Checkpoint {
    pub(super) fn open(path: &Path) -> Result<Self, WeightsError> {
        let (mut file, _) = super::open_file(path)?;
        let damaged = |problem: String| WeightsError::Damaged {
            path: path.to_owned(),
            problem: format!("cannot be read as a PyTorch checkpoint: {problem}"),
        };
        let explain = |panic| damaged(format!("the reader failed ({panic})"));
        let globals = panics::guard(|| globals(&mut file).map_err(damaged), explain)?;
        let foreign: Vec<String> = globals
            .iter()
            .filter(|global| !trusted::is_expected(global))
            .map(|Global { module, name }| format!("{module}.{name}").escape_debug().to_string())
            .collect();
        if !foreign.is_empty() {
            return Err(WeightsError::Foreign {
                path: path.to_owned(),
                names: foreign,
            });
        }
        let read = || PytorchReader::new(path).map_err(|error| damaged(error.to_string()));
        let mut tensors = panics::guard(read, explain)?.into_tensors();
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

/// What the pickles of a checkpoint name. The containers are those of the reader but for tar and the plain pickle: the
/// one is older than any of these networks, the other has no room for tensors.
fn globals(file: &mut File) -> Result<BTreeSet<Global>, String> {
    let mut start = Vec::new();
    file.take(512)
        .read_to_end(&mut start)
        .and_then(|_| file.rewind())
        .map_err(|error| error.to_string())?;
    let magic = &start[..start.len().min(LEGACY_MAGIC_WITHIN)];
    if start.starts_with(b"PK") {
        pickle::globals(&mut archive::pickle(file)?.as_slice())
    } else if magic
        .windows(LEGACY_MAGIC.len())
        .any(|bytes| bytes == LEGACY_MAGIC)
    {
        let mut reader = BufReader::new(file);
        let mut all = BTreeSet::new();
        for _ in 0..LEGACY_PICKLES {
            all.append(&mut pickle::globals(&mut reader)?);
        }
        Ok(all)
    } else if start[TAR_MAGIC.0.min(start.len())..].starts_with(TAR_MAGIC.1) {
        Err(
            "it is a tar archive, the format of PyTorch before 0.1.10; load and save it with a newer one"
                .to_owned(),
        )
    } else {
        Err(
            "it is neither the zip archive that PyTorch writes nor the stream that PyTorch before 1.6 wrote; \
             fetch it again"
                .to_owned(),
        )
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
        let read = || tensor.read().map_err(|error| error.to_string());
        let bytes = panics::guard(read, |panic| format!("the reader failed ({panic})"))?;
        Ok(floats::decode(&bytes, float))
    }
}
