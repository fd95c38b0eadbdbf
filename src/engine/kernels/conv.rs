//! Dense convolution over an NHWC image, as products of its rows and a matrix.
//!
//! The pixels under one row of the kernel are adjacent in memory, and so are those for the next output pixel, a stride
//! further. So the matrix kernel reads the image in place, in as many runs as the kernel has rows. Only for output pixels
//! whose kernel reaches over the left or right edge are the pixels gathered first; rows over the top or bottom edge are
//! left out together with their weights.

use std::ops::Range;

use super::element::Element;
use super::memory::Memory;
use super::pointwise::{
    Epilogue, Finish, Left, PackedMatrix, Panels, Prefetch, check, product, right,
};
use super::rows::{Ring, RowsMut};
use super::simd::{Isa, Kernel, Simd};
use super::window::Window;

/// The weights of a dense convolution in the order in which the kernel reads them.
#[derive(Debug)]
pub struct PackedConv<E = f32> {
    matrix: PackedMatrix<E>,
    channels: usize,
    kernel_h: usize,
    kernel_w: usize,
}

impl<E: Element> PackedConv<E> {
    /// Packs weights of shape `[outputs, channels, kernel_h, kernel_w]`, as ONNX has them.
    ///
    /// # Panics
    /// Unless there are as many weights as the shape says.
    pub fn new(
        isa: Isa,
        weights: &[f32],
        outputs: usize,
        channels: usize,
        kernel_h: usize,
        kernel_w: usize,
    ) -> PackedConv<E> {
        let shape = [outputs, channels, kernel_h, kernel_w];
        let len = shape
            .iter()
            .try_fold(1usize, |len, size| len.checked_mul(*size));
        assert!(
            len == Some(weights.len()),
            "{} weights for a convolution of shape {shape:?}",
            weights.len()
        );
        let memory = &mut Memory::none();
        let mut packed = PackedConv::zeros(isa, outputs, channels, kernel_h, kernel_w, memory);
        packed.set_outputs(0, weights);
        packed
    }

    /// Weights of the shape `[outputs, channels, kernel_h, kernel_w]` that are to be set: the piece of a [`PackedMatrix`] of
    /// `outputs` rows.
    pub fn zeros(
        isa: Isa,
        outputs: usize,
        channels: usize,
        kernel_h: usize,
        kernel_w: usize,
        memory: &mut Memory,
    ) -> PackedConv<E> {
        PackedConv {
            matrix: PackedMatrix::zeros(isa, outputs, kernel_h * kernel_w * channels, memory),
            channels,
            kernel_h,
            kernel_w,
        }
    }

    /// Sets the weights for whole outputs, from the output `first` on.
    ///
    /// # Panics
    /// If there are not so many outputs, or the last has not all of its weights.
    pub fn set_outputs(&mut self, first: usize, weights: &[f32]) {
        let area = self.kernel_h * self.kernel_w;
        let k = self.matrix.k();
        let mut rows = vec![0.0; weights.len()];
        for (row, weights) in rows
            .chunks_mut(k.max(1))
            .zip(weights.chunks_exact(k.max(1)))
        {
            for (channel, weights) in weights.chunks_exact(area.max(1)).enumerate() {
                for (place, weight) in weights.iter().enumerate() {
                    row[place * self.channels + channel] = *weight;
                }
            }
        }
        self.matrix.set_rows(first, &rows);
    }

    /// Output channels.
    pub fn outputs(&self) -> usize {
        self.matrix.n()
    }

    /// Where the weights are.
    pub fn addresses(&self) -> Range<usize> {
        self.matrix.addresses()
    }

    /// Input channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// How many values of scratch [`conv`] needs.
    pub fn scratch_len(&self, window: &Window) -> usize {
        let inner = inner_columns(window);
        band::<E>(window, self.channels) * (window.out_width - inner.len()) * self.matrix.k()
    }
}

