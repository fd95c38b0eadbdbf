//! Vectors of 64-bit ARM processors.

use super::{Kernel, NeonPair, Simd};
use std::arch::aarch64::*;

/// Every aarch64 processor has these: 4 lanes.
#[derive(Debug, Clone, Copy)]
pub struct Neon;

// SAFETY: part of the architecture's base.
unsafe impl Simd for Neon {
    single!();
    type Element = f32;
    type V = float32x4_t;
    const LANES: usize = 4;
    // With three vectors a whole number of times: outputs of networks for 224 x 224 pixels come in sevens.
    const TILE_ROWS: [usize; 4] = [12, 9, 7, 5];
    const LANE_PRODUCTS: bool = true;
    const MASKED: bool = false;
    type Half = Neon;
    type Wide = NeonPair;

    #[inline(always)]
    fn half(self) -> Neon {
        self
    }
    #[inline(always)]
    fn wide(self) -> NeonPair {
        NeonPair
    }
    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        with_neon(self, kernel)
    }

    #[inline(always)]
    fn splat(self, value: f32) -> float32x4_t {
        unsafe { vdupq_n_f32(value) }
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> float32x4_t {
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, v: float32x4_t) {
        unsafe { vst1q_f32(to, v) }
    }
    #[inline(always)]
    unsafe fn load_first(self, from: *const f32, count: usize) -> float32x4_t {
        let mut v = [0.0; 4];
        // SAFETY: by this function's contract.
        unsafe {
            v[..count].copy_from_slice(std::slice::from_raw_parts(from, count));
            vld1q_f32(v.as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize, v: float32x4_t) {
        let mut all = [0.0; 4];
        // SAFETY: by this function's contract.
        unsafe {
            vst1q_f32(all.as_mut_ptr(), v);
            std::slice::from_raw_parts_mut(to, count).copy_from_slice(&all[..count]);
        }
    }
    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    fn div(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vdivq_f32(a, b) }
    }
    #[inline(always)]
    fn mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    fn mul_add_lane<const LANE: i32>(
        self,
        a: float32x4_t,
        b: float32x4_t,
        c: float32x4_t,
    ) -> float32x4_t {
        unsafe {
            match LANE {
                0 => vfmaq_laneq_f32::<0>(c, a, b),
                1 => vfmaq_laneq_f32::<1>(c, a, b),
                2 => vfmaq_laneq_f32::<2>(c, a, b),
                _ => vfmaq_laneq_f32::<3>(c, a, b),
            }
        }
    }
    #[inline(always)]
    unsafe fn eight_steps<const M: usize, const N: usize>(
        self,
        sums: &mut [[float32x4_t; N]; M],
        rows: &mut [*const f32; M],
        weights: &mut *const f32,
        count: usize,
    ) -> bool {
        // SAFETY: by this function's contract.
        unsafe { super::neon_tile::eight_steps(sums, rows, weights, count) }
    }
    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmaxq_f32(a, b) }
    }
    #[inline(always)]
    fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vminq_f32(a, b) }
    }
    #[inline(always)]
    fn sum(self, a: float32x4_t) -> f32 {
        unsafe { vaddvq_f32(a) }
    }
    #[inline(always)]
    fn exponent(self, a: float32x4_t) -> float32x4_t {
        unsafe { vreinterpretq_f32_u32(vshlq_n_u32::<23>(vreinterpretq_u32_f32(a))) }
    }
}

#[inline(never)]
fn with_neon<K: Kernel>(simd: Neon, kernel: K) -> K::Output {
    kernel.run(simd)
}
