//! Pointwise (1x1) convolution: the product of an NHWC tensor's pixels and a matrix.

use edge_classify_kernels::Rows;

use super::matrix::PackedMatrix;
use super::product::{Output, Right, product};

/// The layer that [`Requantization`](super::Requantization) defines, for `rows` pixels: `out[r, j]` is of the sum over
/// i of `(x[r, i] - zero point) * w[j, i]`. Input, residual and output are levels as they are stored for the processor
/// (see [`flip`](super::flip)).
///
/// # Panics
/// Where one of the slices is too short, output pixels overlap, or there is a residual or an output that the weights'
/// requantization does not speak of.
pub fn pointwise(
    x: Rows<u8>,
    rows: usize,
    w: &PackedMatrix,
    residual: Option<Rows<u8>>,
    out: Output,
) {
    x.check(rows, w.k());
    let right = Right::new(rows, w, residual, out);
    // SAFETY: the slices hold so many rows, as has been checked.
    unsafe { product(x.data.as_ptr(), x.stride, rows, w, right) };
}
