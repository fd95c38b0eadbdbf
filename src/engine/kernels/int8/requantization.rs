//! From sums of products to levels.

use edge_classify_kernels::Activation;

use super::exact::exact_scalar;
use super::quantization::Quantization;

/// What a layer's levels stand for, and what is done to its sums. For an output channel with weights `w` of scale `s`,
///
/// ```text
/// sum = bias + Σ (x - x.zero_point) w             in i32
/// t   = f32(sum) * multiplier                     + f32(r - r.zero_point) * residual multiplier
/// y   = clamp(round_ties_even(t) + y.zero_point, low, high)
/// ```
///
/// where each operation on f32 is rounded by itself. Without an activation, or with a clamp, whose bounds become levels,
/// t is in units of the output's scale: the multiplier is `x.scale * s / y.scale`, the residual's `r.scale / y.scale`. With another
/// activation these are `x.scale * s` and `r.scale`, and the [exact](super::exact()) function of t is multiplied by
/// `1 / y.scale` before it is rounded. Where the output is of f32, `y.scale` is 1, and t after its activation is the output.
/// Bias and multipliers are computed in f64 and rounded once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Requantization {
    pub input: Quantization,
    /// Of the output, or `None` if that is of f32.
    pub output: Option<Quantization>,
    /// Of what is added before the activation.
    pub residual: Option<Quantization>,
    pub activation: Activation,
}

/// Weights as they are packed: rows of levels, one row for each output channel.
#[derive(Debug, Clone, Copy)]
pub struct QuantizedWeights<'a> {
    pub levels: &'a [i8],
    /// One for each row. The zero point is 0.
    pub scales: &'a [f32],
    /// One real value for each row.
    pub bias: &'a [f32],
}

/// Sums and rounded values stay below this, so that no conversion of either overflows.
const LIMIT: f64 = (1 << 30) as f64;

impl Requantization {
    /// Whether the activation is applied to levels, as bounds.
    pub fn is_linear(&self) -> bool {
        matches!(
            self.activation,
            Activation::Identity | Activation::Clamp { .. }
        )
    }

    fn output_scale(&self) -> f64 {
        self.output.map_or(1.0, |output| f64::from(output.scale))
    }

    /// Of sums for a channel whose weights have this scale.
    pub fn multiplier(&self, scale: f32) -> f32 {
        let product = f64::from(self.input.scale) * f64::from(scale);
        match self.is_linear() {
            true => (product / self.output_scale()) as f32,
            false => product as f32,
        }
    }

    /// Of the residual's levels above its zero point.
    pub fn residual_multiplier(&self) -> f32 {
        let scale = self
            .residual
            .map_or(0.0, |residual| f64::from(residual.scale));
        match self.is_linear() {
            true => (scale / self.output_scale()) as f32,
            false => scale as f32,
        }
    }

    /// Of what an activation gives that is not linear.
    pub fn inverse_scale(&self) -> f32 {
        (1.0 / self.output_scale()) as f32
    }

    /// A bias as a sum.
    pub fn bias(&self, bias: f32, scale: f32) -> i32 {
        let unit = f64::from(self.input.scale) * f64::from(scale);
        let bias = (f64::from(bias) / unit).round_ties_even();
        bias.clamp(-LIMIT, LIMIT) as i32
    }

    /// The lowest and the highest level that the output has; the bounds of a clamp.
    pub fn bounds(&self) -> (i8, i8) {
        let (Activation::Clamp { low, high }, Some(output)) = (self.activation, self.output) else {
            return (i8::MIN, i8::MAX);
        };
        let level = |bound: f32| {
            let level = (f64::from(bound) / f64::from(output.scale)).round_ties_even();
            (level + f64::from(output.zero_point)) as i8
        };
        (level(low), level(high))
    }

    /// Whether no sum over a row of weights, nor what becomes of it, is too large to be computed with.
    pub fn fits(&self, row: &[i8], bias: i32, scale: f32) -> bool {
        let weights: f64 = row
            .iter()
            .map(|weight| f64::from(weight.unsigned_abs()))
            .sum();
        let sum = 255.0 * weights + f64::from(bias.unsigned_abs());
        let scaled =
            sum * f64::from(self.multiplier(scale)) + 255.0 * f64::from(self.residual_multiplier());
        let rounded = match self.is_linear() {
            true => scaled,
            // Of 1 at most, or no more than what it is of.
            false => scaled.max(1.0) * f64::from(self.inverse_scale()),
        };
        sum < LIMIT && scaled < LIMIT && rounded < LIMIT
    }

    /// As [`Requantization::fits`], of an input's levels above its zero point as they are: of a sum of two inputs, or an
    /// activation.
    pub fn fits_unweighted(&self) -> bool {
        self.fits(&[1], 0, 1.0)
    }

    /// Whether the activation's parameters are numbers, and none of them too large to be computed with.
    pub fn is_sound(&self) -> bool {
        let moderate = |value: f32| value.abs() <= 65536.0;
        match self.activation {
            Activation::Clamp { low, high } => low <= high,
            Activation::HardSigmoid { alpha, beta } => moderate(alpha) && moderate(beta),
            _ => true,
        }
    }

