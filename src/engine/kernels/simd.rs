//! Vectors on each kind of processor, behind one trait, so that a kernel is written once.
//!
//! A kernel is generic over [`Simd`] and `#[inline(always)]`; [`Isa::run`] calls it inside a function that enables the
//! processor's features, where the intrinsics become single instructions.

use half::f16;

use super::element::Element;

/// Vectors of `LANES` values.
///
/// # Safety
/// A value of an implementing type may exist only where the processor has the features that the type stands for.
pub unsafe trait Simd: Copy + Send + Sync + 'static {
    type Element: Element;
    type V: Copy;
    const LANES: usize;
    /// Rows of the tile of accumulators, one to four vectors wide, that leaves registers for the operands of a matrix
    /// product; 0 where such a tile does not fit.
    const TILE_ROWS: [usize; 4];
    /// Whether `mul_add_lane` is one instruction.
    const LANE_PRODUCTS: bool;
    /// Lanes that `mul_add_lane` takes, from the first on: no more than `LANES`.
    const PRODUCT_LANES: usize = 4;
    /// Whether `load_first` and `store_first` are single instructions.
    const MASKED: bool;
    /// Whether `load_multiply_add` moves its pointer at no cost, while other addresses than that cost an instruction.
    const LOADS_MOVE: bool = false;
    /// Whether [`Simd::prefetch`] and [`Simd::prefetch_ahead`] do something.
    const PREFETCHES: bool = false;
    /// Vectors of half as many lanes, or the same where there are none worth using.
    type Half: Simd<Element = Self::Element>;
    /// Several of these vectors as one, for kernels that have registers to spare; or the same.
    type Wide: Simd<Element = Self::Element>;

    fn half(self) -> Self::Half;
    fn wide(self) -> Self::Wide;
    /// Runs a kernel in a function of its own. The compiler keeps more in registers there than in the midst of others; and as
    /// that function is in a module for these vectors alone, those for others are compiled at the same time.
    fn call<K: Kernel<Self::Element>>(self, kernel: K) -> K::Output;
    /// Asks for a cache line that will be read next, where that is worth an instruction. Any address will do.
    #[inline(always)]
    fn prefetch(self, _: *const Self::Element) {}
    /// As [`Simd::prefetch`], for what will be read later: it comes into the level 2 cache.
    #[inline(always)]
    fn prefetch_ahead(self, _: *const Self::Element) {}
    /// The value of the element's type that is nearest to `value`, in every lane.
    fn splat(self, value: f32) -> Self::V;
    fn broadcast(self, value: Self::Element) -> Self::V;
    /// # Safety
    /// `from` is valid for reading `LANES` values; no alignment but that of a value is needed.
    unsafe fn load(self, from: *const Self::Element) -> Self::V;
    /// Loads a vector, and adds its products with each of `factors` to `sums`; then moves the pointer on by `step` values,
    /// to where there may be none.
    ///
    /// # Safety
    /// As of [`Simd::load`].
    #[inline(always)]
    unsafe fn load_multiply_add<const N: usize>(
        self,
        from: &mut *const Self::Element,
        step: usize,
        factors: [Self::V; N],
        mut sums: [Self::V; N],
    ) -> [Self::V; N] {
        // SAFETY: by this function's contract.
        let v = unsafe { self.load(*from) };
        *from = from.wrapping_add(step);
        for (sum, factor) in sums.iter_mut().zip(factors) {
            *sum = self.mul_add(v, factor, *sum);
        }
        sums
    }
    /// # Safety
    /// `to` is valid for writing `LANES` values; no alignment but that of a value is needed.
    unsafe fn store(self, to: *mut Self::Element, v: Self::V);
    /// The first `count` lanes; zero in the others.
    ///
    /// # Safety
    /// `from` is valid for reading `count` values, and `count <= LANES`.
    unsafe fn load_first(self, from: *const Self::Element, count: usize) -> Self::V;
    /// # Safety
    /// `to` is valid for writing `count` values, and `count <= LANES`.
    unsafe fn store_first(self, to: *mut Self::Element, count: usize, v: Self::V);
    /// Adds the first `count` lanes to as many totals.
    ///
    /// # Safety
    /// `totals` is valid for reading and writing `count` values, and `count <= LANES`.
    unsafe fn add_to(self, totals: *mut f32, count: usize, v: Self::V);
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once where the processor can.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `a * b[LANE] + c`, rounded once where the processor can; `LANE` is below `PRODUCT_LANES`.
    fn mul_add_lane<const LANE: i32>(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Adds eight products to each of the sums of `M` rows and `N` vectors, `count` times: the rows have the values,
    /// `weights` `N` vectors for each. Moves the pointers on. False, and nothing is done, where there is no such step for
    /// `M` and `N`, or nothing to do.
    ///
    /// # Safety
    /// Each of `rows` is valid for reading `8 * count` values, and `weights` for reading `8 * count * N` vectors.
    #[inline(always)]
    unsafe fn eight_steps<const M: usize, const N: usize>(
        self,
        _sums: &mut [[Self::V; N]; M],
        _rows: &mut [*const Self::Element; M],
        _weights: &mut *const Self::Element,
        _count: usize,
    ) -> bool {
        false
    }
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a / b` within 2 ulp, for `b` from 1 to 2^126, or in f16 as far as that goes.
    #[inline(always)]
    fn quotient(self, a: Self::V, b: Self::V) -> Self::V {
        self.div(a, b)
    }
    /// Of the bits of `a`, the last ones as the first ones of a value, its sign and exponent, above zeros: nine in f32, six in
    /// f16.
    fn exponent(self, a: Self::V) -> Self::V;
    /// Of all lanes, in an order that is the processor's.
    fn sum(self, a: Self::V) -> f32;
}

/// What is simple where the element is f32.
macro_rules! single {
    () => {
        #[inline(always)]
        unsafe fn add_to(self, totals: *mut f32, count: usize, v: Self::V) {
            // SAFETY: by this function's contract.
            unsafe {
                if count == Self::LANES {
                    self.store(totals, self.add(self.load(totals), v));
                } else {
                    let total = self.add(self.load_first(totals, count), v);
                    self.store_first(totals, count, total);
                }
            }
        }
        #[inline(always)]
        fn broadcast(self, value: f32) -> Self::V {
            self.splat(value)
        }
    };
}

/// Prefetches of x86-64.
#[cfg(target_arch = "x86_64")]
macro_rules! prefetches {
    () => {
        const PREFETCHES: bool = true;
        #[inline(always)]
        fn prefetch(self, line: *const f32) {
            // SAFETY: fetching what cannot be read does nothing.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) }
        }
        #[inline(always)]
        fn prefetch_ahead(self, line: *const f32) {
            // SAFETY: as above.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(line.cast()) }
        }
    };
}

mod portable;
#[cfg(any(test, feature = "portable-half"))]
mod portable_half;

pub use portable::Portable;

#[cfg(any(test, feature = "portable-half"))]
use portable_half::PortableHalf;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "aarch64")]
mod neon_half;
#[cfg(target_arch = "aarch64")]
mod neon_half_pair;
#[cfg(target_arch = "aarch64")]
mod neon_half_tile;
#[cfg(target_arch = "aarch64")]
mod neon_pair;
#[cfg(target_arch = "aarch64")]
mod neon_tile;

#[cfg(target_arch = "aarch64")]
pub use neon::Neon;
#[cfg(target_arch = "aarch64")]
use neon_half::NeonHalf;
#[cfg(target_arch = "aarch64")]
use neon_half_pair::NeonHalfPair;
#[cfg(target_arch = "aarch64")]
pub use neon_pair::NeonPair;

/// What the kernels are run with.
#[derive(Debug, Clone, Copy)]
pub enum Isa {
    Portable(Portable),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
}

/// A kernel with its arguments, to be run with any vectors of a type of values.
pub trait Kernel<E: Element = f32> {
    type Output;

    /// Must be `#[inline(always)]`, and so must be all it calls that uses `simd`.
    fn run<S: Simd<Element = E>>(self, simd: S) -> Self::Output;
}

