//! Vectors of f16 for any processor: slow, but what vectors that compute in f16 are compared with.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::{Kernel, Portable, Simd};

const LANES: usize = 8;

/// Values of f32 that every operation rounds to the precision of f16; they have its range once they are stored.
#[derive(Debug, Clone, Copy)]
pub struct PortableHalf;

/// To 11 bits, ties to even. Not inlined, as are `widen` and `narrow`: kernels with all that these take would be long
/// to compile.
#[inline(never)]
fn rounded(v: [f32; LANES]) -> [f32; LANES] {
    v.map(|v| {
        let bits = v.to_bits();
        f32::from_bits(bits.wrapping_add(0xfff + ((bits >> 13) & 1)) & !0x1fff)
    })
}

#[inline(never)]
fn widen(from: &[f16], to: &mut [f32]) {
    from.convert_to_f32_slice(to);
}

#[inline(never)]
fn narrow(from: &[f32], to: &mut [f16]) {
    to.convert_from_f32_slice(from);
}

// SAFETY: needs no features.
unsafe impl Simd for PortableHalf {
    type Element = f16;
    type V = [f32; LANES];
    const LANES: usize = LANES;
    const TILE_ROWS: [usize; 4] = [6, 0, 0, 0];
    const LANE_PRODUCTS: bool = false;
    const MASKED: bool = false;
    type Half = PortableHalf;
    type Wide = PortableHalf;

    #[inline(always)]
    fn half(self) -> PortableHalf {
        self
    }
    #[inline(always)]
    fn wide(self) -> PortableHalf {
        self
    }
    #[inline(always)]
    fn call<K: Kernel<f16>>(self, kernel: K) -> K::Output {
        with_portable_half(self, kernel)
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Self::V {
        rounded([value; LANES])
    }
    #[inline(always)]
    fn broadcast(self, value: f16) -> Self::V {
        [value.to_f32(); LANES]
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f16) -> Self::V {
        let mut v = [0.0; LANES];
        // SAFETY: by this function's contract, here and below.
        widen(unsafe { std::slice::from_raw_parts(from, LANES) }, &mut v);
        v
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f16, v: Self::V) {
        narrow(&v, unsafe { std::slice::from_raw_parts_mut(to, LANES) });
    }
    #[inline(always)]
    unsafe fn load_first(self, from: *const f16, count: usize) -> Self::V {
        let mut v = [0.0; LANES];
        widen(
            unsafe { std::slice::from_raw_parts(from, count) },
            &mut v[..count],
        );
        v
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f16, count: usize, v: Self::V) {
        narrow(&v[..count], unsafe {
            std::slice::from_raw_parts_mut(to, count)
        });
    }
    #[inline(always)]
    unsafe fn add_to(self, totals: *mut f32, count: usize, v: Self::V) {
        let totals = unsafe { std::slice::from_raw_parts_mut(totals, count) };
        totals.iter_mut().zip(v).for_each(|(total, v)| *total += v);
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        rounded(Portable.add(a, b))
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        rounded(Portable.sub(a, b))
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        rounded(Portable.mul(a, b))
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        rounded(Portable.div(a, b))
    }
    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // The product is exact in f32.
        rounded(Portable.mul_add(a, b, c))
    }
    #[inline(always)]
    fn mul_add_lane<const LANE: i32>(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        rounded(Portable.mul_add_lane::<LANE>(a, b, c))
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        Portable.max(a, b)
    }
    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        Portable.min(a, b)
    }
    #[inline(always)]
    fn exponent(self, a: Self::V) -> Self::V {
        // As `a` is an integer from 1024 to 2047, its bits in f16 end as it does.
        a.map(|a| {
            let (sign, exponent) = ((a as u32 >> 5) & 1, a as u32 & 31);
            let bits = if exponent == 0 { 0 } else { exponent + 112 };
            f32::from_bits(sign << 31 | bits << 23)
        })
    }
    #[inline(always)]
    fn sum(self, a: Self::V) -> f32 {
        Portable.sum(a)
    }
}

#[inline(never)]
fn with_portable_half<K: Kernel<f16>>(simd: PortableHalf, kernel: K) -> K::Output {
    kernel.run(simd)
}
