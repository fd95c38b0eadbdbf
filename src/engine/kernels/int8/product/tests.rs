use edge_classify_kernels::{Activation, Isa, Memory, Rows, RowsMut};
use proptest::prelude::*;

use super::*;
use crate::pointwise::pointwise;
use crate::quantization::Quantization;
use crate::requantization::{QuantizedWeights, Requantization};
use crate::simd::flip;

/// Bytes of any value (a linear congruential generator).
pub fn random_bytes(seed: u64, len: usize) -> Vec<i8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as i8
    })
    .take(len)
    .collect()
}

/// Weights, among them the largest, scales and biases of a layer of sums of `k` products, whose multipliers make levels
/// of them that are not all alike.
pub struct Weights {
    pub levels: Vec<i8>,
    pub scales: Vec<f32>,
    pub bias: Vec<f32>,
}

impl Weights {
    pub fn random(seed: u64, n: usize, k: usize) -> Weights {
        let mut levels = random_bytes(seed, n * k);
        for level in &mut levels {
            *level = (*level).max(-127);
        }
        let scale = |byte: i8| (1.0 + f32::from(byte) / 300.0) / (40.0 * (k as f32).sqrt());
        let bias = |byte: i8| f32::from(byte) / 100.0;
        Weights {
            levels,
            scales: random_bytes(seed + 1, n).into_iter().map(scale).collect(),
            bias: random_bytes(seed + 2, n).into_iter().map(bias).collect(),
        }
    }

    pub fn quantized(&self) -> QuantizedWeights<'_> {
        QuantizedWeights {
            levels: &self.levels,
            scales: &self.scales,
            bias: &self.bias,
        }
    }

    /// The sum that a channel's products and its bias make.
    pub fn sum(&self, products: i64, requantization: &Requantization, channel: usize) -> i32 {
        let bias = requantization.bias(self.bias[channel], self.scales[channel]);
        (i64::from(bias) + products).try_into().unwrap()
    }
}

pub fn quantizations() -> impl Strategy<Value = Quantization> {
    (0.005..0.1f32, any::<i8>()).prop_map(|(scale, zero_point)| Quantization { scale, zero_point })
}

