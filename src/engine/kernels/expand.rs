//! A pointwise convolution and a depthwise one of its output, some channels at a time: what is between them stays in the
//! cache. So begins an inverted residual (Sandler et al. 2018, arXiv:1801.04381).

use std::ops::Range;

use super::ahead::part_of;
use super::crew::{Crew, Shared};
use super::depthwise::Job;
use super::pointwise::{Pointwise, check_input};
use super::{
    Activation, Element, Epilogue, PackedDepthwise, PackedMatrix, Ring, Rows, RowsMut, Window,
};

/// A pointwise convolution of the pixels that a window slides over.
#[derive(Debug)]
pub struct Expansion<'a, E = f32> {
    pub x: Rows<'a, E>,
    pub weights: &'a PackedMatrix<E>,
    pub bias: Option<&'a [E]>,
    pub activation: Activation,
    /// As [`Factor::ahead`](super::Factor::ahead).
    pub ahead: Range<usize>,
}

/// About so many bytes of the pointwise convolution's output are there together: a slice is of whole panels.
const SLICE_BYTES: usize = 64 << 10;

impl<E: Element> PackedMatrix<E> {
    /// How many values of scratch [`expand_depthwise`] needs for each part.
    pub fn slice_len(&self, pixels: usize) -> usize {
        let widest = self.panels().iter().map(|panel| panel.columns).max();
        // Rounded to whole panels, and a narrow last one. Fewer pixels take no more.
        let rounded = pixels.saturating_mul(2 * widest.unwrap_or(0));
        let slice = (SLICE_BYTES / size_of::<E>()).max(pixels);
        slice
            .saturating_add(rounded)
            .min(pixels.saturating_mul(self.n()))
    }
}

/// Threads share the rows if that makes each compute at most this part of them more: a sixth.
const MORE: usize = 6;

/// The first row of the output that a part of so many has.
fn part_start(window: &Window, part: usize, parts: usize) -> usize {
    window.out_height * part / parts
}

/// Whether threads share the output's rows, rather than the channels.
fn shares_rows(window: &Window, parts: usize) -> bool {
    if parts <= 1 || parts > window.out_height {
        return false;
    }
    let rows = |part| part_start(window, part, parts)..part_start(window, part + 1, parts);
    let seen = (0..parts).map(|part| window.sees(&rows(part)).len());
    // One pixel alone is summed up in another order.
    let alone = seen.clone().any(|rows| rows * window.width <= 1);
    // All are done when the one with most rows is.
    let more = (parts * seen.max().unwrap_or(0)).saturating_sub(window.height);
    !alone && more * MORE <= window.height
}

/// About so many columns of the pointwise convolution's output are there together.
fn slice_columns<E>(pixels: usize) -> usize {
    (SLICE_BYTES / size_of::<E>() / pixels.max(1)).max(1)
}

