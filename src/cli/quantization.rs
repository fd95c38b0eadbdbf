//! Quantization as the command line asks for it, with what it has to tell.

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use super::calibration::Pictures;
use super::int8_args::Int8Args;
use super::layer_names::layers_named;
use crate::engine::Options;
use crate::engine::net::Net;
use crate::quantize::{self, Limit, Progress, QuantizeOptions, Quantized, SENSITIVE};

/// The network in int8, with a bar on stderr if that is a terminal.
pub fn quantize(
    net: &Net,
    args: &Int8Args,
    pictures: &Pictures,
    engine: &Options,
) -> Result<Quantized> {
    let options = QuantizeOptions {
        in_float: layers_named(net, &args.float_layers)?,
        ..args.options()
    };
    let bar = bar();
    let mut tell = |progress: Progress| {
        bar.set_length(progress.all);
        bar.set_position(progress.done);
        bar.set_message(progress.what);
    };
    let calibrating = &pictures.calibrating;
    let quantized = match args.max_drop {
        None => quantize::quantize(net, calibrating, &options, engine, &mut tell),
        Some(_) if pictures.synthetic => bail!(
            "--max-drop: random pictures say nothing of how photographs are classified; give photographs by --calibration DIR"
        ),
        Some(percent) => {
            let limit = Limit {
                held_back: &pictures.held_back,
                most: percent / 100.0,
            };
            quantize::quantize_within(net, calibrating, limit, &options, engine, &mut tell)
        }
    };
    bar.finish_and_clear();
    let mut quantized = quantized?;
    let calibration = &mut quantized.report.calibration;
    calibration.held_back = pictures.held_back.len();
    calibration.synthetic = pictures.synthetic;
    calibration.seed = args.seed;
    tell_of(&quantized);
    let layers = quantized.report.layers.iter();
    let sensitive = layers.filter(|layer| layer.reason.as_deref() == Some(SENSITIVE));
    let sensitive: Vec<String> = sensitive.map(|layer| layer.name.clone()).collect();
    if !sensitive.is_empty() {
        log::info!(
            "in float, as they are too sensitive: {}",
            sensitive.join(", ")
        );
    }
    Ok(quantized)
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %, {msg}, {eta} left");
    ProgressBar::new(1).with_style(style.expect("the template is sound"))
}

/// For `--log debug`.
fn tell_of(quantized: &Quantized) {
    let report = &quantized.report;
    for step in &report.steps {
        match step.signal_to_noise {
            Some(decibel) => log::debug!("{}: {decibel:.1} dB in the logits", step.name),
            None => log::debug!("{}: left out", step.name),
        }
    }
    for range in &report.ranges {
        log::debug!("{}: range by {}", range.layer, range.method);
    }
    for layer in &report.layers {
        let where_computed = layer.reason.as_deref().unwrap_or("in int8");
        let noise = layer.signal_to_noise.unwrap_or_default();
        let alone = layer
            .sensitivity
            .map(|decibel| format!("; alone, {decibel:.1} dB in the logits"));
        log::debug!(
            "{}: {where_computed}, {noise:.1} dB of signal to quantization noise{}",
            layer.name,
            alone.unwrap_or_default()
        );
    }
}
