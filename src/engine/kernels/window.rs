//! How a window slides over a picture.

use std::ops::Range;

use super::{Rows, RowsMut};

/// A kernel's or a pool's window: output pixel (y, x) sees the input pixels
/// (y * stride_h - pad_top + i * dilation_h, x * stride_w - pad_left + j * dilation_w). What it sees outside of the
/// picture is padding; how much there is after the picture follows from the output's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub height: usize,
    pub width: usize,
    pub kernel_h: usize,
    pub kernel_w: usize,
    pub stride_h: usize,
    pub stride_w: usize,
    pub dilation_h: usize,
    pub dilation_w: usize,
    pub pad_top: usize,
    pub pad_left: usize,
    pub out_height: usize,
    pub out_width: usize,
}

impl Window {
    /// # Panics
    /// If pictures of so many channels do not fit `x` and `out`, or `rows` of the output are not all there.
    pub fn check<E>(&self, channels: usize, x: Rows<E>, out: &RowsMut<E>, rows: &Range<usize>) {
        let (pixels, out_pixels) = self.check_sizes(rows);
        x.check(pixels, channels);
        out.check(out_pixels, channels);
    }

    /// The pixels of the picture and of the output.
    ///
    /// # Panics
    /// If `rows` of the output are not all there, a stride or dilation is 0, or a size or position overflows.
    pub fn check_sizes(&self, rows: &Range<usize>) -> (usize, usize) {
        assert!(self.stride_h > 0 && self.stride_w > 0, "a window moves");
        assert!(
            self.dilation_h > 0 && self.dilation_w > 0,
            "a window's taps are apart"
        );
        assert!(
            rows.end <= self.out_height,
            "rows {rows:?} of {}",
            self.out_height
        );
        // Places in the padded picture are computed as isize.
        for (size, stride, kernel, dilation, pad) in [
            (
                self.out_height,
                self.stride_h,
                self.kernel_h,
                self.dilation_h,
                self.pad_top,
            ),
            (
                self.out_width,
                self.stride_w,
                self.kernel_w,
                self.dilation_w,
                self.pad_left,
            ),
        ] {
            let end = size.checked_mul(stride).zip(kernel.checked_mul(dilation));
            let end = end.and_then(|(a, b)| a.checked_add(b)?.checked_add(pad));
            assert!(
                end.is_some_and(|end| end <= isize::MAX as usize),
                "a window within the address space"
            );
        }
        let sizes = (
            self.height.checked_mul(self.width),
            self.out_height.checked_mul(self.out_width),
        );
        let (Some(pixels), Some(out_pixels)) = sizes else {
            panic!("pictures within the address space")
        };
        (pixels, out_pixels)
    }

    /// The window that computes the output's rows `rows` alone, and the first row of the picture that it sees: its
    /// picture begins there.
    pub fn band(&self, rows: &Range<usize>) -> (usize, Window) {
        let start = rows.start * self.stride_h;
        // Of rows that see padding alone, there is nothing left.
        let first = start.saturating_sub(self.pad_top).min(self.height);
        let band = Window {
            height: self.height - first,
            pad_top: self.pad_top.saturating_sub(start),
            out_height: rows.len(),
            ..*self
        };
        (first, band)
    }

    /// The rows of the picture that the output's rows `rows`, of which there are some, see.
    pub fn sees(&self, rows: &Range<usize>) -> Range<usize> {
        let row = |place: usize| place.saturating_sub(self.pad_top).min(self.height);
        let last = (rows.end - 1) * self.stride_h + (self.kernel_h - 1) * self.dilation_h;
        row(rows.start * self.stride_h)..row(last + 1)
    }

    /// Most rows of the picture that so many rows of the output, at least one, see.
    pub fn most_seen(&self, rows: usize) -> usize {
        (rows - 1) * self.stride_h + (self.kernel_h - 1) * self.dilation_h + 1
    }

    /// The taps of the output's row `y` that are in the picture.
    pub fn taps_of_row(&self, y: usize) -> Range<usize> {
        inside(
            y * self.stride_h,
            self.pad_top,
            self.dilation_h,
            self.kernel_h,
            self.height,
        )
    }

    /// The taps of the output's column `x` that are in the picture.
    pub fn taps_of_column(&self, x: usize) -> Range<usize> {
        inside(
            x * self.stride_w,
            self.pad_left,
            self.dilation_w,
            self.kernel_w,
            self.width,
        )
    }
}

/// The taps `t` in `0..taps` for which `start + t * dilation - pad` is in `0..size`.
fn inside(start: usize, pad: usize, dilation: usize, taps: usize, size: usize) -> Range<usize> {
    let first = pad.saturating_sub(start).div_ceil(dilation).min(taps);
    let end = (size + pad)
        .saturating_sub(start)
        .div_ceil(dilation)
        .min(taps);
    first..end.max(first)
}
