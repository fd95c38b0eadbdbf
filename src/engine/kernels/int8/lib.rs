//! Layers in 8-bit integers, on slices: NHWC, one picture. The same bits come out on every processor, as sums are of
//! integers and what follows them is done in IEEE f32 in a fixed order (see [`Requantization`]).
//!
//! A crate of its own beside the f32 kernels, whose vectors it uses: neither is compiled again for the other.

mod conv;
mod depthwise;
mod elementwise;
mod exact;
mod excite;
mod matrix;
mod peak;
mod picture;
mod pointwise;
mod pool;
mod product;
mod quantization;
mod quantize;
mod requantization;
mod rounding;
mod simd;

pub use conv::{PackedConv, conv};
pub use depthwise::{MOST_SUMMED, PackedDepthwise, depthwise};
pub use elementwise::{ActivationLevels, activate, add, multiply_channels};
pub use exact::exact_scalar;
pub use excite::{PackedExcite, excite};
pub use matrix::PackedMatrix;
pub use peak::multiply_adds;
pub use picture::Picture;
pub use pointwise::pointwise;
pub use pool::{Means, global_average, pool};
pub use product::Output;
pub use quantization::Quantization;
pub use quantize::{PictureLevels, dequantize, interleave_quantize, quantize, quantize_picture};
pub use requantization::{QuantizedWeights, Requantization};
pub use simd::flip;