/// The output columns whose kernel lies between the image's left and right edges, and can be read in place.
fn inner_columns(window: &Window) -> Range<usize> {
    let out = window.out_width;
    if window.dilation_w != 1 && window.kernel_w > 1 {
        return out..out;
    }
    let start = window.pad_left.div_ceil(window.stride_w).min(out);
    // The last column's kernel may begin here, counted from the padding.
    let last = (window.width + window.pad_left).checked_sub(window.kernel_w);
    let end = last.map_or(0, |last| last / window.stride_w + 1).min(out);
    start..end.max(start)
}

/// The kernel's rows that lie on the image for one row of the output.
fn inner_kernel_rows(window: &Window, out_row: usize) -> Range<usize> {
    let at = out_row * window.stride_h;
    let start = window
        .pad_top
        .saturating_sub(at)
        .div_ceil(window.dilation_h)
        .min(window.kernel_h);
    let end = (window.height + window.pad_top)
        .saturating_sub(at)
        .div_ceil(window.dilation_h)
        .min(window.kernel_h);
    start..end.max(start)
}

/// Bytes of input whose output rows are computed by all panels before the next: they stay in the level 2 cache.
const BAND_BYTES: usize = 128 << 10;

/// Output rows that are computed together.
fn band<E>(window: &Window, channels: usize) -> usize {
    let bytes = size_of::<E>() * window.stride_h * window.width * channels;
    (BAND_BYTES / bytes.max(1)).clamp(1, window.out_height.max(1))
}

/// Convolves the NHWC image `x`, whose pixels are adjacent; writes the output rows `out_rows` to `out`, which begins at the
/// first of them, as does the residual. `scratch` holds at least [`PackedConv::scratch_len`] values.
///
/// # Panics
/// Where the weights are for another kernel size than the window's, `x` has not room for the window's rows, or fewer pixels
/// than that, or lies between other channels, `out_rows` end after the output, a stride or dilation is 0, one of the window's fields is over 32768, one of the other slices is too short,
/// or output pixels overlap.
pub fn conv<E: Element>(
    x: Ring<E>,
    window: &Window,
    w: &PackedConv<E>,
    epilogue: &Epilogue<E>,
    out_rows: Range<usize>,
    out: RowsMut<E>,
    scratch: &mut [E],
) {
    let size = (w.kernel_h, w.kernel_w);
    assert!(
        (window.kernel_h, window.kernel_w) == size,
        "weights for a kernel of {size:?}, not as in {window:?}"
    );
    let steps = [
        window.stride_h,
        window.stride_w,
        window.dilation_h,
        window.dilation_w,
    ];
    assert!(
        !steps.contains(&0),
        "a stride or dilation of 0 in {window:?}"
    );
    // So that no product of two overflows.
    let sizes = [
        window.height,
        window.width,
        window.pad_top,
        window.pad_left,
        window.out_height,
        window.out_width,
    ];
    let largest = sizes
        .into_iter()
        .chain(steps)
        .chain([w.kernel_h, w.kernel_w])
        .max();
    assert!(largest <= Some(1 << 15), "a size over 32768 in {window:?}");
    x.check(window.height, window.width, w.channels);
    assert!(
        x.pixels.stride == w.channels,
        "{} input channels, {} apart",
        w.channels,
        x.pixels.stride
    );
    assert!(
        out_rows.end <= window.out_height,
        "output rows {out_rows:?} of {}",
        window.out_height
    );
    check(
        out_rows.len() * window.out_width,
        w.outputs(),
        epilogue,
        &out,
    );
    let need = w.scratch_len(window);
    assert!(
        scratch.len() >= need,
        "scratch of {} values where {need} are needed",
        scratch.len()
    );
    let kernel = Conv {
        x,
        window,
        w,
        epilogue,
        out_rows,
        out,
        scratch,
    };
    E::conv(w.matrix.isa(), kernel);
}

/// The arguments of [`conv`], checked.
pub struct Conv<'a, E> {
    x: Ring<'a, E>,
    window: &'a Window,
    w: &'a PackedConv<E>,
    epilogue: &'a Epilogue<'a, E>,
    out_rows: Range<usize>,
    out: RowsMut<'a, E>,
    scratch: &'a mut [E],
}