    /// `t` after the activation, of f32: in units of the output's scale if that has one and the activation is linear.
    fn applied(&self, sum: i32, multiplier: f32, residual: Option<i8>) -> f32 {
        let mut t = sum as f32 * multiplier;
        if let (Some(level), Some(residual)) = (residual, self.residual) {
            let above = i32::from(level) - i32::from(residual.zero_point);
            t += above as f32 * self.residual_multiplier();
        }
        match (self.is_linear(), self.output) {
            (true, Some(_)) => t,
            _ => exact_scalar(self.activation, t),
        }
    }

    /// The definition, for an output of levels.
    ///
    /// # Panics
    /// If the output is of f32.
    pub fn level(&self, sum: i32, multiplier: f32, residual: Option<i8>) -> i8 {
        let output = self.output.expect("an output of levels");
        let mut t = self.applied(sum, multiplier, residual);
        if !self.is_linear() {
            t *= self.inverse_scale();
        }
        let (low, high) = self.bounds();
        let level = t.round_ties_even() as i32 + i32::from(output.zero_point);
        level.max(i32::from(low)).min(i32::from(high)) as i8
    }

    /// The definition, for an output of f32.
    pub fn value(&self, sum: i32, multiplier: f32, residual: Option<i8>) -> f32 {
        self.applied(sum, multiplier, residual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(input: f32, output: Option<(f32, i8)>, activation: Activation) -> Requantization {
        Requantization {
            input: Quantization {
                scale: input,
                zero_point: 0,
            },
            output: output.map(|(scale, zero_point)| Quantization { scale, zero_point }),
            residual: None,
            activation,
        }
    }

    #[test]
    fn sums_become_the_nearest_levels() {
        let relu6 = Activation::Clamp {
            low: 0.0,
            high: 6.0,
        };
        // A sum is worth 0.5 * 0.25 = 0.125: a quarter of a level.
        let linear = of(0.5, Some((0.5, 10)), Activation::Identity);
        let multiplier = linear.multiplier(0.25);
        assert_eq!(multiplier, 0.25);
        let level = |sum| linear.level(sum, multiplier, None);
        // Ties to even; and no further than the last level.
        assert_eq!([4, 2, 6, 10, -2, -6].map(level), [11, 10, 12, 12, 10, 8]);
        assert_eq!(
            [1000, -1000, 1 << 29, -(1 << 29)].map(level),
            [127, -128, 127, -128]
        );
        assert_eq!(
            (linear.bias(3.0, 0.25), linear.bias(-0.0625, 0.25)),
            (24, 0)
        );
        let clamped = of(0.5, Some((0.5, 10)), relu6);
        assert_eq!(clamped.bounds(), (10, 22));
        assert_eq!(
            [-100, 24, 1000].map(|sum| clamped.level(sum, 0.25, None)),
            [10, 16, 22]
        );
        // Half of a level of the output for each of the residual's, which are above -3.
        let residual = Quantization {
            scale: 0.25,
            zero_point: -3,
        };
        let summed = Requantization {
            residual: Some(residual),
            ..linear
        };
        assert_eq!(summed.residual_multiplier(), 0.5);
        assert_eq!(summed.level(4, multiplier, Some(5)), 15);
        // Of real values: 2 * 5 / 6 of hard swish, at an eighth a level.
        let swish = of(0.5, Some((0.125, -100)), Activation::HardSwish);
        assert_eq!(
            (swish.multiplier(0.25), swish.inverse_scale()),
            (0.125, 8.0)
        );
        assert_eq!(swish.level(16, 0.125, None), -87);
        let values = of(0.5, None, relu6);
        assert_eq!(
            [-8, 8, 800].map(|sum| values.value(sum, 0.125, None)),
            [0.0, 1.0, 6.0]
        );
    }

    #[test]
    fn what_is_too_large_does_not_fit() {
        let linear = of(1.0, Some((1.0, 0)), Activation::Identity);
        assert!(linear.fits(&[127; 1000], 0, 1.0));
        assert!(!linear.fits(&[127; 40_000], 0, 1.0), "a sum");
        assert!(!linear.fits(&[1], 1 << 30, 1.0), "a bias");
        assert!(!linear.fits(&[127; 1000], 0, 100.0), "what is rounded");
        let tiny = (2f32.powi(-40), 0);
        // Half of a sigmoid is any number of levels.
        assert!(!of(2f32.powi(-30), Some(tiny), Activation::Sigmoid).fits_unweighted());
        assert!(of(2f32.powi(-50), Some(tiny), Activation::Identity).fits_unweighted());
        let large = (1e7, 0);
        assert!(!of(1e7, Some(large), Activation::HardSwish).fits_unweighted());
        let hard = |alpha| of(1.0, None, Activation::HardSigmoid { alpha, beta: 0.5 });
        assert!(
            hard(0.2).is_sound() && !hard(f32::INFINITY).is_sound() && !hard(f32::NAN).is_sound()
        );
        let clamp = |low| of(1.0, None, Activation::Clamp { low, high: 6.0 });
        assert!(clamp(0.0).is_sound() && !clamp(f32::NAN).is_sound() && !clamp(7.0).is_sound());
    }
}
