use edge_classify_kernels::{Activation, Isa, Memory};
use proptest::prelude::*;

use super::*;
use crate::product::tests::{Weights, computed, defined, random_bytes, requantizations, stored};
use crate::quantization::Quantization;

/// A picture's rows in a ring of `lines`, from the one `first` on.
fn turned(picture: &[u8], height: usize, lines: usize, first: usize) -> Vec<u8> {
    let row_len = picture.len() / height;
    let mut ring = vec![0x55; lines * row_len];
    for (y, row) in picture.chunks_exact(row_len).enumerate() {
        ring[(first + y) % lines * row_len..][..row_len].copy_from_slice(row);
    }
    ring
}

fn check_shape(
    window: Window,
    channels: usize,
    outputs: usize,
    requantization: Requantization,
    seed: u64,
) {
    let x = random_bytes(seed, window.height * window.width * channels);
    let (kernel_h, kernel_w) = (window.kernel_h, window.kernel_w);
    let weights = Weights::random(seed + 1, outputs, channels * kernel_h * kernel_w);
    let pixels = window.out_height * window.out_width;
    let residual = random_bytes(seed + 4, pixels * outputs);
    let residual = requantization.residual.map(|_| residual);
    let expected: Vec<_> = (0..pixels * outputs)
        .map(|at| {
            let (pixel, output) = (at / outputs, at % outputs);
            let zero_point = requantization.input.zero_point;
            let products = products(
                &x,
                zero_point,
                &window,
                channels,
                &weights.levels,
                pixel,
                output,
            );
            let sum = weights.sum(products, &requantization, output);
            let residual = residual.as_ref().map(|residual| residual[at]);
            defined(&requantization, sum, weights.scales[output], residual)
        })
        .collect();
    let lines = window.height + (seed % 3) as usize;
    let first = (seed / 3) as usize % lines;
    for isa in Isa::available() {
        let memory = &mut Memory::none();
        let w = PackedConv::new(
            isa,
            &weights.quantized(),
            outputs,
            channels,
            kernel_h,
            kernel_w,
            requantization,
            memory,
        );
        let ring = turned(&stored(&x, isa), window.height, lines, first);
        let ring = Ring {
            pixels: Rows {
                data: &ring,
                stride: channels,
            },
            lines,
            first,
        };
        let residual = residual.as_ref().map(|residual| stored(residual, isa));
        let mut scratch = vec![0xaa; w.scratch_len(&window)];
        let mut got = Vec::new();
        // In two parts, as two threads would.
        let middle = window.out_height / 2;
        for rows in [0..middle, middle..window.out_height] {
            let first = rows.start * window.out_width * outputs;
            let len = rows.len() * window.out_width * outputs;
            let residual = residual.as_ref().map(|data| Rows {
                data: &data[first..][..len],
                stride: outputs,
            });
            let scratch = std::cell::RefCell::new(&mut scratch);
            got.extend(computed(&requantization, isa, [len, outputs], |out| {
                let scratch = &mut scratch.borrow_mut()[..];
                conv(ring, &window, &w, residual, rows.clone(), out, scratch);
            }));
        }
        assert_eq!(got.len(), expected.len());
        for (at, (got, expected)) in got.iter().zip(&expected).enumerate() {
            assert_eq!(
                got,
                expected,
                "{} {window:?} {channels} to {outputs}, {requantization:?}, value {at}",
                isa.name()
            );
        }
    }
}

/// The sum of products for a pixel and an output.
fn products(
    x: &[i8],
    zero_point: i8,
    window: &Window,
    channels: usize,
    weights: &[i8],
    pixel: usize,
    output: usize,
) -> i64 {
    let (row, column) = (pixel / window.out_width, pixel % window.out_width);
    let mut sum = 0;
    for ky in window.taps_of_row(row) {
        for kx in window.taps_of_column(column) {
            let y = row * window.stride_h + ky * window.dilation_h - window.pad_top;
            let x_ = column * window.stride_w + kx * window.dilation_w - window.pad_left;
            for c in 0..channels {
                let level = x[(y * window.width + x_) * channels + c];
                let weight = weights
                    [((output * channels + c) * window.kernel_h + ky) * window.kernel_w + kx];
                sum += (i64::from(level) - i64::from(zero_point)) * i64::from(weight);
            }
        }
    }
    sum
}

fn window(
    picture: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    pad: [usize; 4],
) -> Window {
    let size = |i: usize| {
        let padded = picture[i] + pad[i] + pad[i + 2];
        padded
            .checked_sub(dilation[i] * (kernel[i] - 1) + 1)
            .map_or(0, |rest| rest / stride[i] + 1)
    };
    Window {
        height: picture[0],
        width: picture[1],
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

fn swish() -> Requantization {
    Requantization {
        input: Quantization {
            scale: 0.02,
            zero_point: 5,
        },
        output: Some(Quantization {
            scale: 0.03,
            zero_point: -100,
        }),
        residual: None,
        activation: Activation::Swish,
    }
}

#[test]
fn stems_and_fused_blocks_match_the_definition() {
    // PyTorch's padding and TensorFlow's, which is at the end alone here; bands of a few rows.
    for (picture, stride, pad, channels, outputs) in [
        ([32, 32], [2, 2], [1, 1, 1, 1], 3, 32),
        ([32, 32], [2, 2], [0, 0, 1, 1], 3, 24),
        ([14, 14], [1, 1], [1, 1, 1, 1], 24, 96),
        ([40, 60], [1, 1], [1, 1, 1, 1], 48, 16),
    ] {
        let window = window(picture, [3, 3], stride, [1, 1], pad);
        check_shape(window, channels, outputs, swish(), 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_window_matches_the_definition(
        picture in [1..12usize, 1..30usize],
        kernel in [1..5usize, 1..5usize],
        stride in [1..4usize, 1..4usize],
        dilation in [1..3usize, 1..3usize],
        pad in [0..5usize, 0..5usize, 0..5usize, 0..5usize],
        channels in 1..12usize,
        outputs in 1..50usize,
        requantization in requantizations(),
        seed in any::<u32>(),
    ) {
        let window = window(picture, kernel, stride, dilation, pad);
        check_shape(window, channels, outputs, requantization, seed.into());
    }
}

#[test]
#[should_panic(expected = "16 rows of 3 channels")]
fn a_short_picture_is_refused() {
    let window = window([4, 4], [3, 3], [1, 1], [1, 1], [0; 4]);
    let weights = Weights::random(1, 1, 27);
    let memory = &mut Memory::none();
    let w = PackedConv::new(
        Isa::best(),
        &weights.quantized(),
        1,
        3,
        3,
        3,
        swish(),
        memory,
    );
    let x = Rows {
        data: &[0; 47],
        stride: 3,
    };
    let out = Output::Levels(edge_classify_kernels::RowsMut {
        data: &mut [0; 4],
        stride: 1,
    });
    let mut scratch = vec![0; w.scratch_len(&window)];
    conv(
        Ring::whole(x, 4),
        &window,
        &w,
        None,
        0..2,
        out,
        &mut scratch,
    );
}
