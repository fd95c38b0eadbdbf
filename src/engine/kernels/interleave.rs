//! From planes of a picture's channels to pixels.

use super::element::Element;
use super::simd::{Isa, Kernel, Simd};

/// Writes as many pixels of three channels as fill `out`, from the beginning of three planes.
///
/// # Panics
/// If a plane has not so many, or they are not whole.
pub fn interleave<E: Element>(isa: Isa, planes: [&[f32]; 3], out: &mut [E]) {
    let pixels = out.len() / 3;
    assert!(
        out.len().is_multiple_of(3) && planes.iter().all(|plane| plane.len() >= pixels),
        "{} values of pixels from planes of {:?}",
        out.len(),
        planes.map(<[f32]>::len)
    );
    let planes = planes.map(|plane| &plane[..pixels]);
    E::interleave(isa, Interleave { planes, out });
}

pub struct Interleave<'a, E> {
    planes: [&'a [f32]; 3],
    out: &'a mut [E],
}

/// A vector of the widest kind.
const BLOCK: usize = 16;

impl<E: Element> Kernel<E> for Interleave<'_, E> {
    type Output = ();

    /// Nothing but what the compiler makes vectors of itself.
    #[inline(always)]
    fn run<S: Simd<Element = E>>(self, _: S) {
        let [red, green, blue] = self.planes.map(<[f32]>::as_chunks::<BLOCK>);
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
        let planes: [Vec<f32>; 3] =
            std::array::from_fn(|c| (0..70).map(|i| (3 * i + c) as f32).collect());
        for isa in Isa::computing::<E>() {
            for pixels in [0, 1, 15, 16, 17, 47, 70] {
                let mut out = vec![E::default(); 3 * pixels];
                interleave(isa, planes.each_ref().map(|plane| &plane[..]), &mut out);
                for (i, value) in out.iter().enumerate() {
                    assert_eq!(value.to_f32(), i as f32, "{}", isa.name());
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "9 values of pixels")]
    fn a_plane_that_is_short_is_refused() {
        let planes = [&[0.0; 3][..], &[0.0; 2], &[0.0; 3]];
        interleave(Isa::available()[0], planes, &mut [0.0_f32; 9]);
    }
}
