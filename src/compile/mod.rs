//! From an ONNX file to what the engine runs.

mod fake_quantize;
mod lower;
mod onnx;
mod standalone;

pub use lower::{NotCovered, lower};
pub use onnx::{OnnxError, load as load_graph, parse};
pub use standalone::{
    ExternalError, StandaloneError, drop_softmax, is_free_size, keep_output, outputs, standalone,
    takes_levels,
};

use crate::session::{Graph, Program};

/// Reads an ONNX classifier as [`load_graph`] does, into the engine's layers, with parts that tract runs. One that they
/// cover too little of stays tract's.
pub fn load(onnx: &[u8], size: Option<(usize, usize)>) -> Result<Program, OnnxError> {
    let graph = load_graph(onnx, size)?;
    Ok(match lower(&graph) {
        Ok(net) => Program::Net(net),
        Err(reason) => Program::Graph(Graph::new(graph, reason)),
    })
}
