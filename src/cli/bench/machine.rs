//! What an inference is measured on, and by.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use edge_classify_kernels::{Isa, multiply_adds};
use half::f16;
use serde::Serialize;

use crate::engine::Precision;

use crate::cli::doctor::cpu;

#[derive(Debug, Serialize)]
pub struct Processor {
    /// A line for each kind of core, and the board's name where there is one.
    pub models: Vec<String>,
    pub features: Vec<&'static str>,
    pub usable_cores: usize,
}

impl Processor {
    pub fn found() -> Processor {
        let cpuinfo = cpu::info();
        let features = cpu::features(&cpuinfo).into_iter();
        Processor {
            models: cpu::models(&cpuinfo),
            features: features.filter(|f| f.1).map(|f| f.0).collect(),
            usable_cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

#[derive(Debug, Serialize)]
pub struct Build {
    pub version: &'static str,
    pub profile: &'static str,
    pub target: &'static str,
}

impl Build {
    pub fn this() -> Build {
        Build {
            version: env!("CARGO_PKG_VERSION"),
            profile: env!("BUILD_PROFILE"),
            target: env!("BUILD_TARGET"),
        }
    }
}

/// Most multiply-adds in registers that so many threads were seen to do, in 10^9 operations a second.
pub fn peak(isa: Isa, precision: Precision, threads: usize) -> f64 {
    /// A few milliseconds on any processor that is worth measuring.
    const COUNT: usize = 50_000_000;
    const ROUNDS: usize = 5;
    let barrier = Barrier::new(threads);
    let worker = || {
        let round = |_| {
            barrier.wait();
            let start = Instant::now();
            let (count, sum) = match precision {
                Precision::F32 => multiply_adds::<f32>(isa, COUNT),
                Precision::Fp16 => multiply_adds::<f16>(isa, COUNT),
                Precision::Int8 => edge_classify_int8::multiply_adds(isa, COUNT),
            };
            black_box(sum);
            2.0 * count as f64 / start.elapsed().as_secs_f64() / 1e9
        };
        (0..ROUNDS).map(round).collect::<Vec<_>>()
    };
    let rounds: Vec<Vec<f64>> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(worker)).collect();
        let mine = worker();
        let others = others.into_iter().filter_map(|thread| thread.join().ok());
        others.chain([mine]).collect()
    });
    let sum = |round: usize| rounds.iter().map(|thread| thread[round]).sum::<f64>();
    (0..ROUNDS).map(sum).fold(0.0, f64::max)
}

/// The most memory that this process had at once. Linux alone tells; what `getrusage` says may be a parent's.
pub fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
