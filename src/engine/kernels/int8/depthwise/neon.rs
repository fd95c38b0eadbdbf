//! Quads of 64-bit ARM cores: of those that have instructions for sums of four products of bytes, and of those that
//! have none.

pub(super) mod tall;

use std::arch::aarch64::*;
use std::arch::asm;

use edge_classify_kernels::{Neon, Simd};

use super::quads::Quads;
use crate::simd::LevelRange;
use crate::simd::neon::{Bounds, levels, words};
use crate::simd::neon_dot::Dots;

const BYTES: usize = 4 * Neon::LANES;

/// Quads that are multiplied by one instruction, for cores that have it.
#[derive(Clone, Copy)]
pub(super) struct Dot(Neon);

impl Dot {
    /// `None` where there is no such instruction.
    pub fn new(simd: Neon) -> Option<Dot> {
        Dots::detect().map(|_| Dot(simd))
    }
}

/// Quads that are multiplied in pairs, on any core.
#[derive(Clone, Copy)]
pub(super) struct Pairs(Neon);

impl Pairs {
    pub fn new(simd: Neon) -> Pairs {
        Pairs(simd)
    }
}

/// Quads with weights that are in registers.
trait Multiply: Quads<Levels = Neon, Bytes = int8x16_t> {
    /// Adds to each sum the four products of a quad with weights, of which none is -128.
    fn multiply(self, sum: int32x4_t, quad: int8x16_t, weights: int8x16_t) -> int32x4_t;
}

impl Multiply for Dot {
    #[inline(always)]
    fn multiply(self, sum: int32x4_t, quad: int8x16_t, weights: int8x16_t) -> int32x4_t {
        // SAFETY: there is no `Dot` where the core has not the instruction.
        unsafe { dot(sum, quad, weights) }
    }
}

impl Multiply for Pairs {
    #[inline(always)]
    fn multiply(self, sum: int32x4_t, quad: int8x16_t, weights: int8x16_t) -> int32x4_t {
        pairs(sum, quad, weights)
    }
}

/// The compiler has no function for the instruction yet.
///
/// # Safety
/// The core has it, as [`Dot::new`] finds.
#[inline(always)]
unsafe fn dot(mut sum: int32x4_t, quad: int8x16_t, weights: int8x16_t) -> int32x4_t {
    // SAFETY: by this function's contract.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "sdot {sum:v}.4s, {quad:v}.16b, {weights:v}.16b",
            sum = inout(vreg) sum,
            quad = in(vreg) quad,
            weights = in(vreg) weights,
            options(pure, nomem, nostack, preserves_flags)
        )
    };
    sum
}

/// Two products are less than 2^15 together, as no weight is -128.
#[inline(always)]
fn pairs(sum: int32x4_t, quad: int8x16_t, weights: int8x16_t) -> int32x4_t {
    // SAFETY: part of the architecture's base.
    unsafe {
        let low = vmull_s8(vget_low_s8(quad), vget_low_s8(weights));
        let high = vmull_high_s8(quad, weights);
        vpadalq_s16(sum, vpaddq_s16(low, high))
    }
}

macro_rules! quads {
    ($quads:ty) => {
        // SAFETY: part of the architecture's base, but for what `Dot::new` finds.
        unsafe impl Quads for $quads {
            type Levels = Neon;
            type Bytes = int8x16_t;
            const OFFSET: i32 = 0;
            const ROWS: usize = 2;
            const MOST_SETS: usize = 1;
            const MASKED_BYTES: bool = false;

            #[inline(always)]
            fn levels(self) -> Neon {
                self.0
            }
            #[inline(always)]
            fn bytes(self, byte: u8) -> int8x16_t {
                unsafe { vdupq_n_s8(byte as i8) }
            }
            #[inline(always)]
            unsafe fn load_bytes(self, from: *const u8) -> int8x16_t {
                unsafe { vld1q_s8(from.cast()) }
            }
            #[inline(always)]
            unsafe fn load_parts<const SETS: usize>(
                self,
                from: *const u8,
                _: usize,
                count: usize,
            ) -> int8x16_t {
                let mut bytes = [0; BYTES];
                unsafe {
                    bytes[..count].copy_from_slice(std::slice::from_raw_parts(from, count));
                    self.load_bytes(bytes.as_ptr())
                }
            }
            #[inline(always)]
            unsafe fn store_bytes(self, to: *mut u8, v: int8x16_t) {
                unsafe { vst1q_s8(to.cast(), v) }
            }
            #[inline(always)]
            unsafe fn store_parts<const SETS: usize>(
                self,
                to: *mut u8,
                _: usize,
                count: usize,
                parts: usize,
                v: int8x16_t,
            ) {
                if parts == 0 {
                    return;
                }
                let mut bytes = [0; BYTES];
                unsafe {
                    self.store_bytes(bytes.as_mut_ptr(), v);
                    std::slice::from_raw_parts_mut(to, count).copy_from_slice(&bytes[..count]);
                }
            }
            #[inline(always)]
            fn keep(self, v: int8x16_t, count: usize) -> int8x16_t {
                match count {
                    BYTES.. => v,
                    _ => self.bytes(0),
                }
            }
            #[inline(always)]
            fn quads(self, [a, b, c, d]: [int8x16_t; 4]) -> [int8x16_t; 4] {
                unsafe {
                    let pairs = |v| vreinterpretq_s16_s8(v);
                    let (low, high) = (pairs(vzip1q_s8(a, b)), pairs(vzip2q_s8(a, b)));
                    let (low_2, high_2) = (pairs(vzip1q_s8(c, d)), pairs(vzip2q_s8(c, d)));
                    [
                        vreinterpretq_s8_s16(vzip1q_s16(low, low_2)),
                        vreinterpretq_s8_s16(vzip2q_s16(low, low_2)),
                        vreinterpretq_s8_s16(vzip1q_s16(high, high_2)),
                        vreinterpretq_s8_s16(vzip2q_s16(high, high_2)),
                    ]
                }
            }
            #[inline(always)]
            unsafe fn dot(self, sum: int32x4_t, quad: int8x16_t, weights: *const i8) -> int32x4_t {
                self.multiply(sum, quad, unsafe { vld1q_s8(weights) })
            }
            #[inline(always)]
            unsafe fn store_integers(self, to: *mut i32, v: int32x4_t) {
                unsafe { vst1q_s32(to, v) }
            }
            #[inline(always)]
            fn pack(self, [a, b, c, d]: [float32x4_t; 4], range: LevelRange) -> int8x16_t {
                levels::<{ Bounds::ANY }>(words(a, b), words(c, d), range)
            }
        }
    };
}

quads!(Dot);
quads!(Pairs);
