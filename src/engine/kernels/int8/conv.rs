//! Dense convolution over an NHWC picture: what each output pixel sees is copied to one row, and the rows are
//! multiplied by a matrix, some output rows at a time, while they are in the level 1 cache.

mod gather;

#[cfg(test)]
mod tests;

use std::ops::Range;

use edge_classify_kernels::{Isa, Memory, Ring, Rows, Window};

use super::matrix::PackedMatrix;
use super::product::{Output, Right, product};
use super::requantization::{QuantizedWeights, Requantization};
use super::simd::{Levels, ProductKernel, Products, flip, run_products};
use gather::{Picture, SLACK};

/// The weights of a dense convolution in the order in which the kernel reads them.
#[derive(Debug)]
pub struct PackedConv {
    /// Of as many weights a row as are multiplied without anything left over.
    matrix: PackedMatrix,
    channels: usize,
    kernel_h: usize,
    kernel_w: usize,
}

struct Depth;

impl ProductKernel for Depth {
    type Output = usize;

    #[inline(always)]
    fn run<S: Levels, P: Products<S>>(self, _: S, _: P) -> usize {
        P::DEPTH
    }
}

/// Weights of an output channel, with zeros after them.
fn row_len(isa: Isa, channels: usize, kernel_h: usize, kernel_w: usize) -> usize {
    (channels * kernel_h * kernel_w).next_multiple_of(run_products(isa, Depth))
}

impl PackedConv {
    /// Packs weights of shape `[outputs, channels, kernel_h, kernel_w]`, as ONNX has them, into a piece of
    /// [`PackedConv::bytes`].
    ///
    /// # Panics
    /// Unless there are as many weights as the shape says, and where [`PackedMatrix::new`] does.
    #[expect(clippy::too_many_arguments, reason = "a shape")]
    pub fn new(
        isa: Isa,
        weights: &QuantizedWeights,
        outputs: usize,
        channels: usize,
        kernel_h: usize,
        kernel_w: usize,
        requantization: Requantization,
        memory: &mut Memory,
    ) -> PackedConv {
        let shape = [outputs, channels, kernel_h, kernel_w];
        let len = shape
            .iter()
            .try_fold(1usize, |len, size| len.checked_mul(*size));
        assert!(
            len == Some(weights.levels.len()),
            "{} weights for a convolution of shape {shape:?}",
            weights.levels.len()
        );
        let area = kernel_h * kernel_w;
        let k = row_len(isa, channels, kernel_h, kernel_w);
        let mut levels = vec![0; outputs * k];
        let rows = weights.levels.chunks_exact((channels * area).max(1));
        for (to, row) in levels.chunks_exact_mut(k.max(1)).zip(rows) {
            for (channel, row) in row.chunks_exact(area.max(1)).enumerate() {
                for (place, weight) in row.iter().enumerate() {
                    to[place * channels + channel] = *weight;
                }
            }
        }
        let weights = QuantizedWeights {
            levels: &levels,
            ..*weights
        };
        PackedConv {
            matrix: PackedMatrix::new(isa, &weights, outputs, k, requantization, memory),
            channels,
            kernel_h,
            kernel_w,
        }
    }

    /// Bytes that weights of this shape take with what belongs to them.
    pub fn bytes(
        isa: Isa,
        outputs: usize,
        channels: usize,
        kernel_h: usize,
        kernel_w: usize,
    ) -> usize {
        let k = row_len(isa, channels, kernel_h, kernel_w);
        PackedMatrix::bytes(isa, outputs, k)
    }

    /// Where the weights are.
    pub fn addresses(&self) -> Range<usize> {
        self.matrix.addresses()
    }

    /// How many bytes of scratch [`conv`] needs.
    pub fn scratch_len(&self, window: &Window) -> usize {
        let row = window.out_width.saturating_mul(self.matrix.k());
        row.saturating_mul(self.band(window)).saturating_add(SLACK)
    }

    /// Output rows that are computed together.
    fn band(&self, window: &Window) -> usize {
        let row = window.out_width.saturating_mul(self.matrix.k());
        (BAND_BYTES / row.max(1)).clamp(1, window.out_height.max(1))
    }
}

/// Bytes of rows that are multiplied together: they stay in the level 1 cache.
const BAND_BYTES: usize = 16 << 10;

/// Convolves the NHWC picture `x`, whose pixels are adjacent; writes the output rows `out_rows` to `out`, which begins
/// at the first of them, as does the residual. All levels are as they are stored for the processor (see [`flip`]).
/// Beside the picture lie pixels of the input's zero point. `scratch` holds at least [`PackedConv::scratch_len`] bytes.
///
/// # Panics
/// Where the weights are for another kernel size than the window's, `x` has not room for the window's rows, or fewer
/// pixels than that, or lies between other channels, `out_rows` end after the output, a stride or dilation is 0, one of
/// the window's sizes is over 32768, one of the other slices is too short, output pixels overlap, or there is a
/// residual or an output that the weights' requantization does not speak of.
pub fn conv(
    x: Ring<u8>,
    window: &Window,
    w: &PackedConv,
    residual: Option<Rows<u8>>,
    out_rows: Range<usize>,
    out: Output,
    scratch: &mut [u8],
) {
    let size = (w.kernel_h, w.kernel_w);
    assert!(
        (window.kernel_h, window.kernel_w) == size,
        "weights for a kernel of {size:?}, not as in {window:?}"
    );
    let sizes = [
        window.height,
        window.width,
        window.out_height,
        window.out_width,
    ];
    assert!(
        sizes.iter().all(|size| *size <= 1 << 15),
        "a size over 32768 in {window:?}"
    );
    window.check_sizes(&out_rows);
    x.check(window.height, window.width, w.channels);
    assert!(
        x.pixels.stride == w.channels,
        "{} input channels, {} apart",
        w.channels,
        x.pixels.stride
    );
    let pixels = out_rows.len() * window.out_width;
    let right = Right::new(pixels, &w.matrix, residual, out);
    let need = w.scratch_len(window);
    assert!(
        scratch.len() >= need,
        "scratch of {} bytes where {need} are needed",
        scratch.len()
    );
    let k = w.matrix.k();
    let picture = Picture {
        x,
        window,
        channels: w.channels,
        padding: w.matrix.requantization().input.zero_point as u8 ^ flip(w.matrix.isa()),
    };
    for first in out_rows.clone().step_by(w.band(window)) {
        let rows = first..(first + w.band(window)).min(out_rows.end);
        let row = window.out_width * k;
        for (i, out_row) in rows.clone().enumerate() {
            picture.gather_row(out_row, k, &mut scratch[i * row..]);
        }
        let pixels = rows.len() * window.out_width;
        let right = right.below((first - out_rows.start) * window.out_width);
        // SAFETY: `scratch` holds so many rows of `k` bytes, and `right` has been checked.
        unsafe { product(scratch.as_ptr(), k, pixels, &w.matrix, right) };
    }
}
