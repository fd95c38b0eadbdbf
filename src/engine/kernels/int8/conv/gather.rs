//! What output pixels see of a picture, copied to rows.

use std::ops::Range;

use edge_classify_kernels::{Ring, Window};

/// Bytes after the last row that are written, too.
pub const SLACK: usize = 32;

/// What a window slides over.
pub struct Picture<'a> {
    pub x: Ring<'a, u8>,
    pub window: &'a Window,
    pub channels: usize,
    /// The bytes beside the picture.
    pub padding: u8,
}

impl Picture<'_> {
    /// Copies what the pixels of an output row see to rows of `k` bytes, of which the last may be of any value.
    pub fn gather_row(&self, out_row: usize, k: usize, rows: &mut [u8]) {
        let window = self.window;
        if window.out_width == 0 || k == 0 {
            return;
        }
        let inner = self.inner_columns();
        let gather = |columns: Range<usize>, rows: &mut [u8]| {
            for column in columns {
                self.gather(out_row, column, &mut rows[column * k..][..k]);
            }
        };
        // In this order, as a row's copy may reach into those after it.
        gather(0..inner.start, rows);
        let copied = inner.start + self.copy_runs(out_row, inner.clone(), k, rows);
        gather(copied..window.out_width, rows);
    }

    /// The output columns whose window lies between the picture's left and right edges, and each row of it in one run.
    fn inner_columns(&self) -> Range<usize> {
        let window = self.window;
        let out = window.out_width;
        if window.dilation_w != 1 && window.kernel_w > 1 {
            return out..out;
        }
        let start = window.pad_left.div_ceil(window.stride_w).min(out);
        // The last column's window may begin here, counted from the padding.
        let last = (window.width + window.pad_left).checked_sub(window.kernel_w);
        let end = last.map_or(0, |last| last / window.stride_w + 1).min(out);
        start..end.max(start)
    }

    /// Copies short runs in whole vectors, for as many of the output columns as there is something to read and room to
    /// write; says how many.
    fn copy_runs(&self, out_row: usize, columns: Range<usize>, k: usize, rows: &mut [u8]) -> usize {
        let window = self.window;
        let run = window.kernel_w * self.channels;
        let taps = window.taps_of_row(out_row);
        if columns.is_empty() || taps.len() < window.kernel_h || !(1..=SLACK).contains(&run) {
            return 0;
        }
        let first = out_row * window.stride_h - window.pad_top;
        let height = (window.kernel_h - 1) * window.dilation_h;
        let line = self.x.line(first);
        if line + height != self.x.line(first + height) {
            return 0;
        }
        let width = window.width * self.channels;
        let column = columns.start * window.stride_w - window.pad_left;
        let runs = Runs {
            from: &self.x.pixels.data[line * width + column * self.channels..],
            step: window.stride_w * self.channels,
            row_step: window.dilation_h * width,
            to: &mut rows[columns.start * k..],
            k,
            run,
        };
        match (window.kernel_h, run) {
            (3, ..=16) => runs.copy::<16>(3, columns.len()),
            (height, ..=16) => runs.copy::<16>(height, columns.len()),
            (height, _) => runs.copy::<SLACK>(height, columns.len()),
        }
    }

    /// Copies what one output pixel sees.
    fn gather(&self, out_row: usize, out_column: usize, row: &mut [u8]) {
        let window = self.window;
        let taps = window.taps_of_row(out_row);
        let columns = window.taps_of_column(out_column);
        let run = window.kernel_w * self.channels;
        for (tap, to) in row
            .chunks_exact_mut(run.max(1))
            .take(window.kernel_h)
            .enumerate()
        {
            if !taps.contains(&tap) {
                to.fill(self.padding);
                continue;
            }
            let y = out_row * window.stride_h + tap * window.dilation_h - window.pad_top;
            let line = self.x.line(y) * window.width;
            let left = out_column * window.stride_w;
            let pixel = |tap: usize| line + left + tap * window.dilation_w - window.pad_left;
            if window.dilation_w == 1 && columns.len() == window.kernel_w {
                to.copy_from_slice(&self.x.pixels.data[pixel(0) * self.channels..][..run]);
                continue;
            }
            for (tap, to) in to.chunks_exact_mut(self.channels.max(1)).enumerate() {
                if columns.contains(&tap) {
                    let from = pixel(tap) * self.channels;
                    to.copy_from_slice(&self.x.pixels.data[from..][..self.channels]);
                } else {
                    to.fill(self.padding);
                }
            }
        }
    }
}

/// Runs of bytes that are adjacent in rows of `k`.
struct Runs<'a> {
    from: &'a [u8],
    /// From a run to that of the next row.
    step: usize,
    /// From a run to the next of its row.
    row_step: usize,
    to: &'a mut [u8],
    k: usize,
    run: usize,
}

impl Runs<'_> {
    /// Copies `height` runs to each of at most `count` rows, `WIDE` bytes at a time, and says to how many rows: what is
    /// too much of one is overwritten by the next, and by what is copied to the rows after them.
    #[inline(always)]
    fn copy<const WIDE: usize>(self, height: usize, count: usize) -> usize {
        let fits = |len: usize, step: usize, row: usize| {
            let last = len.checked_sub((height - 1) * row + WIDE);
            last.map_or(0, |last| last / step + 1)
        };
        let count = count
            .min(fits(self.from.len(), self.step, self.row_step))
            .min(fits(self.to.len(), self.k, self.run));
        let (mut from, mut to) = (self.from.as_ptr(), self.to.as_mut_ptr());
        for _ in 0..count {
            for i in 0..height {
                // SAFETY: of the last run of the last row, so many bytes are within the slices, as has been computed.
                // The slices are not the same.
                unsafe {
                    let bytes = from.add(i * self.row_step).cast::<[u8; WIDE]>().read();
                    to.add(i * self.run).cast::<[u8; WIDE]>().write(bytes);
                }
            }
            from = from.wrapping_add(self.step);
            to = to.wrapping_add(self.k);
        }
        count
    }
}
