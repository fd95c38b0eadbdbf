//! As many multiply-adds as the processor does at best, to measure others by.

use crate::element::Element;
use crate::simd::{Isa, Kernel, Simd};

/// Products and sums in registers alone, in chains that do not wait for one another.
pub struct Peak {
    rounds: usize,
}

/// More chains than any processor has multiply-adds under way; they fit the registers of all but the portable one.
const CHAINS: usize = 12;

impl<E: Element> Kernel<E> for Peak {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd<Element = E>>(self, simd: S) -> f32 {
        // Values that neither vanish nor grow: each chain tends to 1.
        let (a, b) = (simd.splat(0.5), simd.splat(0.5));
        let mut chains: [S::V; CHAINS] = std::array::from_fn(|chain| simd.splat(chain as f32));
        for _ in 0..self.rounds {
            for chain in &mut chains {
                *chain = simd.mul_add(*chain, a, b);
            }
        }
        let mut sum = 0.0;
        for chain in chains {
            sum += simd.sum(chain);
        }
        sum
    }
}

/// Does at least `count` multiply-adds and says how many, with something to show for it.
pub fn multiply_adds<E: Element>(isa: Isa, count: usize) -> (usize, f32) {
    let each = CHAINS * isa.lanes::<E>();
    let rounds = count.div_ceil(each);
    (rounds * each, E::multiply_adds(isa, Peak { rounds }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_done() {
        all_of::<f32>();
        all_of::<half::f16>();
    }

    fn all_of<E: Element>() {
        for isa in Isa::computing::<E>() {
            let (count, sum) = multiply_adds::<E>(isa, 1_000_000);
            assert!((1_000_000..1_001_000).contains(&count), "{}", isa.name());
            assert_eq!(sum, (CHAINS * isa.lanes::<E>()) as f32, "{}", isa.name());
            let (_, start) = multiply_adds::<E>(isa, 0);
            let sum_of_starts = CHAINS * (CHAINS - 1) / 2 * isa.lanes::<E>();
            assert_eq!(start, sum_of_starts as f32, "{}", isa.name());
        }
    }
}
