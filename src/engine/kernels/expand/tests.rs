use std::sync::LazyLock;

use half::f16;
use proptest::prelude::*;

use super::*;
use crate::pointwise::tests::random_of;
use crate::{Factor, Isa, Team, depthwise, pointwise};

#[derive(Debug, Clone)]
struct Case {
    size: [usize; 2],
    inputs: usize,
    channels: usize,
    kernel: usize,
    stride: usize,
    pad: usize,
    /// Further values between the pixels of the input and of the output.
    gaps: [usize; 2],
    parts: usize,
    bias: bool,
    sums: bool,
    seed: u64,
}

const PLAIN: Case = Case {
    size: [4, 5],
    inputs: 2,
    channels: 6,
    kernel: 3,
    stride: 1,
    pad: 1,
    gaps: [0; 2],
    parts: 1,
    bias: true,
    sums: true,
    seed: 1,
};

impl Case {
    fn window(&self) -> Window {
        let [height, width] = self.size;
        let out = |size: usize| (size + 2 * self.pad - self.kernel) / self.stride + 1;
        Window {
            height,
            width,
            kernel_h: self.kernel,
            kernel_w: self.kernel,
            stride_h: self.stride,
            stride_w: self.stride,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: self.pad,
            pad_left: self.pad,
            out_height: out(height),
            out_width: out(width),
        }
    }
}

fn team() -> &'static Team {
    static TEAM: LazyLock<Team> = LazyLock::new(|| Team::new(3).unwrap());
    &TEAM
}

/// What is there before.
const UNTOUCHED: f32 = 77.0;

