//! `compile --int8`: a plan that classifies as its model does, with the same bits on every processor.

mod support;

use std::path::Path;

use support::{MODEL, program, records, run, stderr};

const CALIBRATION: &str = "tests/photos/calibration";
const LABELLED: &str = "tests/photos/labelled";

/// A directory of some of the photographs to calibrate with.
fn some_photographs(directory: &Path, count: usize) -> String {
    let photographs = directory.join("photographs");
    std::fs::create_dir_all(&photographs).unwrap();
    let mut all: Vec<_> = std::fs::read_dir(CALIBRATION)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    all.sort();
    for name in all.iter().step_by(all.len() / count).take(count) {
        std::fs::copy(Path::new(CALIBRATION).join(name), photographs.join(name)).unwrap();
    }
    photographs.to_str().unwrap().to_owned()
}

fn compile(photographs: &str, plan: &Path) {
    let plan = plan.to_str().unwrap();
    let output = run(&[
        "compile",
        MODEL,
        "--int8",
        "--calibration",
        photographs,
        "-o",
        plan,
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

/// The likeliest class of every labelled photograph.
fn top(model: &str) -> Vec<(String, u64)> {
    let output = run(&["--model", model, "--source", LABELLED, "--output", "jsonl"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let records = records(&output).into_iter();
    records
        .map(|record| {
            let index = record["top"][0]["index"].as_u64().unwrap();
            (record["source"].as_str().unwrap().to_owned(), index)
        })
        .collect()
}

#[test]
fn a_plan_in_int8_classifies_as_its_model_does() {
    let directory = tempfile::tempdir().unwrap();
    let plan = directory.path().join("lite0.plan");
    compile(CALIBRATION, &plan);
    // A byte a weight, and what the labels, the card, biases and scales take.
    let size = std::fs::metadata(&plan).unwrap().len();
    assert!(size < 5_200_000, "{size} bytes");
    let (float, int8) = (top(MODEL), top(plan.to_str().unwrap()));
    assert_eq!((float.len(), int8.len()), (84, 84));
    let sources = support::csv(Path::new("tests/photos/SOURCES.csv"));
    let right = |found: &[(String, u64)]| {
        let is_right = |(file, index): &&(String, u64)| {
            let file = file.strip_prefix("tests/photos/").unwrap();
            let accepted = sources[file]["accepted_imagenet_indices"].split(' ');
            accepted.into_iter().any(|class| class == index.to_string())
        };
        found.iter().filter(is_right).count()
    };
    let agree = float.iter().zip(&int8).filter(|(a, b)| a == b).count();
    let (of_float, of_int8) = (right(&float), right(&int8));
    println!("agree on {agree} of 84; right: {of_float} in float, {of_int8} in int8");
    assert!(agree >= 82, "{agree} of 84 agree");
    assert!(
        of_int8 + 1 >= of_float,
        "{of_int8} right, {of_float} in float"
    );
}

#[test]
fn the_same_bits_come_out_of_every_instruction_set_and_number_of_threads() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let photographs = some_photographs(directory.path(), 16);
    let plan = path("lite0.plan");
    compile(&photographs, &plan);
    let bytes = |path: &Path| std::fs::read(path).unwrap();
    // The same pictures make the same plan.
    std::fs::create_dir(path("again")).unwrap();
    let again = path("again/lite0.plan");
    compile(&photographs, &again);
    assert!(bytes(&plan) == bytes(&again), "plans differ");
    let logits = |isa: &str, threads: &str| {
        let out = path("logits.npy");
        let mut program = program();
        if !isa.is_empty() {
            program.env("EDGE_CLASSIFY_ISA", isa);
        }
        let plan = plan.to_str().unwrap();
        let args = ["infer", plan, "--threads", threads];
        let files = [
            "--tensor",
            "tests/reference/input.npy",
            "--output",
            out.to_str().unwrap(),
        ];
        let output = program.args(args).args(files).output().unwrap();
        let is_known = output.status.success();
        let says = stderr(&output);
        // What this processor lacks is refused by name.
        assert!(is_known || says.contains("this processor has"), "{says}");
        is_known.then(|| bytes(&out))
    };
    let expected = logits("portable", "1").unwrap();
    assert_eq!(logits("", "2").unwrap(), expected);
    for isa in ["avx2", "avx512", "neon"] {
        if let Some(found) = logits(isa, "1") {
            assert_eq!(found, expected, "{isa}");
        }
    }
}

#[test]
fn without_photographs_nothing_is_quantized() {
    let directory = tempfile::tempdir().unwrap();
    let few = some_photographs(directory.path(), 3);
    let plan = directory.path().join("lite0.plan");
    let refused = |more: &[&str], says: &str| {
        let args = ["compile", MODEL, "--int8", "-o", plan.to_str().unwrap()];
        let args: Vec<&str> = args.iter().chain(more).copied().collect();
        let output = run(&args);
        assert_eq!(output.status.code(), Some(1), "{says}: {}", stderr(&output));
        assert!(
            stderr(&output).contains(says),
            "{says}: {}",
            stderr(&output)
        );
        assert!(!plan.exists());
    };
    refused(&[], "--calibration");
    refused(
        &["--calibration", "nowhere"],
        "nowhere: expected a directory",
    );
    refused(&["--calibration", &few], "3 photographs");
}
