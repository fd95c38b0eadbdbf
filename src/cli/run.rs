//! The main job: classify what a camera or some files show.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result, bail};

use super::args::{OutputFormat, RunArgs};
use super::self_test;
use crate::camera::{CameraOptions, Files, LiveCamera, Source, TestPicture};
use crate::daemon::{self, Classifier, Limits, Outcome, Selection, Stop};
use crate::preprocess::Size;
use crate::sinks::{JsonLines, Sink, Text};

pub fn run(args: &RunArgs) -> Result<()> {
    // Before anything that takes time, so that a signal during start-up is not lost.
    let stop = Stop::default();
    stop.on_signals().context("cannot handle signals")?;
    let name = args.model.as_deref().expect("clap requires it");
    let installed = args.trust.find_model(name)?;
    let options = args.engine.options()?;
    let mut model = daemon::load(&installed, args.labels.as_deref(), &options)?;
    if let Some(preprocessing) = args.preprocessing {
        model.spec.pipeline = preprocessing.into();
        model.spec.validate()?;
    }
    if let Some(test) = model.self_test.take().filter(|_| !args.no_self_test) {
        // One picture tells; `doctor` runs them all.
        self_test::replay(&test, &mut model.session, 1, &installed.file, &options)?;
    }
    // All of a signed plan, which is packed by now.
    drop(installed);
    let size = model.spec.size;
    let selection = Selection {
        top_k: args.top_k,
        threshold: args.threshold,
    };
    let mut classifier = Classifier::new(model, selection);
    let mut source = source(args, size)?;
    let limits = Limits {
        frames: args.frames,
        fps: args.fps,
    };
    let mut sink = sink(args.output);
    let (outcome, result) = daemon::run(&mut *source, &mut classifier, &mut *sink, limits, &stop);
    if !matches!(result, Err(daemon::RunError::Sink(_))) {
        summarise(&outcome);
    }
    result?;
    // Being told to stop is no failure, whatever came before.
    if args.camera.is_none() && outcome.failed > 0 && !stop.requested() {
        bail!("{} of the pictures could not be classified", outcome.failed);
    }
    Ok(())
}

fn source(args: &RunArgs, size: Size) -> Result<Box<dyn Source>> {
    let Some(device) = &args.camera else {
        return Ok(Box::new(Files::new(&args.source)?));
    };
    if device == "test" {
        return Ok(Box::new(TestPicture::default()));
    }
    let camera = LiveCamera::start(CameraOptions {
        device: device.clone(),
        size: args.camera_size,
        format: args.camera_format,
        fps: args.fps,
        cover: size.longer(),
    })?;
    Ok(Box::new(camera))
}

fn sink(format: Option<OutputFormat>) -> Box<dyn Sink> {
    let stdout = io::stdout();
    let format = format.unwrap_or(if stdout.is_terminal() {
        OutputFormat::Text
    } else {
        OutputFormat::Jsonl
    });
    match format {
        OutputFormat::Text => Box::new(Text::new(stdout.lock())),
        OutputFormat::Jsonl => Box::new(JsonLines(stdout.lock())),
    }
}

fn summarise(outcome: &Outcome) {
    let dropped = outcome.dropped;
    let corrupt = dropped.corrupt + outcome.failed;
    let mut text = format!(
        "classified {} frames, dropped {} ({} stale, {corrupt} bad)",
        outcome.classified,
        dropped.stale + corrupt,
        dropped.stale,
    );
    let percentile = |percent| outcome.latency.percentile_ms(percent);
    if let (Some(p50), Some(p95), Some(p99)) =
        (percentile(50.0), percentile(95.0), percentile(99.0))
    {
        text += &format!("; latency p50 {p50:.1} ms, p95 {p95:.1} ms, p99 {p99:.1} ms");
    }
    // Nobody may be listening any more.
    let _ = writeln!(io::stderr(), "{text}");
}
