//! From an ONNX file to what the engine runs.

mod onnx;

pub use onnx::{OnnxError, load};
