//! Pairs of 64-bit ARM's vectors, for kernels that have registers to spare.

use super::{Kernel, Neon, Simd};
use std::arch::aarch64::*;

/// Two of [`Neon`]'s vectors: 8 lanes, adjacent in memory. One instruction loads both.
#[derive(Debug, Clone, Copy)]
pub struct NeonPair;

type Pair = [float32x4_t; 2];

#[inline(always)]
fn zip(a: Pair, b: Pair, f: impl Fn(float32x4_t, float32x4_t) -> float32x4_t) -> Pair {
    [f(a[0], b[0]), f(a[1], b[1])]
}

/// How many of `count` lanes are in the first vector, and in the second.
#[inline(always)]
fn split(count: usize) -> (usize, usize) {
    (count.min(4), count.saturating_sub(4))
}

// SAFETY: part of the architecture's base.
unsafe impl Simd for NeonPair {
    single!();
    type Element = f32;
    type V = Pair;
    const LANES: usize = 8;
    const TILE_ROWS: [usize; 4] = [9, 5, 0, 0];
    const LANE_PRODUCTS: bool = true;
    const MASKED: bool = false;
    const LOADS_MOVE: bool = true;
    type Half = Neon;
    type Wide = NeonPair;

    #[inline(always)]
    fn half(self) -> Neon {
        Neon
    }
    #[inline(always)]
    fn wide(self) -> NeonPair {
        self
    }
    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        with_neon_pair(self, kernel)
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Pair {
        [Neon.splat(value); 2]
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Pair {
        // SAFETY: by this function's contract, here and below.
        unsafe { [Neon.load(from), Neon.load(from.add(4))] }
    }
    #[inline(always)]
    unsafe fn load_multiply_add<const N: usize>(
        self,
        from: &mut *const f32,
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
                        "ld1 {{v30.4s, v31.4s}}, [{from}], {step}",
                        $(
                            concat!("fmla {", $a, ":v}.4s, v30.4s, {", $x, ":v}.4s"),
                            concat!("fmla {", $b, ":v}.4s, v31.4s, {", $y, ":v}.4s"),
                        )*
                        $(
                            inout(vreg) sums[$i][0],
                            inout(vreg) sums[$i][1],
                            in(vreg) factors[$i][0],
                            in(vreg) factors[$i][1],
                        )*
                        from = inout(reg) *from,
                        step = in(reg) step * size_of::<f32>(),
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
    unsafe fn store(self, to: *mut f32, v: Pair) {
        unsafe {
            Neon.store(to, v[0]);
            Neon.store(to.add(4), v[1]);
        }
    }
    #[inline(always)]
    unsafe fn load_first(self, from: *const f32, count: usize) -> Pair {
        let (first, second) = split(count);
        unsafe {
            [
                Neon.load_first(from, first),
                Neon.load_first(from.wrapping_add(4), second),
            ]
        }
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize, v: Pair) {
        let (first, second) = split(count);
        unsafe {
            Neon.store_first(to, first, v[0]);
            Neon.store_first(to.wrapping_add(4), second, v[1]);
        }
    }
    #[inline(always)]
    fn add(self, a: Pair, b: Pair) -> Pair {
        zip(a, b, |a, b| Neon.add(a, b))
    }
    #[inline(always)]
    fn sub(self, a: Pair, b: Pair) -> Pair {
        zip(a, b, |a, b| Neon.sub(a, b))
    }
    #[inline(always)]
    fn mul(self, a: Pair, b: Pair) -> Pair {
        zip(a, b, |a, b| Neon.mul(a, b))
    }
    #[inline(always)]
    fn div(self, a: Pair, b: Pair) -> Pair {
        zip(a, b, |a, b| Neon.div(a, b))
    }
    #[inline(always)]
    fn mul_add(self, a: Pair, b: Pair, c: Pair) -> Pair {
        [
            Neon.mul_add(a[0], b[0], c[0]),
            Neon.mul_add(a[1], b[1], c[1]),
        ]
    }
    #[inline(always)]
    fn mul_add_lane<const LANE: i32>(self, a: Pair, b: Pair, c: Pair) -> Pair {
        [
            Neon.mul_add_lane::<LANE>(a[0], b[0], c[0]),
            Neon.mul_add_lane::<LANE>(a[1], b[0], c[1]),
        ]
    }
    #[inline(always)]
    fn max(self, a: Pair, b: Pair) -> Pair {
        zip(a, b, |a, b| Neon.max(a, b))
    }
    #[inline(always)]
    fn min(self, a: Pair, b: Pair) -> Pair {
        zip(a, b, |a, b| Neon.min(a, b))
    }
    #[inline(always)]
    fn sum(self, a: Pair) -> f32 {
        Neon.sum(Neon.add(a[0], a[1]))
    }
    #[inline(always)]
    fn exponent(self, a: Pair) -> Pair {
        [Neon.exponent(a[0]), Neon.exponent(a[1])]
    }
}

#[inline(never)]
fn with_neon_pair<K: Kernel>(simd: NeonPair, kernel: K) -> K::Output {
    kernel.run(simd)
}
