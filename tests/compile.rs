//! `compile`: a plan does what the model does that it was made of, and needs nothing beside it.

mod support;

use std::path::Path;

use edge_classify::compile;
use edge_classify::plan::{self, Belongings, Plan};
use edge_classify::zoo::{self, Export, Registry, Weights};
use support::exporters::{correlations, geffnet, put_behind, save};
use support::{MODEL, program, records, run, stderr, stdout};

fn compile_bundled(directory: &Path) -> String {
    let plan = directory.join("lite0.plan").to_str().unwrap().to_owned();
    let output = run(&["compile", MODEL, "-o", &plan]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    plan
}

#[test]
fn a_plan_alone_classifies_as_its_model_does() {
    let directory = tempfile::tempdir().unwrap();
    let plan = compile_bundled(directory.path());
    let top = |model: &str| {
        let photos = "tests/photos/labelled";
        let output = run(&["--model", model, "--source", photos, "--output", "jsonl"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(
            stderr(&output).matches("warn").count(),
            0,
            "{}",
            stderr(&output)
        );
        let records = records(&output).into_iter();
        records
            .map(|record| (record["source"].clone(), record["top"].clone()))
            .collect::<Vec<_>>()
    };
    let found = top(&plan);
    assert_eq!(found.len(), 84);
    assert_eq!(found, top(MODEL));
}

#[test]
fn a_plan_is_found_by_name_and_shown() {
    let directory = tempfile::tempdir().unwrap();
    let plan = compile_bundled(directory.path());
    let in_directory = |args: &[&str]| {
        let mut program = program();
        let output = program
            .args(args)
            .env("EDGE_CLASSIFY_MODELS", directory.path());
        output.current_dir(directory.path()).output().unwrap()
    };
    let shown = in_directory(&["models", "show", "lite0"]);
    for part in [plan.as_str(), "in the plan", "Apache-2.0", "crop 224"] {
        assert!(stdout(&shown).contains(part), "{part}: {}", stdout(&shown));
    }
    let listed = in_directory(&["models", "list"]);
    assert!(stdout(&listed).contains("lite0"), "{}", stdout(&listed));
    let layers = |model: &str| stdout(&run(&["inspect", model]));
    assert_eq!(layers(&plan), layers(MODEL));
}

#[test]
fn what_cannot_be_a_plan_is_refused_and_nothing_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let refused = |model: &str, output: &str, says: &str| {
        let result = run(&["compile", model, "-o", &path(output)]);
        assert_eq!(result.status.code(), Some(1), "{says}");
        assert!(
            stderr(&result).contains(says),
            "{says}: {}",
            stderr(&result)
        );
        assert!(!directory.path().join(output).exists());
    };
    let mut model = geffnet();
    put_behind(&mut model, "Tanh");
    save(&model, Path::new(&path("tanh.onnx")));
    refused(&path("tanh.onnx"), "tanh.plan", "(Tanh)");
    save(&correlations(), Path::new(&path("correlations.onnx")));
    refused(
        &path("correlations.onnx"),
        "correlations.plan",
        "all of this network",
    );
    refused(MODEL, "lite0.onnx", ".plan");
    refused("nothing", "nothing.plan", "nothing");
    let plan = compile_bundled(directory.path());
    refused(&plan, "again.plan", "a plan already");
    let left = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 3, "a plan and the models");
}

#[test]
fn a_damaged_plan_is_an_error_for_every_command() {
    let directory = tempfile::tempdir().unwrap();
    let plan = compile_bundled(directory.path());
    let mut bytes = std::fs::read(&plan).unwrap();
    // Weights of the classifier: a self-test, which not all commands read, comes after them.
    let last = bytes.len() - 20_000;
    bytes[last] ^= 4;
    std::fs::write(&plan, &bytes).unwrap();
    let commands: [&[&str]; 3] = [
        &[
            "--model",
            &plan,
            "--source",
            "tests/photos/labelled/panda.jpg",
        ],
        &["bench", &plan, "--runs", "1"],
        &["inspect", &plan],
    ];
    for command in commands {
        let output = run(command);
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        let text = stderr(&output);
        assert!(
            text.contains("lite0.plan: damaged") && text.contains("compile or copy it again"),
            "{text}"
        );
        assert_eq!(stdout(&output), "", "{command:?}");
    }
}

/// One of each kind of block, head, activation and padding.
#[test]
fn every_kind_of_layer_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::bundled();
    for name in [
        "mobilenetv3_small_100",
        "tf_efficientnet_b0",
        "mixnet_s",
        "tf_efficientnet_es",
    ] {
        let graph = zoo::graph(registry.get(name).unwrap(), 64, 10).unwrap();
        let mut onnx = Vec::new();
        let export = Export {
            graph: &graph,
            weights: &Weights::Synthetic { seed: 1 },
            opset: 17,
            fold_bn: false,
            name,
            metadata: Vec::new(),
        };
        export.write(&mut onnx).unwrap();
        let net = compile::lower(&compile::load_graph(&onnx, None).unwrap()).unwrap();
        let file = directory.path().join(name).with_extension(plan::EXTENSION);
        std::fs::write(&file, plan::write(&net, Belongings::default()).unwrap()).unwrap();
        assert!(Plan::open(&file).unwrap().net().unwrap() == net, "{name}");
    }
}
