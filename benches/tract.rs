//! Stock tract on an ONNX file, for the comparison in benches/peers: what an inference takes as JSON, or the logits of a
//! tensor. Nothing of ours is between tract and its figures.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use npyz::{NpyFile, WriterBuilder};
use tract_linalg::multithread::{Executor, multithread_tract_scope};
use tract_onnx::prelude::*;

/// As in our own bench.
const WARM_UP_RUNS: usize = 3;
const WARM_UP_PART: f64 = 0.1;

#[derive(Debug, Parser)]
struct Options {
    #[arg(default_value = "tests/models/tf_efficientnet_lite0.onnx")]
    model: PathBuf,
    #[arg(long, default_value_t = 1)]
    threads: usize,
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Write the logits of this .npy file to --output instead of measuring.
    #[arg(long, requires = "output")]
    tensor: Option<PathBuf>,
    #[arg(long)]
    output: Option<PathBuf>,
    /// Said by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let executor = match options.threads {
        0 | 1 => Executor::SingleThread,
        n => Executor::multithread(n),
    };
    multithread_tract_scope(executor, || run(&options))
}

fn run(options: &Options) -> Result<()> {
    let plan = tract_onnx::onnx()
        .model_for_path(&options.model)
        .and_then(|model| model.into_optimized()?.into_runnable())
        .with_context(|| options.model.display().to_string())?;
    let mut state = plan.spawn()?;
    let fact = plan.model().input_fact(0)?;
    let shape = fact.shape.as_concrete().context("its input is not fixed")?;
    match (&options.tensor, &options.output) {
        (Some(tensor), Some(output)) => {
            let input = read(tensor, shape).with_context(|| tensor.display().to_string())?;
            let outputs = state.run(tvec!(input.into_tvalue()))?;
            let logits = outputs[0].try_as_plain_ram()?;
            write(output, logits.as_slice::<f32>()?).with_context(|| output.display().to_string())
        }
        _ => {
            // From -1 to 1, without a pattern that rows share.
            let value = |index: usize| {
                (index.wrapping_mul(2_654_435_761) >> 8 & 0xffff) as f32 / 32768.0 - 1.0
            };
            let values: Vec<f32> = (0..shape.iter().product()).map(value).collect();
            let input = Tensor::from_shape(shape, &values)?.into_tvalue();
            measure(options, || state.run(tvec!(input.clone())).map(|_| ()))
        }
    }
}

fn measure(options: &Options, mut run: impl FnMut() -> TractResult<()>) -> Result<()> {
    let start = Instant::now();
    let warm_up = Duration::from_secs_f64(options.seconds * WARM_UP_PART);
    let mut runs = 0;
    while runs < WARM_UP_RUNS || start.elapsed() < warm_up {
        run()?;
        runs += 1;
    }
    let mut times = Vec::new();
    let start = Instant::now();
    while times.is_empty() || start.elapsed().as_secs_f64() < options.seconds {
        let before = Instant::now();
        run()?;
        times.push(before.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let record = serde_json::json!({
        "threads": options.threads,
        "runs": times.len(),
        "min_ms": times[0],
        "median_ms": times[times.len() / 2],
        "peak_rss_bytes": peak_rss_bytes().context("the system does not tell the peak of memory")?,
    });
    println!("{record}");
    Ok(())
}

fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn read(path: &Path, shape: &[usize]) -> Result<Tensor> {
    let npy = NpyFile::new(BufReader::new(File::open(path)?))?;
    let found: Vec<usize> = npy.shape().iter().map(|n| *n as usize).collect();
    ensure!(
        found == shape,
        "it is {found:?}, but the input is {shape:?}"
    );
    Tensor::from_shape(shape, &npy.into_vec::<f32>()?)
}

fn write(path: &Path, logits: &[f32]) -> Result<()> {
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&[1, logits.len() as u64])
        .writer(File::create(path)?)
        .begin_nd()?;
    writer.extend(logits.iter().copied())?;
    Ok(writer.finish()?)
}