/// The same bits as one layer after the other, whose rows as many threads share.
fn check<E: Element>(case: &Case) {
    let &Case {
        inputs,
        channels,
        kernel,
        parts,
        seed,
        ..
    } = case;
    let window = case.window();
    let (pixels, out_pixels) = (
        window.height * window.width,
        window.out_height * window.out_width,
    );
    let [x_stride, out_stride] = [inputs + case.gaps[0], channels + case.gaps[1]];
    let (_, x) = random_of::<E>(seed, pixels * x_stride);
    let (weights, _) = random_of::<E>(seed + 1, channels * inputs);
    let (bias, given_bias) = random_of::<E>(seed + 2, channels);
    let (taps, _) = random_of::<E>(seed + 3, channels * kernel * kernel);
    let x = Rows {
        data: &x[..],
        stride: x_stride,
    };
    let given_bias = case.bias.then_some(&given_bias[..]);
    let activation = Activation::HardSwish;
    let relu = Activation::Clamp {
        low: 0.0,
        high: 6.0,
    };
    for isa in Isa::computing::<E>() {
        let w = PackedMatrix::<E>::new(isa, &weights, channels, inputs);
        let d = PackedDepthwise::<E>::new(isa, &taps, Some(&bias), channels, kernel, kernel);
        let row_parts = parts.min(window.out_height);
        let fresh = || {
            let out = vec![E::from_f32(UNTOUCHED); out_pixels * out_stride];
            (out, vec![0.0; row_parts * channels])
        };

        let mut between = vec![E::default(); pixels * channels];
        let epilogue = Epilogue {
            bias: given_bias,
            residual: None,
            activation,
        };
        let rows = RowsMut {
            data: &mut between[..],
            stride: channels,
        };
        pointwise(x, pixels, &Factor::new(&w), &epilogue, rows, &mut []);
        let between = Rows {
            data: &between[..],
            stride: channels,
        };
        let (mut expected, mut expected_sums) = fresh();
        for (part, sums) in expected_sums.chunks_mut(channels).enumerate() {
            let row = |part: usize| window.out_height * part / row_parts;
            let out = RowsMut {
                data: &mut expected[..],
                stride: out_stride,
            };
            let rows = row(part)..row(part + 1);
            depthwise(
                Ring::whole(between, window.height),
                &window,
                &d,
                relu,
                rows,
                out,
                Some(sums),
            );
        }

        let (mut out, mut sums) = fresh();
        let expansion = Expansion {
            x,
            weights: &w,
            bias: given_bias,
            activation,
            // Nothing there is read.
            ahead: 5..seed as usize,
        };
        let mut scratch = vec![E::from_f32(f32::NAN); parts * w.slice_len(pixels)];
        let rows = RowsMut {
            data: &mut out[..],
            stride: out_stride,
        };
        let crew = Crew::new(team(), parts, &mut scratch);
        let wanted = case.sums.then_some(&mut sums[..]);
        expand_depthwise(&expansion, &window, &d, relu, rows, wanted, crew);
        assert_eq!(out, expected, "{} {case:?}", isa.name());
        if case.sums {
            assert_eq!(sums, expected_sums, "{} {case:?}: sums", isa.name());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn slices_change_nothing(
        size in [1..20usize, 1..20usize],
        inputs in 1..20usize,
        channels in 1..150usize,
        kernel in 1..6usize,
        stride in 1..3usize,
        gaps in [0..9usize, 0..9usize],
        parts in 1..5usize,
        [bias, sums] in any::<[bool; 2]>(),
        seed in any::<u32>(),
    ) {
        let pad = kernel / 2;
        let case = Case { size, inputs, channels, kernel, stride, pad, gaps, parts, bias, sums, seed: seed as u64 };
        prop_assume!(size.iter().all(|size| size + 2 * pad >= kernel));
        check::<f32>(&case);
        check::<f16>(&case);
    }
}

#[test]
fn a_large_picture_is_in_many_slices() {
    let case = Case {
        size: [60, 61],
        inputs: 3,
        channels: 100,
        stride: 2,
        parts: 2,
        ..PLAIN
    };
    let w = PackedMatrix::<f32>::new(Isa::best(), &[0.0; 300], 100, 3);
    assert!(w.slice_len(60 * 61) < 60 * 61 * 100, "not all channels");
    check::<f32>(&case);
}

#[test]
fn threads_share_rows_where_few_are_computed_twice() {
    for (height, stride, parts, by_rows) in [
        (48, 1, 1, false),
        (48, 1, 2, true),
        (48, 1, 3, true),
        (48, 1, 4, true),
        (61, 2, 3, true),
        (14, 1, 2, true),
        // One part of the output's seven rows has four.
        (14, 2, 2, false),
        (15, 1, 3, false),
        (2, 1, 3, false),
    ] {
        let case = Case {
            size: [height, 5],
            channels: 100,
            stride,
            parts,
            ..PLAIN
        };
        assert_eq!(shares_rows(&case.window(), parts), by_rows, "{case:?}");
        check::<f32>(&case);
        check::<f16>(&case);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let window = PLAIN.window();
    let isa = Isa::best();
    let w = PackedMatrix::<f32>::new(isa, &[0.0; 12], 6, 2);
    let run = |channels: usize, x: usize, bias: usize, out: usize, sums: usize, scratch: usize| {
        let d = PackedDepthwise::<f32>::new(isa, &vec![0.0; 9 * channels], None, channels, 3, 3);
        let result = std::panic::catch_unwind(|| {
            let expansion = Expansion {
                x: Rows {
                    data: &vec![0.0; x],
                    stride: 2,
                },
                weights: &w,
                bias: Some(&vec![0.0; bias]),
                activation: Activation::Identity,
                ahead: 0..0,
            };
            let (mut out, mut sums) = (vec![0.0; out], vec![0.0; sums]);
            let out = RowsMut {
                data: &mut out[..],
                stride: 6,
            };
            let mut scratch = vec![0.0; scratch];
            let crew = Crew::alone(&mut scratch);
            let identity = Activation::Identity;
            expand_depthwise(
                &expansion,
                &window,
                &d,
                identity,
                out,
                Some(&mut sums),
                crew,
            );
        });
        result.is_ok()
    };
    let need = w.slice_len(20);
    assert!(run(6, 40, 6, 120, 6, need));
    assert!(!run(5, 40, 6, 120, 6, need));
    assert!(!run(6, 39, 6, 120, 6, need));
    assert!(!run(6, 40, 5, 120, 6, need));
    assert!(!run(6, 40, 6, 119, 6, need));
    assert!(!run(6, 40, 6, 120, 5, need));
    assert!(!run(6, 40, 6, 120, 6, need - 1));
}

/// A stride of 0 lets few values be many pixels, of which there is nothing to compute in no scratch.
#[test]
#[cfg(target_pointer_width = "64")]
fn more_scratch_than_there_are_addresses_is_refused() {
    let isa = Isa::best();
    let w = PackedMatrix::<f32>::new(isa, &[0.0; 16], 16, 1);
    let d = PackedDepthwise::<f32>::new(isa, &[0.0; 16], None, 16, 1, 1);
    let mut window = Case {
        kernel: 1,
        pad: 0,
        ..PLAIN
    }
    .window();
    (window.height, window.width) = (1 << 30, 1 << 30);
    (window.out_height, window.out_width) = (1, 1);
    assert_eq!(w.slice_len(1 << 60), usize::MAX);
    let result = std::panic::catch_unwind(|| {
        let expansion = Expansion {
            x: Rows {
                data: &[0.0],
                stride: 0,
            },
            weights: &w,
            bias: None,
            activation: Activation::Identity,
            ahead: 0..0,
        };
        let mut out = [0.0; 16];
        let out = RowsMut {
            data: &mut out[..],
            stride: 16,
        };
        let crew = Crew::alone(&mut []);
        expand_depthwise(
            &expansion,
            &window,
            &d,
            Activation::Identity,
            out,
            None,
            crew,
        );
    });
    assert!(result.is_err());
}
