//! The inner loops: tiles of sums held in registers.

use super::finish::{Finish, finish};
use super::{Place, Right};
use crate::simd::{Levels, MOST_DEPTH, ProductKernel, Products};

/// Rows of `k` stored bytes.
#[derive(Clone, Copy)]
pub struct Left {
    pub data: *const u8,
    pub stride: usize,
    pub k: usize,
}

/// Weights of some adjacent columns, what their sums begin with, and what these are multiplied by.
#[derive(Clone, Copy)]
pub struct Panel<'a> {
    pub weights: &'a [i8],
    pub biases: &'a [i32],
    pub multipliers: &'a [f32],
}

/// Computes `rows` rows of a panel's columns.
///
/// # Safety
/// `left` is valid for reading `rows` rows, and `right` for as many of its columns, of which the panel, packed for
/// `left.k`, has no fewer.
#[inline(always)]
pub unsafe fn strip<S: Levels, P: Products<S>>(
    simd: S,
    products: P,
    rows: usize,
    left: Left,
    panel: Panel,
    right: Right,
    finish: &Finish,
) {
    // SAFETY: by this function's contract.
    unsafe {
        match panel.biases.len() / S::LANES {
            4 if const { P::SUM_ROWS[3] > 0 } => {
                tiles::<S, P, 4>(simd, products, rows, left, panel, right, finish);
            }
            3 if const { P::SUM_ROWS[2] > 0 } => {
                tiles::<S, P, 3>(simd, products, rows, left, panel, right, finish);
            }
            2 if const { P::SUM_ROWS[1] > 0 } => {
                tiles::<S, P, 2>(simd, products, rows, left, panel, right, finish);
            }
            _ => tiles::<S, P, 1>(simd, products, rows, left, panel, right, finish),
        }
    }
}

/// # Safety
/// As of [`strip`], with a panel of `N` vectors.
#[inline(always)]
unsafe fn tiles<S: Levels, P: Products<S>, const N: usize>(
    simd: S,
    products: P,
    rows: usize,
    mut left: Left,
    panel: Panel,
    mut right: Right,
    finish: &Finish,
) {
    if rows == 0 {
        return;
    }
    assert!(panel.biases.len() == N * S::LANES && panel.multipliers.len() == N * S::LANES);
    // Tiles of about the same height, since a low one waits for its own sums: first the higher ones.
    let tiles = rows.div_ceil(P::SUM_ROWS[N - 1]);
    let (low, high_tiles) = (rows / tiles, rows % tiles);
    for (height, tiles) in [(low + 1, high_tiles), (low, tiles - high_tiles)] {
        if tiles == 0 {
            continue;
        }
        macro_rules! heights {
            ($($m:literal)*) => {
                match height {
                    $($m if const { $m <= P::SUM_ROWS[N - 1] } => {
                        products.call(simd, Tiles::<$m, N> { tiles, left, panel, right, finish })
                    })*
                    _ => unreachable!("a tile of {height} rows"),
                }
            };
        }
        heights!(1 2 3 4 5 6 7 8 9 10 11 12);
        left.data = left.data.wrapping_add(tiles * height * left.stride);
        right = right.below(tiles * height);
    }
}

/// Tiles of `M` rows and `N` vectors, one below the other.
struct Tiles<'a, const M: usize, const N: usize> {
    tiles: usize,
    left: Left,
    panel: Panel<'a>,
    right: Right,
    finish: &'a Finish,
}

impl<const M: usize, const N: usize> ProductKernel for Tiles<'_, M, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Levels, P: Products<S>>(self, simd: S, products: P) {
        let Tiles {
            tiles,
            left,
            panel,
            right,
            ..
        } = self;
        let mut biases = [simd.integers(0); N];
        let mut multipliers = [simd.splat(0.0); N];
        for i in 0..N {
            // SAFETY: the panel has so many columns, as `tiles` has checked.
            unsafe {
                biases[i] = simd.load_integers(panel.biases.as_ptr().add(i * S::LANES));
                multipliers[i] = simd.load(panel.multipliers.as_ptr().add(i * S::LANES));
            }
        }
        let direct = match (right.to, self.finish.direct()) {
            (Place::Levels(to), Some(range)) => Some((to, range)),
            _ => None,
        };
        for tile in 0..tiles {
            let x = left.data.wrapping_add(tile * M * left.stride);
            let mut sums = [biases; M];
            // SAFETY: made by `tiles` alone, whose contract this is.
            unsafe { add_all(simd, products, &mut sums, x, left, panel.weights) };
            let mut values = [multipliers; M];
            for (values, sums) in values.iter_mut().zip(&sums) {
                for (value, sum) in values.iter_mut().zip(sums) {
                    *value = simd.mul(simd.to_floats(*sum), *value);
                }
            }
            // SAFETY: as above.
            unsafe {
                if let Some((to, range)) = direct {
                    let to = to.wrapping_add(tile * M * right.stride);
                    simd.store_rounded(&values, to, right.stride, right.columns, range);
                } else {
                    // Values that are not always asked for by address stay in registers.
                    let aside = values;
                    finish(simd, &aside, right.below(tile * M), self.finish);
                }
            }
        }
    }
}

/// Adds all of the products of `M` rows from `x` on.
///
/// # Safety
/// As of [`strip`] with as many rows, and a panel of `N` vectors.
#[inline(always)]
unsafe fn add_all<S: Levels, P: Products<S>, const M: usize, const N: usize>(
    simd: S,
    products: P,
    sums: &mut [[S::I; N]; M],
    x: *const u8,
    left: Left,
    weights: &[i8],
) {
    let depth = P::DEPTH;
    let (steps, rest) = (left.k / depth, left.k % depth);
    let weights = weights.as_ptr();
    // SAFETY: by this function's contract; the weights are padded to whole steps.
    unsafe {
        // First, so that nothing is between the loop and what follows.
        if rest > 0 {
            let mut last = [[0; MOST_DEPTH]; M];
            copy_last(&mut last, x.add(steps * depth), left.stride, rest);
            let weights = weights.add(steps * depth * N * S::LANES);
            products.add(simd, sums, last.as_ptr().cast(), MOST_DEPTH, weights, 1);
        }
        products.add(simd, sums, x, left.stride, weights, steps);
    }
}

/// Copies `count` bytes of each row: what lies after them is not to be read.
///
/// # Safety
/// As many rows from `x` on, `stride` bytes apart, are valid for reading `count` bytes.
#[inline(never)]
unsafe fn copy_last(rows: &mut [[u8; MOST_DEPTH]], x: *const u8, stride: usize, count: usize) {
    for (i, row) in rows.iter_mut().enumerate() {
        // SAFETY: by this function's contract.
        let from = unsafe { std::slice::from_raw_parts(x.add(i * stride), count) };
        row[..count].copy_from_slice(from);
    }
}
