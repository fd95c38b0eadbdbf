//! From planes of a picture's channels to pixels.

use super::element::Element;
use super::simd::{Isa, Kernel, Simd};

/// Writes as many pixels of so many channels as fill `out`: those from `first` on of `planes`, one for each channel.
///
/// # Panics
/// If the planes are not as long as each other, or have not so many pixels, or they are not whole.
pub fn interleave<E: Element>(
    isa: Isa,
    planes: &[f32],
    channels: usize,
    first: usize,
    out: &mut [E],
) {
    assert!(
        channels > 0
            && planes.len().is_multiple_of(channels)
            && out.len().is_multiple_of(channels)
            && first
                .checked_add(out.len() / channels)
                .is_some_and(|end| end <= planes.len() / channels),
        "{} values of {channels} channels from pixel {first} on of planes of {} in all",
        out.len(),
        planes.len()
    );
    let kernel = Interleave {
        planes,
        channels,
        first,
        out,
    };
    E::interleave(isa, kernel);
}

pub struct Interleave<'a, E> {
    planes: &'a [f32],
    channels: usize,
    first: usize,
    out: &'a mut [E],
}

/// A vector of the widest kind.
const BLOCK: usize = 16;

impl<E: Element> Kernel<E> for Interleave<'_, E> {
    type Output = ();

    /// Nothing but what the compiler makes vectors of itself.
    #[inline(always)]
    fn run<S: Simd<Element = E>>(self, _: S) {
        let (area, pixels) = (
            self.planes.len() / self.channels,
            self.out.len() / self.channels,
        );
        let plane = |channel: usize| &self.planes[channel * area + self.first..][..pixels];
        if self.channels != 3 {
            for channel in 0..self.channels {
                let pixels = self.out.chunks_exact_mut(self.channels);
                for (pixel, value) in pixels.zip(plane(channel)) {
                    pixel[channel] = E::from_f32(*value);
                }
            }
            return;
        }
        let [red, green, blue] = [0, 1, 2].map(|channel| plane(channel).as_chunks::<BLOCK>());
        let (blocks, rest) = self.out.as_chunks_mut::<{ 3 * BLOCK }>();
        let planes = red.0.iter().zip(green.0).zip(blue.0);
        for (((red, green), blue), out) in planes.zip(blocks) {
            let mut values = [0.0; 3 * BLOCK];
            for i in 0..BLOCK {
                values[3 * i] = red[i];
                values[3 * i + 1] = green[i];
                values[3 * i + 2] = blue[i];
            }
            E::narrow(&values, out);
        }
        let planes = red.1.iter().zip(green.1).zip(blue.1);
        for (((red, green), blue), out) in planes.zip(rest.as_chunks_mut::<3>().0) {
            *out = [*red, *green, *blue].map(E::from_f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;

    #[test]
    fn every_value_is_in_its_place() {
        all_of::<f32>();
        all_of::<f16>();
    }

    fn all_of<E: Element>() {
        const AREA: usize = 70;
        for channels in [1, 2, 3, 4] {
            let value = |pixel: usize, channel: usize| (pixel * channels + channel) as f32;
            let planes = (0..channels).flat_map(|c| (0..AREA).map(move |pixel| value(pixel, c)));
            let planes: Vec<f32> = planes.collect();
            for isa in Isa::computing::<E>() {
                for pixels in [0, 1, 15, 16, 17, 47, AREA - 3, AREA] {
                    for first in [0, 3].into_iter().filter(|first| first + pixels <= AREA) {
                        let mut out = vec![E::default(); channels * pixels];
                        interleave(isa, &planes, channels, first, &mut out);
                        for (i, found) in out.iter().enumerate() {
                            let expected = value(first, 0) + i as f32;
                            assert_eq!(found.to_f32(), expected, "{}", isa.name());
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let run = |planes: usize, channels: usize, first: usize, out: usize| {
            let (planes, mut out) = (vec![0.0; planes], vec![0.0_f32; out]);
            let isa = Isa::available()[0];
            std::panic::catch_unwind(move || interleave(isa, &planes, channels, first, &mut out))
                .is_ok()
        };
        assert!(run(9, 3, 1, 6));
        assert!(!run(9, 3, 2, 6), "a pixel too many");
        assert!(!run(9, 3, 0, 7), "no whole pixel");
        assert!(!run(8, 3, 0, 6), "a plane that is short");
        assert!(!run(9, 3, usize::MAX, 3), "no such pixel");
        assert!(!run(9, 0, 0, 0), "no channels");
    }
}
