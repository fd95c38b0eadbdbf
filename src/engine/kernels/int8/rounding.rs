//! From real values in units of a scale to levels.

use edge_classify_kernels::Activation;

use super::exact::exact;
use super::quantization::Quantization;
use super::requantization::Requantization;
use super::simd::{LevelRange, Levels};

/// What becomes of the t of [`Requantization`]: `clamp(round_ties_even(t) + zero point, low, high)`, where t is first
/// `exact(t) * inverse scale` if the activation is not linear.
#[derive(Clone, Copy)]
pub struct Rounding<S: Levels> {
    /// The activation, and the factor for what it gives.
    applied: Option<(Activation, S::V)>,
    /// The bounds less the zero point: of integers, rounding gives themselves, so that the clamp can come first.
    low: S::V,
    high: S::V,
    zero_point: S::I,
}

impl<S: Levels> Rounding<S> {
    #[inline(always)]
    pub fn new(simd: S, requantization: &Requantization, range: LevelRange) -> Self {
        let applied = (!requantization.is_linear()).then(|| {
            let factor = simd.splat(requantization.inverse_scale());
            (requantization.activation, factor)
        });
        Rounding {
            applied,
            ..Rounding::linear(simd, range)
        }
    }

    /// Without an activation.
    #[inline(always)]
    pub fn linear(simd: S, range: LevelRange) -> Self {
        let LevelRange {
            zero_point,
            low,
            high,
        } = range;
        let above = |level: i8| simd.splat(f32::from(i16::from(level) - i16::from(zero_point)));
        Rounding {
            applied: None,
            low: above(low),
            high: above(high),
            zero_point: simd.integers(i32::from(zero_point)),
        }
    }

    /// Stores the first `count` levels.
    ///
    /// # Safety
    /// `to` is valid for writing `count` bytes, and `count <= LANES`.
    #[inline(always)]
    pub unsafe fn store(&self, simd: S, to: *mut u8, count: usize, t: S::V) {
        let t = match self.applied {
            Some((activation, factor)) => simd.mul(exact(simd, activation, t), factor),
            None => t,
        };
        let t = simd.min(simd.max(t, self.low), self.high);
        let levels = simd.add_integers(simd.round(t), self.zero_point);
        // SAFETY: by this function's contract.
        unsafe { simd.store_levels(to, count, levels) }
    }
}

/// All levels of a quantization.
pub fn whole_range(output: Quantization) -> LevelRange {
    LevelRange::new(output, (i8::MIN, i8::MAX))
}
