use edge_classify_kernels::{Activation, Rows};
use proptest::prelude::*;

use super::*;

/// Bytes that look random.
fn bytes(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8
    };
    (0..len).map(next).collect()
}

/// A layer: weights with what is done to their sums.
#[derive(Debug, Clone)]
struct Layer {
    levels: Vec<i8>,
    scales: Vec<f32>,
    bias: Vec<f32>,
    requantization: Requantization,
}

impl Layer {
    fn new(channels: usize, taps: usize, requantization: Requantization) -> Layer {
        let weights = bytes(channels * taps, 2);
        let scales = bytes(channels, 3);
        Layer {
            levels: weights.iter().map(|byte| (*byte as i8).max(-127)).collect(),
            scales: scales
                .iter()
                .map(|byte| (f32::from(*byte) + 1.0) * 1e-4)
                .collect(),
            bias: bytes(channels, 4)
                .iter()
                .map(|byte| f32::from(*byte) * 0.02 - 2.5)
                .collect(),
            requantization,
        }
    }

    fn weights(&self) -> QuantizedWeights<'_> {
        QuantizedWeights {
            levels: &self.levels,
            scales: &self.scales,
            bias: &self.bias,
        }
    }

    /// The definition. `x`: levels of whole pixels of so many channels.
    fn level(&self, x: &[i8], channels: usize, p: &Window, at: (usize, usize), c: usize) -> i8 {
        let taps = p.kernel_h * p.kernel_w;
        let weights = &self.levels[c * taps..][..taps];
        let mut sum = i64::from(self.requantization.bias(self.bias[c], self.scales[c]));
        for i in p.taps_of_row(at.0) {
            for j in p.taps_of_column(at.1) {
                let line = at.0 * p.stride_h + i * p.dilation_h - p.pad_top;
                let column = at.1 * p.stride_w + j * p.dilation_w - p.pad_left;
                let level = i64::from(x[(line * p.width + column) * channels + c]);
                let above = level - i64::from(self.requantization.input.zero_point);
                sum += above * i64::from(weights[i * p.kernel_w + j]);
            }
        }
        let multiplier = self.requantization.multiplier(self.scales[c]);
        let sum = i32::try_from(sum).expect("a sum that fits");
        self.requantization.level(sum, multiplier, None)
    }
}

/// How pictures lie in memory: channels more than there are between pixels of the input and of the output, and rows more of
/// the ring.
type Extra = (usize, usize, usize);

fn compare(
    window: &Window,
    channels: usize,
    rows: Range<usize>,
    extra: Extra,
    requantization: Requantization,
) {
    let layer = Layer::new(channels, window.kernel_h * window.kernel_w, requantization);
    let x: Vec<i8> = bytes(window.height * window.width * channels, 1)
        .iter()
        .map(|byte| *byte as i8)
        .collect();
    let zero_point = i32::from(requantization.output.unwrap().zero_point);
    let places = rows
        .clone()
        .flat_map(|y| (0..window.out_width).map(move |column| (y, column)));
    let expected: Vec<Vec<i8>> = places
        .map(|at| {
            let level = |c| layer.level(&x, channels, window, at, c);
            (0..channels).map(level).collect()
        })
        .collect();
    for isa in Isa::available() {
        let flip = flip(isa);
        let stride = channels + extra.0;
        let lines = window.height + extra.2;
        let first = (extra.0 + channels) % lines;
        // What is not a level of the picture is never read, or not used.
        let mut ring = vec![0x55; lines * window.width * stride];
        for (at, pixel) in x.chunks(channels).enumerate() {
            let (y, column) = (at / window.width, at % window.width);
            let to = ((first + y) % lines * window.width + column) * stride;
            for (to, level) in ring[to..].iter_mut().zip(pixel) {
                *to = *level as u8 ^ flip;
            }
        }
        let x = Ring {
            pixels: Rows {
                data: &ring[..(lines * window.width - 1) * stride + channels],
                stride,
            },
            lines,
            first,
        };
        let memory = &mut Memory::none();
        let w = PackedDepthwise::new(
            isa,
            &layer.weights(),
            channels,
            window.kernel_h,
            window.kernel_w,
            requantization,
            memory,
        );
        let out_stride = channels + extra.1;
        let untouched = 0xa5;
        let mut out = vec![untouched; window.out_height * window.out_width * out_stride];
        let mut sums = vec![1000; channels + 1];
        let data = &mut out[..];
        let to = RowsMut {
            data,
            stride: out_stride,
        };
        depthwise(x, window, &w, rows.clone(), to, Some(&mut sums));
        let mut without = vec![untouched; out.len()];
        let data = &mut without[..];
        let to = RowsMut {
            data,
            stride: out_stride,
        };
        depthwise(x, window, &w, rows.clone(), to, None);
        assert_eq!(out, without, "{}: without sums", isa.name());
        let mut expected_sums = vec![1000; channels + 1];
        let before = rows.start * window.out_width;
        for (at, pixel) in out.chunks(out_stride).enumerate() {
            let levels = at.checked_sub(before).and_then(|at| expected.get(at));
            let there = levels.map_or(0, |_| channels);
            assert!(
                pixel[there..].iter().all(|byte| *byte == untouched),
                "{}: more is written",
                isa.name()
            );
            for (c, level) in levels.into_iter().flatten().enumerate() {
                let got = (pixel[c] ^ flip) as i8;
                assert_eq!(got, *level, "{} pixel {at} channel {c}", isa.name());
                expected_sums[c] += i32::from(*level) - zero_point;
            }
        }
        assert_eq!(sums, expected_sums, "{}: sums", isa.name());
    }
}

