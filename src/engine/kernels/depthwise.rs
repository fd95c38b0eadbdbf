//! Depthwise convolution: each channel with its own small kernel.

mod general;
mod strips;
#[cfg(test)]
mod tests;

use std::ops::Range;

use super::transpose::write_columns;
use super::{Activation, Element, Isa, Lines, Memory, Ring, RowsMut, Window};
use general::General;
use strips::Strips;

/// More than any vector's lanes, so that a whole vector can be read at any channel.
const PAD: usize = 16;

/// Weights of a depthwise convolution, in the order in which the kernels read them.
#[derive(Debug)]
pub struct PackedDepthwise<E = f32> {
    isa: Isa,
    channels: usize,
    kernel_h: usize,
    kernel_w: usize,
    /// From one tap to the next: the channels, rounded up to whole vectors.
    tap_stride: usize,
    /// kernel_h x kernel_w x tap_stride
    taps: Lines<E>,
    /// tap_stride
    bias: Vec<E>,
}

impl<E: Element> PackedDepthwise<E> {
    /// `weights`: channels x kernel_h x kernel_w.
    ///
    /// # Panics
    /// If a length does not agree with the sizes, or a size is zero.
    pub fn new(
        isa: Isa,
        weights: &[f32],
        bias: Option<&[f32]>,
        channels: usize,
        kernel_h: usize,
        kernel_w: usize,
    ) -> Self {
        let memory = &mut Memory::none();
        let mut packed = PackedDepthwise::zeros(isa, bias, channels, kernel_h, kernel_w, memory);
        assert_eq!(
            weights.len(),
            channels * kernel_h * kernel_w,
            "weights of {channels} x {kernel_h} x {kernel_w}"
        );
        packed.set_channels(0, weights);
        packed
    }

    /// channels x kernel_h x kernel_w weights that are to be set, in a piece of [`PackedDepthwise::bytes`].
    ///
    /// # Panics
    /// If the bias has another length, or a size is zero.
    pub fn zeros(
        isa: Isa,
        bias: Option<&[f32]>,
        channels: usize,
        kernel_h: usize,
        kernel_w: usize,
        memory: &mut Memory,
    ) -> Self {
        let taps = kernel_h * kernel_w;
        assert!(
            channels > 0 && taps > 0,
            "a depthwise convolution needs channels and taps"
        );
        let tap_stride = channels.next_multiple_of(PAD);
        let mut padded = vec![E::default(); tap_stride];
        if let Some(bias) = bias {
            assert_eq!(bias.len(), channels, "a bias for each channel");
            E::narrow(bias, &mut padded[..channels]);
        }
        PackedDepthwise {
            isa,
            channels,
            kernel_h,
            kernel_w,
            tap_stride,
            taps: memory.take(Self::len(channels, taps)),
            bias: padded,
        }
    }

    /// Bytes that so many taps of each of the channels take.
    pub fn bytes(channels: usize, taps: usize) -> usize {
        Self::len(channels, taps) * size_of::<E>()
    }

    fn len(channels: usize, taps: usize) -> usize {
        taps * channels.next_multiple_of(PAD)
    }

    /// Sets the weights of whole channels, from the channel `first` on.
    ///
    /// # Panics
    /// If there are not so many channels, or the last has not all of its weights.
    pub fn set_channels(&mut self, first: usize, weights: &[f32]) {
        let taps = self.kernel_h * self.kernel_w;
        let count = weights.len() / taps;
        assert!(
            count * taps == weights.len() && first.saturating_add(count) <= self.channels,
            "{} weights from channel {first} on of {}",
            weights.len(),
            self.channels
        );
        write_columns(
            weights,
            taps,
            self.taps.values_mut(),
            self.tap_stride,
            first,
        );
    }

    /// Where the weights are.
    pub fn addresses(&self) -> Range<usize> {
        self.taps.addresses()
    }

