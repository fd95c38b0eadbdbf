//! What `models` tells of the zoo's networks.

use std::collections::BTreeMap;

use anyhow::Result;

use super::list::{Accuracy, Counts, Network, Row};
use super::show::Rows;
use crate::zoo::{self, NetworkDef, Registry};

/// Adds the networks to those of the models that are installed already, or tells which these are.
pub fn add(rows: &mut BTreeMap<String, Row>, only_installed: bool) {
    let registry = Registry::bundled();
    if only_installed {
        for (name, row) in rows {
            row.network = registry.get(name).ok().map(described);
        }
        return;
    }
    for network in registry.networks() {
        for name in network.aliases.iter().chain([&network.name]) {
            rows.entry(name.clone()).or_default().network = Some(described(network));
        }
    }
}

fn described(network: &NetworkDef) -> Network {
    let graph = zoo::graph(network, network.size as usize, 1000).ok();
    // Rather with the preprocessing that is the default.
    let torch = network.published.map(|found| (found.top1, found.top5));
    let tf = network.published_tf.map(|found| (found.top1, found.top5));
    Network {
        family: network.family.clone(),
        counts: graph.map(|graph| Counts {
            parameters: graph.parameters(),
            multiply_adds: graph.multiply_adds(),
        }),
        size: network.size.into(),
        accuracy: torch.or(tf).map(|(top1, top5)| Accuracy { top1, top5 }),
        hub: network.timm.as_ref().map(|name| format!("timm/{name}")),
    }
}

pub fn is_known(name: &str) -> bool {
    Registry::bundled().get(name).is_ok()
}

/// Rows about a network, if it is one.
pub fn show(name: &str, rows: &mut Rows) -> Result<()> {
    let registry = Registry::bundled();
    let Ok(network) = registry.get(name) else {
        return Ok(());
    };
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
