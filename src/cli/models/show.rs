//! `models show`: all there is to say about a model and its network.

use std::io::{self, Write};

use anyhow::Result;

#[cfg(feature = "host")]
use super::networks;
#[cfg(feature = "host")]
use crate::model::FindError;
use crate::model::{Installed, Library};
use crate::preprocess::{Pipeline, Spec};
use crate::text::one_line;

pub fn show(name: &str) -> Result<()> {
    let installed = match Library::from_environment().find(name) {
        Ok(model) => Some(model),
        #[cfg(feature = "host")]
        Err(FindError::Unknown { .. }) if networks::is_known(name) => None,
        Err(_) => return crate::cli::find_model(name).map(|_| ()),
    };
    let mut out = io::stdout().lock();
    let mut rows = Rows(&mut out);
    match &installed {
        Some(model) => {
            rows.row("name", &model.name)?;
            show_model(model, &mut rows)?;
        }
        None => {
            rows.row("name", name)?;
            rows.row("installed", "no")?;
        }
    }
    #[cfg(feature = "host")]
    networks::show(name, &mut rows)?;
    Ok(())
}

/// Keys and values in two columns.
pub struct Rows<'a>(&'a mut dyn Write);

impl Rows<'_> {
    pub fn row(&mut self, key: &str, value: impl std::fmt::Display) -> io::Result<()> {
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