    /// Those of some channels, from a multiple of a vector's lanes on.
    pub(super) fn taps(&self, channels: Range<usize>) -> Taps<'_, E> {
        Taps {
            channels: channels.len(),
            kernel_w: self.kernel_w,
            stride: self.tap_stride,
            taps: &self.taps.values()[channels.start..],
            bias: &self.bias[channels.start..],
        }
    }

    /// Panics unless the weights are of the window's size.
    pub(super) fn check(&self, window: &Window) {
        assert_eq!(
            (window.kernel_h, window.kernel_w),
            (self.kernel_h, self.kernel_w),
            "the window of these weights"
        );
    }

    pub fn channels(&self) -> usize {
        self.channels
    }
}

/// Weights and biases of some channels.
#[derive(Clone, Copy)]
pub(super) struct Taps<'a, E> {
    channels: usize,
    kernel_w: usize,
    /// From one tap to the next.
    stride: usize,
    /// From the first channel's on; behind the last tap's last channel there are those of whole vectors.
    taps: &'a [E],
    bias: &'a [E],
}

/// What [`depthwise`] was asked for, after its checks: `out` is valid for writing the channels of all of the window's output
/// pixels, and nobody else uses these meanwhile.
pub struct Job<'a, E> {
    pub(super) x: Ring<'a, E>,
    pub(super) window: Window,
    pub(super) w: Taps<'a, E>,
    pub(super) activation: Activation,
    pub(super) rows: Range<usize>,
    /// The output's first pixel; other channels between the pixels are not touched.
    pub(super) out: *mut E,
    pub(super) out_stride: usize,
    pub(super) sums: Option<&'a mut [f32]>,
}

/// `out[y, x, c] = activation(sum over taps (i, j) of in[..] * w[i, j, c] + bias[c])` for the output's rows `rows`; taps
/// outside of the picture count as zero. `out` is the whole picture. `sums`, if given, gets added for each channel the sum of
/// what was written: over all rows, that is the mean times the number of pixels.
///
/// # Panics
/// If a slice is too short for `window`, or the ring has not room for its rows, the window's kernel is not that of `w`, or `rows` ends after the output.
pub fn depthwise<E: Element>(
    x: Ring<E>,
    window: &Window,
    w: &PackedDepthwise<E>,
    activation: Activation,
    rows: Range<usize>,
    out: RowsMut<E>,
    sums: Option<&mut [f32]>,
) {
    w.check(window);
    let (_, out_pixels) = window.check_sizes(&rows);
    x.check(window.height, window.width, w.channels);
    out.check(out_pixels, w.channels);
    if let Some(sums) = &sums {
        assert!(sums.len() >= w.channels, "a sum for each channel");
    }
    if rows.is_empty() || window.out_width == 0 {
        return;
    }
    let job = Job {
        x,
        window: *window,
        w: w.taps(0..w.channels),
        activation,
        rows,
        out: out.data.as_mut_ptr(),
        out_stride: out.stride,
        sums,
    };
    E::depthwise(w.isa, job);
}

impl<E: Element> Job<'_, E> {
    /// Runs the kernel that is best for the window.
    pub fn run(self, isa: Isa) {
        let (window, channels) = (&self.window, self.w.channels);
        let plain = window.kernel_h == window.kernel_w
            && window.stride_h == window.stride_w
            && (window.dilation_h, window.dilation_w) == (1, 1)
            && channels >= isa.wide_lanes::<E>();
        match (plain, window.kernel_h, window.stride_h) {
            (true, 3, 1) => isa.run_wide(Strips::<E, 3, 1>(self)),
            (true, 3, 2) => isa.run_wide(Strips::<E, 3, 2>(self)),
            (true, 5, 1) => isa.run_wide(Strips::<E, 5, 1>(self)),
            (true, 5, 2) => isa.run_wide(Strips::<E, 5, 2>(self)),
            (true, 7, 1) => isa.run_wide(Strips::<E, 7, 1>(self)),
            (true, 7, 2) => isa.run_wide(Strips::<E, 7, 2>(self)),
            (true, 9, 1) => isa.run_wide(Strips::<E, 9, 1>(self)),
            (true, 9, 2) => isa.run_wide(Strips::<E, 9, 2>(self)),
            (true, 11, 1) => isa.run_wide(Strips::<E, 11, 1>(self)),
            (true, 11, 2) => isa.run_wide(Strips::<E, 11, 2>(self)),
            _ => isa.run(General(self)),
        }
    }
}
