//! Rows of outputs from what they see.

use std::arch::aarch64::*;
use std::ops::Range;

use edge_classify_kernels::{Activation, Neon, Simd};

use super::seen::{MOST_QUADS, QUADS_BYTES, ROOM, Seen, Strip};
use super::{BLOCK, CHANNELS, QUAD, Row, Tall, block_bytes, row_vectors};
use crate::depthwise::Job;
use crate::depthwise::neon::Multiply;
use crate::exact::exact;
use crate::simd::neon::{Bounds, levels as to_levels, words};
use crate::simd::{LevelRange, Levels};

/// Outputs beside each other whose sums are held at the same time.
pub const TILE: usize = 4;

/// Lines that units which are computed together see.
const MOST_LINES: usize = ROOM + 8;

/// After sums comes an activation that is no bounds: a function that has to be called, for which registers are laid
/// aside.
pub const FUNCTION: u8 = 3;

/// A job with its weights, for the kernel `K` x `K` at the stride `T`, and with what comes after sums: [`FUNCTION`], or
/// bounds, [`Bounds::RECTIFIED`] or [`Bounds::ANY`].
pub struct Strips<'a, S, const K: usize, const T: usize, const END: u8> {
    pub simd: S,
    pub layout: Tall,
    pub job: Job<'a>,
    pub weights: &'a [u8],
}

/// What becomes of sums.
#[derive(Clone, Copy)]
struct Finish {
    range: LevelRange,
    activation: Activation,
    /// What an activation's results are multiplied by where it is no bounds.
    factor: f32,
}

/// Weights of a block for a row of outputs, in registers.
#[derive(Clone, Copy)]
struct Block<const K: usize> {
    bias: int32x4_t,
    multipliers: float32x4_t,
    columns: [int8x16_t; K],
    left: [[int8x16_t; 2]; QUAD],
}

impl<const K: usize> Block<K> {
    /// # Safety
    /// `from` is valid for reading a block.
    #[inline(always)]
    unsafe fn load(from: *const u8, row: Row) -> Block<K> {
        let vector = |i: usize| from.wrapping_add(i * CHANNELS);
        let first = match row {
            Row::Upper => 2,
            Row::Lower => 2 + row_vectors(K),
        };
        // SAFETY: by this function's contract.
        unsafe {
            let bytes = |i: usize| vld1q_s8(vector(i).cast());
            let left = |place: usize, quad: usize| match K > QUAD {
                true => bytes(first + K + 2 * place + quad),
                false => vdupq_n_s8(0),
            };
            Block {
                bias: vld1q_s32(vector(0).cast()),
                multipliers: vld1q_f32(vector(1).cast()),
                columns: std::array::from_fn(|j| bytes(first + j)),
                left: std::array::from_fn(|place| [left(place, 0), left(place, 1)]),
            }
        }
    }
}

