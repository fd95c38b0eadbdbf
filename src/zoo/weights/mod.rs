//! Weights by name, whatever they come from.

mod archive;
mod pickle;
mod pytorch;
mod safetensors;
mod synthetic;
mod trusted;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub use self::synthetic::synthetic_tensor;

use self::pytorch::Checkpoint;
use self::safetensors::SafetensorsFile;
use super::TensorSpec;
use crate::text::some;

/// Where the tensors of a network come from.
pub enum Weights {
    /// Made from their names and a seed: no training, but every runtime can make the same.
    Synthetic {
        seed: u64,
    },
    File(FileWeights),
}

/// Weights in a file, under the names of a `timm` state dict unless renamed.
pub struct FileWeights {
    path: PathBuf,
    file: Box<dyn TensorFile>,
    /// The name in the file of each of our names that has another there.
    renamed: BTreeMap<String, String>,
    allow_nan: bool,
}

/// A file of tensors.
trait TensorFile {
    /// Name and shape of every tensor, without reading the values.
    fn shapes(&self) -> BTreeMap<String, Vec<usize>>;

    /// The values of a tensor that `shapes` lists, converted to f32.
    fn read(&self, name: &str) -> Result<Vec<f32>, String>;
}

#[derive(Debug, Error)]
pub enum WeightsError {
    #[error("{path}: {source}", path = path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path}: not a regular file; expected a .safetensors file or a PyTorch checkpoint", path = path.display())]
    NotAFile { path: PathBuf },
    #[error("{path}: {problem}", path = path.display())]
    Damaged { path: PathBuf, problem: String },
    #[error(
        "{path}: the checkpoint names {names}, which weights have no need of; it may be meant to attack whoever loads \
         it with Python. Nothing in it was run. Take a .safetensors file, or a checkpoint of the state dict alone",
        path = path.display(), names = some(names)
    )]
    Foreign { path: PathBuf, names: Vec<String> },
    #[error(
        "{path}: expected a .safetensors file, or a PyTorch checkpoint ending in .pth, .pt or .bin",
        path = path.display()
    )]
    UnknownFormat { path: PathBuf },
    #[error("{path}: the weights do not fit this network:{}", list(mismatches), path = path.display())]
    Mismatch {
        path: PathBuf,
        mismatches: Vec<Mismatch>,
    },
    #[error("{path}: tensor {name}: {problem}", path = path.display())]
    Tensor {
        path: PathBuf,
        name: String,
        problem: String,
    },
    #[error(
        "{path}: tensor {name} holds values that are not finite numbers ({count} of {total}); the training diverged or \
         the file is damaged; --allow-nan exports it all the same",
        path = path.display()
    )]
    NotFinite {
        path: PathBuf,
        name: String,
        count: usize,
        total: usize,
    },
    #[error("{path}: not a table of two columns, our name and the weights' own: {source}", path = path.display())]
    Names { path: PathBuf, source: csv::Error },
}

/// How a tensor in a file differs from what a network needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    Missing {
        name: String,
        shape: Vec<usize>,
    },
    Shape {
        name: String,
        expected: Vec<usize>,
        found: Vec<usize>,
    },
    Unexpected {
        name: String,
        shape: Vec<usize>,
    },
}

/// Opens a regular file that is not empty, and tells its length. Of others, opening some waits for ever.
fn open_file(path: &Path) -> Result<(File, u64), WeightsError> {
    let bad = |source| WeightsError::Read {
        path: path.to_owned(),
        source,
    };
    let metadata = std::fs::metadata(path).map_err(bad)?;
    if !metadata.is_file() {
        return Err(WeightsError::NotAFile {
            path: path.to_owned(),
        });
    }
    if metadata.len() == 0 {
        return Err(WeightsError::Damaged {
            path: path.to_owned(),
            problem: "the file is empty; fetch it again".to_owned(),
        });
    }
    Ok((File::open(path).map_err(bad)?, metadata.len()))
}

fn list(mismatches: &[Mismatch]) -> String {
    let mut text = String::new();
    for mismatch in mismatches {
        let _ = match mismatch {
            Mismatch::Missing { name, shape } => {
                write!(text, "\n  {name}: missing, expected {shape:?}")
            }
            Mismatch::Shape {
                name,
                expected,
                found,
            } => {
                write!(text, "\n  {name}: expected {expected:?}, found {found:?}")
            }
            Mismatch::Unexpected { name, shape } => {
                write!(
                    text,
                    "\n  {name}: {shape:?} is in the file, but not in the network",
                    name = name.escape_debug()
                )
            }
        };
    }
    text
}