fn requantizations() -> impl Strategy<Value = Requantization> {
    let activations = prop::sample::select(vec![
        Activation::Identity,
        Activation::Clamp {
            low: 0.0,
            high: 6.0,
        },
        Activation::HardSwish,
        Activation::HardSigmoid {
            alpha: 1.0 / 6.0,
            beta: 0.5,
        },
        Activation::Sigmoid,
        Activation::Swish,
    ]);
    let quantization = |scales: Range<f32>| {
        (scales, any::<i8>()).prop_map(|(scale, zero_point)| Quantization { scale, zero_point })
    };
    let input = quantization(0.005..0.05);
    let output = quantization(0.01..0.2);
    (input, output, activations).prop_map(|(input, output, activation)| Requantization {
        input,
        output: Some(output),
        residual: None,
        activation,
    })
}

/// One axis: size, kernel, stride, dilation, padding before and after; the padding before that there is, and the output's size.
fn axis(
    size: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    pads: (usize, usize),
) -> (usize, usize) {
    let span = (kernel - 1) * dilation + 1;
    let before = pads.0.min(span - 1);
    // A picture that would give no output is padded until it gives one.
    let padded = (size + before + pads.1.min(span - 1)).max(span);
    (before, (padded - span) / stride + 1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn squares_compute_the_definition(
        (channels, size, half, stride) in (1usize..150, (1usize..40, 1usize..40), 1usize..6, 1usize..3),
        (before, after) in ((0usize..11, 0usize..11), (0usize..11, 0usize..11)),
        (same, extra, requantization) in (any::<bool>(), (0usize..9, 0usize..9, 0usize..3), requantizations()),
        (from, to) in (0.0f64..1.0, 0.0f64..1.3),
    ) {
        let kernel = 2 * half + 1;
        let size = (size.0.min(9), if kernel > 5 { size.1.min(20) } else { size.1 });
        // SAME as TensorFlow pads: less before than after.
        let pads = |size: usize, given: (usize, usize)| {
            let total = ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size);
            if same { (total / 2, total - total / 2) } else { given }
        };
        let (pad_top, out_height) = axis(size.0, kernel, stride, 1, pads(size.0, before));
        let (pad_left, out_width) = axis(size.1, kernel, stride, 1, pads(size.1, after));
        let window = Window {
            height: size.0, width: size.1, kernel_h: kernel, kernel_w: kernel, stride_h: stride, stride_w: stride,
            dilation_h: 1, dilation_w: 1, pad_top, pad_left, out_height, out_width,
        };
        let end = ((to * out_height as f64) as usize).min(out_height);
        let rows = (from * (end + 1) as f64) as usize..end;
        compare(&window, channels, rows, extra, requantization);
    }

    #[test]
    fn any_window_computes_the_definition(
        (channels, size) in (1usize..80, (1usize..14, 1usize..14)),
        (kernel, stride, dilation) in ((1usize..8, 1usize..8), (1usize..4, 1usize..4), (1usize..3, 1usize..3)),
        (tops, lefts, extra) in ((0usize..9, 0usize..9), (0usize..9, 0usize..9), (0usize..9, 0usize..9, 0usize..3)),
        requantization in requantizations(),
    ) {
        let (pad_top, out_height) = axis(size.0, kernel.0, stride.0, dilation.0, tops);
        let (pad_left, out_width) = axis(size.1, kernel.1, stride.1, dilation.1, lefts);
        let window = Window {
            height: size.0, width: size.1, kernel_h: kernel.0, kernel_w: kernel.1, stride_h: stride.0,
            stride_w: stride.1, dilation_h: dilation.0, dilation_w: dilation.1, pad_top, pad_left, out_height,
            out_width,
        };
        compare(&window, channels, 0..out_height, extra, requantization);
    }
}

