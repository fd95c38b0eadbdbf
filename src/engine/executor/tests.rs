//! Every layer against its definition, alone and in networks made at random.

mod ahead;
mod chains;
mod delegate;
mod int8;
mod maker;
mod pictures;

use std::collections::BTreeMap;
use std::sync::Arc;

use edge_classify_kernels::{Activation, Element, Isa, Window};
use half::f16;
use proptest::prelude::*;

use maker::{Maker, planes};

use super::arena::Arena;
use super::{Executor, Packed, Picture, Team};
use crate::Threads;
use crate::net::interpreter::interpret;
use crate::net::{Kind, Net, Shape, Span};

/// Long tests do a part of their cases where they are slow: in a debug build, which is for the sanitizer, and on other
/// processors, which are emulated.
const HASTE: usize = match (cfg!(debug_assertions), cfg!(target_arch = "x86_64")) {
    (true, _) => 15,
    (false, false) => 8,
    (false, true) => 1,
};

/// Found and expected values differ by no more than `tolerance`, in parts of the largest; what threads add up in another
/// order by no more than `of_threads`.
fn compute_their_definition<E: Element>(
    seed: u64,
    layers: usize,
    tolerance: f32,
    of_threads: f32,
) -> Result<(), TestCaseError> {
    let (net, input) = Maker::new(seed).net(layers);
    let values = interpret(&net, &input);
    let expected = &values[net.output().value];
    let largest = |values: &[f32]| values.iter().fold(1.0f32, |max, v| max.max(v.abs()));
    // Of f16, there is nothing larger than 65504.
    prop_assume!(values.iter().all(|values| largest(values) < 1e4));
    let scale = largest(expected);
    let single = |values: &[E]| values.iter().map(|v| v.to_f32()).collect::<Vec<_>>();
    for isa in Isa::computing::<E>() {
        let team = |threads| Arc::new(Team::new(Threads::new(threads).unwrap()).unwrap());
        let mut packed = Packed::<E>::new(net.clone(), isa, None).unwrap();
        packed.grain = 1;
        let packed = Arc::new(packed);
        let mut executor = Executor::new(packed.clone(), team(1)).unwrap();
        let input = planes(&input, net.input().channels);
        let first = single(executor.run(&input).unwrap());
        for (found, expected) in first.iter().zip(expected) {
            prop_assert!(
                (found - expected).abs() <= tolerance * scale,
                "{found}, not {expected}"
            );
        }
        // Nothing of one picture is left for the next, nor of one executor for another.
        let mut another = executor.another().unwrap();
        prop_assert_eq!(&single(another.run(&input).unwrap()), &first);
        prop_assert_eq!(&single(executor.run(&input).unwrap()), &first);
        // Threads change nothing but the order in which means are added up.
        for threads in [2, 3] {
            let mut executor = Executor::new(packed.clone(), team(threads)).unwrap();
            let shared = single(executor.run(&input).unwrap());
            for (found, alone) in shared.iter().zip(&first) {
                prop_assert!(
                    (found - alone).abs() <= of_threads * scale,
                    "{found}, not {alone}"
                );
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Where there are vectors of it: on Cortex-A76, and with the feature `portable-half`.
    ///
    /// Some tens of units in the last place: weights are rounded, and so are sums of up to some hundred terms, in each of
    /// the layers.
    #[test]
    fn networks_in_half_precision_come_near_their_definition(seed: u64, layers in 1usize..7) {
        compute_their_definition::<f16>(seed, layers, 32.0 * f16::EPSILON.to_f32(), 16.0 * f16::EPSILON.to_f32())?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn networks_compute_their_definition(seed: u64, layers in 1usize..7) {
        compute_their_definition::<f32>(seed, layers, 1e-4, 1e-5)?;
    }

    #[test]
    fn values_that_are_there_together_are_apart(seed: u64, layers in 1usize..9) {
        let (net, _) = Maker::new(seed).net(layers);
        let steps: Vec<Vec<Span>> = net
            .layers()
            .iter()
            .map(|layer| layer.reads().chain([layer.output]).collect())
            .collect();
        let arena = Arena::plan(&net, true, &steps, 4).unwrap();
        for (step, spans) in steps.iter().enumerate() {
            let written = arena.place(spans[spans.len() - 1]).range(0);
            prop_assert!(written.end <= arena.len());
            // What is read from here on and has been written before.
            for later in &steps[step..] {
                for span in &later[..later.len() - 1] {
                    let before = span.value == net.input_value()
                        || steps[..step].iter().any(|s| s[s.len() - 1].value == span.value);
                    let place = arena.place(*span);
                    let apart = place.range(0).end <= written.start || written.end <= place.offset;
                    let same = span.value == spans[spans.len() - 1].value;
                    prop_assert!(!before || same || apart);
                }
            }
        }
    }
}

#[test]
fn memory_is_used_again() {
    let shape = Shape {
        height: 4,
        width: 4,
        channels: 16,
    };
    let vector = Shape {
        height: 1,
        width: 1,
        channels: 16,
    };
    let mut maker = Maker::new(1);
    let mut span = maker.value(shape);
    for _ in 0..10 {
        let next = maker.value(shape);
        maker.layer(Kind::Activate, span, next, Activation::HardSwish);
        span = next;
    }
    let mean = maker.value(vector);
    maker.layer(Kind::Mean, span, mean, Activation::Identity);
    let net = Net::new(maker.values, maker.layers, 0, mean).unwrap();
    assert_eq!(
        Packed::<f32>::new(net, Isa::available()[0], None)
            .unwrap()
            .arena_len,
        4 * 2 * 256
    );
}

/// Three values of 1 GiB each: a network without weights may not have them, and a 32-bit system has no addresses for them.
#[test]
fn memory_that_cannot_be_had_is_an_error() {
    let packed = |side| {
        let large = Shape {
            height: side,
            width: side,
            channels: 4,
        };
        let mut maker = Maker::new(1);
        let picture = maker.value(large);
        let copies = [(); 2].map(|()| {
            let copy = maker.value(large);
            maker.layer(Kind::Activate, picture, copy, Activation::Identity);
            copy
        });
        let sum = maker.value(large);
        let kind = Kind::Add { other: copies[1] };
        maker.layer(kind, copies[0], sum, Activation::Identity);
        let mean = maker.value(Shape {
            height: 1,
            width: 1,
            channels: 4,
        });
        maker.layer(Kind::Mean, sum, mean, Activation::Identity);
        let net = Net::new(maker.values, maker.layers, 0, mean).unwrap();
        Packed::<f32>::new(net, Isa::available()[0], None)
    };
    assert!(packed(1 << 9).is_ok());
    assert!(packed(1 << 13).is_err());
}
