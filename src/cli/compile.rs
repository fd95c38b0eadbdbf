//! `compile`: a model as a plan, which starts faster and needs nothing beside it.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::host_args::CompileArgs;
use crate::daemon;
use crate::engine::net::Layer;
use crate::model::{Installed, ModelCard, NewFile};
use crate::plan::{self, Belongings};
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
    let (layers, classes) = (net.layers().len(), net.output().channels);
    let belongings = belongings(&installed, output, classes)?;
    if belongings.card.is_none() {
        log::warn!(
            "{}: no model card, so the plan has none: its preprocessing is ImageNet's, its classes are numbered",
            installed.file.display()
        );
    }
    let contents = plan::write(&net.with_precision(args.precision), belongings)
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
        "{shown}: {megabytes:.1} MB, {layers} layers, weights of {}",
        args.precision
    );
    Ok(())
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
