use proptest::prelude::*;

use super::*;
use crate::simd::flip;

const UNTOUCHED: u8 = 0xa5;

/// Levels that look random.
fn levels(len: usize, seed: u32) -> Vec<i8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as i8
    };
    (0..len).map(next).collect()
}

fn stored(isa: Isa, levels: &[i8]) -> Vec<u8> {
    let flip = flip(isa);
    levels.iter().map(|level| *level as u8 ^ flip).collect()
}

fn quantizations() -> impl Strategy<Value = Quantization> {
    (1e-3f32..1.0, any::<i8>()).prop_map(|(scale, zero_point)| Quantization { scale, zero_point })
}

/// The definition of a mean of levels above the zero point.
fn mean(sum: i32, count: usize, input: Quantization, output_scale: f32) -> f32 {
    let multiplier = f64::from(input.scale) / (f64::from(output_scale) * count as f64);
    sum as f32 * multiplier as f32
}

fn level_of(mean: f32, output: Quantization) -> i8 {
    (mean.round_ties_even() as i32 + i32::from(output.zero_point)).clamp(-128, 127) as i8
}

fn above(level: i8, q: Quantization) -> i32 {
    i32::from(level) - i32::from(q.zero_point)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn means_are_those_of_each_channel(
        (pixels, channels, more, seed) in (1usize..70, 1usize..150, 0usize..9, any::<u32>()),
        (input, output) in (quantizations(), quantizations()),
    ) {
        let stride = channels + more;
        let x = levels(pixels * stride, seed);
        let sum = |c: usize| -> i32 { x.chunks(stride).map(|pixel| above(pixel[c], input)).sum() };
        let sums: Vec<i32> = (0..channels).map(sum).collect();
        for isa in Isa::available() {
            let bytes = stored(isa, &x);
            let rows = Rows { data: &bytes, stride };
            let (mut values, mut bytes_out) = (vec![0.0; channels], vec![0; channels]);
            global_average(isa, rows, pixels, input, Means::Values(&mut values));
            global_average(isa, rows, pixels, input, Means::Levels(output, &mut bytes_out));
            for c in 0..channels {
                let expected = mean(sums[c], pixels, input, 1.0);
                prop_assert_eq!(values[c].to_bits(), expected.to_bits(), "{} {}", isa.name(), c);
                let expected = level_of(mean(sums[c], pixels, input, output.scale), output);
                prop_assert_eq!((bytes_out[c] ^ flip(isa)) as i8, expected, "{} {}", isa.name(), c);
            }
        }
    }

    #[test]
    fn windows_pool_what_they_see(
        (channels, height, width, seed) in (1usize..80, 1usize..8, 1usize..8, any::<u32>()),
        (kernel, stride, dilation) in ((1usize..4, 1usize..4), (1usize..4, 1usize..4), (1usize..3, 1usize..3)),
        (pad_top, pad_left, more, more_out) in (0usize..4, 0usize..4, 0usize..5, 0usize..5),
        (input, output) in (quantizations(), quantizations()), from in 0.0f64..1.0,
        kind in prop::sample::select(vec![
            Pool::Max, Pool::Average { count_padding: true }, Pool::Average { count_padding: false },
        ]),
    ) {
        let output = if kind == Pool::Max { input } else { output };
        let out_size = |size: usize, pad: usize, stride: usize| (size + 2 * pad - 1) / stride + 1;
        let window = Window {
            height, width, kernel_h: kernel.0, kernel_w: kernel.1, stride_h: stride.0, stride_w: stride.1,
            dilation_h: dilation.0, dilation_w: dilation.1, pad_top, pad_left,
            out_height: out_size(height, pad_top, stride.0), out_width: out_size(width, pad_left, stride.1),
        };
        let rows = (from * window.out_height as f64) as usize..window.out_height;
        let (x_stride, out_stride) = (channels + more, channels + more_out);
        let x = levels(height * width * x_stride, seed);
        let expected = |o: usize, c: usize| {
            let (y, column) = (o / window.out_width, o % window.out_width);
            let mut seen = Vec::new();
            for i in window.taps_of_row(y) {
                for j in window.taps_of_column(column) {
                    let line = y * stride.0 + i * dilation.0 - pad_top;
                    let at = column * stride.1 + j * dilation.1 - pad_left;
                    seen.push(x[(line * width + at) * x_stride + c]);
                }
            }
            let sum: i32 = seen.iter().map(|level| above(*level, input)).sum();
            let count = match kind {
                Pool::Average { count_padding: true } => kernel.0 * kernel.1,
                _ => seen.len(),
            };
            match kind {
                _ if seen.is_empty() => output.zero_point,
                Pool::Max => seen.into_iter().max().unwrap(),
                Pool::Average { .. } => level_of(mean(sum, count, input, output.scale), output),
            }
        };
        for isa in Isa::available() {
            let bytes = stored(isa, &x);
            let pixels = Rows { data: &bytes, stride: x_stride };
            let picture = Picture { rows: pixels, channels, quantization: input };
            let mut out = vec![UNTOUCHED; window.out_height * window.out_width * out_stride];
            let to = RowsMut { data: &mut out, stride: out_stride };
            pool(isa, kind, picture, &window, rows.clone(), output, to);
            for (o, pixel) in out.chunks(out_stride).enumerate() {
                let there = if rows.contains(&(o / window.out_width)) { channels } else { 0 };
                prop_assert!(pixel[there..].iter().all(|byte| *byte == UNTOUCHED), "more is written");
                for (c, byte) in pixel[..there].iter().enumerate() {
                    prop_assert_eq!((byte ^ flip(isa)) as i8, expected(o, c), "{} {:?}", isa.name(), kind);
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "a mean of 0 pixels")]
fn no_pixels_have_no_mean() {
    let x = Rows {
        data: &[],
        stride: 1,
    };
    let q = Quantization {
        scale: 1.0,
        zero_point: 0,
    };
    global_average(Isa::available()[0], x, 0, q, Means::Values(&mut [0.0]));
}
