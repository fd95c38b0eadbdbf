//! `export`: a network of the zoo with weights to an ONNX file and its card.

mod files;

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use self::files::Files;
use super::args::{ExportArgs, WeightsSource};
use crate::model::{ModelCard, Weights as WeightsOrigin, hex};
use crate::preprocess::Spec;
use crate::zoo::{self, Export, FileWeights, NetworkDef, Registry, Weights};

/// Names of the ImageNet classes, for networks of as many classes that come without labels.
const IMAGENET_LABELS: &str = include_str!("../../models/imagenet_labels.txt");
const IMAGENET_CLASSES: usize = 1000;

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
    let weights = weights(args)?;
    let classes = weights
        .classes()
        .or(args.classes)
        .unwrap_or(IMAGENET_CLASSES);
    let size = args.input_size.unwrap_or(network.size);
    let graph = zoo::graph(network, size as usize, classes)?;
    weights.check(&graph.tensors())?;
    let labels = labels(args, classes)?;
    let files = Files::beside(&args.output, labels.is_some());
    files.check(&inputs(args))?;
    let spec = network.preprocessing(size);
    spec.validate().with_context(|| network.name.clone())?;
    let export = Export {
        graph: &graph,
        weights: &weights,
        opset: args.opset,
        fold_bn: args.fold_bn,
        name: &network.name,
        metadata: metadata(network, &spec, labels.as_deref(), &weights),
    };
    files.write(
        |out| Ok(export.write(out)?),
        labels.as_deref(),
        |sha256| card(args, &files, network, spec, &weights, sha256),
    )?;
    let megabytes = fs::metadata(&args.output)?.len() as f64 / 1e6;
    let mut out = io::stderr();
    let _ = writeln!(
        out,
        "{}: {megabytes:.1} MB, {:.2} M parameters, {:.0} M multiply-adds at {size}x{size}, {classes} classes; card {}",
        args.output.display(),
        graph.parameters() as f64 / 1e6,
        graph.multiply_adds() as f64 / 1e6,
        files.card.display()
    );
    Ok(())
}

/// Files that the export reads.
fn inputs(args: &ExportArgs) -> Vec<&Path> {
    let weights = match &args.weights {
        WeightsSource::Synthetic { .. } => None,
        WeightsSource::File(path) => Some(path.as_path()),
    };
    weights
        .into_iter()
        .chain(args.names.as_deref())
        .chain(args.definition.as_deref())
        .collect()
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
        crate::model::Labels::read(path, classes)?;
        return Ok(Some(
            fs::read_to_string(path).with_context(|| path.display().to_string())?,
        ));
    }
    Ok((classes == IMAGENET_CLASSES).then(|| IMAGENET_LABELS.to_owned()))
}

fn metadata(
    network: &NetworkDef,
    spec: &Spec,
    labels: Option<&str>,
    weights: &Weights,
) -> Vec<(String, String)> {
    let list = |values: &[f32]| {
        values
            .iter()
            .map(f32::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let lower = |value: &dyn std::fmt::Debug| format!("{value:?}").to_lowercase();
    let mut properties = vec![
        ("name", network.name.clone()),
        ("family", network.family.clone()),
        ("weights", weights.source()),
        ("preprocess.size", spec.size.to_string()),
        ("preprocess.resize", spec.resize.to_string()),
        ("preprocess.crop", lower(&spec.crop)),
        ("preprocess.interpolation", lower(&spec.interpolation)),
        ("preprocess.color", lower(&spec.color)),
        ("preprocess.mean", list(&spec.mean)),
        ("preprocess.std", list(&spec.std)),
    ];
    if let Some(labels) = labels {
        properties.push(("labels.sha256", hex(&Sha256::digest(labels))));
    }
    properties
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// The card's text.
fn card(
    args: &ExportArgs,
    files: &Files,
    network: &NetworkDef,
    spec: Spec,
    weights: &Weights,
    sha256: String,
) -> Result<String> {
    let name = |path: &Path| path.file_name().unwrap_or_default().into();
    let stem = files.model.file_stem().unwrap_or_default();
    let card = ModelCard {
        name: stem.to_string_lossy().into_owned(),
        description: format!("{} ({})", network.name, network.family),
        file: name(&files.model),
        sha256: Some(sha256),
        labels: files.labels.as_deref().map(name),
        preprocess: spec,
        weights: Some(WeightsOrigin {
            source: weights.source(),
            licence: args.licence.clone(),
        }),
    };
    Ok(toml::to_string_pretty(&card)?)
}
