//! Activation functions, applied to accumulators before they are stored.

use super::element::Element;
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
            Activation::Swish => {
                let Exponential {
                    limit, is_small, ..
                } = S::Element::EXPONENTIAL;
                let above = match is_small {
                    true => simd.max(x, simd.splat(-limit)),
                    false => x,
                };
                simd.quotient(above, one_plus_exp(simd, x))
            }
        }
    }
}

/// How `exp(-x)` is computed in a type: it is 2^(n + f) with an integer n and f from -1/2 to 1/2.
#[derive(Debug)]
pub struct Exponential {
    /// It is as at this far from 0 beyond.
    pub limit: f32,
    /// Of a number of this size, the last bits are those of the integer part: here with an exponent's bias.
    pub integers: f32,
    /// Coefficients of (2^f - 1) / f, the highest first, with the least relative error of 2^f (found by Lawson's algorithm).
    pub polynomial: &'static [f32],
    /// Whether the exponential at the limit is too small for x / (1 + exp(-x)) to vanish for any x below.
    pub is_small: bool,
}

/// Its relative error is 1.1e-7 at most.
pub const OF_F32: Exponential = Exponential {
    limit: 87.0,
    integers: 12_582_912.0 + 127.0,
    polynomial: &[
        0.001_330_060_7,
        0.009_669_691,
        0.055_505_585,
        0.240_222_83,
        std::f32::consts::LN_2,
    ],
    is_small: false,
};

/// Its relative error is 1.1e-4 at most. At the limit, n is from -15, of which the power becomes 0, to 15.
pub const OF_F16: Exponential = Exponential {
    limit: 10.7,
    integers: 1536.0 + 15.0,
    polynomial: &[0.055_008_93, 0.242_210_97, 0.693_282_9],
    is_small: true,
};

/// `1 + exp(-x)`: in f32 within 3e-7 of itself for x from -8 to 8 where products and sums are rounded once, and within 5e-6
/// as far as 87 on either side; in f16 within 3e-3. 2^n is put together from its bits.
#[inline(always)]
fn one_plus_exp<S: Simd>(simd: S, x: S::V) -> S::V {
    let Exponential {
        limit,
        integers,
        polynomial,
        ..
    } = S::Element::EXPONENTIAL;
    let base = simd.splat(-std::f32::consts::LOG2_E);
    let integers = simd.splat(integers);
    let x = simd.min(simd.max(x, simd.splat(-limit)), simd.splat(limit));
    let n = simd.mul_add(x, base, integers);
    let f = simd.mul_add(x, base, simd.sub(integers, n));
    let power = simd.exponent(n);
    let mut p = simd.splat(polynomial[0]);
    for c in &polynomial[1..] {
        p = simd.mul_add(p, f, simd.splat(*c));
    }
    simd.mul_add(simd.mul(power, f), p, simd.add(power, simd.splat(1.0)))
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;
    use crate::element::Element;
    use crate::simd::{Isa, Kernel};

    struct Apply<'a, E>(Activation, &'a mut [E]);

    impl<E: Element> Kernel<E> for Apply<'_, E> {
        type Output = ();

        #[inline(always)]
        fn run<S: Simd<Element = E>>(self, simd: S) {
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
        computes_the_definition::<f32>();
        computes_the_definition::<f16>();
    }

    fn computes_the_definition<E: Element>() {
        let inputs = (-20_000..20_001).map(|i| E::from_f32(i as f32 * 5e-3));
        let inputs: Vec<E> = inputs.collect();
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
            for isa in Isa::computing::<E>() {
                let mut values = inputs.clone();
                isa.run(Apply(activation, &mut values));
                for (x, y) in inputs.iter().zip(&values) {
                    let (x, y) = (x.to_f32(), y.to_f32());
                    let expected = activation.scalar(x);
                    let tolerance = 8.4 * E::EPSILON * expected.abs().max(1e-1);
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
