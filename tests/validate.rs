//! `validate` on real photographs with the bundled model.

#[path = "validate/predictions.rs"]
mod predictions;
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use support::{program, records, run, stderr, stdout};

const MODEL: &str = "tf_efficientnet_lite0";
const PHOTOS: &str = "tests/photos/labelled";
/// As many photographs as tell right from wrong, and no more.
const COUNT: usize = 21;

/// Some photographs and their classes, by file name.
fn photographs() -> BTreeMap<String, usize> {
    let sources = support::csv(Path::new("tests/photos/SOURCES.csv"));
    let labelled = sources
        .into_iter()
        .filter(|(file, _)| file.starts_with("labelled/"));
    let accepted = labelled.map(|(file, row)| {
        let first = row["accepted_imagenet_indices"].split(' ').next().unwrap();
        let name = file.rsplit('/').next().unwrap().to_owned();
        (name, first.parse().unwrap())
    });
    accepted.step_by(4).take(COUNT).collect()
}

fn synset(class: usize) -> String {
    let list = std::fs::read_to_string("models/imagenet_synsets.txt").unwrap();
    list.lines().nth(class).unwrap().to_owned()
}

fn copy(name: &str, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::copy(Path::new(PHOTOS).join(name), to).unwrap();
}

/// The layout of ImageNet's training set.
fn folders(root: &Path) -> PathBuf {
    let data = root.join("folders");
    for (name, class) in photographs() {
        copy(
            &name,
            &data.join(synset(class)).join(name.replace(".jpg", ".JPEG")),
        );
    }
    data
}

/// The layout of its validation set.
fn flat(root: &Path) -> PathBuf {
    let data = root.join("flat");
    for name in photographs().keys() {
        copy(name, &data.join(name));
    }
    data
}

fn validate(data: &Path, more: &[&str]) -> Output {
    let mut command = program();
    command
        .args(["validate", MODEL, "--data"])
        .arg(data)
        .args(more);
    command.output().unwrap()
}

fn report(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    serde_json::from_str(&stdout(output)).unwrap()
}

/// Pictures whose class is the likeliest, and among the five likeliest, by the program's main job.
fn expected(data: &Path, more: &[&str]) -> (u64, u64) {
    let photographs = photographs();
    let data = data.to_str().unwrap();
    let output = run(&[&["--model", MODEL, "--source", data, "--top-k", "5"], more].concat());
    let (mut first, mut among) = (0, 0);
    for record in records(&output) {
        let name = record["source"]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap();
        let class = photographs[name] as u64;
        let top: Vec<_> = record["top"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["index"].as_u64())
            .collect();
        first += u64::from(top[0] == Some(class));
        among += u64::from(top.contains(&Some(class)));
    }
    (first, among)
}

