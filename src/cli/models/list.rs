//! `models list`: a table of what is installed and what the zoo can make.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;
use serde_json::{Value, json};

use super::args::ListArgs;
use crate::cli::table;
use crate::model::{FindError, Installed, Library};
use crate::preprocess::Size;
use crate::text::one_line;

/// A model on this machine, a network of the zoo, or both.
#[derive(Default)]
pub struct Row {
    pub network: Option<Network>,
    installed: Option<Result<Installed, FindError>>,
}

/// What is told of a network.
pub struct Network {
    pub family: String,
    /// At the network's own size, for 1000 classes.
    pub counts: Option<Counts>,
    pub size: Size,
    /// Published, in percent.
    pub accuracy: Option<Accuracy>,
    /// Repository of its weights.
    pub hub: Option<String>,
}

#[derive(Clone, Copy)]
pub struct Counts {
    pub parameters: u64,
    pub multiply_adds: u64,
}

#[derive(Clone, Copy, Serialize)]
pub struct Accuracy {
    pub top1: f64,
    pub top5: f64,
}

pub fn list(args: &ListArgs) -> Result<()> {
    let library = Library::from_environment();
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for (name, installed) in library.list() {
        rows.entry(name).or_default().installed = Some(installed);
    }
    #[cfg(feature = "host")]
    super::networks::add(&mut rows, args.installed);
    let mut out = io::stdout().lock();
    if args.json {
        let rows: Vec<_> = rows.iter().map(|(name, row)| as_json(name, row)).collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
        return Ok(());
    }
    if rows.is_empty() {
        writeln!(out, "no models; directories searched:")?;
        for directory in library.directories() {
            writeln!(out, "  {}", directory.display())?;
        }
        return Ok(());
    }
    print(&rows, &mut out)
}

fn as_json(name: &str, row: &Row) -> Value {
    let network = row.network.as_ref();
    let counts = network.and_then(|network| network.counts);
    json!({
        "name": name,
        "family": network.map(|network| &network.family),
        "parameters": counts.map(|counts| counts.parameters),
        "multiply_adds": counts.map(|counts| counts.multiply_adds),
        "input_size": input_size(row),
        "published": network.and_then(|network| network.accuracy),
        "hub": network.and_then(|network| network.hub.as_ref()),
        "installed": row.installed.as_ref().map(|installed| match installed {
            Ok(model) => json!({
                "file": model.file,
                "description": model.card.as_ref().map(|card| &card.description),
                "licence": model.card.as_ref().and_then(|c| c.weights.as_ref()).map(|w| &w.licence),
            }),
            Err(error) => json!({ "error": error.to_string() }),
        }),
    })
}

/// The installed model's, which need not be its network's own.
fn input_size(row: &Row) -> Option<Size> {
    match &row.installed {
        Some(Ok(model)) => model.card.as_ref().map(|card| card.preprocess.size),
        _ => row.network.as_ref().map(|network| network.size),
    }
}

fn print(rows: &BTreeMap<String, Row>, out: &mut dyn Write) -> Result<()> {
    let none = || table::UNKNOWN.to_owned();
    let mut lines = vec![
        [
            "NAME",
            "FAMILY",
            "PARAMS M",
            "MADDS M",
            "INPUT",
            "TOP-1 %",
            "TOP-5 %",
            "INSTALLED",
        ]
        .map(str::to_owned),
    ];
    for (name, row) in rows {
        let network = row.network.as_ref();
        let counts = network.and_then(|network| network.counts);
        let accuracy = network.and_then(|network| network.accuracy);
        let percent = |value: Option<f64>| value.map_or_else(none, |value| format!("{value:.1}"));
        let millions = |value: Option<u64>, digits| {
            value.map_or_else(none, |value| format!("{:.digits$}", value as f64 / 1e6))
        };
        lines.push([
            name.clone(),
            network.map_or_else(none, |network| network.family.clone()),
            millions(counts.map(|counts| counts.parameters), 2),
            millions(counts.map(|counts| counts.multiply_adds), 0),
            input_size(row).map_or_else(none, |size| size.to_string()),
            percent(accuracy.map(|accuracy| accuracy.top1)),
            percent(accuracy.map(|accuracy| accuracy.top5)),
            row.installed.as_ref().map_or_else(
                || "no".to_owned(),
                |installed| match installed {
                    Ok(model) => model.file.display().to_string(),
                    Err(error) => one_line(&format!("cannot be used: {error}")),
                },
            ),
        ]);
    }
    table::write(&lines, &[2, 3, 4, 5, 6], out)?;
    Ok(())
}
