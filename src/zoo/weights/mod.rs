//! Weights by name, whatever they come from.

mod pytorch;
mod safetensors;
mod synthetic;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub use self::synthetic::synthetic_tensor;

use self::pytorch::Checkpoint;
use self::safetensors::SafetensorsFile;
use super::TensorSpec;

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
    #[error("{path}: {problem}", path = path.display())]
    Damaged { path: PathBuf, problem: String },
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
                    "\n  {name}: {shape:?} is in the file, but not in the network"
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
mod tests {
    use super::*;

    fn spec(name: &str, shape: &[usize]) -> TensorSpec {
        TensorSpec {
            name: name.to_owned(),
            shape: shape.to_vec(),
        }
    }

    fn write(dir: &Path, tensors: &[(&str, &[usize], Vec<f32>)]) -> PathBuf {
        let bytes: Vec<(&str, &[usize], Vec<u8>)> = tensors
            .iter()
            .map(|(name, shape, values)| {
                (
                    *name,
                    *shape,
                    values.iter().flat_map(|v| v.to_le_bytes()).collect(),
                )
            })
            .collect();
        let views = bytes.iter().map(|(name, shape, bytes)| {
            let view = ::safetensors::tensor::TensorView::new(
                ::safetensors::Dtype::F32,
                shape.to_vec(),
                bytes,
            );
            (*name, view.unwrap())
        });
        let path = dir.join("weights.safetensors");
        ::safetensors::serialize_to_file(views, None, &path).unwrap();
        path
    }

    #[test]
    fn every_mismatch_is_listed() {
        let dir = tempfile::tempdir().unwrap();
        let path = write(
            dir.path(),
            &[
                ("a.weight", &[2], vec![1.0, 2.0]),
                ("b.weight", &[1, 2], vec![1.0, 2.0]),
                ("c.num_batches_tracked", &[1], vec![1.0]),
                ("d.weight", &[1], vec![1.0]),
            ],
        );
        let weights = Weights::File(FileWeights::open(&path, false).unwrap());
        weights
            .check(&[
                spec("a.weight", &[2]),
                spec("b.weight", &[1, 2]),
                spec("d.weight", &[1]),
            ])
            .unwrap();
        let error = weights
            .check(&[
                spec("a.weight", &[2]),
                spec("b.weight", &[2]),
                spec("e.weight", &[7]),
            ])
            .unwrap_err()
            .to_string();
        for part in [
            "weights.safetensors",
            "b.weight: expected [2], found [1, 2]",
            "e.weight: missing, expected [7]",
            "d.weight: [1] is in the file",
        ] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains("num_batches_tracked"));
    }

    #[test]
    fn values_that_are_not_numbers_are_refused_unless_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), &[("a.weight", &[2], vec![1.0, f32::NAN])]);
        let tensor = spec("a.weight", &[2]);
        let error = FileWeights::open(&path, false)
            .unwrap()
            .read(&tensor)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("a.weight") && error.contains("--allow-nan") && error.contains("1 of 2"),
            "{error}"
        );
        assert!(
            FileWeights::open(&path, true)
                .unwrap()
                .read(&tensor)
                .unwrap()[1]
                .is_nan()
        );
    }

    #[test]
    fn names_can_be_translated() {
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), &[("features.0.weight", &[2], vec![1.0, 2.0])]);
        let table = dir.path().join("names.csv");
        std::fs::write(&table, "conv_stem.weight,features.0.weight\n\n").unwrap();
        let mut weights = FileWeights::open(&path, false).unwrap();
        weights.rename(&table).unwrap();
        let tensor = spec("conv_stem.weight", &[2]);
        weights.check(std::slice::from_ref(&tensor)).unwrap();
        assert_eq!(weights.read(&tensor).unwrap(), [1.0, 2.0]);
        std::fs::write(&table, "a,b\nonly one\n").unwrap();
        assert!(
            weights
                .rename(&table)
                .unwrap_err()
                .to_string()
                .contains("line: 2")
        );
    }

    #[test]
    fn damaged_and_foreign_files_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let whole =
            std::fs::read(write(dir.path(), &[("a.weight", &[64], vec![1.0; 64])])).unwrap();
        let path = dir.path().join("damaged.safetensors");
        for bytes in [
            &whole[..whole.len() - 1],
            &whole[..20],
            &whole[..4],
            b"",
            &[0xff; 64][..],
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = FileWeights::open(&path, false)
                .map(|_| ())
                .unwrap_err()
                .to_string();
            assert!(error.contains("damaged.safetensors"), "{error}");
        }
        let other = dir.path().join("weights.ckpt");
        std::fs::write(&other, "x").unwrap();
        assert!(matches!(
            FileWeights::open(&other, false),
            Err(WeightsError::UnknownFormat { .. })
        ));
        let absent = dir.path().join("absent.safetensors");
        assert!(matches!(
            FileWeights::open(&absent, false),
            Err(WeightsError::Read { .. })
        ));
    }
}
