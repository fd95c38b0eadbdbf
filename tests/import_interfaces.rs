//! `models import` of networks whose input or output is not the usual.

mod support;

use std::path::Path;

use edge_classify::compile;
use edge_classify::engine::Threads;
use edge_classify::preprocess::Transform;
use edge_classify::session::Session;
use support::exporters::*;
use support::{program, stderr};
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::dimension::Value;
use tract_onnx::pb::{AttributeProto, ValueInfoProto, type_proto};

const PANDA: &str = "tests/photos/labelled/panda.jpg";

fn classify(directory: &Path, model: &str, picture: &Path) -> serde_json::Value {
    let output = program()
        .args(["--model", model, "--top-k", "9", "--source"])
        .arg(picture)
        .env("EDGE_CLASSIFY_MODELS", directory)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    support::records(&output)[0]["top"].clone()
}

/// The scores in the order of the classes.
fn scores(top: &serde_json::Value) -> Vec<f64> {
    let top = top.as_array().unwrap();
    let mut scores: Vec<_> = top
        .iter()
        .map(|class| {
            let index = class["index"].as_u64().unwrap();
            (index, class["score"].as_f64().unwrap())
        })
        .collect();
    scores.sort_by_key(|(index, _)| *index);
    scores.into_iter().map(|(_, score)| score).collect()
}

/// As TensorFlow's converters leave them.
#[test]
fn a_model_with_the_channels_last_is_turned_round() {
    let recorded = support::npy(&Path::new(EXPORTS).join("logits.npy"));
    let directory = tempfile::tempdir().unwrap();
    let mut model = geffnet();
    let turn = AttributeProto {
        name: "perm".to_owned(),
        r#type: AttributeType::Ints as i32,
        ints: vec![0, 3, 1, 2],
        ..Default::default()
    };
    dimensions(picture_input(model.graph.as_mut().unwrap()))[1..].rotate_left(1);
    put_before(&mut model, "Transpose", 1, turn);
    let file = directory.path().join("last.onnx");
    save(&model, &file);
    let into = directory.path().join("into");
    assert_imported(&import(&file, &into, &["--like", "efficientnet_b0"]));
    for (ours, theirs) in logits(&into, "last", 64).iter().zip(&recorded[5..]) {
        assert!((ours - theirs).abs() < 1e-4);
    }
}

/// Each class by itself: scores are the sigmoids of the logits, which do not sum to one.
#[test]
fn probabilities_are_taken_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let into = directory.path().join("into");
    let file = directory.path().join("sigmoid.onnx");
    let mut model = geffnet();
    put_behind(&mut model, "Sigmoid");
    save(&model, &file);
    let good = Path::new(EXPORTS).join("geffnet.onnx");
    assert_imported(&import(&good, &into, &["--like", "efficientnet_b0"]));
    let like = ["--like", "efficientnet_b0"];
    let output = import(&file, &into, &like);
    assert_imported(&output);
    assert!(stderr(&output).contains("--scores"), "{}", stderr(&output));
    let softmax = scores(&classify(&into, "geffnet", Path::new(PANDA)));
    let sigmoid = scores(&classify(&into, "sigmoid", Path::new(PANDA)));
    // A softmax tells logits up to a constant, here found at a class that is neither certain nor out of the question.
    let certain = |p: f64| (p - 0.5).abs();
    let middle = (0..5).min_by(|a, b| certain(sigmoid[*a]).total_cmp(&certain(sigmoid[*b])));
    let middle = middle.unwrap();
    let constant = (sigmoid[middle] / (1.0 - sigmoid[middle])).ln() - softmax[middle].ln();
    for (sigmoid, softmax) in sigmoid.iter().zip(&softmax) {
        let expected = 1.0 / (1.0 + (-softmax.ln() - constant).exp());
        assert!((sigmoid - expected).abs() < 1e-4, "{sigmoid} {expected}");
    }
    assert!(sigmoid.iter().sum::<f64>() > 1.1);
    assert_imported(&import(
        &file,
        &into,
        &[&like[..], &["--scores", "logits", "--name", "asked"]].concat(),
    ));
    let asked = classify(&into, "asked", Path::new(PANDA));
    assert!((scores(&asked).iter().sum::<f64>() - 1.0).abs() < 1e-4);
}

/// A softmax goes, unless it is said that the model's output is probabilities; the scores are the same.
#[test]
fn a_softmax_is_run_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = Path::new(EXPORTS).join("softmax.onnx");
    let like = ["--like", "efficientnet_b0"];
    let said = ["--scores", "probabilities", "--name", "said"];
    assert_imported(&import(&file, directory.path(), &like));
    assert_imported(&import(
        &file,
        directory.path(),
        &[&like[..], &said].concat(),
    ));
    let [found, kept] = ["softmax", "said"]
        .map(|model| scores(&classify(directory.path(), model, Path::new(PANDA))));
    assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-4);
    for (found, kept) in found.iter().zip(&kept) {
        assert!((found - kept).abs() < 1e-5, "{found} {kept}");
    }
}