impl Isa {
    /// All that this processor has, the best first.
    pub fn available() -> Vec<Isa> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(Avx512::detect().map(Isa::Avx512));
            all.extend(Avx2::detect().map(Isa::Avx2));
        }
        #[cfg(target_arch = "aarch64")]
        all.push(Isa::Neon(Neon));
        all.push(Isa::Portable(Portable));
        all
    }

    /// What this processor does best.
    pub fn best() -> Isa {
        Isa::available()[0]
    }

    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable(_) => "portable",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(_) => "avx512",
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(_) => "neon",
        }
    }

    /// Those with which this processor computes in a type, the best first.
    pub fn computing<E: Element>() -> Vec<Isa> {
        let mut all = Isa::available();
        all.retain(|isa| isa.computes::<E>());
        all
    }

    /// Whether there are vectors of a type.
    pub fn computes<E: Element>(self) -> bool {
        E::computed_by(self)
    }

    /// Whether there are vectors of f16.
    pub(crate) fn computes_half(self) -> bool {
        match self {
            Isa::Portable(_) => cfg!(any(test, feature = "portable-half")),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(_) => NeonHalf::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) | Isa::Avx512(_) => false,
        }
    }

    /// Values in a vector of [`Isa::run_wide`].
    pub(crate) fn wide_lanes<E: Element>(self) -> usize {
        self.run_wide::<E, _>(Lanes)
    }

    /// Values in a vector.
    pub fn lanes<E: Element>(self) -> usize {
        self.run::<E, _>(Lanes)
    }

    /// Runs `kernel` with this one's vectors.
    ///
    /// # Panics
    /// If there are none of the type: see [`Isa::computes`].
    #[inline]
    pub fn run<E: Element, K: Kernel<E>>(self, kernel: K) -> K::Output {
        E::run(self, kernel)
    }

    /// Runs `kernel` with this one's wide vectors.
    #[inline]
    pub(crate) fn run_wide<E: Element, K: Kernel<E>>(self, kernel: K) -> K::Output {
        E::run_wide(self, kernel)
    }

    #[inline]
    pub(crate) fn run_single<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Isa::Portable(simd) => simd.call(kernel),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(simd) => simd.call(kernel),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(simd) => simd.call(kernel),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(simd) => simd.call(kernel),
        }
    }

    #[inline]
    pub(crate) fn run_single_wide<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Isa::Portable(simd) => simd.wide().call(kernel),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(simd) => simd.wide().call(kernel),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(simd) => simd.wide().call(kernel),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(simd) => simd.wide().call(kernel),
        }
    }

    #[inline]
    pub(crate) fn run_half<K: Kernel<f16>>(self, kernel: K) -> K::Output {
        #[cfg(target_arch = "aarch64")]
        if let (Isa::Neon(_), Some(simd)) = (self, NeonHalf::detect()) {
            return simd.call(kernel);
        }
        self.call_portable_half(kernel)
    }

    #[inline]
    pub(crate) fn run_half_wide<K: Kernel<f16>>(self, kernel: K) -> K::Output {
        #[cfg(target_arch = "aarch64")]
        if let (Isa::Neon(_), Some(simd)) = (self, NeonHalf::detect()) {
            return simd.wide().call(kernel);
        }
        self.call_portable_half(kernel)
    }

    #[cfg(any(test, feature = "portable-half"))]
    fn call_portable_half<K: Kernel<f16>>(self, kernel: K) -> K::Output {
        PortableHalf.call(kernel)
    }

    #[cfg(not(any(test, feature = "portable-half")))]
    fn call_portable_half<K: Kernel<f16>>(self, _: K) -> K::Output {
        panic!("{} does not compute in f16 here", self.name())
    }
}

struct Lanes;

impl<E: Element> Kernel<E> for Lanes {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd<Element = E>>(self, _: S) -> usize {
        S::LANES
    }
}
