//! Vectors of f16 of 64-bit ARM processors that compute in it (ARMv8.2-A's FEAT_FP16).
//!
//! The instructions are written in assembly: Rust has no functions for them yet in the versions that this crate builds with,
//! nor the type, for which vectors of u16 stand.

use super::{Kernel, Neon, NeonHalfPair, Simd};
use half::f16;
use std::arch::aarch64::*;
use std::arch::asm;

/// 8 lanes.
#[derive(Debug, Clone, Copy)]
pub struct NeonHalf(pub(super) ());

impl NeonHalf {
    #[inline]
    pub fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("fp16").then_some(NeonHalf(()))
    }
}

/// One instruction of two vectors.
macro_rules! instruction {
    ($name:literal, $a:ident, $b:ident) => {{
        let result: uint16x8_t;
        // SAFETY: `self` proves the feature; no memory is touched.
        unsafe {
            asm!(
                concat!($name, " {r:v}.8h, {a:v}.8h, {b:v}.8h"),
                r = lateout(vreg) result,
                a = in(vreg) $a,
                b = in(vreg) $b,
                options(pure, nomem, nostack, preserves_flags)
            )
        };
        result
    }};
}

// SAFETY: made by `detect` alone, or by a pair that was made of one.
unsafe impl Simd for NeonHalf {
    type Element = f16;
    type V = uint16x8_t;
    const LANES: usize = 8;
    // As those of f32: a register has twice as many columns.
    const TILE_ROWS: [usize; 4] = [12, 9, 7, 5];
    const LANE_PRODUCTS: bool = true;
    const PRODUCT_LANES: usize = 8;
    const MASKED: bool = false;
    type Half = NeonHalf;
    type Wide = NeonHalfPair;

    #[inline(always)]
    fn half(self) -> NeonHalf {
        self
    }
    #[inline(always)]
    fn wide(self) -> NeonHalfPair {
        NeonHalfPair(self)
    }
    #[inline(always)]
    fn call<K: Kernel<f16>>(self, kernel: K) -> K::Output {
        // SAFETY: here and below, `self` proves the features.
        unsafe { with_neon_half(self, kernel) }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> uint16x8_t {
        let result: uint16x8_t;
        unsafe {
            asm!(
                "fcvt {r:h}, {value:s}",
                "dup {r:v}.8h, {r:v}.h[0]",
                r = lateout(vreg) result,
                value = in(vreg) value,
                options(pure, nomem, nostack, preserves_flags)
            )
        };
        result
    }
    #[inline(always)]
    fn broadcast(self, value: f16) -> uint16x8_t {
        unsafe { vdupq_n_u16(value.to_bits()) }
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f16) -> uint16x8_t {
        unsafe { vld1q_u16(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f16, v: uint16x8_t) {
        unsafe { vst1q_u16(to.cast(), v) }
    }
    #[inline(always)]
    unsafe fn load_first(self, from: *const f16, count: usize) -> uint16x8_t {
        let mut v = [f16::ZERO; 8];
        // SAFETY: by this function's contract.
        unsafe {
            v[..count].copy_from_slice(std::slice::from_raw_parts(from, count));
            self.load(v.as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f16, count: usize, v: uint16x8_t) {
        let mut all = [f16::ZERO; 8];
        // SAFETY: by this function's contract.
        unsafe {
            self.store(all.as_mut_ptr(), v);
            std::slice::from_raw_parts_mut(to, count).copy_from_slice(&all[..count]);
        }
    }
    #[inline(always)]
    unsafe fn add_to(self, totals: *mut f32, count: usize, v: uint16x8_t) {
        let [low, high] = widened(v);
        // SAFETY: by this function's contract.
        unsafe {
            if count == 8 {
                Neon.add_to(totals, 4, low);
                Neon.add_to(totals.add(4), 4, high);
            } else {
                Neon.add_to(totals, count.min(4), low);
                Neon.add_to(totals.wrapping_add(4), count.saturating_sub(4), high);
            }
        }
    }
    #[inline(always)]
    fn add(self, a: uint16x8_t, b: uint16x8_t) -> uint16x8_t {
        instruction!("fadd", a, b)
    }
    #[inline(always)]
    fn sub(self, a: uint16x8_t, b: uint16x8_t) -> uint16x8_t {
        instruction!("fsub", a, b)
    }
    #[inline(always)]
    fn mul(self, a: uint16x8_t, b: uint16x8_t) -> uint16x8_t {
        instruction!("fmul", a, b)
    }
    #[inline(always)]
    fn div(self, a: uint16x8_t, b: uint16x8_t) -> uint16x8_t {
        instruction!("fdiv", a, b)
    }
    #[inline(always)]
    fn mul_add(self, a: uint16x8_t, b: uint16x8_t, c: uint16x8_t) -> uint16x8_t {
        let mut result = c;
        unsafe {
            asm!(
                "fmla {c:v}.8h, {a:v}.8h, {b:v}.8h",
                c = inout(vreg) result,
                a = in(vreg) a,
                b = in(vreg) b,
                options(pure, nomem, nostack, preserves_flags)
            )
        };
        result
    }
    #[inline(always)]
    fn mul_add_lane<const LANE: i32>(
        self,
        a: uint16x8_t,
        b: uint16x8_t,
        c: uint16x8_t,
    ) -> uint16x8_t {
        let mut result = c;
        // A lane of f16 can be taken of the first 16 registers alone.
        unsafe {
            asm!(
                "fmla {c:v}.8h, {a:v}.8h, {b:v}.h[{lane}]",
                c = inout(vreg) result,
                a = in(vreg) a,
                b = in(vreg_low16) b,
                lane = const LANE,
                options(pure, nomem, nostack, preserves_flags)
            )
        };
        result
    }
    #[inline(always)]
    unsafe fn eight_steps<const M: usize, const N: usize>(
        self,
        sums: &mut [[uint16x8_t; N]; M],
        rows: &mut [*const f16; M],
        weights: &mut *const f16,
        count: usize,
    ) -> bool {
        // SAFETY: by this function's contract; `self` proves the features.
        unsafe { super::neon_half_tile::eight_steps(sums, rows, weights, count) }
    }
    #[inline(always)]
    fn max(self, a: uint16x8_t, b: uint16x8_t) -> uint16x8_t {
        instruction!("fmax", a, b)
    }
    #[inline(always)]
    fn min(self, a: uint16x8_t, b: uint16x8_t) -> uint16x8_t {
        instruction!("fmin", a, b)
    }
    #[inline(always)]
    fn exponent(self, a: uint16x8_t) -> uint16x8_t {
        unsafe { vshlq_n_u16::<10>(a) }
    }
    #[inline(always)]
    fn sum(self, a: uint16x8_t) -> f32 {
        let [low, high] = widened(a);
        Neon.sum(Neon.add(low, high))
    }
}

#[inline(always)]
fn widened(v: uint16x8_t) -> [float32x4_t; 2] {
    let (low, high): (float32x4_t, float32x4_t);
    // SAFETY: part of the architecture's base.
    unsafe {
        asm!(
            "fcvtl {low:v}.4s, {v:v}.4h",
            "fcvtl2 {high:v}.4s, {v:v}.8h",
            low = out(vreg) low,
            high = lateout(vreg) high,
            v = in(vreg) v,
            options(pure, nomem, nostack, preserves_flags)
        )
    };
    [low, high]
}

#[inline(never)]
#[target_feature(enable = "fp16")]
unsafe fn with_neon_half<K: Kernel<f16>>(simd: NeonHalf, kernel: K) -> K::Output {
    kernel.run(simd)
}
