//! Networks that ONNX Runtime's tool has quantized: computed in int8 as they are, with ONNX Runtime's results.

mod support;

use std::path::{Path, PathBuf};

use edge_classify::compile;
use edge_classify::engine::Threads;
use edge_classify::engine::net::{Kind, Net};
use edge_classify::session::{Graph, Program, Session};
use edge_classify::zoo::synthetic_tensor;
use support::exporters::{put_behind, save};
use support::{npy, run, stderr, stdout};

const DIRECTORY: &str = "tests/reference/qdq";
/// In the order of the recorded logits, with how many levels of theirs ours may be from them: of a range of about 255.
const VARIANTS: [(&str, f32); 8] = [
    ("relu6", 3.0),
    ("relu6_signed", 3.0),
    ("relu6_symmetric", 3.0),
    // Weights from 0 to 255 are rounded anew.
    ("relu6_unsigned", 3.0),
    ("relu6_unfolded", 5.0),
    // What is rounded within an activation, or squeeze-and-excitation, is not here.
    ("swish", 5.0),
    ("hard_swish", 5.0),
    ("mixed", 6.0),
];
const PICTURES: usize = 8;
const CLASSES: usize = 10;
const SIDE: usize = 48;

fn file(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join(name).with_extension("onnx")
}

fn picture(seed: u64) -> Vec<f32> {
    let contrast = (seed % 8) as f32 / 4.0;
    let values = synthetic_tensor("input", &[1, 3, SIDE, SIDE], seed);
    values.into_iter().map(|value| value * contrast).collect()
}

fn lowered(name: &str) -> Net {
    let onnx = std::fs::read(file(name)).unwrap();
    match compile::load(&onnx, None).unwrap() {
        Program::Net(net) => net,
        Program::Graph(graph) => panic!("{name}: all run by tract: {}", graph.reason()),
    }
}

fn session(program: Program) -> Session {
    Session::new(program, Threads::new(1).unwrap()).unwrap()
}

/// What ONNX Runtime says, a row for each picture.
fn recorded(variant: usize) -> Vec<Vec<f32>> {
    let all = npy(&Path::new(DIRECTORY).join("logits.npy"));
    assert_eq!(all.len(), VARIANTS.len() * PICTURES * CLASSES);
    let rows = all[variant * PICTURES * CLASSES..].chunks(CLASSES);
    rows.take(PICTURES).map(<[f32]>::to_vec).collect()
}

fn largest(values: &[f32]) -> f32 {
    values.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

#[test]
fn all_that_has_weights_computes_in_int8() {
    for (name, _) in VARIANTS {
        let net = lowered(name);
        for layer in net.layers() {
            let weighs = match &layer.kind {
                Kind::Pointwise { .. } | Kind::Convolution { .. } | Kind::Depthwise { .. } => true,
                // Factors of channels are of f32.
                Kind::Excite { .. } => false,
                Kind::Affine { .. } | Kind::Part { .. } => panic!("{name}: {}", layer.name),
                _ => false,
            };
            let input = net.quantization(layer.input.value);
            assert!(!weighs || input.is_some(), "{name}: {}", layer.name);
        }
    }
}

/// As many layers as in float: nothing of what was inserted is left but the conversion of the picture and of the logits.
#[test]
fn nothing_is_left_of_what_was_inserted() {
    // A stem, five blocks of which one has no expansion, a head, a mean, a classifier.
    let layers = 1 + 5 * 3 - 1 + 3 + 2;
    for name in ["relu6", "relu6_symmetric", "relu6_unfolded"] {
        let net = lowered(name);
        let names: Vec<_> = net.layers().iter().map(|layer| &layer.name).collect();
        assert_eq!(net.layers().len(), layers, "{name}: {names:?}");
    }
}

#[test]
fn logits_are_those_of_onnx_runtime() {
    for (variant, (name, most)) in VARIANTS.into_iter().enumerate() {
        let net = lowered(name);
        let logits = net.layers().last().unwrap().input.value;
        let scale = net.quantization(logits).unwrap().scale;
        let mut session = session(Program::Net(net));
        let mut furthest = 0.0f32;
        // The last picture is blank: all its pixels are rounded to the same side, here or there.
        for (seed, expected) in (1..PICTURES as u64).zip(recorded(variant)) {
            let found = session.run(&picture(seed)).unwrap();
            for (ours, theirs) in found.iter().zip(&expected) {
                furthest = furthest.max((ours - theirs).abs() / scale);
            }
            // The class of the largest is one of those that are as large there but for that.
            let class = found.iter().position(|value| *value == largest(&found));
            let theirs = expected[class.unwrap()];
            assert!(theirs >= largest(&expected) - 2.0 * most * scale, "{name}");
        }
        println!("{name}: {furthest:.2} levels of {scale} at most");
        assert!(furthest <= most, "{name}: {furthest} levels apart");
    }
}

/// The pairs are operators that tract computes, too.
#[test]
fn tract_gives_what_onnx_runtime_does() {
    for (variant, (name, _)) in VARIANTS.into_iter().enumerate() {
        let onnx = std::fs::read(file(name)).unwrap();
        let graph = compile::load_graph(&onnx, None).unwrap();
        let mut session = session(Program::Graph(Graph::new(graph, "of a comparison")));
        let expected = recorded(variant);
        let range =
            largest(&expected[0]) + largest(&expected[0].iter().map(|v| -v).collect::<Vec<_>>());
        let found = session.run(&picture(1)).unwrap();
        for (ours, theirs) in found.iter().zip(&expected[0]) {
            assert!(
                (ours - theirs).abs() < 0.02 * range,
                "{name}: {ours}, {theirs}"
            );
        }
    }
}

#[test]
fn a_plan_is_of_int8_without_photographs() {
    let directory = tempfile::tempdir().unwrap();
    let plan = directory.path().join("relu6.plan");
    let (model, plan) = (file("relu6"), plan.to_str().unwrap());
    let model = model.to_str().unwrap();
    let output = run(&["compile", model, "-o", plan]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("weights of int8"),
        "{}",
        stderr(&output)
    );
    let inspected = |model: &str| {
        let output = run(&["inspect", model]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output)
    };
    let text = inspected(plan);
    assert_eq!(inspected(model), text);
    let weighing = |line: &&str| line.contains("convolution") || line.contains("pointwise");
    assert!(
        text.lines()
            .filter(weighing)
            .all(|line| line.contains(" int8 ")),
        "{text}"
    );
    let photographs = ["--int8", "--calibration", "tests/photos/calibration"];
    let again = run(&[&["compile", model, "-o", plan][..], &photographs[..]].concat());
    assert_eq!(again.status.code(), Some(1));
    assert!(
        stderr(&again).contains("int8 already"),
        "{}",
        stderr(&again)
    );
}

/// What no layer computes is tract's, between layers of int8.
#[test]
fn what_tract_computes_is_between_levels() {
    let onnx = std::fs::read(file("relu6")).unwrap();
    let mut model = compile::parse(&onnx).unwrap();
    put_behind(&mut model, "Tanh");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tanh.onnx");
    save(&model, &file);
    let onnx = std::fs::read(&file).unwrap();
    let Program::Net(net) = compile::load(&onnx, None).unwrap() else {
        panic!("all run by tract");
    };
    assert!(net.is_quantized());
    let mut session = session(Program::Net(net));
    let found = session.run(&picture(1)).unwrap();
    for (ours, theirs) in found.iter().zip(&recorded(0)[0]) {
        assert!((ours - theirs.tanh()).abs() < 0.03, "{ours}, {theirs}");
    }
}
