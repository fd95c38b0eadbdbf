//! A graph and its weights as an ONNX file.

mod nodes;
mod parameter;

use std::io::{self, Write};

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use thiserror::Error;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorProto};

use self::parameter::Parameter;
use super::{Graph, Weights, WeightsError};

/// Versions of the ONNX operator set that can be written.
pub const OPSETS: std::ops::RangeInclusive<i64> = 13..=21;

/// Written in this version of the format, the oldest that has these opsets, so that older runtimes read it too.
const IR_VERSION: i64 = 8;

/// Numbers of the fields that are written by hand (onnx.proto).
const MODEL_GRAPH: u32 = 7;
const GRAPH_INITIALIZER: u32 = 5;
const TENSOR_RAW_DATA: u32 = 9;

/// What to write.
pub struct Export<'a> {
    pub graph: &'a Graph,
    /// Must have been checked to fit the graph.
    pub weights: &'a Weights,
    /// One of [`OPSETS`].
    pub opset: i64,
    /// Fold batch normalisation into the convolutions before it.
    pub fold_bn: bool,
    /// Name of the network.
    pub name: &'a str,
    /// Properties of the model, by key.
    pub metadata: Vec<(String, String)>,
}

#[derive(Debug, Error)]
pub enum ExportError {
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error("cannot write the model")]
    Write(#[from] io::Error),
}

impl Export<'_> {
    /// Writes the model. The weights follow one by one as they are read, so that the file is never in memory as a
    /// whole.
    pub fn write(&self, out: &mut dyn Write) -> Result<(), ExportError> {
        let (graph, parameters) = nodes::lower(self);
        let model = ModelProto {
            ir_version: IR_VERSION,
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: self.opset,
            }],
            producer_name: env!("CARGO_PKG_NAME").to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            metadata_props: self
                .metadata
                .iter()
                .map(|(key, value)| StringStringEntryProto {
                    key: key.clone(),
                    value: value.clone(),
                })
                .collect(),
            ..ModelProto::default()
        };
        // A message is its fields one after the other, in any order: the graph and its weights come last.
        let weights: usize = parameters
            .iter()
            .map(|p| delimited_len(GRAPH_INITIALIZER, tensor_len(p)))
            .sum();
        let mut bytes = model.encode_to_vec();
        begin(MODEL_GRAPH, graph.encoded_len() + weights, &mut bytes);
        bytes.extend(graph.encode_to_vec());
        out.write_all(&bytes)?;
        for parameter in &parameters {
            bytes.clear();
            begin(GRAPH_INITIALIZER, tensor_len(parameter), &mut bytes);
            bytes.extend(header(parameter).encode_to_vec());
            begin(TENSOR_RAW_DATA, raw_len(parameter), &mut bytes);
            out.write_all(&bytes)?;
            bytes.clear();
            for value in parameter.values(self.weights)? {
                bytes.extend_from_slice(&value.to_le_bytes());
            }
            out.write_all(&bytes)?;
        }
        Ok(out.flush()?)
    }
}

/// A tensor's message but for its values.
fn header(parameter: &Parameter) -> TensorProto {
    TensorProto {
        dims: parameter.shape.iter().map(|n| *n as i64).collect(),
        data_type: DataType::Float as i32,
        name: parameter.name.clone(),
        ..TensorProto::default()
    }
}

fn raw_len(parameter: &Parameter) -> usize {
    size_of::<f32>() * parameter.shape.iter().product::<usize>()
}

fn tensor_len(parameter: &Parameter) -> usize {
    header(parameter).encoded_len() + delimited_len(TENSOR_RAW_DATA, raw_len(parameter))
}

fn delimited_len(field: u32, len: usize) -> usize {
    key_len(field) + encoded_len_varint(len as u64) + len
}

/// Key and length of a field whose contents follow.
fn begin(field: u32, len: usize, bytes: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, bytes);
    encode_varint(len as u64, bytes);
}
