//! Means of what depthwise convolutions write, which they add up on the way.

use edge_classify_kernels::{Element, Plain, values_of, values_of_mut};

use super::arena::Place;

/// The mean of what a depthwise convolution writes, for squeeze-and-excitation.
#[derive(Debug)]
pub struct Means {
    pub place: Place,
    /// What a sum is multiplied by: one over the number of pixels, times what a level is worth.
    pub scale: f32,
}

impl Means {
    /// Bytes of the sums of all channels.
    pub fn sums_len(&self) -> usize {
        self.place.channels * SUM
    }
}

/// Bytes of a sum.
const SUM: usize = 4;

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

    /// The sums are in bytes, here and below.
    pub fn clear(&self, sums: &mut [u8]) {
        sums[..self.parts * self.len * SUM].fill(0);
    }

    /// A part's sums, if there are any.
    pub fn own<'s, S: Plain>(&self, sums: &'s mut [u8]) -> Option<&'s mut [S]> {
        self.means.map(|_| values_of_mut(sums))
    }

    pub fn to_means<E: Element>(&self, sums: &[u8], arena: &mut [u8]) {
        let Some(means) = self.means else {
            return;
        };
        let sums: &[f32] = values_of(&sums[..self.parts * self.len * SUM]);
        let place: &mut [E] = values_of_mut(&mut arena[means.place.range(0)]);
        for (channel, mean) in place.iter_mut().enumerate() {
            let parts = (0..self.parts).map(|part| sums[part * self.len + channel]);
            *mean = E::from_f32(parts.fold(0.0, |mean, sum| mean + sum * means.scale));
        }
    }

    /// As [`Sums::to_means`], of sums of levels: these are exact, and their mean is rounded once.
    pub fn to_means_of_levels(&self, sums: &[u8], arena: &mut [u8]) {
        let Some(means) = self.means else {
            return;
        };
        let sums: &[i32] = values_of(&sums[..self.parts * self.len * SUM]);
        let place: &mut [f32] = values_of_mut(&mut arena[means.place.range(0)]);
        for (channel, mean) in place.iter_mut().enumerate() {
            let parts = (0..self.parts).map(|part| sums[part * self.len + channel]);
            *mean = parts.sum::<i32>() as f32 * means.scale;
        }
    }
}
