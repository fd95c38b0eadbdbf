//! What tiles see beside a picture: padding, of which lines are copied with it.

use std::ops::Range;

use super::{Aligned, Line, MOST_BYTES, Tiles};
use crate::depthwise::quads::Quads;

/// Tiles beside each other, which are computed in all rows before the next such: one that sees something beside the
/// picture, or some that do not.
pub(super) struct Strip {
    pub columns: Range<usize>,
    /// Of a tile that sees something else, the picture's lines up to this one have been copied, with what is beside them. The rows
    /// below see them again.
    pub copied: usize,
    pub room: *mut u8,
}

impl<const K: usize, const T: usize, const SETS: usize, const WHOLE: bool>
    Tiles<'_, '_, K, T, SETS, WHOLE>
{
    /// Where the tiles end that see nothing beside the picture, if those from the output's column `at` on do so.
    pub(super) fn inner_from(&self, at: usize) -> usize {
        let window = self.job.window;
        let step = SETS * Self::COLUMNS;
        let seen = |at: usize| (at * T).checked_sub(window.pad_left);
        let is_inner = |at: usize| {
            let inner = seen(at).is_some_and(|left| left + Self::SPAN <= window.width);
            inner && at < window.out_width
        };
        let mut end = at;
        while is_inner(end) {
            end += step;
        }
        end
    }

    /// Where a copied line is; after all copies comes a line of padding.
    #[inline(always)]
    pub(super) fn room<S: Quads>(strip: &Strip, copy: usize) -> *mut u8 {
        strip.room.wrapping_add(copy * (Self::SPAN * S::BYTES))
    }

    /// Makes a line of padding.
    ///
    /// # Safety
    /// There is room for [`Self::SPAN`] vectors at `to`.
    #[inline(always)]
    pub(super) unsafe fn fill<S: Quads>(simd: S, padding: &Aligned<[u8; MOST_BYTES]>, to: *mut u8) {
        for i in 0..Self::SPAN {
            // SAFETY: by this function's contract.
            unsafe { simd.store_bytes(to.add(i * S::BYTES), simd.load_bytes(padding.0.as_ptr())) };
        }
    }

    /// Copies what tiles see of a line from the pixel `at` on; padding where that is beside the picture.
    ///
    /// # Safety
    /// The line's pixels in the picture are valid for reading the group's channels, and there is room for [`Self::SPAN`] vectors
    /// at `to`.
    #[inline(always)]
    pub(super) unsafe fn copy<S: Quads>(
        &self,
        simd: S,
        line: &Line,
        at: usize,
        padding: &Aligned<[u8; MOST_BYTES]>,
        to: *mut u8,
    ) {
        let window = self.job.window;
        for i in 0..Self::SPAN {
            let there = (at + i).wrapping_sub(window.pad_left) < window.width;
            let from = match there {
                true => line.start.wrapping_add((at + i) * line.pixel),
                false => padding.0.as_ptr(),
            };
            // SAFETY: by this function's contract.
            unsafe {
                let v = match WHOLE || !there {
                    true => simd.load_bytes(from),
                    false => simd.load_parts::<1>(from, 0, self.group.count),
                };
                simd.store_bytes(to.add(i * S::BYTES), v);
            }
        }
    }
}
