//! Four pixels of each channel in 32 bits, as processors multiply and add bytes.

#[cfg(target_arch = "x86_64")]
use edge_classify_kernels::Avx512;
use edge_classify_kernels::{Isa, Simd};

#[cfg(target_arch = "aarch64")]
use super::neon;
#[cfg(target_arch = "x86_64")]
use crate::simd::run;
use crate::simd::{LevelKernel, LevelRange, Levels};

/// Vectors of bytes, four for each lane of a vector of sums. A byte's value in products is its level and
/// [`Quads::OFFSET`].
///
/// Of the channels in a vector, the quad `q` holds those at the places `16 l + 4 q + e`, with `e` from 0 to 3, at the
/// places `4 l + e`: unpacking bytes, then pairs, in parts of 16 bytes gives this order at once.
///
/// # Safety
/// As of [`Levels`].
pub(super) unsafe trait Quads: Copy {
    /// The vectors that sums are in, and what becomes of them.
    type Levels: Levels;
    /// `BYTES` bytes.
    type Bytes: Copy;
    const BYTES: usize = 4 * <Self::Levels as Simd>::LANES;
    /// What a stored byte's value is above its level's.
    const OFFSET: i32;
    /// Rows of the output that a tile has where it has one or two columns.
    const ROWS: usize;
    /// Tiles beside each other that a vector may be shared by, if they have channels for a part of it alone.
    const MOST_SETS: usize;
    /// Whether some bytes are loaded and stored by single instructions.
    const MASKED_BYTES: bool;

    fn levels(self) -> Self::Levels;
    fn bytes(self, byte: u8) -> Self::Bytes;
    /// # Safety
    /// `from` is valid for reading `BYTES` bytes.
    unsafe fn load_bytes(self, from: *const u8) -> Self::Bytes;
    /// The first `count` bytes of each of `SETS` parts of a vector, which are `apart` bytes apart in memory. What is in
    /// the others is not told.
    ///
    /// # Safety
    /// So many bytes are valid for reading, and `count * SETS <= BYTES`.
    unsafe fn load_parts<const SETS: usize>(
        self,
        from: *const u8,
        apart: usize,
        count: usize,
    ) -> Self::Bytes;
    /// # Safety
    /// `to` is valid for writing `BYTES` bytes.
    unsafe fn store_bytes(self, to: *mut u8, v: Self::Bytes);
    /// Stores the first `count` bytes of each of the first `parts` of `SETS` parts.
    ///
    /// # Safety
    /// So many bytes are valid for writing, and `count * SETS <= BYTES`.
    unsafe fn store_parts<const SETS: usize>(
        self,
        to: *mut u8,
        apart: usize,
        count: usize,
        parts: usize,
        v: Self::Bytes,
    );
    /// The first `count` bytes; bytes of value 0 in products after these.
    fn keep(self, v: Self::Bytes, count: usize) -> Self::Bytes;
    fn quads(self, pixels: [Self::Bytes; 4]) -> [Self::Bytes; 4];
    /// Adds to each sum the four products of a quad with signed bytes.
    ///
    /// # Safety
    /// `weights` is valid for reading `BYTES` bytes, from a multiple of as many on; none is -128.
    unsafe fn dot(self, sum: Sum<Self>, quad: Self::Bytes, weights: *const i8) -> Sum<Self>;
    /// # Safety
    /// `to` is valid for writing as many values as there are sums.
    unsafe fn store_integers(self, to: *mut i32, v: Sum<Self>);
    /// The bytes of levels for what four quads gave, in the order of channels: as [`Requantization`] rounds `t`.
    ///
    /// [`Requantization`]: crate::Requantization
    fn pack(self, t: [<Self::Levels as Simd>::V; 4], range: LevelRange) -> Self::Bytes;
}

/// A vector of sums.
pub(super) type Sum<S> = <<S as Quads>::Levels as Levels>::I;

/// Those of four quads.
pub(super) type Sums<S> = [Sum<S>; 4];

/// A kernel with its arguments, to be run with vectors of quads.
pub(super) trait QuadKernel {
    type Output;

    /// Must be `#[inline(always)]`, and so must be all it calls that uses `simd`.
    fn run<S: Quads>(self, simd: S) -> Self::Output;
}

/// Runs a kernel of quads where the processor's features are enabled.
struct Call<S, K>(S, K);

impl<Q: Quads, K: QuadKernel> LevelKernel for Call<Q, K> {
    type Output = K::Output;

    #[inline(always)]
    fn run<S: Levels>(self, _: S) -> K::Output {
        self.1.run(self.0)
    }
}

/// Runs `kernel` with an instruction set's vectors of quads; `None` if it has none.
pub(super) fn run_quads<K: QuadKernel>(isa: Isa, kernel: K) -> Option<K::Output> {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512(simd) if run(isa, Lanes) == Avx512::LANES => {
            Some(simd.call_levels(Call(simd, kernel)))
        }
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512(simd) => Some(simd.half().call_levels(Call(simd.half(), kernel))),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(simd) => Some(simd.call_levels(Call(simd, kernel))),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon(simd) => Some(match neon::Dot::new(simd) {
            Some(dot) => simd.call_levels(Call(dot, kernel)),
            None => simd.call_levels(Call(neon::Pairs::new(simd), kernel)),
        }),
        Isa::Portable(_) => None,
    }
}

/// The lanes of the vectors that kernels are run with.
#[cfg(target_arch = "x86_64")]
struct Lanes;

#[cfg(target_arch = "x86_64")]
impl LevelKernel for Lanes {
    type Output = usize;

    #[inline(always)]
    fn run<S: Levels>(self, _: S) -> usize {
        S::LANES
    }
}
