//! Networks of this family, made at random, before and after each step.

mod maker;

use std::sync::Arc;

use edge_classify_int8::Quantization;
use edge_classify_kernels::Pool;
use proptest::prelude::*;

use super::center::center;
use super::equalize::{bounded_groups, equalize, equalize_groups};
use super::placement::{Placed, place};
use super::rewrite::REWRITES;
use super::statistics::{Channel, Statistics};
use super::*;
use crate::engine::net::{Kind, Span};
use crate::engine::{Executor, Options, Packed, Team, Threads};
use maker::Maker;

/// A network, and pictures for it.
fn made(seed: u64) -> (Net, Vec<Vec<f32>>) {
    let mut maker = Maker::new(seed);
    let pictures = (0..4).map(|_| maker.floats(3 * 16 * 16, 2.0)).collect();
    (maker.net(), pictures)
}

fn engine() -> (Options, Arc<Team>) {
    let options = Options::new(Threads::new(1).unwrap()).unwrap();
    (options, Arc::new(Team::new(options.threads).unwrap()))
}

fn logits(net: &Net, quantizations: &[Option<Quantization>], picture: &[f32]) -> Vec<f32> {
    let (options, team) = engine();
    let mut simulation = Simulation::new(net, quantizations, &options, &team).unwrap();
    simulation.run(picture, &mut |_| ()).unwrap()
}

fn close(found: &[f32], expected: &[f32], tolerance: f32) -> Result<(), TestCaseError> {
    let largest = expected.iter().fold(1.0f32, |m, v| m.max(v.abs()));
    for (found, expected) in found.iter().zip(expected) {
        prop_assert!(
            (found - expected).abs() <= tolerance * largest,
            "{} for {}",
            found,
            expected
        );
    }
    Ok(())
}

