use std::sync::LazyLock;

use half::f16;
use proptest::prelude::*;

use super::*;
use crate::{Crew, Team};

/// Values from -1 to 1 (a linear congruential generator).
pub fn random(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    })
    .take(len)
    .collect()
}

/// [`random`] values that a type has.
pub fn random_of<E: Element>(seed: u64, len: usize) -> (Vec<f32>, Vec<E>) {
    let values: Vec<E> = random(seed, len).into_iter().map(E::from_f32).collect();
    (values.iter().map(|value| value.to_f32()).collect(), values)
}

/// What rounding may add up to: some units in the last place of the sum of the terms' absolute values, times the steepest
/// slope of an activation (HardSwish: 1.5), and the activation's own error. Rounding every sum of `k` terms by half a unit
/// would reach it from `k` = 16 on if all errors had one sign.
pub fn tolerance<E: Element>(terms: f64, expected: f32) -> f64 {
    8.0 * f64::from(E::EPSILON) * (terms + 1.05 * f64::from(expected.abs().max(0.1)))
}

#[derive(Debug, Clone)]
struct Case {
    rows: usize,
    k: usize,
    n: usize,
    /// Further values between the pixels of the input, the residual and the output.
    gaps: [usize; 3],
    gate: bool,
    bias: bool,
    residual: bool,
    activation: Activation,
    /// That the columns are shared among.
    parts: usize,
    seed: u64,
}

/// Threads that share the columns.
fn team() -> &'static Team {
    static TEAM: LazyLock<Team> = LazyLock::new(|| Team::new(3).unwrap());
    &TEAM
}

fn check_both(case: &Case) {
    check_case::<f32>(case);
    check_case::<f16>(case);
}

fn check_case<E: Element>(case: &Case) {
    let Case {
        rows, k, n, gaps, ..
    } = *case;
    let strides = [k + gaps[0], n + gaps[1], n + gaps[2]];
    // The last pixel has no gap after it.
    let len = |stride: usize, width: usize| {
        if rows == 0 {
            0
        } else {
            (rows - 1) * stride + width
        }
    };
    let (x, given_x) = random_of::<E>(case.seed, len(strides[0], k));
    let (weights, _) = random_of::<E>(case.seed + 1, n * k);
    let (bias, given_bias) = random_of::<E>(case.seed + 2, n);
    let (gate, given_gate) = random_of::<E>(case.seed + 3, k);
    let (residual, given_residual) = random_of::<E>(case.seed + 4, len(strides[1], n));
    let epilogue = Epilogue {
        bias: case.bias.then_some(&given_bias[..]),
        residual: case.residual.then_some(Rows {
            data: &given_residual[..],
            stride: strides[1],
        }),
        activation: case.activation,
    };
    let team = team();
    for isa in Isa::computing::<E>() {
        // In two parts, as they are read.
        let mut w = PackedMatrix::zeros(isa, n, k, &mut Memory::none());
        let (above, below) = weights.split_at(n / 3 * k);
        w.set_rows(n / 3, below);
        w.set_rows(0, above);
        const UNTOUCHED: f32 = 1234.0;
        let input = Rows {
            data: &given_x[..],
            stride: strides[0],
        };
        let factor = Factor {
            gate: case.gate.then_some(&given_gate[..]),
            // Nothing there is read.
            ahead: 1..case.seed as usize,
            ..Factor::new(&w)
        };
        let run = |compute: &mut dyn FnMut(RowsMut<E>)| {
            let mut out = vec![E::from_f32(UNTOUCHED); len(strides[2], n)];
            compute(RowsMut {
                data: &mut out,
                stride: strides[2],
            });
            out
        };
        let mut scratch = vec![E::from_f32(f32::NAN); w.scratch_len(rows)];
        let out = run(&mut |out| pointwise(input, rows, &factor, &epilogue, out, &mut scratch));
        let mut scratch = vec![E::from_f32(f32::NAN); case.parts * w.scratch_len(rows)];
        let shared = run(&mut |out| {
            let crew = Crew::new(team, case.parts, &mut scratch);
            pointwise_by_columns(input, rows, &factor, &epilogue, out, crew);
        });
        assert_eq!(out, shared, "{} {case:?}: shared by columns", isa.name());
        for (i, got) in out.iter().enumerate() {
            let (row, column) = (i / strides[2], i % strides[2]);
            let got = got.to_f32();
            if column >= n {
                assert_eq!(
                    got,
                    UNTOUCHED,
                    "{} wrote between pixels: {case:?}",
                    isa.name()
                );
                continue;
            }
            let mut terms = vec![0.0; 2];
            if case.bias {
                terms[0] = bias[column] as f64;
            }
            if case.residual {
                terms[1] = residual[row * strides[1] + column] as f64;
            }
            terms.extend((0..k).map(|i| {
                let gate = if case.gate { gate[i] } else { 1.0 };
                x[row * strides[0] + i] as f64 * gate as f64 * weights[column * k + i] as f64
            }));
            let expected = case.activation.scalar(terms.iter().sum::<f64>() as f32);
            let tolerance = tolerance::<E>(terms.iter().map(|term| term.abs()).sum(), expected);
            let error = (got - expected).abs() as f64;
            assert!(
                error <= tolerance,
                "{} {case:?}: {got} and not {expected} at {row}, {column}",
                isa.name()
            );
        }
    }
}

