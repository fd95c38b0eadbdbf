//! Products of bytes on any 64-bit ARM core: two products are added in 16 bits, which no sum of two exceeds without a
//! weight of -128, and adjacent ones of these to the sums in 32 bits.
//!
//! A lane of sums has a pair of adjacent weights of its column, and is multiplied by a pair of a row. The row's pairs
//! are turned by one lane after each multiplication, so that every lane meets every pair; the weights are laid out as
//! the lanes meet them.

use std::arch::aarch64::*;
use std::arch::asm;

use edge_classify_kernels::Neon;

use super::Products;
use super::neon::rows_from;

/// Weights of a column that are multiplied in a step.
const DEPTH: usize = 8;

#[derive(Clone, Copy)]
pub struct Pairs;

// SAFETY: no tile needs more registers than there are.
unsafe impl Products<Neon> for Pairs {
    const SUM_ROWS: [usize; 4] = [8, 8, 0, 5];
    const DEPTH: usize = DEPTH;

    /// Two steps are taken together while there are two.
    #[inline(always)]
    fn place(width: usize, k: usize, column: usize, i: usize) -> usize {
        let together = k / (2 * DEPTH) * 2 * DEPTH;
        let depth = if i < together { 2 * DEPTH } else { DEPTH };
        let first = i / depth * depth;
        let (pair, lane) = (i % depth / 2, column % 4);
        // The turn after which the lane meets the pair; in the vector's second half it meets those that are four
        // further.
        let turn = (pair + depth / 2 - lane) % (depth / 2);
        let (half, turn) = (turn / 4, turn % 4);
        let vector = turn * (width / 4) + column / 4;
        first * width + vector * depth + (half * 4 + lane) * 2 + i % 2
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
        // SAFETY: by this function's contract.
        unsafe { add_products(sums, x, stride, weights, steps) }
    }
}

/// # Safety
/// As of [`Products::add`].
#[inline(always)]
unsafe fn add_products<const M: usize, const N: usize>(
    sums: &mut [[int32x4_t; N]; M],
    x: *const u8,
    stride: usize,
    mut weights: *const i8,
    steps: usize,
) {
    let mut rows: [*const i8; M] = rows_from(x, stride);
    // SAFETY: by this function's contract.
    unsafe {
        if usual_tile(sums, &rows, weights, steps) {
            return;
        }
        for _ in 0..steps / 2 {
            let mut levels = [vdupq_n_s8(0); M];
            for (row, levels) in rows.iter_mut().zip(&mut levels) {
                *levels = vld1q_s8(*row);
                *row = row.add(2 * DEPTH);
            }
            for _ in 0..4 {
                for i in 0..N {
                    let column = vld1q_s8(weights.add(2 * DEPTH * i));
                    for (sums, levels) in sums.iter_mut().zip(levels) {
                        let products = vmull_s8(vget_low_s8(levels), vget_low_s8(column));
                        let products = vmlal_high_s8(products, levels, column);
                        sums[i] = vpadalq_s16(sums[i], products);
                    }
                }
                for levels in &mut levels {
                    *levels = vextq_s8::<2>(*levels, *levels);
                }
                weights = weights.add(2 * DEPTH * N);
            }
        }
        if steps % 2 == 1 {
            let mut levels = [vdup_n_s8(0); M];
            for (row, levels) in rows.iter().zip(&mut levels) {
                *levels = vld1_s8(*row);
            }
            for _ in 0..4 {
                for i in 0..N {
                    let column = vld1_s8(weights.add(DEPTH * i));
                    for (sums, levels) in sums.iter_mut().zip(levels) {
                        sums[i] = vpadalq_s16(sums[i], vmull_s8(levels, column));
                    }
                }
                for levels in &mut levels {
                    *levels = vext_s8::<2>(*levels, *levels);
                }
                weights = weights.add(DEPTH * N);
            }
        }
    }
}

