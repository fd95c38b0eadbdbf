use super::*;
use crate::Rows;
use crate::rows::turned;
use half::f16;
use proptest::prelude::*;

/// [`values`] that a type has.
fn values_of<E: Element>(len: usize, seed: u32) -> (Vec<f32>, Vec<E>) {
    let values: Vec<E> = values(len, seed).into_iter().map(E::from_f32).collect();
    (values.iter().map(|value| value.to_f32()).collect(), values)
}

/// Values that look random, from -1 to 1.
fn values(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32 * 2.0 - 1.0
    };
    (0..len).map(next).collect()
}

/// The definition, in f64.
fn reference(
    x: Rows,
    p: &Window,
    weights: &[f32],
    bias: &[f32],
    channels: usize,
    y: usize,
    c: usize,
) -> Vec<f64> {
    assert_eq!(bias.len(), channels);
    let place = |o: usize, stride: usize, t: usize, dilation: usize, pad: usize, size: usize| {
        (o * stride + t * dilation)
            .checked_sub(pad)
            .filter(|at| *at < size)
    };
    (0..p.out_width)
        .map(|column| {
            let mut sum = f64::from(bias[c]);
            for i in 0..p.kernel_h {
                for j in 0..p.kernel_w {
                    let line = place(y, p.stride_h, i, p.dilation_h, p.pad_top, p.height);
                    let at = place(column, p.stride_w, j, p.dilation_w, p.pad_left, p.width);
                    if let (Some(line), Some(at)) = (line, at) {
                        let weight = weights[(c * p.kernel_h + i) * p.kernel_w + j];
                        sum += f64::from(weight)
                            * f64::from(x.data[(line * p.width + at) * x.stride + c]);
                    }
                }
            }
            sum
        })
        .collect()
}

/// Rounding of sums of taps of at most 1 each, and the activation's own error.
fn tolerance<E: Element>(taps: usize) -> f64 {
    f64::from(E::EPSILON) * (16 + taps) as f64
}

fn compare_both(
    window: &Window,
    channels: usize,
    rows: Range<usize>,
    extra: (usize, usize),
    activation: Activation,
    with_bias: bool,
) {
    compare::<f32>(window, channels, rows.clone(), extra, activation, with_bias);
    compare::<f16>(window, channels, rows, extra, activation, with_bias);
}

fn compare<E: Element>(
    window: &Window,
    channels: usize,
    rows: Range<usize>,
    extra: (usize, usize),
    activation: Activation,
    with_bias: bool,
) {
    let stride = channels + extra.0;
    let (x, given) = values_of::<E>(window.height * window.width * stride, 1);
    let x = Rows { data: &x, stride };
    let lines = window.height + extra.1 % 3;
    let first = (extra.0 + channels) % lines;
    let ring = turned(&given, window.height, lines, first);
    let ring = Ring {
        pixels: Rows {
            data: &ring,
            stride,
        },
        lines,
        first,
    };
    let given = Rows {
        data: &given[..],
        stride,
    };
    let given = Ring::whole(given, window.height);
    let taps = window.kernel_h * window.kernel_w;
    let tolerance = tolerance::<E>(taps);
    let (weights, _) = values_of::<E>(channels * taps, 2);
    let bias = if with_bias {
        values_of::<E>(channels, 3).0
    } else {
        vec![0.0; channels]
    };
    let untouched = E::from_f32(77.0);
    for isa in Isa::computing::<E>() {
        let bias_given = with_bias.then_some(&bias[..]);
        // In two parts, as they are read.
        let (kernel_h, kernel_w) = (window.kernel_h, window.kernel_w);
        let memory = &mut Memory::none();
        let mut w = PackedDepthwise::zeros(isa, bias_given, channels, kernel_h, kernel_w, memory);
        let (first, others) = weights.split_at(channels / 3 * kernel_h * kernel_w);
        w.set_channels(0, first);
        w.set_channels(channels / 3, others);
        let out_stride = channels + extra.1;
        let mut out = vec![untouched; window.out_height * window.out_width * out_stride];
        let mut sums = vec![0.5; channels];
        let to = RowsMut {
            data: &mut out,
            stride: out_stride,
        };
        depthwise(
            given,
            window,
            &w,
            activation,
            rows.clone(),
            to,
            Some(&mut sums),
        );
        let mut without = vec![untouched; out.len()];
        let to = RowsMut {
            data: &mut without,
            stride: out_stride,
        };
        depthwise(ring, window, &w, activation, rows.clone(), to, None);
        assert_eq!(out, without, "{}: without sums, in a ring", isa.name());
        for (at, pixel) in out.chunks(out_stride).enumerate() {
            let there = if rows.contains(&(at / window.out_width)) {
                channels
            } else {
                0
            };
            assert!(
                pixel[there..].iter().all(|v| *v == untouched),
                "{}: more is written",
                isa.name()
            );
        }
        for c in 0..channels {
            let mut total = 0.5;
            for y in rows.clone() {
                let expected = reference(x, window, &weights, &bias, channels, y, c);
                for (column, expected) in expected.into_iter().enumerate() {
                    let expected = f64::from(activation.scalar(expected as f32));
                    let got = out[(y * window.out_width + column) * out_stride + c];
                    let got = f64::from(got.to_f32());
                    assert!(
                        (got - expected).abs() <= tolerance,
                        "{} y {y} x {column} channel {c}: {got}, not {expected}",
                        isa.name()
                    );
                    total += expected;
                }
            }
            let outputs = (rows.len() * window.out_width) as f64;
            assert!(
                (f64::from(sums[c]) - total).abs() <= tolerance * (1.0 + outputs),
                "{} sum {c}",
                isa.name()
            );
        }
    }
}

