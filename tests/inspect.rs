//! `inspect`: what is printed is what the network is.

mod support;

use edge_classify::zoo::{self, Registry};
use support::exporters::{correlations, geffnet, put_behind, save};
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
fn what_tract_runs_comes_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("model.onnx");
    let inspected = |model| {
        save(&model, &file);
        let output = run(&["inspect", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output)
    };
    let mut model = geffnet();
    let layers = |text: &str| text.lines().count() - 2;
    let plain = layers(&inspected(model.clone()));
    put_behind(&mut model, "Tanh");
    let text = inspected(model);
    // The last layer, and a line about it.
    assert_eq!(layers(&text), plain + 2, "{text}");
    let line = text.lines().nth_back(1).unwrap();
    for part in [&*format!("{plain} is run by tract"), "(Tanh): no layer"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let text = inspected(correlations());
    for part in ["model: ", "all run by tract", "neither factor", "100 %"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
