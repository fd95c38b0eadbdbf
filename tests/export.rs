//! Exports to full disks, and over what is there already.

mod support;

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use support::workshop::Workshop;
use support::{program, records, stderr};

/// Lets no file grow beyond so many blocks of 1024 bytes; writing then fails as on a full disk.
fn limited(blocks: usize) -> String {
    format!("trap '' XFSZ; ulimit -f {blocks};")
}

const NETWORK: &str = "mnasnet_small";

#[test]
fn a_full_disk_leaves_nothing() {
    let workshop = Workshop::new();
    for blocks in [0, 1, 64, 4000] {
        let output = workshop
            .command(&limited(blocks), NETWORK, "synthetic", &[])
            .output()
            .unwrap();
        let says = [
            "out/mnasnet_small.onnx: cannot write the model: ",
            "File too large",
        ];
        workshop.assert_refused(&output, "", &format!("{blocks} blocks"), &says);
    }
}

#[test]
fn a_full_disk_leaves_the_old_model_in_use() {
    let workshop = Workshop::new();
    let export = |limits: &str, options: &[&str]| {
        workshop
            .command(limits, NETWORK, "synthetic", options)
            .output()
            .unwrap()
    };
    let output = export("", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let old = workshop.written();
    let names = [
        "mnasnet_small.labels.txt",
        "mnasnet_small.onnx",
        "mnasnet_small.toml",
    ];
    assert_eq!(old.keys().collect::<Vec<_>>(), names);

    // Labels longer than the model.
    let labels = "one of many classes ".repeat(600);
    workshop.write("labels.txt", format!("{labels}\n").repeat(1000).as_bytes());
    let cases: [(usize, &[&str], &str); 2] = [
        (4000, &["--fold-bn"], "mnasnet_small.onnx"),
        (
            9000,
            &["--labels", "labels.txt"],
            "mnasnet_small.labels.txt",
        ),
    ];
    for (blocks, options, file) in cases {
        let output = export(&limited(blocks), options);
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(
            error.contains(file) && error.contains("File too large"),
            "{error}"
        );
        assert!(workshop.written() == old, "{file}");
    }

    let photo = std::env::current_dir()
        .unwrap()
        .join("tests/photos/labelled/panda.jpg");
    let output = program()
        .args(["--model", NETWORK, "--source"])
        .arg(photo)
        .env("EDGE_CLASSIFY_MODELS", workshop.at("out"))
        .current_dir(workshop.at("."))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(records(&output).len(), 1);
}

#[test]
fn what_an_export_reads_it_does_not_overwrite() {
    let workshop = Workshop::new();
    let definition = fs::read(workshop.at("networks.toml")).unwrap();
    let output = program()
        .args(["export", "tiny", "--weights", "synthetic"])
        .args(["--definition", "networks.toml", "-o", "networks.onnx"])
        .current_dir(workshop.at("."))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("networks.toml: the export reads it"),
        "{}",
        stderr(&output)
    );
    assert_eq!(fs::read(workshop.at("networks.toml")).unwrap(), definition);
    assert!(!workshop.at("networks.onnx").exists());
}

#[test]
fn an_export_ended_by_a_signal_leaves_nothing() {
    let workshop = Workshop::new();
    let child = program()
        .args(["export", "tf_efficientnet_b5", "--weights", "synthetic"])
        .args(["-o", "out/b5.onnx"])
        .current_dir(workshop.at("."))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Once something is there, half of it is not.
    let deadline = Instant::now() + Duration::from_secs(60);
    while workshop.written().is_empty() {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("ended by a signal"),
        "{}",
        stderr(&output)
    );
    assert!(workshop.written().is_empty());
}
