//! Products of bytes on 64-bit ARM cores that have instructions for sums of four: for each lane of a vector of sums,
//! four adjacent bytes of weights and four of a row.

use std::arch::aarch64::*;
use std::arch::asm;

use edge_classify_kernels::Neon;

use super::Products;
use super::neon::rows_from;

/// Proof that the core has them.
#[derive(Clone, Copy)]
pub struct Dots(());

impl Dots {
    pub fn detect() -> Option<Dots> {
        std::arch::is_aarch64_feature_detected!("dotprod").then_some(Dots(()))
    }
}

// SAFETY: no tile needs more registers than there are.
unsafe impl Products<Neon> for Dots {
    const SUM_ROWS: [usize; 4] = [8, 8, 0, 5];

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
        // SAFETY: by this function's contract, and as there is a [`Dots`].
        unsafe { add_products(sums, x, stride, weights, steps) }
    }
}

/// Adds the products of the four bytes of `levels` numbered `LANE`. The compiler has no function for it yet.
///
/// # Safety
/// [`Dots::detect`] has found the instruction.
#[inline(always)]
unsafe fn dot_lane<const LANE: i32>(
    mut sums: int32x4_t,
    weights: int8x16_t,
    levels: int8x16_t,
) -> int32x4_t {
    // SAFETY: by this function's contract.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "sdot {sums:v}.4s, {weights:v}.16b, {levels:v}.4b[{lane}]",
            sums = inout(vreg) sums,
            weights = in(vreg) weights,
            levels = in(vreg) levels,
            lane = const LANE,
            options(pure, nomem, nostack, preserves_flags)
        )
    };
    sums
}

/// # Safety
/// As of [`Products::add`], and of [`dot_lane`].
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
        for _ in 0..steps / 4 {
            let mut levels = [vdupq_n_s8(0); M];
            for (row, levels) in rows.iter_mut().zip(&mut levels) {
                *levels = vld1q_s8(*row);
                *row = row.add(16);
            }
            add_step::<M, N, 0>(sums, &levels, weights);
            add_step::<M, N, 1>(sums, &levels, weights.add(16 * N));
            add_step::<M, N, 2>(sums, &levels, weights.add(32 * N));
            add_step::<M, N, 3>(sums, &levels, weights.add(48 * N));
            weights = weights.add(64 * N);
        }
        for _ in 0..steps % 4 {
            let mut levels = [vdupq_n_s8(0); M];
            for (row, levels) in rows.iter_mut().zip(&mut levels) {
                let four = row.cast::<i32>().read_unaligned();
                *levels = vreinterpretq_s8_s32(vdupq_n_s32(four));
                *row = row.add(4);
            }
            add_step::<M, N, 0>(sums, &levels, weights);
            weights = weights.add(16 * N);
        }
    }
}

/// # Safety
/// As of [`dot_lane`]; `weights` is valid for reading `N` vectors.
#[inline(always)]
unsafe fn add_step<const M: usize, const N: usize, const LANE: i32>(
    sums: &mut [[int32x4_t; N]; M],
    levels: &[int8x16_t; M],
    weights: *const i8,
) {
    // SAFETY: by this function's contract.
    unsafe {
        let mut columns = [vdupq_n_s8(0); N];
        for (i, column) in columns.iter_mut().enumerate() {
            *column = vld1q_s8(weights.add(16 * i));
        }
        for (sums, levels) in sums.iter_mut().zip(levels) {
            for (sum, column) in sums.iter_mut().zip(columns) {
                *sum = dot_lane::<LANE>(*sum, column, *levels);
            }
        }
    }
}

