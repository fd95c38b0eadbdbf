//! From an ONNX file to what the engine runs.

mod lower;
mod onnx;
mod standalone;

pub use lower::{NotCovered, lower};
pub use onnx::{OnnxError, load as load_graph, parse};
pub use standalone::{
    ExternalError, StandaloneError, drop_softmax, is_free_size, keep_output, outputs, standalone,
    takes_levels,
};

use crate::engine::Program;

/// Reads an ONNX classifier as [`load_graph`] does, and lowers it to the engine's layers. A network with a node that they
/// do not cover stays tract's.
pub fn load(onnx: &[u8], size: Option<(usize, usize)>) -> Result<Program, OnnxError> {
    let graph = load_graph(onnx, size)?;
    match lower(&graph) {
        Ok(net) => Ok(Program::Net(net)),
        Err(reason) => {
            log::info!("all of the network runs in tract, because of {reason}");
            Ok(Program::Graph(Box::new(graph)))
        }
    }
}
