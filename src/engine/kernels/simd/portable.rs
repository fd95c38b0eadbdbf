//! Vectors for any processor.

use super::{Kernel, Simd};

/// The registers that any processor has, as far as the compiler finds them. On 32-bit ARM it finds no vectors, NEON or
/// not: there these make denormals zero, which is not its to decide.
#[derive(Debug, Clone, Copy)]
pub struct Portable;

const LANES: usize = 8;

impl Portable {
    #[inline(always)]
    fn zip(a: [f32; 8], b: [f32; 8], f: impl Fn(f32, f32) -> f32) -> [f32; 8] {
        std::array::from_fn(|i| f(a[i], b[i]))
    }
}

// SAFETY: needs no features.
unsafe impl Simd for Portable {
    single!();
    type Element = f32;
    type V = [f32; LANES];
    const LANES: usize = LANES;
    const TILE_ROWS: [usize; 4] = [6, 0, 0, 0];
    const LANE_PRODUCTS: bool = false;
    const MASKED: bool = false;
    type Half = Portable;
    type Wide = Portable;

    #[inline(always)]
    fn half(self) -> Portable {
        self
    }
    #[inline(always)]
    fn wide(self) -> Portable {
        self
    }
    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        with_portable(self, kernel)
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Self::V {
        [value; LANES]
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
        let mut v = [0.0; LANES];
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
        let b = b[LANE as usize];
        std::array::from_fn(|i| a[i] * b + c[i])
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
    fn sum(self, a: Self::V) -> f32 {
        ((a[0] + a[4]) + (a[1] + a[5])) + ((a[2] + a[6]) + (a[3] + a[7]))
    }
    #[inline(always)]
    fn exponent(self, a: Self::V) -> Self::V {
        a.map(|a| f32::from_bits(a.to_bits() << 23))
    }
}

#[inline(never)]
fn with_portable<K: Kernel>(simd: Portable, kernel: K) -> K::Output {
    kernel.run(simd)
}
