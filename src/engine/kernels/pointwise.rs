//! Pointwise (1x1) convolution: the product of an NHWC tensor's pixels and a matrix.

mod aside;
mod columns;
mod finish;
mod gate;
mod operands;
mod single;
mod tile;

#[cfg(test)]
pub(super) mod tests;

use std::ops::Range;

use super::activation::Activation;
use super::element::Element;
use super::memory::{LINE, Lines, Memory};
use super::rows::{Rows, RowsMut};
use super::simd::{Isa, Kernel, Simd};
use super::transpose::write_columns;
pub use columns::pointwise_by_columns;
pub(super) use finish::Finish;
use gate::{scale_panel, scale_row};
pub(super) use operands::{Left, Panels, Prefetch, Right};
pub(super) use tile::{opaque, product};

/// What the input is multiplied by, and what comes after that.
#[derive(Debug, Clone)]
pub struct Factor<'a, E = f32> {
    pub weights: &'a PackedMatrix<E>,
    /// One value for each input channel (squeeze-and-excitation).
    pub gate: Option<&'a [E]>,
    /// Addresses of what is going to be read after this layer: they are prefetched into the level 2 cache meanwhile, where that
    /// is worth instructions. Nothing is read there.
    pub ahead: Range<usize>,
}

impl<'a, E> Factor<'a, E> {
    pub fn new(weights: &'a PackedMatrix<E>) -> Self {
        Factor {
            weights,
            gate: None,
            ahead: 0..0,
        }
    }
}

/// What follows the products, in this order.
#[derive(Debug, Clone, Copy)]
pub struct Epilogue<'a, E = f32> {
    /// One value for each output channel.
    pub bias: Option<&'a [E]>,
    /// As many pixels and channels as the output.
    pub residual: Option<Rows<'a, E>>,
    pub activation: Activation,
}

/// Some columns of the result, with their weights one after another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panel {
    pub first: usize,
    pub columns: usize,
    /// Columns with those of padding.
    pub width: usize,
    offset: usize,
}

/// The weights of a pointwise convolution in the order in which the kernel reads them.
#[derive(Debug)]
pub struct PackedMatrix<E = f32> {
    isa: Isa,
    n: usize,
    k: usize,
    panels: Vec<Panel>,
    /// No vector of weights lies across two.
    lines: Lines<E>,
}

/// The width of the first of the panels that cover so many columns.
struct NextWidth(usize);

impl<E: Element> Kernel<E> for NextWidth {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd<Element = E>>(self, _: S) -> usize {
        tile::next_width::<S>(self.0)
    }
}

impl<E: Element> PackedMatrix<E> {
    /// Packs `n` rows of `k` weights: a row for each output channel, as ONNX has them.
    ///
    /// # Panics
    /// Unless there are `n * k` weights.
    pub fn new(isa: Isa, weights: &[f32], n: usize, k: usize) -> PackedMatrix<E> {
        assert!(
            n.checked_mul(k) == Some(weights.len()),
            "{} weights for {n} rows of {k}",
            weights.len()
        );
        let mut packed = PackedMatrix::zeros(isa, n, k, &mut Memory::none());
        packed.set_rows(0, weights);
        packed
    }

    /// `n` rows of `k` weights that are to be set, in a piece of [`PackedMatrix::bytes`].
    pub fn zeros(isa: Isa, n: usize, k: usize, memory: &mut Memory) -> PackedMatrix<E> {
        let (panels, len) = PackedMatrix::<E>::layout(isa, n, k);
        PackedMatrix {
            isa,
            n,
            k,
            panels,
            lines: memory.take(len),
        }
    }

    /// Bytes that `n` rows of `k` weights take.
    pub fn bytes(isa: Isa, n: usize, k: usize) -> usize {
        PackedMatrix::<E>::layout(isa, n, k).1 * size_of::<E>()
    }

    /// The panels, and values in all.
    fn layout(isa: Isa, n: usize, k: usize) -> (Vec<Panel>, usize) {
        let line = LINE / size_of::<E>();
        let mut panels = Vec::new();
        let (mut first, mut len) = (0, 0);
        while first < n {
            let width = isa.run::<E, _>(NextWidth(n - first));
            panels.push(Panel {
                first,
                columns: width.min(n - first),
                width,
                offset: len,
            });
            first += width;
            len += (k * width).next_multiple_of(line);
        }
        (panels, len)
    }

