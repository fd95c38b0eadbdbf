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
        // Rounded to whole panels, and a narrow last one.
        let columns = slice_columns::<E>(pixels) + 2 * widest.unwrap_or(0);
        pixels.saturating_mul(columns.min(self.n()))
    }
}

/// About so many columns of the pointwise convolution's output are there together.
fn slice_columns<E>(pixels: usize) -> usize {
    (SLICE_BYTES / size_of::<E>() / pixels.max(1)).max(1)
}

/// As [`pointwise`](super::pointwise) and then [`depthwise`](super::depthwise) of all rows. The threads share the channels.
/// `sums`, if given, gets added what as many threads that share the output's rows would add up: for each of them a sum of
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
    let slices = channels
        .div_ceil(parts)
        .div_ceil(slice_columns::<E>(pixels));
    let row = |part: usize| window.out_height * part / row_parts;
    // No two slices have a panel in common, nor panels a channel.
    let (data, out_stride) = (Shared(out.data.as_mut_ptr()), out.stride);
    let sums = sums.map(|sums| Shared(sums.as_mut_ptr()));
    crew.run(&|part, scratch| {
        for slice in part * slices..(part + 1) * slices {
            let panels = weights.panels_of_part(slice, parts * slices, lanes);
            let (Some(first), Some(last)) = (panels.first(), panels.last()) else {
                continue;
            };
            let (first, end) = (first.first, last.first + last.columns);
            let width = end - first;
            E::pointwise(
                weights.isa(),
                Pointwise {
                    x,
                    rows: pixels,
                    w: weights,
                    panels,
                    gate: None,
                    ahead: part_of(&expansion.ahead, &(slice..slice + 1), parts * slices),
                    epilogue: &epilogue,
                    out: scratch.as_mut_ptr().wrapping_sub(first),
                    out_stride: width,
                    scratch: &mut [],
                },
            );
            let between = Rows {
                data: &scratch[..pixels * width],
                stride: width,
            };
            for row_part in 0..row_parts {
                let sums = sums.as_ref().map(|sums| {
                    // SAFETY: they have so many, and these channels are no other slice's.
                    unsafe {
                        let from = sums.at(row_part * channels + first);
                        std::slice::from_raw_parts_mut(from, width)
                    }
                });
                let job = Job {
                    x: Ring::whole(between, window.height),
                    window: *window,
                    w: w.taps(first..end),
                    activation,
                    rows: row(row_part)..row(row_part + 1),
                    out: data.at(first),
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
