//! Square kernels at stride 1 or 2: tiles of four outputs at most, of as many channels as a vector has bytes.

mod finish;
mod strip;

use std::mem::MaybeUninit;

use edge_classify_kernels::Activation;

use super::Job;
use super::groups::{Group, Groups, columns_of, quads_of};
use super::quads::{QuadKernel, Quads, Sums, run_quads};
use crate::simd::{LevelRange, Levels};
use strip::Strip;

/// Input lines of a tile.
const MOST_LINES: usize = 13;

/// Pixels of all lines that tiles beside each other see, where these are copied, and of a line of padding.
const MOST_PIXELS: usize = 14 * 12;

const MOST_BYTES: usize = 64;

/// Columns, and outputs in all, of a tile.
const MOST: usize = 4;

/// A vector, or what is around the picture.
#[repr(align(64))]
struct Aligned<T>(T);

/// Calls the tiles for the job's kernel and stride, one group of channels after the other.
pub(super) fn run(mut job: Job, groups: &Groups, weights: &[u8]) {
    let isa = job.w.isa;
    for group in groups.groups() {
        let weights = weights[group.start..].as_ptr();
        let (whole, sets) = (group.is_whole, group.sets);
        macro_rules! call {
            ($kernel:literal, $stride:literal, $sets:literal, $whole:literal) => {{
                let job = &mut job;
                let tiles = Tiles::<'_, '_, $kernel, $stride, $sets, $whole> {
                    job,
                    group,
                    weights,
                };
                run_quads(isa, tiles).expect("the weights were packed for quads");
            }};
        }
        macro_rules! call_shared {
            ($kernel:literal, $stride:literal) => {
                match (sets, whole) {
                    (1, true) => call!($kernel, $stride, 1, true),
                    (2, _) => call!($kernel, $stride, 2, false),
                    (4, _) => call!($kernel, $stride, 4, false),
                    _ => call!($kernel, $stride, 1, false),
                }
            };
        }
        macro_rules! call_alone {
            ($kernel:literal, $stride:literal) => {
                match whole {
                    true => call!($kernel, $stride, 1, true),
                    false => call!($kernel, $stride, 1, false),
                }
            };
        }
        match (groups.kernel(), job.window.stride_h) {
            (3, 1) => call_shared!(3, 1),
            (3, _) => call_shared!(3, 2),
            (5, 1) => call_shared!(5, 1),
            (5, _) => call_shared!(5, 2),
            (7, 1) => call_alone!(7, 1),
            (7, _) => call_alone!(7, 2),
            (9, 1) => call_alone!(9, 1),
            (9, _) => call_alone!(9, 2),
            (_, 1) => call_alone!(11, 1),
            _ => call_alone!(11, 2),
        }
    }
}

/// Kernel `K` x `K` at stride `T`, for a group that has `SETS` sets and, if it is `WHOLE`, a channel for each byte.
struct Tiles<'a, 'j, const K: usize, const T: usize, const SETS: usize, const WHOLE: bool> {
    job: &'a mut Job<'j>,
    group: Group,
    /// Of the group.
    weights: *const u8,
}

/// Where a line's pixels are: the one that the first output sees first, which may be outside of the picture, and how
/// many bytes are from each to the next. A line of padding has them all at one place.
#[derive(Clone, Copy)]
struct Line {
    start: *const u8,
    pixel: usize,
}

/// What the tiles of a group have in common.
#[derive(Clone, Copy)]
struct Common {
    biases: *const i32,
    multipliers: *const f32,
    taps: *const i8,
    range: LevelRange,
    /// An activation that is not linear, and the factor for what it gives.
    applied: Option<(Activation, f32)>,
}

impl<const K: usize, const T: usize, const SETS: usize, const WHOLE: bool> QuadKernel
    for Tiles<'_, '_, K, T, SETS, WHOLE>
{
    type Output = ();

    #[inline(always)]
    fn run<S: Quads>(mut self, simd: S) {
        assert!(SETS <= S::MOST_SETS, "parts of these vectors");
        let w = self.job.w;
        let (requantization, weights) = (&w.requantization, self.weights);
        let common = Common {
            biases: weights.cast(),
            multipliers: weights.wrapping_add(4 * S::BYTES).cast(),
            taps: weights.wrapping_add(8 * S::BYTES).cast(),
            range: w.range(),
            applied: (!requantization.is_linear())
                .then(|| (requantization.activation, requantization.inverse_scale())),
        };
        let padding = Aligned([w.zero(); MOST_BYTES]);
        let mut totals = [simd.levels().integers(0); 4];
        let mut room = Aligned(MaybeUninit::<[u8; MOST_PIXELS * MOST_BYTES]>::uninit());
        let mut at = 0;
        while at < self.job.window.out_width {
            let inner = self.inner_from(at);
            let mut strip = Strip {
                columns: at..inner.max(at + SETS * Self::COLUMNS),
                copied: 0,
                room: room.0.as_mut_ptr().cast(),
            };
            match inner > at {
                true => self.strip::<S, true>(simd, &common, &padding, &mut strip, &mut totals),
                false => self.strip::<S, false>(simd, &common, &padding, &mut strip, &mut totals),
            }
            at = strip.columns.end;
        }
        self.add_totals(simd, w, totals);
    }
}