fn activations() -> impl Strategy<Value = Activation> {
    prop_oneof![
        Just(Activation::Identity),
        Just(Activation::Clamp {
            low: 0.0,
            high: f32::INFINITY
        }),
        Just(Activation::Clamp {
            low: 0.0,
            high: 6.0
        }),
        Just(Activation::HardSwish),
        Just(Activation::HardSigmoid {
            alpha: 1.0 / 6.0,
            beta: 0.5
        }),
        Just(Activation::Sigmoid),
        Just(Activation::Swish),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_shape_matches_the_definition(
        rows in 0..40usize,
        k in 1..70usize,
        n in 1..80usize,
        gaps in [0..9usize, 0..9usize, 0..9usize],
        [gate, bias, residual] in any::<[bool; 3]>(),
        activation in activations(),
        parts in 1..5usize,
        seed in any::<u32>(),
    ) {
        check_both(&Case { rows, k, n, gaps, gate, bias, residual, activation, parts, seed: seed as u64 });
    }
}

#[test]
fn every_height_and_width_of_tile_matches_the_definition() {
    for rows in 1..30 {
        for n in [4, 8, 16, 24, 32, 40, 48, 56, 64, 67] {
            let activation = Activation::Clamp {
                low: 0.0,
                high: 6.0,
            };
            let case = Case {
                rows,
                k: 9,
                n,
                gaps: [0; 3],
                gate: false,
                bias: true,
                residual: true,
                activation,
                parts: 2,
                seed: 7,
            };
            check_both(&case);
        }
    }
}

#[test]
fn several_blocks_of_rows_match_the_definition() {
    // 128 KiB are 327 rows of 100 channels.
    let activation = Activation::HardSwish;
    let case = Case {
        rows: 1000,
        k: 100,
        n: 40,
        gaps: [0; 3],
        gate: true,
        bias: true,
        residual: true,
        activation,
        parts: 3,
        seed: 8,
    };
    check_both(&case);
}

#[test]
fn rows_that_are_not_there_are_refused() {
    let set = |first: usize, weights: usize| {
        let mut w = PackedMatrix::<f32>::new(Isa::available()[0], &[0.0; 6], 2, 3);
        std::panic::catch_unwind(move || w.set_rows(first, &vec![0.0; weights])).is_ok()
    };
    assert!(set(0, 6) && set(1, 3) && set(2, 0));
    assert!(!set(1, 6) && !set(0, 5) && !set(3, 0) && !set(usize::MAX, 3));
}

#[test]
fn short_slices_are_refused() {
    let w = PackedMatrix::<f32>::new(Isa::available()[0], &[0.0; 6], 2, 3);
    let bias = [0.0; 2];
    let run = |x: usize,
               out: usize,
               stride: usize,
               bias: &[f32],
               gate: Option<&[f32]>,
               scratch: usize| {
        let result = std::panic::catch_unwind(|| {
            let epilogue = Epilogue {
                bias: Some(bias),
                residual: None,
                activation: Activation::Identity,
            };
            let mut out = vec![0.0; out];
            pointwise(
                Rows {
                    data: &vec![0.0; x],
                    stride: 3,
                },
                4,
                &Factor {
                    gate,
                    ..Factor::new(&w)
                },
                &epilogue,
                RowsMut {
                    data: &mut out,
                    stride,
                },
                &mut vec![0.0; scratch],
            );
        });
        result.is_ok()
    };
    let need = w.scratch_len(4);
    assert!(run(12, 8, 2, &bias, Some(&[1.0; 3]), need));
    assert!(!run(11, 8, 2, &bias, None, 0));
    assert!(!run(12, 7, 2, &bias, None, 0));
    assert!(!run(12, 8, 1, &bias, None, 0));
    assert!(!run(12, 8, 2, &bias[..1], None, 0));
    assert!(!run(12, 8, 2, &bias, Some(&[1.0; 2]), need));
    assert!(!run(12, 8, 2, &bias, Some(&[1.0; 3]), need - 1));
}
