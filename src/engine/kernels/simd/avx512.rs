//! Vectors of x86-64 processors with AVX-512.

use std::arch::x86_64::*;

use super::{Avx2, Kernel, Simd};

/// AVX-512F: 16 lanes.
#[derive(Debug, Clone, Copy)]
pub struct Avx512(());

impl Avx512 {
    pub fn detect() -> Option<Self> {
        // `half` needs the features of AVX2.
        (is_x86_feature_detected!("avx512f") && Avx2::detect().is_some()).then_some(Avx512(()))
    }

    #[inline(always)]
    fn mask(count: usize) -> __mmask16 {
        ((1u32 << count) - 1) as __mmask16
    }
}

// SAFETY: made by `detect` alone.
unsafe impl Simd for Avx512 {
    single!();
    prefetches!();
    type Element = f32;
    type V = __m512;
    const LANES: usize = 16;
    const TILE_ROWS: [usize; 4] = [12, 12, 0, 0];
    const LANE_PRODUCTS: bool = false;
    const MASKED: bool = true;
    type Half = Avx2;
    type Wide = Avx512;

    #[inline(always)]
    fn half(self) -> Avx2 {
        Avx2(())
    }
    #[inline(always)]
    fn wide(self) -> Avx512 {
        self
    }
    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: here and below, `self` proves the features.
        unsafe { with_avx512(self, kernel) }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        unsafe { _mm512_set1_ps(value) }
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, v: __m512) {
        unsafe { _mm512_storeu_ps(to, v) }
    }
    #[inline(always)]
    unsafe fn load_first(self, from: *const f32, count: usize) -> __m512 {
        unsafe { _mm512_maskz_loadu_ps(Self::mask(count), from) }
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize, v: __m512) {
        unsafe { _mm512_mask_storeu_ps(to, Self::mask(count), v) }
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn mul_add_lane<const LANE: i32>(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, _mm512_permutexvar_ps(_mm512_set1_epi32(LANE), b), c) }
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    fn sum(self, a: __m512) -> f32 {
        unsafe { _mm512_reduce_add_ps(a) }
    }
    #[inline(always)]
    fn quotient(self, a: __m512, b: __m512) -> __m512 {
        // Newton's step from 14 bits.
        unsafe {
            let estimate = _mm512_rcp14_ps(b);
            let error = _mm512_fnmadd_ps(b, estimate, _mm512_set1_ps(1.0));
            let a = _mm512_mul_ps(a, estimate);
            _mm512_fmadd_ps(a, error, a)
        }
    }
    #[inline(always)]
    fn exponent(self, a: __m512) -> __m512 {
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(a))) }
    }
}

#[inline(never)]
#[target_feature(enable = "avx512f,avx2,fma")]
unsafe fn with_avx512<K: Kernel>(simd: Avx512, kernel: K) -> K::Output {
    kernel.run(simd)
}
