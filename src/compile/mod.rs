//! From an ONNX file to what the engine runs.

mod onnx;
mod standalone;

pub use onnx::{OnnxError, load, parse};
pub use standalone::{ExternalError, StandaloneError, input_side, standalone};
