//! From an ONNX file to what the engine runs.

mod onnx;
mod standalone;

pub use onnx::{OnnxError, load, parse};
pub use standalone::{
    ExternalError, StandaloneError, drop_softmax, is_free_size, keep_output, outputs, standalone,
    takes_levels,
};
