//! `models show`: all there is to say about a model and its network.

use std::io::{self, Write};

use anyhow::Result;

use crate::model::{FindError, Installed, Library};
use crate::preprocess::{Pipeline, Spec};
use crate::text::one_line;
use crate::zoo::{self, NetworkDef, Registry};

pub fn show(name: &str) -> Result<()> {
    let registry = Registry::bundled();
    let network = registry.get(name).ok();
    let installed = match Library::from_environment().find(name) {
        Ok(model) => Some(model),
        Err(FindError::Unknown { .. }) if network.is_some() => None,
        Err(_) => return crate::cli::find_model(name).map(|_| ()),
    };
    let mut out = io::stdout().lock();
    let mut rows = Rows(&mut out);
    rows.row("name", name_of(installed.as_ref(), network))?;
    match &installed {
        Some(model) => show_model(model, &mut rows)?,
        None => rows.row("installed", "no")?,
    }
    if let Some(network) = network {
        show_network(network, &mut rows)?;
    }
    Ok(())
}

fn name_of<'a>(model: Option<&'a Installed>, network: Option<&'a NetworkDef>) -> &'a str {
    let name = model.map(|model| &model.name);
    name.or(network.map(|network| &network.name))
        .map_or("", String::as_str)
}

/// Keys and values in two columns.
struct Rows<'a>(&'a mut dyn Write);

impl Rows<'_> {
    fn row(&mut self, key: &str, value: impl std::fmt::Display) -> io::Result<()> {
        writeln!(self.0, "{key:<15}{}", one_line(&value.to_string()))
    }
}

fn show_model(model: &Installed, rows: &mut Rows) -> Result<()> {
    rows.row("file", model.file.display())?;
    let bytes = std::fs::metadata(&model.file)?.len();
    rows.row("file size", format_args!("{bytes} bytes"))?;
    let Some(card) = &model.card else {
        let beside = model.file.with_extension("toml");
        let advice = format!("none; describe the model in {}", beside.display());
        return Ok(rows.row("card", advice)?);
    };
    rows.row("description", &card.description)?;
    rows.row("sha256", card.sha256.as_deref().unwrap_or("not given"))?;
    let labels = match model.labels_file() {
        Some(path) => path.display().to_string(),
        None if model.has_labels() => "in the plan".to_owned(),
        None => "none".to_owned(),
    };
    rows.row("labels", labels)?;
    rows.row("preprocessing", preprocessing(&card.preprocess))?;
    if let Some(weights) = &card.weights {
        rows.row("weights", &weights.source)?;
        rows.row("licence", &weights.licence)?;
    }
    Ok(())
}

fn preprocessing(spec: &Spec) -> String {
    let Spec { size, resize, .. } = spec;
    let steps = match spec.pipeline {
        Pipeline::Torch => {
            let resize = match resize.is_square() {
                true => format!("shorter side to {}", resize.width),
                false => format!("to cover {resize}"),
            };
            format!(
                "torch: {resize} ({:?}), {:?} crop {size}",
                spec.interpolation, spec.crop
            )
        }
        Pipeline::Tf => format!(
            "tf: {:?} crop in proportion, to {size} ({:?})",
            spec.crop, spec.interpolation
        ),
    };
    format!(
        "{steps}; {:?}, mean {:?}, std {:?}",
        spec.color, spec.mean, spec.std
    )
}

fn show_network(network: &NetworkDef, rows: &mut Rows) -> Result<()> {
    rows.row(
        "network",
        format_args!("{} ({})", network.name, network.family),
    )?;
    if let Some(paper) = &network.paper {
        rows.row("paper", paper)?;
    }
    let size = network.size;
    let graph = zoo::graph(network, size as usize, 1000)?;
    rows.row(
        "parameters",
        format_args!("{:.2} M", graph.parameters() as f64 / 1e6),
    )?;
    let multiply_adds = graph.multiply_adds() as f64 / 1e6;
    rows.row(
        "multiply-adds",
        format_args!("{multiply_adds:.0} M at {size}x{size}"),
    )?;
    if let Some(published) = network.published {
        let (top1, top5) = (published.top1, published.top5);
        rows.row("published", format_args!("top-1 {top1} %, top-5 {top5} %"))?;
    }
    if let Some(tf) = network.published_tf {
        let text = format!(
            "top-1 {} %, top-5 {} % with TensorFlow's preprocessing, {:?}",
            tf.top1, tf.top5, tf.interpolation
        );
        rows.row("published", text)?;
    }
    match &network.timm {
        Some(name) => rows.row(
            "hub",
            format_args!("timm/{name}; edge-classify models pull {}", network.name),
        )?,
        None => rows.row(
            "hub",
            "no weights known; edge-classify export with your own",
        )?,
    }
    for (index, stage) in network.stages.iter().enumerate() {
        let blocks: Vec<_> = stage.iter().map(ToString::to_string).collect();
        let key = if index == 0 { "stages" } else { "" };
        rows.row(key, blocks.join(" "))?;
    }
    Ok(())
}