/// Kept by checkpoints beside the weights; nothing is computed from it.
fn is_bookkeeping(name: &str) -> bool {
    name.ends_with(".num_batches_tracked")
}

impl FileWeights {
    /// Opens a `.safetensors` file or a PyTorch checkpoint. Of the latter only tensors are read; no code in it runs.
    pub fn open(path: &Path, allow_nan: bool) -> Result<Self, WeightsError> {
        let extension = path
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap_or_default();
        let file: Box<dyn TensorFile> = match extension {
            "safetensors" => Box::new(SafetensorsFile::open(path)?),
            "pth" | "pt" | "bin" | "tar" => Box::new(Checkpoint::open(path)?),
            _ => {
                return Err(WeightsError::UnknownFormat {
                    path: path.to_owned(),
                });
            }
        };
        Ok(FileWeights {
            path: path.to_owned(),
            file,
            renamed: BTreeMap::new(),
            allow_nan,
        })
    }

    /// Reads a table of names for weights that use others than `timm`: CSV of ours and the file's, without a header.
    pub fn rename(&mut self, table: &Path) -> Result<(), WeightsError> {
        let bad = |source| WeightsError::Names {
            path: table.to_owned(),
            source,
        };
        let mut reader = csv::ReaderBuilder::new();
        reader.has_headers(false).trim(csv::Trim::All);
        for row in reader.from_path(table).map_err(bad)?.into_deserialize() {
            let (ours, theirs): (String, String) = row.map_err(bad)?;
            self.renamed.insert(ours, theirs);
        }
        Ok(())
    }

    fn name_in_file<'a>(&'a self, name: &'a str) -> &'a str {
        self.renamed.get(name).map_or(name, String::as_str)
    }

    /// Classes that the classifier distinguishes.
    fn classes(&self) -> Option<usize> {
        let shapes = self.file.shapes();
        shapes
            .get(self.name_in_file("classifier.weight"))?
            .first()
            .copied()
    }

    fn check(&self, tensors: &[TensorSpec]) -> Result<(), WeightsError> {
        let mut found = self.file.shapes();
        let mut mismatches = Vec::new();
        for TensorSpec { name, shape } in tensors {
            match found.remove(self.name_in_file(name)) {
                None => mismatches.push(Mismatch::Missing {
                    name: name.clone(),
                    shape: shape.clone(),
                }),
                Some(other) if other != *shape => mismatches.push(Mismatch::Shape {
                    name: name.clone(),
                    expected: shape.clone(),
                    found: other,
                }),
                Some(_) => {}
            }
        }
        found.retain(|name, _| !is_bookkeeping(name));
        mismatches.extend(
            found
                .into_iter()
                .map(|(name, shape)| Mismatch::Unexpected { name, shape }),
        );
        if mismatches.is_empty() {
            return Ok(());
        }
        Err(WeightsError::Mismatch {
            path: self.path.clone(),
            mismatches,
        })
    }

    fn read(&self, tensor: &TensorSpec) -> Result<Vec<f32>, WeightsError> {
        let name = self.name_in_file(&tensor.name);
        let values = self
            .file
            .read(name)
            .map_err(|problem| WeightsError::Tensor {
                path: self.path.clone(),
                name: name.to_owned(),
                problem,
            })?;
        let count = values.iter().filter(|value| !value.is_finite()).count();
        if count > 0 && !self.allow_nan {
            return Err(WeightsError::NotFinite {
                path: self.path.clone(),
                name: name.to_owned(),
                count,
                total: values.len(),
            });
        }
        Ok(values)
    }
}

impl Weights {
    /// Number of classes that the weights are for, if they are for a certain one.
    pub fn classes(&self) -> Option<usize> {
        match self {
            Weights::Synthetic { .. } => None,
            Weights::File(file) => file.classes(),
        }
    }

    /// Whether exactly these tensors are there; every difference is in the error.
    pub fn check(&self, tensors: &[TensorSpec]) -> Result<(), WeightsError> {
        match self {
            Weights::Synthetic { .. } => Ok(()),
            Weights::File(file) => file.check(tensors),
        }
    }

    /// The values of one tensor, in row-major order.
    pub fn read(&self, tensor: &TensorSpec) -> Result<Vec<f32>, WeightsError> {
        match self {
            Weights::Synthetic { seed } => Ok(synthetic_tensor(&tensor.name, &tensor.shape, *seed)),
            Weights::File(file) => file.read(tensor),
        }
    }

    /// Where the weights come from, for the model's metadata.
    pub fn source(&self) -> String {
        match self {
            Weights::Synthetic { seed } => format!("synthetic:{seed}"),
            Weights::File(file) => file
                .path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
