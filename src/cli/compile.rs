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
use crate::model::{Installed, ModelCard, NewFile};
use crate::plan::{self, Belongings, PrivateKey, SelfTest};
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
    let key = args.sign.as_deref().map(PrivateKey::read).transpose()?;
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
    let failed = |problem: String| anyhow::anyhow!("{}: {problem}", installed.file.display());
    let contents = match SelfTest::record(&net).map_err(failed)? {
        Some(self_test) => plan::write_tested(&net, belongings, &self_test),
        None => {
            log::warn!(
                "{}: gives no numbers for pictures without order, so the plan has no self-test",
                installed.file.display()
            );
            plan::write(&net, belongings)
        }
    };
    let contents = contents.map_err(failed)?;
    let directory = match output.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let signature = plan::signature_file(output);
    let write = || -> io::Result<()> {
        let mut file = NewFile::create(directory)?;
        file.write_all(&contents)?;
        if let Some(key) = &key {
            let mut beside = NewFile::create(directory)?;
            beside.write_all(&key.sign(&contents))?;
            file.sync()?;
            beside.keep(signature.file_name().unwrap_or_default())?;
        }
        file.keep(output.file_name().unwrap_or_default())
    };
    write().with_context(|| shown.to_string())?;
    if key.is_none() && signature.exists() {
        log::warn!(
            "{}: not of the plan that was written now",
            signature.display()
        );
    }
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
    if net.is_quantized() {
        bail!(
            "{}: of int8 already, by whoever made it; leave out --int8",
            installed.file.display()
        );
    }
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
