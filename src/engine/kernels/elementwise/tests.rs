use half::f16;

use super::*;

const ACTIVATIONS: [Activation; 6] = [
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
];

fn values<E: Element>(len: usize, seed: usize) -> Vec<E> {
    (0..len)
        .map(|i| E::from_f32(((i * 37 + seed * 101) % 157) as f32 * 0.05 - 4.0))
        .collect()
}

fn assert_near<E: Element>(got: E, expected: f32, what: &str) {
    let got = got.to_f32();
    assert!(
        (got - expected).abs() <= 16.0 * E::EPSILON * expected.abs().max(1.0),
        "{what}: {got}, not {expected}"
    );
}

#[test]
fn values_are_activated_and_added() {
    are_activated_and_added::<f32>();
    are_activated_and_added::<f16>();
}

fn are_activated_and_added<E: Element>() {
    for isa in Isa::computing::<E>() {
        for len in (0..70).chain([1000]) {
            for activation in ACTIVATIONS {
                let (a, b) = (values::<E>(len, 1), values::<E>(len, 2));
                let (mut alone, mut sum, mut in_place) =
                    (a.clone(), vec![E::default(); len], a.clone());
                activate(isa, &mut alone, activation);
                add(isa, &a, &b, activation, &mut sum);
                add_in_place(isa, &mut in_place, &b, activation);
                assert_eq!(sum, in_place);
                for i in 0..len {
                    let (a, b) = (a[i].to_f32(), b[i].to_f32());
                    assert_near(alone[i], activation.scalar(a), isa.name());
                    assert_near(sum[i], activation.scalar(a + b), isa.name());
                }
            }
        }
    }
}

#[test]
fn channels_are_multiplied_and_shifted() {
    are_multiplied_and_shifted::<f32>();
    are_multiplied_and_shifted::<f16>();
}

fn are_multiplied_and_shifted<E: Element>() {
    const ROWS: usize = 5;
    let nine = E::from_f32(9.0);
    for isa in Isa::computing::<E>() {
        for channels in 1..40 {
            for (activation, gap) in ACTIVATIONS.into_iter().zip([0, 1, 2, 0, 3, 7]) {
                let (stride, out_stride) = (channels + gap, channels + 7 - gap);
                let x = values::<E>(ROWS * stride, 1);
                let (scale, shift) = (values::<E>(channels, 2), values::<E>(channels, 3));
                let (mut gated, mut shifted) =
                    (vec![nine; ROWS * out_stride], vec![nine; ROWS * out_stride]);
                let from = Rows { data: &x, stride };
                multiply_channels(
                    isa,
                    from,
                    ROWS,
                    &scale,
                    activation,
                    RowsMut {
                        data: &mut gated,
                        stride: out_stride,
                    },
                );
                scale_shift(
                    isa,
                    from,
                    ROWS,
                    &scale,
                    &shift,
                    activation,
                    RowsMut {
                        data: &mut shifted,
                        stride: out_stride,
                    },
                );
                let (mut gated_there, mut shifted_there) = (x.clone(), x.clone());
                let there = RowsMut {
                    data: &mut gated_there,
                    stride,
                };
                multiply_channels_in_place(isa, there, ROWS, &scale, activation);
                let there = RowsMut {
                    data: &mut shifted_there,
                    stride,
                };
                scale_shift_in_place(isa, there, ROWS, &scale, &shift, activation);
                for row in 0..ROWS {
                    for c in 0..out_stride.max(stride) {
                        let (i, o) = (row * stride + c, row * out_stride + c);
                        if c < channels {
                            assert_near(
                                gated[o],
                                activation.scalar(x[i].to_f32() * scale[c].to_f32()),
                                isa.name(),
                            );
                            assert_near(
                                shifted[o],
                                activation
                                    .scalar(x[i].to_f32() * scale[c].to_f32() + shift[c].to_f32()),
                                isa.name(),
                            );
                            assert_eq!((gated_there[i], shifted_there[i]), (gated[o], shifted[o]));
                        } else if c < out_stride {
                            assert_eq!((gated[o], shifted[o]), (nine, nine), "more is written");
                        } else {
                            assert_eq!(
                                (gated_there[i], shifted_there[i]),
                                (x[i], x[i]),
                                "more is written"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "3 + 3 values into 4")]
fn lengths_that_differ_are_refused() {
    add(
        Isa::available()[0],
        &[0.0f32; 3],
        &[0.0; 3],
        Activation::Identity,
        &mut [0.0; 4],
    );
}

#[test]
#[should_panic(expected = "2 rows of 8 channels")]
fn rows_that_are_missing_are_refused() {
    let x = RowsMut {
        data: &mut [0.0; 15],
        stride: 8,
    };
    multiply_channels_in_place(Isa::available()[0], x, 2, &[1.0; 8], Activation::Identity);
}
