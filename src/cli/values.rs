//! What options take, from text; an error says what is expected.

use std::time::Duration;

use crate::engine::{Precision, Threads};

pub fn log_filter(text: &str) -> Result<String, String> {
    let directives = text.split('/').next().unwrap_or_default().split(',');
    for directive in directives {
        let level = directive.rsplit('=').next().unwrap_or_default().trim();
        if level.parse::<log::LevelFilter>().is_err() {
            return Err(format!(
                "'{level}' is not one of off, error, warn, info, debug, trace"
            ));
        }
    }
    Ok(text.to_owned())
}

pub fn size(text: &str) -> Result<(u32, u32), String> {
    let parse = |side: &str| {
        side.parse::<u32>()
            .ok()
            .filter(|side| (16..=16384).contains(side))
    };
    text.split_once(['x', 'X'])
        .and_then(|(width, height)| Some((parse(width)?, parse(height)?)))
        .ok_or_else(|| "expected WIDTHxHEIGHT, for instance 640x480".to_owned())
}

pub fn at_least_one(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|&count| count > 0);
    count.ok_or_else(|| "expected a number of at least 1".to_owned())
}

pub fn probability(text: &str) -> Result<f32, String> {
    let value = text
        .parse()
        .ok()
        .filter(|value| (0.0..=1.0).contains(value));
    value.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

/// How many threads are asked for.
#[derive(Debug, Clone, Copy)]
pub enum ThreadCount {
    Auto,
    Of(Threads),
}

pub fn threads(text: &str) -> Result<ThreadCount, String> {
    if text == "auto" {
        return Ok(ThreadCount::Auto);
    }
    let threads = text.parse().ok().and_then(Threads::new);
    threads
        .map(ThreadCount::Of)
        .ok_or_else(|| format!("expected auto or a number from 1 to {}", Threads::MAX))
}

pub fn precision(text: &str) -> Result<Precision, String> {
    match text {
        "f32" => Ok(Precision::F32),
        "fp16" => Ok(Precision::Fp16),
        _ => Err("expected f32 or fp16".to_owned()),
    }
}

pub fn seconds(text: &str) -> Result<Duration, String> {
    let value = text
        .parse()
        .ok()
        .filter(|value| (0.001..=86_400.0).contains(value));
    value
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "expected a number from 0.001 to 86400".to_owned())
}

pub fn rate(text: &str) -> Result<f64, String> {
    let value = text
        .parse()
        .ok()
        .filter(|value| (0.001..=1000.0).contains(value));
    value.ok_or_else(|| "expected a number from 0.001 to 1000".to_owned())
}
