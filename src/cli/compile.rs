//! `compile`: a model as a plan, which starts faster and needs nothing beside it.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::calibration::Pictures;
use super::held_back::HeldBack;
use super::host_args::CompileArgs;
use super::int8_args::Int8Args;
use super::quantization;
use crate::daemon;
use crate::engine::net::{Layer, Net, Shape};
use crate::engine::{Options, Threads};
use crate::model::{Installed, ModelCard};
use crate::plan::{self, Belongings};
use crate::preprocess::{Size, Spec};
use crate::quantize::Quantized;
use crate::report::Report;
use crate::session::Program;

pub fn compile(args: &CompileArgs) -> Result<()> {
    let output = &args.output;
    let shown = output.display();
    if output.extension().is_none_or(|e| e != plan::EXTENSION) {
        bail!("{shown}: expected a name ending in .{}", plan::EXTENSION);
    }
    let installed = super::find_model(&args.model)?;
    if installed.is_plan() {
        bail!("{}: a plan already", installed.file.display());
    }
    let refuse = |what: &str, reason: &str| {
        let file = installed.file.display();
        anyhow::anyhow!(
            "{file}: tract runs {what} this network, because of {reason}; use it as it is, without a plan"
        )
    };
    let net = match daemon::load_program(&installed)? {
        Program::Net(net) => net,
        Program::Graph(graph) => return Err(refuse("all of", graph.reason())),
    };
    if let Some(part) = net.layers().iter().find_map(Layer::part) {
        return Err(refuse("some of", &part.reason));
    }
    let classes = net.output().channels;
    let mut belongings = belongings(&installed, output, classes)?;
    if belongings.card.is_none() {
        log::warn!(
            "{}: no model card, so the plan has none: its preprocessing is ImageNet's, its classes are numbered",
            installed.file.display()
        );
    }
    let net = match args.int8.int8 {
        true => {
            let (net, report) = quantized(net, &args.int8, &installed)?;
            belongings.report = Some(report);
            net
        }
        false => net.with_precision(args.precision),
    };
    let (layers, precision) = (net.layers().len(), net.precision());
    let contents = plan::write(&net, belongings)
        .map_err(|problem| anyhow::anyhow!("{}: {problem}", installed.file.display()))?;
    super::write_file(output, &contents)?;
    let megabytes = contents.len() as f64 / 1e6;
    // Nobody may be listening any more.
    let _ = writeln!(
        io::stderr(),
        "{shown}: {megabytes:.1} MB, {layers} layers, weights of {precision}"
    );
    Ok(())
}

/// The network in int8, calibrated with the photographs that are given, and what came of it.
fn quantized(net: Net, args: &Int8Args, installed: &Installed) -> Result<(Net, Report)> {
    let Some(calibration) = &args.calibration else {
        bail!(
            "--int8 needs photographs to calibrate with: give a directory of a hundred or so that are like those the \
             camera will see, by --calibration DIR; as a last resort, --calibration synthetic takes random pictures, which \
             say nothing of accuracy"
        );
    };
    let Shape { height, width, .. } = net.input();
    let spec = match &installed.card {
        Some(card) => card.preprocess.clone(),
        None => Spec::imagenet(Size::from_height_and_width((height, width))),
    };
    let pictures = Pictures::find(calibration, &spec, args.seed)?;
    let engine = Options::new(Threads::auto(None))?;
    let named = || installed.file.display().to_string();
    let Quantized {
        net: quantized,
        mut report,
        ..
    } = quantization::quantize(&net, args, &pictures, &engine).with_context(named)?;
    let scores = installed.card.as_ref().map(|card| card.scores);
    let held_back = HeldBack {
        planes: &pictures.held_back,
        files: &pictures.files,
        spec: &spec,
        scores: scores.unwrap_or_default(),
    };
    let compared = held_back.compare([&net, &quantized], &engine, &mut report);
    compared.with_context(named)?;
    // Nobody may be listening any more.
    let _ = writeln!(io::stderr(), "{report}");
    Ok((quantized, report))
}

fn belongings(installed: &Installed, output: &Path, classes: usize) -> Result<Belongings> {
    let card = installed.card.as_ref().map(|card| {
        let card = ModelCard {
            file: output.file_name().unwrap_or_default().into(),
            sha256: None,
            labels: None,
            ..card.clone()
        };
        toml::to_string_pretty(&card).context("the card cannot be written")
    });
    let labels = installed.labels(classes)?;
    Ok(Belongings {
        card: card.transpose()?,
        labels: labels.map(|labels| labels.iter().map(|label| format!("{label}\n")).collect()),
        report: None,
    })
}
