//! What the integration tests share. They run from the repository's root, as Cargo arranges.
#![allow(dead_code)] // each test file uses a part

pub mod checkpoint;
pub mod exporters;
pub mod repository;
pub mod server;
pub mod workshop;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

pub const MODEL: &str = "tests/models/tf_efficientnet_lite0.onnx";

/// Photographs to quantize with.
pub const CALIBRATION: &str = "tests/photos/calibration";

/// The program, with nothing of the caller's settings.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edge-classify"));
    command
        .env_remove("EDGE_CLASSIFY_MODELS")
        .env_remove("EDGE_CLASSIFY_ISA")
        .env_remove("RUST_LOG")
        .env_remove("XDG_DATA_HOME")
        .env("HOME", "/nonexistent");
    command
}

pub fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

/// The same command, but no file that it writes can become longer: writing fails as it does on a full disk.
pub fn with_file_limit(command: &Command, bytes: usize) -> Command {
    // The shell's limit is in blocks of 1024 bytes; without the trap, passing it is a signal.
    let script = format!(
        "trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"",
        bytes / 1024
    );
    let mut limited = Command::new("bash");
    limited
        .args(["-c", &script])
        .arg(command.get_program())
        .args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(key, value),
            None => limited.env_remove(key),
        };
    }
    limited
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The JSON records on stdout; anything else there is a failure.
pub fn records(output: &Output) -> Vec<serde_json::Value> {
    stdout(output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
        .collect()
}

/// Rows of a simple CSV file, keyed by their first column; fields by the header's names.
pub fn csv(path: &Path) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader
        .deserialize()
        .map(|row| {
            let row: BTreeMap<String, String> = row.unwrap();
            (row["file"].clone(), row)
        })
        .collect()
}

/// Values of a float32 .npy file.
pub fn npy(path: &Path) -> Vec<f32> {
    let file = std::fs::File::open(path).unwrap();
    let npy = npyz::NpyFile::new(std::io::BufReader::new(file)).unwrap();
    npy.into_vec().unwrap()
}

/// A directory of some of the photographs to calibrate with.
pub fn some_photographs(directory: &Path, count: usize) -> String {
    let photographs = directory.join("photographs");
    std::fs::create_dir_all(&photographs).unwrap();
    let mut all: Vec<_> = std::fs::read_dir(CALIBRATION)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    all.sort();
    for name in all.iter().step_by(all.len() / count).take(count) {
        std::fs::copy(Path::new(CALIBRATION).join(name), photographs.join(name)).unwrap();
    }
    photographs.to_str().unwrap().to_owned()
}
