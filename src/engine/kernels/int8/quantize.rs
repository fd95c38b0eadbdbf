//! From real values to levels, and back.

use edge_classify_kernels::{Isa, Normalization, normalize};

use super::quantization::Quantization;
use super::simd::{LevelKernel, Levels, flip, run};

/// `out[i]` = the [level](Quantization::level) of `x[i]`.
///
/// # Panics
/// If the lengths differ.
pub fn quantize(isa: Isa, x: &[f32], quantization: Quantization, out: &mut [u8]) {
    assert_eq!(x.len(), out.len(), "as many values as levels");
    let planes = Planes {
        planes: x,
        channels: 1,
        first: 0,
        quantization,
        out,
    };
    run(isa, planes);
}

/// `out[i]` = the [value](Quantization::value) of the level `x[i]`.
///
/// # Panics
/// If the lengths differ.
pub fn dequantize(isa: Isa, x: &[u8], quantization: Quantization, out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "as many levels as values");
    run(
        isa,
        Values {
            x,
            quantization,
            out,
        },
    );
}

/// Writes the levels of as many pixels of so many channels as fill `out`: those from `first` on of `planes`, one for each
/// channel.
///
/// # Panics
/// If the planes are not as long as each other, or have not so many pixels, or they are not whole.
pub fn interleave_quantize(
    isa: Isa,
    planes: &[f32],
    channels: usize,
    first: usize,
    quantization: Quantization,
    out: &mut [u8],
) {
    assert!(
        channels > 0
            && planes.len().is_multiple_of(channels)
            && out.len().is_multiple_of(channels)
            && first
                .checked_add(out.len() / channels)
                .is_some_and(|end| end <= planes.len() / channels),
        "{} levels of {channels} channels from pixel {first} on of planes of {} in all",
        out.len(),
        planes.len()
    );
    let planes = Planes {
        planes,
        channels,
        first,
        quantization,
        out,
    };
    run(isa, planes);
}

struct Values<'a> {
    x: &'a [u8],
    quantization: Quantization,
    out: &'a mut [f32],
}

impl LevelKernel for Values<'_> {
    type Output = ();

    /// Nothing but what the compiler makes vectors of itself.
    #[inline(always)]
    fn run<S: Levels>(self, _: S) {
        for (byte, value) in self.x.iter().zip(self.out) {
            *value = self.quantization.value((byte ^ S::FLIP) as i8);
        }
    }
}

struct Planes<'a> {
    planes: &'a [f32],
    channels: usize,
    first: usize,
    quantization: Quantization,
    out: &'a mut [u8],
}

/// Values of each of three planes that are quantized together, before they are interleaved.
const BLOCK: usize = 64;

impl LevelKernel for Planes<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Levels>(self, _: S) {
        let Planes {
            planes,
            channels,
            first,
            quantization,
            out,
        } = self;
        let to_byte = ToByte::new(quantization, S::FLIP);
        let (area, pixels) = (planes.len() / channels, out.len() / channels);
        let plane = |channel: usize| &planes[channel * area + first..][..pixels];
        match channels {
            1 => to_byte.all(plane(0), out),
            3 => {
                let [red, green, blue] = [0, 1, 2].map(plane);
                let (blocks, rest) = out.as_chunks_mut::<{ 3 * BLOCK }>();
                let whole = blocks.len() * BLOCK;
                for (i, out) in blocks.iter_mut().enumerate() {
                    let mut levels = [[0; BLOCK]; 3];
                    for (levels, plane) in levels.iter_mut().zip([red, green, blue]) {
                        to_byte.all(&plane[i * BLOCK..][..BLOCK], levels);
                    }
                    // Of a length that is known, this becomes stores of interleaved vectors.
                    for p in 0..BLOCK {
                        out[3 * p] = levels[0][p];
                        out[3 * p + 1] = levels[1][p];
                        out[3 * p + 2] = levels[2][p];
                    }
                }
                for (p, pixel) in rest.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                    let values = [red, green, blue].map(|plane| plane[whole + p]);
                    *pixel = values.map(|value| to_byte.one(value));
                }
            }
            _ => {
                for channel in 0..channels {
                    let pixels = out.chunks_exact_mut(channels);
                    for (pixel, value) in pixels.zip(plane(channel)) {
                        pixel[channel] = to_byte.one(*value);
                    }
                }
            }
        }
    }
}

/// [`Quantization::level`] with what it takes at hand.
#[derive(Clone, Copy)]
struct ToByte {
    inverse_scale: f32,
    low: f32,
    high: f32,
    zero_point: i32,
    flip: u8,
}

impl ToByte {
    #[inline(always)]
    fn new(quantization: Quantization, flip: u8) -> Self {
        let (low, high) = quantization.bounds_above_zero();
        ToByte {
            inverse_scale: quantization.inverse_scale(),
            low,
            high,
            zero_point: i32::from(quantization.zero_point),
            flip,
        }
    }

    #[inline(always)]
    fn one(self, value: f32) -> u8 {
        let t = value * self.inverse_scale;
        // What is no number is not above the bound.
        let t = if t > self.low { t } else { self.low };
        let t = if t < self.high { t } else { self.high };
        // SAFETY: between the bounds.
        let level = unsafe { t.round_ties_even().to_int_unchecked::<i32>() } + self.zero_point;
        level as u8 ^ self.flip
    }

    #[inline(always)]
    fn all(self, values: &[f32], to: &mut [u8]) {
        for (value, to) in values.iter().zip(to) {
            *to = self.one(*value);
        }
    }
}

/// The levels of normalised pixels, for each channel and each of 256 brightnesses.
#[derive(Debug, Clone)]
pub struct PictureLevels {
    tables: [[u8; 256]; 3],
    /// The first table is for a pixel's last byte.
    reversed: bool,
}

impl PictureLevels {
    pub fn new(isa: Isa, how: &Normalization, quantization: Quantization) -> Self {
        let brightnesses: [u8; 3 * 256] = std::array::from_fn(|i| (i / 3) as u8);
        let mut values = [0.0_f32; 3 * 256];
        normalize(isa, &brightnesses, how, &mut values);
        let flip = flip(isa);
        let mut tables = [[0; 256]; 3];
        for (level, pixel) in values.as_chunks::<3>().0.iter().enumerate() {
            for (table, value) in tables.iter_mut().zip(pixel) {
                table[level] = quantization.level(*value) as u8 ^ flip;
            }
        }
        PictureLevels {
            tables,
            reversed: how.is_reversed(),
        }
    }
}

/// Writes the levels of what [`normalize`] makes of `pixels`, three bytes each.
///
/// # Panics
/// If there are not as many levels as bytes, in whole pixels.
pub fn quantize_picture(pixels: &[u8], levels: &PictureLevels, out: &mut [u8]) {
    assert!(
        pixels.len() == out.len() && pixels.len().is_multiple_of(3),
        "{} bytes to {} levels of three channels",
        pixels.len(),
        out.len()
    );
    let [first, second, third] = &levels.tables;
    let pixels = pixels.as_chunks::<3>().0.iter();
    for ([a, b, c], out) in pixels.zip(out.as_chunks_mut::<3>().0) {
        let (a, c) = if levels.reversed { (c, a) } else { (a, c) };
        *out = [
            first[usize::from(*a)],
            second[usize::from(*b)],
            third[usize::from(*c)],
        ];
    }
}

#[cfg(test)]
mod tests;
