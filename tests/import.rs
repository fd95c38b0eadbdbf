//! `models import`: ONNX classifiers as the exporters of others write them.

mod support;

use std::path::{Path, PathBuf};

use edge_classify::compile;
use support::exporters::*;
use support::{program, run, stderr, stdout};

#[test]
fn models_of_every_exporter_give_pytorchs_logits() {
    let recorded = support::npy(&Path::new(EXPORTS).join("logits.npy"));
    let (timm, geffnet) = recorded.split_at(5);
    let directory = tempfile::tempdir().unwrap();
    for (name, expected) in [
        ("timm_torchscript", timm),
        ("timm_dynamo", timm),
        ("softmax", timm),
        ("geffnet", geffnet),
    ] {
        let file = Path::new(EXPORTS).join(format!("{name}.onnx"));
        assert_imported(&import(
            &file,
            directory.path(),
            &["--like", "efficientnet_b0"],
        ));
        let found = logits(directory.path(), name, 64);
        for (ours, theirs) in found.iter().zip(expected) {
            assert!(
                (ours - theirs).abs() < 1e-4,
                "{name}: {found:?}, not {expected:?}"
            );
        }
        // One file, one picture, and no padding left that is not a convolution's.
        let bytes = std::fs::read(installed(directory.path(), name).file).unwrap();
        let proto = compile::parse(&bytes).unwrap();
        let debug = format!("{:?}", proto.graph.unwrap().input);
        assert!(!debug.contains("batch"), "{name}: {debug}");
        let graph = compile::load_graph(&bytes, None).unwrap();
        let pads = graph
            .nodes()
            .iter()
            .filter(|node| node.op().name() == "Pad");
        assert_eq!(pads.count(), 0, "{name}");
        let lowered = compile::lower(&graph);
        assert!(lowered.is_ok(), "{name}: {}", lowered.unwrap_err());
    }
}

