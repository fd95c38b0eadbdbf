//! `validate`: precision over labelled pictures, agreement of two models.

mod args;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use args::ValidateArgs;
use args::{MergeArgs, ValidateCommand, ValidateRunArgs};

use super::find_model;
use crate::daemon::{self, LoadedModel, Stop};
use crate::engine::Threads;
use crate::model::{Installed, Labels, NewFile, hex};
use crate::validate::{
    self, Classes, Comparison, Dataset, Header, Report, Results, Row, Sample, Workers,
};

pub fn validate(args: &ValidateArgs) -> Result<()> {
    match &args.command {
        Some(ValidateCommand::Merge(args)) => merge(args),
        None => run(&args.run),
    }
}

/// A model to validate, and what must be known of it before it runs.
struct Candidate<'a> {
    installed: Installed,
    labels_file: Option<&'a Path>,
    labels: Labels,
    header: Header,
}

impl<'a> Candidate<'a> {
    fn find(name: &str, args: &'a ValidateRunArgs) -> Result<Self> {
        let installed = find_model(name)?;
        let labels_file = args.labels.as_deref();
        let LoadedModel {
            name,
            mut spec,
            labels,
            ..
        } = load(&installed, labels_file)?;
        if let Some(preprocessing) = args.preprocessing {
            spec.pipeline = preprocessing.into();
        }
        let file = &installed.file;
        let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
        Ok(Candidate {
            header: Header {
                model: name,
                sha256: hex(&Sha256::digest(bytes)),
                preprocess: spec,
                pictures: 0,
                dataset: String::new(),
                shard: args.shard,
                complete: false,
            },
            installed,
            labels_file,
            labels,
        })
    }
}

fn load(model: &Installed, labels: Option<&Path>) -> Result<LoadedModel, daemon::LoadError> {
    daemon::load(model, labels, Threads::new(1).expect("one is allowed"))
}

fn run(args: &ValidateRunArgs) -> Result<()> {
    let stop = Stop::default();
    stop.on_signals().context("cannot handle signals")?;
    let model = args.model.as_deref().expect("clap requires it");
    let data = args.data.as_deref().expect("clap requires it");
    let first = Candidate::find(model, args)?;
    let second = args
        .compare
        .as_deref()
        .map(|other| Candidate::find(other, args))
        .transpose()?;
    let classes = Classes::new(&first.labels);
    let dataset = Dataset::open(data, args.labels_list.as_deref(), &classes)?;
    if let Some(second) = &second {
        let counts = [first.labels.len(), second.labels.len()];
        if counts[0] != counts[1] {
            bail!(
                "{model} has {} classes and {} has {}: they cannot be compared",
                counts[0],
                second.installed.name,
                counts[1]
            );
        }
    } else {
        dataset.check_labelled()?;
    }
    // Before hours of work that could not be kept.
    let file = args.predictions.as_deref().map(new_file).transpose()?;

    let results = classify(&first, &dataset, args, &stop)?;
    if let Some(second) = second {
        let others = classify(&second, &dataset, args, &stop)?;
        // An interrupted run has fewer of one than of the other.
        let comparison = Comparison::new(&results, &others, &first.labels);
        print(&comparison, args.json)?;
        return ended(results.header.complete && others.header.complete);
    }
    if let (Some(file), Some(path)) = (file, &args.predictions) {
        keep(file, path, &results)?;
    }
    print(&Report::new(&results), args.json)?;
    ended(results.header.complete)
}

fn ended(complete: bool) -> Result<()> {
    if !complete {
        bail!("interrupted before the end; these figures are of a part of the pictures");
    }
    Ok(())
}

fn classify(
    candidate: &Candidate,
    dataset: &Dataset,
    args: &ValidateRunArgs,
    stop: &Stop,
) -> Result<Results> {
    let shard = args.shard;
    let numbered = dataset.samples.iter().enumerate();
    let samples: Vec<Sample> = numbered
        .filter(|(place, _)| shard.is_none_or(|shard| shard.holds(*place)))
        .map(|(_, sample)| sample.clone())
        .collect();
    let workers = Workers {
        threads: args.threads.map_or_else(processors, usize::from),
        batch: args.batch.into(),
    };
    let bar = progress_bar(samples.len());
    let mut done = |row: &Row| {
        if let Err(error) = &row.top {
            bar.suspend(|| log::warn!("{}: {error}; left out", row.path));
        }
        bar.inc(1);
    };
    let load = || {
        let mut model = load(&candidate.installed, candidate.labels_file)?;
        model.spec = candidate.header.preprocess.clone();
        Ok(model)
    };
    let rows = validate::run(&dataset.root, &samples, workers, &load, stop, &mut done)?;
    bar.finish_and_clear();
    let header = Header {
        pictures: dataset.samples.len(),
        dataset: digest(&dataset.samples),
        complete: rows.len() == samples.len(),
        ..candidate.header.clone()
    };
    Ok(Results { header, rows })
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn progress_bar(pictures: usize) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{bar:40} {pos}/{len} pictures, {per_sec}, {eta} left");
    ProgressBar::new(pictures as u64).with_style(style.expect("the template is sound"))
}

/// What makes two sets of pictures the same for our purpose.
fn digest(samples: &[Sample]) -> String {
    let mut digest = Sha256::new();
    for Sample { path, class } in samples {
        digest.update(format!("{path}\0{class:?}\0"));
    }
    hex(&digest.finalize())
}

fn merge(args: &MergeArgs) -> Result<()> {
    let read = |path: &PathBuf| Ok((path.clone(), Results::read(path)?));
    let shards: Result<Vec<_>> = args.files.iter().map(read).collect();
    let results = validate::merge(shards?)?;
    if let Some(path) = &args.predictions {
        keep(new_file(path)?, path, &results)?;
    }
    print(&Report::new(&results), args.json)
}

fn new_file(path: &Path) -> Result<NewFile> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    NewFile::create(directory).with_context(|| format!("{}: cannot be written", path.display()))
}

fn keep(mut file: NewFile, path: &Path, results: &Results) -> Result<()> {
    let name = path.file_name().unwrap_or_default();
    results
        .write(&mut file)
        .and_then(|()| file.keep(name))
        .with_context(|| format!("{}: cannot be written", path.display()))
}

fn print(result: &(impl Display + Serialize), as_json: bool) -> Result<()> {
    let mut out = io::stdout().lock();
    if as_json {
        writeln!(out, "{}", serde_json::to_string_pretty(result)?)?;
    } else {
        write!(out, "{result}")?;
    }
    Ok(())
}