    /// Sets the weights of whole rows, from the row `first` on.
    ///
    /// # Panics
    /// If there are not so many rows, or the last has not all of its weights.
    pub fn set_rows(&mut self, first: usize, weights: &[f32]) {
        let (n, k) = (self.n, self.k);
        let count = weights.len().checked_div(k).unwrap_or(0);
        let end = first.saturating_add(count);
        assert!(
            count * k == weights.len() && end <= n,
            "{} weights from row {first} on of {n} rows of {k}",
            weights.len()
        );
        for panel in &self.panels {
            let rows = panel.first.max(first)..(panel.first + panel.columns).min(end);
            if rows.is_empty() {
                continue;
            }
            let packed = &mut self.lines.values_mut()[panel.offset..][..k * panel.width];
            let weights = &weights[(rows.start - first) * k..][..rows.len() * k];
            write_columns(weights, k, packed, panel.width, rows.start - panel.first);
        }
    }

    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Output channels.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Input channels.
    pub fn k(&self) -> usize {
        self.k
    }

    /// How many values of scratch [`pointwise`] needs for so many rows and a gate: a panel, or a block of rows.
    pub fn scratch_len(&self, rows: usize) -> usize {
        let panel = self
            .panels
            .iter()
            .map(|panel| panel.width * self.k)
            .max()
            .unwrap_or(0);
        panel.max(rows.min(self.block() + MOST_ROWS).min(self.n) * self.k)
    }

    /// At most so many rows are multiplied by all panels before the next.
    fn block(&self) -> usize {
        (BLOCK_BYTES / size_of::<E>() / self.k.max(1)).max(64)
    }

    /// Where the weights are.
    pub fn addresses(&self) -> Range<usize> {
        self.lines.addresses()
    }

    pub(super) fn panels(&self) -> &[Panel] {
        &self.panels
    }

    /// A panel's `k * width` weights.
    #[inline(always)]
    pub(super) fn weights(&self, panel: Panel) -> &[E] {
        &self.lines.values()[panel.offset..][..self.k * panel.width]
    }
}

/// Whether `len` values hold `rows` rows of `width` values.
pub(super) fn holds(len: usize, rows: usize, stride: usize, width: usize) -> bool {
    let end = (rows.saturating_sub(1))
        .checked_mul(stride)
        .and_then(|start| start.checked_add(width));
    rows == 0 || end.is_some_and(|end| end <= len)
}

/// Panics unless the output and what the epilogue adds have `rows` rows of `n` values.
pub(super) fn check<E>(rows: usize, n: usize, epilogue: &Epilogue<E>, out: &RowsMut<E>) {
    assert!(
        out.stride >= n,
        "output pixels {} apart have {n} channels",
        out.stride
    );
    let len = out.data.len();
    assert!(
        holds(len, rows, out.stride, n),
        "{rows} output pixels of {n} channels do not fit in {len} values"
    );
    if let Some(bias) = epilogue.bias {
        assert!(
            bias.len() == n,
            "{} biases for {n} output channels",
            bias.len()
        );
    }
    if let Some(residual) = &epilogue.residual {
        let len = residual.data.len();
        assert!(
            holds(len, rows, residual.stride, n),
            "{len} residual values for {rows} pixels of {n} channels"
        );
    }
}

/// `out[r, j] = activation(sum over i of x[r, i] * gate[i] * w[j, i] + bias[j] + residual[r, j])` for `rows` pixels.
///
/// `scratch` may be empty without a gate, and otherwise holds at least [`PackedMatrix::scratch_len`] values.
///
/// # Panics
/// Where one of the slices is too short, the bias or the gate has another length than the channels it is for, or output
/// pixels overlap.
pub fn pointwise<E: Element>(
    x: Rows<E>,
    rows: usize,
    factor: &Factor<E>,
    epilogue: &Epilogue<E>,
    out: RowsMut<E>,
    scratch: &mut [E],
) {
    let w = factor.weights;
    check(rows, w.n, epilogue, &out);
    check_input(x, rows, w, factor.gate, scratch.len());
    let kernel = Pointwise {
        x,
        rows,
        w,
        panels: &w.panels,
        gate: factor.gate,
        ahead: factor.ahead.clone(),
        epilogue,
        out: out.data.as_mut_ptr(),
        out_stride: out.stride,
        scratch,
    };
    E::pointwise(w.isa, kernel);
}

/// Panics unless there are `rows` rows of input, a factor for each of its channels, and enough scratch to apply them.
pub(super) fn check_input<E: Element>(
    x: Rows<E>,
    rows: usize,
    w: &PackedMatrix<E>,
    gate: Option<&[E]>,
    scratch: usize,
) {
    let len = x.data.len();
    assert!(
        holds(len, rows, x.stride, w.k),
        "{len} input values for {rows} pixels of {} channels",
        w.k
    );
    if let Some(gate) = gate {
        assert!(
            gate.len() == w.k,
            "a gate of {} values for {} input channels",
            gate.len(),
            w.k
        );
        let need = w.scratch_len(rows);
        assert!(
            scratch >= need,
            "scratch of {scratch} values where {need} are needed"
        );
    }
}