/// As [`pointwise`](super::pointwise) and then [`depthwise`](super::depthwise) of all rows. The threads share the
/// output's rows, as those of other layers do, so that each finds in its cache what it has written; or the channels,
/// where they would compute too many rows twice. `sums`, if given, gets added what as many threads that share the output's rows would add up: for each of them a sum of
/// each channel.
///
/// # Panics
/// As these two; if the weights are of different numbers of channels, or there is not enough scratch for each part.
pub fn expand_depthwise<E: Element>(
    expansion: &Expansion<E>,
    window: &Window,
    w: &PackedDepthwise<E>,
    activation: Activation,
    out: RowsMut<E>,
    sums: Option<&mut [f32]>,
    crew: Crew<E>,
) {
    let Expansion { x, weights, .. } = *expansion;
    let channels = weights.n();
    assert_eq!(channels, w.channels(), "the channels of both");
    w.check(window);
    let (pixels, out_pixels) = window.check_sizes(&(0..window.out_height));
    check_input(x, pixels, weights, None, 0);
    out.check(out_pixels, channels);
    assert!(
        expansion.bias.is_none_or(|bias| bias.len() == channels),
        "a bias for each of {channels} channels"
    );
    let need = weights.slice_len(pixels);
    assert!(
        crew.scratch_len() >= need,
        "scratch of {} values where {need} are needed",
        crew.scratch_len()
    );
    let parts = crew.parts();
    let row_parts = parts.min(window.out_height);
    if let Some(sums) = &sums {
        let need = row_parts.checked_mul(channels);
        assert!(
            need.is_some_and(|need| sums.len() >= need),
            "sums of each channel"
        );
    }
    if out_pixels == 0 {
        return;
    }
    let epilogue = Epilogue {
        bias: expansion.bias,
        residual: None,
        activation: expansion.activation,
    };
    // So that depthwise convolutions are computed as those of all channels are.
    let lanes = weights.isa().wide_lanes::<E>();
    let row = |part: usize| part_start(window, part, row_parts);
    let by_rows = shares_rows(window, parts);
    // Of the output's rows, the parts that add up sums each for itself.
    let share = |part: usize| match by_rows {
        true => part..part + 1,
        false => 0..row_parts,
    };
    // No two slices of the same rows have a panel in common, nor panels a channel.
    let (data, out_stride) = (Shared(out.data.as_mut_ptr()), out.stride);
    let sums = sums.map(|sums| Shared(sums.as_mut_ptr()));
    crew.run(&|part, scratch| {
        let row_parts = share(part);
        let rows = row(row_parts.start)..row(row_parts.end);
        let (seen_first, band) = window.band(&rows);
        let seen = match by_rows {
            true => seen_first..window.sees(&rows).end,
            false => seen_first..window.height,
        };
        let band = Window {
            height: seen.len(),
            ..band
        };
        let pixels = seen.len() * window.width;
        let x = Rows {
            data: &x.data[seen_first * window.width * x.stride..],
            stride: x.stride,
        };
        let columns = slice_columns::<E>(pixels);
        let (slices, all) = match by_rows {
            true => {
                let slices = channels.div_ceil(columns);
                (0..slices, slices)
            }
            false => {
                let slices = channels.div_ceil(parts).div_ceil(columns);
                (part * slices..(part + 1) * slices, parts * slices)
            }
        };
        let ahead = part_of(&expansion.ahead, &(part..part + 1), parts);
        for (index, slice) in slices.clone().enumerate() {
            let panels = weights.panels_of_part(slice, all, lanes);
            let (Some(first), Some(last)) = (panels.first(), panels.last()) else {
                continue;
            };
            let (first, end) = (first.first, last.first + last.columns);
            let width = end - first;
            let between = &mut scratch[..pixels * width];
            E::pointwise(
                weights.isa(),
                Pointwise {
                    x,
                    rows: pixels,
                    w: weights,
                    panels,
                    gate: None,
                    ahead: part_of(&ahead, &(index..index + 1), slices.len()),
                    epilogue: &epilogue,
                    out: between.as_mut_ptr().wrapping_sub(first),
                    out_stride: width,
                    scratch: &mut [],
                },
            );
            let between = Rows {
                data: &*between,
                stride: width,
            };
            for row_part in row_parts.clone() {
                let sums = sums.as_ref().map(|sums| {
                    // SAFETY: they have so many, and these channels of these rows are no other slice's.
                    unsafe {
                        let from = sums.at(row_part * channels + first);
                        std::slice::from_raw_parts_mut(from, width)
                    }
                });
                let job = Job {
                    x: Ring::whole(between, band.height),
                    window: band,
                    w: w.taps(first..end),
                    activation,
                    rows: row(row_part) - rows.start..row(row_part + 1) - rows.start,
                    out: data.at(first + rows.start * window.out_width * out_stride),
                    out_stride,
                    sums,
                };
                E::depthwise(weights.isa(), job);
            }
        }
    });
}

#[cfg(test)]
mod tests;
