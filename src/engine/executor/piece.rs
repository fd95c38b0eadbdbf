//! Some rows of what a layer writes.

use std::ops::Range;

use edge_classify_kernels::{
    Activation, Element, Epilogue, Factor, Plain, Ring, Rows, RowsMut, Window, conv, depthwise,
    pointwise,
};

use super::ahead;
use super::arena::{Around, Place};
use super::source::Source;
use super::step::Run;
use super::sums::Means;

/// A layer's kernel, which may be able to compute some rows of its output.
pub trait ByRows {
    /// What it reads and writes.
    type Value: Plain;
    /// What it adds up for a mean.
    type Sum: Plain;

    /// The rows of the input that some rows of the output need; `None` for a layer that cannot be computed by rows.
    fn needs(&self, rows: &Range<usize>) -> Option<Range<usize>>;
    /// What slides over the input, if anything does.
    fn window(&self) -> Option<&Window>;
    /// The mean that it computes on the way.
    fn means(&self) -> Option<&Means>;
    /// Whether it reads the network's input.
    fn reads(&self) -> bool;
    /// Values of scratch for so many output pixels.
    fn kernel_scratch_len(&self, pixels: usize) -> usize;
    /// Where its weights are.
    fn addresses(&self) -> Option<Range<usize>>;
    /// Computes some rows, of `width` pixels for a pointwise layer. The activation is that of a layer of floats; one of
    /// levels has it with its weights.
    ///
    /// # Panics
    /// If the layer cannot be computed by rows, or what it needs is not held.
    fn compute(&self, width: usize, activation: Activation, piece: Piece<Self::Value, Self::Sum>);
}

/// Rows of a layer's output, and what they are computed from.
pub struct Piece<'a, E, S, O = RowsMut<'a, E>> {
    pub x: Source<'a, E>,
    pub held: Held,
    pub rows: Range<usize>,
    /// Of these rows alone.
    pub out: O,
    /// Where residuals and gates are.
    pub around: &'a Around<'a>,
    /// Addresses of what a pointwise layer fetches meanwhile.
    pub ahead: Range<usize>,
    /// What was written is added for each channel.
    pub sums: Option<&'a mut [S]>,
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
    pub fn from<'a, E>(&self, pixels: Rows<'a, E>, y: usize) -> Ring<'a, E> {
        let (lines, first) = (self.lines, self.first);
        let ring = Ring {
            pixels,
            lines,
            first,
        };
        ring.below(y - self.rows.start)
    }
}

impl<E: Element> ByRows for Run<E> {
    type Value = E;
    type Sum = f32;

    fn needs(&self, rows: &Range<usize>) -> Option<Range<usize>> {
        match self {
            Run::Read { .. } | Run::Pointwise { .. } => Some(rows.clone()),
            Run::Convolution { window, .. } | Run::Depthwise { window, .. } => {
                Some(window.sees(rows))
            }
            _ => None,
        }
    }

    fn window(&self) -> Option<&Window> {
        match self {
            Run::Convolution { window, .. } | Run::Depthwise { window, .. } => Some(window),
            _ => None,
        }
    }

    fn means(&self) -> Option<&Means> {
        match self {
            Run::Depthwise { means, .. } | Run::Expansion { means, .. } => means.as_ref(),
            _ => None,
        }
    }

    fn reads(&self) -> bool {
        matches!(self, Run::Read { .. })
    }

    fn kernel_scratch_len(&self, pixels: usize) -> usize {
        match self {
            Run::Pointwise {
                w, gate: Some(_), ..
            } => w.scratch_len(pixels),
            Run::Convolution { w, window, .. } => w.scratch_len(window),
            Run::Excite { w, .. } => w.hidden(),
            Run::Expansion { expand, window, .. } => expand.slice_len(window.height * window.width),
            _ => 0,
        }
    }

    fn addresses(&self) -> Option<Range<usize>> {
        match self {
            Run::Pointwise { w, .. } => Some(w.addresses()),
            Run::Convolution { w, .. } => Some(w.addresses()),
            Run::Depthwise { w, .. } => Some(w.addresses()),
            Run::Expansion { expand, w, .. } => ahead::join(expand.addresses(), w.addresses()),
            Run::Excite { w, .. } => {
                let [squeeze, excite] = w.addresses();
                ahead::join(squeeze, excite)
            }
            Run::Chain(chain) => chain.addresses(),
            Run::Int8(run) => run.addresses(),
            Run::Int8Chain(chain) => chain.addresses(),
            _ => None,
        }
    }

    fn compute(&self, width: usize, activation: Activation, piece: Piece<E, f32>) {
        let Piece {
            x,
            held,
            rows,
            out,
            around,
            ahead,
            sums,
            scratch,
        } = piece;
        let first = rows.start * width;
        let epilogue = |bias, residual: &Option<Place>| Epilogue {
            bias: Some(bias),
            residual: residual.map(|place| from(around.rows(place), first)),
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
            Run::Pointwise {
                w,
                bias,
                gate,
                residual,
            } => {
                let ring = held.from(x.values(), rows.start);
                let x = from(ring.pixels, ring.first * width);
                let pixels = rows.len() * width;
                let factor = Factor {
                    weights: w,
                    gate: gate.map(|place| around.values(place)),
                    ahead,
                };
                pointwise(x, pixels, &factor, &epilogue(bias, residual), out, scratch);
            }
            Run::Convolution {
                w,
                bias,
                window,
                residual,
            } => {
                let (x, band) = seen(window);
                let rows = 0..band.out_height;
                conv(x, &band, w, &epilogue(bias, residual), rows, out, scratch);
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
