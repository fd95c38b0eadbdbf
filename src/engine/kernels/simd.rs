//! Vectors of f32 on each kind of processor, behind one trait, so that a kernel is written once.
//!
//! A kernel is generic over [`Simd`] and `#[inline(always)]`; [`Isa::run`] calls it inside a function that enables the
//! processor's features, where the intrinsics become single instructions.

/// Vectors of `LANES` f32.
///
/// # Safety
/// A value of an implementing type may exist only where the processor has the features that the type stands for.
pub unsafe trait Simd: Copy + Send + Sync + 'static {
    type V: Copy;
    const LANES: usize;
    /// Rows of the tile of accumulators, one and two vectors wide, that leaves registers for the operands of a matrix
    /// product; 0 where such a tile does not fit.
    const TILE_ROWS: [usize; 2];
    /// Whether `mul_add_lane` is one instruction.
    const LANE_PRODUCTS: bool;
    /// Vectors of half as many lanes, or the same where there are none worth using.
    type Half: Simd;

    fn half(self) -> Self::Half;
    /// Runs a kernel in a function of its own. The compiler keeps more in registers there than in the midst of others.
    fn call<K: Kernel>(self, kernel: K) -> K::Output;
    /// Asks for a cache line that will be read, where that is worth an instruction. Any address will do.
    #[inline(always)]
    fn fetch(self, _: *const f32) {}
    fn splat(self, value: f32) -> Self::V;
    /// # Safety
    /// `from` is valid for reading `LANES` values; no alignment is needed.
    unsafe fn load(self, from: *const f32) -> Self::V;
    /// # Safety
    /// `to` is valid for writing `LANES` values; no alignment is needed.
    unsafe fn store(self, to: *mut f32, v: Self::V);
    /// The first `count` lanes; zero in the others.
    ///
    /// # Safety
    /// `from` is valid for reading `count` values, and `count <= LANES`.
    unsafe fn load_first(self, from: *const f32, count: usize) -> Self::V;
    /// # Safety
    /// `to` is valid for writing `count` values, and `count <= LANES`.
    unsafe fn store_first(self, to: *mut f32, count: usize, v: Self::V);
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once where the processor can.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `a * b[LANE] + c`, rounded once where the processor can; `LANE` is from 0 to 3.
    fn mul_add_lane<const LANE: i32>(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// To the nearest integer.
    fn round(self, a: Self::V) -> Self::V;
    /// `a / b` within 2 ulp, for `b` from 1 to 2^126.
    #[inline(always)]
    fn quotient(self, a: Self::V, b: Self::V) -> Self::V {
        self.div(a, b)
    }
    /// 2 to the power of an integer from -126 to 127.
    fn exp2_of_integer(self, a: Self::V) -> Self::V;
    /// `a` times 2 to the power of such an integer.
    #[inline(always)]
    fn times_exp2(self, a: Self::V, power: Self::V) -> Self::V {
        self.mul(a, self.exp2_of_integer(power))
    }
    /// Of all lanes, in an order that is the processor's.
    fn sum(self, a: Self::V) -> f32;
}

/// The registers that any processor has, as far as the compiler finds them.
#[derive(Debug, Clone, Copy)]
pub struct Portable;

const PORTABLE_LANES: usize = 8;

impl Portable {
    #[inline(always)]
    fn zip(a: [f32; 8], b: [f32; 8], f: impl Fn(f32, f32) -> f32) -> [f32; 8] {
        std::array::from_fn(|i| f(a[i], b[i]))
    }
}

// SAFETY: needs no features.
unsafe impl Simd for Portable {
    type V = [f32; PORTABLE_LANES];
    const LANES: usize = PORTABLE_LANES;
    const TILE_ROWS: [usize; 2] = [6, 0];
    const LANE_PRODUCTS: bool = false;
    type Half = Portable;

    #[inline(always)]
    fn half(self) -> Portable {
        self
    }
    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        with_portable(self, kernel)
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Self::V {
        [value; PORTABLE_LANES]
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::V {
        // SAFETY: by this function's contract; an array of f32 has the alignment of f32.
        unsafe { from.cast::<Self::V>().read() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, v: Self::V) {
        // SAFETY: as above.
        unsafe { to.cast::<Self::V>().write(v) }
    }
    #[inline(always)]
    unsafe fn load_first(self, from: *const f32, count: usize) -> Self::V {
        let mut v = [0.0; PORTABLE_LANES];
        // SAFETY: by this function's contract.
        v[..count].copy_from_slice(unsafe { std::slice::from_raw_parts(from, count) });
        v
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize, v: Self::V) {
        // SAFETY: by this function's contract.
        unsafe { std::slice::from_raw_parts_mut(to, count) }.copy_from_slice(&v[..count]);
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        Self::zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        Self::zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        Self::zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        Self::zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // Rounded twice: without an instruction for it, rounding once is a slow function.
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    fn mul_add_lane<const LANE: i32>(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] * b[LANE as usize] + c[i])
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        Self::zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        Self::zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn round(self, a: Self::V) -> Self::V {
        // Adding and taking away 1.5 * 2^23 leaves no bits below one.
        const MAGIC: f32 = 12_582_912.0;
        a.map(|a| (a + MAGIC) - MAGIC)
    }
    #[inline(always)]
    fn exp2_of_integer(self, a: Self::V) -> Self::V {
        a.map(|a| f32::from_bits(((a as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    fn sum(self, a: Self::V) -> f32 {
        ((a[0] + a[4]) + (a[1] + a[5])) + ((a[2] + a[6]) + (a[3] + a[7]))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

#[cfg(target_arch = "aarch64")]
mod neon;

#[cfg(target_arch = "aarch64")]
pub use neon::Neon;

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

/// A kernel with its arguments, to be run with any vectors.
pub trait Kernel {
    type Output;

    /// Must be `#[inline(always)]`, and so must be all it calls that uses `simd`.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
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

    /// Values in a vector.
    pub fn lanes(self) -> usize {
        match self {
            Isa::Portable(_) => <Portable as Simd>::LANES,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => <Avx2 as Simd>::LANES,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(_) => <Avx512 as Simd>::LANES,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(_) => <Neon as Simd>::LANES,
        }
    }

    /// Runs `kernel` with this one's vectors.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
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
}

#[inline(never)]
fn with_portable<K: Kernel>(simd: Portable, kernel: K) -> K::Output {
    kernel.run(simd)
}

#[cfg(target_arch = "aarch64")]
#[inline(never)]
fn with_neon<K: Kernel>(simd: Neon, kernel: K) -> K::Output {
    kernel.run(simd)
}

#[cfg(target_arch = "x86_64")]
#[inline(never)]
#[target_feature(enable = "avx2,fma")]
unsafe fn with_avx2<K: Kernel>(simd: Avx2, kernel: K) -> K::Output {
    kernel.run(simd)
}

#[cfg(target_arch = "x86_64")]
#[inline(never)]
#[target_feature(enable = "avx512f,avx2,fma")]
unsafe fn with_avx512<K: Kernel>(simd: Avx512, kernel: K) -> K::Output {
    kernel.run(simd)
}
