//! From a picture to the network's input tensor: decode, resize, crop, normalise.

mod decode;
mod jpeg;
mod size;
mod spec;
mod tf_resize;
mod torch_resize;
mod transform;

pub use decode::{DecodeError, decode_bytes, decode_file};
pub use size::Size;
pub use spec::{ColorOrder, Crop, Interpolation, Pipeline, Spec, SpecError};
pub use transform::{Transform, TransformError};
