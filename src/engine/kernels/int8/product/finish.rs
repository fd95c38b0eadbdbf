//! What is added to a tile's values and applied to them, and how they are stored.

use edge_classify_kernels::Activation;

use super::{Place, Right};
use crate::exact::exact;
use crate::requantization::Requantization;
use crate::simd::{LevelKernel, LevelRange, Levels};

/// What follows the sums' multipliers, as [`Requantization`] says.
pub struct Finish {
    /// Of levels.
    range: LevelRange,
    residual: Option<Residual>,
    /// What is not bounds of levels.
    function: Option<Function>,
}

#[derive(Clone, Copy)]
struct Residual {
    zero_point: i8,
    multiplier: f32,
}

#[derive(Clone, Copy)]
struct Function {
    activation: Activation,
    /// What its results are multiplied by.
    inverse_scale: f32,
}

impl Finish {
    pub fn new(requantization: &Requantization) -> Finish {
        let (low, high) = requantization.bounds();
        let zero_point = requantization.output.map_or(0, |output| output.zero_point);
        let residual = requantization.residual.map(|residual| Residual {
            zero_point: residual.zero_point,
            multiplier: requantization.residual_multiplier(),
        });
        let in_levels = requantization.is_linear() && requantization.output.is_some();
        Finish {
            range: LevelRange {
                zero_point,
                low,
                high,
            },
            residual,
            function: (!in_levels).then_some(Function {
                activation: requantization.activation,
                inverse_scale: requantization.inverse_scale(),
            }),
        }
    }

    /// The levels that values become, if there is nothing else to do.
    #[inline(always)]
    pub fn direct(&self) -> Option<LevelRange> {
        (self.residual.is_none() && self.function.is_none()).then_some(self.range)
    }
}

/// Stores the values of a tile, with what precedes that.
///
/// # Safety
/// `right` is valid for `M` rows.
#[inline(always)]
pub unsafe fn finish<S: Levels, const M: usize, const N: usize>(
    simd: S,
    values: &[[S::V; N]; M],
    right: Right,
    finish: &Finish,
) {
    simd.call_levels(Apply::<N> {
        values: values.as_ptr().cast(),
        rows: M,
        right,
        finish,
    });
}

/// Applies a function to values, in memory by now. A function of its own for all heights of tiles.
struct Apply<'a, const N: usize> {
    /// Of `N` vectors in each of `rows` rows.
    values: *const f32,
    rows: usize,
    right: Right,
    finish: &'a Finish,
}

impl<const N: usize> LevelKernel for Apply<'_, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Levels>(self, simd: S) {
        let Some(function) = self.finish.function else {
            return self.apply(simd, |value| value);
        };
        let scale = simd.splat(function.inverse_scale);
        // Constants, so that the loops hold nothing else.
        match function.activation {
            Activation::Identity => self.apply(simd, |value| value),
            Activation::HardSwish => self.apply(simd, |value| {
                simd.mul(exact(simd, Activation::HardSwish, value), scale)
            }),
            Activation::Swish => self.apply(simd, |value| {
                simd.mul(exact(simd, Activation::Swish, value), scale)
            }),
            other => self.apply(simd, |value| simd.mul(exact(simd, other, value), scale)),
        }
    }
}

impl<const N: usize> Apply<'_, N> {
    #[inline(always)]
    fn apply<S: Levels>(&self, simd: S, function: impl Fn(S::V) -> S::V) {
        let residual = self.finish.residual;
        let multiplier = residual.map_or(0.0, |residual| residual.multiplier);
        let multiplier = simd.splat(multiplier);
        for row in 0..self.rows {
            let right = self.right.below(row);
            let mut values = [[simd.splat(0.0); N]];
            for (i, value) in values[0].iter_mut().enumerate() {
                // SAFETY: made by `finish` alone, whose contract this is.
                *value = unsafe { simd.load(self.values.add((row * N + i) * S::LANES)) };
            }
            if let Some(Residual { zero_point, .. }) = residual {
                let (from, columns) = (right.residual, right.columns);
                // SAFETY: as above.
                let above = unsafe { simd.load_above::<N>(from, columns, zero_point) };
                for (value, above) in values[0].iter_mut().zip(above) {
                    let addend = simd.mul(simd.to_floats(above), multiplier);
                    *value = simd.add(*value, addend);
                }
            }
            for value in &mut values[0] {
                *value = function(*value);
            }
            // SAFETY: as above.
            unsafe {
                match right.to {
                    Place::Levels(to) => {
                        simd.store_rounded(&values, to, 0, right.columns, self.finish.range);
                    }
                    Place::Values(to) => store_values(simd, values[0], to, right.columns),
                }
            }
        }
    }
}

/// # Safety
/// `to` is valid for writing `columns` values.
#[inline(always)]
unsafe fn store_values<S: Levels, const N: usize>(
    simd: S,
    values: [S::V; N],
    to: *mut f32,
    columns: usize,
) {
    for (i, value) in values.into_iter().enumerate() {
        let count = columns.saturating_sub(i * S::LANES).min(S::LANES);
        let to = to.wrapping_add(i * S::LANES);
        // SAFETY: by this function's contract.
        unsafe {
            if count == S::LANES {
                simd.store(to, value);
            } else {
                simd.store_first(to, count, value);
            }
        }
    }
}