impl<S: Multiply, const K: usize, const T: usize, const END: u8> Strips<'_, S, K, T, END> {
    /// Rows of a unit.
    pub const ROWS: usize = if T == 1 { 2 } else { 1 };

    /// Quads of four columns that a tile of `m` outputs sees.
    pub const fn quads_of(m: usize) -> usize {
        ((m - 1) * T + K).div_ceil(QUAD)
    }

    /// Outputs of a strip, at most: as many tiles as there is room for.
    const MOST_OUTPUTS: usize = ((MOST_QUADS - Self::quads_of(TILE)) / T + 1) * TILE;

    pub fn run(mut self) {
        let w = self.job.w;
        let finish = Finish {
            range: w.range(),
            activation: w.requantization.activation,
            factor: w.requantization.inverse_scale(),
        };
        let padding = [w.zero(); CHANNELS];
        let mut seen = Seen::new();
        let width = self.job.window.out_width;
        let Range { start, end } = self.job.rows;
        for at in (0..width).step_by(Self::MOST_OUTPUTS) {
            let strip = self.strip(at..(at + Self::MOST_OUTPUTS).min(width));
            let units = (ROOM / strip.quads).min((end - start).div_ceil(Self::ROWS));
            self.pad(&strip, units, &padding, &mut seen);
            let mut y = start;
            while y < end {
                let rows = y..(y + units * Self::ROWS).min(end);
                self.units(&strip, rows.clone(), &padding, &mut seen, finish);
                y = rows.end;
            }
        }
    }

    /// Computes as many rows of outputs as there is room for what they see.
    #[inline(always)]
    fn units(
        &mut self,
        strip: &Strip,
        rows: Range<usize>,
        padding: &[u8; CHANNELS],
        seen: &mut Seen,
        finish: Finish,
    ) {
        let mut lines = [self.line(strip, usize::MAX, padding); MOST_LINES];
        let units = rows.len().div_ceil(Self::ROWS);
        let all = (units * Self::ROWS - 1) * T + QUAD.max(K) + 1;
        for (i, line) in lines[..all].iter_mut().enumerate() {
            let y = (rows.start * T + i).wrapping_sub(self.job.window.pad_top);
            *line = self.line(strip, y, padding);
        }
        for (group, first) in self.layout.firsts().enumerate() {
            for unit in 0..units {
                let lines = &lines[unit * Self::ROWS * T..][..QUAD.max(K) + 1];
                self.see(unit, lines, first, strip, padding, seen);
            }
            let blocks = CHANNELS / BLOCK * block_bytes(K);
            let weights = &self.weights[group * blocks..][..blocks];
            // SAFETY: part of the architecture's base.
            let mut totals = [unsafe { vdupq_n_s32(0) }; 4];
            for (q, total) in totals.iter_mut().enumerate() {
                let weights = &weights[q * block_bytes(K)..][..block_bytes(K)];
                for row in [Row::Upper, Row::Lower].into_iter().take(Self::ROWS) {
                    let rows = rows.clone();
                    self.rows(row, strip, rows, first, q, weights, seen, finish, total);
                }
            }
            let outputs = rows.len() * strip.outputs.len();
            self.add_totals(outputs, first, group * CHANNELS - first, totals);
        }
    }

    /// Computes every unit's upper or lower row of outputs of the channels of a group's block `q`, and adds what they
    /// are to `total`.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "a part of one loop")]
    fn rows(
        &self,
        row: Row,
        strip: &Strip,
        rows: Range<usize>,
        first: usize,
        q: usize,
        weights: &[u8],
        seen: &Seen,
        finish: Finish,
        total: &mut int32x4_t,
    ) {
        assert!(weights.len() == block_bytes(K));
        // SAFETY: there are the block's weights.
        let block = unsafe { Block::<K>::load(weights.as_ptr(), row) };
        let stride = self.job.out_stride;
        let lower = usize::from(row == Row::Lower);
        let unit = QUAD * strip.quads * QUADS_BYTES;
        let line = strip.quads * QUADS_BYTES;
        let c = first + q * BLOCK;
        let mut columns = seen
            .columns
            .as_ptr()
            .cast::<u8>()
            .wrapping_add(q * CHANNELS);
        let mut left = seen
            .left
            .as_ptr()
            .cast::<u8>()
            .wrapping_add(lower * line + q * CHANNELS);
        let tiles = strip.outputs.len() / TILE;
        for y in (rows.start + lower..rows.end).step_by(Self::ROWS) {
            let to = (y * self.job.window.out_width + strip.outputs.start) * stride + c;
            let mut at = (columns, left, self.job.out.wrapping_add(to));
            // SAFETY: the strip has so many tiles, of which all that they see was made; the outputs are the job's.
            unsafe {
                for _ in 0..tiles {
                    self.tile::<TILE>(&block, at, finish, total);
                    at.0 = at.0.wrapping_add(TILE * T * QUADS_BYTES);
                    at.1 = at.1.wrapping_add(T * QUADS_BYTES);
                    at.2 = at.2.wrapping_add(TILE * stride);
                }
                match strip.outputs.len() % TILE {
                    0 => {}
                    1 => self.tile::<1>(&block, at, finish, total),
                    2 => self.tile::<2>(&block, at, finish, total),
                    _ => self.tile::<3>(&block, at, finish, total),
                }
            }
            columns = columns.wrapping_add(unit);
            left = left.wrapping_add(Self::ROWS * line);
        }
    }

    /// `M` outputs of a block's channels.
    ///
    /// # Safety
    /// There are the quads that they see from `columns` and `left` on, and `to` is valid for writing the block's
    /// channels of `M` pixels of the output.
    #[inline(always)]
    unsafe fn tile<const M: usize>(
        &self,
        block: &Block<K>,
        (columns, left, to): (*const u8, *const u8, *mut u8),
        finish: Finish,
        total: &mut int32x4_t,
    ) {
        let simd = self.simd;
        let mut sums = [block.bias; M];
        unroll!(column < (M - 1) * T + K, {
            // SAFETY: by this function's contract, here and below.
            let quad = unsafe { simd.load_bytes(columns.wrapping_add(column * QUADS_BYTES)) };
            unroll!(k < M, {
                let tap = column.wrapping_sub(k * T);
                if tap < K {
                    sums[k] = simd.multiply(sums[k], quad, block.columns[tap]);
                }
            });
        });
        if K > QUAD {
            unroll!(n < Self::quads_of(M), {
                let quad = unsafe { simd.load_bytes(left.wrapping_add(n * QUADS_BYTES)) };
                unroll!(k < M, {
                    let which = n.wrapping_sub(k * T / QUAD);
                    if which < 2 {
                        let weights = block.left[k * T % QUAD][which];
                        sums[k] = simd.multiply(sums[k], quad, weights);
                    }
                });
            });
        }
        let levels = simd.levels();
        let mut t = [levels.splat(0.0); TILE];
        for (t, sum) in t.iter_mut().zip(sums) {
            *t = levels.mul(levels.to_floats(sum), block.multipliers);
        }
        if END == FUNCTION {
            t = applied(levels, finish, t);
        }
        let [first, second] = [words(t[0], t[1]), words(t[2], t[3])];
        let bytes = match END {
            Bounds::RECTIFIED => to_levels::<{ Bounds::RECTIFIED }>(first, second, finish.range),
            _ => to_levels::<{ Bounds::ANY }>(first, second, finish.range),
        };
        let pixels: [u32; TILE] = unsafe {
            let words = vreinterpretq_u32_s8(bytes);
            [
                vgetq_lane_u32::<0>(words),
                vgetq_lane_u32::<1>(words),
                vgetq_lane_u32::<2>(words),
                vgetq_lane_u32::<3>(words),
            ]
        };
        for (k, pixel) in pixels[..M].iter().enumerate() {
            let to = to.wrapping_add(k * self.job.out_stride);
            unsafe { to.cast::<u32>().write_unaligned(*pixel) };
        }
        if self.job.sums.is_some() {
            *total = add_levels::<M>(*total, bytes);
        }
    }

    /// Adds to the job's sums what so many outputs of a group were, but for the channels that the group before has,
    /// too.
    fn add_totals(&mut self, outputs: usize, first: usize, again: usize, totals: [int32x4_t; 4]) {
        let zero = outputs as i32 * i32::from(self.job.w.output.zero_point);
        let Some(sums) = &mut self.job.sums else {
            return;
        };
        let mut of_channels = [0; CHANNELS];
        for (total, to) in totals.into_iter().zip(of_channels.chunks_exact_mut(BLOCK)) {
            // SAFETY: there is room for four.
            unsafe { vst1q_s32(to.as_mut_ptr(), total) };
        }
        let sums = &mut sums[first..][..CHANNELS];
        for (sum, total) in sums.iter_mut().zip(of_channels).skip(again) {
            *sum += total - zero;
        }
    }
}

/// What an activation gives. A function of its own, as it is long.
#[inline(never)]
fn applied(simd: Neon, finish: Finish, mut t: [float32x4_t; TILE]) -> [float32x4_t; TILE] {
    for t in &mut t {
        *t = simd.mul(
            exact(simd, finish.activation, *t),
            simd.splat(finish.factor),
        );
    }
    t
}

/// Adds the levels of the first `M` of four pixels, each of four channels.
#[inline(always)]
fn add_levels<const M: usize>(total: int32x4_t, bytes: int8x16_t) -> int32x4_t {
    let kept: [i8; 16] = std::array::from_fn(|i| if i / BLOCK < M { -1 } else { 0 });
    // SAFETY: part of the architecture's base.
    unsafe {
        let bytes = vandq_s8(bytes, vld1q_s8(kept.as_ptr()));
        let pairs = vaddl_s8(vget_low_s8(bytes), vget_high_s8(bytes));
        vaddw_s16(vaddw_high_s16(total, pairs), vget_low_s16(pairs))
    }
}
