//! What is added and applied to a tile's sums, and where they go.

use super::operands::Right;
use super::tile::opaque;
use crate::activation::Activation;
use crate::element::Element;
use crate::simd::{Kernel, Simd};

/// What is done to the sums: bounds while they are in registers, and hard swish where it fits there; any other function
/// afterwards.
#[derive(Clone, Copy)]
pub struct Finish {
    pub bounds: Option<(f32, f32)>,
    pub function: Option<Activation>,
}

impl Finish {
    /// The function to apply to what has been stored.
    #[inline(always)]
    pub fn later<S: Simd>(self) -> Option<Activation> {
        let fits = S::LANE_PRODUCTS && self.function == Some(Activation::HardSwish);
        self.function.filter(|_| !fits)
    }

    pub fn new(activation: Activation) -> Self {
        match activation {
            Activation::Identity => Finish {
                bounds: None,
                function: None,
            },
            Activation::Clamp { low, high } => Finish {
                bounds: Some((low, high)),
                function: None,
            },
            other => Finish {
                bounds: None,
                function: Some(other),
            },
        }
    }
}

/// # Safety
/// `right.bias` is null or valid for reading `right.columns` values.
#[inline(always)]
pub unsafe fn load_bias<S: Simd, const N: usize>(simd: S, right: Right<S::Element>) -> [S::V; N] {
    let mut sums = [simd.splat(0.0); N];
    if !right.bias.is_null() {
        for (i, sum) in sums.iter_mut().enumerate() {
            let count = columns_of::<S>(right.columns, i);
            // SAFETY: by this function's contract.
            *sum = unsafe {
                if count == S::LANES {
                    simd.load(right.bias.wrapping_add(i * S::LANES))
                } else {
                    simd.load_first(right.bias.wrapping_add(i * S::LANES), count)
                }
            };
        }
    }
    sums
}

/// How many of `columns` are in the `i`-th vector.
#[inline(always)]
fn columns_of<S: Simd>(columns: usize, i: usize) -> usize {
    columns.saturating_sub(i * S::LANES).min(S::LANES)
}

/// # Safety
/// `right` is valid for reading and writing `M` rows; of whole vectors, unless a part of one is `MASKED`.
#[inline(always)]
pub unsafe fn store<S: Simd, const M: usize, const N: usize>(
    simd: S,
    mut sums: [[S::V; N]; M],
    right: Right<S::Element>,
    finish: Finish,
) {
    let whole = !S::MASKED || right.columns == N * S::LANES;
    // SAFETY: by this function's contract; a vector without columns is not touched.
    unsafe {
        if !right.residual.is_null() {
            let mut from = right.residual;
            for (row, sums) in sums.iter_mut().enumerate() {
                if row > 0 {
                    from = next_row(from, right.residual_stride);
                }
                for (i, sum) in sums.iter_mut().enumerate() {
                    let from = from.wrapping_add(i * S::LANES);
                    let addend = if whole {
                        simd.load(from)
                    } else {
                        simd.load_first(from, columns_of::<S>(right.columns, i))
                    };
                    *sum = simd.add(*sum, addend);
                }
            }
        }
        if let Some((low, high)) = finish.bounds {
            let bound = simd.splat(low);
            for sum in sums.as_flattened_mut() {
                *sum = simd.max(*sum, bound);
            }
            if high < f32::INFINITY {
                let bound = simd.splat(high);
                for sum in sums.as_flattened_mut() {
                    *sum = simd.min(*sum, bound);
                }
            }
        }
        if finish.function == Some(Activation::HardSwish) && finish.later::<S>().is_none() {
            for sum in sums.as_flattened_mut() {
                *sum = Activation::HardSwish.apply(simd, *sum);
            }
        }
        let mut to = right.data;
        for (row, sums) in sums.iter().enumerate() {
            if row > 0 {
                to = next_row(to, right.stride).cast_mut();
            }
            for (i, sum) in sums.iter().enumerate() {
                let to = to.wrapping_add(i * S::LANES);
                if whole {
                    simd.store(to, *sum);
                } else {
                    simd.store_first(to, columns_of::<S>(right.columns, i), *sum);
                }
            }
        }
    }
}

/// The address of each row is computed from that of the row before, where there are few registers for addresses.
#[inline(always)]
fn next_row<E>(row: *const E, stride: usize) -> *const E {
    let next = row.wrapping_add(stride);
    if cfg!(target_arch = "aarch64") {
        opaque(next)
    } else {
        next
    }
}

/// Applies a function to `rows` rows of at most `N` vectors, for reading and writing which `right` is valid.
pub struct Activate<E, const N: usize> {
    pub rows: usize,
    pub right: Right<E>,
    pub function: Activation,
}

impl<E: Element, const N: usize> Kernel<E> for Activate<E, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = E>>(self, simd: S) {
        match self.function {
            // Constants, so that the loops hold nothing else.
            Activation::Swish => self.apply(simd, Activation::Swish),
            Activation::Sigmoid => self.apply(simd, Activation::Sigmoid),
            other => self.apply(simd, other),
        }
    }
}

impl<E: Element, const N: usize> Activate<E, N> {
    #[inline(always)]
    fn apply<S: Simd<Element = E>>(&self, simd: S, function: Activation) {
        let right = self.right;
        for row in 0..self.rows {
            // SAFETY: by the fields' contract.
            unsafe {
                let to = right.data.add(row * right.stride);
                if right.columns == N * S::LANES {
                    for i in 0..N {
                        let at = to.add(i * S::LANES);
                        simd.store(at, function.apply(simd, simd.load(at)));
                    }
                    continue;
                }
                for column in (0..right.columns).step_by(S::LANES) {
                    let at = to.add(column);
                    let count = columns_of::<S>(right.columns - column, 0);
                    let v = function.apply(simd, simd.load_first(at, count));
                    simd.store_first(at, count, v);
                }
            }
        }
    }
}
