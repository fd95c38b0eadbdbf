use edge_classify_kernels::Rows;
use proptest::prelude::*;

use super::*;

const UNTOUCHED: u8 = 0xa5;

fn quantizations() -> impl Strategy<Value = Quantization> {
    (1e-2f32..1.0, any::<i8>()).prop_map(|(scale, zero_point)| Quantization { scale, zero_point })
}

fn activations() -> impl Strategy<Value = Activation> {
    prop::sample::select(vec![
        Activation::Identity,
        Activation::Clamp {
            low: 0.0,
            high: 6.0,
        },
        Activation::HardSwish,
        Activation::HardSigmoid {
            alpha: 0.2,
            beta: 0.5,
        },
        Activation::Sigmoid,
        Activation::Swish,
    ])
}

/// Pixels, channels, and how many more there are between pixels of each operand and of the output.
fn sizes() -> impl Strategy<Value = (usize, usize, [usize; 3])> {
    (0usize..6, 1usize..150, prop::array::uniform3(0usize..9))
}

/// More than the pixels take.
const MOST: usize = 6 * 160;

fn levels() -> impl Strategy<Value = Vec<i8>> {
    prop::collection::vec(any::<i8>(), MOST)
}

fn stored(isa: Isa, levels: &[i8]) -> Vec<u8> {
    let flip = flip(isa);
    levels.iter().map(|level| *level as u8 ^ flip).collect()
}

/// Some of them so large that products of levels are infinite, or that they are themselves.
fn gates() -> impl Strategy<Value = Vec<f32>> {
    let large = vec![f32::MAX, -1e37, 1e9, -1e6, f32::INFINITY];
    let gate = prop_oneof![9 => -2.0f32..2.0, 1 => prop::sample::select(large)];
    prop::collection::vec(gate, 150)
}

/// Checks each level of the pixels, and that nothing else was written.
fn check(
    isa: Isa,
    out: &[u8],
    stride: usize,
    pixels: usize,
    channels: usize,
    expected: impl Fn(usize, usize) -> i8,
) {
    for (at, byte) in out.iter().enumerate() {
        let (pixel, c) = (at / stride, at % stride);
        if pixel < pixels && c < channels {
            let level = (byte ^ flip(isa)) as i8;
            assert_eq!(
                level,
                expected(pixel, c),
                "{} pixel {pixel} channel {c}",
                isa.name()
            );
        } else {
            assert_eq!(*byte, UNTOUCHED, "{}: more is written", isa.name());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn channels_are_multiplied(
        (pixels, channels, [more, more_out, _]) in sizes(), x in levels(),
        gate in gates(), (input, output) in (quantizations(), quantizations()),
        bounds in (any::<i8>(), any::<i8>()),
    ) {
        let bounds = (bounds.0.min(bounds.1), bounds.0.max(bounds.1));
        let (stride, out_stride) = (channels + more, channels + more_out);
        let gate = &gate[..channels];
        let ratio = (f64::from(input.scale) / f64::from(output.scale)) as f32;
        for isa in Isa::available() {
            let bytes = stored(isa, &x);
            let rows = Rows { data: &bytes, stride };
            let x_picture = Picture { rows, channels, quantization: input };
            let mut out = vec![UNTOUCHED; MOST];
            let to = RowsMut { data: &mut out, stride: out_stride };
            multiply_channels(isa, x_picture, pixels, gate, output, bounds, to);
            check(isa, &out, out_stride, pixels, channels, |pixel, c| {
                let above = i32::from(x[pixel * stride + c]) - i32::from(input.zero_point);
                let factor = gate[c] * ratio;
                let t = above as f32 * if factor.is_finite() { factor } else { 0.0 };
                let level = (t.round_ties_even() as i32).saturating_add(output.zero_point.into());
                level.max(bounds.0.into()).min(bounds.1.into()) as i8
            });
        }
    }

    #[test]
    fn pictures_are_added(
        (pixels, channels, [more_a, more_b, more_out]) in sizes(), (a, b) in (levels(), levels()),
        (q_a, q_b, output) in (quantizations(), quantizations(), quantizations()), activation in activations(),
    ) {
        let (stride_a, stride_b, out_stride) = (channels + more_a, channels + more_b, channels + more_out);
        let definition = Requantization { input: q_a, residual: Some(q_b), output: Some(output), activation };
        let multiplier = definition.multiplier(1.0);
        for isa in Isa::available() {
            let (bytes_a, bytes_b) = (stored(isa, &a), stored(isa, &b));
            let rows_a = Rows { data: &bytes_a, stride: stride_a };
            let rows_b = Rows { data: &bytes_b, stride: stride_b };
            let mut out = vec![UNTOUCHED; MOST];
            let to = RowsMut { data: &mut out, stride: out_stride };
            let picture_a = Picture { rows: rows_a, channels, quantization: q_a };
            let picture_b = Picture { rows: rows_b, channels, quantization: q_b };
            add(isa, picture_a, picture_b, pixels, activation, output, to);
            check(isa, &out, out_stride, pixels, channels, |pixel, c| {
                let above = i32::from(a[pixel * stride_a + c]) - i32::from(q_a.zero_point);
                definition.level(above, multiplier, Some(b[pixel * stride_b + c]))
            });
        }
    }

    #[test]
    fn levels_are_activated(
        (pixels, channels, [more, more_out, _]) in sizes(), x in levels(),
        (input, output) in (quantizations(), quantizations()), activation in activations(),
    ) {
        let (stride, out_stride) = (channels + more, channels + more_out);
        let definition = Requantization { input, residual: None, output: Some(output), activation };
        let multiplier = definition.multiplier(1.0);
        for isa in Isa::available() {
            let bytes = stored(isa, &x);
            let rows = Rows { data: &bytes, stride };
            let mut out = vec![UNTOUCHED; MOST];
            let to = RowsMut { data: &mut out, stride: out_stride };
            let table = ActivationLevels::new(isa, input, activation, output);
            activate(rows, pixels, channels, &table, to);
            check(isa, &out, out_stride, pixels, channels, |pixel, c| {
                let above = i32::from(x[pixel * stride + c]) - i32::from(input.zero_point);
                definition.level(above, multiplier, None)
            });
        }
    }
}

const PLAIN: Quantization = Quantization {
    scale: 1.0,
    zero_point: 0,
};

fn picture(data: &[u8], channels: usize) -> Picture<'_> {
    Picture {
        rows: Rows {
            data,
            stride: channels,
        },
        channels,
        quantization: PLAIN,
    }
}

#[test]
#[should_panic(expected = "3 rows of 4 channels")]
fn a_short_output_is_refused() {
    let (isa, x) = (Isa::available()[0], [0; 12]);
    let out = RowsMut {
        data: &mut [0; 11],
        stride: 4,
    };
    let x = picture(&x, 4);
    add(isa, x, x, 3, Activation::Identity, PLAIN, out);
}

#[test]
#[should_panic(expected = "as many channels to add")]
fn channels_that_differ_are_refused() {
    let (isa, x) = (Isa::available()[0], [0; 12]);
    let out = RowsMut {
        data: &mut [0; 12],
        stride: 4,
    };
    let (a, b) = (picture(&x, 4), picture(&x, 3));
    add(isa, a, b, 3, Activation::Identity, PLAIN, out);
}

#[test]
#[should_panic(expected = "scales of inputs")]
fn scales_that_overflow_are_refused() {
    let tiny = Quantization {
        scale: 1e-9,
        zero_point: 0,
    };
    ActivationLevels::new(Isa::available()[0], PLAIN, Activation::Identity, tiny);
}
