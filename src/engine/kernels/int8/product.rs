//! The product of rows of levels and a packed matrix.

mod finish;
mod tile;

#[cfg(test)]
pub(super) mod tests;

use edge_classify_kernels::{Rows, RowsMut};

use super::matrix::PackedMatrix;
use super::simd::{Levels, ProductKernel, Products, run_products};
use finish::Finish;
use tile::{Left, Panel, strip};

/// Where a layer's result goes: levels as they are stored, or real values.
#[derive(Debug)]
pub enum Output<'a> {
    Levels(RowsMut<'a, u8>),
    Values(RowsMut<'a, f32>),
}

/// Where the first row's first column of the result is, or would be.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Levels(*mut u8),
    Values(*mut f32),
}

/// Rows of the result in some adjacent columns, and what is added to them.
#[derive(Clone, Copy)]
pub(super) struct Right {
    pub to: Place,
    pub stride: usize,
    pub columns: usize,
    /// Null, or of the result's shape.
    pub residual: *const u8,
    pub residual_stride: usize,
}

impl Place {
    /// So many values on.
    #[inline(always)]
    fn after(self, values: usize) -> Place {
        match self {
            Place::Levels(to) => Place::Levels(to.wrapping_add(values)),
            Place::Values(to) => Place::Values(to.wrapping_add(values)),
        }
    }
}

impl Right {
    /// What is for `columns` columns of `rows` rows.
    ///
    /// # Panics
    /// Unless there are so many rows of the output, and of the residual, if the requantization asks for that and for no
    /// other; or if output pixels overlap.
    pub fn new(rows: usize, w: &PackedMatrix, residual: Option<Rows<u8>>, out: Output) -> Right {
        let requantization = w.requantization();
        assert!(
            residual.is_some() == requantization.residual.is_some(),
            "a residual, or none, where it is otherwise said to be"
        );
        if let Some(residual) = &residual {
            residual.check(rows, w.n());
        }
        let levels = matches!(out, Output::Levels(_));
        assert!(
            levels == requantization.output.is_some(),
            "an output of {}, where it is said to be of the other",
            if levels { "levels" } else { "real values" }
        );
        let (to, stride) = match out {
            Output::Levels(out) => {
                out.check(rows, w.n());
                (Place::Levels(out.data.as_mut_ptr()), out.stride)
            }
            Output::Values(out) => {
                out.check(rows, w.n());
                (Place::Values(out.data.as_mut_ptr()), out.stride)
            }
        };
        Right {
            to,
            stride,
            columns: w.n(),
            residual: residual.map_or(std::ptr::null(), |residual| residual.data.as_ptr()),
            residual_stride: residual.map_or(0, |residual| residual.stride),
        }
    }

    #[inline(always)]
    pub fn below(self, rows: usize) -> Right {
        Right {
            to: self.to.after(rows * self.stride),
            residual: self.residual.wrapping_add(rows * self.residual_stride),
            ..self
        }
    }

    #[inline(always)]
    fn columns(self, first: usize, columns: usize) -> Right {
        Right {
            to: self.to.after(first),
            residual: self.residual.wrapping_add(first),
            columns,
            ..self
        }
    }
}

/// Bytes of input that are multiplied by all panels before the next: they stay in the level 2 cache.
const BLOCK_BYTES: usize = 128 << 10;

/// Multiplies `rows` rows of stored bytes, `stride` apart, by the matrix.
///
/// # Safety
/// `x` is valid for reading `k` bytes of each row, and `right` for `rows` rows of `n` columns.
pub(super) unsafe fn product(
    x: *const u8,
    stride: usize,
    rows: usize,
    w: &PackedMatrix,
    right: Right,
) {
    let kernel = Product {
        x,
        stride,
        rows,
        w,
        right,
    };
    run_products(w.isa(), kernel);
}

/// The arguments of [`product`].
struct Product<'a> {
    x: *const u8,
    stride: usize,
    rows: usize,
    w: &'a PackedMatrix,
    right: Right,
}

impl ProductKernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Levels, P: Products<S>>(self, simd: S, products: P) {
        let Product {
            x,
            stride,
            rows,
            w,
            right,
        } = self;
        let finish = Finish::new(w.requantization());
        let block = (BLOCK_BYTES / w.k().max(1)).max(64);
        let blocks = rows.div_ceil(block);
        let mut row = 0;
        for block in 0..blocks {
            if row == rows {
                break;
            }
            // Of whole tiles of the most frequent kind.
            let tile = P::SUM_ROWS.into_iter().rfind(|rows| *rows > 0).unwrap_or(1);
            let height = (rows - row).div_ceil(blocks - block);
            let height = height.next_multiple_of(tile).min(rows - row);
            let left = Left {
                data: x.wrapping_add(row * stride),
                stride,
                k: w.k(),
            };
            for panel in w.panels() {
                let right = right.below(row).columns(panel.first, panel.columns);
                let panel = Panel {
                    weights: w.weights(*panel),
                    biases: w.biases(*panel),
                    multipliers: w.multipliers(*panel),
                };
                // SAFETY: by this function's contract, as row + height <= rows.
                unsafe { strip(simd, products, height, left, panel, right, &finish) };
            }
            row += height;
        }
    }
}
