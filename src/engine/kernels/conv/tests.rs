use proptest::prelude::*;

use half::f16;

use super::*;
use crate::Rows;
use crate::activation::Activation;
use crate::pointwise::tests::{random_of, tolerance};
use crate::rows::turned;

fn check_both(window: Window, channels: usize, outputs: usize, activation: Activation, seed: u64) {
    check_shape::<f32>(window, channels, outputs, activation, seed);
    check_shape::<f16>(window, channels, outputs, activation, seed);
}

fn check_shape<E: Element>(
    window: Window,
    channels: usize,
    outputs: usize,
    activation: Activation,
    seed: u64,
) {
    let (x, given) = random_of::<E>(seed, window.height * window.width * channels);
    let lines = window.height + (seed % 3) as usize;
    let first = (seed / 3) as usize % lines;
    let ring = turned(&given, window.height, lines, first);
    let ring = Ring {
        pixels: Rows {
            data: &ring,
            stride: channels,
        },
        lines,
        first,
    };
    let area = window.kernel_h * window.kernel_w;
    let (weights, _) = random_of::<E>(seed + 1, outputs * channels * area);
    let (bias, given_bias) = random_of::<E>(seed + 2, outputs);
    let epilogue = Epilogue {
        bias: Some(&given_bias[..]),
        residual: None,
        activation,
    };
    for isa in Isa::computing::<E>() {
        // In two parts, as they are read.
        let (kernel_h, kernel_w) = (window.kernel_h, window.kernel_w);
        let memory = &mut Memory::none();
        let mut w = PackedConv::zeros(isa, outputs, channels, kernel_h, kernel_w, memory);
        let (first, others) = weights.split_at(outputs / 3 * channels * area);
        w.set_outputs(0, first);
        w.set_outputs(outputs / 3, others);
        let mut out = vec![E::from_f32(f32::NAN); window.out_height * window.out_width * outputs];
        let mut scratch = vec![E::from_f32(f32::NAN); w.scratch_len(&window)];
        // In two parts, as two threads would.
        let middle = window.out_height / 2;
        let (upper, lower) = out.split_at_mut(middle * window.out_width * outputs);
        for (rows, data) in [(0..middle, upper), (middle..window.out_height, lower)] {
            conv(
                ring,
                &window,
                &w,
                &epilogue,
                rows,
                RowsMut {
                    data,
                    stride: outputs,
                },
                &mut scratch,
            );
        }
        for (i, got) in out.iter().enumerate() {
            let (pixel, output) = (i / outputs, i % outputs);
            let (sum, terms) = definition(&x, &window, channels, &weights, pixel, output);
            let sum = sum + bias[output] as f64;
            let expected = activation.scalar(sum as f32);
            let got = got.to_f32();
            let error = (got - expected).abs() as f64;
            assert!(
                error <= tolerance::<E>(terms + bias[output].abs() as f64, expected),
                "{} {window:?} {channels} to {outputs}, value {i}: {got} and not {expected}",
                isa.name()
            );
        }
    }
}

/// The sum of products, and of their absolute values.
fn definition(
    x: &[f32],
    window: &Window,
    channels: usize,
    weights: &[f32],
    pixel: usize,
    output: usize,
) -> (f64, f64) {
    let (row, column) = (pixel / window.out_width, pixel % window.out_width);
    let (mut sum, mut terms) = (0.0, 0.0);
    for ky in 0..window.kernel_h {
        for kx in 0..window.kernel_w {
            let y =
                (row * window.stride_h + ky * window.dilation_h) as isize - window.pad_top as isize;
            let x_ = (column * window.stride_w + kx * window.dilation_w) as isize
                - window.pad_left as isize;
            if y < 0 || x_ < 0 || y >= window.height as isize || x_ >= window.width as isize {
                continue;
            }
            for c in 0..channels {
                let value = x[(y as usize * window.width + x_ as usize) * channels + c];
                let weight = weights
                    [((output * channels + c) * window.kernel_h + ky) * window.kernel_w + kx];
                let term = value as f64 * weight as f64;
                sum += term;
                terms += term.abs();
            }
        }
    }
    (sum, terms)
}

fn window(
    image: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    pad: [usize; 4],
) -> Window {
    let size = |i: usize| {
        let padded = image[i] + pad[i] + pad[i + 2];
        padded
            .checked_sub(dilation[i] * (kernel[i] - 1) + 1)
            .map_or(0, |rest| rest / stride[i] + 1)
    };
    Window {
        height: image[0],
        width: image[1],
        kernel_h: kernel[0],
        kernel_w: kernel[1],
        stride_h: stride[0],
        stride_w: stride[1],
        dilation_h: dilation[0],
        dilation_w: dilation[1],
        pad_top: pad[0],
        pad_left: pad[1],
        out_height: size(0),
        out_width: size(1),
    }
}

#[test]
fn stems_and_fused_blocks_match_the_definition() {
    let swish = Activation::Swish;
    // PyTorch's padding and TensorFlow's, which is at the end alone here.
    check_both(
        window([32, 32], [3, 3], [2, 2], [1, 1], [1, 1, 1, 1]),
        3,
        32,
        swish,
        1,
    );
    check_both(
        window([32, 32], [3, 3], [2, 2], [1, 1], [0, 0, 1, 1]),
        3,
        24,
        swish,
        2,
    );
    check_both(
        window([14, 14], [3, 3], [1, 1], [1, 1], [1, 1, 1, 1]),
        24,
        96,
        swish,
        3,
    );
    // Bands of a few rows.
    check_both(
        window([40, 60], [3, 3], [1, 1], [1, 1], [1, 1, 1, 1]),
        48,
        16,
        swish,
        4,
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_window_matches_the_definition(
        image in [1..12usize, 1..30usize],
        kernel in [1..5usize, 1..5usize],
        stride in [1..4usize, 1..4usize],
        dilation in [1..3usize, 1..3usize],
        pad in [0..5usize, 0..5usize, 0..5usize, 0..5usize],
        channels in 1..6usize,
        outputs in 1..50usize,
        seed in any::<u32>(),
    ) {
        let clamp = Activation::Clamp { low: -0.5, high: 1.0 };
        check_both(window(image, kernel, stride, dilation, pad), channels, outputs, clamp, seed as u64);
    }
}

#[test]
#[should_panic(expected = "16 rows of 3 channels")]
fn a_short_image_is_refused() {
    let window = window([4, 4], [3, 3], [1, 1], [1, 1], [0, 0, 0, 0]);
    let w = PackedConv::new(Isa::available()[0], &[0.0; 27], 1, 3, 3, 3);
    let epilogue = Epilogue {
        bias: None,
        residual: None,
        activation: Activation::Identity,
    };
    let x = Rows {
        data: &[0.0; 47],
        stride: 3,
    };
    conv(
        Ring::whole(x, 4),
        &window,
        &w,
        &epilogue,
        0..2,
        RowsMut {
            data: &mut [0.0; 4],
            stride: 1,
        },
        &mut [],
    );
}
