//! Resized and cropped pictures against the recorded references: Pillow for the `torch` pipeline
//! (`tests/reference/record.py`), TensorFlow for `tf` (`record_tf.py`).

mod support;

use std::path::Path;

use edge_classify::preprocess::{Interpolation, Pipeline, Size, Spec, Transform, decode_file};
use image::RgbImage;

/// Mean and largest difference in 8-bit levels.
fn difference(a: &RgbImage, b: &RgbImage) -> (f64, u8) {
    assert_eq!(a.dimensions(), b.dimensions());
    let pairs = a.as_raw().iter().zip(b.as_raw());
    let off: Vec<u8> = pairs.map(|(a, b)| a.abs_diff(*b)).collect();
    let sum: u64 = off.iter().copied().map(u64::from).sum();
    (sum as f64 / off.len() as f64, *off.iter().max().unwrap())
}

#[test]
fn preprocessing_equals_pillow() {
    let mut compared = 0;
    let mut off = Vec::new();
    for entry in std::fs::read_dir("tests/reference/pillow").unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let (photo, filter) = name.split_once('.').unwrap();
        let (interpolation, resize, size) = match filter {
            "bicubic" => (Interpolation::Bicubic, 256, 224),
            "bilinear" => (Interpolation::Bilinear, 256, 224),
            "bilinear40x32" => (Interpolation::Bilinear, 40, 32),
            other => panic!("{other}"),
        };
        let spec = Spec {
            resize: Size::square(resize),
            interpolation,
            ..Spec::imagenet(size)
        };
        let picture = decode_file(Path::new(&format!("tests/photos/labelled/{photo}.jpg")));
        let ours = Transform::new(spec).crop(&picture.unwrap()).unwrap();
        let (mean, max) = difference(&ours, &decode_file(&path).unwrap());
        println!("{name}: mean {mean:.4}, max {max}");
        // The decoder is Pillow's; the filters' weights are rounded otherwise.
        if mean > 0.1 || max > 2 {
            off.push(format!("{name}: mean {mean:.3}, max {max}"));
        }
        compared += 1;
    }
    assert_eq!(compared, 20);
    assert!(off.is_empty(), "{off:#?}");
}

/// A row of `tests/reference/tensorflow/cases.csv`.
struct Case {
    file: String,
    source: String,
    /// Left, top, width and height of what was taken for the whole picture.
    part: Vec<u32>,
    spec: Spec,
}

fn tensorflow_cases() -> Vec<Case> {
    let rows = support::csv(Path::new("tests/reference/tensorflow/cases.csv"));
    let case = |(file, row): (String, std::collections::BTreeMap<String, String>)| Case {
        file,
        source: row["source"].clone(),
        part: row["part"]
            .split_whitespace()
            .map(|number| number.parse().unwrap())
            .collect(),
        spec: Spec {
            pipeline: Pipeline::Tf,
            interpolation: match row["interpolation"].as_str() {
                "bicubic" => Interpolation::Bicubic,
                "bilinear" => Interpolation::Bilinear,
                other => panic!("{other}"),
            },
            ..Spec::imagenet(row["size"].parse::<Size>().unwrap())
        },
    };
    rows.into_iter().map(case).collect()
}

#[test]
fn preprocessing_equals_tensorflow() {
    let cases = tensorflow_cases();
    assert_eq!(cases.len(), 26);
    let mut off = Vec::new();
    for case in cases {
        let mut picture = decode_file(&Path::new("tests").join(&case.source)).unwrap();
        if let [left, top, width, height] = case.part[..] {
            picture = image::imageops::crop_imm(&picture, left, top, width, height).to_image();
        }
        let ours = Transform::new(case.spec).crop(&picture).unwrap();
        let path = Path::new("tests/reference/tensorflow").join(&case.file);
        let (mean, max) = difference(&ours, &decode_file(&path).unwrap());
        println!("{}: mean {mean:.5}, max {max}", case.file);
        if max > 0 {
            off.push(format!("{}: mean {mean:.3}, max {max}", case.file));
        }
    }
    assert!(off.is_empty(), "{off:#?}");
}

/// A model of 32x32 pixels, on whose card every picture is used whole: `tf` crops it to half.
const COLOURS: &str = "tests/data/colours.onnx";

#[test]
fn the_pipeline_is_that_of_the_card_or_the_command_line() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    let picture = RgbImage::from_fn(64, 64, |x, y| {
        let inside = (16..48).contains(&x) && (16..48).contains(&y);
        image::Rgb(if inside { [255, 0, 0] } else { [0, 0, 255] })
    });
    picture.save(at("picture.png")).unwrap();
    std::fs::copy(COLOURS, at("colours.onnx")).unwrap();
    std::fs::copy("tests/data/colours.txt", at("colours.txt")).unwrap();
    let card = std::fs::read_to_string("tests/data/colours.toml").unwrap();
    let tf = card.replace("[preprocess]", "[preprocess]\npipeline = 'tf'");
    for (card, of_the_card) in [(card, "torch"), (tf, "tf")] {
        std::fs::write(at("colours.toml"), card).unwrap();
        for given in [None, Some("torch"), Some("tf")] {
            let mut command = support::program();
            command.args([
                "--model",
                &at("colours.onnx"),
                "--source",
                &at("picture.png"),
            ]);
            command.args(given.map(|pipeline| format!("--preprocessing={pipeline}")));
            let output = command.output().unwrap();
            let expected = match given.unwrap_or(of_the_card) {
                "tf" => "red",
                _ => "blue",
            };
            let records = support::records(&output);
            assert_eq!(
                records[0]["top"][0]["label"], expected,
                "{of_the_card}, {given:?}"
            );
        }
        let shown = support::stdout(&support::run(&["models", "show", &at("colours.onnx")]));
        let line = shown.lines().find(|line| line.starts_with("preprocessing"));
        assert!(
            line.unwrap().contains(&format!(" {of_the_card}: ")),
            "{shown}"
        );
    }
}

#[test]
fn an_export_has_the_preprocessing_that_was_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let onnx = directory.path().join("n.onnx");
    let export = |options: &[&str]| {
        let common = ["export", "mnasnet_small", "--weights", "synthetic", "-o"];
        let output = support::run(&[&common[..], &[onnx.to_str().unwrap()], options].concat());
        assert!(output.status.success(), "{}", support::stderr(&output));
        std::fs::read_to_string(onnx.with_extension("toml")).unwrap()
    };
    let card = export(&[]);
    for line in [
        "pipeline = \"torch\"",
        "interpolation = \"bicubic\"",
        "resize = 256",
    ] {
        assert!(card.contains(line), "{card}");
    }
    let options = "--preprocessing tf --interpolation bilinear --crop-pct 0.7";
    let card = export(&options.split(' ').collect::<Vec<_>>());
    for line in [
        "pipeline = \"tf\"",
        "interpolation = \"bilinear\"",
        "resize = 320",
    ] {
        assert!(card.contains(line), "{card}");
    }
}
