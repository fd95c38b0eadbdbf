//! Every network of the zoo against its reference implementation, with synthetic weights.

mod support;

use std::collections::BTreeMap;
use std::sync::Mutex;

use edge_classify::compile;
use edge_classify::engine::{Options, Threads};
use edge_classify::session::{Program, Session};
use edge_classify::zoo::{self, Export, NetworkDef, Registry, Weights, synthetic_tensor};
use edge_classify_kernels::Isa;
use serde::Deserialize;
use support::{run, stderr};

/// A line of tests/reference/zoo.csv.
#[derive(Debug, Deserialize)]
struct Reference {
    name: String,
    size: usize,
    parameters: u64,
    multiply_adds: u64,
}

fn references() -> Vec<Reference> {
    let mut file = csv::Reader::from_path("tests/reference/zoo.csv").unwrap();
    file.deserialize().map(Result::unwrap).collect()
}

/// The logits of each reference, by its name.
fn recorded_logits() -> BTreeMap<String, Vec<f32>> {
    let file = std::fs::File::open("tests/reference/zoo.npy").unwrap();
    let values: Vec<f32> = npyz::NpyFile::new(file).unwrap().into_vec().unwrap();
    let rows = values.chunks_exact(1000).map(<[f32]>::to_vec);
    references()
        .into_iter()
        .map(|reference| reference.name)
        .zip(rows)
        .collect()
}

/// Largest difference in parts of the reference's range.
fn difference(logits: &[f32], reference: &[f32]) -> f32 {
    assert_eq!(logits.len(), reference.len());
    let max = reference.iter().copied().fold(f32::MIN, f32::max);
    let min = reference.iter().copied().fold(f32::MAX, f32::min);
    let apart = logits.iter().zip(reference).map(|(a, b)| (a - b).abs());
    // Not `f32::max`, which drops what is not a number.
    apart.max_by(f32::total_cmp).unwrap() / (max - min)
}

/// Of each of `isas`.
fn logits(
    network: &NetworkDef,
    size: usize,
    opset: i64,
    fold_bn: bool,
    isas: &[Isa],
) -> Vec<Vec<f32>> {
    let graph = zoo::graph(network, size, 1000).unwrap();
    let mut onnx = Vec::new();
    let export = Export {
        graph: &graph,
        weights: &Weights::Synthetic { seed: 1 },
        opset,
        fold_bn,
        name: &network.name,
        metadata: Vec::new(),
    };
    export.write(&mut onnx).unwrap();
    let graph = compile::load_graph(&onnx, None).unwrap();
    let input = synthetic_tensor("input", &[1, 3, size, size], 1);
    let on = |isa: &Isa| {
        // No layer is left to tract.
        let net = compile::lower(&graph).unwrap_or_else(|e| panic!("{}: {e}", network.name));
        let threads = Threads::new(1).unwrap();
        let options = Options {
            isa: *isa,
            ..Options::new(threads).unwrap()
        };
        let mut session = Session::with(Program::Net(net), &options).unwrap();
        session.run(&input).unwrap()
    };
    isas.iter().map(on).collect()
}

/// Runs `check` on all items, two at a time.
fn each<T: Send>(items: Vec<T>, check: impl Fn(T) + Sync) {
    let items = Mutex::new(items);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(item) = items.lock().unwrap().pop() else {
                        break;
                    };
                    check(item);
                }
            });
        }
    });
}

/// Several times what rounding makes of it at worst.
const TOLERANCE: f32 = 1e-5;

#[test]
fn every_network_computes_what_its_reference_does() {
    let registry = Registry::bundled();
    let recorded = recorded_logits();
    let references = references();
    assert_eq!(references.len(), recorded.len());
    // Every network is recorded, or has the same layers as one that is.
    for network in registry.networks() {
        let graph = zoo::graph(network, 224, 1000).unwrap();
        let twin = |reference: &Reference| {
            let other = registry.get(&reference.name).unwrap();
            other.name == network.name || zoo::graph(other, 224, 1000).unwrap() == graph
        };
        assert!(
            references.iter().any(twin),
            "{} has no reference",
            network.name
        );
    }
    let usual = references
        .into_iter()
        .filter(|reference| !is_large(reference));
    each(usual.collect(), |reference| compare(&reference, &recorded));
}

