//! Networks of the mobile-efficient family: from definition strings and weights to ONNX.

mod activation;
mod definition;
mod family;
mod floats;
mod graph;
mod network;
mod network_def;
mod onnx;
mod registry;
mod scaling;
mod weights;

pub use activation::Activation;
pub use definition::{BlockDef, BlockKind, DefinitionError, Problem};
pub use family::FamilyError;
pub use graph::{Conv, ConvPart, Graph, Node, NodeId, Op, TensorSpec};
pub use network::{GraphError, graph};
pub use network_def::{
    Accuracy, Cost, DepthRounding, Head, NetworkDef, Padding, ReduceFrom, SqueezeExcite, TfAccuracy,
};
pub use onnx::{Export, ExportError, OPSETS};
pub use registry::{Registry, RegistryError};
pub use weights::{FileWeights, Mismatch, Weights, WeightsError, synthetic_tensor};
