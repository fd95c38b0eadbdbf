//! The step of a matrix product on 64-bit ARM, in assembly: all 32 registers are in use, and one instruction loads four
//! vectors of weights, for which the compiler has no intrinsic.

use std::arch::aarch64::float32x4_t;

/// Adds eight products to each of the sums of `M` rows and `N` vectors, `count` times: the rows have the values, `weights` `N`
/// vectors for each. Moves the pointers on. False, and nothing is done, where there is no such step for `M`
/// and `N`, or nothing to do.
///
/// # Safety
/// Each of `rows` is valid for reading `8 * count` values, and `weights` for reading `8 * count * N` vectors.
#[inline(always)]
pub unsafe fn eight_steps<const M: usize, const N: usize>(
    sums: &mut [[float32x4_t; N]; M],
    rows: &mut [*const f32; M],
    weights: &mut *const f32,
    count: usize,
) -> bool {
    if count == 0 {
        return false;
    }
    // A column's product: a register of weights, a lane of each row's values, and the sums and values of the rows.
    macro_rules! column {
        ($w:literal $lane:literal $([$sum:literal $x:literal])*) => {
            concat!($("fmla {", $sum, ":v}.4s, v", $w, ".4s, v", $x, ".s[", $lane, "]\n"),*)
        };
    }
    macro_rules! seven {
        ($w:literal $lane:literal 0) => { column!($w $lane [0 21] [3 22] [6 23] [9 24] [12 25] [15 26] [18 27]) };
        ($w:literal $lane:literal 1) => { column!($w $lane [1 21] [4 22] [7 23] [10 24] [13 25] [16 26] [19 27]) };
        ($w:literal $lane:literal 2) => { column!($w $lane [2 21] [5 22] [8 23] [11 24] [14 25] [17 26] [20 27]) };
    }
    macro_rules! five {
        ($w:literal $lane:literal 0) => { column!($w $lane [0 23] [4 24] [8 25] [12 26] [16 27]) };
        ($w:literal $lane:literal 1) => { column!($w $lane [1 23] [5 24] [9 25] [13 26] [17 27]) };
        ($w:literal $lane:literal 2) => { column!($w $lane [2 23] [6 24] [10 25] [14 26] [18 27]) };
        ($w:literal $lane:literal 3) => { column!($w $lane [3 23] [7 24] [11 25] [15 26] [19 27]) };
    }
    macro_rules! load {
        () => {
            "ld1 {{v28.4s, v29.4s, v30.4s, v31.4s}}, [{weights}], #64\n"
        };
    }
    macro_rules! seven_rows {
        () => {
            concat!(
                "ldr q21, [{r0}], #16\n", "ldr q22, [{r1}], #16\n", "ldr q23, [{r2}], #16\n", "ldr q24, [{r3}], #16\n",
                "ldr q25, [{r4}], #16\n", "ldr q26, [{r5}], #16\n", "ldr q27, [{r6}], #16\n",
                load!(), seven!(28 0 0), seven!(29 0 1), seven!(30 0 2), seven!(31 1 0),
                load!(), seven!(28 1 1), seven!(29 1 2), seven!(30 2 0), seven!(31 2 1),
                load!(), seven!(28 2 2), seven!(29 3 0), seven!(30 3 1), seven!(31 3 2),
            )
        };
    }
    macro_rules! five_rows {
        () => {
            concat!(
                "ldr q23, [{r0}], #16\n", "ldr q24, [{r1}], #16\n", "ldr q25, [{r2}], #16\n", "ldr q26, [{r3}], #16\n",
                "ldr q27, [{r4}], #16\n",
                load!(), five!(28 0 0), five!(29 0 1), five!(30 0 2), five!(31 0 3),
                load!(), five!(28 1 0), five!(29 1 1), five!(30 1 2), five!(31 1 3),
                load!(), five!(28 2 0), five!(29 2 1), five!(30 2 2), five!(31 2 3),
                load!(), five!(28 3 0), five!(29 3 1), five!(30 3 2), five!(31 3 3),
            )
        };
    }
    macro_rules! run {
        ($step:ident, [$($sum:literal)*] [$($row:ident $at:literal)*] [$($register:tt)*]) => {{
            let sums = sums.as_flattened_mut();
            // SAFETY: by this function's contract; writes nothing to memory.
            unsafe {
                std::arch::asm!(
                    "2:",
                    $step!(),
                    $step!(),
                    "subs {count}, {count}, #1",
                    "b.ne 2b",
                    $(inout(vreg) sums[$sum],)*
                    $($row = inout(reg) rows[$at],)*
                    weights = inout(reg) *weights,
                    count = inout(reg) count => _,
                    $(out($register) _,)*
                    options(readonly, nostack)
                )
            }
            true
        }};
    }
    match (M, N) {
        (7, 3) => run!(seven_rows,
            [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20]
            [r0 0 r1 1 r2 2 r3 3 r4 4 r5 5 r6 6]
            ["v21" "v22" "v23" "v24" "v25" "v26" "v27" "v28" "v29" "v30" "v31"]),
        (5, 4) => run!(five_rows,
            [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19]
            [r0 0 r1 1 r2 2 r3 3 r4 4]
            ["v23" "v24" "v25" "v26" "v27" "v28" "v29" "v30" "v31"]),
        _ => false,
    }
}
