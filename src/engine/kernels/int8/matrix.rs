//! Weights of a matrix product in the order in which it reads them.

use std::ops::Range;

use edge_classify_kernels::{Isa, LINE, Lines, Memory};

use super::requantization::{QuantizedWeights, Requantization};
use super::simd::{Levels, ProductKernel, Products, flip, run_products};

/// Some columns of the result, with their weights one after another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panel {
    pub first: usize,
    pub columns: usize,
    /// Columns with those of padding.
    pub width: usize,
    /// Where the weights begin.
    offset: usize,
}

/// The weights of output channels, with what their sums begin with and are multiplied by.
#[derive(Debug)]
pub struct PackedMatrix {
    isa: Isa,
    n: usize,
    k: usize,
    panels: Vec<Panel>,
    weights: Lines<i8>,
    /// For each column, with those of padding: its bias, less what the input's zero point contributes to the sum of
    /// stored bytes.
    biases: Lines<i32>,
    multipliers: Lines<f32>,
    requantization: Requantization,
}

/// How `n` rows of `k` weights are laid out.
struct Layout {
    n: usize,
    k: usize,
}

impl ProductKernel for Layout {
    /// The panels, bytes of weights in all, and columns with those of padding.
    type Output = (Vec<Panel>, usize, usize);

    #[inline(always)]
    fn run<S: Levels, P: Products<S>>(self, _: S, _: P) -> Self::Output {
        let depth = self.k.next_multiple_of(P::DEPTH);
        let mut panels = Vec::new();
        let (mut first, mut len) = (0, 0);
        while first < self.n {
            let width = next_width::<S, P>(self.n - first);
            panels.push(Panel {
                first,
                columns: width.min(self.n - first),
                width,
                offset: len,
            });
            first += width;
            len += (depth * width).next_multiple_of(LINE);
        }
        (panels, len, first)
    }
}

/// The width of the first of the panels that cover `left` columns: the widest that is not wider than they need, as
/// narrow ones load more for a product.
fn next_width<S: Levels, P: Products<S>>(left: usize) -> usize {
    let vectors = left.div_ceil(S::LANES);
    let fits = |vectors: &usize| P::SUM_ROWS[*vectors - 1] > 0;
    let widest = (1..=vectors.min(4)).rev().find(fits);
    widest.unwrap_or(1) * S::LANES
}

/// Packs rows of weights into a panel.
struct Pack<'a> {
    /// A row of `k` for each of the panel's columns that are not padding.
    rows: &'a [i8],
    k: usize,
    width: usize,
    packed: &'a mut [i8],
}

impl ProductKernel for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Levels, P: Products<S>>(self, _: S, _: P) {
        let Pack {
            rows,
            k,
            width,
            packed,
        } = self;
        for (column, row) in rows.chunks_exact(k).enumerate() {
            for (i, weight) in row.iter().enumerate() {
                packed[P::place(width, k, column, i)] = *weight;
            }
        }
    }
}

impl PackedMatrix {
    /// Packs `n` rows of `k` weights, one for each output channel, into a piece of [`PackedMatrix::bytes`].
    ///
    /// # Panics
    /// Unless there are `n * k` weights, `n` scales and `n` biases; if a weight is -128, or a sum may be too large (see
    /// [`Requantization::fits`]).
    pub fn new(
        isa: Isa,
        weights: &QuantizedWeights,
        n: usize,
        k: usize,
        requantization: Requantization,
        memory: &mut Memory,
    ) -> PackedMatrix {
        let QuantizedWeights {
            levels,
            scales,
            bias,
        } = weights;
        assert!(
            n.checked_mul(k) == Some(levels.len()) && scales.len() == n && bias.len() == n,
            "{} weights, {} scales and {} biases for {n} rows of {k}",
            levels.len(),
            scales.len(),
            bias.len()
        );
        assert!(
            !levels.contains(&i8::MIN),
            "a weight of -128, where -127 is the lowest"
        );
        let (panels, len, columns) = run_products(isa, Layout { n, k });
        let mut packed = memory.take::<i8>(len);
        let mut biases = memory.take::<i32>(columns);
        let mut multipliers = memory.take::<f32>(columns);
        for panel in panels.iter().filter(|_| k > 0) {
            let kernel = Pack {
                rows: &levels[panel.first * k..][..panel.columns * k],
                k,
                width: panel.width,
                packed: &mut packed.values_mut()[panel.offset..],
            };
            run_products(isa, kernel);
        }
        // Bytes without a sign are so much above their levels.
        let zero_point = i32::from(requantization.input.zero_point) + i32::from(flip(isa));
        for channel in 0..n {
            let (row, scale) = (&levels[channel * k..][..k], scales[channel]);
            let bias = requantization.bias(bias[channel], scale);
            assert!(
                requantization.fits(row, bias, scale),
                "sums of channel {channel} that are too large"
            );
            let weights: i32 = row.iter().map(|weight| i32::from(*weight)).sum();
            biases.values_mut()[channel] = bias - zero_point * weights;
            multipliers.values_mut()[channel] = requantization.multiplier(scale);
        }
        PackedMatrix {
            isa,
            n,
            k,
            panels,
            weights: packed,
            biases,
            multipliers,
            requantization,
        }
    }

    /// Bytes that `n` rows of `k` weights take with what belongs to them.
    pub fn bytes(isa: Isa, n: usize, k: usize) -> usize {
        let (_, len, columns) = run_products(isa, Layout { n, k });
        let aside = (columns * size_of::<f32>()).next_multiple_of(LINE);
        len + 2 * aside
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

    /// Where the weights are.
    pub fn addresses(&self) -> Range<usize> {
        self.weights.addresses()
    }

    pub fn requantization(&self) -> &Requantization {
        &self.requantization
    }

    pub(super) fn panels(&self) -> &[Panel] {
        &self.panels
    }

    /// A panel's weights.
    #[inline(always)]
    pub(super) fn weights(&self, panel: Panel) -> &[i8] {
        &self.weights.values()[panel.offset..]
    }

    /// What the sums of a panel's columns begin with.
    #[inline(always)]
    pub(super) fn biases(&self, panel: Panel) -> &[i32] {
        &self.biases.values()[panel.first..][..panel.width]
    }

    /// What the sums of a panel's columns are multiplied by.
    #[inline(always)]
    pub(super) fn multipliers(&self, panel: Panel) -> &[f32] {
        &self.multipliers.values()[panel.first..][..panel.width]
    }
}
