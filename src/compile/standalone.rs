//! An ONNX file as others' exporters leave it, made into one that stands alone: weights inside, a batch of one,
//! logits as output.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use thiserror::Error;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataLocation;
use tract_onnx::pb::tensor_shape_proto::Dimension;
use tract_onnx::pb::tensor_shape_proto::dimension::Value;
use tract_onnx::pb::type_proto;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto,
};

#[derive(Debug, Error)]
pub enum StandaloneError {
    #[error(
        "tensor {tensor}: its data are said to be in '{location}'; only files in the model's own directory or below \
         are read"
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
}

/// Changes `model`, which comes from a file in `directory`:
/// - weights in other files, which must lie in or below `directory`, are taken in;
/// - the batch, free or not said, is one;
/// - an input of N x H x W x 3, as TensorFlow's converters leave it, becomes one of N x 3 x H x W;
/// - a softmax at the end goes, as the logits are what is wanted.
pub fn standalone(model: &mut ModelProto, directory: &Path) -> Result<(), StandaloneError> {
    let Some(graph) = &mut model.graph else {
        return Ok(());
    };
    for tensor in tensors(graph) {
        if is_external(tensor) {
            take_in(tensor, directory)?;
        }
    }
    drop_softmax(graph);
    let weights: Vec<&str> = graph
        .initializer
        .iter()
        .map(|tensor| tensor.name.as_str())
        .collect();
    // Before version 4 of the format, weights are inputs, too.
    let is_weight = |input: &ValueInfoProto| weights.contains(&input.name.as_str());
    let mut pictures = graph.input.iter_mut().filter(|input| !is_weight(input));
    if let (Some(picture), None) = (pictures.next(), pictures.next()) {
        set_batch_to_one(picture);
        if let Some(node) = channels_first(picture) {
            graph.node.insert(0, node);
        }
    }
    graph.output.iter_mut().for_each(set_batch_to_one);
    // What exporters note of shapes in between holds for the free batch.
    graph.value_info.clear();
    Ok(())
}

/// Where weights are that are not in the model's own file.
pub(super) fn first_external(model: &ModelProto) -> Option<&str> {
    let graph = model.graph.as_ref()?;
    let attributes = graph.node.iter().flat_map(|node| &node.attribute);
    let constants = attributes.filter_map(|attribute| attribute.t.as_ref());
    let tensor = graph
        .initializer
        .iter()
        .chain(constants)
        .find(|t| is_external(t))?;
    Some(entry(tensor, "location").unwrap_or_default())
}

fn tensors(graph: &mut GraphProto) -> impl Iterator<Item = &mut TensorProto> {
    let attributes = graph.node.iter_mut().flat_map(|node| &mut node.attribute);
    let constants = attributes.filter_map(|attribute| attribute.t.as_mut());
    graph.initializer.iter_mut().chain(constants)
}

fn is_external(tensor: &TensorProto) -> bool {
    tensor.data_location == Some(DataLocation::External as i32)
}

fn entry<'a>(tensor: &'a TensorProto, key: &str) -> Option<&'a str> {
    let found = tensor.external_data.iter().find(|entry| entry.key == key);
    found.map(|entry| entry.value.as_str())
}