pub fn activations() -> impl Strategy<Value = Activation> {
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
        Just(Activation::Clamp {
            low: -0.5,
            high: 0.5
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

pub fn requantizations() -> impl Strategy<Value = Requantization> {
    let [input, output, residual] = [0; 3].map(|_| quantizations());
    let options = (
        proptest::option::weighted(0.7, output),
        proptest::option::of(residual),
    );
    (input, options, activations()).prop_map(|(input, (output, residual), activation)| {
        Requantization {
            input,
            output,
            residual,
            activation,
        }
    })
}

/// Levels as they are stored.
pub fn stored(levels: &[i8], isa: Isa) -> Vec<u8> {
    levels
        .iter()
        .map(|level| *level as u8 ^ flip(isa))
        .collect()
}

/// The bits that a layer computes where its output is, of so many values; `None` where it writes nothing.
pub fn computed(
    requantization: &Requantization,
    isa: Isa,
    [len, stride]: [usize; 2],
    compute: impl Fn(Output),
) -> Vec<Option<u32>> {
    if requantization.output.is_none() {
        let mut data = vec![f32::NAN; len];
        compute(Output::Values(RowsMut {
            data: &mut data,
            stride,
        }));
        let bits = |value: f32| (!value.is_nan()).then_some(value.to_bits());
        return data.into_iter().map(bits).collect();
    }
    let [first, second] = [0, 255].map(|untouched| {
        let mut data = vec![untouched; len];
        compute(Output::Levels(RowsMut {
            data: &mut data,
            stride,
        }));
        data
    });
    let bits = |(first, second)| {
        let level = (first ^ flip(isa)) as i8;
        (first == second).then_some(i32::from(level) as u32)
    };
    first.into_iter().zip(second).map(bits).collect()
}

/// The bits of a value by the definition.
pub fn defined(
    requantization: &Requantization,
    sum: i32,
    scale: f32,
    residual: Option<i8>,
) -> Option<u32> {
    let multiplier = requantization.multiplier(scale);
    Some(match requantization.output {
        Some(_) => i32::from(requantization.level(sum, multiplier, residual)) as u32,
        None => requantization.value(sum, multiplier, residual).to_bits(),
    })
}

#[derive(Debug, Clone)]
struct Case {
    rows: usize,
    k: usize,
    n: usize,
    /// Further values between the pixels of the input, the residual and the output.
    gaps: [usize; 3],
    requantization: Requantization,
    seed: u64,
}

fn check_case(case: &Case) {
    let Case {
        rows,
        k,
        n,
        gaps,
        requantization,
        seed,
    } = case;
    let (rows, k, n) = (*rows, *k, *n);
    let strides = [k + gaps[0], n + gaps[1], n + gaps[2]];
    // The last pixel has no gap after it.
    let len = |stride: usize, width: usize| match rows {
        0 => 0,
        rows => (rows - 1) * stride + width,
    };
    let x = random_bytes(*seed, len(strides[0], k));
    let weights = Weights::random(seed + 1, n, k);
    let residual = random_bytes(seed + 4, len(strides[1], n));
    let residual = requantization.residual.map(|_| residual);
    let zero_point = i64::from(requantization.input.zero_point);
    let len = len(strides[2], n);
    let expected: Vec<_> = (0..len)
        .map(|at| {
            let (row, channel) = (at / strides[2], at % strides[2]);
            if channel >= n {
                return None;
            }
            let levels = &x[row * strides[0]..][..k];
            let products = levels.iter().zip(&weights.levels[channel * k..]);
            let products =
                products.map(|(x, weight)| (i64::from(*x) - zero_point) * i64::from(*weight));
            let sum = weights.sum(products.sum(), requantization, channel);
            let residual = residual
                .as_ref()
                .map(|residual| residual[row * strides[1] + channel]);
            defined(requantization, sum, weights.scales[channel], residual)
        })
        .collect();
    for isa in Isa::available() {
        let mut memory = Memory::none();
        let w = PackedMatrix::new(
            isa,
            &weights.quantized(),
            n,
            k,
            *requantization,
            &mut memory,
        );
        let x = stored(&x, isa);
        let x = Rows {
            data: &x,
            stride: strides[0],
        };
        let residual = residual.as_ref().map(|residual| stored(residual, isa));
        let residual = residual.as_ref().map(|data| Rows {
            data,
            stride: strides[1],
        });
        let got = computed(requantization, isa, [len, strides[2]], |out| {
            pointwise(x, rows, &w, residual, out);
        });
        assert_eq!(got.len(), expected.len());
        for (at, (got, expected)) in got.iter().zip(&expected).enumerate() {
            let (row, channel) = (at / strides[2], at % strides[2]);
            assert_eq!(
                got,
                expected,
                "{} {case:?}: at {row}, {channel}",
                isa.name()
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_shape_matches_the_definition(
        rows in 0..40usize,
        k in 1..70usize,
        n in 1..80usize,
        gaps in [0..9usize, 0..9usize, 0..9usize],
        requantization in requantizations(),
        seed in any::<u32>(),
    ) {
        check_case(&Case { rows, k, n, gaps, requantization, seed: seed.into() });
    }
}

fn plain() -> Requantization {
    Requantization {
        input: Quantization {
            scale: 0.02,
            zero_point: -128,
        },
        output: Some(Quantization {
            scale: 0.03,
            zero_point: -7,
        }),
        residual: None,
        activation: Activation::Identity,
    }
}

#[test]
fn every_height_and_width_of_tile_matches_the_definition() {
    for rows in 1..30 {
        for n in [4, 8, 16, 24, 32, 40, 48, 56, 64, 67] {
            check_case(&Case {
                rows,
                k: 20,
                n,
                gaps: [0; 3],
                requantization: plain(),
                seed: 7,
            });
        }
    }
}

#[test]
fn several_blocks_of_rows_match_the_definition() {
    // 128 KiB are 327 rows of 400 channels.
    check_case(&Case {
        rows: 700,
        k: 400,
        n: 40,
        gaps: [0; 3],
        requantization: plain(),
        seed: 8,
    });
}

#[test]
fn the_largest_products_are_added_exactly() {
    let k = 1280;
    for (level, weight) in [(-128, -127), (-128, 127), (127, -127), (127, 127)] {
        for zero_point in [-128, 127] {
            let requantization = Requantization {
                input: Quantization {
                    scale: 0.02,
                    zero_point,
                },
                output: None,
                ..plain()
            };
            let weights = QuantizedWeights {
                levels: &vec![weight; 4 * k],
                scales: &[1.0; 4],
                bias: &[0.0; 4],
            };
            let products = i32::from(weight) * (i32::from(level) - i32::from(zero_point));
            let expected =
                requantization.value(products * k as i32, requantization.multiplier(1.0), None);
            for isa in Isa::available() {
                let memory = &mut Memory::none();
                let w = PackedMatrix::new(isa, &weights, 4, k, requantization, memory);
                let mut data = [0.0; 8];
                let x = Rows {
                    data: &stored(&vec![level; 2 * k], isa),
                    stride: k,
                };
                let out = Output::Values(RowsMut {
                    data: &mut data,
                    stride: 4,
                });
                pointwise(x, 2, &w, None, out);
                assert_eq!(data, [expected; 8], "{} {level} {weight}", isa.name());
            }
        }
    }
}

#[test]
fn packed_weights_fit_the_piece_that_is_said() {
    for isa in Isa::available() {
        for (n, k) in [(1, 1), (16, 3), (24, 40), (100, 27), (1000, 129)] {
            let weights = Weights::random(1, n, k);
            let bytes = PackedMatrix::bytes(isa, n, k);
            let mut memory = Memory::new([bytes, 1]).unwrap();
            let w = PackedMatrix::new(isa, &weights.quantized(), n, k, plain(), &mut memory);
            let next = memory.take::<u8>(1);
            assert_eq!(
                next.addresses().start - w.addresses().start,
                bytes,
                "{} {n} {k}",
                isa.name()
            );
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let requantization = plain();
    let run = |x: usize, out: usize, stride: usize, values: bool, residual: Option<usize>| {
        let result = std::panic::catch_unwind(|| {
            let requantization = Requantization {
                residual: residual.map(|_| requantization.input),
                ..requantization
            };
            let weights = Weights::random(1, 2, 3);
            let memory = &mut Memory::none();
            let isa = Isa::best();
            let w = PackedMatrix::new(isa, &weights.quantized(), 2, 3, requantization, memory);
            let x = Rows {
                data: &vec![0; x],
                stride: 3,
            };
            let residual = residual.map(|len| vec![0; len]);
            let residual = residual.as_ref().map(|data| Rows { data, stride: 2 });
            let (mut levels, mut reals) = (vec![0; out], vec![0.0; out]);
            let out = match values {
                true => Output::Values(RowsMut {
                    data: &mut reals,
                    stride,
                }),
                false => Output::Levels(RowsMut {
                    data: &mut levels,
                    stride,
                }),
            };
            pointwise(x, 4, &w, residual, out);
        });
        result.is_ok()
    };
    assert!(run(12, 8, 2, false, None) && run(12, 8, 2, false, Some(8)));
    assert!(!run(11, 8, 2, false, None));
    assert!(!run(12, 7, 2, false, None));
    assert!(!run(12, 8, 1, false, None));
    assert!(!run(12, 8, 2, true, None));
    assert!(!run(12, 8, 2, false, Some(7)));
}

#[test]
fn weights_that_cannot_be_summed_are_refused() {
    let pack = |level: i8, bias: f32, n: usize| {
        let result = std::panic::catch_unwind(|| {
            let weights = QuantizedWeights {
                levels: &[level; 6],
                scales: &[0.01; 2],
                bias: &[bias; 2],
            };
            PackedMatrix::new(Isa::best(), &weights, n, 3, plain(), &mut Memory::none());
        });
        result.is_ok()
    };
    assert!(pack(-127, 1.0, 2));
    assert!(!pack(-128, 1.0, 2));
    assert!(!pack(1, 1e9, 2));
    assert!(!pack(1, 1.0, 3));
}