#[test]
fn one_of_several_outputs_can_be_chosen() {
    let directory = tempfile::tempdir().unwrap();
    let into = directory.path().join("into");
    let file = directory.path().join("two.onnx");
    let mut model = geffnet();
    let graph = model.graph.as_mut().unwrap();
    let class_output = graph.output[0].clone();
    let before = graph.node.last().unwrap().input[0].clone();
    graph.output.insert(
        0,
        ValueInfoProto {
            name: before.clone(),
            ..class_output.clone()
        },
    );
    save(&model, &file);
    let output = import(&file, &into, &[]);
    assert_eq!(output.status.code(), Some(1));
    for part in [
        "two.onnx",
        "2 outputs",
        &before,
        &class_output.name,
        "--output",
    ] {
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    }
    let output = import(&file, &into, &["--output", "none"]);
    assert!(stderr(&output).contains("no output 'none'"));
    assert_imported(&import(&file, &into, &["--output", &class_output.name]));
    let recorded = support::npy(&Path::new(EXPORTS).join("logits.npy"));
    for (ours, theirs) in logits(&into, "two", 64).iter().zip(&recorded[5..]) {
        assert!((ours - theirs).abs() < 1e-4);
    }
}

/// A picture twice as wide as high, so resized that nothing is cut off.
#[test]
fn a_rectangular_input_is_filled() {
    let directory = tempfile::tempdir().unwrap();
    let into = directory.path().join("into");
    let file = directory.path().join("wide.onnx");
    let mut model = geffnet();
    dimensions(picture_input(model.graph.as_mut().unwrap()))[3].value = Some(Value::DimValue(128));
    save(&model, &file);
    let like = ["--like", "efficientnet_b0", "--resize", "128x64"];
    assert_imported(&import(&file, &into, &like));
    let card = installed(&into, "wide").card.unwrap();
    assert_eq!(card.preprocess.size.to_string(), "128x64");
    let picture = image::open(PANDA).unwrap().to_rgb8();
    let wide = image::imageops::crop_imm(&picture, 0, 0, 200, 100).to_image();
    let wide_file = directory.path().join("wide.png");
    wide.save(&wide_file).unwrap();
    let classified = classify(&into, "wide", &wide_file);
    // The same by hand: the transform's picture as a tensor.
    let mut transform = Transform::new(card.preprocess);
    let mut tensor = vec![0.0; transform.tensor_len()];
    transform.run(&wide, &mut tensor).unwrap();
    assert_eq!(tensor.len(), 3 * 64 * 128);
    let bytes = std::fs::read(&file).unwrap();
    let graph = compile::load(&bytes, Some((64, 128))).unwrap();
    let threads = Threads::new(1).unwrap();
    let mut session = Session::new(graph, threads).unwrap();
    let logits = session.run(&tensor).unwrap();
    let total: f64 = logits.iter().map(|l| f64::from(*l).exp()).sum();
    for (score, logit) in scores(&classified).iter().zip(&logits) {
        assert!((score - f64::from(*logit).exp() / total).abs() < 1e-4);
    }
    let tf = import(
        &file,
        &into,
        &[&like[..], &["--preprocessing", "tf"]].concat(),
    );
    assert_eq!(tf.status.code(), Some(1));
    assert!(stderr(&tf).contains("squares only"), "{}", stderr(&tf));
}

/// Networks that take one grey channel, last, and levels: the same as the grey picture given to a network of three.
#[test]
fn grey_pictures_and_levels_are_fed_as_the_network_expects() {
    let directory = tempfile::tempdir().unwrap();
    let into = directory.path().join("into");
    let at = |name: &str| directory.path().join(name);
    let square = ["--resize", "64", "--mean", "0,0,0", "--std", "1,1,1"];
    let plain = Path::new(EXPORTS).join("geffnet.onnx");
    assert_imported(&import(
        &plain,
        &into,
        &[&square[..], &["--name", "rgb"]].concat(),
    ));

    let mut grey = geffnet();
    put_before(&mut grey, "Concat", 3, integer("axis", 1));
    let input = grey.graph.as_mut().unwrap().input.iter_mut();
    let input = input.rev().find(|input| input.name == "pictures").unwrap();
    dimensions(input)[1].value = Some(Value::DimValue(1));
    save(&grey, &at("grey.onnx"));
    assert_imported(&import(&at("grey.onnx"), &into, &square));

    let mut levels = geffnet();
    put_before(
        &mut levels,
        "Cast",
        1,
        integer("to", DataType::Float as i64),
    );
    let input = levels.graph.as_mut().unwrap().input.iter_mut();
    let input = input.rev().find(|input| input.name == "pictures").unwrap();
    let type_proto::Value::TensorType(tensor) =
        input.r#type.as_mut().unwrap().value.as_mut().unwrap();
    tensor.elem_type = DataType::Uint8 as i32;
    save(&levels, &at("levels.onnx"));
    // It is known how levels are normalised: not at all.
    let output = import(&at("levels.onnx"), &into, &["--resize", "64"]);
    assert_imported(&output);
    assert!(!stderr(&output).contains("assuming"), "{}", stderr(&output));

    let grey_panda = image::DynamicImage::from(image::open(PANDA).unwrap().to_luma8()).to_rgb8();
    grey_panda.save(at("grey.png")).unwrap();
    let expected = scores(&classify(&into, "rgb", &at("grey.png")));
    for model in ["grey", "levels"] {
        let found = scores(&classify(&into, model, &at("grey.png")));
        for (ours, theirs) in found.iter().zip(&expected) {
            assert!(
                (ours - theirs).abs() < 1e-4,
                "{model}: {found:?} {expected:?}"
            );
        }
    }
}
