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
            Activation::Sigmoid => sigmoid(simd, x),
            Activation::Swish => simd.mul(x, sigmoid(simd, x)),
        }
    }
}

#[inline(always)]
fn sigmoid<S: Simd>(simd: S, x: S::V) -> S::V {
    let one = simd.splat(1.0);
    let e = exp(simd, simd.sub(simd.splat(0.0), x));
    simd.div(one, simd.add(one, e))
}

/// e to the power of x, within 2 ulp where neither it nor its inverse overflows; clamped there. The range is reduced by
/// powers of 2 (Cody and Waite), and what is left is a polynomial (Cephes' `expf`).
#[inline(always)]
pub fn exp<S: Simd>(simd: S, x: S::V) -> S::V {
    let x = simd.min(simd.max(x, simd.splat(-87.0)), simd.splat(87.0));
    let n = simd.round(simd.mul(x, simd.splat(std::f32::consts::LOG2_E)));
    // ln 2 in two parts, the first exact in the product.
    let r = simd.mul_add(n, simd.splat(-355.0 / 512.0), x);
    let r = simd.mul_add(n, simd.splat(2.121_944_4e-4), r);
    let mut p = simd.splat(1.987_569_1e-4);
    for c in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        p = simd.mul_add(p, r, simd.splat(c));
    }
    let square = simd.mul(r, r);
    let p = simd.add(simd.mul_add(p, square, r), simd.splat(1.0));
    simd.mul(p, simd.exp2_of_integer(n))
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
