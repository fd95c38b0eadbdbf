//! What outputs see, in quads: of what lies beside the picture, too, so that all outputs are computed in one way.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::strips::{Strips, TILE};
use super::{CHANNELS, QUAD, first_of_quad};
use crate::depthwise::Job;
use crate::depthwise::neon::Multiply;

/// Quads of four columns of the input that outputs of a strip see, at most.
pub const MOST_QUADS: usize = 12;

/// The same for all units that are computed together.
pub const ROOM: usize = 3 * MOST_QUADS;

/// Bytes of all channels' quads.
pub const QUADS_BYTES: usize = 4 * CHANNELS;

/// Outputs beside each other that are computed in all rows before the next such.
pub struct Strip {
    pub outputs: Range<usize>,
    /// Columns from the first that they see on that are in the picture.
    pub inner: Range<usize>,
    /// Quads of four columns that they see.
    pub quads: usize,
}

/// What strips of some units see, a unit being as many rows of outputs as see the same quads of rows: for each unit
/// those of all columns, and for each row of outputs those of the row that is left.
#[repr(align(64))]
pub struct Seen {
    pub columns: MaybeUninit<[u8; QUAD * ROOM * QUADS_BYTES]>,
    pub left: MaybeUninit<[u8; 2 * ROOM * QUADS_BYTES]>,
}

impl Seen {
    pub fn new() -> Seen {
        Seen {
            columns: MaybeUninit::uninit(),
            left: MaybeUninit::uninit(),
        }
    }
}

/// A line's pixel that outputs of a strip see first, which may be beside the picture, and how many bytes are from each
/// to the next: none in a line of padding.
#[derive(Clone, Copy)]
pub struct Line {
    start: *const u8,
    pixel: usize,
}

impl Line {
    #[inline(always)]
    fn at(self, column: usize) -> *const u8 {
        self.start.wrapping_add(column * self.pixel)
    }
}

impl<S: Multiply, const K: usize, const T: usize, const END: u8> Strips<'_, S, K, T, END> {
    pub fn strip(&self, outputs: Range<usize>) -> Strip {
        let window = self.job.window;
        let tiles = outputs.len().div_ceil(TILE);
        let quads = (tiles - 1) * T + Self::quads_of(TILE);
        let first = outputs.start * T;
        let last = (window.width + window.pad_left)
            .saturating_sub(first)
            .min(QUAD * quads);
        Strip {
            outputs,
            inner: window.pad_left.saturating_sub(first).min(last)..last,
            quads,
        }
    }

    /// The picture's line `y` from where the strip begins.
    #[inline(always)]
    pub fn line(&self, strip: &Strip, y: usize, padding: &[u8; CHANNELS]) -> Line {
        let Job { x, window, .. } = &self.job;
        let pixel = x.pixels.stride;
        if y >= window.height {
            return Line {
                start: padding.as_ptr(),
                pixel: 0,
            };
        }
        let column = (strip.outputs.start * T).wrapping_sub(window.pad_left);
        let at = (x.line(y) * window.width)
            .wrapping_add(column)
            .wrapping_mul(pixel);
        Line {
            start: x.pixels.data.as_ptr().wrapping_add(at),
            pixel,
        }
    }

    /// Makes the quads of columns beside the picture, which all rows see.
    pub fn pad(&self, strip: &Strip, units: usize, padding: &[u8; CHANNELS], seen: &mut Seen) {
        let to: *mut u8 = seen.columns.as_mut_ptr().cast();
        let all = QUAD * strip.quads;
        for unit in 0..units {
            for columns in [0..strip.inner.start, strip.inner.end..all] {
                let bytes = columns.start * QUADS_BYTES..columns.end * QUADS_BYTES;
                for at in bytes.step_by(CHANNELS) {
                    // SAFETY: there is room for so many columns.
                    unsafe {
                        let zeros = self.simd.load_bytes(padding.as_ptr());
                        self.simd
                            .store_bytes(to.add(unit * all * QUADS_BYTES + at), zeros);
                    }
                }
            }
        }
    }

    /// Makes all other quads for a unit and the channels from `first` on, of the lines that it sees.
    #[inline(always)]
    pub fn see(
        &self,
        unit: usize,
        lines: &[Line],
        first: usize,
        strip: &Strip,
        padding: &[u8; CHANNELS],
        seen: &mut Seen,
    ) {
        let line = |i: usize| {
            let Line { start, pixel } = lines[i];
            let first = if pixel == 0 { 0 } else { first };
            Line {
                start: start.wrapping_add(first),
                pixel,
            }
        };
        let store = |to: *mut u8, pixels: [*const u8; QUAD]| {
            // SAFETY: pixels are those of the picture, whose channels these are, or padding; there is room for the
            // quads.
            unsafe {
                let pixels = pixels.map(|from| self.simd.load_bytes(from));
                for (q, quad) in self.simd.quads(pixels).into_iter().enumerate() {
                    self.simd.store_bytes(to.add(q * CHANNELS), quad);
                }
            }
        };
        let inner = strip.inner.clone();
        let columns: *mut u8 = seen.columns.as_mut_ptr().cast();
        let columns = columns.wrapping_add(unit * QUAD * strip.quads * QUADS_BYTES);
        let i = first_of_quad(K);
        let [a, b, c, d] = [line(i), line(i + 1), line(i + 2), line(i + 3)];
        for column in inner.clone() {
            let to = columns.wrapping_add(column * QUADS_BYTES);
            store(to, [a.at(column), b.at(column), c.at(column), d.at(column)]);
        }
        if K <= QUAD {
            return;
        }
        let left: *mut u8 = seen.left.as_mut_ptr().cast();
        // The upper row's first line, and the lower row's last.
        for row in 0..Self::ROWS {
            let line = line(row * K);
            let left = left.wrapping_add((unit * Self::ROWS + row) * strip.quads * QUADS_BYTES);
            for quad in 0..strip.quads {
                let column = QUAD * quad;
                let from = |column: usize| match inner.contains(&column) {
                    true => line.at(column),
                    false => padding.as_ptr(),
                };
                let [a, b, c, d] = [column, column + 1, column + 2, column + 3];
                let pixels = match inner.start <= a && d < inner.end {
                    true => [line.at(a), line.at(b), line.at(c), line.at(d)],
                    false => [from(a), from(b), from(c), from(d)],
                };
                store(left.wrapping_add(quad * QUADS_BYTES), pixels);
            }
        }
    }
}
