//! Some rows of what a layer writes.

use std::ops::Range;

use edge_classify_kernels::{
    Activation, Element, Epilogue, Factor, Ring, Rows, RowsMut, Window, conv, depthwise, pointwise,
};

use super::source::Source;
use super::step::Run;

/// Rows of a layer's output, and what they are computed from.
pub struct Piece<'a, E> {
    pub x: Source<'a, E>,
    pub held: Held,
    pub rows: Range<usize>,
    /// Of these rows alone, as is the residual.
    pub out: RowsMut<'a, E>,
    pub residual: Option<Rows<'a, E>>,
    pub gate: Option<&'a [E]>,
    /// Addresses of what a pointwise layer fetches meanwhile.
    pub ahead: Range<usize>,
    /// What was written is added for each channel.
    pub sums: Option<&'a mut [f32]>,
    pub scratch: &'a mut [E],
}

/// Which rows of a layer's input are there, in a ring of them.
#[derive(Debug, Clone)]
pub struct Held {
    pub rows: Range<usize>,
    pub lines: usize,
    /// Where the first of the rows is.
    pub first: usize,
}

impl Held {
    /// All of so many rows, or pixels.
    pub fn all(rows: usize) -> Self {
        Held {
            rows: 0..rows,
            lines: rows,
            first: 0,
        }
    }

    /// The rows from `y` on.
    fn from<'a, E>(&self, pixels: Rows<'a, E>, y: usize) -> Ring<'a, E> {
        let (lines, first) = (self.lines, self.first);
        let ring = Ring {
            pixels,
            lines,
            first,
        };
        ring.below(y - self.rows.start)
    }
}

impl<E: Element> Run<E> {
    /// The rows of the input that some rows of the output need; `None` for a layer that cannot be computed by rows.
    pub fn needs(&self, rows: &Range<usize>) -> Option<Range<usize>> {
        match self {
            Run::Read { .. } | Run::Pointwise { .. } => Some(rows.clone()),
            Run::Convolution { window, .. } | Run::Depthwise { window, .. } => {
                Some(window.sees(rows))
            }
            _ => None,
        }
    }

    /// Computes some rows, of `width` pixels for a pointwise layer.
    ///
    /// # Panics
    /// If the layer is of another kind than those for which [`Run::needs`] tells, or what it needs is not held.
    pub fn compute(&self, width: usize, activation: Activation, piece: Piece<E>) {
        let Piece {
            x,
            held,
            rows,
            out,
            residual,
            gate,
            ahead,
            sums,
            scratch,
        } = piece;
        let epilogue = |bias| Epilogue {
            bias: Some(bias),
            residual,
            activation,
        };
        // What the window sees of the rows that are held.
        let seen = |window: &Window| {
            let (first, band) = window.band(&rows);
            let band = Window {
                height: held.rows.end - first,
                ..band
            };
            (held.from(x.values(), first), band)
        };
        match self {
            Run::Read { isa } => x.input().read(*isa, rows.start, width, out),
            Run::Pointwise { w, bias, .. } => {
                let ring = held.from(x.values(), rows.start);
                let x = from(ring.pixels, ring.first * width);
                let pixels = rows.len() * width;
                let factor = Factor {
                    weights: w,
                    gate,
                    ahead,
                };
                pointwise(x, pixels, &factor, &epilogue(bias), out, scratch);
            }
            Run::Convolution {
                w, bias, window, ..
            } => {
                let (x, band) = seen(window);
                let rows = 0..band.out_height;
                conv(x, &band, w, &epilogue(bias), rows, out, scratch);
            }
            Run::Depthwise { w, window, .. } => {
                let (x, band) = seen(window);
                let rows = 0..band.out_height;
                depthwise(x, &band, w, activation, rows, out, sums);
            }
            _ => unreachable!("a layer that is computed as a whole"),
        }
    }
}

/// The pixels from `first` on.
pub fn from<E>(rows: Rows<E>, first: usize) -> Rows<E> {
    Rows {
        // There may be none.
        data: rows.data.get(first * rows.stride..).unwrap_or_default(),
        stride: rows.stride,
    }
}
