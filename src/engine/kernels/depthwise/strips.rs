//! Square kernels at stride 1 or 2: strips of outputs along the width that share the inputs they load.

use std::ops::Range;

use super::Job;
use crate::pointwise::opaque;
use crate::{Activation, Element, Kernel, Simd, Window};

/// Outputs of a strip: widths of networks for 224 x 224 pixels are multiples of it, and with a row of weights it leaves
/// room for the inputs in 16 registers.
const STRIP: usize = 7;

/// Input lines of one or two rows of the output.
const MOST_LINES: usize = 11;

/// How many of a strip's input columns may be outside of the picture, and must be asked for: none,
const INSIDE: u8 = 0;
/// half a kernel's width at each end,
const FRAMED: u8 = 1;
/// or any; then some of the outputs may be, too.
const CLIPPED: u8 = 2;

/// Kernel `K` x `K` at stride `T`; at least as many channels as a vector has.
pub(super) struct Strips<'a, E, const K: usize, const T: usize>(pub(super) Job<'a, E>);

/// Runs the block for each `$i` below `$n`, written out: arrays indexed by `$i` stay in registers.
macro_rules! unroll {
    ($i:ident < $n:expr, $body:block) => {
        unroll!(@ $i, $n, $body, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22)
    };
    (@ $i:ident, $n:expr, $body:block, $($k:literal)*) => {
        $(if $k < $n {
            let $i: usize = $k;
            $body
        })*
    };
}

impl<E: Element, const K: usize, const T: usize> Kernel<E> for Strips<'_, E, K, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = E>>(mut self, simd: S) {
        let Range { start: mut y, end } = self.0.rows.clone();
        if K <= 5 && !S::LOADS_MOVE && S::LANES != 8 {
            while y + 2 <= end {
                self.rows::<S, 2>(simd, y);
                y += 2;
            }
        }
        while y < end {
            self.rows::<S, 1>(simd, y);
            y += 1;
        }
    }
}

/// What a strip sees.
struct View<S: Simd> {
    simd: S,
    pixel: usize,
    /// Where the first pixel of each of `lines` is, from that of the ring's first row on.
    starts: [usize; MOST_LINES],
    tap_stride: usize,
    /// The input's lines, from the strip's first, in the picture.
    lines: Range<usize>,
    /// A bit for each of the input's columns, from the strip's first, that is in the picture.
    columns: u32,
}

