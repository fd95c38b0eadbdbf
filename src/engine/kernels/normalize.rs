//! From 8-bit levels to what a network takes.

use super::element::Element;
use super::simd::{Isa, Kernel, Simd};

/// What is done to each of a pixel's three levels: `(level - mean) / std`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalization {
    scale: [f32; 3],
    shift: [f32; 3],
    reversed: bool,
}

impl Normalization {
    /// `mean` and `std` are in levels from 0 to 255, for the network's channels in their order; `reversed`: these are the
    /// pixel's from its last to its first.
    pub fn new(mean: [f32; 3], std: [f32; 3], reversed: bool) -> Self {
        let of = |f: &dyn Fn(usize) -> f64| std::array::from_fn(|channel| f(channel) as f32);
        let scale = |channel: usize| 1.0 / f64::from(std[channel]);
        Normalization {
            scale: of(&scale),
            shift: of(&|channel| -f64::from(mean[channel]) * scale(channel)),
            reversed,
        }
    }

    /// Whether the network's first channel is the pixel's last.
    pub fn is_reversed(&self) -> bool {
        self.reversed
    }
}

/// Writes the values of `pixels`, three bytes each, to `out`, three values each.
///
/// # Panics
/// If there are not as many values as bytes, in whole pixels.
pub fn normalize<E: Element>(isa: Isa, pixels: &[u8], how: &Normalization, out: &mut [E]) {
    assert!(
        pixels.len() == out.len() && pixels.len().is_multiple_of(3),
        "{} bytes to {} values of three channels",
        pixels.len(),
        out.len()
    );
    E::normalize(isa, Normalize { pixels, how, out });
}

pub struct Normalize<'a, E> {
    pixels: &'a [u8],
    how: &'a Normalization,
    out: &'a mut [E],
}

/// Whole pixels and whole vectors.
const BLOCK: usize = 48;

impl<E: Element> Kernel<E> for Normalize<'_, E> {
    type Output = ();

    /// Nothing but what the compiler makes vectors of itself.
    #[inline(always)]
    fn run<S: Simd<Element = E>>(self, _: S) {
        let scale: [f32; BLOCK] = std::array::from_fn(|i| self.how.scale[i % 3]);
        let shift: [f32; BLOCK] = std::array::from_fn(|i| self.how.shift[i % 3]);
        let blocks = self.pixels.chunks(BLOCK).zip(self.out.chunks_mut(BLOCK));
        for (pixels, out) in blocks {
            let mut levels = [0; BLOCK];
            levels[..pixels.len()].copy_from_slice(pixels);
            if self.how.reversed {
                levels
                    .as_chunks_mut::<3>()
                    .0
                    .iter_mut()
                    .for_each(|pixel| pixel.reverse());
            }
            let mut values = [0.0; BLOCK];
            for i in 0..BLOCK {
                values[i] = f32::from(levels[i]) * scale[i] + shift[i];
            }
            E::narrow(&values[..out.len()], out);
        }
    }
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;

    #[test]
    fn every_level_is_normalised() {
        matches_the_definition::<f32>();
        matches_the_definition::<f16>();
    }

    fn matches_the_definition<E: Element>() {
        let (mean, std) = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]);
        for pixels in [0, 1, 15, 16, 17, 86, 256] {
            let levels: Vec<u8> = (0..3 * pixels).map(|i| (i * 7 % 256) as u8).collect();
            for reversed in [false, true] {
                let how = Normalization::new(mean, std, reversed);
                for isa in Isa::computing::<E>() {
                    let mut out = vec![E::default(); levels.len()];
                    normalize(isa, &levels, &how, &mut out);
                    for (i, value) in out.iter().enumerate() {
                        let channel = i % 3;
                        let at = if reversed {
                            i - channel + 2 - channel
                        } else {
                            i
                        };
                        let level = f64::from(levels[at]);
                        let expected = (level - f64::from(mean[channel])) / f64::from(std[channel]);
                        let error = (f64::from(value.to_f32()) - expected).abs();
                        // Rounded when scaled, when shifted by at most 2.2, and when narrowed.
                        let allowed = 5.0 * f64::from(f32::EPSILON) + 2.7 * f64::from(E::EPSILON);
                        assert!(error <= allowed, "{}: {error}", isa.name());
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "6 bytes to 5 values")]
    fn lengths_that_differ_are_refused() {
        let how = Normalization::new([0.0; 3], [1.0; 3], false);
        normalize(Isa::available()[0], &[0; 6], &how, &mut [0.0_f32; 5]);
    }
}
