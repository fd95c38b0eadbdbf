//! The step of a matrix product of f16 on 64-bit ARM, in assembly: as `neon_tile.rs`, with twice the lanes.

use std::arch::aarch64::uint16x8_t;

use half::f16;

/// Adds eight products to each of the sums of `M` rows and `N` vectors, `count` times: the rows have the values, `weights` `N`
/// vectors for each. Moves the pointers on. False, and nothing is done, where there is no such step for `M`
/// and `N`, or nothing to do.
///
/// # Safety
/// Each of `rows` is valid for reading `8 * count` values, and `weights` for reading `8 * count * N` vectors. The processor
/// computes in f16.
#[inline(always)]
pub unsafe fn eight_steps<const M: usize, const N: usize>(
    sums: &mut [[uint16x8_t; N]; M],
    rows: &mut [*const f16; M],
    weights: &mut *const f16,
    count: usize,
) -> bool {
    if count == 0 {
        return false;
    }
    // A column's product: a register of weights, a lane of each row's values, and the sums and values of the rows. A lane of
    // f16 can be taken of the first 16 registers alone.
    macro_rules! column {
        ($w:literal $lane:literal $([$sum:literal $x:literal])*) => {
            concat!($("fmla {", $sum, ":v}.8h, v", $w, ".8h, v", $x, ".h[", $lane, "]\n"),*)
        };
    }
    macro_rules! seven {
        ($w:literal $lane:literal 0) => { column!($w $lane [0 0] [3 1] [6 2] [9 3] [12 4] [15 5] [18 6]) };
        ($w:literal $lane:literal 1) => { column!($w $lane [1 0] [4 1] [7 2] [10 3] [13 4] [16 5] [19 6]) };
        ($w:literal $lane:literal 2) => { column!($w $lane [2 0] [5 1] [8 2] [11 3] [14 4] [17 5] [20 6]) };
    }
    macro_rules! five {
        ($w:literal $lane:literal 0) => { column!($w $lane [0 0] [4 1] [8 2] [12 3] [16 4]) };
        ($w:literal $lane:literal 1) => { column!($w $lane [1 0] [5 1] [9 2] [13 3] [17 4]) };
        ($w:literal $lane:literal 2) => { column!($w $lane [2 0] [6 1] [10 2] [14 3] [18 4]) };
        ($w:literal $lane:literal 3) => { column!($w $lane [3 0] [7 1] [11 2] [15 3] [19 4]) };
    }
    macro_rules! load {
        () => {
            "ld1 {{v8.8h, v9.8h, v10.8h, v11.8h}}, [{weights}], #64\n"
        };
    }
    macro_rules! seven_rows {
        () => {
            concat!(
                "ldr q0, [{r0}], #16\n", "ldr q1, [{r1}], #16\n", "ldr q2, [{r2}], #16\n", "ldr q3, [{r3}], #16\n",
                "ldr q4, [{r4}], #16\n", "ldr q5, [{r5}], #16\n", "ldr q6, [{r6}], #16\n",
                load!(), seven!(8 0 0), seven!(9 0 1), seven!(10 0 2), seven!(11 1 0),
                load!(), seven!(8 1 1), seven!(9 1 2), seven!(10 2 0), seven!(11 2 1),
                load!(), seven!(8 2 2), seven!(9 3 0), seven!(10 3 1), seven!(11 3 2),
                load!(), seven!(8 4 0), seven!(9 4 1), seven!(10 4 2), seven!(11 5 0),
                load!(), seven!(8 5 1), seven!(9 5 2), seven!(10 6 0), seven!(11 6 1),
                load!(), seven!(8 6 2), seven!(9 7 0), seven!(10 7 1), seven!(11 7 2),
            )
        };
    }
    macro_rules! five_rows {
        () => {
            concat!(
                "ldr q0, [{r0}], #16\n", "ldr q1, [{r1}], #16\n", "ldr q2, [{r2}], #16\n", "ldr q3, [{r3}], #16\n",
                "ldr q4, [{r4}], #16\n",
                load!(), five!(8 0 0), five!(9 0 1), five!(10 0 2), five!(11 0 3),
                load!(), five!(8 1 0), five!(9 1 1), five!(10 1 2), five!(11 1 3),
                load!(), five!(8 2 0), five!(9 2 1), five!(10 2 2), five!(11 2 3),
                load!(), five!(8 3 0), five!(9 3 1), five!(10 3 2), five!(11 3 3),
                load!(), five!(8 4 0), five!(9 4 1), five!(10 4 2), five!(11 4 3),
                load!(), five!(8 5 0), five!(9 5 1), five!(10 5 2), five!(11 5 3),
                load!(), five!(8 6 0), five!(9 6 1), five!(10 6 2), five!(11 6 3),
                load!(), five!(8 7 0), five!(9 7 1), five!(10 7 2), five!(11 7 3),
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
            ["v0" "v1" "v2" "v3" "v4" "v5" "v6" "v8" "v9" "v10" "v11"]),
        (5, 4) => run!(five_rows,
            [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19]
            [r0 0 r1 1 r2 2 r3 3 r4 4]
            ["v0" "v1" "v2" "v3" "v4" "v8" "v9" "v10" "v11"]),
        _ => false,
    }
}