#[test]
fn every_layout_gives_the_precision_of_the_main_job() {
    let root = tempfile::tempdir().unwrap();
    let (folders, flat) = (folders(root.path()), flat(root.path()));
    let (first, among) = expected(&flat, &[]);
    assert!(
        first > 10 && among > first && among < COUNT as u64,
        "{first}, {among}"
    );
    let photographs = photographs();
    let list = |name: &str, line: &dyn Fn(&str, usize) -> String| {
        let path = root.path().join(name);
        let lines = photographs
            .iter()
            .map(|(file, class)| line(file, *class) + "\n");
        std::fs::write(&path, lines.collect::<String>()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let synsets = list("synsets.txt", &|_, class| synset(class));
    let pairs = list("val.txt", &|file, class| format!("{file} {class}"));
    for (data, more) in [
        (&folders, vec!["--json", "--threads", "2", "--batch", "3"]),
        (
            &flat,
            vec!["--json", "--labels-list", &synsets, "--threads", "1"],
        ),
        (&flat, vec!["--json", "--labels-list", &pairs]),
    ] {
        let report = report(&validate(data, &more));
        assert_eq!(report["pictures"], COUNT, "{more:?}");
        assert_eq!(report["unreadable"], 0);
        assert_eq!(report["prec@1"]["right"], first, "{more:?}");
        assert_eq!(report["prec@5"]["right"], among, "{more:?}");
        let (low, high) = (
            report["prec@1"]["low"].as_f64(),
            report["prec@1"]["high"].as_f64(),
        );
        assert!(
            low < report["prec@1"]["percent"].as_f64()
                && high > report["prec@1"]["percent"].as_f64()
        );
    }
    let tensorflow = ["--preprocessing", "tf"];
    let report = report(&validate(&folders, &["--json", "--preprocessing", "tf"]));
    let right = ["prec@1", "prec@5"].map(|at| report[at]["right"].as_u64().unwrap());
    assert_eq!((right[0], right[1]), expected(&flat, &tensorflow));
}

#[test]
fn unreadable_pictures_are_reported_and_left_out() {
    let root = tempfile::tempdir().unwrap();
    let data = folders(root.path());
    let damaged = data.join(synset(0));
    std::fs::create_dir_all(&damaged).unwrap();
    std::fs::write(damaged.join("text.jpg"), "no picture").unwrap();
    let photo = std::fs::read(Path::new(PHOTOS).join("panda.jpg")).unwrap();
    std::fs::write(damaged.join("cut.png"), &photo[..photo.len() / 2]).unwrap();
    let csv = root.path().join("p.csv");
    let output = validate(&data, &["--json", "--predictions", csv.to_str().unwrap()]);
    let found = report(&output);
    assert_eq!(
        (&found["pictures"], &found["unreadable"]),
        (&COUNT.into(), &2.into())
    );
    for part in [
        "n01440764/text.jpg: not a picture",
        "n01440764/cut.png: the picture is cut short",
        "left out",
    ] {
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    }
    let rows = std::fs::read_to_string(csv).unwrap();
    assert!(
        rows.contains("n01440764/text.jpg,0,\"not a picture"),
        "{rows}"
    );
    // Nothing but such pictures is no result, except as a part of a set.
    let csv = root.path().join("none.csv");
    let only = root.path().join("only");
    std::fs::create_dir(&only).unwrap();
    std::fs::rename(&damaged, only.join(synset(0))).unwrap();
    let damaged = only.join(synset(0));
    let output = validate(&only, &["--predictions", csv.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert_eq!(std::fs::read_to_string(csv).unwrap().lines().count(), 4);
    let output = validate(&damaged, &["--compare", MODEL]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("none of the 2 pictures"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn two_models_are_compared() {
    let root = tempfile::tempdir().unwrap();
    let data = flat(root.path());
    let other = root.path().join("other.onnx");
    let other = other.to_str().unwrap();
    let output = run(&[
        "export",
        "mnasnet_small",
        "--weights",
        "synthetic",
        "-o",
        other,
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));

    let same = report(&validate(&data, &["--json", "--compare", MODEL]));
    assert_eq!(
        (&same["agree"], &same["pictures"]),
        (&COUNT.into(), &COUNT.into())
    );
    assert_eq!(same["top5_overlap_percent"], 100.0);
    assert_eq!(same["disagreements"], Value::Array(Vec::new()));
    assert!(same["reports"].is_null());

    let list = root.path().join("val.txt");
    let lines = photographs()
        .into_iter()
        .map(|(file, class)| format!("{file} {class}\n"));
    std::fs::write(&list, lines.collect::<String>()).unwrap();
    let options = [
        "--json",
        "--labels-list",
        list.to_str().unwrap(),
        "--compare",
        other,
    ];
    let apart = report(&validate(&data, &options));
    let agree = apart["agree"].as_u64().unwrap() as usize;
    let listed = apart["disagreements"].as_array().unwrap();
    assert_eq!(listed.len(), COUNT - agree);
    assert!(!listed.is_empty());
    assert_ne!(listed[0]["first"]["index"], listed[0]["second"]["index"]);
    let right = |model: usize| apart["reports"][model]["prec@1"]["right"].as_i64().unwrap();
    let only = |which: &str| apart[which].as_i64().unwrap();
    assert_eq!(
        right(0) - right(1),
        only("only_first_right") - only("only_second_right")
    );
    assert_eq!(right(0) as u64, expected(&data, &[]).0);

    // The same classes in another order.
    let labels = std::fs::read_to_string("models/imagenet_labels.txt").unwrap();
    let mut lines: Vec<_> = labels.lines().collect();
    lines.swap(3, 7);
    let swapped_labels = root.path().join("swapped.txt");
    std::fs::write(&swapped_labels, lines.join("\n")).unwrap();
    let swapped = root.path().join("swapped.onnx");
    let [swapped_labels, swapped] = [&swapped_labels, &swapped].map(|path| path.to_str().unwrap());
    let output = run(&[
        "export",
        "mnasnet_small",
        "--weights",
        "synthetic",
        "--labels",
        swapped_labels,
        "-o",
        swapped,
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let output = validate(&data, &["--compare", swapped]);
    assert_eq!(output.status.code(), Some(1));
    let says = format!(
        "class 3 is '{}' of {MODEL} and '{}' of swapped",
        lines[7], lines[3]
    );
    assert!(stderr(&output).contains(&says), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
    let one_list = ["--json", "--compare", swapped, "--labels", swapped_labels];
    assert_eq!(report(&validate(&data, &one_list))["pictures"], COUNT);

    let output = validate(&data, &["--compare", "tests/data/colours.onnx"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("1000 classes"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn data_that_cannot_be_judged_are_explained() {
    let root = tempfile::tempdir().unwrap();
    let data = flat(root.path());
    let numbers = root.path().join("numbers.txt");
    std::fs::write(&numbers, "490\n".repeat(COUNT)).unwrap();
    let stray = folders(&root.path().join("1"));
    copy("panda.jpg", &stray.join("stray.jpg"));
    let misnamed = folders(&root.path().join("2"));
    std::fs::create_dir(misnamed.join("n0144")).unwrap();
    for (data, more, says) in [
        (data.as_path(), &[][..], "a directory for each class"),
        (
            &data,
            &["--labels-list", numbers.to_str().unwrap()],
            "another order",
        ),
        (&data, &["--labels-list", "none.txt"], "none.txt"),
        (Path::new("none"), &[], "none: not a directory"),
        (Path::new("src"), &[], "src: no pictures"),
        (Path::new("tests/photos"), &[], "labelled"),
        (&data, &["--labels", "tests/data/colours.txt"], "9 labels"),
        (&stray, &[], "1 of 22 pictures are of: stray.jpg;"),
        (&misnamed, &[], "but not these: n0144; rename"),
    ] {
        let output = validate(data, more);
        assert_eq!(output.status.code(), Some(1), "{says}");
        assert!(
            stderr(&output).contains(says),
            "{says}: {}",
            stderr(&output)
        );
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn help_tells_the_exit_status() {
    let help = stdout(&run(&["validate", "--help"]));
    assert!(help.contains("The exit status is 0 unless"), "{help}");
}

/// What has been done until then is printed and kept, and marked.
#[test]
fn an_interrupted_run_says_so() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data").join(synset(388));
    // Far more than can be done before the signal comes.
    for copy_number in 0..3000 {
        let to = data.join(format!("{copy_number}.jpg"));
        if copy_number == 0 {
            copy("panda.jpg", &to);
        } else {
            std::fs::hard_link(data.join("0.jpg"), to).unwrap();
        }
    }
    let csv = root.path().join("p.csv");
    std::fs::write(data.join("00-first.jpg"), "no picture").unwrap();
    let mut child = program()
        .args(["validate", MODEL, "--json", "--threads", "1", "--data"])
        .arg(root.path().join("data"))
        .arg("--predictions")
        .arg(&csv)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first picture is reported as soon as it has been found unreadable.
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("00-first.jpg"), "{first}");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let errors: Vec<_> = lines.map(Result::unwrap).collect();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors:?}");
    assert!(errors.join("\n").contains("interrupted"), "{errors:?}");
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["complete"], false);
    assert!(report["pictures"].as_u64().unwrap() < 3000);
    assert!(
        std::fs::read_to_string(csv)
            .unwrap()
            .contains("\"complete\":false")
    );
}
