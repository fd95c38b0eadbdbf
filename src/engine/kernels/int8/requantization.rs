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
        let unit = match self.is_linear() {
            true => 1.0,
            false => f64::from(self.inverse_scale()),
        };
        let rounded =
            sum * f64::from(self.multiplier(scale)) + 255.0 * f64::from(self.residual_multiplier());
        sum < LIMIT && rounded * unit.max(1.0) < LIMIT
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
