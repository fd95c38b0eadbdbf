//! EfficientNet-Lite0, in float and as it is bundled in int8, on the bundled photographs, against the recorded reference
//! pipeline (`tests/reference/record.py`: Pillow and ONNX Runtime).

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use support::MODEL;

/// What became of the labelled photographs: how many are right, and what differs from the reference's classes.
fn classified(model: &str) -> (usize, Vec<String>) {
    let reference = support::csv(Path::new("tests/reference/top1.csv"));
    let sources = support::csv(Path::new("tests/photos/SOURCES.csv"));
    let photographs = "tests/photos/labelled";
    let output = support::run(&[
        "--model",
        model,
        "--source",
        photographs,
        "--output",
        "jsonl",
    ]);
    assert!(output.status.success(), "{}", support::stderr(&output));
    let records = support::records(&output);
    assert_eq!((records.len(), reference.len()), (84, 84));
    let mut right = 0;
    let mut disagreements = Vec::new();
    for record in records {
        let file = record["source"].as_str().unwrap();
        let file = file.strip_prefix("tests/photos/").unwrap();
        let top = record["top"][0]["index"].to_string();
        let accepted = sources[file]["accepted_imagenet_indices"].split(' ');
        right += usize::from(accepted.collect::<BTreeSet<_>>().contains(top.as_str()));
        if reference[file]["top1"] != top {
            disagreements.push(format!("{file}: {top}, reference {:?}", reference[file]));
        }
    }
    println!(
        "{model}: {right} of 84 right, {} unlike the reference",
        disagreements.len()
    );
    (right, disagreements)
}

#[test]
fn labelled_photographs_are_classified_as_by_the_reference() {
    let (right, disagreements) = classified(MODEL);
    assert!(right >= 70, "{right} of 84");
    assert!(disagreements.is_empty(), "{disagreements:#?}");
}

#[test]
fn the_bundled_plan_classifies_nearly_all_as_the_reference_does() {
    let (right, disagreements) = classified("tf_efficientnet_lite0");
    assert!(right >= 71, "{right} of 84");
    assert!(disagreements.len() <= 1, "{disagreements:#?}");
}

#[test]
fn logits_equal_onnx_runtimes() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("logits.npy");
    for threads in ["1", "2"] {
        let output = support::run(&[
            "infer",
            MODEL,
            "--tensor",
            "tests/reference/input.npy",
            "--output",
            out.to_str().unwrap(),
            "--threads",
            threads,
        ]);
        assert!(output.status.success(), "{}", support::stderr(&output));
        assert!(output.stdout.is_empty());
        let ours = support::npy(&out);
        // The same file in ONNX Runtime, and the network with its float weights.
        for (reference, tolerance) in [("bundled_logits.npy", 1e-4), ("logits.npy", 1e-2)] {
            let theirs = support::npy(&Path::new("tests/reference").join(reference));
            assert_eq!(ours.len(), theirs.len());
            let range = theirs.iter().copied().fold(f32::MIN, f32::max)
                - theirs.iter().copied().fold(f32::MAX, f32::min);
            let off = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs());
            let off = off.fold(0.0, f32::max) / range;
            println!("{reference}, {threads} threads: {off:e} of the range");
            assert!(off < tolerance, "{reference}: {off} of the range");
        }
    }
}
