//! Means of what depthwise convolutions write, which they add up on the way.

use edge_classify_kernels::Element;

use super::arena::Place;

/// The mean of what a depthwise convolution writes, for squeeze-and-excitation.
#[derive(Debug)]
pub struct Means {
    pub place: Place,
    /// One over the number of pixels.
    pub scale: f32,
}

/// Sums of each channel over the rows of each part.
pub struct Sums<'a> {
    means: Option<&'a Means>,
    len: usize,
    parts: usize,
}

impl<'a> Sums<'a> {
    pub fn new(means: Option<&'a Means>, parts: usize) -> Self {
        Sums {
            means,
            len: means.map_or(0, |means| means.place.channels),
            parts,
        }
    }

    pub fn clear(&self, sums: &mut [f32]) {
        sums[..self.parts * self.len].fill(0.0);
    }

    /// A part's sums, if there are any.
    pub fn own<'s>(&self, sums: &'s mut [f32]) -> Option<&'s mut [f32]> {
        self.means.map(|_| sums)
    }

    pub fn to_means<E: Element>(&self, sums: &[f32], arena: &mut [E]) {
        let Some(means) = self.means else {
            return;
        };
        let place = &mut arena[means.place.range(0)];
        for (channel, mean) in place.iter_mut().enumerate() {
            let parts = (0..self.parts).map(|part| sums[part * self.len + channel]);
            *mean = E::from_f32(parts.fold(0.0, |mean, sum| mean + sum * means.scale));
        }
    }
}