impl<const K: usize, const T: usize, const SETS: usize, const WHOLE: bool>
    Tiles<'_, '_, K, T, SETS, WHOLE>
{
    /// Quads of a tile's line.
    const QUADS: usize = quads_of(K);
    /// Outputs of a tile's row.
    const COLUMNS: usize = (4 * Self::QUADS - K) / T + 1;
    /// From a set's first pixel to the next one's.
    const APART: usize = Self::COLUMNS * T;
    /// Pixels that all sets see of a line.
    const SPAN: usize = (SETS - 1) * Self::APART + 4 * Self::QUADS;
    /// Lines that there is room for copies of: as many as rows that are computed together see.
    const COPIES: usize = if Self::COLUMNS <= 2 {
        Self::lines::<2>()
    } else {
        Self::lines::<1>()
    };

    /// All rows of a strip.
    #[inline(always)]
    fn strip<S: Quads, const INNER: bool>(
        &mut self,
        simd: S,
        common: &Common,
        padding: &Aligned<[u8; MOST_BYTES]>,
        strip: &mut Strip,
        totals: &mut Sums<S>,
    ) {
        if !INNER {
            // SAFETY: after the copies there is room for one line more.
            unsafe { Self::fill(simd, padding, Self::room::<S>(strip, Self::COPIES)) };
        }
        let rows = self.job.rows.clone();
        let mut y = rows.start;
        if Self::COLUMNS <= 2 && S::ROWS == 2 {
            while y + 2 <= rows.end {
                self.rows::<S, 2, INNER>(simd, y, common, padding, strip, totals);
                y += 2;
            }
        }
        while y < rows.end {
            self.rows::<S, 1, INNER>(simd, y, common, padding, strip, totals);
            y += 1;
        }
    }

    /// `R` rows of the output from `y` on.
    #[inline(always)]
    fn rows<S: Quads, const R: usize, const INNER: bool>(
        &mut self,
        simd: S,
        y: usize,
        common: &Common,
        padding: &Aligned<[u8; MOST_BYTES]>,
        strip: &mut Strip,
        totals: &mut Sums<S>,
    ) {
        let Job {
            x,
            window,
            out,
            out_stride,
            sums,
            ..
        } = &*self.job;
        let Group { first, count, .. } = self.group;
        let pixel = x.pixels.stride;
        let padded = Line {
            start: padding.0.as_ptr(),
            pixel: 0,
        };
        let mut lines = [padded; MOST_LINES];
        for (i, line) in lines[..Self::lines::<R>()].iter_mut().enumerate() {
            let y = (y * T + i).wrapping_sub(window.pad_top);
            let there = y < window.height;
            let in_picture = || {
                let start = x.line(y) * window.width * pixel + first;
                let start = x.pixels.data.as_ptr().wrapping_add(start);
                Line {
                    start: start.wrapping_sub(window.pad_left * pixel),
                    pixel,
                }
            };
            if INNER && there {
                *line = in_picture();
            }
            if !INNER {
                let copy = if there {
                    y % Self::COPIES
                } else {
                    Self::COPIES
                };
                let to = Self::room::<S>(strip, copy);
                if there && y >= strip.copied {
                    let from = in_picture();
                    // SAFETY: the line is of the picture, and there is room for as many.
                    unsafe { self.copy(simd, &from, strip.columns.start * T, padding, to) };
                    strip.copied = y + 1;
                }
                *line = Line {
                    start: to,
                    pixel: S::BYTES,
                };
            }
        }
        for at in strip.columns.clone().step_by(SETS * Self::COLUMNS) {
            let seen = if INNER { at * T } else { 0 };
            // SAFETY: the group's channels are read of pixels in the picture, of padding, or of copies of both; the
            // weights are those of this kernel.
            let tile = unsafe { self.sum_up::<S, R, INNER>(simd, &lines, seen, common) };
            let outputs = Self::levels::<S, R>(simd, tile, common);
            let all = at + SETS * Self::COLUMNS <= window.out_width;
            let mut kept = [simd.keep(simd.bytes(0), 0); MOST];
            for r in 0..R {
                for k in 0..Self::COLUMNS {
                    // Sets whose output is within the picture.
                    let sets = match all {
                        true => SETS,
                        false => (window.out_width - at)
                            .saturating_sub(k)
                            .div_ceil(Self::COLUMNS),
                    };
                    let v = outputs[r * Self::COLUMNS + k];
                    let to = (y + r) * window.out_width + at + k;
                    // SAFETY: `sets` pixels of the output are the job's, of `count` channels each.
                    unsafe {
                        let to = out.wrapping_add(to * out_stride + first);
                        if !WHOLE {
                            let apart = Self::COLUMNS * out_stride;
                            simd.store_parts::<SETS>(to, apart, count, sets, v);
                        } else if sets > 0 {
                            simd.store_bytes(to, v);
                        }
                    }
                    if sums.is_some() {
                        kept[r * Self::COLUMNS + k] = match sets == SETS {
                            true => v,
                            false => simd.keep(v, sets * (S::BYTES / SETS)),
                        };
                    }
                }
            }
            if sums.is_some() {
                let ones = Aligned([1_i8; MOST_BYTES]);
                for (total, quad) in totals.iter_mut().zip(simd.quads(kept)) {
                    // SAFETY: there are so many ones.
                    *total = unsafe { simd.dot(*total, quad, ones.0.as_ptr()) };
                }
            }
        }
    }

    /// Lines that `R` rows of the output see.
    const fn lines<const R: usize>() -> usize {
        (R - 1) * T + K
    }

    /// The sums of `R` rows of outputs, for each quad of channels.
    ///
    /// # Safety
    /// Each line is valid for reading [`Self::SPAN`] pixels of the group's channels from the one numbered `at` on, and
    /// there are the group's weights.
    #[inline(always)]
    unsafe fn sum_up<S: Quads, const R: usize, const INNER: bool>(
        &self,
        simd: S,
        lines: &[Line; MOST_LINES],
        at: usize,
        common: &Common,
    ) -> [Sums<S>; MOST] {
        // SAFETY: by this function's contract, here and below.
        let bias: Sums<S> = std::array::from_fn(|q| unsafe {
            simd.levels()
                .load_integers(common.biases.wrapping_add(q * (S::BYTES / 4)))
        });
        let mut sums = [bias; MOST];
        macro_rules! line {
            ($i:expr, $rows:expr) => {
                unsafe { self.line::<S, INNER>(simd, lines, at, $i, $rows, common, &mut sums) }
            };
        }
        if K == 3 {
            unroll!(i < Self::lines::<R>(), {
                line!(i, [i < K, R == 2 && i >= T])
            });
        } else if R == 1 {
            for i in 0..K {
                line!(i, [true, false]);
            }
        } else {
            for i in 0..T {
                line!(i, [true, false]);
            }
            for i in T..K {
                line!(i, [true, true]);
            }
            for i in K..K + T {
                line!(i, [false, true]);
            }
        }
        sums
    }

    /// Adds what is seen of the line `i` to the outputs of those `rows` that see it.
    ///
    /// # Safety
    /// As of [`Self::sum_up`].
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "a part of one loop")]
    unsafe fn line<S: Quads, const INNER: bool>(
        &self,
        simd: S,
        lines: &[Line; MOST_LINES],
        at: usize,
        i: usize,
        rows: [bool; 2],
        common: &Common,
        sums: &mut [Sums<S>; MOST],
    ) {
        // Of copies, a constant.
        let pixel = if INNER { lines[i].pixel } else { S::BYTES };
        let start = lines[i].start.wrapping_add(at * pixel);
        // A row's weights.
        let row = columns_of(K) * Self::QUADS * 4 * S::BYTES;
        let taps = common.taps.wrapping_add(i * row);
        for j in 0..Self::QUADS {
            let pixels: [S::Bytes; 4] = std::array::from_fn(|n| {
                let from = start.wrapping_add((4 * j + n) * pixel);
                // SAFETY: by this function's contract, here and below.
                match WHOLE {
                    true => unsafe { simd.load_bytes(from) },
                    false => unsafe {
                        simd.load_parts::<SETS>(from, Self::APART * pixel, self.group.count)
                    },
                }
            });
            let quads = simd.quads(pixels);
            for r in 0..2 {
                if !rows[r] {
                    continue;
                }
                let taps = taps.wrapping_sub(r * T * row);
                for k in 0..Self::COLUMNS {
                    let taps = taps.wrapping_add((k * T * Self::QUADS + j) * 4 * S::BYTES);
                    let sums = &mut sums[r * Self::COLUMNS + k];
                    for q in 0..4 {
                        let taps = taps.wrapping_add(q * S::BYTES);
                        sums[q] = unsafe { simd.dot(sums[q], quads[q], taps) };
                    }
                }
            }
        }
    }
}
