//! What was measured, for people.

use std::io::{self, Write};

use super::{LayerRecord, Record};
use crate::cli::table;
use crate::text::one_line;

pub fn print(record: &Record, out: &mut dyn Write) -> io::Result<()> {
    let Record {
        times,
        processor,
        build,
        ..
    } = record;
    let threads = match record.threads {
        1 => "1 thread".to_owned(),
        n => format!("{n} threads"),
    };
    writeln!(
        out,
        "{} on {} in {}, {threads}, {}",
        record.model,
        record.isa,
        record.precision,
        processor.models.join(", ")
    )?;
    writeln!(
        out,
        "edge-classify {} ({}, {}); features: {}",
        build.version,
        build.profile,
        build.target,
        processor.features.join(" ")
    )?;
    writeln!(
        out,
        "{} inferences: min {:.3} ms, median {:.3}, mean {:.3}, p90 {:.3}, p99 {:.3}, max {:.3}",
        times.runs,
        times.min_ms,
        times.median_ms,
        times.mean_ms,
        times.p90_ms,
        times.p99_ms,
        times.max_ms
    )?;
    match (record.multiply_adds, record.gflops, record.peak_share) {
        (Some(count), Some(gflops), Some(share)) => writeln!(
            out,
            "{:.1} M multiply-adds: {gflops:.1} GFLOP/s, {:.0}% of the {:.1} measured at best",
            count as f64 / 1e6,
            share * 100.0,
            record.peak_gflops
        )?,
        _ => writeln!(out, "{:.1} GFLOP/s measured at best", record.peak_gflops)?,
    }
    write!(
        out,
        "loaded in {:.1} ms, first result {:.1} ms from the start",
        record.load_ms, record.first_result_ms
    )?;
    match record.peak_rss_bytes {
        Some(bytes) => writeln!(out, ", {:.1} MB of memory at most", bytes as f64 / 1e6)?,
        None => writeln!(out)?,
    }
    record
        .layers
        .as_deref()
        .map_or(Ok(()), |layers| print_layers(layers, out))
}

fn print_layers(layers: &[LayerRecord], out: &mut dyn Write) -> io::Result<()> {
    let total: f64 = layers.iter().map(|layer| layer.median_ms).sum();
    let head = [
        "MS", "%", "LAYER", "OUTPUT", "MADDS M", "KB", "GFLOP/S", "% PEAK", "NAME",
    ];
    let mut table = vec![head.map(str::to_owned)];
    for layer in layers {
        let title = match &layer.layers[..] {
            [title] => title.clone(),
            several => format!("{} layers together:", several.len()),
        };
        table.push([
            format!("{:.3}", layer.median_ms),
            format!("{:.1}", 100.0 * layer.median_ms / total),
            title,
            layer.output.clone(),
            format!("{:.2}", layer.multiply_adds as f64 / 1e6),
            format!("{:.1}", layer.bytes as f64 / 1e3),
            format!("{:.1}", layer.gflops),
            format!("{:.0}", 100.0 * layer.peak_share),
            one_line(&layer.name),
        ]);
        for title in layer.layers.iter().filter(|_| layer.layers.len() > 1) {
            let mut row: [String; 9] = Default::default();
            row[2] = format!("  {title}");
            table.push(row);
        }
    }
    table::write(&table, &[0, 1, 4, 5, 6, 7], out)?;
    writeln!(out, "{total:.3} ms in layers, by their medians")
}
