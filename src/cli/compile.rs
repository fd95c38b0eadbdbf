//! `compile`: a model as a plan, which starts faster and needs nothing beside it.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::calibration::Pictures;
use super::host_args::CompileArgs;
use super::int8_args::Int8Args;
use super::quantization;
use crate::daemon;
use crate::engine::net::{Layer, Net, Shape};
use crate::engine::{Options, Threads};
use crate::model::{Installed, ModelCard, NewFile};
use crate::plan::{self, Belongings};
use crate::preprocess::{Size, Spec};
use crate::quantize::Comparison;
use crate::session::{Program, Session};

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
    let belongings = belongings(&installed, output, classes)?;
    if belongings.card.is_none() {
        log::warn!(
            "{}: no model card, so the plan has none: its preprocessing is ImageNet's, its classes are numbered",
            installed.file.display()
        );
    }
    let net = match args.int8.int8 {
        true => quantized(net, &args.int8, &installed)?,
        false => net.with_precision(args.precision),
    };
    let (layers, precision) = (net.layers().len(), net.precision());
    let contents = plan::write(&net, belongings)
        .map_err(|problem| anyhow::anyhow!("{}: {problem}", installed.file.display()))?;
    let directory = match output.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let write = || -> io::Result<()> {
        let mut file = NewFile::create(directory)?;
        file.write_all(&contents)?;
        file.keep(output.file_name().unwrap_or_default())
    };
    write().with_context(|| shown.to_string())?;
    let megabytes = contents.len() as f64 / 1e6;
    // Nobody may be listening any more.
    let _ = writeln!(
        io::stderr(),
        "{shown}: {megabytes:.1} MB, {layers} layers, weights of {precision}"
    );
    Ok(())
}

/// The network in int8, calibrated with the photographs that are given.
fn quantized(net: Net, args: &Int8Args, installed: &Installed) -> Result<Net> {
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
    let quantized = quantization::quantize(&net, args, &pictures, &engine).with_context(named)?;
    let nets = [net, quantized.net.clone()];
    let comparison = compare(nets, &pictures.held_back, &engine).with_context(named)?;
    let (cosine, least) = comparison.cosine();
    // Nobody may be listening any more.
    let _ = writeln!(
        io::stderr(),
        "calibrated with {} {}; of {} others, {} get the same class as before; cosine of logits {cosine:.4}, \
         {least:.4} at least",
        pictures.calibrating.len(),
        if pictures.synthetic {
            "random pictures"
        } else {
            "photographs"
        },
        comparison.pictures,
        comparison.agreements,
    );
    Ok(quantized.net)
}

/// What two networks say of the same pictures.
fn compare(nets: [Net; 2], pictures: &[Vec<f32>], engine: &Options) -> Result<Comparison> {
    let [first, second] = nets.map(|net| Session::with(Program::Net(net), engine));
    let (mut first, mut second) = (first?, second?);
    let mut comparison = Comparison::default();
    for picture in pictures {
        comparison.add(&first.run(picture)?, &second.run(picture)?);
    }
    Ok(comparison)
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
    })
}
