//! As many multiply-adds of levels as the processor does at best, to measure others by.

use edge_classify_kernels::{Activation, Isa, Memory, Rows, RowsMut};

use super::{Output, PackedMatrix, Quantization, QuantizedWeights, Requantization, pointwise};

/// Operands of a product that stay in the level 1 cache of any processor, with few results.
const ROWS: usize = 12;
const K: usize = 512;
const N: usize = 32;

/// Does at least `count` multiply-adds and says how many, with something to show for it.
pub fn multiply_adds(isa: Isa, count: usize) -> (usize, f32) {
    let requantization = Requantization {
        input: Quantization {
            scale: 1.0,
            zero_point: 0,
        },
        output: None,
        residual: None,
        activation: Activation::Identity,
    };
    let weights = QuantizedWeights {
        levels: &[1; N * K],
        scales: &[1.0; N],
        bias: &[0.0; N],
    };
    let w = PackedMatrix::new(isa, &weights, N, K, requantization, &mut Memory::none());
    let x = [super::flip(isa) ^ 1; ROWS * K];
    let mut out = [0.0; ROWS * N];
    let rounds = count.div_ceil(ROWS * K * N);
    for _ in 0..rounds {
        let x = Rows {
            data: &std::hint::black_box(&x)[..],
            stride: K,
        };
        let data = &mut out[..];
        pointwise(
            x,
            ROWS,
            &w,
            None,
            Output::Values(RowsMut { data, stride: N }),
        );
    }
    (rounds * ROWS * K * N, out.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_done() {
        for isa in Isa::available() {
            let (count, sum) = multiply_adds(isa, 1_000_000);
            assert!((1_000_000..1_200_000).contains(&count), "{}", isa.name());
            assert_eq!(sum, (ROWS * N * K) as f32, "{}", isa.name());
        }
    }
}
