//! `compile --int8`: a plan that classifies as its model does, with the same bits on every processor.

mod support;

use std::path::Path;

use support::workshop::Workshop;
use support::{CALIBRATION, MODEL, program, records, run, some_photographs, stderr, stdout};

const LABELLED: &str = "tests/photos/labelled";

fn compile(photographs: &str, plan: &Path) {
    compile_with(&[], photographs, plan);
}

fn compile_with(options: &[&str], photographs: &str, plan: &Path) {
    let plan = plan.to_str().unwrap();
    let args = ["compile", MODEL, "--int8", "--calibration", photographs];
    let output = run(&[&args, &["-o", plan][..], options].concat());
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

#[test]
fn layers_in_float_run_among_those_in_int8() {
    let directory = tempfile::tempdir().unwrap();
    let photographs = some_photographs(directory.path(), 16);
    let plan = directory.path().join("lite0.plan");
    // The first layer, a depthwise one, a sum's, a whole block, and the last.
    let listed = stdout(&run(&["inspect", MODEL]));
    let is_layer = |line: &&str| {
        let mut columns = line.split_whitespace();
        let number = columns.next().unwrap_or_default();
        number.parse::<usize>().is_ok() && columns.next() != Some("layers")
    };
    let names = listed.lines().filter(is_layer);
    let names: Vec<&str> = names
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    let some = [0, 1, 9, 20, 21, 22, 40, names.len() - 1].map(|index| names[index]);
    let options = ["--effort", "fast", "--float-layers", &some.join(",")];
    compile_with(&options, &photographs, &plan);
    let (float, mixed) = (top(MODEL), top(plan.to_str().unwrap()));
    let agree = float.iter().zip(&mixed).filter(|(a, b)| a == b).count();
    println!("agree on {agree} of {}", float.len());
    assert!(agree >= 76, "{agree} of {}", float.len());
}

/// A small network compiled in a directory of its own.
struct Small {
    workshop: Workshop,
}

impl Small {
    fn new() -> Small {
        let workshop = Workshop::new();
        let output = workshop.export("tiny", "synthetic", &["--classes", "10"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        Small { workshop }
    }

    /// The plan's bytes, and what is said on stderr.
    fn compile(&self, calibration: &str, options: &[&str]) -> (Option<Vec<u8>>, String) {
        let plan = self.workshop.at("out/tiny.plan");
        let _ = std::fs::remove_file(&plan);
        let mut program = program();
        program
            .current_dir(self.workshop.directory.path())
            .args(["compile", "out/tiny.onnx", "-o", "out/tiny.plan", "--int8"])
            .args(["--calibration", calibration])
            .args(options);
        let output = program.output().unwrap();
        let written = std::fs::read(&plan).ok();
        assert_eq!(output.status.success(), written.is_some());
        (written, stderr(&output))
    }
}

#[test]
fn synthetic_pictures_are_made_from_a_seed_and_warned_of() {
    let small = Small::new();
    let with_seed = |seed| small.compile("synthetic", &["--effort", "fast", "--seed", seed]);
    let (first, says) = with_seed("1");
    assert!(
        says.contains("warn: calibrating with random pictures"),
        "{says}"
    );
    assert!(first.is_some());
    assert!(first == with_seed("1").0, "plans differ");
    assert!(first != with_seed("2").0, "seeds give the same");
    // A directory of that name.
    let (none, says) = small.compile("./synthetic", &[]);
    assert!(
        none.is_none() && says.contains("expected a directory"),
        "{says}"
    );
    let (none, says) = small.compile("synthetic", &["--max-drop", "5"]);
    assert!(
        none.is_none() && says.contains("--max-drop: random pictures"),
        "{says}"
    );
}

#[test]
fn steps_and_layers_are_left_out() {
    let small = Small::new();
    let compile =
        |options: &[&str]| small.compile("synthetic", &[options, &["--log", "debug"]].concat());
    let left_out = |says: &str| {
        ["rounding", "bias-correction"].map(|step| says.contains(&format!("{step}: left out")))
    };
    let (whole, says) = compile(&[]);
    assert!(whole.is_some() && left_out(&says) == [false; 2], "{says}");
    assert!(
        says.contains("squeeze-and-excitation is in float by design"),
        "{says}"
    );
    let (without, says) = compile(&["--without", "rounding", "--without", "bias-correction"]);
    assert!(without.is_some() && without != whole, "{says}");
    assert_eq!(left_out(&says), [true; 2], "{says}");
    let model = small.workshop.at("out/tiny.onnx");
    let listed = stdout(&run(&["inspect", model.to_str().unwrap()]));
    let name = listed
        .lines()
        .nth(1)
        .unwrap()
        .split_whitespace()
        .last()
        .unwrap();
    let (mixed, says) = compile(&["--float-layers", name]);
    assert!(mixed.is_some() && mixed != whole);
    assert!(
        says.contains(&format!("{name}: asked for in float")),
        "{says}"
    );
    let (none, says) = compile(&["--float-layers", &format!("{name}x")]);
    assert!(none.is_none(), "{says}");
    for part in [
        format!("{name}x: no layer"),
        format!("similar ones: {name}"),
    ] {
        assert!(says.contains(&part), "{part}: {says}");
    }
    let (high, says) = compile(&["--effort", "high"]);
    assert!(high.is_some() && says.contains("; alone, "), "{says}");
}

/// The last bits of float, which other instructions round in other ways, decide between two levels.
#[test]
fn a_plan_partly_in_float_is_trusted_on_every_instruction_set() {
    let directory = tempfile::tempdir().unwrap();
    let plan = directory.path().join("mixed.plan");
    let plan = plan.to_str().unwrap();
    let model = "tests/models/tf_efficientnet_lite0.onnx";
    let quickly = ["--int8", "--calibration", "synthetic", "--effort", "fast"];
    let in_float = ["--float-layers", "conv_stem", "-o", plan];
    let output = run(&[&["compile", model][..], &quickly, &in_float].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let mut checked = 0;
    for isa in ["", "portable", "avx2", "avx512", "neon"] {
        let mut program = program();
        if !isa.is_empty() {
            program.env("EDGE_CLASSIFY_ISA", isa);
        }
        let output = program.args(["doctor", "--model", plan]).output().unwrap();
        let says = stdout(&output) + &stderr(&output);
        if says.contains("this processor has") {
            continue;
        }
        assert!(says.contains("within their tolerance"), "{isa}: {says}");
        checked += 1;
    }
    assert!(checked >= 2);
}

#[test]
fn what_changes_too_much_is_no_plan() {
    let small = Small::new();
    let photographs = some_photographs(small.workshop.directory.path(), 40);
    let (plan, says) = small.compile(&photographs, &["--max-drop", "100"]);
    assert!(plan.is_some(), "{says}");
    let (plan, says) = small.compile(
        &photographs,
        &["--max-drop", "0", "--effort", "fast", "--log", "debug"],
    );
    println!("{says}");
    match plan {
        Some(_) => assert!(says.contains("0 of 5 get another class"), "{says}"),
        None => assert!(
            says.contains("pictures that were held back still get another class"),
            "{says}"
        ),
    }
}
