//! Depthwise convolution: each channel with its own small kernel.
#![cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    allow(
        dead_code,
        unused_variables,
        reason = "tiles are for instruction sets that others lack"
    )
)]

#[macro_use]
mod unroll;

mod general;
mod groups;
mod layout;
mod quads;
#[cfg(test)]
mod tests;
mod tiles;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

use std::ops::Range;

use edge_classify_kernels::{Isa, Lines, Memory, Ring, RowsMut, Window};

use super::quantization::Quantization;
use super::requantization::{QuantizedWeights, Requantization};
use super::simd::{LevelRange, flip, run};
use general::General;
use layout::Layout;

/// Pixels of which the sum of levels is an `i32`, whatever they are: each is less than 2^8 from the zero point.
pub const MOST_SUMMED: usize = 1 << 22;

/// Channels of the plain weights are padded to a multiple of this: no vector has more lanes.
const PAD: usize = 16;

/// Weights of a depthwise convolution, in the order in which the kernels read them.
#[derive(Debug)]
pub struct PackedDepthwise {
    isa: Isa,
    channels: usize,
    kernel_h: usize,
    kernel_w: usize,
    requantization: Requantization,
    output: Quantization,
    /// kernel_h x kernel_w x channels, these rounded up to a multiple of [`PAD`]: for windows that have no kernel of
    /// their own.
    taps: Lines<i8>,
    /// One for each channel and its padding.
    bias: Vec<i32>,
    multipliers: Vec<f32>,
    /// For the instruction set's own kernels, if it has such and the weights are for one of them.
    own: Option<(Layout, Lines<u8>)>,
}

impl PackedDepthwise {
    /// `weights`: channels rows of kernel_h x kernel_w, in a piece of [`PackedDepthwise::bytes`].
    ///
    /// # Panics
    /// If a length does not agree with the sizes, a size is zero, the output is not of levels or there is a residual, a
    /// weight is -128, or sums may be too large: see [`Requantization::fits`].
    pub fn new(
        isa: Isa,
        weights: &QuantizedWeights,
        channels: usize,
        kernel_h: usize,
        kernel_w: usize,
        requantization: Requantization,
        memory: &mut Memory,
    ) -> Self {
        let taps = kernel_h * kernel_w;
        assert!(
            channels > 0 && taps > 0,
            "a depthwise convolution needs channels and taps"
        );
        assert_eq!(
            (
                weights.levels.len(),
                weights.scales.len(),
                weights.bias.len()
            ),
            (channels * taps, channels, channels),
            "weights, scales and biases of {channels} x {kernel_h} x {kernel_w}"
        );
        assert!(
            weights.levels.iter().all(|weight| *weight != i8::MIN),
            "weights from -127 to 127"
        );
        assert!(
            requantization.residual.is_none(),
            "a depthwise convolution adds nothing"
        );
        let output = requantization.output.expect("an output of levels");
        let stride = channels.next_multiple_of(PAD);
        let mut plain = memory.take::<i8>(taps * stride);
        let (mut bias, mut multipliers) = (vec![0; stride], vec![0.0; stride]);
        for (c, row) in weights.levels.chunks_exact(taps).enumerate() {
            let scale = weights.scales[c];
            bias[c] = requantization.bias(weights.bias[c], scale);
            multipliers[c] = requantization.multiplier(scale);
            assert!(
                requantization.fits(row, bias[c], scale),
                "sums of channel {c} that can be computed with"
            );
            for (tap, weight) in row.iter().enumerate() {
                plain.values_mut()[tap * stride + c] = *weight;
            }
        }
        let layout = (kernel_h == kernel_w)
            .then(|| Layout::of(isa, channels, kernel_h))
            .flatten();
        let own = layout.map(|layout| {
            let mut lines = memory.take::<u8>(layout.bytes());
            let zero_point = requantization.input.zero_point;
            layout.pack(
                weights.levels,
                &bias,
                &multipliers,
                zero_point,
                lines.values_mut(),
            );
            (layout, lines)
        });
        PackedDepthwise {
            isa,
            channels,
            kernel_h,
            kernel_w,
            requantization,
            output,
            taps: plain,
            bias,
            multipliers,
            own,
        }
    }

    /// Bytes that so many taps of each of the channels take, at most.
    pub fn bytes(isa: Isa, channels: usize, taps: usize) -> usize {
        let plain =
            (taps * channels.next_multiple_of(PAD)).next_multiple_of(edge_classify_kernels::LINE);
        let kernel = taps.isqrt();
        let layout = (kernel * kernel == taps)
            .then(|| Layout::of(isa, channels, kernel))
            .flatten();
        plain + layout.map_or(0, |layout| layout.bytes())
    }

    /// Where the weights that are read the most are.
    pub fn addresses(&self) -> Range<usize> {
        match &self.own {
            Some((_, lines)) => lines.addresses(),
            None => self.taps.addresses(),
        }
    }

    /// The byte that a padding's levels are stored as.
    fn zero(&self) -> u8 {
        self.requantization.input.zero_point as u8 ^ flip(self.isa)
    }

    fn range(&self) -> LevelRange {
        LevelRange::new(self.output, self.requantization.bounds())
    }
}

/// What [`depthwise`] was asked for, after its checks: `out` is valid for writing the channels of all of the window's
/// output pixels, and nobody else uses these meanwhile.
struct Job<'a> {
    x: Ring<'a, u8>,
    window: &'a Window,
    w: &'a PackedDepthwise,
    rows: Range<usize>,
    /// The output's first pixel; other channels between the pixels are not touched.
    out: *mut u8,
    out_stride: usize,
    sums: Option<&'a mut [i32]>,
}

/// For the output's rows `rows`, the level of the sum over taps (i, j) of `(in[..] - zero point) * w[i, j, c] +
/// bias[c]`, as [`Requantization`] defines it; taps outside of the picture count as the zero point. `out` is the whole
/// picture. `sums`, if given, gets added for each channel the sum of what was written less its zero point: over all
/// rows, that is the mean's level times the number of pixels. It is exact, in whatever parts the rows are computed.
///
/// # Panics
/// If a slice is too short for `window`, or the ring has not room for its rows, the window's kernel is not that of `w`,
/// `rows` ends after the output, or there are sums of more than [`MOST_SUMMED`] pixels.
pub fn depthwise(
    x: Ring<u8>,
    window: &Window,
    w: &PackedDepthwise,
    rows: Range<usize>,
    out: RowsMut<u8>,
    sums: Option<&mut [i32]>,
) {
    assert_eq!(
        (window.kernel_h, window.kernel_w),
        (w.kernel_h, w.kernel_w),
        "the window of these weights"
    );
    let (_, out_pixels) = window.check_sizes(&rows);
    x.check(window.height, window.width, w.channels);
    out.check(out_pixels, w.channels);
    if let Some(sums) = &sums {
        assert!(sums.len() >= w.channels, "a sum for each channel");
        assert!(
            out_pixels <= MOST_SUMMED,
            "sums of {out_pixels} pixels, more than {MOST_SUMMED}"
        );
    }
    if rows.is_empty() || window.out_width == 0 {
        return;
    }
    let job = Job {
        x,
        window,
        w,
        rows,
        out: out.data.as_mut_ptr(),
        out_stride: out.stride,
        sums,
    };
    let strides = (window.stride_h, window.stride_w);
    let near = (window.dilation_h, window.dilation_w) == (1, 1);
    match &w.own {
        Some((layout, lines)) if near && matches!(strides, (1, 1) | (2, 2)) => {
            layout.run(job, lines.values());
        }
        _ => run(w.isa, General(job)),
    }
}
