//! Weights in files beside the model's: <https://onnx.ai/onnx/repo-docs/ExternalData.html>.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use thiserror::Error;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto};

#[derive(Debug, Error)]
pub enum ExternalError {
    #[error(
        "tensor {tensor}: its data are said to be in '{location}'; only files in the model's own directory or below \
         are read, also where a link leads; copy it there"
    )]
    Outside { tensor: String, location: String },
    #[error("tensor {tensor}: its data are in {path}: {source}", path = path.display())]
    Data {
        tensor: String,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "tensor {tensor}: its data are said to be {length} bytes from {offset} on in {path}, which has {size} bytes; \
         the files do not belong together, or were cut short",
        path = path.display()
    )]
    Range {
        tensor: String,
        path: PathBuf,
        offset: u64,
        length: u64,
        size: u64,
    },
    #[error("tensor {tensor}: {key} of its data is '{value}'")]
    Entry {
        tensor: String,
        key: String,
        value: String,
    },
    #[error(
        "tensor {tensor}: {dims:?} values take {expected} bytes, but its data are said to be {length} bytes in {path}",
        path = path.display()
    )]
    Size {
        tensor: String,
        path: PathBuf,
        dims: Vec<i64>,
        expected: u64,
        length: u64,
    },
    #[error("tensor {tensor}: data of type {kind} in another file are not supported")]
    Type { tensor: String, kind: String },
    #[error("the weights come to more than 2 GB, which is what one ONNX file can hold")]
    TooLarge,
}

/// As much as one message of protobuf can hold.
const MOST_BYTES: u64 = (2 << 30) - (1 << 20);

/// Where weights are that are not in the model's own file.
pub fn first_external(model: &ModelProto) -> Option<&str> {
    first_in(model.graph.as_ref()?)
}

fn first_in(graph: &GraphProto) -> Option<&str> {
    let attributes = || graph.node.iter().flat_map(|node| &node.attribute);
    let constants = attributes().filter_map(|attribute| attribute.t.as_ref());
    let mut tensors = graph.initializer.iter().chain(constants);
    let location = |tensor| entry(tensor, "location").unwrap_or_default();
    tensors.find(|t| is_external(t)).map(location).or_else(|| {
        // The branches of an If, the body of a Loop.
        let graphs = attributes().filter_map(|attribute| attribute.g.as_ref());
        graphs.flat_map(first_in).next()
    })
}

pub(super) fn is_external(tensor: &TensorProto) -> bool {
    tensor.data_location == Some(DataLocation::External as i32)
}

fn entry<'a>(tensor: &'a TensorProto, key: &str) -> Option<&'a str> {
    let found = tensor.external_data.iter().find(|entry| entry.key == key);
    found.map(|entry| entry.value.as_str())
}

/// Reads the data of `tensor` from the file in or below `directory` that it names. `total` counts the bytes of all.
pub(super) fn take_in(
    tensor: &mut TensorProto,
    directory: &Path,
    total: &mut u64,
) -> Result<(), ExternalError> {
    let name = || tensor.name.clone();
    let number = |key: &str| match entry(tensor, key) {
        None => Ok(None),
        Some(value) => value.parse().map(Some).map_err(|_| ExternalError::Entry {
            tensor: name(),
            key: key.to_owned(),
            value: value.to_owned(),
        }),
    };
    let location = entry(tensor, "location").unwrap_or_default();
    let (offset, length): (Option<u64>, Option<u64>) = (number("offset")?, number("length")?);
    let path = directory.join(location);
    let failed = |source| ExternalError::Data {
        tensor: name(),
        path: path.clone(),
        source,
    };
    // Links are followed before it is asked where the file is.
    let directory = directory.canonicalize().map_err(failed)?;
    let real = path.canonicalize().map_err(failed)?;
    if !real.starts_with(&directory) || !real.is_file() {
        return Err(ExternalError::Outside {
            tensor: name(),
            location: location.to_owned(),
        });
    }
    let mut file = File::open(&real).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let offset = offset.unwrap_or(0);
    let length = length.unwrap_or_else(|| size.saturating_sub(offset));
    if offset.checked_add(length).is_none_or(|end| end > size) {
        return Err(ExternalError::Range {
            tensor: name(),
            path: path.clone(),
            offset,
            length,
            size,
        });
    }
    let expected = byte_len(tensor)?;
    if length != expected {
        return Err(ExternalError::Size {
            tensor: name(),
            path: path.clone(),
            dims: tensor.dims.clone(),
            expected,
            length,
        });
    }
    *total += length;
    if *total > MOST_BYTES {
        return Err(ExternalError::TooLarge);
    }
    let mut data = Vec::new();
    file.seek(SeekFrom::Start(offset))
        .and_then(|_| file.take(length).read_to_end(&mut data))
        .map_err(failed)?;
    tensor.raw_data = data;
    tensor.data_location = None;
    tensor.external_data.clear();
    Ok(())
}

