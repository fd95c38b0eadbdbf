//! `export`: a network of the zoo with weights to an ONNX file, its labels and its card.

use std::fs;
use std::io::{self, Write};

use anyhow::{Context, Result, bail};

use super::conversion::{Conversion, IMAGENET_CLASSES, default_labels};
use super::host_args::{ExportArgs, WeightsSource};
use super::stoppable::Stoppable;
use crate::daemon::Stop;
use crate::model::{Labels, Package};
use crate::preprocess::Spec;
use crate::zoo::{FileWeights, NetworkDef, Registry, Weights};

pub fn export(args: &ExportArgs) -> Result<()> {
    let registry = match &args.definition {
        Some(file) => Registry::with_file(file)?,
        None => Registry::bundled(),
    };
    let network = registry.get(&args.network)?;
    if args
        .output
        .extension()
        .is_none_or(|extension| extension != "onnx")
    {
        bail!("{}: expected a name ending in .onnx", args.output.display());
    }
    check_places(args)?;
    let weights = weights(args)?;
    let classes = weights
        .classes()
        .or(args.classes)
        .unwrap_or(IMAGENET_CLASSES);
    let size = args.input_size.unwrap_or(network.size);
    let stem = args.output.file_stem().unwrap_or_default();
    let conversion = Conversion {
        name: stem.to_string_lossy().into_owned(),
        network,
        weights: &weights,
        source: weights.source(),
        licence: args.licence.clone(),
        classes,
        preprocess: preprocessing(args, network, size),
        labels: labels(args, classes)?,
        opset: args.opset,
        fold_bn: args.fold_bn,
    };
    let built = conversion.build()?;
    // So that being ended leaves nothing half-written.
    let stop = Stop::default();
    stop.on_signals().context("cannot handle signals")?;
    let card = built.package.write_beside(&args.output, |out| {
        built.write(&mut Stoppable { out, stop: &stop })
    })?;
    let megabytes = fs::metadata(&args.output)?.len() as f64 / 1e6;
    // Nobody may be listening any more.
    let _ = writeln!(
        io::stderr(),
        "{}: {megabytes:.1} MB, {}; card {}",
        args.output.display(),
        built.summary(),
        card.display()
    );
    Ok(())
}

/// Refuses an output where none of our files may go: on a directory, or on what is read for the export.
fn check_places(args: &ExportArgs) -> Result<()> {
    let weights = match &args.weights {
        WeightsSource::Synthetic { .. } => None,
        WeightsSource::File(path) => Some(path),
    };
    // Labels are written as they are read.
    let others = [&args.names, &args.definition];
    let inputs: Vec<_> = others.into_iter().flatten().chain(weights).collect();
    for path in Package::paths_beside(&args.output) {
        if path.is_dir() {
            bail!(
                "{}: is a directory; give the output another name",
                path.display()
            );
        }
        let Ok(place) = path.canonicalize() else {
            continue;
        };
        for input in &inputs {
            if input.canonicalize().is_ok_and(|input| input == place) {
                bail!(
                    "{}: the export reads it, and would overwrite it with {}; give the output another name",
                    input.display(),
                    path.display()
                );
            }
        }
    }
    Ok(())
}

/// The network's own preprocessing, but for what the command line says.
fn preprocessing(args: &ExportArgs, network: &NetworkDef, size: u32) -> Spec {
    let mut spec = network.preprocessing(size);
    if let Some(crop_pct) = args.crop_pct {
        spec.resize = Spec::resize_for(size, crop_pct);
    }
    if let Some(preprocessing) = args.preprocessing {
        spec.pipeline = preprocessing.into();
    }
    if let Some(interpolation) = args.interpolation {
        spec.interpolation = interpolation.into();
    }
    spec
}

fn weights(args: &ExportArgs) -> Result<Weights> {
    let path = match &args.weights {
        WeightsSource::Synthetic { .. } if args.names.is_some() => {
            bail!("--names has no meaning for synthetic weights")
        }
        WeightsSource::Synthetic { seed } => return Ok(Weights::Synthetic { seed: *seed }),
        WeightsSource::File(path) => path,
    };
    let mut file = FileWeights::open(path, args.allow_nan)?;
    if let Some(table) = &args.names {
        file.rename(table)?;
    }
    Ok(Weights::File(file))
}

/// The labels' text, checked to have one line for each class.
fn labels(args: &ExportArgs, classes: usize) -> Result<Option<String>> {
    if let Some(path) = &args.labels {
        Labels::read(path, classes)?;
        return Ok(Some(
            fs::read_to_string(path).with_context(|| path.display().to_string())?,
        ));
    }
    Ok(default_labels(classes))
}
