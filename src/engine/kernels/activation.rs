//! Activation functions, applied to accumulators before they are stored.

use super::simd::Simd;

/// A function of each value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    Identity,
    /// Between two bounds, either of which may be infinite: ReLU, ReLU6.
    Clamp {
        low: f32,
        high: f32,
    },
    /// `x * min(max(x + 3, 0), 6) / 6` (Howard et al. 2019, arXiv:1905.02244).
    HardSwish,
    /// `min(max(alpha * x + beta, 0), 1)`, as ONNX has it.
    HardSigmoid {
        alpha: f32,
        beta: f32,
    },
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `x / (1 + exp(-x))` (SiLU).
    Swish,
}

impl Activation {
    /// The definition.
    pub fn scalar(self, x: f32) -> f32 {
        match self {
            Activation::Identity => x,
            Activation::Clamp { low, high } => x.max(low).min(high),
            Activation::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
            Activation::HardSigmoid { alpha, beta } => (alpha * x + beta).clamp(0.0, 1.0),
            Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Activation::Swish => x / (1.0 + (-x).exp()),
        }
    }

    #[inline(always)]
    pub fn apply<S: Simd>(self, simd: S, x: S::V) -> S::V {
        match self {
            Activation::Identity => x,
            Activation::Clamp { low, high } => {
                simd.min(simd.max(x, simd.splat(low)), simd.splat(high))
            }
            Activation::HardSwish => {
                let gate = simd.add(x, simd.splat(3.0));
                let gate = simd.min(simd.max(gate, simd.splat(0.0)), simd.splat(6.0));
                simd.mul(simd.mul(x, simd.splat(1.0 / 6.0)), gate)
            }
            Activation::HardSigmoid { alpha, beta } => {
                let gate = simd.mul_add(x, simd.splat(alpha), simd.splat(beta));
                simd.min(simd.max(gate, simd.splat(0.0)), simd.splat(1.0))
            }
            Activation::Sigmoid => simd.quotient(simd.splat(1.0), one_plus_exp(simd, x)),
            Activation::Swish => simd.quotient(x, one_plus_exp(simd, x)),
        }
    }
}

/// `1 + exp(-x)`, with a relative error of the exponential's below 3e-7 for x from -8 to 8, and below 4e-6 as far as 87 on
/// either side; it is as at 87 beyond. The range is reduced by powers of 2 (Cody and Waite), and what is left is a
/// polynomial that begins with 1 and has the least relative error (9.2e-8, found by Lawson's algorithm).
#[inline(always)]
fn one_plus_exp<S: Simd>(simd: S, x: S::V) -> S::V {
    use std::f32::consts::{LN_2, LOG2_E};

    let x = simd.min(simd.max(x, simd.splat(-87.0)), simd.splat(87.0));
    let n = simd.round(simd.mul(x, simd.splat(-LOG2_E)));
    // exp(-x) is exp(-r) times 2 to the power of n.
    let r = simd.mul_add(n, simd.splat(LN_2), x);
    let mut p = simd.splat(-8.290_297e-3);
    for c in [
        4.189_796_7e-2,
        -1.666_763_7e-1,
        4.999_915e-1,
        -9.999_997e-1,
        1.0,
    ] {
        p = simd.mul_add(p, r, simd.splat(c));
    }
    simd.add(simd.splat(1.0), simd.times_exp2(p, n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Isa, Kernel};

    struct Apply<'a>(Activation, &'a mut [f32]);

    impl Kernel for Apply<'_> {
        type Output = ();

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            for chunk in self.1.chunks_mut(S::LANES) {
                // SAFETY: the chunk has so many values.
                unsafe {
                    let v = simd.load_first(chunk.as_ptr(), chunk.len());
                    simd.store_first(chunk.as_mut_ptr(), chunk.len(), self.0.apply(simd, v));
                }
            }
        }
    }

    #[test]
    fn every_isa_computes_the_definition() {
        let inputs: Vec<f32> = (-20_000..20_001).map(|i| i as f32 * 5e-3).collect();
        for activation in [
            Activation::Identity,
            Activation::Clamp {
                low: 0.0,
                high: f32::INFINITY,
            },
            Activation::Clamp {
                low: 0.0,
                high: 6.0,
            },
            Activation::HardSwish,
            Activation::HardSigmoid {
                alpha: 1.0 / 6.0,
                beta: 0.5,
            },
            Activation::Sigmoid,
            Activation::Swish,
        ] {
            for isa in Isa::available() {
                let mut values = inputs.clone();
                isa.run(Apply(activation, &mut values));
                for (x, y) in inputs.iter().zip(&values) {
                    let expected = activation.scalar(*x);
                    let tolerance = 1e-6 * expected.abs().max(1e-1);
                    assert!(
                        (y - expected).abs() <= tolerance,
                        "{activation:?} {}: {x} {y} {expected}",
                        isa.name()
                    );
                }
            }
        }
    }
}