/// Every layer reads and writes what its kind can.
fn is_consistent(placed: &Placed) -> Result<(), TestCaseError> {
    let Placed {
        net,
        in_levels,
        shared,
    } = placed;
    prop_assert!(!in_levels[net.input_value()] && !in_levels[net.output().value]);
    for layer in net.layers() {
        let [input, output] = [layer.input, layer.output].map(|span| in_levels[span.value]);
        let is =
            |span: &Option<Span>, levels| span.is_none_or(|span| in_levels[span.value] == levels);
        let good = match &layer.kind {
            Kind::Excite { .. } | Kind::Affine { .. } | Kind::Part { .. } => !input && !output,
            Kind::Pointwise { gate, residual, .. } => {
                let gated = if input {
                    gate.is_none()
                } else {
                    is(gate, false)
                };
                gated && is(residual, input) && (input || !output)
            }
            Kind::Convolution { residual, .. } => is(residual, input) && (input || !output),
            Kind::Mean => input || !output,
            Kind::Activate => true,
            Kind::Multiply { gate } => is(&Some(*gate), false) && input == output,
            Kind::Add { other } => is(&Some(*other), input) && input == output,
            Kind::Depthwise { .. } => input == output,
            Kind::Shuffle { .. } | Kind::Pool { .. } => {
                let max = !matches!(&layer.kind, Kind::Pool { pool, .. } if *pool != Pool::Max);
                let same = shared[layer.input.value] == shared[layer.output.value];
                input == output && (same || !input || !max)
            }
        };
        prop_assert!(good, "{:?}", layer);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn placed_networks_compute_the_same(seed: u64, kept: u64) {
        let (net, pictures) = made(seed);
        let expected = logits(&net, &[], &pictures[0]);
        for kept in [0, kept, u64::MAX] {
            let placed = place(&net, &|layer| kept >> (layer % 64) & 1 == 1).unwrap();
            is_consistent(&placed)?;
            close(&logits(&placed.net, &[], &pictures[0]), &expected, 1e-5)?;
            let some = placed.in_levels.contains(&true);
            prop_assert!(kept != 0 || some);
            prop_assert!(kept != u64::MAX || !some);
        }
    }

    #[test]
    fn equalized_networks_compute_the_same(seed: u64) {
        let (net, pictures) = made(seed);
        let (equalized, _) = equalize(&net, &statistics(&net, &pictures)).unwrap();
        let (groups, statistics) = (bounded_groups(&equalized), statistics(&equalized, &pictures));
        let (equalized, _) = equalize_groups(&equalized, &groups, &statistics).unwrap();
        for picture in &pictures {
            close(&logits(&equalized, &[], picture), &logits(&net, &[], picture), 1e-3)?;
        }
    }
}

#[test]
fn centered_networks_compute_the_same() {
    let mut moved = 0;
    for seed in 0..32 {
        let (net, pictures) = made(seed);
        let before = statistics(&net, &pictures);
        let (centered, count) = center(&net, &before).unwrap();
        for picture in &pictures {
            let (found, expected) = (logits(&centered, &[], picture), logits(&net, &[], picture));
            close(&found, &expected, 1e-3).unwrap();
        }
        let after = statistics(&centered, &pictures);
        let are_centered = |statistics: &&Statistics| {
            let (low, high) = statistics.range();
            let mut means = statistics.channels.iter().map(Channel::mean);
            means.all(|mean| mean.abs() <= 1e-3 * (high - low))
        };
        let [before, after] = [&before, &after].map(|all| all.iter().filter(are_centered).count());
        assert!(after >= count && after >= before, "{after} of {count}");
        moved += after - before;
    }
    assert!(moved > 0);
}

/// What the network's values are like over the pictures.
fn statistics(net: &Net, pictures: &[Vec<f32>]) -> Vec<Statistics> {
    let (options, team) = engine();
    let mut statistics = Statistics::of_values(net);
    let mut float = Simulation::new(net, &[], &options, &team).unwrap();
    for picture in pictures {
        float
            .run(picture, &mut |observed| {
                Statistics::see(&mut statistics, net, &observed)
            })
            .unwrap();
    }
    statistics
}

#[test]
fn quantized_networks_are_near_and_always_the_same() {
    for seed in 0..16 {
        let (net, pictures) = made(seed);
        let (engine, team) = engine();
        let options = QuantizeOptions::default();
        let once = quantize(&net, &pictures, &options, &engine, &mut |_| ()).unwrap();
        let again = quantize(&net, &pictures, &options, &engine, &mut |_| ()).unwrap();
        assert_eq!(&once.net, &again.net);
        let (mean, _) = once.comparison.cosine();
        assert!(mean > 0.95, "{}", mean);
        // In int8, as it was simulated.
        let packed = Packed::new(once.net, engine.isa, engine.cache).unwrap();
        let mut executor = Executor::new(Arc::new(packed), team).unwrap();
        let mut comparison = Comparison::default();
        for picture in &pictures {
            comparison.add(&logits(&net, &[], picture), executor.run(picture).unwrap());
        }
        let (found, _) = comparison.cosine();
        assert!((found - mean).abs() < 0.01, "{}, not {}", found, mean);
    }
}

#[test]
fn what_cannot_be_calibrated_is_refused() {
    let (net, pictures) = made(1);
    let (engine, _) = engine();
    let options = QuantizeOptions::default();
    let without = quantize(&net, &[], &options, &engine, &mut |_| ()).unwrap_err();
    assert!(matches!(without, QuantizeError::NoPictures));
    let mut faulty = pictures;
    faulty[2][5] = f32::INFINITY;
    let error = quantize(&net, &faulty, &options, &engine, &mut |_| ()).unwrap_err();
    assert!(matches!(error, QuantizeError::NotFinite { .. }), "{error}");
}

/// What the report says of the network that it comes with.
#[test]
fn the_report_is_of_the_network() {
    for seed in 0..8 {
        let (net, pictures) = made(seed);
        let (engine, _) = engine();
        let in_float: Vec<usize> = (0..net.layers().len()).step_by(3).collect();
        let options = QuantizeOptions {
            sensitivity: true,
            in_float: in_float.clone(),
            ..QuantizeOptions::default()
        };
        let mut seen = Vec::new();
        let Quantized {
            net: quantized,
            report,
            ..
        } = quantize(&net, &pictures, &options, &engine, &mut |progress| {
            seen.push(progress)
        })
        .unwrap();
        assert_eq!(report.calibration.pictures, pictures.len());
        assert_eq!(report.layers.len(), quantized.layers().len());
        let mut origins = net.layers().iter().enumerate();
        let mut origin = origins.next();
        for (layer, said) in quantized.layers().iter().zip(&report.layers) {
            assert_eq!(said.name, layer.name);
            let in_levels = quantized.quantization(layer.input.value).is_some();
            assert_eq!(
                (said.in_levels, said.reason.is_none()),
                (in_levels, in_levels)
            );
            assert!(said.signal_to_noise.unwrap() > 3.0, "{said:?}");
            let Some((index, own)) = origin.filter(|(_, own)| own.name == layer.name) else {
                assert!(said.sensitivity.is_none());
                continue;
            };
            origin = origins.next();
            assert_eq!(said.sensitivity.is_some(), in_levels, "{said:?}");
            let asked = in_float.contains(&index) && placement::has_kernel(&own.kind);
            let reason = said.reason.as_deref();
            assert_eq!(reason == Some("asked for in float"), asked, "{said:?}");
        }
        assert!(origin.is_none(), "all layers are there");
        let values = 0..quantized.values().len();
        let in_levels = values.filter(|value| quantized.quantization(*value).is_some());
        assert_eq!(report.ranges.len(), in_levels.count());
        for range in &report.ranges {
            assert_eq!(range.histogram.len(), 64);
            assert!(range.histogram.iter().sum::<u64>() > 0);
            assert!(range.seen[0] <= range.seen[1]);
            let best = range.tried.iter().map(|(_, decibel)| *decibel);
            let best = best.fold(f64::NEG_INFINITY, f64::max);
            let chosen = range
                .tried
                .iter()
                .find(|(method, _)| *method == range.method);
            assert_eq!(chosen.unwrap().1, best);
        }
        let names: Vec<&str> = report.steps.iter().map(|step| step.name.as_str()).collect();
        let all = Step::ALL.map(Step::name);
        assert_eq!(names, [&["plain"], &all[..]].concat());
        let is_optional =
            |step: &crate::report::Step| REWRITES.iter().any(|r| r.step.name() == step.name);
        for step in &report.steps {
            assert_eq!(step.taken, step.signal_to_noise.is_some());
            assert!(step.taken || is_optional(step), "{}", step.name);
        }
        assert!(report.size.after < report.size.before);
        let in_order =
            |pair: &[Progress]| pair[0].done <= pair[1].done && pair[1].done <= pair[1].all;
        assert!(seen.windows(2).all(in_order), "{seen:?}");
        let last = seen.last().unwrap();
        assert!(last.done * 10 >= last.all * 6, "{last:?}");
    }
}

/// The seed of a network that is made on purpose.
const UNEVEN: u64 = 8;

#[test]
fn a_step_that_is_left_out_is_not_measured() {
    let (engine, _) = engine();
    let quantized = |seed: u64, options: &QuantizeOptions| {
        let (mut net, pictures) = made(seed);
        if seed == UNEVEN {
            net = Maker::new(seed).uneven_net();
        }
        quantize(&net, &pictures, options, &engine, &mut |_| ()).unwrap()
    };
    let takes = |found: &Quantized, step: Step| {
        let mut steps = found.report.steps.iter();
        steps.any(|taken| taken.taken && taken.name == step.name())
    };
    let with_all: Vec<Quantized> = (0..=UNEVEN)
        .map(|seed| quantized(seed, &QuantizeOptions::default()))
        .collect();
    for left in Step::ALL {
        // Some steps are only taken where they pay.
        let seed = with_all.iter().position(|found| takes(found, left));
        let seed = seed.unwrap_or_else(|| panic!("{left:?} never pays"));
        let found = quantized(seed as u64, &QuantizeOptions::default().without(left));
        assert!(found.net != with_all[seed].net, "{left:?} does nothing");
        assert!(!takes(&found, left));
        let steps = found.report.steps.iter();
        assert!(
            steps
                .clone()
                .all(|step| step.taken == step.signal_to_noise.is_some())
        );
        assert_eq!(steps.count(), 1 + Step::ALL.len());
    }
}

#[test]
fn layers_are_put_in_float_until_classes_are_the_same() {
    let (mut seeds, mut mixed) = (0..40, 0);
    let (engine, _) = engine();
    let options = QuantizeOptions::plain();
    while mixed < 3 {
        let seed = seeds.next().expect("some networks are sensitive");
        let (net, pictures) = made(seed);
        let held_back: Vec<Vec<f32>> = {
            let mut maker = Maker::new(seed + 1000);
            (0..40).map(|_| maker.floats(3 * 16 * 16, 2.0)).collect()
        };
        let within = |most| {
            let limit = Limit {
                held_back: &held_back,
                most,
            };
            quantize_within(&net, &pictures, limit, &options, &engine, &mut |_| ())
        };
        let sensitive = |report: &crate::report::Report| {
            let reasons = report
                .layers
                .iter()
                .filter_map(|layer| layer.reason.as_deref());
            reasons.filter(|reason| *reason == "too sensitive").count()
        };
        // Whatever comes is good enough.
        assert_eq!(sensitive(&within(1.0).unwrap().report), 0);
        match within(0.0) {
            Ok(found) => {
                let (_, team) = super::tests::engine();
                let packed = Packed::new(found.net, engine.isa, engine.cache).unwrap();
                let mut executor = Executor::new(Arc::new(packed), team).unwrap();
                for picture in &held_back {
                    let expected = measure::largest(&logits(&net, &[], picture));
                    assert_eq!(measure::largest(executor.run(picture).unwrap()), expected);
                }
                if sensitive(&found.report) > 0 {
                    assert!(
                        found
                            .report
                            .layers
                            .iter()
                            .any(|layer| layer.sensitivity.is_some())
                    );
                    mixed += 1;
                }
            }
            Err(error) => {
                let is = matches!(error, QuantizeError::TooDifferent { allowed: 0, changed, .. } if changed > 0);
                assert!(is, "{error}");
            }
        }
    }
}