#[test]
fn an_imported_model_classifies_with_its_labels_and_preprocessing() {
    let directory = tempfile::tempdir().unwrap();
    let labels = directory.path().join("birds.txt");
    std::fs::write(&labels, "jay\nrook\nwren\ntit\nowl\n").unwrap();
    let file = Path::new(EXPORTS).join("geffnet.onnx");
    let labels = labels.to_str().unwrap();
    let options = [
        "--name",
        "birds",
        "--labels",
        labels,
        "--licence",
        "CC0-1.0",
        "--mean",
        "1,2,3",
        "--std",
        "4,5,6",
        "--resize",
        "70",
        "--interpolation",
        "bilinear",
        "--color",
        "bgr",
    ];
    let output = import(&file, directory.path(), &options);
    assert_imported(&output);
    assert!(!stderr(&output).contains("assuming"), "{}", stderr(&output));
    let card = installed(directory.path(), "birds").card.unwrap();
    let spec = &card.preprocess;
    assert_eq!((spec.size, spec.resize), (64.into(), 70.into()));
    assert_eq!((spec.mean, spec.std), ([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]));
    assert_eq!(card.weights.unwrap().licence, "CC0-1.0");
    let output = program()
        .args([
            "--model",
            "birds",
            "--source",
            "tests/photos/labelled/panda.jpg",
        ])
        .env("EDGE_CLASSIFY_MODELS", directory.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let label = support::records(&output)[0]["top"][0]["label"].clone();
    assert!(["jay", "rook", "wren", "tit", "owl"].contains(&label.as_str().unwrap()));
}

/// The card of an installed model, and the metadata of an export without its card, say how pictures are prepared.
#[test]
fn our_own_models_bring_their_preprocessing() {
    let directory = tempfile::tempdir().unwrap();
    let onnx = directory.path().join("lite.onnx");
    let path = onnx.to_str().unwrap();
    let export = [
        "export",
        "tf_efficientnet_lite3",
        "--weights",
        "synthetic",
        "--input-size",
        "96",
    ];
    let output = run(&[&export[..], &["-o", path]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let exported = installed(directory.path(), "lite").card.unwrap();
    std::fs::remove_file(onnx.with_extension("toml")).unwrap();
    let into = directory.path().join("installed");
    let output = import(&onnx, &into, &["--name", "by-metadata"]);
    assert_imported(&output);
    assert!(!stderr(&output).contains("assuming"), "{}", stderr(&output));
    let card = installed(&into, "by-metadata").card.unwrap();
    assert_eq!(card.preprocess, exported.preprocess);

    assert_imported(&import(
        Path::new("tests/data/colours.onnx"),
        &into,
        &["--name", "by-card"],
    ));
    let found = installed(&into, "by-card");
    let original = installed(Path::new("tests/data"), "colours");
    assert_eq!(
        found.card.as_ref().unwrap().preprocess,
        original.card.as_ref().unwrap().preprocess
    );
    let read = |path: Option<PathBuf>| std::fs::read_to_string(path.unwrap()).unwrap();
    assert_eq!(read(found.labels_file()), read(original.labels_file()));
    let list = program()
        .args(["models", "list", "--installed"])
        .env("EDGE_CLASSIFY_MODELS", &into)
        .output()
        .unwrap();
    for name in ["by-card", "by-metadata"] {
        assert!(stdout(&list).contains(name), "{}", stdout(&list));
    }
}

/// The name on the disk need not be text; that of the model is.
#[test]
fn a_file_of_any_name_can_be_imported() {
    use std::os::unix::ffi::OsStrExt;
    let directory = tempfile::tempdir().unwrap();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.onnx");
    let file = directory.path().join(name);
    std::fs::copy(Path::new(EXPORTS).join("geffnet.onnx"), &file).unwrap();
    let into = directory.path().join("into");
    assert_imported(&import(&file, &into, &["--name", "cafe"]));
    assert!(installed(&into, "cafe").file.is_file());
}

/// A free size becomes that of the network it is like, and the crop goes with it.
#[test]
fn a_free_size_is_that_of_the_network_it_is_like() {
    let directory = tempfile::tempdir().unwrap();
    let mut model = geffnet();
    for dim in &mut dimensions(picture_input(model.graph.as_mut().unwrap()))[2..] {
        dim.value = None;
    }
    let file = directory.path().join("free.onnx");
    save(&model, &file);
    let into = directory.path().join("into");
    for (more, size, resize) in [(&[][..], 300, 331), (&["--input-size", "96"], 96, 106)] {
        let options = [&["--like", "efficientnet_b3"], more].concat();
        assert_imported(&import(&file, &into, &options));
        let spec = installed(&into, "free").card.unwrap().preprocess;
        assert_eq!((spec.size, spec.resize), (size.into(), resize.into()));
    }
}

/// One weight of a network with rectifiers, which turn what is not a number into one.
fn with_a_nan_weight(onnx: &[u8]) -> Vec<u8> {
    let mut model = compile::parse(onnx).unwrap();
    let tensors = &mut model.graph.as_mut().unwrap().initializer;
    let weights = tensors
        .iter_mut()
        .find(|tensor| tensor.dims.len() == 4)
        .unwrap();
    weights.raw_data[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    prost::Message::encode_to_vec(&model)
}

#[test]
fn bad_models_are_refused_and_leave_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let geffnet = std::fs::read(Path::new(EXPORTS).join("geffnet.onnx")).unwrap();
    std::fs::write(at("truncated.onnx"), &geffnet[..geffnet.len() / 2]).unwrap();
    std::fs::write(at("text.onnx"), "this is no network").unwrap();
    std::fs::write(at("empty.onnx"), "").unwrap();
    std::fs::write(at("model.tflite"), &geffnet).unwrap();
    // Its weights are said to lie beside it, and do not; then outside.
    let dynamo = std::fs::read(Path::new(EXPORTS).join("timm_dynamo.onnx")).unwrap();
    std::fs::write(at("alone.onnx"), &dynamo).unwrap();
    std::fs::create_dir(at("inner")).unwrap();
    let weights = std::fs::read(Path::new(EXPORTS).join("timm_dynamo.onnx.data")).unwrap();
    std::fs::write(at("w"), weights).unwrap();
    std::os::unix::fs::symlink(at("w"), at("inner/timm_dynamo.onnx.data")).unwrap();
    std::fs::write(at("inner/outside.onnx"), &dynamo).unwrap();
    std::fs::write(at("hidden-nan.onnx"), with_a_nan_weight(&geffnet)).unwrap();
    std::fs::write(at("short.txt"), "one\ntwo\n").unwrap();
    let short = at("short.txt");
    let short = ["--labels", short.to_str().unwrap()];
    let good = PathBuf::from(EXPORTS).join("geffnet.onnx");
    struct Case<'a> {
        file: PathBuf,
        more: &'a [&'a str],
        says: &'a [&'a str],
    }
    let case = |file: PathBuf, more, says| Case { file, more, says };
    let cases = [
        case(
            at("none.onnx"),
            &[],
            &["none.onnx", "expected an ONNX file"],
        ),
        case(
            at("model.tflite"),
            &[],
            &["model.tflite", "expected an ONNX file"],
        ),
        case(
            at("truncated.onnx"),
            &[],
            &["truncated.onnx", "not an ONNX model"],
        ),
        case(at("text.onnx"), &[], &["text.onnx", "not an ONNX model"]),
        case(at("empty.onnx"), &[], &["empty.onnx", "no network in it"]),
        case(
            at("alone.onnx"),
            &[],
            &["alone.onnx", "timm_dynamo.onnx.data", "No such file"],
        ),
        case(
            at("inner/outside.onnx"),
            &[],
            &["outside.onnx", "only files in the model's own directory"],
        ),
        case(
            at("hidden-nan.onnx"),
            &[],
            &["hidden-nan.onnx", "not finite numbers (1)", "--allow-nan"],
        ),
        case(
            "tests/data/nan.onnx".into(),
            &[],
            &["nan.onnx", "not a number"],
        ),
        case(good.clone(), &short, &["2 labels", "5 classes"]),
        case(good.clone(), &["--name", "../up"], &["'../up'"]),
        case(good.clone(), &["--input-size", "96"], &["64x64", "96x96"]),
        case(good.clone(), &["--resize", "10"], &["preprocess.resize"]),
        case(good.clone(), &["--std", "1,1,0"], &["preprocess.std"]),
        case(
            good,
            &["--like", "mobilnet"],
            &["no network named 'mobilnet'"],
        ),
    ];
    for case in cases {
        let into = at("into");
        let output = import(&case.file, &into, case.more);
        let text = stderr(&output);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{}: {text}",
            case.file.display()
        );
        for part in case.says {
            assert!(text.contains(part), "{part}: {text}");
        }
        let left = walkdir::WalkDir::new(&into).into_iter().flatten();
        assert_eq!(
            left.filter(|entry| entry.file_type().is_file()).count(),
            0,
            "{text}"
        );
    }
}

/// What is run directly must be one file, so that its card's checksum covers it; the error says how to get there.
#[test]
fn a_model_with_weights_elsewhere_has_to_be_imported() {
    let model = format!("{EXPORTS}/timm_dynamo.onnx");
    let output = run(&[
        "--model",
        &model,
        "--source",
        "tests/photos/labelled/panda.jpg",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    for part in [&model, "timm_dynamo.onnx.data", "models import"] {
        assert!(text.contains(part), "{text}");
    }
}
