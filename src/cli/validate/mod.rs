//! `validate`: precision over labelled pictures, agreement of two models.

mod args;
mod predictions;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use args::ValidateArgs;
use args::{MergeArgs, ValidateCommand, ValidateRunArgs};
use predictions::PredictionsFile;

use super::{engine_args, find_model};
use crate::board::Board;
use crate::daemon::{self, LoadedModel, Stop};
use crate::engine::{Options, Precision, Threads};
use crate::model::{Installed, Labels, hex};
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
    options: Options,
    /// Whether the labels are from a file, and not made up.
    is_labelled: bool,
    header: Header,
}

impl<'a> Candidate<'a> {
    fn of(
        installed: Installed,
        precision: Option<Precision>,
        args: &'a ValidateRunArgs,
    ) -> Result<Self> {
        let one = Threads::new(1).expect("one is allowed");
        let options = engine_args::options(one, Board::of_this_machine().as_ref())?;
        let options = options.in_precision(precision)?;
        let labels_file = args.labels.as_deref();
        let LoadedModel {
            name,
            mut spec,
            labels,
            ..
        } = daemon::load(&installed, labels_file, &options)?;
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
            is_labelled: labels_file.is_some() || installed.has_labels(),
            installed,
            labels_file,
            labels,
            options,
        })
    }

    /// Whether an index means the same to both, as far as can be known.
    fn check_comparable(&self, other: &Candidate) -> Result<()> {
        let names = [self, other].map(|candidate| &candidate.installed.name);
        let counts = [self, other].map(|candidate| candidate.labels.len());
        if counts[0] != counts[1] {
            bail!(
                "{} has {} classes and {} has {}: they cannot be compared",
                names[0],
                counts[0],
                names[1],
                counts[1]
            );
        }
        if !self.is_labelled || !other.is_labelled {
            return Ok(());
        }
        let mut labels = self.labels.iter().zip(other.labels.iter()).enumerate();
        if let Some((index, (a, b))) = labels.find(|(_, (a, b))| a != b) {
            bail!(
                "class {index} is '{a}' of {} and '{b}' of {}: their classes are not the same and cannot be compared; if \
                 only the wording differs, give both one list with --labels",
                names[0],
                names[1]
            );
        }
        Ok(())
    }
}

fn run(args: &ValidateRunArgs) -> Result<()> {
    let stop = Stop::default();
    stop.on_signals().context("cannot handle signals")?;
    let model = args.model.as_deref().expect("clap requires it");
    let data = args.data.as_deref().expect("clap requires it");
    let first = Candidate::of(args.trust.find_model(model)?, args.precision, args)?;
    let second = args
        .compare
        .as_deref()
        .map(|other| Candidate::of(find_model(other)?, None, args))
        .transpose()?;
    if let Some(second) = &second {
        first.check_comparable(second)?;
    }
    let classes = Classes::new(&first.labels);
    let dataset = Dataset::open(data, args.labels_list.as_deref(), &classes)?;
    if second.is_none() {
        dataset.check_labelled()?;
    }
    let predictions = args.predictions.as_deref();
    let file = predictions.map(PredictionsFile::create).transpose()?;

    let results = classify(&first, &dataset, args, &stop)?;
    let Some(second) = second else {
        return finish(&results, file, args.json);
    };
    check(&results)?;
    let others = classify(&second, &dataset, args, &stop)?;
    check(&others)?;
    // An interrupted run has fewer of one than of the other.
    let comparison = Comparison::new(&results, &others, &first.labels);
    print(&comparison, args.json)?;
    ended(results.header.complete && others.header.complete)
}

/// Keeps and reports results. One that cannot be done does not keep the other from being done.
fn finish(results: &Results, file: Option<PredictionsFile>, as_json: bool) -> Result<()> {
    let kept = file.map_or(Ok(()), |file| file.keep(results));
    let reported = check(results).and_then(|()| print(&Report::new(results), as_json));
    kept?;
    reported?;
    ended(results.header.complete)
}

/// Whether there is anything to report.
fn check(results: &Results) -> Result<()> {
    let (pictures, unreadable) = (results.rows.len(), results.unreadable());
    if results.header.complete && pictures > 0 && unreadable == pictures {
        bail!("none of the {pictures} pictures could be classified");
    }
    Ok(())
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
        let (labels, options) = (candidate.labels_file, &candidate.options);
        let mut model = daemon::load(&candidate.installed, labels, options)?;
        model.spec = candidate.header.preprocess.clone();
        Ok(model)
    };
    let rows = validate::run(&dataset.root, &samples, workers, &load, stop, &mut done)?;
    bar.finish_and_clear();
    let header = Header {
        pictures: dataset.samples.len(),
        dataset: dataset.digest(),
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

fn merge(args: &MergeArgs) -> Result<()> {
    let predictions = args.predictions.as_deref();
    let file = predictions.map(PredictionsFile::create).transpose()?;
    let read = |path: &PathBuf| Ok((path.clone(), Results::read(path)?));
    let shards: Result<Vec<_>> = args.files.iter().map(read).collect();
    finish(&validate::merge(shards?)?, file, args.json)
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