/// <https://onnx.ai/onnx/repo-docs/ExternalData.html>
fn take_in(tensor: &mut TensorProto, directory: &Path) -> Result<(), StandaloneError> {
    let name = || tensor.name.clone();
    let number = |key: &str| match entry(tensor, key) {
        None => Ok(None),
        Some(value) => value.parse().map(Some).map_err(|_| StandaloneError::Entry {
            tensor: name(),
            key: key.to_owned(),
            value: value.to_owned(),
        }),
    };
    let location = entry(tensor, "location").unwrap_or_default();
    let (offset, length): (Option<u64>, Option<u64>) = (number("offset")?, number("length")?);
    let path = directory.join(location);
    let failed = |source| StandaloneError::Data {
        tensor: name(),
        path: path.clone(),
        source,
    };
    // Links are followed before it is asked where the file is.
    let directory = directory.canonicalize().map_err(failed)?;
    let real = path.canonicalize().map_err(failed)?;
    if !real.starts_with(&directory) || !real.is_file() {
        return Err(StandaloneError::Outside {
            tensor: name(),
            location: location.to_owned(),
        });
    }
    let mut file = File::open(&real).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let offset = offset.unwrap_or(0);
    let length = length.unwrap_or_else(|| size.saturating_sub(offset));
    if offset.checked_add(length).is_none_or(|end| end > size) {
        return Err(StandaloneError::Range {
            tensor: name(),
            path: path.clone(),
            offset,
            length,
            size,
        });
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

/// The dimensions of a tensor that has any.
fn dimensions(value: &mut ValueInfoProto) -> &mut [Dimension] {
    let kind = value.r#type.as_mut().and_then(|kind| kind.value.as_mut());
    match kind {
        Some(type_proto::Value::TensorType(tensor)) => tensor
            .shape
            .as_mut()
            .map_or(&mut [], |shape| &mut shape.dim),
        _ => &mut [],
    }
}

fn set_batch_to_one(value: &mut ValueInfoProto) {
    if let Some(batch) = dimensions(value).first_mut()
        && !matches!(batch.value, Some(Value::DimValue(1..)))
    {
        batch.value = Some(Value::DimValue(1));
    }
}

/// Turns an input with the channels last into one with them first, and gives what turns it back for the network.
fn channels_first(input: &mut ValueInfoProto) -> Option<NodeProto> {
    let three = Some(Value::DimValue(3));
    match dimensions(input) {
        [_, height, width, channels] if channels.value == three && height.value != three => {
            std::mem::swap(width, channels);
            std::mem::swap(height, width);
        }
        _ => return None,
    }
    let channels_last = input.name.clone();
    input.name += "_channels_first";
    Some(NodeProto {
        op_type: "Transpose".to_owned(),
        name: "channels_last".to_owned(),
        input: vec![input.name.clone()],
        output: vec![channels_last],
        attribute: vec![AttributeProto {
            name: "perm".to_owned(),
            r#type: AttributeType::Ints as i32,
            ints: vec![0, 2, 3, 1],
            ..AttributeProto::default()
        }],
        ..NodeProto::default()
    })
}

/// Takes the input of the softmax over the classes for the output, if it is the last thing done.
fn drop_softmax(graph: &mut GraphProto) {
    let [output] = graph.output.as_mut_slice() else {
        return;
    };
    let over_classes = |node: &NodeProto| {
        let axis = node
            .attribute
            .iter()
            .find(|attribute| attribute.name == "axis");
        axis.is_none_or(|axis| axis.i == 1 || axis.i == -1)
    };
    let is_last = |node: &NodeProto| {
        let softmax = node.op_type == "Softmax" && node.domain.is_empty();
        softmax && node.output == [output.name.as_str()] && over_classes(node)
    };
    let mut consumers = graph.node.iter().flat_map(|node| &node.input);
    let Some(place) = graph.node.iter().position(is_last) else {
        return;
    };
    if let [logits] = graph.node[place].input.as_slice()
        && !consumers.any(|name| *name == output.name)
    {
        output.name = logits.clone();
        graph.node.remove(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::pb::StringStringEntryProto;
    use tract_onnx::pb::tensor_proto::DataType;

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
        standalone(&mut model, &directory).unwrap();
        assert_eq!(first_external(&model), None);
        let tensor = &model.graph.unwrap().initializer[0];
        assert_eq!(tensor.raw_data, [1, 2, 3, 4, 5, 6, 7, 8]);
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
            let error = standalone(&mut model, &directory).unwrap_err().to_string();
            assert!(error.contains(case.says), "{}: {error}", case.says);
            assert!(error.contains("tensor w"), "{error}");
        }
    }

    fn node(op_type: &str, input: &str, output: &str) -> NodeProto {
        NodeProto {
            op_type: op_type.to_owned(),
            input: vec![input.to_owned()],
            output: vec![output.to_owned()],
            ..NodeProto::default()
        }
    }

    #[test]
    fn a_softmax_goes_only_if_it_is_the_end() {
        let outcome = |nodes: Vec<NodeProto>| {
            let mut graph = GraphProto {
                node: nodes,
                output: vec![ValueInfoProto {
                    name: "y".to_owned(),
                    ..ValueInfoProto::default()
                }],
                ..GraphProto::default()
            };
            drop_softmax(&mut graph);
            (graph.node.len(), graph.output[0].name.clone())
        };
        let softmax = node("Softmax", "logits", "y");
        let before = node("Gemm", "x", "logits");
        assert_eq!(
            outcome(vec![before.clone(), softmax.clone()]),
            (1, "logits".to_owned())
        );
        assert_eq!(
            outcome(vec![before.clone(), node("Relu", "logits", "y")]).0,
            2
        );
        assert_eq!(outcome(vec![softmax.clone(), node("Relu", "y", "z")]).0, 2);
        let mut over_batch = softmax;
        over_batch.attribute.push(AttributeProto {
            name: "axis".to_owned(),
            i: 0,
            ..AttributeProto::default()
        });
        assert_eq!(outcome(vec![before, over_batch]).0, 2);
    }
}
