//! Passes over levels for which no other kernel had a place.

use edge_classify_kernels::{Activation, Isa, Rows, RowsMut};

use super::picture::Picture;
use super::quantization::Quantization;
use super::requantization::Requantization;
use super::rounding::Rounding;
use super::simd::{LevelKernel, LevelRange, Levels, flip, run};

/// No vector of f32 has more.
const MOST_LANES: usize = 16;

/// Vectors of channels whose factors are at hand for all pixels.
const VECTORS: usize = 4;

/// `out[r, c] = clamp(round_ties_even(t) + output.zero_point, low, high)` with `t = f32(x[r, c] - x.zero_point) *
/// (gate[c] * ratio)` and `ratio` the f32 nearest to `x.scale / output.scale`, for the first `pixels` pixels: how
/// squeeze-excite scales its input. `bounds`: low and high. A factor that is infinite or no number is taken for 0.
///
/// # Panics
/// If there are fewer pixels, or not a gate for each channel.
pub fn multiply_channels(
    isa: Isa,
    x: Picture,
    pixels: usize,
    gate: &[f32],
    output: Quantization,
    bounds: (i8, i8),
    out: RowsMut<u8>,
) {
    assert_eq!(gate.len(), x.channels, "a gate for each channel");
    x.rows.check(pixels, x.channels);
    out.check(pixels, x.channels);
    let kernel = PerChannel {
        x: x.rows,
        pixels,
        zero_point: x.quantization.zero_point,
        gate,
        ratio: ratio(x.quantization, output),
        range: LevelRange::new(output, bounds),
        out,
    };
    run(isa, kernel);
}

/// What factors of levels in one quantization are multiplied by for another: the f32 nearest to `from.scale /
/// to.scale`.
pub fn ratio(from: Quantization, to: Quantization) -> f32 {
    (f64::from(from.scale) / f64::from(to.scale)) as f32
}

/// Made by [`multiply_channels`].
struct PerChannel<'a> {
    x: Rows<'a, u8>,
    pixels: usize,
    zero_point: i8,
    gate: &'a [f32],
    ratio: f32,
    range: LevelRange,
    out: RowsMut<'a, u8>,
}

impl LevelKernel for PerChannel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Levels>(mut self, simd: S) {
        let channels = self.gate.len();
        let mut c = 0;
        while c + VECTORS * S::LANES <= channels {
            self.whole_vectors(simd, c);
            c += VECTORS * S::LANES;
        }
        while c < channels {
            self.channels(simd, c, S::LANES.min(channels - c));
            c += S::LANES;
        }
    }
}

/// Beyond this, a factor makes any level above or below the zero point one of the bounds: a larger one would make it
/// infinite.
const LARGEST_FACTOR: f32 = (1 << 20) as f32;

impl PerChannel<'_> {
    /// The first `count` factors, from the channel `c` on.
    #[inline(always)]
    fn factors<S: Levels>(&self, simd: S, c: usize, count: usize) -> S::V {
        let mut factors = [0.0; MOST_LANES];
        for (factor, gate) in factors.iter_mut().zip(&self.gate[c..][..count]) {
            let product = gate * self.ratio;
            if product.is_finite() {
                *factor = product.clamp(-LARGEST_FACTOR, LARGEST_FACTOR);
            }
        }
        // SAFETY: no vector has more lanes.
        unsafe { simd.load(factors.as_ptr()) }
    }

    /// [`VECTORS`] vectors of channels from `c` on.
    #[inline(always)]
    fn whole_vectors<S: Levels>(&mut self, simd: S, c: usize) {
        let all = VECTORS * S::LANES;
        let multipliers: [S::V; VECTORS] =
            std::array::from_fn(|n| self.factors(simd, c + n * S::LANES, S::LANES));
        for pixel in 0..self.pixels {
            let from = &self.x.data[pixel * self.x.stride + c..][..all];
            let to = &mut self.out.data[pixel * self.out.stride + c..][..all];
            // SAFETY: there are so many levels at both ends.
            unsafe {
                let above = simd.load_above::<VECTORS>(from.as_ptr(), all, self.zero_point);
                let mut t = multipliers;
                for (t, above) in t.iter_mut().zip(above) {
                    *t = simd.mul(simd.to_floats(above), *t);
                }
                let to = to.as_mut_ptr();
                if const { S::MOST_STORED >= VECTORS } {
                    simd.store_rounded(&[t], to, 0, all, self.range);
                } else {
                    // So many are not stored at a time: what follows is stored as the next.
                    let [a, b, c, d] = t;
                    simd.store_rounded(&[[a, b], [c, d]], to, all / 2, all / 2, self.range);
                }
            }
        }
    }

    /// A vector of channels from `c` on, of which there are `count`.
    #[inline(always)]
    fn channels<S: Levels>(&mut self, simd: S, c: usize, count: usize) {
        let multiplier = self.factors(simd, c, count);
        let zero = simd.integers(-i32::from(self.zero_point));
        let rounding = Rounding::linear(simd, self.range);
        for pixel in 0..self.pixels {
            let from = &self.x.data[pixel * self.x.stride + c..][..count];
            let to = &mut self.out.data[pixel * self.out.stride + c..][..count];
            // SAFETY: there are `count` levels at both ends.
            unsafe {
                let level = simd.load_levels(from.as_ptr(), count);
                let above = simd.to_floats(simd.add_integers(level, zero));
                rounding.store(simd, to.as_mut_ptr(), count, simd.mul(above, multiplier));
            }
        }
    }
}

