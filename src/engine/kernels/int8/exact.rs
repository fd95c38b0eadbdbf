//! Activation functions that give the same bits on every processor.

use edge_classify_kernels::{Activation, Portable, Simd};

/// Coefficients of (2^f - 1) / f for f from -1/2 to 1/2, the highest first; the relative error of 2^f is 1.1e-4 at most, of
/// which a level of 8 bits tells nothing.
const POWER: [f32; 3] = [0.055_008_93, 0.242_210_97, 0.693_282_9];

/// exp(-x) is as at this far from 0 beyond.
const LIMIT: f32 = 87.0;

/// Of a number of this size, the last bits are those of the integer part: here with an exponent's bias.
const INTEGERS: f32 = 12_582_912.0 + 127.0;

/// A function of each lane, in operations that IEEE 754 defines, each rounded by itself: never a fused multiply-add, nor an
/// estimate of a quotient.
#[inline(always)]
pub fn exact<S: Simd<Element = f32>>(simd: S, activation: Activation, x: S::V) -> S::V {
    let one = simd.splat(1.0);
    match activation {
        Activation::Identity => x,
        Activation::Clamp { low, high } => simd.min(simd.max(x, simd.splat(low)), simd.splat(high)),
        Activation::HardSwish => {
            let gate = simd.add(x, simd.splat(3.0));
            let gate = simd.min(simd.max(gate, simd.splat(0.0)), simd.splat(6.0));
            simd.mul(simd.mul(x, simd.splat(1.0 / 6.0)), gate)
        }
        Activation::HardSigmoid { alpha, beta } => {
            let gate = simd.add(simd.mul(x, simd.splat(alpha)), simd.splat(beta));
            simd.min(simd.max(gate, simd.splat(0.0)), one)
        }
        Activation::Sigmoid => simd.div(one, one_plus_exp(simd, x)),
        Activation::Swish => simd.div(x, one_plus_exp(simd, x)),
    }
}

/// [`exact`] of one value.
pub fn exact_scalar(activation: Activation, x: f32) -> f32 {
    let simd = Portable;
    exact(simd, activation, simd.splat(x))[0]
}

/// `1 + exp(-x)`: 2^n is put together from its bits. The last operation may be fused or not, as products with a power of two
/// are exact.
#[inline(always)]
fn one_plus_exp<S: Simd<Element = f32>>(simd: S, x: S::V) -> S::V {
    let x = simd.min(simd.max(x, simd.splat(-LIMIT)), simd.splat(LIMIT));
    let x = simd.mul(x, simd.splat(-std::f32::consts::LOG2_E));
    let n = simd.add(x, simd.splat(INTEGERS));
    let f = simd.sub(x, simd.sub(n, simd.splat(INTEGERS)));
    let power = simd.exponent(n);
    let mut p = simd.splat(POWER[0]);
    for c in &POWER[1..] {
        p = simd.add(simd.mul(p, f), simd.splat(*c));
    }
    let one = simd.splat(1.0);
    let mantissa = simd.add(simd.mul(f, p), one);
    simd.mul_add(mantissa, power, one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_near_their_definitions() {
        let hard = Activation::HardSigmoid {
            alpha: 0.2,
            beta: 0.5,
        };
        for x in (-20_000..=20_000).map(|i| i as f32 * 5e-3) {
            for activation in [
                Activation::HardSwish,
                hard,
                Activation::Sigmoid,
                Activation::Swish,
            ] {
                let y = f64::from(x);
                let sigmoid = 1.0 / (1.0 + (-y).exp());
                let expected = match activation {
                    Activation::HardSwish => y * (y + 3.0).clamp(0.0, 6.0) / 6.0,
                    Activation::Sigmoid => sigmoid,
                    Activation::Swish => y * sigmoid,
                    _ => (0.2 * y + 0.5).clamp(0.0, 1.0),
                };
                let found = f64::from(exact_scalar(activation, x));
                let tolerance = 1.2e-4 * expected.abs() + 1e-6;
                assert!(
                    (found - expected).abs() <= tolerance,
                    "{activation:?} of {x}: {found}, not {expected}"
                );
            }
        }
        let relu6 = Activation::Clamp {
            low: 0.0,
            high: 6.0,
        };
        assert_eq!(
            [-1.0, 2.5, 7.0].map(|x| exact_scalar(relu6, x)),
            [0.0, 2.5, 6.0]
        );
        for x in [f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN] {
            let sigmoid = exact_scalar(Activation::Sigmoid, x);
            assert!(
                (sigmoid - f32::from(x > 0.0)).abs() < 1e-30,
                "{sigmoid} of {x}"
            );
        }
    }
}
