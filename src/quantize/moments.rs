//! Means and second moments of what a layer multiplies its weights with.

use edge_classify_kernels::{Rows, Window};

use crate::engine::Observed;
use crate::engine::net::{Kind, Net, Shape};

/// Of the patches of its input that a layer computes an output pixel from. A patch has a value for each weight of an output
/// channel, in their order; of a depthwise convolution, for each weight of all channels.
#[derive(Debug, Clone)]
pub struct Moments {
    /// Values that are multiplied with one output channel's weights.
    len: usize,
    patches: u64,
    sums: Vec<f64>,
    /// Of products of two values of a patch: for each block of `len` values a matrix, of which the part below the diagonal is
    /// filled. Empty where that would be too large.
    products: Vec<f32>,
}

/// Patches of each picture that are looked at.
const PATCHES: usize = 64;

/// Patches that are multiplied at once.
const AT_ONCE: usize = 8;

/// Columns beyond which a matrix of products is not kept.
const MOST_COLUMNS: usize = 4096;

impl Moments {
    /// Of a layer with weights; `products`: whether second moments are wanted.
    pub fn new(net: &Net, layer: usize, products: bool) -> Option<Moments> {
        let layer = &net.layers()[layer];
        let channels = layer.input.channels;
        let (len, blocks) = match &layer.kind {
            Kind::Pointwise { .. } => (channels, 1),
            Kind::Convolution { window, .. } => (channels * taps(window), 1),
            Kind::Depthwise { window, .. } => (taps(window), channels),
            _ => return None,
        };
        let kept = products && len <= MOST_COLUMNS;
        Some(Moments {
            len,
            patches: 0,
            sums: vec![0.0; len * blocks],
            products: vec![0.0; if kept { len * len * blocks } else { 0 }],
        })
    }

    /// Takes in what a layer read of one picture.
    pub fn see(&mut self, net: &Net, observed: &Observed, picture: usize) {
        let layer = &net.layers()[observed.layer];
        let (input, output) = (net.shape(layer.input), net.shape(layer.output));
        let pixels = output.pixels();
        let count = pixels.min(PATCHES);
        // Other pixels of each picture.
        let shift = picture.wrapping_mul(7919) % pixels.div_ceil(count);
        let mut patches = vec![0.0; AT_ONCE * self.sums.len()];
        let mut filled = 0;
        for sample in 0..count {
            let pixel = (sample * pixels / count + shift).min(pixels - 1);
            let patch = &mut patches[filled * self.sums.len()..][..self.sums.len()];
            gather(&layer.kind, observed.input, input, pixel, patch);
            filled += 1;
            if filled == AT_ONCE || sample + 1 == count {
                self.add(&patches[..filled * self.sums.len()]);
                filled = 0;
            }
        }
    }

    fn add(&mut self, patches: &[f32]) {
        let (len, all) = (self.len, self.sums.len());
        self.patches += (patches.len() / all) as u64;
        for patch in patches.chunks_exact(all) {
            for (sum, value) in self.sums.iter_mut().zip(patch) {
                *sum += f64::from(*value);
            }
        }
        for (block, products) in self.products.chunks_exact_mut(len * len).enumerate() {
            for (row, products) in products.chunks_exact_mut(len).enumerate() {
                let products = &mut products[..=row];
                for patch in patches.chunks_exact(all) {
                    let patch = &patch[block * len..][..=row];
                    let factor = patch[row];
                    if factor != 0.0 {
                        for (product, value) in products.iter_mut().zip(patch) {
                            *product += factor * value;
                        }
                    }
                }
            }
        }
    }

    /// Values of a patch that one output channel's weights are multiplied with.
    pub fn row_len(&self) -> usize {
        self.len
    }

    /// Of all values of a patch.
    pub fn means(&self) -> Vec<f64> {
        let count = self.patches.max(1) as f64;
        self.sums.iter().map(|sum| sum / count).collect()
    }

    /// Mean squares of all values of a patch, about their means or about zero; 1 where they are not known.
    pub fn squares(&self, about_means: bool) -> Vec<f32> {
        let count = self.patches.max(1) as f64;
        let square = |at: usize| {
            let (block, own) = (at / self.len, at % self.len);
            let product = self.products.get((block * self.len + own) * self.len + own);
            let mean = if about_means {
                self.sums[at] / count
            } else {
                0.0
            };
            product.map_or(1.0, |product| {
                (f64::from(*product) / count - mean * mean).max(0.0)
            })
        };
        (0..self.sums.len()).map(|at| square(at) as f32).collect()
    }

    /// The matrix of second moments for an output channel, about the means or about zero; `None` if there is none. Moments
    /// of different values are taken for less than they are, as there are not so many patches.
    pub fn second(&self, channel: usize, about_means: bool) -> Option<Vec<f32>> {
        let len = self.len;
        let blocks = self.sums.len() / len;
        let block = if blocks > 1 { channel } else { 0 };
        let products = self
            .products
            .get(block * len * len..(block + 1) * len * len)?;
        let count = self.patches.max(1) as f64;
        let trust = count / (count + len as f64);
        let mean = |at: usize| match about_means {
            true => self.sums[block * len + at] / count,
            false => 0.0,
        };
        let mut matrix = vec![0.0; len * len];
        for row in 0..len {
            for column in 0..=row {
                let product = f64::from(products[row * len + column]) / count;
                let moment = product - mean(row) * mean(column);
                let moment = if row == column {
                    moment.max(0.0)
                } else {
                    trust * moment
                };
                matrix[row * len + column] = moment as f32;
                matrix[column * len + row] = moment as f32;
            }
        }
        // As if there were a little noise (Frantar et al. 2023, arXiv:2210.17323): otherwise weights of what was hardly seen
        // could be anything.
        let diagonal = || (0..len).map(|at| at * len + at);
        let mean: f32 = diagonal().map(|at| matrix[at]).sum::<f32>() / len as f32;
        diagonal().for_each(|at| matrix[at] += NOISE * mean);
        Some(matrix)
    }

    /// Whether each output channel reads other values.
    pub fn is_by_channel(&self) -> bool {
        self.sums.len() > self.len
    }
}

/// Part of the mean square of a patch's values.
const NOISE: f32 = 0.01;

fn taps(window: &Window) -> usize {
    window.kernel_h * window.kernel_w
}

/// The values that an output pixel is computed from; padding is 0.
fn gather(kind: &Kind, x: Rows, shape: Shape, pixel: usize, patch: &mut [f32]) {
    let Some(window) = kind.window() else {
        patch.copy_from_slice(&x.data[pixel * x.stride..][..shape.channels]);
        return;
    };
    let taps = taps(&window);
    let (y, column) = (pixel / window.out_width, pixel % window.out_width);
    for tap in 0..taps {
        let (i, j) = (tap / window.kernel_w, tap % window.kernel_w);
        let row = (y * window.stride_h + i * window.dilation_h).checked_sub(window.pad_top);
        let column =
            (column * window.stride_w + j * window.dilation_w).checked_sub(window.pad_left);
        let to = patch[tap..].iter_mut().step_by(taps);
        match (row, column) {
            (Some(row), Some(column)) if row < shape.height && column < shape.width => {
                let from = &x.data[(row * shape.width + column) * x.stride..][..shape.channels];
                to.zip(from).for_each(|(to, from)| *to = *from);
            }
            _ => to.for_each(|to| *to = 0.0),
        }
    }
}
