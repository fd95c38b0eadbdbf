//! What the fuzzer of plans found worth keeping, and what once went wrong: read again, as it reads them.

#[path = "../fuzz/src/check.rs"]
mod check;

use std::path::Path;

use check::{Reached, check};

#[test]
fn no_plan_of_the_corpus_does_harm() {
    let mut reached = Vec::new();
    for directory in ["fuzz/corpus/plan", "fuzz/found/plan"] {
        let Ok(entries) = std::fs::read_dir(Path::new(directory)) else {
            continue;
        };
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            println!("{}", file.display());
            reached.push(check(&std::fs::read(file).unwrap()));
        }
    }
    for stage in [
        Reached::Nothing,
        Reached::Header,
        Reached::Network,
        Reached::Result,
    ] {
        assert!(
            reached.contains(&stage),
            "none came as far as {stage:?}, and no farther"
        );
    }
}
