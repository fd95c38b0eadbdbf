//! Networks of the mobile-efficient family: from definition strings and weights to ONNX.

mod activation;
mod definition;
mod floats;
mod graph;
mod network;
mod onnx;
mod registry;
mod weights;

pub use activation::Activation;
pub use definition::{BlockDef, BlockKind, DefinitionError, Problem};
pub use graph::{Conv, ConvPart, Graph, Node, NodeId, Op, TensorSpec};
pub use network::graph;
pub use onnx::{Export, ExportError, OPSETS};
pub use registry::{
    Accuracy, DepthRounding, Head, NetworkDef, Padding, ReduceFrom, Registry, RegistryError,
    SqueezeExcite, TfAccuracy,
};
pub use weights::{FileWeights, Mismatch, Weights, WeightsError, synthetic_tensor};