/// What the values of a tensor take, by its dimensions and type.
fn byte_len(tensor: &TensorProto) -> Result<u64, ExternalError> {
    let kind = DataType::try_from(tensor.data_type);
    let bytes = match kind {
        Ok(DataType::Double | DataType::Int64 | DataType::Uint64) => 8,
        Ok(DataType::Float | DataType::Int32 | DataType::Uint32) => 4,
        Ok(DataType::Float16 | DataType::Bfloat16 | DataType::Int16 | DataType::Uint16) => 2,
        Ok(DataType::Int8 | DataType::Uint8 | DataType::Bool) => 1,
        other => {
            return Err(ExternalError::Type {
                tensor: tensor.name.clone(),
                kind: other
                    .map_or_else(|_| tensor.data_type.to_string(), |kind| format!("{kind:?}")),
            });
        }
    };
    let count = tensor.dims.iter().try_fold(bytes, |product: u64, dim| {
        product.checked_mul(u64::try_from(*dim).ok()?)
    });
    count.ok_or(ExternalError::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::standalone::standalone;
    use tract_onnx::pb::{AttributeProto, NodeProto, StringStringEntryProto};

    fn external(entries: &[(&str, &str)]) -> ModelProto {
        let entries = entries.iter().map(|(key, value)| StringStringEntryProto {
            key: key.to_string(),
            value: value.to_string(),
        });
        let tensor = TensorProto {
            name: "w".to_owned(),
            dims: vec![2],
            data_type: DataType::Float as i32,
            data_location: Some(DataLocation::External as i32),
            external_data: entries.collect(),
            ..TensorProto::default()
        };
        let graph = GraphProto {
            initializer: vec![tensor],
            ..GraphProto::default()
        };
        ModelProto {
            graph: Some(graph),
            ..ModelProto::default()
        }
    }

    #[test]
    fn weights_in_another_file_are_taken_in() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("model");
        std::fs::create_dir_all(directory.join("data")).unwrap();
        std::fs::write(directory.join("data/w.bin"), [9, 1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        let place = ("location", "data/w.bin");
        let mut model = external(&[place, ("offset", "1"), ("length", "8")]);
        assert_eq!(first_external(&model), Some("data/w.bin"));
        standalone(&mut model, &directory, false).unwrap();
        assert_eq!(first_external(&model), None);
        let tensor = &model.graph.unwrap().initializer[0];
        assert_eq!(tensor.raw_data, [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn weights_of_a_branch_are_found() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("w.bin"), [1; 8]).unwrap();
        let mut branch = external(&[("location", "w.bin")]).graph;
        for kind in ["then_branch", "loop body"] {
            let attribute = AttributeProto {
                name: kind.to_owned(),
                g: branch,
                ..AttributeProto::default()
            };
            let node = NodeProto {
                attribute: vec![attribute],
                ..NodeProto::default()
            };
            branch = Some(GraphProto {
                node: vec![node],
                ..GraphProto::default()
            });
        }
        let mut model = ModelProto {
            graph: branch,
            ..ModelProto::default()
        };
        assert_eq!(first_external(&model), Some("w.bin"));
        standalone(&mut model, root.path(), false).unwrap();
        assert_eq!(first_external(&model), None);
    }

    #[test]
    fn nothing_outside_the_models_directory_is_read() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("model");
        std::fs::create_dir(&directory).unwrap();
        let secret = root.path().join("secret.bin");
        std::fs::write(&secret, [0; 8]).unwrap();
        std::fs::write(directory.join("w.bin"), [0; 8]).unwrap();
        std::os::unix::fs::symlink(&secret, directory.join("link.bin")).unwrap();
        let absolute = secret.to_str().unwrap();
        struct Case<'a> {
            entries: &'a [(&'a str, &'a str)],
            says: &'a str,
        }
        let cases = [
            Case {
                entries: &[("location", "../secret.bin")],
                says: "'../secret.bin'",
            },
            Case {
                entries: &[("location", absolute)],
                says: absolute,
            },
            Case {
                entries: &[("location", "link.bin")],
                says: "'link.bin'",
            },
            Case {
                entries: &[("location", "")],
                says: "''",
            },
            Case {
                entries: &[],
                says: "''",
            },
            Case {
                entries: &[("location", "none.bin")],
                says: "none.bin",
            },
            Case {
                entries: &[("location", "w.bin"), ("length", "4")],
                says: "[2] values take 8 bytes",
            },
            Case {
                entries: &[("location", "w.bin"), ("length", "9")],
                says: "9 bytes from 0",
            },
            Case {
                entries: &[("location", "w.bin"), ("offset", "9")],
                says: "8 bytes",
            },
            Case {
                entries: &[
                    ("location", "w.bin"),
                    ("offset", "1"),
                    ("length", "18446744073709551615"),
                ],
                says: "cut short",
            },
            Case {
                entries: &[("location", "w.bin"), ("offset", "-1")],
                says: "offset",
            },
        ];
        for case in cases {
            let mut model = external(case.entries);
            let error = standalone(&mut model, &directory, false)
                .unwrap_err()
                .to_string();
            assert!(error.contains(case.says), "{}: {error}", case.says);
            assert!(error.contains("tensor w"), "{error}");
        }
    }
}
