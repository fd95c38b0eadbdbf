//! The program as its users meet it: outputs, errors, exit statuses, signals.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{MODEL, program, records, run, stderr, stdout};

const PANDA: &str = "tests/photos/labelled/panda.jpg";
const COLOURS: &str = "tests/data/colours.onnx";

#[test]
fn a_record_has_the_promised_fields() {
    let output = run(&["--model", MODEL, "--source", PANDA, "--top-k", "3"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let records = records(&output);
    assert_eq!(records.len(), 1, "JSON Lines when stdout is not a terminal");
    let record = &records[0];
    let ts = record["ts"].as_str().unwrap();
    ts.parse::<jiff::Timestamp>().unwrap();
    assert_eq!(record["source"], PANDA);
    assert_eq!(record["frame"], 0);
    assert_eq!(record["model"], "tf_efficientnet_lite0");
    let latency = &record["latency_ms"];
    let part = |name: &str| latency[name].as_f64().unwrap();
    let sum = part("decode") + part("preprocess") + part("inference");
    assert!(part("inference") > 0.0 && part("total") >= sum - 0.01);
    let top = record["top"].as_array().unwrap();
    assert_eq!(top.len(), 3);
    assert_eq!(
        (&top[0]["index"], &top[0]["label"]),
        (&388.into(), &"giant panda".into())
    );
    let scores: Vec<f64> = top.iter().map(|p| p["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b) && scores.iter().sum::<f64>() <= 1.0001);
    let log = stderr(&output);
    assert!(log.contains("classified 1 frames, dropped 0"), "{log}");
    assert!(log.contains("p50") && log.contains("p99"), "{log}");
}

#[test]
fn threshold_labels_and_text() {
    let directory = tempfile::tempdir().unwrap();
    let labels = directory.path().join("labels.txt");
    let names: Vec<String> = (0..1000).map(|i| format!("name{i}")).collect();
    std::fs::write(&labels, names.join("\n")).unwrap();
    let labels = labels.to_str().unwrap();
    let arguments = ["--model", MODEL, "--source", PANDA, "--output", "text"];
    let output = run(&[&arguments[..], &["--threshold", "0.5", "--labels", labels]].concat());
    let text = stdout(&output);
    assert!(text.contains("% name388") && !text.contains('|'), "{text}");
    std::fs::write(labels, "only one").unwrap();
    let output = run(&[&arguments[..], &["--labels", labels]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("1 labels, but the model has 1000"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn unreadable_pictures_are_skipped_and_end_with_status_1() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::copy(PANDA, at("a.jpg")).unwrap();
    std::fs::write(at("b.jpg"), "no picture").unwrap();
    let whole = std::fs::read("tests/reference/pillow/panda.bicubic.png").unwrap();
    std::fs::write(at("c.png"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(at("d.webp"), "").unwrap();
    std::fs::copy(PANDA, at("e.jpg")).unwrap();
    let output = run(&[
        "--model",
        MODEL,
        "--source",
        directory.path().to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(records(&output).len(), 2, "the rest is finished");
    for name in ["b.jpg", "c.png", "d.webp"] {
        assert!(stderr(&output).contains(name), "{}", stderr(&output));
    }
}

#[test]
fn failures_and_misuse_have_their_own_statuses() {
    struct Case {
        arguments: &'static [&'static str],
        status: i32,
        says: &'static str,
    }
    let cases = [
        Case {
            arguments: &["--model", "tf_efficientnet_lit0", "--source", PANDA],
            status: 1,
            says: "did you mean 'tf_efficientnet_lite0'?",
        },
        Case {
            arguments: &["--model", "models/none.onnx", "--source", PANDA],
            status: 1,
            says: "models/none.onnx",
        },
        Case {
            arguments: &[
                "--model",
                "models/efficientnet_lite0.onnx",
                "--source",
                PANDA,
            ],
            status: 1,
            says: "did you mean 'tf_efficientnet_lite0'?",
        },
        Case {
            arguments: &["--model", MODEL, "--source", "/dev/null"],
            status: 1,
            says: "/dev/null: not a regular file",
        },
        Case {
            arguments: &["--model", "tests/data/index.onnx", "--source", PANDA],
            status: 1,
            says: "panda.jpg: inference failed",
        },
        Case {
            arguments: &["--model", "tests/data/nan.onnx", "--source", PANDA],
            status: 1,
            says: "panda.jpg: the network's output is not a number",
        },
        // A model that never gives a result ends even a live run.
        Case {
            arguments: &["--model", "tests/data/index.onnx", "--camera", "test"],
            status: 1,
            says: "no result for 30 frames in a row",
        },
        Case {
            arguments: &["--model", MODEL, "--source", "none/*.jpg"],
            status: 1,
            says: "none/*.jpg",
        },
        Case {
            arguments: &["--model", MODEL, "--camera", "/dev/video4242"],
            status: 1,
            says: "/dev/video4242: no such device",
        },
        Case {
            arguments: &["--model", MODEL, "--camera", "/dev/null"],
            status: 1,
            says: "not a V4L2 device",
        },
        Case {
            arguments: &["models", "show", "none"],
            status: 1,
            says: "no model named 'none'",
        },
        Case {
            arguments: &["--model", MODEL],
            status: 2,
            says: "--camera",
        },
        Case {
            arguments: &["--model", MODEL, "--camera", "test", "--fps", "fast"],
            status: 2,
            says: "--fps",
        },
        Case {
            arguments: &["--model", MODEL, "doctor"],
            status: 2,
            says: "--model cannot be used with 'doctor'",
        },
        Case {
            arguments: &["--log", "vebose", "doctor"],
            status: 2,
            says: "vebose",
        },
        Case {
            arguments: &["--modle", MODEL],
            status: 2,
            says: "--model",
        },
    ];
    for case in cases {
        let output = run(case.arguments);
        assert_eq!(
            output.status.code(),
            Some(case.status),
            "{:?}",
            case.arguments
        );
        let text = stderr(&output);
        assert!(text.contains(case.says), "{text}");
        assert!(!text.contains("panicked"), "{text}");
        let last = text.trim_end().lines().last().unwrap_or_default();
        let (_, cause) = last.rsplit_once(": ").unwrap_or_default();
        assert!(
            cause.len() < 8 || last.matches(cause).count() == 1,
            "said once: {text}"
        );
        assert!(output.stdout.is_empty(), "{:?}", case.arguments);
    }
}

#[test]
fn a_missing_picture_does_not_keep_the_others_from_being_classified() {
    let koala = "tests/photos/labelled/koala.jpg";
    let output = run(&["--model", MODEL, "--source", PANDA, "gone.jpg", koala]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(records(&output).len(), 2);
    assert!(
        stderr(&output).contains("gone.jpg: no such file"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn an_unwritable_stderr_changes_nothing() {
    let full = || {
        std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap()
    };
    let run = |arguments: &[&str]| program().args(arguments).stderr(full()).output().unwrap();
    let output = run(&["--model", MODEL, "--source", PANDA]);
    assert_eq!((output.status.code(), records(&output).len()), (Some(0), 1));
    assert_eq!(
        run(&["--model", "none", "--source", PANDA]).status.code(),
        Some(1)
    );
}

#[test]
fn damaged_models_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tf_efficientnet_lite0.onnx");
    let whole = std::fs::read(MODEL).unwrap();
    let refused = |bytes: &[u8], says: &str| {
        std::fs::write(&file, bytes).unwrap();
        let output = run(&["--model", file.to_str().unwrap(), "--source", PANDA]);
        assert_eq!(output.status.code(), Some(1));
        let text = stderr(&output);
        assert!(
            text.contains(says) && text.contains("tf_efficientnet_lite0."),
            "{text}"
        );
        assert!(output.stdout.is_empty());
    };
    refused(b"", "no network in it");
    refused(b"not an ONNX file at all", "not an ONNX model");
    refused(&whole[..whole.len() / 2], "not an ONNX model");
    let card = std::fs::read_to_string("tests/models/tf_efficientnet_lite0.toml").unwrap();
    let beside = file.with_extension("toml");
    std::fs::write(&beside, &card).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    refused(&flipped, "SHA-256");
    std::fs::write(&beside, card.replace("resize", "rezise")).unwrap();
    refused(&whole, "rezise");
}

#[test]
fn a_model_of_another_input_than_its_card_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("colours.onnx");
    std::fs::copy(COLOURS, &file).unwrap();
    let card = std::fs::read_to_string("tests/data/colours.toml").unwrap();
    let card: String = card
        .lines()
        .filter(|line| !line.starts_with("sha256"))
        .map(|line| match line.split_whitespace().next() {
            Some("size") => "size = 48\n".to_owned(),
            Some("resize") => "resize = 48\n".to_owned(),
            _ => format!("{line}\n"),
        })
        .collect();
    std::fs::write(directory.path().join("colours.toml"), card).unwrap();
    let output = run(&["--model", file.to_str().unwrap(), "--source", PANDA]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("32x32"), "{}", stderr(&output));
}

#[test]
fn tensors_of_the_wrong_kind_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let tensor = directory.path().join("in.npy");
    let out = directory.path().join("out.npy");
    let infer = || {
        let output = run(&[
            "infer",
            COLOURS,
            "--tensor",
            tensor.to_str().unwrap(),
            "--output",
            out.to_str().unwrap(),
        ]);
        (output.status.code(), stderr(&output))
    };
    let (status, text) = infer();
    assert!(status == Some(1) && text.contains("in.npy"), "{text}");
    std::fs::write(&tensor, "nonsense").unwrap();
    let (status, text) = infer();
    assert!(
        status == Some(1) && text.contains("not a .npy file"),
        "{text}"
    );
    std::fs::copy("tests/reference/input.npy", &tensor).unwrap();
    let (status, text) = infer();
    assert!(
        status == Some(1) && text.contains("[1, 3, 32, 32]"),
        "{text}"
    );
    assert!(!out.exists(), "nothing is written after an error");
}

#[test]
fn doctor_tells_about_the_machine() {
    let output = run(&["doctor"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    for heading in ["processor", "temperature", "cameras", "models", "found"] {
        assert!(text.contains(heading), "{text}");
    }
    assert!(
        text.contains("tf_efficientnet_lite0: models/tf_efficientnet_lite0.plan"),
        "{text}"
    );
    every_problem_has_a_remedy(&text);
}

#[test]
fn doctor_tells_of_a_board_that_is_named() {
    let output = run(&["doctor", "--board", "raspberry_pi_4"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    for said in [
        "boards/raspberry_pi_4.toml",
        "4 x Cortex-A72",
        "--threads 4",
        "aarch64-unknown-linux-gnu",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    every_problem_has_a_remedy(&text);
    let output = run(&["doctor", "--board", "raspberry_pi_6"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("raspberry_pi_5"),
        "{}",
        stderr(&output)
    );
}

fn every_problem_has_a_remedy(text: &str) {
    let problems = text.lines().filter(|line| line.starts_with("  ! ")).count();
    let remedies = text
        .lines()
        .filter(|line| line.starts_with("    -> "))
        .count();
    assert_eq!(problems, remedies, "{text}");
}

fn start_on_test_picture(arguments: &[&str]) -> Child {
    program()
        .args(["--model", COLOURS, "--camera", "test"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for the end of a program that is expected to end.
fn wait(mut child: Child) -> (Option<i32>, String) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            let mut text = String::new();
            child
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut text)
                .unwrap();
            return (status.code(), text);
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("still running after a minute");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn frames_limits_the_test_picture() {
    let output = run(&["--model", COLOURS, "--camera", "test", "--frames", "3"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let records = records(&output);
    assert_eq!(records.len(), 3);
    let numbers: Vec<_> = records
        .iter()
        .map(|r| r["frame"].as_u64().unwrap())
        .collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
}

#[test]
fn signals_end_with_a_summary() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut child = start_on_test_picture(&[]);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Results come one by one, not in blocks.
        assert!(lines.next().unwrap().unwrap().starts_with("{\"ts\":"));
        let pid = Pid::from_raw(child.id().try_into().unwrap());
        kill(pid, signal).unwrap();
        for line in lines {
            let line = line.unwrap();
            assert!(line.ends_with('}'), "a whole record: {line}");
        }
        let (status, log) = wait(child);
        assert_eq!(status, Some(0), "{signal}: {log}");
        assert!(log.contains("classified"), "{signal}: {log}");
    }
}

#[test]
fn a_broken_pipe_is_a_quiet_end() {
    let mut child = start_on_test_picture(&["--log", "error"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    drop(lines);
    let (status, log) = wait(child);
    assert_eq!((status, log.as_str()), (Some(0), ""));
}

#[test]
fn log_level_is_an_option_or_a_variable() {
    let bare = tempfile::tempdir().unwrap();
    let model = bare.path().join("bare.onnx");
    std::fs::copy(COLOURS, &model).unwrap();
    let run = |log: Option<&str>, variable: Option<&str>| {
        let mut command = program();
        command.args(["--model", model.to_str().unwrap(), "--source", PANDA]);
        command.args(log.map(|log| format!("--log={log}")));
        command.envs(variable.map(|level| ("RUST_LOG", level)));
        stderr(&command.output().unwrap())
    };
    assert!(run(None, None).contains("no model card"));
    assert!(!run(Some("error"), None).contains("no model card"));
    assert!(!run(None, Some("error")).contains("no model card"));
    assert!(run(Some("warn"), Some("error")).contains("no model card"));
}