/// What [`add`] and [`ActivationLevels`] do, as a layer whose sums are an input's levels above its zero point.
fn unweighted(
    input: Quantization,
    residual: Option<Quantization>,
    activation: Activation,
    output: Quantization,
) -> (Requantization, LevelRange) {
    let requantization = Requantization {
        input,
        output: Some(output),
        residual,
        activation,
    };
    assert!(
        requantization.fits_unweighted(),
        "scales of inputs that can be computed with in that of the output"
    );
    let range = LevelRange::new(output, requantization.bounds());
    (requantization, range)
}

/// `out[r, c] = activation(a[r, c] + b[r, c])` for the first `pixels` pixels: the level that [`Requantization`] defines
/// for `a`'s levels above their zero point as sums of weights of scale 1, and `b` as the residual. So without an
/// activation or with a clamp, `t = f32(a - a.zero_point) * f32(a.scale / scale) + f32(b - b.zero_point) * f32(b.scale
/// / scale)`.
///
/// # Panics
/// If there are fewer pixels, the channels differ, or sums may be too large: see [`Requantization::fits_unweighted`].
pub fn add(
    isa: Isa,
    a: Picture,
    b: Picture,
    pixels: usize,
    activation: Activation,
    output: Quantization,
    out: RowsMut<u8>,
) {
    assert_eq!(a.channels, b.channels, "as many channels to add");
    a.rows.check(pixels, a.channels);
    b.rows.check(pixels, b.channels);
    out.check(pixels, a.channels);
    let (requantization, range) =
        unweighted(a.quantization, Some(b.quantization), activation, output);
    let kernel = Sum {
        a,
        b,
        pixels,
        requantization,
        range,
        out,
    };
    run(isa, kernel);
}

/// Made by [`add`].
struct Sum<'a> {
    a: Picture<'a>,
    b: Picture<'a>,
    pixels: usize,
    requantization: Requantization,
    range: LevelRange,
    out: RowsMut<'a, u8>,
}

impl LevelKernel for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Levels>(self, simd: S) {
        let Sum {
            a,
            b,
            requantization,
            out,
            ..
        } = self;
        let channels = a.channels;
        let rounding = Rounding::new(simd, &requantization, self.range);
        let negative =
            |operand: Picture| simd.integers(-i32::from(operand.quantization.zero_point));
        let (zero_a, zero_b) = (negative(a), negative(b));
        let by_a = simd.splat(requantization.multiplier(1.0));
        let by_b = simd.splat(requantization.residual_multiplier());
        for pixel in 0..self.pixels {
            let a = &a.rows.data[pixel * a.rows.stride..][..channels];
            let b = &b.rows.data[pixel * b.rows.stride..][..channels];
            let to = &mut out.data[pixel * out.stride..][..channels];
            for c in (0..channels).step_by(S::LANES) {
                let count = S::LANES.min(channels - c);
                // SAFETY: from `c` on there are `count` levels of each.
                unsafe {
                    let a = simd.load_levels(a.as_ptr().add(c), count);
                    let b = simd.load_levels(b.as_ptr().add(c), count);
                    let a = simd.mul(simd.to_floats(simd.add_integers(a, zero_a)), by_a);
                    let b = simd.mul(simd.to_floats(simd.add_integers(b, zero_b)), by_b);
                    rounding.store(simd, to.as_mut_ptr().add(c), count, simd.add(a, b));
                }
            }
        }
    }
}

/// What an activation makes of each level, as the bytes that an instruction set's kernels store.
#[derive(Debug, Clone)]
pub struct ActivationLevels {
    bytes: [u8; 256],
}

impl ActivationLevels {
    /// The level that [`Requantization`] defines for the input's levels above its zero point as sums of weights of
    /// scale 1.
    ///
    /// # Panics
    /// If what comes out may be too large: see [`Requantization::fits_unweighted`].
    pub fn new(
        isa: Isa,
        input: Quantization,
        activation: Activation,
        output: Quantization,
    ) -> Self {
        let (requantization, _) = unweighted(input, None, activation, output);
        let (flip, multiplier) = (flip(isa), requantization.multiplier(1.0));
        let zero = i32::from(input.zero_point);
        let mut bytes = [0; 256];
        for (byte, to) in (0..=u8::MAX).zip(&mut bytes) {
            let above = i32::from((byte ^ flip) as i8) - zero;
            *to = requantization.level(above, multiplier, None) as u8 ^ flip;
        }
        ActivationLevels { bytes }
    }
}

/// `out[r, c] = activation(x[r, c])` for the first `pixels` pixels of so many channels.
///
/// # Panics
/// If there are fewer pixels.
pub fn activate(
    x: Rows<u8>,
    pixels: usize,
    channels: usize,
    activation: &ActivationLevels,
    out: RowsMut<u8>,
) {
    x.check(pixels, channels);
    out.check(pixels, channels);
    for pixel in 0..pixels {
        let from = &x.data[pixel * x.stride..][..channels];
        let to = &mut out.data[pixel * out.stride..][..channels];
        for (byte, to) in from.iter().zip(to) {
            *to = activation.bytes[usize::from(*byte)];
        }
    }
}

#[cfg(test)]
mod tests;
