//! Exports in a directory of their own.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use edge_classify::zoo::{self, Registry, TensorSpec};
use tempfile::TempDir;

use super::{program, stderr};

/// A network of a few kilobytes.
const TINY: &str = "family = 'own'\n[network.tiny]\nstages = ['ds_r1_k3_s2_c8_se0.25']\nstem = 8\n\
                    head_features = 16\nsize = 32\n";
pub const CLASSES: usize = 10;

/// Where a test exports: definitions and weights in one directory, and another for the output.
pub struct Workshop {
    pub directory: TempDir,
}

impl Workshop {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("networks.toml"), TINY).unwrap();
        fs::create_dir(directory.path().join("out")).unwrap();
        Workshop { directory }
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// An export of `network` to out/NETWORK.onnx, in 500 MB of address space. One that hangs is ended.
    pub fn command(&self, limits: &str, network: &str, weights: &str, options: &[&str]) -> Command {
        let mut command = Command::new("bash");
        command
            .args(["-c", &format!("{limits} exec timeout 300 \"$0\" \"$@\"")])
            .arg(program().get_program())
            .args(["export", network, "--weights", weights])
            .args(["--definition", "networks.toml"])
            .args(["-o", &format!("out/{network}.onnx")])
            .args(options)
            .current_dir(self.directory.path())
            .env_remove("RUST_LOG");
        command
    }

    pub fn export(&self, network: &str, weights: &str, options: &[&str]) -> Output {
        self.command("ulimit -v 500000;", network, weights, options)
            .output()
            .unwrap()
    }

    pub fn write(&self, name: &str, contents: &[u8]) {
        fs::write(self.at(name), contents).unwrap();
    }

    /// Every file in the output directory, and its contents.
    pub fn written(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(self.at("out")).unwrap().map(Result::unwrap);
        entries
            .map(|entry| {
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read(entry.path()).unwrap_or_default())
            })
            .collect()
    }

    /// Exports `tiny` with weights that must be refused, naming the file and all of `says`.
    pub fn refused(&self, weights: &str, case: &str, says: &[&str]) {
        let output = self.export("tiny", weights, &[]);
        self.assert_refused(&output, weights, case, says);
    }

    pub fn assert_refused(&self, output: &Output, weights: &str, case: &str, says: &[&str]) {
        let error = stderr(output);
        assert_eq!(output.status.code(), Some(1), "{case}: {error}");
        assert!(output.stdout.is_empty(), "{case}");
        assert!(error.starts_with("error: "), "{case}: {error}");
        for part in says.iter().chain([&weights]) {
            assert!(error.contains(part), "{case}: {part}: {error}");
        }
        assert!(!error.contains("panicked"), "{case}: {error}");
        assert!(self.written().is_empty(), "{case}: {:?}", self.written());
    }
}

pub fn tensors_of(registry: &Registry, network: &str, classes: usize) -> Vec<TensorSpec> {
    let network = registry.get(network).unwrap();
    zoo::graph(network, network.size as usize, classes)
        .unwrap()
        .tensors()
}

pub fn tiny(workshop: &Workshop) -> Vec<TensorSpec> {
    let registry = Registry::with_file(&workshop.at("networks.toml")).unwrap();
    tensors_of(&registry, "tiny", CLASSES)
}
