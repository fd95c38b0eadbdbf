//! Integers of 64-bit ARM processors.

use std::arch::aarch64::*;

use edge_classify_kernels::{Neon, Simd};

use super::aside::Aside;
use super::neon_dot::Dots;
use super::neon_matrix::Matrices;
use super::neon_pairs::Pairs;
use super::{LevelKernel, LevelRange, Levels, ProductKernel, Products};

const LANES: usize = Neon::LANES;

// SAFETY: part of the architecture's base.
unsafe impl Levels for Neon {
    type I = int32x4_t;
    const FLIP: u8 = 0;
    const MOST_STORED: usize = 4;

    #[inline(always)]
    fn call_levels<K: LevelKernel>(self, kernel: K) -> K::Output {
        with_neon(self, kernel)
    }
    #[inline(always)]
    fn integers(self, value: i32) -> int32x4_t {
        unsafe { vdupq_n_s32(value) }
    }
    #[inline(always)]
    unsafe fn load_integers(self, from: *const i32) -> int32x4_t {
        unsafe { vld1q_s32(from) }
    }
    #[inline(always)]
    fn add_integers(self, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        unsafe { vaddq_s32(a, b) }
    }
    #[inline(always)]
    fn to_floats(self, a: int32x4_t) -> float32x4_t {
        unsafe { vcvtq_f32_s32(a) }
    }
    #[inline(always)]
    fn round(self, a: float32x4_t) -> int32x4_t {
        unsafe { vcvtnq_s32_f32(a) }
    }
    #[inline(always)]
    unsafe fn load_levels(self, from: *const u8, count: usize) -> int32x4_t {
        let mut bytes = [0; LANES];
        unsafe {
            match count {
                LANES => bytes = from.cast::<[u8; LANES]>().read(),
                _ => bytes[..count].copy_from_slice(std::slice::from_raw_parts(from, count)),
            }
            let levels = vreinterpret_s8_u32(vdup_n_u32(u32::from_le_bytes(bytes)));
            vmovl_s16(vget_low_s16(vmovl_s8(levels)))
        }
    }
    #[inline(always)]
    unsafe fn load_above<const N: usize>(
        self,
        from: *const u8,
        count: usize,
        zero_point: i8,
    ) -> [int32x4_t; N] {
        let mut above = [self.integers(0); N];
        let mut bytes = [0u8; 4 * LANES];
        // SAFETY: by this function's contract: a vector is read from there only where all of its bytes are asked for.
        unsafe {
            let zero_point = vdupq_n_s8(zero_point);
            let bytes = match (N, count == N * LANES) {
                (4, true) => vld1q_s8(from.cast()),
                (2, true) => {
                    let half = vld1_s8(from.cast());
                    vcombine_s8(half, half)
                }
                _ => {
                    bytes[..count].copy_from_slice(std::slice::from_raw_parts(from, count));
                    vld1q_s8(bytes.as_ptr().cast())
                }
            };
            let first = vsubl_s8(vget_low_s8(bytes), vget_low_s8(zero_point));
            let second = vsubl_high_s8(bytes, zero_point);
            for (i, above) in above.iter_mut().enumerate() {
                *above = match i {
                    0 => vmovl_s16(vget_low_s16(first)),
                    1 => vmovl_high_s16(first),
                    2 => vmovl_s16(vget_low_s16(second)),
                    _ => vmovl_high_s16(second),
                };
            }
        }
        above
    }
    #[inline(always)]
    unsafe fn store_levels(self, to: *mut u8, count: usize, a: int32x4_t) {
        unsafe {
            let words = vqmovn_s32(a);
            let levels = vqmovn_s16(vcombine_s16(words, words));
            let bytes = vget_lane_u32::<0>(vreinterpret_u32_s8(levels)).to_le_bytes();
            match count {
                LANES => to.cast::<[u8; LANES]>().write(bytes),
                _ => std::slice::from_raw_parts_mut(to, count).copy_from_slice(&bytes[..count]),
            }
        }
    }