impl<E: Element, const K: usize, const T: usize> Strips<'_, E, K, T> {
    /// Input columns of a strip.
    const SPAN: usize = (STRIP - 1) * T + K;

    /// `R` rows of the output from `y` on.
    #[inline(always)]
    fn rows<S: Simd<Element = E>, const R: usize>(&mut self, simd: S, y: usize) {
        let Window {
            height,
            width,
            pad_top,
            pad_left,
            out_width,
            ..
        } = self.0.window;
        let top = (y * T) as isize - pad_top as isize;
        let lines = within(top, height, (R - 1) * T + K);
        let all_lines = lines.len() == (R - 1) * T + K;
        let pixel = self.0.x.pixels.stride;
        let mut starts = [0; MOST_LINES];
        for line in lines.clone() {
            let y = self.0.x.line((top + line as isize) as usize);
            starts[line] = y * width * pixel;
        }
        let mut view = View {
            simd,
            pixel,
            starts,
            tap_stride: self.0.w.stride,
            lines,
            columns: 0,
        };
        for at in (0..out_width).step_by(STRIP) {
            let count = STRIP.min(out_width - at);
            let left = (at * T) as isize - pad_left as isize;
            let columns = within(left, width, (count - 1) * T + K);
            let whole =
                count == STRIP && columns.start <= K / 2 && columns.end + K / 2 >= Self::SPAN;
            let inside = columns.len() == Self::SPAN && all_lines;
            view.columns = ((1u32 << columns.end) - 1) & !((1u32 << columns.start) - 1);
            // Where the strip's first pixel would be in the ring's first row.
            let x = self.0.x.pixels.data.as_ptr();
            let x = x.wrapping_offset(left * pixel as isize);
            let to = y * out_width + at;
            if inside {
                self.strips::<S, R, INSIDE>(&view, x, to, count);
            } else if whole && K <= 5 {
                self.strips::<S, R, FRAMED>(&view, x, to, count);
            } else {
                self.strips::<S, R, CLIPPED>(&view, x, to, count);
            }
        }
    }

    /// All channels of `R` strips below each other of `count` outputs from pixel `to` on. `EDGE`: which of the
    /// columns that `STRIP` outputs would see may be missing, and unless `INSIDE`, lines may be, too.
    #[inline(always)]
    fn strips<S: Simd<Element = E>, const R: usize, const EDGE: u8>(
        &mut self,
        view: &View<S>,
        x: *const E,
        to: usize,
        count: usize,
    ) {
        let Job {
            window,
            w,
            activation,
            out,
            out_stride,
            sums,
            ..
        } = &mut self.0;
        let simd = view.simd;
        let count = if EDGE == CLIPPED { count } else { STRIP };
        let line = window.out_width * *out_stride;
        let to = out.wrapping_add(to * *out_stride);
        let mut channel = 0;
        while channel < w.channels {
            // A last vector that is not whole begins earlier: some of its channels are computed again.
            let c = channel.min(w.channels - S::LANES);
            // SAFETY: it has been checked that the pictures have the window's pixels with `w.channels` channels each,
            // of which there are `LANES` from `c` on, as there are of taps, bias and sums.
            unsafe {
                let bias = simd.load(w.bias.as_ptr().add(c));
                let weights = w.taps.as_ptr().add(c);
                let strips = Self::sum_up::<S, R, EDGE>(view, x.wrapping_add(c), weights, bias);
                let mut sum = simd.splat(0.0);
                for (r, strip) in strips.into_iter().enumerate() {
                    let to = to.add(r * line + c);
                    sum = simd.add(
                        sum,
                        finish(
                            simd,
                            strip,
                            *activation,
                            to,
                            *out_stride,
                            count,
                            sums.is_some(),
                        ),
                    );
                }
                if let Some(sums) = sums {
                    let total = sums.as_mut_ptr().add(c);
                    if c == channel {
                        simd.add_to(total, S::LANES, sum);
                    } else {
                        let mut lanes = [0.0; super::PAD];
                        simd.add_to(lanes.as_mut_ptr(), S::LANES, sum);
                        let done = channel - c;
                        for (lane, value) in lanes[..S::LANES].iter().enumerate().skip(done) {
                            *total.add(lane) += value;
                        }
                    }
                }
            }
            channel += S::LANES;
        }
    }

    /// The sums of `R` strips for a vector of channels, before the activation.
    ///
    /// # Safety
    /// From where each of the view's lines starts, counted from `x`, there are a vector of channels of each of its columns
    /// (all that `EDGE` does not let be missing); from `weights` on one of each tap.
    #[inline(always)]
    unsafe fn sum_up<S: Simd<Element = E>, const R: usize, const EDGE: u8>(
        view: &View<S>,
        x: *const E,
        weights: *const E,
        bias: S::V,
    ) -> [[S::V; STRIP]; R] {
        let mut sums = [[bias; STRIP]; R];
        // SAFETY: by this function's contract.
        unsafe {
            // Written out, a row of 5 x 5 alone needs more than 16 registers for what could be loaded early.
            if R > 1 || K == 3 || (K == 5 && S::LOADS_MOVE && EDGE == INSIDE) {
                unroll!(line < (R - 1) * T + K, {
                    if EDGE == INSIDE || (line >= view.lines.start && line < view.lines.end) {
                        Self::line::<S, R, EDGE>(view, x, weights, line, &mut sums);
                    }
                });
            } else {
                for line in view.lines.clone() {
                    Self::line::<S, R, EDGE>(view, x, weights, line, &mut sums);
                }
            }
        }
        sums
    }

    /// Adds what is seen of one line; a constant, unless `R` is 1.
    ///
    /// # Safety
    /// As for [`Self::sum_up`], and it is one of the view's.
    #[inline(always)]
    unsafe fn line<S: Simd<Element = E>, const R: usize, const EDGE: u8>(
        view: &View<S>,
        x: *const E,
        weights: *const E,
        line: usize,
        sums: &mut [[S::V; STRIP]; R],
    ) {
        let simd = view.simd;
        // SAFETY: by this function's contract.
        let start = unsafe { *view.starts.get_unchecked(line) };
        let mut x = reached(x.wrapping_add(start));
        let sees = |r: usize| line >= r * T && line - r * T < K;
        let mut taps = [[sums[0][0]; K]; R];
        unroll!(r < R, {
            if R == 1 || sees(r) {
                let mut tap = reached(weights.wrapping_add((line - r * T) * K * view.tap_stride));
                unroll!(j < K, {
                    // SAFETY: by this function's contract, here and below.
                    taps[r][j] = unsafe { simd.load(walk(&mut tap, view.tap_stride, j)) };
                });
            }
        });
        unroll!(column < Self::SPAN, {
            let outer = column < K / 2 || column + K / 2 >= Self::SPAN;
            let asked = EDGE == CLIPPED || (EDGE == FRAMED && outer);
            if S::LOADS_MOVE && R == 1 {
                if !asked || view.columns & (1 << column) != 0 {
                    unsafe { Self::column(view, &mut x, column, &taps[0], &mut sums[0]) };
                } else {
                    move_on(&mut x, view.pixel);
                }
            } else {
                let at = walk(&mut x, view.pixel, column);
                if !asked || view.columns & (1 << column) != 0 {
                    let v = unsafe { simd.load(at) };
                    for r in 0..R {
                        if R == 1 || sees(r) {
                            for n in 0..STRIP {
                                if column >= n * T && column - n * T < K {
                                    let tap = taps[r][column - n * T];
                                    sums[r][n] = simd.mul_add(v, tap, sums[r][n]);
                                }
                            }
                        }
                    }
                }
            }
        });
    }

    /// Adds what is seen of one pixel, a constant, and moves on to the next.
    ///
    /// # Safety
    /// `x` is valid for reading a vector.
    #[inline(always)]
    unsafe fn column<S: Simd<Element = E>>(
        view: &View<S>,
        x: &mut *const E,
        column: usize,
        taps: &[S::V; K],
        sums: &mut [S::V; STRIP],
    ) {
        let first = (column + 1).saturating_sub(K).div_ceil(T);
        let count = (column / T).min(STRIP - 1) + 1 - first;
        macro_rules! counts {
            ($($count:literal)*) => {
                $(if count == $count {
                    let factors: [S::V; $count] = std::array::from_fn(|i| taps[(column - (first + i) * T) % K]);
                    let some: [S::V; $count] = std::array::from_fn(|i| sums[(first + i) % STRIP]);
                    // SAFETY: by this function's contract.
                    let some = unsafe { view.simd.load_multiply_add(x, view.pixel, factors, some) };
                    for (i, sum) in some.into_iter().enumerate() {
                        sums[(first + i) % STRIP] = sum;
                    }
                })*
            };
        }
        counts!(1 2 3 4 5 6 7);
    }
}