/// A block may have so many rows more, to be of whole tiles.
const MOST_ROWS: usize = 12;

/// Bytes of input that are multiplied by all panels before the next: they stay in the level 2 cache.
const BLOCK_BYTES: usize = 128 << 10;

/// The arguments of [`pointwise`], checked: `out` is valid for writing the panels' columns of all rows, and nobody else uses
/// these meanwhile.
pub struct Pointwise<'a, E> {
    pub(super) x: Rows<'a, E>,
    pub(super) rows: usize,
    pub(super) w: &'a PackedMatrix<E>,
    /// Those of the weights to multiply by.
    pub(super) panels: &'a [Panel],
    pub(super) gate: Option<&'a [E]>,
    pub(super) ahead: Range<usize>,
    pub(super) epilogue: &'a Epilogue<'a, E>,
    /// Where the first row's first column is, or would be: other panels' columns are not touched, and need not be there.
    pub(super) out: *mut E,
    pub(super) out_stride: usize,
    pub(super) scratch: &'a mut [E],
}

impl<E: Element> Kernel<E> for Pointwise<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = E>>(self, simd: S) {
        let Pointwise {
            x,
            rows,
            w,
            panels,
            gate,
            ahead,
            epilogue,
            out,
            out_stride,
            scratch,
        } = self;
        let steps = |rows: usize, panel: &Panel| match S::PREFETCHES {
            true => tile::steps::<S>(rows, panel.width, w.k),
            false => 0,
        };
        let all: usize = panels.iter().map(|panel| steps(rows, panel)).sum();
        let mut ahead = match ahead.is_empty() || all == 0 {
            true => Prefetch::none(w.lines.values().as_ptr()),
            false => Prefetch {
                at: std::ptr::without_provenance(ahead.start),
                bytes: ahead.len().div_ceil(all).min(LINE),
            },
        };
        let finish = Finish::new(epilogue.activation);
        let blocks = rows.div_ceil(w.block());
        let mut row = 0;
        for block in 0..blocks {
            if row == rows {
                break;
            }
            let mut height = (rows - row).div_ceil(blocks - block);
            if S::TILE_ROWS[2] > 0 {
                // Of whole tiles of the most frequent kind.
                height = height.next_multiple_of(S::TILE_ROWS[2]).min(rows - row);
            }
            let mut left = Left::rows(x.data[row * x.stride..].as_ptr(), x.stride, w.k);
            // The gate scales whichever is smaller: these rows or the weights.
            let weight_gate = gate.filter(|_| height >= w.n);
            if let Some(gate) = gate.filter(|_| height < w.n) {
                for r in 0..height {
                    let from = &x.data[(row + r) * x.stride..][..w.k];
                    scale_row(simd, from, gate, &mut scratch[r * w.k..][..w.k]);
                }
                left = Left {
                    data: scratch.as_ptr(),
                    stride: w.k,
                    ..left
                };
            }
            for panel in panels {
                let mut weights = w.weights(*panel);
                let next = weights.as_ptr_range().end;
                if let Some(gate) = weight_gate {
                    let scaled = &mut scratch[..weights.len()];
                    scale_panel(simd, weights, gate, panel.width, scaled);
                    weights = scaled;
                }
                let right = right(panel, epilogue, row, out, out_stride);
                // SAFETY: the slices hold `rows` rows, as has been checked, and row + height <= rows.
                unsafe {
                    product(
                        simd,
                        height,
                        left,
                        Panels {
                            data: weights.as_ptr(),
                            next,
                            ahead,
                        },
                        panel.width,
                        right,
                        finish,
                    )
                };
                ahead = ahead.after(steps(height, panel));
            }
            row += height;
        }
    }
}

/// The panel's columns of the output from a row on. Reads nothing.
#[inline(always)]
pub(super) fn right<E>(
    panel: &Panel,
    epilogue: &Epilogue<E>,
    row: usize,
    out: *mut E,
    stride: usize,
) -> Right<E> {
    let at = |rows: &Rows<E>| {
        rows.data
            .as_ptr()
            .wrapping_add(row * rows.stride + panel.first)
    };
    Right {
        data: out.wrapping_add(row * stride + panel.first),
        stride,
        columns: panel.columns,
        bias: epilogue
            .bias
            .map_or(std::ptr::null(), |bias| bias[panel.first..].as_ptr()),
        residual: epilogue.residual.as_ref().map_or(std::ptr::null(), at),
        residual_stride: epilogue
            .residual
            .as_ref()
            .map_or(0, |residual| residual.stride),
    }
}
