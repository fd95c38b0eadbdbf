//! `inspect`: the layers that a model is run as, and how it was quantized.

mod report;

use std::io::{self, Write};

use anyhow::{Context, Result};

use super::args::InspectArgs;
use super::table;
use crate::daemon;
use crate::engine::{LayerReport, Report};
use crate::session::Program;
use crate::text::one_line;
use edge_classify_kernels::Activation;

pub fn inspect(args: &InspectArgs) -> Result<()> {
    let installed = args.trust.find_model(&args.model)?;
    if let Some(file) = &args.report {
        return report::write(&installed, file);
    }
    let options = args.engine.options()?;
    let quantization = report::read(&installed)?;
    let mut out = io::stdout().lock();
    match daemon::load_program(&installed)? {
        Program::Net(net) => print(&Report::new(net, &options)?, &mut out)
            .and_then(|()| quantization.map_or(Ok(()), |report| writeln!(out, "{report}"))),
        Program::Graph(graph) => writeln!(
            out,
            "{}: {} nodes, all run by tract, because of {}",
            installed.name,
            graph.nodes(),
            graph.reason()
        ),
    }
    .context("cannot print")
}

fn print(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let rows: Vec<[String; 10]> = report.layers.iter().enumerate().map(row).collect();
    let head = [
        "#", "LAYER", "TYPE", "INPUT", "OUTPUT", "THEN", "MADDS M", "KB", "ARENA KB", "NAME",
    ];
    let table: Vec<[String; 10]> = std::iter::once(head.map(str::to_owned))
        .chain(rows)
        .collect();
    table::write(&table, &[0, 6, 7], out)?;
    for (index, layer) in report.layers.iter().enumerate() {
        let Some(part) = &layer.part else { continue };
        writeln!(
            out,
            "{index} is run by tract, because of {}; it is {}",
            one_line(&part.reason),
            one_line(&part.nodes.join(", "))
        )?;
    }
    let total = |of: fn(&LayerReport) -> u64| report.layers.iter().map(of).sum::<u64>() as f64;
    writeln!(
        out,
        "{} layers on {} in {}: {:.1} M multiply-adds, {:.2} M parameters, {:.1} MB read and written, arena {:.0} kB",
        report.layers.len(),
        report.isa,
        report.precision,
        total(|layer| layer.multiply_adds) / 1e6,
        report.parameters as f64 / 1e6,
        total(|layer| layer.bytes as u64) / 1e6,
        report.arena as f64 / 1e3,
    )
}

fn row((index, layer): (usize, &LayerReport)) -> [String; 10] {
    let parts = [(layer.gated, "gated"), (layer.residual, "+ residual")];
    let mut then: Vec<String> = parts
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, what)| (*what).to_owned())
        .collect();
    then.extend(activation(layer.activation));
    let kilobytes = |bytes: usize| format!("{:.1}", bytes as f64 / 1e3);
    let place = layer.place.as_ref().map_or_else(
        || match layer.group {
            1 => "with the layer before".to_owned(),
            _ => "together".to_owned(),
        },
        |place| format!("{}..{}", kilobytes(place.start), kilobytes(place.end)),
    );
    [
        index.to_string(),
        layer.title(),
        layer.precision.to_string(),
        layer.input.to_string(),
        layer.output.to_string(),
        then.join(", "),
        format!("{:.2}", layer.multiply_adds as f64 / 1e6),
        kilobytes(layer.bytes),
        place,
        one_line(&layer.name),
    ]
}

fn activation(activation: Activation) -> Option<String> {
    let name = match activation {
        Activation::Identity => return None,
        Activation::Clamp { low, high } if high == f32::INFINITY && low == 0.0 => "relu".to_owned(),
        Activation::Clamp { low, high } => format!("clamp {low}..{high}"),
        Activation::HardSwish => "hard-swish".to_owned(),
        Activation::HardSigmoid { .. } => "hard-sigmoid".to_owned(),
        Activation::Sigmoid => "sigmoid".to_owned(),
        Activation::Swish => "swish".to_owned(),
    };
    Some(name)
}
