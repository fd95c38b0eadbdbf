//! A tile whose last columns are padding, for processors that do not store a part of a vector.

use super::operands::Right;
use crate::element::Element;
use crate::simd::Simd;

/// The most lanes that a vector has.
const LANES: usize = 16;

/// Whole vectors in place of the result's rows.
pub struct Aside<E, const M: usize, const N: usize>([[[E; LANES]; N]; M]);

impl<E: Element, const M: usize, const N: usize> Aside<E, M, N> {
    #[inline(always)]
    pub fn new() -> Self {
        Aside([[[E::default(); LANES]; N]; M])
    }

    /// What to compute in place of `right`, with its residual.
    ///
    /// # Safety
    /// `right` is valid for reading `M` rows.
    #[inline(never)]
    pub unsafe fn begin<S: Simd<Element = E>>(&mut self, right: Right<E>) -> Right<E> {
        let rows = self.0.as_flattened_mut().as_flattened_mut();
        if !right.residual.is_null() {
            for (row, to) in rows.chunks_exact_mut(N * LANES).enumerate() {
                // SAFETY: by this function's contract.
                let from = unsafe {
                    let from = right.residual.add(row * right.residual_stride);
                    std::slice::from_raw_parts(from, right.columns)
                };
                to[..right.columns].copy_from_slice(from);
            }
        }
        let data = rows.as_mut_ptr();
        Right {
            data,
            stride: N * LANES,
            columns: N * S::LANES,
            residual: if right.residual.is_null() {
                right.residual
            } else {
                data
            },
            residual_stride: N * LANES,
            ..right
        }
    }

    /// Copies the columns of what was computed to `right`.
    ///
    /// # Safety
    /// `right` is valid for writing `M` rows.
    #[inline(never)]
    pub unsafe fn end(&self, right: Right<E>) {
        let rows = self.0.as_flattened().as_flattened();
        for (row, from) in rows.chunks_exact(N * LANES).enumerate() {
            // SAFETY: by this function's contract.
            let to = unsafe {
                let to = right.data.add(row * right.stride);
                std::slice::from_raw_parts_mut(to, right.columns)
            };
            to.copy_from_slice(&from[..right.columns]);
        }
    }
}
