//! Networks made at random: whatever becomes layers and whatever stays tract's, the results are tract's.

use proptest::prelude::*;
use tract_core::ops::downsample::Downsample;
use tract_core::ops::math::{erf, square, tanh};
use tract_core::ops::nn::{hard_swish, leaky_relu};

use super::*;

/// Numbers that look random.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % n
    }
}

fn shape(b: &Builder, x: OutletId) -> Vec<usize> {
    let fact = b.model.outlet_fact(x).unwrap();
    fact.shape.as_concrete().unwrap().to_vec()
}

/// Keeps values from growing.
fn bounded(b: &mut Builder, x: OutletId) -> OutletId {
    let channels = shape(b, x)[1];
    let x = b.with(Mul, x, 1.0 / channels as f32);
    b.with(Add, x, 0.1)
}

/// One more node, or a few, on one or two of those that there are.
fn grow(b: &mut Builder, numbers: &mut Numbers, known: &[OutletId]) -> OutletId {
    // Rather one of the last.
    let behind = numbers.below(known.len().min(3));
    let x = known[known.len() - 1 - behind];
    let dims = shape(b, x);
    let channels = dims[1];
    let others: Vec<OutletId> = known
        .iter()
        .copied()
        .filter(|other| shape(b, *other)[2..] == dims[2..])
        .collect();
    let other = others[numbers.below(others.len())];
    let same = shape(b, other) == dims;
    match numbers.below(18) {
        0 | 1 => {
            let side = [1, 3][numbers.below(2)];
            let outputs = [4, 6, 12][numbers.below(3)];
            let x = b.conv(x, side, outputs, 1);
            bounded(b, x)
        }
        2 | 3 => {
            let groups = [2, 3, channels][numbers.below(3)];
            if !channels.is_multiple_of(groups) {
                return x;
            }
            let outputs = groups * [1, 2, channels / groups][numbers.below(3)];
            let side = [1, 3][numbers.below(2)];
            let x = b.conv(x, side, outputs, groups);
            bounded(b, x)
        }
        4 => b.norm(x),
        5 => b.with(Max, x, 0.0),
        6 => b.wire(tanh(), &[x]),
        7 => b.wire(erf(), &[x]),
        8 => {
            let x = b.wire(tanh(), &[x]);
            b.wire(square(), &[x])
        }
        9 => b.wire(hard_swish(), &[x]),
        10 => b.wire(leaky_relu(0.2), &[x]),
        11 if same => b.two(Add, x, other),
        12 if same => {
            let gate = b.wire(sigmoid(), &[other]);
            b.two(Mul, x, gate)
        }
        13 if same => {
            let gate = b.wire(tanh(), &[other]);
            b.two(Mul, x, gate)
        }
        14 if channels < 24 => b.wire(TypedConcat { axis: 1 }, &[x, other]),
        15 if channels > 1 => {
            let start = numbers.below(channels);
            let end = start + 1 + numbers.below(channels - start);
            b.slice(x, start, end)
        }
        16 if channels.is_multiple_of(2) => {
            let split = |dims: &[usize]| dims.iter().map(|dim| dim.to_dim()).collect();
            let (one, two) = ([channels], [2, channels / 2]);
            let back = [channels / 2, 2];
            let x = b.wire(AxisOp::Reshape(1, split(&one), split(&two)), &[x]);
            let x = b.wire(AxisOp::Move(1, 2), &[x]);
            b.wire(AxisOp::Reshape(1, split(&back), split(&one)), &[x])
        }
        17 if dims[2] > 2 => {
            let skip = |axis: usize| Downsample {
                axis,
                stride: 2,
                modulo: 0,
            };
            let x = b.wire(skip(2), &[x]);
            b.wire(skip(3), &[x])
        }
        _ => x,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn networks_compute_what_tract_does(seed: u64, nodes in 3usize..14) {
        let mut numbers = Numbers(seed | 1);
        let (mut b, x) = Builder::new();
        let x = b.conv(x, 3, 12, 1);
        let x = bounded(&mut b, x);
        let mut known = vec![x];
        for _ in 0..nodes {
            let grown = grow(&mut b, &mut numbers, &known);
            known.push(grown);
        }
        let last = known[known.len() - 1];
        let sum = Reduce { axes: tvec!(2, 3), reducer: Reducer::Sum };
        let last = b.wire(sum, &[last]);
        if let Err(refused) = b.net(last) {
            // Or weights happened to be 0.
            let fair = ["% of the multiply-adds", "its output is a constant"];
            prop_assert!(fair.iter().any(|end| refused.ends_with(end)), "{refused}");
        }
    }
}