/// [`add_products`] for the usual tiles, in assembly: nearly all registers are in use, and one instruction loads four
/// vectors of weights. False, and nothing is done, for other tiles.
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
    // For a vector of weights and a lane of the rows: the sums of all rows.
    macro_rules! column {
        ($w:literal $lane:literal $([$sum:literal $x:literal])*) => {
            concat!($("sdot {", $sum, ":v}.4s, v", $w, ".16b, v", $x, ".4b[", $lane, "]\n"),*)
        };
    }
    macro_rules! five_by_four {
        ($lane:literal) => {
            concat!(
                "ld1 {{v28.16b, v29.16b, v30.16b, v31.16b}}, [{weights}], #64\n",
                column!(28 $lane [0 23] [4 24] [8 25] [12 26] [16 27]),
                column!(29 $lane [1 23] [5 24] [9 25] [13 26] [17 27]),
                column!(30 $lane [2 23] [6 24] [10 25] [14 26] [18 27]),
                column!(31 $lane [3 23] [7 24] [11 25] [15 26] [19 27]),
            )
        };
    }
    macro_rules! four_by_four {
        ($lane:literal) => {
            concat!(
                "ld1 {{v28.16b, v29.16b, v30.16b, v31.16b}}, [{weights}], #64\n",
                column!(28 $lane [0 23] [4 24] [8 25] [12 26]),
                column!(29 $lane [1 23] [5 24] [9 25] [13 26]),
                column!(30 $lane [2 23] [6 24] [10 25] [14 26]),
                column!(31 $lane [3 23] [7 24] [11 25] [15 26]),
            )
        };
    }
    macro_rules! eight_by_two {
        ($w:literal $v:literal $lane:literal) => {
            concat!(
                column!($w $lane [0 20] [2 21] [4 22] [6 23] [8 24] [10 25] [12 26] [14 27]),
                column!($v $lane [1 20] [3 21] [5 22] [7 23] [9 24] [11 25] [13 26] [15 27]),
            )
        };
    }
    macro_rules! run {
        (
            [$($row:ident $at:literal $x:literal)*] [$($sum:literal)*] [$($register:tt)*]
            $four_steps:expr, $step:expr
        ) => {{
            let sums = sums.as_flattened_mut();
            // SAFETY: by this function's contract; writes nothing to memory.
            unsafe {
                asm!(
                    ".arch_extension dotprod",
                    "cbz {count}, 3f",
                    "2:",
                    $(concat!("ldr q", $x, ", [{", stringify!($row), "}], #16"),)*
                    $four_steps,
                    "subs {count}, {count}, #1",
                    "b.ne 2b",
                    "3:",
                    "cbz {rest}, 5f",
                    "4:",
                    $(concat!("ld1r {{v", $x, ".4s}}, [{", stringify!($row), "}], #4"),)*
                    $step,
                    "subs {rest}, {rest}, #1",
                    "b.ne 4b",
                    "5:",
                    $(inout(vreg) sums[$sum],)*
                    $($row = inout(reg) rows[$at] => _,)*
                    weights = inout(reg) weights => _,
                    count = inout(reg) steps / 4 => _,
                    rest = inout(reg) steps % 4 => _,
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
            ["v23" "v24" "v25" "v26" "v27" "v28" "v29" "v30" "v31"]
            concat!(five_by_four!(0), five_by_four!(1), five_by_four!(2), five_by_four!(3)),
            five_by_four!(0)
        ),
        (4, 4) => run!(
            [r0 0 23 r1 1 24 r2 2 25 r3 3 26]
            [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15]
            ["v23" "v24" "v25" "v26" "v28" "v29" "v30" "v31"]
            concat!(four_by_four!(0), four_by_four!(1), four_by_four!(2), four_by_four!(3)),
            four_by_four!(0)
        ),
        (8, 2) => run!(
            [r0 0 20 r1 1 21 r2 2 22 r3 3 23 r4 4 24 r5 5 25 r6 6 26 r7 7 27]
            [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15]
            ["v20" "v21" "v22" "v23" "v24" "v25" "v26" "v27" "v28" "v29" "v30" "v31"]
            concat!(
                "ld1 {{v28.16b, v29.16b, v30.16b, v31.16b}}, [{weights}], #64\n",
                eight_by_two!(28 29 0),
                eight_by_two!(30 31 1),
                "ld1 {{v28.16b, v29.16b, v30.16b, v31.16b}}, [{weights}], #64\n",
                eight_by_two!(28 29 2),
                eight_by_two!(30 31 3),
            ),
            concat!("ld1 {{v28.16b, v29.16b}}, [{weights}], #32\n", eight_by_two!(28 29 0))
        ),
        _ => false,
    }
}
