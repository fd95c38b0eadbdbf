//! `models list` and `models show`, and where models are looked for.

mod support;

use support::{program, run, stderr, stdout};

const COLOURS: &str = "tests/data/colours.onnx";

#[test]
fn models_are_found_in_every_place_in_order() {
    let root = tempfile::tempdir().unwrap();
    let install = |place: &str| {
        let directory = root.path().join(place);
        std::fs::create_dir_all(&directory).unwrap();
        for file in ["colours.onnx", "colours.toml", "colours.txt"] {
            std::fs::copy(format!("tests/data/{file}"), directory.join(file)).unwrap();
        }
    };
    let shown = || {
        let output = program()
            .args(["models", "show", "colours"])
            .current_dir(root.path())
            .env("HOME", root.path().join("home"))
            .env("EDGE_CLASSIFY_MODELS", root.path().join("env"))
            .output()
            .unwrap();
        let text = stdout(&output);
        let file = text.lines().find_map(|line| line.strip_prefix("file  "));
        file.map(|file| file.trim().to_owned())
    };
    let at = |path: &str| {
        Some(
            root.path()
                .join(path)
                .join("colours.onnx")
                .display()
                .to_string(),
        )
    };
    assert_eq!(shown(), None);
    install("home/.local/share/edge-classify/models");
    assert_eq!(shown(), at("home/.local/share/edge-classify/models"));
    install("env");
    assert_eq!(shown(), at("env"));
    install("models");
    assert_eq!(shown(), Some("models/colours.onnx".to_owned()));
    // A file of that very name beats them all.
    std::fs::copy(COLOURS, root.path().join("colours")).unwrap();
    let output = program()
        .args(["models", "show", "colours"])
        .current_dir(root.path())
        .output()
        .unwrap();
    assert!(
        stderr(&output).contains("colours: not a model file"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn models_list_is_text_or_json() {
    let text = stdout(&run(&["models", "list"]));
    assert!(
        text.contains("tf_efficientnet_lite0") && text.contains("224x224"),
        "{text}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&stdout(&run(&["models", "list", "--json"]))).unwrap();
    let row = |name: &str| {
        let rows = json.as_array().unwrap().iter();
        let mut named = rows.filter(|row| row["name"] == name);
        named.next().unwrap_or_else(|| panic!("no {name}"))
    };
    let bundled = row("tf_efficientnet_lite0");
    assert_eq!(bundled["input_size"], 224);
    assert_eq!(
        bundled["installed"]["file"],
        "models/tf_efficientnet_lite0.plan"
    );
    let b0 = row("efficientnet_b0");
    assert_eq!(b0["family"], "EfficientNet");
    assert_eq!(b0["parameters"], 5_288_548);
    assert_eq!(b0["published"]["top1"], 76.912);
    assert_eq!(b0["hub"], "timm/efficientnet_b0.ra_in1k");
    assert!(b0["installed"].is_null());
    let installed = stdout(&run(&["models", "list", "--installed"]));
    assert_eq!(installed.lines().count(), 2, "{installed}");
    let network = stdout(&run(&["models", "show", "efficientnet_b0"]));
    for part in [
        "5.29 M",
        "ir_r2_k3_s2_e6_c24_se0.25",
        "models pull efficientnet_b0",
    ] {
        assert!(network.contains(part), "{part}: {network}");
    }
}

#[test]
fn a_model_that_is_not_here_comes_with_the_way_to_it() {
    for (arguments, says) in [
        (
            &["models", "show", "mobilenetv3_10O"][..],
            "mobilenetv3_100",
        ),
        (
            &["--model", "mobilenetv3_100", "--camera", "test"],
            "models pull mobilenetv3_100",
        ),
        (
            &["validate", "chamnetv1_100", "--data", "."],
            "export chamnetv1_100",
        ),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
    }
}

/// However they fall together, the card names what is there.
#[test]
fn installations_at_the_same_time_wait_for_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let into = directory.path().to_str().unwrap();
    for _ in 0..5 {
        let files = ["geffnet", "softmax", "timm_dynamo", "timm_torchscript"];
        let mut children = files.map(|name| {
            let file = format!("tests/data/exporters/{name}.onnx");
            let mut command = program();
            command.args(["models", "import", &file, "--name", "x", "--into", into]);
            command.stderr(std::process::Stdio::null()).spawn().unwrap()
        });
        for child in &mut children {
            assert!(child.wait().unwrap().success());
        }
        let output = program()
            .args(["models", "show", "x"])
            .env("EDGE_CLASSIFY_MODELS", into)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(
            std::fs::read_dir(directory.path().join("x"))
                .unwrap()
                .count(),
            1
        );
    }
}