impl<E: Element> Kernel<E> for Conv<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = E>>(self, simd: S) {
        let Conv {
            x,
            window,
            w,
            epilogue,
            out_rows,
            out,
            scratch,
        } = self;
        let finish = Finish::new(epilogue.activation);
        let inner = inner_columns(window);
        let outer = window.out_width - inner.len();
        let (channels, k) = (w.channels, w.matrix.k());
        let run = window.kernel_w * channels;
        let line = window.width * channels;
        let image = x.pixels.data;
        let band = band::<E>(window, channels);
        for first in out_rows.clone().step_by(band) {
            let rows = first..(first + band).min(out_rows.end);
            for (i, out_row) in rows.clone().enumerate() {
                let columns = (0..inner.start).chain(inner.end..window.out_width);
                let patches = &mut scratch[i * outer * k..][..outer * k];
                for (column, patch) in columns.zip(patches.chunks_exact_mut(k.max(1))) {
                    gather(x, window, channels, out_row, column, patch);
                }
            }
            for panel in w.matrix.panels() {
                let weights = w.matrix.weights(*panel);
                for (i, out_row) in rows.clone().enumerate() {
                    let kernel_rows = inner_kernel_rows(window, out_row);
                    let weights = &weights[kernel_rows.start * run * panel.width..];
                    let patches = &scratch[i * outer * k..][..outer * k];
                    let gathered = |from: usize, count: usize| {
                        let patches = &patches[from * k..][..count * k];
                        Left::rows(patches.as_ptr(), k, kernel_rows.len() * run)
                    };
                    let in_place = if inner.is_empty() || kernel_rows.is_empty() {
                        Left::rows(image.as_ptr(), 0, 0)
                    } else {
                        let y = out_row * window.stride_h + kernel_rows.start * window.dilation_h
                            - window.pad_top;
                        let row = x.line(y);
                        let column = inner.start * window.stride_w - window.pad_left;
                        Left {
                            data: image[row * line + column * channels..].as_ptr(),
                            stride: window.stride_w * channels,
                            segments: kernel_rows.len(),
                            segment_len: run,
                            segment_stride: window.dilation_h * line,
                            before_turn: (x.lines - row).div_ceil(window.dilation_h),
                            turn: x.lines * line,
                        }
                    };
                    let spans = [
                        (0..inner.start, gathered(0, inner.start)),
                        (inner.clone(), in_place),
                        (
                            inner.end..window.out_width,
                            gathered(inner.start, window.out_width - inner.end),
                        ),
                    ];
                    for (columns, left) in spans {
                        let pixel = (out_row - out_rows.start) * window.out_width + columns.start;
                        let right =
                            right(panel, epilogue, pixel, out.data.as_mut_ptr(), out.stride);
                        // SAFETY: `conv` has checked the slices; the inner columns' kernel rows lie on the image, and
                        // the other columns have been gathered.
                        unsafe {
                            product(
                                simd,
                                columns.len(),
                                left,
                                Panels {
                                    data: weights.as_ptr(),
                                    next: weights.as_ptr_range().end,
                                    ahead: Prefetch::none(weights.as_ptr()),
                                },
                                panel.width,
                                right,
                                finish,
                            )
                        };
                    }
                }
            }
        }
    }
}

/// Copies the pixels under the kernel's rows on the image; zeros for those beside it.
fn gather<E: Element>(
    x: Ring<E>,
    window: &Window,
    channels: usize,
    out_row: usize,
    out_column: usize,
    patch: &mut [E],
) {
    let mut pixels = patch.chunks_exact_mut(channels.max(1));
    for kernel_row in inner_kernel_rows(window, out_row) {
        let y = out_row * window.stride_h + kernel_row * window.dilation_h - window.pad_top;
        let row = x.line(y) * window.width;
        for kernel_column in 0..window.kernel_w {
            let Some(pixel) = pixels.next() else { return };
            let column = (out_column * window.stride_w + kernel_column * window.dilation_w)
                .checked_sub(window.pad_left);
            match column.filter(|column| *column < window.width) {
                Some(column) => {
                    pixel.copy_from_slice(&x.pixels.data[(row + column) * channels..][..channels]);
                }
                None => pixel.fill(E::default()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
