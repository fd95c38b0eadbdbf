//! The bundled model on the bundled photographs, against the recorded reference pipeline
//! (`tests/reference/record.py`: Pillow and ONNX Runtime).

mod support;

use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn labelled_photographs_are_classified_as_by_the_reference() {
    let reference = support::csv(Path::new("tests/reference/top1.csv"));
    let sources = support::csv(Path::new("tests/photos/SOURCES.csv"));
    let output = support::run(&[
        "--model",
        "tf_efficientnet_lite0",
        "--source",
        "tests/photos/labelled",
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
        "{right} of 84 right, {} unlike the reference",
        disagreements.len()
    );
    assert!(right >= 70, "{right} of 84");
    assert!(disagreements.is_empty(), "{disagreements:#?}");
}

#[test]
fn logits_equal_onnx_runtimes() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("logits.npy");
    for threads in ["1", "2"] {
        let output = support::run(&[
            "infer",
            "tf_efficientnet_lite0",
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
