//! What becomes of a tile's sums.

use std::hint::black_box;

use edge_classify_kernels::Simd;

use super::{Aligned, Common, MOST, MOST_BYTES, Tiles};
use crate::depthwise::PackedDepthwise;
use crate::depthwise::groups::{Group, place};
use crate::depthwise::quads::{Quads, Sums};
use crate::exact::exact;
use crate::simd::Levels;

impl<const K: usize, const T: usize, const SETS: usize, const WHOLE: bool>
    Tiles<'_, '_, K, T, SETS, WHOLE>
{
    /// The outputs' bytes, in the order of the channels.
    #[inline(always)]
    pub(super) fn levels<S: Quads, const R: usize>(
        simd: S,
        sums: [Sums<S>; MOST],
        common: &Common,
    ) -> [S::Bytes; MOST] {
        let levels = simd.levels();
        let multipliers: [<S::Levels as Simd>::V; 4] = std::array::from_fn(|q| {
            // SAFETY: a group has so many multipliers.
            unsafe { levels.load(common.multipliers.wrapping_add(q * (S::BYTES / 4))) }
        });
        let mut bytes = [simd.bytes(0); MOST];
        let Some((activation, factor)) = common.applied else {
            for n in 0..R * Self::COLUMNS {
                let mut t = multipliers;
                for q in 0..4 {
                    t[q] = levels.mul(levels.to_floats(sums[n][q]), t[q]);
                }
                bytes[n] = simd.pack(t, common.range);
            }
            return bytes;
        };
        // Long: one loop here in place of a copy for each output, which must not be in registers for it.
        let factor = levels.splat(factor);
        let outputs = black_box(R * Self::COLUMNS);
        let (spilled, mut applied) = (sums, bytes);
        for (sums, bytes) in spilled[..outputs].iter().zip(&mut applied) {
            let mut t = multipliers;
            for (t, sum) in t.iter_mut().zip(sums) {
                *t = levels.mul(levels.to_floats(*sum), *t);
                *t = levels.mul(exact(levels, activation, *t), factor);
            }
            *bytes = simd.pack(t, common.range);
        }
        applied
    }

    /// Adds to the job's sums what the outputs' bytes were.
    #[inline(always)]
    pub(super) fn add_totals<S: Quads>(&mut self, simd: S, w: &PackedDepthwise, totals: Sums<S>) {
        let Some(sums) = &mut self.job.sums else {
            return;
        };
        let mut by_quad = Aligned([0; MOST_BYTES]);
        for (q, total) in totals.into_iter().enumerate() {
            let to = by_quad.0[q * (S::BYTES / 4)..][..(S::BYTES / 4)].as_mut_ptr();
            // SAFETY: so many are there.
            unsafe { simd.store_integers(to, total) };
        }
        let Group {
            first,
            count,
            again,
            ..
        } = self.group;
        let pixels = self.job.rows.len() * self.job.window.out_width;
        let zero = i32::from(w.output.zero_point) + S::OFFSET;
        for byte in 0..S::BYTES {
            let channel = byte % (S::BYTES / SETS);
            if (again..count).contains(&channel) {
                let (quad, lane) = place(byte);
                sums[first + channel] += by_quad.0[quad * (S::BYTES / 4) + lane];
            }
        }
        for sum in &mut sums[first + again..first + count] {
            *sum -= pixels as i32 * zero;
        }
    }
}
