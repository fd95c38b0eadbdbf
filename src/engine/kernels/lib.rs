//! The computations of a layer on slices, for each kind of processor: f32 or f16, NHWC, one picture.
//!
//! A crate of its own: it takes long to compile, and knows nothing of networks, files or cameras. All unsafe code of the
//! project is here and in the crate of int8 below, behind functions that check what they are given.

mod activation;
mod ahead;
mod compiled;
mod conv;
mod crew;
mod depthwise;
mod element;
mod elementwise;
mod excite;
mod expand;
mod interleave;
mod mapped;
mod memory;
mod normalize;
mod peak;
mod pointwise;
mod pool;
mod rows;
mod simd;
mod team;
mod transpose;
mod window;

pub use activation::Activation;
pub use ahead::part_of;
pub use conv::{PackedConv, conv};
pub use crew::Crew;
pub use depthwise::{PackedDepthwise, depthwise};
pub use element::Element;
pub use elementwise::{
    activate, add, add_in_place, multiply_channels, multiply_channels_in_place, scale_shift,
    scale_shift_in_place,
};
pub use excite::{PackedExcite, excite};
pub use expand::{Expansion, expand_depthwise};
pub use interleave::interleave;
pub use mapped::Mapped;
pub use memory::{LINE, Lines, Memory, Plain, values_of, values_of_mut};
pub use normalize::{Normalization, normalize};
pub use peak::multiply_adds;
pub use pointwise::{Epilogue, Factor, PackedMatrix, pointwise, pointwise_by_columns};
pub use pool::{Pool, global_average, pool};
pub use rows::{Ring, Rows, RowsMut};
#[cfg(target_arch = "x86_64")]
pub use simd::{Avx2, Avx512};
pub use simd::{Isa, Kernel, Portable, Simd};
#[cfg(target_arch = "aarch64")]
pub use simd::{Neon, NeonPair};
pub use team::Team;
pub use window::Window;
