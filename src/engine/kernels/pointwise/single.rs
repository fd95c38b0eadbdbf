//! The inner loop for one row, as of a classifier: its weights are used once.

use super::finish::{Finish, store};
use super::operands::{Left, Right};
use super::tile::{add_lane, load_columns};
use crate::simd::Simd;

/// How many values the weights are fetched ahead.
const AHEAD: usize = 1024;

/// A tile of one row: several sums for each column, so that none waits for itself.
///
/// # Safety
/// `left` is valid for reading a row, `panel` for reading `N` vectors for each of its values, and `right` for reading and
/// writing a row.
#[inline(always)]
pub(super) unsafe fn single<S: Simd, const N: usize>(
    simd: S,
    bias: [S::V; N],
    left: Left<S::Element>,
    mut panel: *const S::Element,
    right: Right<S::Element>,
    finish: Finish,
) {
    // SAFETY: by this function's contract.
    unsafe {
        let mut sums = [[simd.splat(0.0); N]; 4];
        sums[0] = bias;
        for segment in 0..left.segments {
            let x = left.segment(segment);
            let step = N * S::LANES;
            let lanes = S::PRODUCT_LANES;
            for k in 0..left.segment_len / lanes {
                let x = x.add(lanes * k);
                if S::LANE_PRODUCTS {
                    let value = [simd.load(x)];
                    macro_rules! lanes {
                        ($($lane:literal)*) => {
                            $(if $lane < lanes {
                                let sums = std::array::from_mut(&mut sums[$lane % 4]);
                                let weights = load_columns::<S, N>(simd, panel.add($lane * step));
                                add_lane::<S, 1, N, $lane>(simd, sums, &value, weights);
                            })*
                        };
                    }
                    lanes!(0 1 2 3 4 5 6 7);
                } else {
                    for (i, sums) in sums.iter_mut().enumerate() {
                        add_one::<S, N>(simd, sums, x.add(i), panel.add(i * step));
                        for vector in 0..N {
                            simd.prefetch(panel.wrapping_add(AHEAD + i * step + vector * S::LANES));
                        }
                    }
                }
                panel = panel.add(lanes * step);
            }
            for k in left.segment_len / lanes * lanes..left.segment_len {
                add_one::<S, N>(simd, &mut sums[0], x.add(k), panel);
                panel = panel.add(step);
            }
        }
        let [mut total, rest @ ..] = sums;
        for sums in rest {
            for (total, sum) in total.iter_mut().zip(sums) {
                *total = simd.add(*total, sum);
            }
        }
        store(simd, [total], right, finish);
    }
}

/// # Safety
/// `x` is valid for reading, and `panel` for reading `N` vectors.
#[inline(always)]
unsafe fn add_one<S: Simd, const N: usize>(
    simd: S,
    sums: &mut [S::V; N],
    x: *const S::Element,
    panel: *const S::Element,
) {
    // SAFETY: by this function's contract.
    let (value, weights) = unsafe { (simd.broadcast(*x), load_columns::<S, N>(simd, panel)) };
    for (sum, weight) in sums.iter_mut().zip(weights) {
        *sum = simd.mul_add(weight, value, *sum);
    }
}
