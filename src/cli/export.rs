//! `export`: a network of the zoo with weights to an ONNX file and its card.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use atomicwrites::{AllowOverwrite, AtomicFile};
use sha2::{Digest, Sha256};

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
    let spec = preprocessing(args, network, size)?;
    let export = Export {
        graph: &graph,
        weights: &weights,
        opset: args.opset,
        fold_bn: args.fold_bn,
        name: &network.name,
        metadata: metadata(network, &spec, labels.as_deref(), &weights),
    };
    let sha256 = write_model(&export, &args.output)?;
    let card = write_card(args, network, spec, &weights, labels.as_deref(), sha256)?;
    let megabytes = fs::metadata(&args.output)?.len() as f64 / 1e6;
    let mut out = io::stderr();
    let _ = writeln!(
        out,
        "{}: {megabytes:.1} MB, {:.2} M parameters, {:.0} M multiply-adds at {size}x{size}, {classes} classes; card {}",
        args.output.display(),
        graph.parameters() as f64 / 1e6,
        graph.multiply_adds() as f64 / 1e6,
        card.display()
    );
    Ok(())
}

/// The network's own preprocessing, but for what the command line says.
fn preprocessing(args: &ExportArgs, network: &NetworkDef, size: u32) -> Result<Spec> {
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
    spec.validate().with_context(|| network.name.clone())?;
    Ok(spec)
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
        ("preprocess.pipeline", lower(&spec.pipeline)),
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

/// Writes the model, whole or not at all, and returns its SHA-256.
fn write_model(export: &Export, path: &Path) -> Result<String> {
    let mut digest = Sha256::new();
    let written = AtomicFile::new(path, AllowOverwrite).write(|file| {
        let mut out = BufWriter::new(Hashed {
            out: file,
            digest: &mut digest,
        });
        export.write(&mut out)
    });
    match written {
        Ok(()) => Ok(hex(&digest.finalize())),
        Err(atomicwrites::Error::User(error)) => {
            Err(error).with_context(|| path.display().to_string())
        }
        Err(atomicwrites::Error::Internal(error)) => {
            Err(error).with_context(|| format!("{}: cannot be written", path.display()))
        }
    }
}

struct Hashed<'a> {
    out: &'a mut fs::File,
    digest: &'a mut Sha256,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Writes the card, and the labels, beside the model.
fn write_card(
    args: &ExportArgs,
    network: &NetworkDef,
    spec: Spec,
    weights: &Weights,
    labels: Option<&str>,
    sha256: String,
) -> Result<PathBuf> {
    let path = args.output.with_extension("toml");
    let stem = args
        .output
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let labels_file = labels.map(|_| PathBuf::from(format!("{stem}.labels.txt")));
    if let (Some(file), Some(labels)) = (&labels_file, labels) {
        write_text(&args.output.with_file_name(file), labels)?;
    }
    let card = ModelCard {
        name: stem,
        description: format!("{} ({})", network.name, network.family),
        file: args.output.file_name().unwrap_or_default().into(),
        sha256: Some(sha256),
        labels: labels_file,
        preprocess: spec,
        weights: Some(WeightsOrigin {
            source: weights.source(),
            licence: args.licence.clone(),
        }),
    };
    write_text(&path, &toml::to_string_pretty(&card)?)?;
    Ok(path)
}

fn write_text(path: &Path, text: &str) -> Result<()> {
    AtomicFile::new(path, AllowOverwrite)
        .write(|file| file.write_all(text.as_bytes()))
        .map_err(io::Error::from)
        .with_context(|| format!("{}: cannot be written", path.display()))
}
