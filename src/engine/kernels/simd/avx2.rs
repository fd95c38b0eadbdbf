//! Vectors of x86-64 processors with AVX2.

use std::arch::x86_64::*;

use super::{Kernel, Simd};

/// AVX2 and FMA: 8 lanes.
#[derive(Debug, Clone, Copy)]
pub struct Avx2(pub(super) ());

impl Avx2 {
    pub fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Avx2(()))
    }

    #[inline(always)]
    unsafe fn mask(count: usize) -> __m256i {
        const EDGE: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
        // SAFETY: count <= 8, so that 8 values from there on are in the table.
        unsafe { _mm256_loadu_si256(EDGE.as_ptr().add(8 - count).cast()) }
    }
}

// SAFETY: made by `detect` alone, or of an `Avx512`, whose own includes this one's.
unsafe impl Simd for Avx2 {
    single!();
    prefetches!();
    type Element = f32;
    type V = __m256;
    const LANES: usize = 8;
    const TILE_ROWS: [usize; 4] = [12, 6, 0, 0];
    const LANE_PRODUCTS: bool = false;
    const MASKED: bool = true;
    type Half = Avx2;
    type Wide = Avx2;

    #[inline(always)]
    fn half(self) -> Avx2 {
        self
    }
    #[inline(always)]
    fn wide(self) -> Avx2 {
        self
    }
    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: here and below, `self` proves the features.
        unsafe { with_avx2(self, kernel) }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        unsafe { _mm256_set1_ps(value) }
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, v: __m256) {
        unsafe { _mm256_storeu_ps(to, v) }
    }
    #[inline(always)]
    unsafe fn load_first(self, from: *const f32, count: usize) -> __m256 {
        unsafe { _mm256_maskload_ps(from, Self::mask(count)) }
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize, v: __m256) {
        unsafe { _mm256_maskstore_ps(to, Self::mask(count), v) }
    }
    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_div_ps(a, b) }
    }
    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn mul_add_lane<const LANE: i32>(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, _mm256_permutevar8x32_ps(b, _mm256_set1_epi32(LANE)), c) }
    }
    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_min_ps(a, b) }
    }
    #[inline(always)]
    fn sum(self, a: __m256) -> f32 {
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }
    #[inline(always)]
    fn quotient(self, a: __m256, b: __m256) -> __m256 {
        // Newton's step from 12 bits.
        unsafe {
            let estimate = _mm256_rcp_ps(b);
            let error = _mm256_fnmadd_ps(b, estimate, _mm256_set1_ps(1.0));
            let a = _mm256_mul_ps(a, estimate);
            _mm256_fmadd_ps(a, error, a)
        }
    }
    #[inline(always)]
    fn exponent(self, a: __m256) -> __m256 {
        unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(a))) }
    }
}

#[inline(never)]
#[target_feature(enable = "avx2,fma")]
unsafe fn with_avx2<K: Kernel>(simd: Avx2, kernel: K) -> K::Output {
    kernel.run(simd)
}