/// Two gigabytes of weights, and several times that while they are prepared, are no matter for a test that others share
/// a machine with.
fn is_large(reference: &Reference) -> bool {
    reference.parameters > 100_000_000
}

#[test]
#[ignore = "takes 10 GB of memory"]
fn the_largest_networks_compute_what_their_reference_does() {
    let recorded = recorded_logits();
    let large: Vec<Reference> = references().into_iter().filter(is_large).collect();
    assert_eq!(large.len(), 2);
    for reference in large {
        compare(&reference, &recorded);
    }
}

fn compare(reference: &Reference, recorded: &BTreeMap<String, Vec<f32>>) {
    let name = &reference.name;
    let registry = Registry::bundled();
    let network = registry.get(name).unwrap();
    let isas = Isa::available();
    let all = logits(network, reference.size, 17, false, &isas);
    for (isa, logits) in isas.iter().zip(&all) {
        let difference = difference(logits, &recorded[name]);
        println!("{name}: {difference:e} of the range on {}", isa.name());
        assert!(difference < TOLERANCE, "{name}: {difference}");
    }
}

#[test]
fn parameters_and_multiply_adds_are_those_of_the_reference() {
    let registry = Registry::bundled();
    for reference in references() {
        let network = registry.get(&reference.name).unwrap();
        let graph = zoo::graph(network, network.size as usize, 1000).unwrap();
        assert_eq!(
            graph.parameters(),
            reference.parameters,
            "{}",
            reference.name
        );
        assert_eq!(
            graph.multiply_adds(),
            reference.multiply_adds,
            "{}",
            reference.name
        );
    }
}

#[test]
fn published_costs_stand_at_the_right_networks() {
    let registry = Registry::bundled();
    let mut published = 0;
    for network in registry.networks() {
        let Some(cost) = network.published_cost else {
            continue;
        };
        published += 1;
        let graph = zoo::graph(network, network.size as usize, 1000).unwrap();
        // Papers round, and count multiply-adds in ways of their own.
        let near = |count: u64, millions: f64, tolerance: f64| {
            (count as f64 / 1e6 / millions - 1.0).abs() < tolerance
        };
        let name = &network.name;
        assert!(near(graph.parameters(), cost.parameters, 0.01), "{name}");
        if let Some(millions) = cost.multiply_adds {
            assert!(near(graph.multiply_adds(), millions, 0.05), "{name}");
        }
    }
    assert_eq!(published, 18);
}

/// One of each kind of block, head, activation and padding.
const VARIED: [&str; 6] = [
    "mobilenetv1_100",
    "mobilenetv3_small_100",
    "mobilenetv4_conv_small",
    "tf_efficientnet_b0",
    "tf_efficientnet_es",
    "mixnet_s",
];

#[test]
fn folding_and_operator_sets_change_nothing() {
    let registry = Registry::bundled();
    let recorded = recorded_logits();
    let variants = VARIED
        .iter()
        .flat_map(|name| [(*name, 17, true), (*name, 13, false), (*name, 21, true)]);
    each(variants.collect(), |(name, opset, fold_bn)| {
        let network = registry.get(name).unwrap();
        let size = network.size as usize;
        let logits = logits(network, size, opset, fold_bn, &[Isa::best()]);
        let difference = difference(&logits[0], &recorded[name]);
        assert!(
            difference < TOLERANCE,
            "{name}, opset {opset}, fold {fold_bn}: {difference}"
        );
    });
}

#[test]
fn an_export_is_ready_to_use_by_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let models = directory.path().join("models");
    std::fs::create_dir(&models).unwrap();
    let onnx = models.join("mnasnet_small.onnx");
    let output = run(&[
        "export",
        "mnasnet_small",
        "--weights",
        "synthetic",
        "-o",
        onnx.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("2.03 M parameters, 68 M multiply-adds"),
        "{}",
        stderr(&output)
    );
    let photo = std::env::current_dir()
        .unwrap()
        .join("tests/photos/labelled/panda.jpg");
    let output = support::program()
        .args([
            "--model",
            "mnasnet_small",
            "--source",
            photo.to_str().unwrap(),
        ])
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        !stderr(&output).contains("no model card"),
        "{}",
        stderr(&output)
    );
    assert!(
        !support::records(&output)[0]["top"][0]["label"]
            .as_str()
            .unwrap()
            .starts_with("class ")
    );
}
