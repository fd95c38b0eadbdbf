//! Integers beside a processor's f32 vectors: accumulators of i32, and the bytes that levels are stored as.
//!
//! A kernel is generic over [`Levels`] and `#[inline(always)]`; [`run`] calls it inside a function that enables the
//! processor's features, as the f32 kernels are.

mod portable;
mod products;

#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod aside;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

#[cfg(target_arch = "aarch64")]
pub mod neon;
#[cfg(target_arch = "aarch64")]
pub mod neon_dot;
#[cfg(target_arch = "aarch64")]
mod neon_matrix;
#[cfg(target_arch = "aarch64")]
mod neon_pairs;

use edge_classify_kernels::{Isa, Simd};

use super::quantization::Quantization;
pub use products::{MOST_DEPTH, ProductKernel, Products, run_products};

/// What rounded values become: their zero point is added, and they are clamped.
#[derive(Debug, Clone, Copy)]
pub struct LevelRange {
    pub zero_point: i8,
    pub low: i8,
    pub high: i8,
}

impl LevelRange {
    /// From the lowest to the highest of some bounds.
    pub fn new(output: Quantization, (low, high): (i8, i8)) -> LevelRange {
        LevelRange {
            zero_point: output.zero_point,
            low,
            high,
        }
    }
}

/// What is here beside [`Levels::call_levels`] is for kernels that this runs.
///
/// # Safety
/// As of [`Simd`], or `call_levels` panics where the processor has not all features.
pub unsafe trait Levels: Simd<Element = f32> {
    /// `LANES` integers of 32 bits.
    type I: Copy;
    /// What a stored byte differs in from the level that it is for: 0x80 where bytes without a sign are multiplied by
    /// bytes with one, and 0 elsewhere.
    const FLIP: u8;

    /// Vectors of a row that [`Levels::store_rounded`] stores at a time, at most.
    const MOST_STORED: usize;

    /// Runs a kernel in a function of its own that enables the processor's features.
    fn call_levels<K: LevelKernel>(self, kernel: K) -> K::Output;
    /// Runs a kernel with the best instructions for products that the processor has.
    fn call_products<K: ProductKernel>(self, kernel: K) -> K::Output;
    fn integers(self, value: i32) -> Self::I;
    /// # Safety
    /// `from` is valid for reading `LANES` values.
    unsafe fn load_integers(self, from: *const i32) -> Self::I;
    fn add_integers(self, a: Self::I, b: Self::I) -> Self::I;
    /// The nearest f32; ties to even.
    fn to_floats(self, a: Self::I) -> Self::V;
    /// The nearest integer; ties to even. No lane may be beyond i32.
    fn round(self, a: Self::V) -> Self::I;
    /// The levels that the first `count` bytes are for, in the first lanes.
    ///
    /// # Safety
    /// `from` is valid for reading `count` bytes, and `count <= LANES`.
    unsafe fn load_levels(self, from: *const u8, count: usize) -> Self::I;
    /// How far the levels that the first `count` bytes are for are above a zero point, in the first lanes of `N`
    /// vectors.
    ///
    /// # Safety
    /// `from` is valid for reading `count` bytes, and `count <= N * LANES`.
    #[inline(always)]
    unsafe fn load_above<const N: usize>(
        self,
        from: *const u8,
        count: usize,
        zero_point: i8,
    ) -> [Self::I; N] {
        let offset = self.integers(-i32::from(zero_point));
        let mut above = [offset; N];
        for (i, above) in above.iter_mut().enumerate() {
            let count = count.saturating_sub(i * Self::LANES).min(Self::LANES);
            let from = from.wrapping_add(i * Self::LANES);
            // SAFETY: by this function's contract; nothing is read where no byte is left.
            *above = self.add_integers(unsafe { self.load_levels(from, count) }, offset);
        }
        above
    }
    /// Stores the first `count` lanes as levels, those beyond a level's bounds as the nearest one.
    ///
    /// # Safety
    /// `to` is valid for writing `count` bytes, and `count <= LANES`.
    unsafe fn store_levels(self, to: *mut u8, count: usize, a: Self::I);

    /// Rounds the first `columns` values of each row, and stores them as levels. Ties to even; none may be beyond i32.
    ///
    /// # Safety
    /// `M` rows from `to` on, `stride` bytes apart, are valid for writing `columns` bytes, and `columns <= N * LANES`;
    /// `N` is at most [`Levels::MOST_STORED`].
    unsafe fn store_rounded<const M: usize, const N: usize>(
        self,
        values: &[[Self::V; N]; M],
        to: *mut u8,
        stride: usize,
        columns: usize,
        range: LevelRange,
    );
}

/// A kernel with its arguments, to be run with any vectors.
pub trait LevelKernel {
    type Output;

    /// Must be `#[inline(always)]`, and so must be all it calls that uses `simd`.
    fn run<S: Levels>(self, simd: S) -> Self::Output;
}

/// Runs `kernel` with an instruction set's vectors; where AVX-512 does not multiply bytes, with those of AVX2.
pub fn run<K: LevelKernel>(isa: Isa, kernel: K) -> K::Output {
    match isa {
        Isa::Portable(simd) => simd.call_levels(kernel),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(simd) => simd.call_levels(kernel),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512(simd) if avx512::has_levels() => simd.call_levels(kernel),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512(simd) => simd.half().call_levels(kernel),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon(simd) => simd.call_levels(kernel),
    }
}

struct Flip;

impl LevelKernel for Flip {
    type Output = u8;

    #[inline(always)]
    fn run<S: Levels>(self, _: S) -> u8 {
        S::FLIP
    }
}

/// What a stored byte differs in from the level that it is for, as bits.
pub fn flip(isa: Isa) -> u8 {
    run(isa, Flip)
}
