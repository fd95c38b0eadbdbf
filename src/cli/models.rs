//! `models list` and `models show`.

use std::io::{self, Write};

use anyhow::Result;
use serde_json::json;

use super::args::ModelsCommand;
use crate::model::{FindError, Installed, Library};
use crate::preprocess::{Pipeline, Spec};

pub fn models(command: ModelsCommand) -> Result<()> {
    let library = Library::from_environment();
    match command {
        ModelsCommand::List { json } => list(&library, json),
        ModelsCommand::Show { name } => show(&library.find(&name)?),
    }
}

fn list(library: &Library, as_json: bool) -> Result<()> {
    let models = library.list();
    let mut out = io::stdout().lock();
    if as_json {
        let rows: Vec<_> = models
            .iter()
            .map(|(name, found)| match found {
                Ok(model) => json!({
                    "name": name,
                    "file": model.file,
                    "description": model.card.as_ref().map(|card| &card.description),
                    "input_size": model.card.as_ref().map(|card| card.preprocess.size),
                    "licence": model.card.as_ref().and_then(|c| c.weights.as_ref()).map(|w| &w.licence),
                    "error": null,
                }),
                Err(error) => json!({ "name": name, "error": error.to_string() }),
            })
            .collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
        return Ok(());
    }
    if models.is_empty() {
        writeln!(out, "no models; directories searched:")?;
        for directory in library.directories() {
            writeln!(out, "  {}", directory.display())?;
        }
        return Ok(());
    }
    let width = models.keys().map(String::len).max().unwrap_or(0);
    for (name, found) in &models {
        writeln!(out, "{name:<width$}  {}", one_line(found))?;
    }
    Ok(())
}

fn one_line(found: &Result<Installed, FindError>) -> String {
    match found {
        Ok(Installed {
            card: Some(card),
            file,
            ..
        }) => {
            let side = card.preprocess.size;
            format!("{side}x{side}  {} ({})", card.description, file.display())
        }
        Ok(model) => format!("no card ({})", model.file.display()),
        Err(error) => format!("cannot be used: {error}"),
    }
}

fn show(model: &Installed) -> Result<()> {
    let mut out = io::stdout().lock();
    let mut row = |key: &str, value: String| writeln!(out, "{key:<14}{value}");
    row("name", model.name.clone())?;
    row("file", model.file.display().to_string())?;
    row(
        "file size",
        format!("{} bytes", std::fs::metadata(&model.file)?.len()),
    )?;
    let Some(card) = &model.card else {
        let beside = model.file.with_extension("toml");
        return Ok(row(
            "card",
            format!("none; describe the model in {}", beside.display()),
        )?);
    };
    row("description", card.description.clone())?;
    row(
        "sha256",
        card.sha256
            .clone()
            .unwrap_or_else(|| "not given".to_owned()),
    )?;
    let labels = model.labels_file();
    row(
        "labels",
        labels.map_or_else(|| "none".to_owned(), |path| path.display().to_string()),
    )?;
    row("preprocessing", preprocessing(&card.preprocess))?;
    if let Some(weights) = &card.weights {
        row("weights", weights.source.clone())?;
        row("licence", weights.licence.clone())?;
    }
    Ok(())
}

fn preprocessing(spec: &Spec) -> String {
    let size = format!("{0}x{0}", spec.size);
    let steps = match spec.pipeline {
        Pipeline::Torch => format!(
            "torch: shorter side to {} ({:?}), {:?} crop {size}",
            spec.resize, spec.interpolation, spec.crop
        ),
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
