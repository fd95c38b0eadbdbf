//! Pairs of 64-bit ARM's vectors of f16, for kernels that have registers to spare.

use super::{Kernel, NeonHalf, Simd};
use half::f16;
use std::arch::aarch64::*;

/// Two of [`NeonHalf`]'s vectors: 16 lanes, adjacent in memory. One instruction loads both.
#[derive(Debug, Clone, Copy)]
pub struct NeonHalfPair(pub(super) NeonHalf);

type Pair = [uint16x8_t; 2];

#[inline(always)]
fn zip(a: Pair, b: Pair, f: impl Fn(uint16x8_t, uint16x8_t) -> uint16x8_t) -> Pair {
    [f(a[0], b[0]), f(a[1], b[1])]
}

/// How many of `count` lanes are in the first vector, and in the second.
#[inline(always)]
fn split(count: usize) -> (usize, usize) {
    (count.min(8), count.saturating_sub(8))
}

// SAFETY: made of one that was made by `detect`.
unsafe impl Simd for NeonHalfPair {
    type Element = f16;
    type V = Pair;
    const LANES: usize = 16;
    const TILE_ROWS: [usize; 4] = [9, 5, 0, 0];
    const LANE_PRODUCTS: bool = true;
    const PRODUCT_LANES: usize = 8;
    const MASKED: bool = false;
    const LOADS_MOVE: bool = true;
    type Half = NeonHalf;
    type Wide = NeonHalfPair;

    #[inline(always)]
    fn half(self) -> NeonHalf {
        self.0
    }
    #[inline(always)]
    fn wide(self) -> NeonHalfPair {
        self
    }
    #[inline(always)]
    fn call<K: Kernel<f16>>(self, kernel: K) -> K::Output {
        // SAFETY: here and below, `self` proves the features.
        unsafe { with_neon_half_pair(self, kernel) }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Pair {
        [self.0.splat(value); 2]
    }
    #[inline(always)]
    fn broadcast(self, value: f16) -> Pair {
        [self.0.broadcast(value); 2]
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f16) -> Pair {
        // SAFETY: by this function's contract, here and below.
        unsafe { [self.0.load(from), self.0.load(from.add(8))] }
    }
    #[inline(always)]
    unsafe fn load_multiply_add<const N: usize>(
        self,
        from: &mut *const f16,
        step: usize,
        factors: [Pair; N],
        mut sums: [Pair; N],
    ) -> [Pair; N] {
        // One instruction that loads two vectors and moves the pointer by a variable: there is no function for it.
        macro_rules! products {
            ($([$i:literal $a:literal $b:literal $x:literal $y:literal])*) => {
                // SAFETY: by this function's contract; writes nothing.
                unsafe {
                    std::arch::asm!(
                        "ld1 {{v30.8h, v31.8h}}, [{from}], {step}",
                        $(
                            concat!("fmla {", $a, ":v}.8h, v30.8h, {", $x, ":v}.8h"),
                            concat!("fmla {", $b, ":v}.8h, v31.8h, {", $y, ":v}.8h"),
                        )*
                        $(
                            inout(vreg) sums[$i][0],
                            inout(vreg) sums[$i][1],
                            in(vreg) factors[$i][0],
                            in(vreg) factors[$i][1],
                        )*
                        from = inout(reg) *from,
                        step = in(reg) step * size_of::<f16>(),
                        out("v30") _,
                        out("v31") _,
                        options(readonly, nostack, preserves_flags)
                    )
                }
            };
        }
        match N {
            1 => products!([0 0 1 2 3]),
            2 => products!([0 0 1 2 3][1 4 5 6 7]),
            3 => products!([0 0 1 2 3][1 4 5 6 7][2 8 9 10 11]),
            4 => products!([0 0 1 2 3][1 4 5 6 7][2 8 9 10 11][3 12 13 14 15]),
            5 => products!([0 0 1 2 3][1 4 5 6 7][2 8 9 10 11][3 12 13 14 15][4 16 17 18 19]),
            _ => {
                // More would leave no registers for anything else.
                let v = unsafe { self.load(*from) };
                *from = from.wrapping_add(step);
                for (sum, factor) in sums.iter_mut().zip(factors) {
                    *sum = self.mul_add(v, factor, *sum);
                }
            }
        }
        sums
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f16, v: Pair) {
        unsafe {
            self.0.store(to, v[0]);
            self.0.store(to.add(8), v[1]);
        }
    }
    #[inline(always)]
    unsafe fn load_first(self, from: *const f16, count: usize) -> Pair {
        let (first, second) = split(count);
        unsafe {
            [
                self.0.load_first(from, first),
                self.0.load_first(from.wrapping_add(8), second),
            ]
        }
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f16, count: usize, v: Pair) {
        let (first, second) = split(count);
        unsafe {
            self.0.store_first(to, first, v[0]);
            self.0.store_first(to.wrapping_add(8), second, v[1]);
        }
    }
    #[inline(always)]
    unsafe fn add_to(self, totals: *mut f32, count: usize, v: Pair) {
        let (first, second) = split(count);
        unsafe {
            self.0.add_to(totals, first, v[0]);
            self.0.add_to(totals.wrapping_add(8), second, v[1]);
        }
    }
    #[inline(always)]
    fn add(self, a: Pair, b: Pair) -> Pair {
        zip(a, b, |a, b| self.0.add(a, b))
    }
    #[inline(always)]
    fn sub(self, a: Pair, b: Pair) -> Pair {
        zip(a, b, |a, b| self.0.sub(a, b))
    }
    #[inline(always)]
    fn mul(self, a: Pair, b: Pair) -> Pair {
        zip(a, b, |a, b| self.0.mul(a, b))
    }
    #[inline(always)]
    fn div(self, a: Pair, b: Pair) -> Pair {
        zip(a, b, |a, b| self.0.div(a, b))
    }
    #[inline(always)]
    fn mul_add(self, a: Pair, b: Pair, c: Pair) -> Pair {
        [
            self.0.mul_add(a[0], b[0], c[0]),
            self.0.mul_add(a[1], b[1], c[1]),
        ]
    }
    #[inline(always)]
    fn mul_add_lane<const LANE: i32>(self, a: Pair, b: Pair, c: Pair) -> Pair {
        [
            self.0.mul_add_lane::<LANE>(a[0], b[0], c[0]),
            self.0.mul_add_lane::<LANE>(a[1], b[0], c[1]),
        ]
    }
    #[inline(always)]
    fn max(self, a: Pair, b: Pair) -> Pair {
        zip(a, b, |a, b| self.0.max(a, b))
    }
    #[inline(always)]
    fn min(self, a: Pair, b: Pair) -> Pair {
        zip(a, b, |a, b| self.0.min(a, b))
    }
    #[inline(always)]
    fn exponent(self, a: Pair) -> Pair {
        a.map(|a| self.0.exponent(a))
    }
    #[inline(always)]
    fn sum(self, a: Pair) -> f32 {
        self.0.sum(self.0.add(a[0], a[1]))
    }
}

#[inline(never)]
#[target_feature(enable = "fp16")]
unsafe fn with_neon_half_pair<K: Kernel<f16>>(simd: NeonHalfPair, kernel: K) -> K::Output {
    kernel.run(simd)
}
