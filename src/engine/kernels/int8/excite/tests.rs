use super::*;
use crate::exact_scalar;

/// At most `scale`.
fn values(len: usize, seed: usize, scale: f32) -> Vec<f32> {
    (0..len)
        .map(|i| (((i * 37 + seed * 101) % 157) as f32 / 78.0 - 1.0) * scale)
        .collect()
}

/// The definition of one layer.
fn layer(x: &[f32], weights: &[f32], bias: &[f32], activation: Activation) -> Vec<f32> {
    let output = |(row, bias): (&[f32], &f32)| {
        let mut parts = [0.0_f32; 4];
        for (i, (weight, x)) in row.iter().zip(x).enumerate() {
            parts[i % 4] += weight * x;
        }
        let sum = (parts[0] + parts[1]) + (parts[2] + parts[3]);
        exact_scalar(activation, sum + bias)
    };
    weights
        .chunks_exact(x.len())
        .zip(bias)
        .map(output)
        .collect()
}

#[test]
fn both_layers_compute_the_definition() {
    let hard = Activation::HardSigmoid {
        alpha: 1.0 / 6.0,
        beta: 0.5,
    };
    let relu = Activation::Clamp {
        low: 0.0,
        high: f32::INFINITY,
    };
    let sizes = [
        (1, 1),
        (3, 5),
        (16, 4),
        (70, 7),
        (96, 4),
        (129, 33),
        (672, 28),
        (960, 120),
        (2304, 96),
    ];
    for (channels, hidden) in sizes {
        for (activation, gate_activation) in
            [(relu, hard), (Activation::Swish, Activation::Sigmoid)]
        {
            // So that sums of any length are of the same size.
            let scale = |terms: usize| 1.0 / (terms as f32).sqrt();
            let mean = values(channels, 1, 1.0);
            let squeeze = values(hidden * channels, 2, scale(channels));
            let squeeze_bias = values(hidden, 3, 1.0);
            let excitation = values(channels * hidden, 4, scale(hidden));
            let excite_bias = values(channels, 5, 1.0);
            let values = layer(&mean, &squeeze, &squeeze_bias, activation);
            let expected = layer(&values, &excitation, &excite_bias, gate_activation);
            for isa in Isa::available() {
                let mut memory = Memory::new(PackedExcite::bytes(hidden, channels)).unwrap();
                let w = PackedExcite::new(
                    isa,
                    &squeeze,
                    &squeeze_bias,
                    &excitation,
                    &excite_bias,
                    &mut memory,
                );
                let (mut scratch, mut gate) = (vec![0.0; hidden], vec![9.0; channels + 1]);
                let gates = &mut gate;
                excite(&mean, &w, activation, gate_activation, &mut scratch, gates);
                assert_eq!(gate[channels], 9.0, "more is written");
                for (c, (gate, expected)) in gate.iter().zip(&expected).enumerate() {
                    assert_eq!(
                        gate.to_bits(),
                        expected.to_bits(),
                        "{} {channels} x {hidden}, channel {c}: {gate} {expected}",
                        isa.name()
                    );
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "scratch for 4 hidden values")]
fn short_scratch_is_refused() {
    let (isa, memory) = (Isa::available()[0], &mut Memory::none());
    let w = PackedExcite::new(isa, &[0.0; 32], &[0.0; 4], &[0.0; 32], &[0.0; 8], memory);
    let identity = Activation::Identity;
    excite(
        &[0.0; 8],
        &w,
        identity,
        identity,
        &mut [0.0; 3],
        &mut [0.0; 8],
    );
}
