//! Products of bytes on 64-bit ARM cores that have instructions for products of small matrices: eight adjacent bytes of
//! two rows with eight weights of two columns, added to four sums.
//!
//! Where a vector of sums has four columns of a row, the instructions want two columns of two rows: sums change places
//! before the first step and after the last.

use std::arch::aarch64::*;
use std::arch::asm;

use edge_classify_kernels::Neon;

use super::Products;
use super::neon::rows_from;

/// Weights of a column that are multiplied in a step.
const DEPTH: usize = 8;

/// Proof that the core has them.
#[derive(Clone, Copy)]
pub struct Matrices(());

impl Matrices {
    pub fn detect() -> Option<Matrices> {
        std::arch::is_aarch64_feature_detected!("i8mm").then_some(Matrices(()))
    }
}

// SAFETY: no tile needs more registers than there are.
unsafe impl Products<Neon> for Matrices {
    const SUM_ROWS: [usize; 4] = [8, 8, 0, 6];
    const DEPTH: usize = DEPTH;

    #[inline(always)]
    fn place(width: usize, _: usize, column: usize, i: usize) -> usize {
        (i / DEPTH * width + column) * DEPTH + i % DEPTH
    }

    #[inline(always)]
    unsafe fn add<const M: usize, const N: usize>(
        self,
        _: Neon,
        sums: &mut [[int32x4_t; N]; M],
        x: *const u8,
        stride: usize,
        weights: *const i8,
        steps: usize,
    ) {
        // SAFETY: by this function's contract, and as there is a [`Matrices`].
        unsafe { add_products(sums, x, stride, weights, steps) }
    }
}

/// Adds the products of two rows with two columns. The compiler has no function for it yet.
///
/// # Safety
/// [`Matrices::detect`] has found the instruction.
#[inline(always)]
unsafe fn multiply(mut sums: int32x4_t, rows: int8x16_t, columns: int8x16_t) -> int32x4_t {
    // SAFETY: by this function's contract.
    unsafe {
        asm!(
            ".arch_extension i8mm",
            "smmla {sums:v}.4s, {rows:v}.16b, {columns:v}.16b",
            sums = inout(vreg) sums,
            rows = in(vreg) rows,
            columns = in(vreg) columns,
            options(pure, nomem, nostack, preserves_flags)
        )
    };
    sums
}

/// From two vectors of four columns, one of each row, to two of two columns each; and back.
#[inline(always)]
fn regroup(a: int32x4_t, b: int32x4_t) -> [int32x4_t; 2] {
    // SAFETY: part of the architecture's base.
    unsafe {
        let (a, b) = (vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b));
        [vzip1q_s64(a, b), vzip2q_s64(a, b)].map(|v| vreinterpretq_s32_s64(v))
    }
}

/// # Safety
/// As of [`Products::add`], and of [`multiply`].
#[inline(always)]
unsafe fn add_products<const M: usize, const N: usize>(
    sums: &mut [[int32x4_t; N]; M],
    x: *const u8,
    stride: usize,
    mut weights: *const i8,
    steps: usize,
) {
    // Of an odd number of rows the last is its own neighbour.
    let pairs = M.div_ceil(2);
    let second = |pair: usize| (2 * pair + 1).min(M - 1);
    let mut rows: [*const i8; M] = rows_from(x, stride);
    // SAFETY: by this function's contract.
    unsafe {
        let mut tiles = [[[vdupq_n_s32(0); 2]; N]; M];
        for (pair, tiles) in tiles[..pairs].iter_mut().enumerate() {
            for (i, tile) in tiles.iter_mut().enumerate() {
                *tile = regroup(sums[2 * pair][i], sums[second(pair)][i]);
            }
        }
        for _ in 0..steps / 2 {
            let mut levels = [[vdupq_n_s8(0); 2]; M];
            for (pair, levels) in levels[..pairs].iter_mut().enumerate() {
                let [a, b] =
                    [2 * pair, second(pair)].map(|row| vreinterpretq_s64_s8(vld1q_s8(rows[row])));
                *levels = [vzip1q_s64(a, b), vzip2q_s64(a, b)].map(|v| vreinterpretq_s8_s64(v));
            }
            for row in &mut rows {
                *row = row.add(2 * DEPTH);
            }
            for half in 0..2 {
                for i in 0..2 * N {
                    let columns = vld1q_s8(weights.add(2 * DEPTH * i));
                    for (tiles, levels) in tiles[..pairs].iter_mut().zip(&levels) {
                        let tile = &mut tiles[i / 2][i % 2];
                        *tile = multiply(*tile, levels[half], columns);
                    }
                }
                weights = weights.add(4 * DEPTH * N);
            }
        }
        if steps % 2 == 1 {
            let mut levels = [vdupq_n_s8(0); M];
            for (pair, levels) in levels[..pairs].iter_mut().enumerate() {
                let [a, b] = [2 * pair, second(pair)].map(|row| vld1_s8(rows[row]));
                *levels = vcombine_s8(a, b);
            }
            for i in 0..2 * N {
                let columns = vld1q_s8(weights.add(2 * DEPTH * i));
                for (tiles, levels) in tiles[..pairs].iter_mut().zip(&levels) {
                    let tile = &mut tiles[i / 2][i % 2];
                    *tile = multiply(*tile, *levels, columns);
                }
            }
        }
        for (pair, tiles) in tiles[..pairs].iter().enumerate() {
            for (i, [a, b]) in tiles.iter().enumerate() {
                let [first, other] = regroup(*a, *b);
                sums[2 * pair][i] = first;
                if 2 * pair + 1 < M {
                    sums[2 * pair + 1][i] = other;
                }
            }
        }
    }
}
