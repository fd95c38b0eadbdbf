//! `models list`: a table of what is installed and what the zoo can make.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anyhow::Result;
use serde_json::{Value, json};

use super::args::ListArgs;
use crate::cli::table;
use crate::model::{FindError, Installed, Library};
use crate::preprocess::Size;
use crate::text::one_line;
use crate::zoo::{self, Accuracy, NetworkDef, Registry};

/// A model on this machine, a network, or both.
#[derive(Default)]
struct Row<'a> {
    network: Option<&'a NetworkDef>,
    installed: Option<Result<Installed, FindError>>,
}

pub fn list(args: &ListArgs) -> Result<()> {
    let library = Library::from_environment();
    let registry = Registry::bundled();
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for (name, installed) in library.list() {
        rows.entry(name).or_default().installed = Some(installed);
    }
    if args.installed {
        for (name, row) in &mut rows {
            row.network = registry.get(name).ok();
        }
    } else {
        for network in registry.networks() {
            for name in network.aliases.iter().chain([&network.name]) {
                rows.entry(name.clone()).or_default().network = Some(network);
            }
        }
    }
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

/// Parameters and multiply-adds at the network's own size, for 1000 classes.
fn counts(network: &NetworkDef) -> Option<(u64, u64)> {
    let graph = zoo::graph(network, network.size as usize, 1000).ok()?;
    Some((graph.parameters(), graph.multiply_adds()))
}

/// Published accuracy, rather with the preprocessing that is the default.
fn published(network: &NetworkDef) -> Option<Accuracy> {
    let tensorflow = || {
        let tf = network.published_tf?;
        Some(Accuracy {
            top1: tf.top1,
            top5: tf.top5,
        })
    };
    network.published.or_else(tensorflow)
}

fn as_json(name: &str, row: &Row) -> Value {
    let counts = row.network.and_then(counts);
    let accuracy = row.network.and_then(published);
    json!({
        "name": name,
        "family": row.network.map(|network| &network.family),
        "parameters": counts.map(|counts| counts.0),
        "multiply_adds": counts.map(|counts| counts.1),
        "input_size": input_size(row),
        "published": accuracy.map(|a| json!({"top1": a.top1, "top5": a.top5})),
        "hub": row.network.and_then(|network| network.timm.as_ref()).map(|name| format!("timm/{name}")),
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
        _ => row.network.map(|network| network.size.into()),
    }
}

fn print(rows: &BTreeMap<String, Row>, out: &mut dyn Write) -> Result<()> {
    let none = || "-".to_owned();
    let mut table = vec![
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
        let counts = row.network.and_then(counts);
        let accuracy = row.network.and_then(published);
        let percent = |value: Option<f64>| value.map_or_else(none, |value| format!("{value:.1}"));
        let millions = |value: Option<u64>, digits| {
            value.map_or_else(none, |value| format!("{:.digits$}", value as f64 / 1e6))
        };
        table.push([
            name.clone(),
            row.network
                .map_or_else(none, |network| network.family.clone()),
            millions(counts.map(|counts| counts.0), 2),
            millions(counts.map(|counts| counts.1), 0),
            input_size(row).map_or_else(none, |size| size.to_string()),
            percent(accuracy.map(|accuracy| accuracy.top1)),
            percent(accuracy.map(|accuracy| accuracy.top5)),
            row.installed
                .as_ref()
                .map_or_else(none, |installed| match installed {
                    Ok(model) => model.file.display().to_string(),
                    Err(error) => one_line(&format!("cannot be used: {error}")),
                }),
        ]);
    }
    table::write(&table, &[2, 3, 4, 5, 6], out)?;
    Ok(())
}
