//! `inspect`: what is printed is what the network is.

mod support;

use edge_classify::zoo::{self, Registry};
use support::exporters::{geffnet, put_behind, save};
use support::{MODEL, run, stderr, stdout};

#[test]
fn the_layers_of_the_bundled_model_are_listed() {
    let output = run(&["inspect", MODEL]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    let network = Registry::bundled();
    let network = network.get("tf_efficientnet_lite0").unwrap();
    let graph = zoo::graph(network, 224, 1000).unwrap();
    let last = text.lines().last().unwrap();
    let multiply_adds = format!("{:.1} M multiply-adds", graph.multiply_adds() as f64 / 1e6);
    assert!(last.contains(&multiply_adds), "{last}: {multiply_adds}");
    // A stem, 16 blocks of which one has no expansion, a head, a mean, a classifier: nothing is left unfused.
    let layers = 1 + 16 * 3 - 1 + 3;
    assert!(last.starts_with(&format!("{layers} layers on ")), "{last}");
    assert_eq!(text.lines().count(), 1 + layers + 1);
    let first = text.lines().nth(1).unwrap();
    for part in [
        "convolution 3x3 s2",
        "224x224x3",
        "112x112x32",
        "clamp 0..6",
    ] {
        assert!(first.contains(part), "{part}: {first}");
    }
    assert!(text.contains("+ residual"), "{text}");
}

#[test]
fn a_network_that_tract_runs_comes_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tanh.onnx");
    let mut model = geffnet();
    put_behind(&mut model, "Tanh");
    save(&model, &file);
    let output = run(&["inspect", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for part in ["tanh: ", "tract", "(Tanh)"] {
        assert!(stdout(&output).contains(part), "{}", stdout(&output));
    }
}