/// The `i`-th of places `step` apart, of which the first is where `at` was for the first of them; each is asked for in turn.
/// Three are told from one pointer by addressing alone. From one for all, x86-64 has no registers for the distances.
#[inline(always)]
fn walk<E>(at: &mut *const E, step: usize, i: usize) -> *const E {
    if i > 0 && i.is_multiple_of(3) {
        *at = reached(at.wrapping_add(3 * step));
    }
    at.wrapping_add(i % 3 * step)
}

/// The same pointer: what is found from it is not to be found from what it was made of.
#[inline(always)]
fn reached<E>(pointer: *const E) -> *const E {
    match cfg!(target_arch = "x86_64") {
        true => opaque(pointer),
        false => pointer,
    }
}

#[inline(always)]
fn move_on<E>(x: &mut *const E, step: usize) {
    *x = x.wrapping_add(step);
}

/// Which of `count` places from `start` on are in `0..size`.
#[inline(always)]
fn within(start: isize, size: usize, count: usize) -> Range<usize> {
    let first = (-start).max(0) as usize;
    let end = (size as isize - start).clamp(0, count as isize) as usize;
    first.min(end)..end
}

/// Applies the activation and stores the first `count` outputs of a strip; their sum, if `wanted`.
///
/// # Safety
/// `to` is valid for writing a vector at so many multiples of `stride`.
#[inline(always)]
unsafe fn finish<S: Simd>(
    simd: S,
    mut strip: [S::V; STRIP],
    activation: Activation,
    to: *mut S::Element,
    stride: usize,
    count: usize,
    wanted: bool,
) -> S::V {
    let in_registers = match activation {
        Activation::Identity => true,
        Activation::Clamp { low, high } => {
            let bound = simd.splat(low);
            unroll!(n < STRIP, { strip[n] = simd.max(strip[n], bound) });
            if high < f32::INFINITY {
                let bound = simd.splat(high);
                unroll!(n < STRIP, { strip[n] = simd.min(strip[n], bound) });
            }
            true
        }
        Activation::HardSwish => {
            unroll!(n < STRIP, {
                strip[n] = Activation::HardSwish.apply(simd, strip[n])
            });
            true
        }
        _ => false,
    };
    let mut sum = simd.splat(0.0);
    // SAFETY: by this function's contract.
    unsafe {
        if count == STRIP {
            let mut at = to.cast_const();
            unroll!(n < STRIP, {
                simd.store(walk(&mut at, stride, n).cast_mut(), strip[n])
            });
        } else {
            unroll!(n < STRIP, {
                if n < count {
                    simd.store(to.wrapping_add(n * stride), strip[n]);
                }
            });
        }
        if !in_registers {
            // Long: one loop here in place of a copy for each output.
            for n in 0..count {
                let to = to.add(n * stride);
                let value = activation.apply(simd, simd.load(to));
                simd.store(to, value);
                sum = simd.add(sum, value);
            }
        } else if wanted {
            unroll!(n < STRIP, {
                if n < count {
                    sum = simd.add(sum, strip[n]);
                }
            });
        }
    }
    sum
}
