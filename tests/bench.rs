//! `bench`: what it measures is told in numbers that fit together.

mod support;

use std::process::Command;

use serde_json::Value;
use support::exporters::{correlations, save};
use support::{MODEL, run, stderr, stdout};

fn record(args: &[&str]) -> Value {
    let output = run(&[&["bench", "--json"], args].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

#[test]
fn figures_fit_together() {
    let record = record(&[
        MODEL,
        "--runs",
        "5",
        "--layers",
        "--threads",
        "2",
        "--no-fuse",
    ]);
    let number = |name: &str| {
        record[name]
            .as_f64()
            .unwrap_or_else(|| panic!("{name}: {record}"))
    };
    assert_eq!((number("runs"), number("threads")), (5.0, 2.0));
    let order = ["min_ms", "median_ms", "p90_ms", "p99_ms", "max_ms"].map(number);
    assert!(order[0] > 0.0 && order.is_sorted(), "{order:?}");
    assert!(number("load_ms") < number("first_result_ms"));
    let gflops = 2.0 * number("multiply_adds") / number("median_ms") / 1e6;
    assert!((number("gflops") / gflops - 1.0).abs() < 1e-9);
    assert!((number("peak_share") * number("peak_gflops") / gflops - 1.0).abs() < 1e-9);
    // The weights at least, and less than any machine has.
    assert!((20e6..1e9).contains(&number("peak_rss_bytes")));
    let layers = record["layers"].as_array().unwrap();
    let sum: f64 = layers
        .iter()
        .map(|l| l["multiply_adds"].as_f64().unwrap())
        .sum();
    assert_eq!(sum, number("multiply_adds"));
    assert_eq!(
        layers[0]["layers"],
        serde_json::json!(["convolution 3x3 s2"])
    );
    assert_eq!(layers[0]["output"], "112x112x32");
    assert!(
        layers
            .iter()
            .all(|layer| layer["median_ms"].as_f64().unwrap() > 0.0)
    );
}

#[test]
fn a_table_of_layers_is_printed() {
    let output = run(&["bench", MODEL, "--seconds", "0.05", "--layers"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for part in [
        "median ",
        "GFLOP/s",
        "first result ",
        "depthwise 3x3 s1",
        "ms in layers",
    ] {
        assert!(
            stdout(&output).contains(part),
            "{part}: {}",
            stdout(&output)
        );
    }
}

#[test]
fn a_network_that_tract_runs_is_measured_as_a_whole() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("correlations.onnx");
    save(&correlations(), &file);
    let record = record(&[file.to_str().unwrap(), "--runs", "1"]);
    assert!(record["median_ms"].as_f64().unwrap() > 0.0);
    assert!(record["multiply_adds"].is_null() && record["gflops"].is_null());
}

#[test]
fn the_instruction_set_can_be_asked_for() {
    let with = |isa: &str| {
        Command::new(env!("CARGO_BIN_EXE_edge-classify"))
            .args(["bench", MODEL, "--runs", "1", "--json"])
            .env("EDGE_CLASSIFY_ISA", isa)
            .output()
            .unwrap()
    };
    let output = with("portable");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let record: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(record["isa"], "portable");
    let output = with("abacus");
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("EDGE_CLASSIFY_ISA is 'abacus'") && text.contains("portable"),
        "{text}"
    );
}