    #[inline(always)]
    fn call_products<K: ProductKernel>(self, kernel: K) -> K::Output {
        if let Some(matrices) = Matrices::detect() {
            matrices.call(self, kernel)
        } else if let Some(dots) = Dots::detect() {
            dots.call(self, kernel)
        } else {
            Pairs.call(self, kernel)
        }
    }
    #[inline(always)]
    unsafe fn store_rounded<const M: usize, const N: usize>(
        self,
        values: &[[float32x4_t; N]; M],
        to: *mut u8,
        stride: usize,
        columns: usize,
        range: LevelRange,
    ) {
        let (mut aside, apart) = (Aside::<M>::new(), stride);
        // SAFETY: by this function's contract.
        unsafe {
            // Of three vectors no store is as long.
            if columns == N * LANES && N != 3 {
                return match Bounds::of(range) {
                    Bounds::RECTIFIED => {
                        store_whole::<M, N, { Bounds::RECTIFIED }>(values, to, stride, range);
                    }
                    Bounds::NONE => {
                        store_whole::<M, N, { Bounds::NONE }>(values, to, stride, range)
                    }
                    _ => store_whole::<M, N, { Bounds::ANY }>(values, to, stride, range),
                };
            }
            let stride = Aside::<M>::STRIDE;
            store_whole::<M, N, { Bounds::ANY }>(values, aside.start(), stride, range);
            aside.copy(to, apart, columns);
        }
    }
}

/// Where each of `M` rows begins, the first at `x`.
#[inline(always)]
pub(super) fn rows_from<const M: usize>(x: *const u8, stride: usize) -> [*const i8; M] {
    std::array::from_fn(|row| x.cast::<i8>().wrapping_add(row * stride))
}

/// What is left to do about a range's bounds, as each step keeps to those of its type.
pub struct Bounds;

impl Bounds {
    /// Nothing.
    pub const NONE: u8 = 0;
    /// Nothing, and the zero point is the lowest level: what is above that is a byte without a sign.
    pub const RECTIFIED: u8 = 1;
    pub const ANY: u8 = 2;

    #[inline(always)]
    pub fn of(range: LevelRange) -> u8 {
        match (range.zero_point, range.low, range.high) {
            (i8::MIN, i8::MIN, i8::MAX) => Bounds::RECTIFIED,
            (_, i8::MIN, i8::MAX) => Bounds::NONE,
            _ => Bounds::ANY,
        }
    }
}

/// Values rounded to words.
#[inline(always)]
pub fn words(a: float32x4_t, b: float32x4_t) -> int16x8_t {
    // SAFETY: part of the architecture's base.
    unsafe { vqmovn_high_s32(vqmovn_s32(Neon.round(a)), Neon.round(b)) }
}

/// The levels of two vectors of rounded values, with the [`Bounds`] of the range.
#[inline(always)]
pub fn levels<const BOUNDS: u8>(
    first: int16x8_t,
    second: int16x8_t,
    range: LevelRange,
) -> int8x16_t {
    // SAFETY: part of the architecture's base.
    unsafe {
        if BOUNDS == Bounds::RECTIFIED {
            let above = vqmovun_high_s16(vqmovun_s16(first), second);
            return vreinterpretq_s8_u8(veorq_u8(above, vdupq_n_u8(0x80)));
        }
        let zero_point = vdupq_n_s16(range.zero_point.into());
        let [first, second] = [first, second].map(|words| vqaddq_s16(words, zero_point));
        let levels = vqmovn_high_s16(vqmovn_s16(first), second);
        match BOUNDS {
            Bounds::NONE => levels,
            _ => vminq_s8(
                vmaxq_s8(levels, vdupq_n_s8(range.low)),
                vdupq_n_s8(range.high),
            ),
        }
    }
}

/// # Safety
/// As of [`Levels::store_rounded`] for all columns.
#[inline(always)]
unsafe fn store_whole<const M: usize, const N: usize, const BOUNDS: u8>(
    values: &[[float32x4_t; N]; M],
    to: *mut u8,
    stride: usize,
    range: LevelRange,
) {
    for (row, values) in values.iter().enumerate() {
        let words = |first: usize| words(values[first.min(N - 1)], values[(first + 1).min(N - 1)]);
        let first = words(0);
        let second = if N > 2 { words(2) } else { first };
        let levels = levels::<BOUNDS>(first, second, range);
        // SAFETY: by this function's contract.
        unsafe {
            let to = to.add(row * stride);
            match N {
                1 => {
                    let first = vgetq_lane_u32::<0>(vreinterpretq_u32_s8(levels));
                    to.cast::<u32>().write_unaligned(first);
                }
                2 => vst1_s8(to.cast(), vget_low_s8(levels)),
                _ => vst1q_s8(to.cast(), levels),
            }
        }
    }
}

#[inline(never)]
fn with_neon<K: LevelKernel>(simd: Neon, kernel: K) -> K::Output {
    kernel.run(simd)
}