const THREE_BY_THREE: Window = Window {
    height: 4,
    width: 4,
    kernel_h: 3,
    kernel_w: 3,
    stride_h: 1,
    stride_w: 1,
    dilation_h: 1,
    dilation_w: 1,
    pad_top: 1,
    pad_left: 1,
    out_height: 4,
    out_width: 4,
};

const PLAIN: Requantization = Requantization {
    input: Quantization {
        scale: 0.02,
        zero_point: 3,
    },
    output: Some(Quantization {
        scale: 0.1,
        zero_point: -5,
    }),
    residual: None,
    activation: Activation::Identity,
};

fn packed(channels: usize, requantization: Requantization) -> PackedDepthwise {
    let layer = Layer::new(channels, 9, requantization);
    let (isa, memory) = (Isa::available()[0], &mut Memory::none());
    PackedDepthwise::new(
        isa,
        &layer.weights(),
        channels,
        3,
        3,
        requantization,
        memory,
    )
}

/// On 4 x 4 pixels of 8 channels, with slices of the given lengths.
fn with_lengths(x: usize, out: usize, sums: usize, rows: Range<usize>) {
    let w = packed(8, PLAIN);
    let (x, mut out, mut sums) = (vec![0; x], vec![0; out], vec![0; sums]);
    let out = RowsMut {
        data: &mut out,
        stride: 8,
    };
    let x = Rows {
        data: &x,
        stride: 8,
    };
    let x = Ring::whole(x, 4);
    depthwise(x, &THREE_BY_THREE, &w, rows, out, Some(&mut sums));
}

#[test]
fn lengths_that_fit_are_taken() {
    with_lengths(128, 128, 8, 0..4);
}

#[test]
#[should_panic(expected = "16 rows of 8 channels")]
fn a_short_input_is_refused() {
    with_lengths(127, 128, 8, 0..4);
}

#[test]
#[should_panic(expected = "16 rows of 8 channels")]
fn a_short_output_is_refused() {
    with_lengths(128, 127, 8, 0..4);
}

#[test]
#[should_panic(expected = "a sum for each channel")]
fn short_sums_are_refused() {
    with_lengths(128, 128, 7, 0..4);
}

#[test]
#[should_panic(expected = "rows 0..5 of 4")]
fn rows_beyond_the_output_are_refused() {
    with_lengths(128, 128, 8, 0..5);
}

#[test]
#[should_panic(expected = "an output of levels")]
fn an_output_of_values_is_refused() {
    packed(
        8,
        Requantization {
            output: None,
            ..PLAIN
        },
    );
}

#[test]
fn weights_fit_the_bytes_that_are_told() {
    for channels in [1, 15, 16, 17, 32, 33, 63, 64, 65, 144] {
        for kernel in 1..12 {
            let layer = Layer::new(channels, kernel * kernel, PLAIN);
            for isa in Isa::available() {
                let bytes = PackedDepthwise::bytes(isa, channels, kernel * kernel);
                let mut memory = Memory::new([bytes]).unwrap();
                let (weights, memory) = (&layer.weights(), &mut memory);
                let w = PackedDepthwise::new(isa, weights, channels, kernel, kernel, PLAIN, memory);
                let next = memory.take::<u8>(1).addresses().start;
                let taken = w.taps.addresses().start..w.taps.addresses().start + bytes;
                assert!(
                    !taken.contains(&next),
                    "{}: {channels} of {kernel}",
                    isa.name()
                );
            }
        }
    }
}
