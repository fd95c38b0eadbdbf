//! How levels stand for real values.

/// The level `q` from -128 to 127 stands for `scale * (q - zero_point)` (Jacob et al. 2018, arXiv:1712.05877).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantization {
    pub scale: f32,
    pub zero_point: i8,
}

impl Quantization {
    /// What real values are multiplied by: the f32 that is nearest to `1 / scale`.
    pub fn inverse_scale(&self) -> f32 {
        self.scale.recip()
    }

    /// `round_ties_even(value * inverse scale) + zero_point`, or the bound beyond which that is. What is no number becomes the
    /// lowest level.
    pub fn level(&self, value: f32) -> i8 {
        let (low, high) = self.bounds_above_zero();
        let t = (value * self.inverse_scale()).max(low).min(high);
        (t.round_ties_even() + f32::from(self.zero_point)) as i8
    }

    pub fn value(&self, level: i8) -> f32 {
        f32::from(i16::from(level) - i16::from(self.zero_point)) * self.scale
    }

    /// The lowest and the highest level, less the zero point.
    pub(crate) fn bounds_above_zero(&self) -> (f32, f32) {
        let above = |level: i8| f32::from(i16::from(level) - i16::from(self.zero_point));
        (above(i8::MIN), above(i8::MAX))
    }

    /// Whether it can be computed with: a positive scale that is neither infinite nor so small or large that products of
    /// such are.
    pub fn is_sound(&self) -> bool {
        let limit = f32::from_bits(0x5f80_0000); // 2^64
        (limit.recip()..=limit).contains(&self.scale)
    }

    /// What a sum of `pixels` levels, each above the zero point, is multiplied by for their mean: in units of the
    /// output's scale, if that has one.
    pub fn mean_multiplier(&self, pixels: usize, output: Option<Quantization>) -> f32 {
        let scale = output.map_or(1.0, |output| f64::from(output.scale));
        (f64::from(self.scale) / (pixels as f64 * scale)) as f32
    }
}