/// [`add_products`] for the usual tiles, in assembly: all registers are in use, and one instruction loads four vectors
/// of weights. False, and nothing is done, for other tiles.
///
/// # Safety
/// As of [`add_products`]; the rows are at `rows`.
#[inline(always)]
unsafe fn usual_tile<const M: usize, const N: usize>(
    sums: &mut [[int32x4_t; N]; M],
    rows: &[*const i8; M],
    weights: *const i8,
    steps: usize,
) -> bool {
    // For a vector of weights, of two steps or of one: the sums of some rows, each through a register for products.
    macro_rules! sums {
        (2 $w:literal $([$sum:literal $x:literal $p:literal])*) => {
            concat!(
                $("smull v", $p, ".8h, v", $x, ".8b, v", $w, ".8b\n",)*
                $("smlal2 v", $p, ".8h, v", $x, ".16b, v", $w, ".16b\n",)*
                $("sadalp {", $sum, ":v}.4s, v", $p, ".8h\n",)*
            )
        };
        (1 $w:literal $([$sum:literal $x:literal $p:literal])*) => {
            concat!(
                $("smull v", $p, ".8h, v", $x, ".8b, v", $w, ".8b\n",)*
                $("sadalp {", $sum, ":v}.4s, v", $p, ".8h\n",)*
            )
        };
    }
    macro_rules! five_rows {
        ($steps:tt $w:literal $s0:literal $s1:literal $s2:literal $s3:literal $s4:literal) => {
            concat!(
                sums!($steps $w [$s0 23 20] [$s1 24 21] [$s2 25 22]),
                sums!($steps $w [$s3 26 20] [$s4 27 21]),
            )
        };
    }
    macro_rules! five_by_four {
        ($steps:tt) => {
            concat!(
                five_rows!($steps 28 0 4 8 12 16),
                five_rows!($steps 29 1 5 9 13 17),
                five_rows!($steps 30 2 6 10 14 18),
                five_rows!($steps 31 3 7 11 15 19),
            )
        };
    }
    macro_rules! four_by_four {
        ($steps:tt) => {
            concat!(
                sums!($steps 28 [0 23 20] [4 24 21] [8 25 22] [12 26 27]),
                sums!($steps 29 [1 23 20] [5 24 21] [9 25 22] [13 26 27]),
                sums!($steps 30 [2 23 20] [6 24 21] [10 25 22] [14 26 27]),
                sums!($steps 31 [3 23 20] [7 24 21] [11 25 22] [15 26 27]),
            )
        };
    }
    macro_rules! eight_by_two {
        ($steps:tt) => {
            concat!(
                sums!($steps 24 [0 16 26] [2 17 27] [4 18 28] [6 19 29]),
                sums!($steps 24 [8 20 26] [10 21 27] [12 22 28] [14 23 29]),
                sums!($steps 25 [1 16 26] [3 17 27] [5 18 28] [7 19 29]),
                sums!($steps 25 [9 20 26] [11 21 27] [13 22 28] [15 23 29]),
            )
        };
    }
    macro_rules! run {
        (
            [$($row:ident $at:literal $x:literal)*] [$($sum:literal)*] [$($register:tt)*]
            $load_two:expr, $two_steps:expr, $load:expr, $step:expr
        ) => {{
            let sums = sums.as_flattened_mut();
            macro_rules! turn {
                ($bytes:literal) => {
                    concat!($("ext v", $x, $bytes, ", v", $x, $bytes, ", v", $x, $bytes, ", #2\n"),*)
                };
            }
            // SAFETY: by this function's contract; writes nothing to memory.
            unsafe {
                asm!(
                    "cbz {count}, 3f",
                    "2:",
                    $(concat!("ldr q", $x, ", [{", stringify!($row), "}], #16"),)*
                    $load_two, $two_steps, turn!(".16b"),
                    $load_two, $two_steps, turn!(".16b"),
                    $load_two, $two_steps, turn!(".16b"),
                    $load_two, $two_steps,
                    "subs {count}, {count}, #1",
                    "b.ne 2b",
                    "3:",
                    "cbz {rest}, 4f",
                    $(concat!("ldr d", $x, ", [{", stringify!($row), "}]"),)*
                    $load, $step, turn!(".8b"),
                    $load, $step, turn!(".8b"),
                    $load, $step, turn!(".8b"),
                    $load, $step,
                    "4:",
                    $(inout(vreg) sums[$sum],)*
                    $($row = inout(reg) rows[$at] => _,)*
                    weights = inout(reg) weights => _,
                    count = inout(reg) steps / 2 => _,
                    rest = in(reg) steps % 2,
                    $(out($register) _,)*
                    options(readonly, nostack)
                )
            }
            true
        }};
    }
    match (M, N) {
        (5, 4) => run!(
            [r0 0 23 r1 1 24 r2 2 25 r3 3 26 r4 4 27]
            [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19]
            ["v20" "v21" "v22" "v23" "v24" "v25" "v26" "v27" "v28" "v29" "v30" "v31"]
            "ld1 {{v28.16b, v29.16b, v30.16b, v31.16b}}, [{weights}], #64", five_by_four!(2),
            "ld1 {{v28.8b, v29.8b, v30.8b, v31.8b}}, [{weights}], #32", five_by_four!(1)
        ),
        (4, 4) => run!(
            [r0 0 23 r1 1 24 r2 2 25 r3 3 26]
            [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15]
            ["v20" "v21" "v22" "v23" "v24" "v25" "v26" "v27" "v28" "v29" "v30" "v31"]
            "ld1 {{v28.16b, v29.16b, v30.16b, v31.16b}}, [{weights}], #64", four_by_four!(2),
            "ld1 {{v28.8b, v29.8b, v30.8b, v31.8b}}, [{weights}], #32", four_by_four!(1)
        ),
        (8, 2) => run!(
            [r0 0 16 r1 1 17 r2 2 18 r3 3 19 r4 4 20 r5 5 21 r6 6 22 r7 7 23]
            [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15]
            ["v16" "v17" "v18" "v19" "v20" "v21" "v22" "v23" "v24" "v25" "v26" "v27" "v28" "v29"]
            "ld1 {{v24.16b, v25.16b}}, [{weights}], #32", eight_by_two!(2),
            "ld1 {{v24.8b, v25.8b}}, [{weights}], #16", eight_by_two!(1)
        ),
        _ => false,
    }
}
