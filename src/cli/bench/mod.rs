//! `bench`: how long an inference takes, and what of the processor it uses.

mod machine;
mod print;
mod times;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;

use super::args::BenchArgs;
use crate::daemon;
use crate::engine::LayerReport;
use crate::noise::noise;
use crate::session::{Program, Session};
use machine::{Build, Processor};
use times::Times;

/// What is found, in the form of the JSON output. Times are in milliseconds.
#[derive(Debug, Serialize)]
struct Record {
    model: String,
    file: String,
    /// What the kernels were run with.
    isa: &'static str,
    /// f32 or fp16: of the values, and of the peak.
    precision: &'static str,
    threads: usize,
    warm_up_runs: usize,
    #[serde(flatten)]
    times: Times,
    /// Of one inference; none is counted where tract runs the network.
    multiply_adds: Option<u64>,
    /// A multiply-add is two operations; at the median.
    gflops: Option<f64>,
    /// Measured before and after, on as many threads.
    peak_gflops: f64,
    peak_share: Option<f64>,
    /// From the file to a session.
    load_ms: f64,
    /// From the start of the program's own code.
    first_result_ms: f64,
    peak_rss_bytes: Option<u64>,
    processor: Processor,
    build: Build,
    #[serde(skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<LayerRecord>>,
}

/// The part of a layer, or of several that are computed together; the name and output are the last one's. What is computed
/// on the way in another has none of the time.
#[derive(Debug, Serialize)]
struct LayerRecord {
    name: String,
    /// Kind and window of each.
    layers: Vec<String>,
    output: String,
    median_ms: f64,
    multiply_adds: u64,
    gflops: f64,
    peak_share: f64,
    bytes: usize,
}

/// Inferences before the first that counts, at least.
const WARM_UP: usize = 3;

/// `started` is when the program's own code began.
pub fn bench(args: &BenchArgs, started: Instant) -> Result<()> {
    let installed = args.trust.find_model(&args.model)?;
    let loading = Instant::now();
    let program = daemon::load_program(&installed)?;
    let options = args.engine.options()?;
    let layers = match &program {
        Program::Net(net) => Some(LayerReport::all(net, options.precision_of(net)?)),
        Program::Graph(_) => None,
    };
    let mut session = Session::with(program, &options)?;
    let precision = session.precision();
    let load = loading.elapsed();
    let input: Vec<f32> = noise(1).take(session.input_len()).collect();
    let mut logits = vec![0.0; session.classes()];
    session.run_into(&input, &mut logits)?;
    let first_result = started.elapsed();

    let isa = options.isa;
    let threads = options.threads.get();
    let before = machine::peak(isa, precision, threads);
    let mut run = || session.run_into(&input, &mut logits);
    let (warm_up_runs, durations) = match args.runs {
        Some(runs) => (1, times::repeat(runs, &mut run)?),
        None => {
            let warm_up = times::repeat_for(args.seconds / 10, WARM_UP, &mut run)?;
            let durations = times::repeat_for(args.seconds, 1, &mut run)?;
            (1 + warm_up.len(), durations)
        }
    };
    let peak = before.max(machine::peak(isa, precision, threads));
    let peak_rss_bytes = machine::peak_rss_bytes();
    let times = Times::of(durations);
    let multiply_adds: Option<u64> = layers
        .as_ref()
        .map(|layers| layers.iter().map(|layer| layer.multiply_adds).sum());
    let gflops = multiply_adds.map(|count| gflops(count, times.median_ms));
    let layers = match (args.layers, layers) {
        (true, Some(layers)) => Some(per_layer(&mut session, &input, &layers, args, peak)?),
        (true, None) => {
            log::warn!("tract runs this network: nothing is known of its layers");
            None
        }
        (false, _) => None,
    };
    let record = Record {
        model: installed.name.clone(),
        file: installed.file.display().to_string(),
        isa: isa.name(),
        precision: precision.name(),
        threads,
        warm_up_runs,
        times,
        multiply_adds,
        gflops,
        peak_gflops: peak,
        peak_share: gflops.map(|gflops| gflops / peak),
        load_ms: milliseconds(load),
        first_result_ms: milliseconds(first_result),
        peak_rss_bytes,
        processor: Processor::found(),
        build: Build::this(),
        layers,
    };
    let mut out = io::stdout().lock();
    match args.json {
        true => serde_json::to_writer_pretty(&mut out, &record)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out)),
        false => print::print(&record, &mut out),
    }
    .context("cannot print")
}

/// Medians of each layer's own time, measured in inferences of their own.
fn per_layer(
    session: &mut Session,
    input: &[f32],
    layers: &[LayerReport],
    args: &BenchArgs,
    peak: f64,
) -> Result<Vec<LayerRecord>> {
    let mut took: BTreeMap<Vec<usize>, Vec<Duration>> = BTreeMap::new();
    let mut each = |layers: &[usize], duration| match took.get_mut(layers) {
        Some(durations) => durations.push(duration),
        None => drop(took.insert(layers.to_vec(), vec![duration])),
    };
    let mut run = || session.run_timed(input, &mut each).map(|_| ());
    match args.runs {
        Some(runs) => times::repeat(runs, &mut run)?,
        None => times::repeat_for(args.seconds, 1, &mut run)?,
    };
    let records = took.into_iter().map(|(indices, durations)| {
        let group = || indices.iter().map(|index| &layers[*index]);
        let last = group().next_back();
        let times = Times::of(durations);
        let multiply_adds = group().map(|layer| layer.multiply_adds).sum();
        let gflops = gflops(multiply_adds, times.median_ms);
        LayerRecord {
            name: last.map_or_else(String::new, |layer| layer.name.clone()),
            layers: group().map(LayerReport::title).collect(),
            output: last.map_or_else(String::new, |layer| layer.output.to_string()),
            median_ms: times.median_ms,
            multiply_adds,
            gflops,
            peak_share: gflops / peak,
            bytes: group().map(|layer| layer.bytes).sum(),
        }
    });
    Ok(records.collect())
}

fn gflops(multiply_adds: u64, ms: f64) -> f64 {
    2.0 * multiply_adds as f64 / (ms * 1e6)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