fn activations() -> impl Strategy<Value = Activation> {
    prop::sample::select(vec![
        Activation::Identity,
        Activation::Clamp {
            low: 0.0,
            high: 6.0,
        },
        Activation::HardSwish,
        Activation::Swish,
    ])
}

/// One axis: size, kernel, stride, dilation, padding before, output size.
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
        (channels, size, half, stride) in (1usize..70, (1usize..40, 1usize..40), 1usize..6, 1usize..3),
        (before, after) in ((0usize..11, 0usize..11), (0usize..11, 0usize..11)),
        (same, extra, activation, with_bias) in (any::<bool>(), (0usize..9, 0usize..9), activations(), any::<bool>()),
        (from, to) in (0.0f64..1.0, 0.0f64..1.3),
    ) {
        let kernel = 2 * half + 1;
        let size = if kernel > 5 { (size.0.min(12), size.1.min(20)) } else { (size.0.min(12), size.1) };
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
        compare_both(&window, channels, rows, extra, activation, with_bias);
    }

    #[test]
    fn any_window_computes_the_definition(
        (channels, size) in (1usize..70, (1usize..14, 1usize..14)),
        (kernel, stride, dilation) in ((1usize..8, 1usize..8), (1usize..4, 1usize..4), (1usize..3, 1usize..3)),
        (tops, lefts, extra) in ((0usize..9, 0usize..9), (0usize..9, 0usize..9), (0usize..9, 0usize..9)),
        activation in activations(),
    ) {
        let (pad_top, out_height) = axis(size.0, kernel.0, stride.0, dilation.0, tops);
        let (pad_left, out_width) = axis(size.1, kernel.1, stride.1, dilation.1, lefts);
        let window = Window {
            height: size.0, width: size.1, kernel_h: kernel.0, kernel_w: kernel.1, stride_h: stride.0,
            stride_w: stride.1, dilation_h: dilation.0, dilation_w: dilation.1, pad_top, pad_left, out_height,
            out_width,
        };
        compare_both(&window, channels, 0..out_height, extra, activation, true);
    }
}

fn three_by_three() -> Window {
    Window {
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
    }
}

/// On 4 x 4 pixels of 8 channels, with slices of the given lengths.
fn with_lengths(x: usize, out: usize, sums: usize, rows: Range<usize>) {
    let w = PackedDepthwise::<f32>::new(Isa::available()[0], &values(72, 1), None, 8, 3, 3);
    let (x, mut out, mut sums) = (vec![0.0; x], vec![0.0; out], vec![0.0; sums]);
    let out = RowsMut {
        data: &mut out,
        stride: 8,
    };
    let x = Rows {
        data: &x,
        stride: 8,
    };
    depthwise(
        Ring::whole(x, 4),
        &three_by_three(),
        &w,
        Activation::Identity,
        rows,
        out,
        Some(&mut sums),
    );
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
#[should_panic(expected = "4 rows in a ring of 3")]
fn a_ring_without_room_is_refused() {
    let w = PackedDepthwise::<f32>::new(Isa::available()[0], &values(72, 1), None, 8, 3, 3);
    let pixels = Rows {
        data: &[0.0; 128],
        stride: 8,
    };
    let out = RowsMut {
        data: &mut [0.0; 128],
        stride: 8,
    };
    let x = Ring::whole(pixels, 3);
    depthwise(
        x,
        &three_by_three(),
        &w,
        Activation::Identity,
        0..4,
        out,
        None,
    );
}
