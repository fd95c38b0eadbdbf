//! Options of the commands that make models.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::args::Preprocessing;
use super::int8_args::Int8Args;
use super::values::{at_least_one, precision};
use crate::engine::Precision;
use crate::preprocess::Interpolation;
use crate::zoo;

#[derive(Debug, Args)]
pub struct CompileArgs {
    /// Model by name or file
    pub model: String,

    /// The plan to write
    #[arg(short, long, value_name = "FILE.plan")]
    pub output: PathBuf,

    /// Type in which to store the weights: f32, or fp16, in which the plan is run, too, where the processor has it
    #[arg(long, value_name = "f32|fp16", default_value_t = Precision::F32, value_parser = precision)]
    pub precision: Precision,

    #[command(flatten)]
    pub int8: Int8Args,

    /// Sign the plan with this Ed25519 private key: the signature goes beside it, to FILE.plan.sig
    #[arg(long, value_name = "KEY.pem")]
    pub sign: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Network: a name of models/zoo or of --definition
    pub network: String,

    /// Weights: a .safetensors file or PyTorch checkpoint with timm's tensor names, or
    /// synthetic[:SEED], which every runtime can repeat
    #[arg(long, value_name = "FILE|synthetic", value_parser = weights)]
    pub weights: WeightsSource,

    /// The ONNX file to write; its card goes beside it
    #[arg(short, long, value_name = "FILE.onnx")]
    pub output: PathBuf,

    /// Networks of your own, in the form of models/zoo
    #[arg(long, value_name = "FILE.toml")]
    pub definition: Option<PathBuf>,

    /// Side of the square input in pixels [default: the network's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub input_size: Option<u32>,

    /// Preprocessing pipeline for the card [default: torch]
    #[arg(long, value_enum)]
    pub preprocessing: Option<Preprocessing>,

    /// Resampling filter for the card, as the weights were trained or evaluated with [default: the network's]
    #[arg(long, value_enum)]
    pub interpolation: Option<Filter>,

    /// Part of the resized picture's shorter side that the crop keeps, for the card, above 0 to 1 [default: the
    /// network's]
    #[arg(long, value_name = "P", value_parser = crop_pct)]
    pub crop_pct: Option<f64>,

    /// Number of classes, for synthetic weights [default: 1000; others say it themselves]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub classes: Option<usize>,

    /// Labels, one a line in index order [default: ImageNet's, for 1000 classes]
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,

    /// Table of tensor names for weights that do not use timm's: on each line timm's, a comma, theirs
    #[arg(long, value_name = "FILE.csv")]
    pub names: Option<PathBuf>,

    /// Licence of the weights, for the card
    #[arg(long, value_name = "NAME", default_value = "unknown")]
    pub licence: String,

    /// Version of the ONNX operator set
    #[arg(long, value_name = "N", default_value_t = 17, value_parser = clap::value_parser!(i64).range(zoo::OPSETS))]
    pub opset: i64,

    /// Fold batch normalisation into the convolutions
    #[arg(long)]
    pub fold_bn: bool,

    /// Export weights that hold NaN or infinity
    #[arg(long)]
    pub allow_nan: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WeightsSource {
    Synthetic { seed: u64 },
    File(PathBuf),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Filter {
    Bicubic,
    Bilinear,
}

impl From<Filter> for Interpolation {
    fn from(filter: Filter) -> Self {
        match filter {
            Filter::Bicubic => Interpolation::Bicubic,
            Filter::Bilinear => Interpolation::Bilinear,
        }
    }
}

fn weights(text: &str) -> Result<WeightsSource, String> {
    let seed = match text.strip_prefix("synthetic") {
        Some("") => Some("1"),
        Some(seed) => seed.strip_prefix(':'),
        None => None,
    };
    match seed {
        Some(seed) => {
            let seed = seed
                .parse()
                .map_err(|_| format!("'{seed}' is not a whole number"))?;
            Ok(WeightsSource::Synthetic { seed })
        }
        None => Ok(WeightsSource::File(text.into())),
    }
}

fn crop_pct(text: &str) -> Result<f64, String> {
    let value = text
        .parse()
        .ok()
        .filter(|&value| value > 0.0 && value <= 1.0);
    value.ok_or_else(|| "expected a number above 0, at most 1".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Export {
        #[command(flatten)]
        args: ExportArgs,
    }

    #[test]
    fn values_are_checked() {
        let parse = |options: &str| {
            let line = format!("export n --weights synthetic -o n.onnx {options}");
            Export::try_parse_from(line.split_whitespace())
        };
        let export = parse("--crop-pct 0.9 --interpolation bilinear").unwrap();
        assert_eq!(export.args.weights, WeightsSource::Synthetic { seed: 1 });
        for bad in [
            "--crop-pct 0",
            "--crop-pct 1.01",
            "--interpolation area",
            "--weights synthetic:x",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
