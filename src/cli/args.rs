//! Commands and options.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgGroup, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use super::engine_args::EngineArgs;
#[cfg(feature = "host")]
use super::host_args::{CompileArgs, ExportArgs};
use super::models::ModelsArgs;
use super::trust_args::TrustArgs;
use super::validate::ValidateArgs;
use super::values::{at_least_one, log_filter, probability, rate, seconds, size};
use crate::camera::PixelFormat;
use crate::preprocess::Pipeline;

/// Classify camera frames or pictures with a mobile-efficient network.
#[derive(Debug, Parser)]
#[command(
    version,
    subcommand_negates_reqs = true,
    after_help = "Example:\n  edge-classify --model tf_efficientnet_lite0 --camera /dev/video0"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,

    #[command(flatten)]
    pub run: RunArgs,

    /// What to log: off, error, warn, info, debug, trace; MODULE=LEVEL for parts of the program,
    /// several separated by commas
    #[arg(long, global = true, value_name = "FILTER", value_parser = log_filter)]
    pub log: Option<String>,
}

impl Cli {
    /// Parses the program's own command line.
    pub fn from_command_line() -> Result<Self, clap::Error> {
        Cli::parse_all(std::env::args_os())
    }

    fn parse_all<T: Into<std::ffi::OsString> + Clone>(
        arguments: impl IntoIterator<Item = T>,
    ) -> Result<Self, clap::Error> {
        let matches = Cli::command().try_get_matches_from(arguments)?;
        // clap's own setting for this would also refuse `--log` before a command.
        let given = |id: &&clap::Id| {
            let id = id.as_str();
            id != "log" && matches.value_source(id) == Some(ValueSource::CommandLine)
        };
        if let (Some(command), Some(id)) = (matches.subcommand_name(), matches.ids().find(given)) {
            let text = format!(
                "--{} cannot be used with '{command}'",
                id.as_str().replace('_', "-")
            );
            return Err(Cli::command().error(ErrorKind::ArgumentConflict, text));
        }
        Cli::from_arg_matches(&matches)
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a model on a raw tensor, without preprocessing
    Infer(InferArgs),
    /// Print the layers that a model is run as, and what quantizing it cost
    Inspect(InspectArgs),
    #[cfg(feature = "host")]
    /// Write a model as a plan: one file that starts faster
    Compile(CompileArgs),
    /// Measure how long an inference takes
    Bench(BenchArgs),
    #[cfg_attr(feature = "host", doc = "List, describe, fetch and install models")]
    #[cfg_attr(not(feature = "host"), doc = "List and describe models")]
    Models(ModelsArgs),
    #[cfg(feature = "host")]
    /// Build a network of the zoo with weights and write it as ONNX, with its card beside it
    Export(ExportArgs),
    /// Measure precision on labelled pictures, or compare two models
    Validate(ValidateArgs),
    /// Check this machine: processor, cameras, permissions, models, temperature
    Doctor(DoctorArgs),
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("input").required(true).args(["camera", "source"]))]
pub struct RunArgs {
    /// Model by name or file
    #[arg(long, value_name = "NAME|FILE", required = true)]
    pub model: Option<String>,

    /// Camera device (/dev/video0, /dev/v4l/by-id/...), or 'test' for a moving test picture
    #[arg(long, value_name = "DEVICE")]
    pub camera: Option<String>,

    /// Picture files, directories (searched recursively) or glob patterns
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub source: Vec<PathBuf>,

    /// Frame size to ask the camera for [default: the smallest that covers the model's input]
    #[arg(long, value_name = "WxH", value_parser = size, conflicts_with = "source")]
    pub camera_size: Option<(u32, u32)>,

    /// Pixel format to ask the camera for: YUYV, UYVY, NV12, GREY, RGB3, BGR3 or MJPG
    /// [default: the cheapest that gives the size and rate]
    #[arg(long, value_name = "FOURCC", conflicts_with = "source")]
    pub camera_format: Option<PixelFormat>,

    /// How to print results [default: text on a terminal, jsonl otherwise]
    #[arg(long, value_enum)]
    pub output: Option<OutputFormat>,

    /// Report at most this many classes
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = at_least_one)]
    pub top_k: usize,

    /// Report only classes of at least this probability, 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = probability)]
    pub threshold: f32,

    #[command(flatten)]
    pub engine: EngineArgs,

    #[command(flatten)]
    pub trust: TrustArgs,

    /// Preprocessing pipeline, instead of the model's own
    #[arg(long, value_enum)]
    pub preprocessing: Option<Preprocessing>,

    /// Labels, one a line in index order, instead of the model's own
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,

    /// Do not have a plan repeat first what it said where it was compiled
    #[arg(long)]
    pub no_self_test: bool,

    /// Stop after this many results
    #[arg(long, value_name = "N")]
    pub frames: Option<u64>,

    /// Upper limit of results a second
    #[arg(long, value_name = "N", value_parser = rate)]
    pub fps: Option<f64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum OutputFormat {
    /// A line for people
    Text,
    /// A JSON object a line
    Jsonl,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Preprocessing {
    /// The shorter side resized, antialiased, then cropped: torchvision's with Pillow
    Torch,
    /// Cropped in proportion, then resized: EfficientNet's in TensorFlow
    Tf,
}

impl From<Preprocessing> for Pipeline {
    fn from(preprocessing: Preprocessing) -> Self {
        match preprocessing {
            Preprocessing::Torch => Pipeline::Torch,
            Preprocessing::Tf => Pipeline::Tf,
        }
    }
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Model by name or file
    pub model: String,

    /// Write how a plan in int8 was quantized, and what it cost, as a page to look at in a browser
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,

    #[command(flatten)]
    pub engine: EngineArgs,

    #[command(flatten)]
    pub trust: TrustArgs,
}

#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Model by name or file
    pub model: String,

    #[command(flatten)]
    pub engine: EngineArgs,

    #[command(flatten)]
    pub trust: TrustArgs,

    /// How long to measure, after a tenth of it to warm up
    #[arg(long, value_name = "S", default_value = "3", value_parser = seconds)]
    pub seconds: Duration,

    /// Measure so many inferences, after one to warm up
    #[arg(long, value_name = "N", value_parser = at_least_one, conflicts_with = "seconds")]
    pub runs: Option<usize>,

    /// Measure each layer, too, in inferences of their own
    #[arg(long)]
    pub layers: bool,

    /// Print a JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct InferArgs {
    /// Model by name or file
    pub model: String,

    /// Input: .npy, float32, 1 x 3 x H x W
    #[arg(long, value_name = "FILE")]
    pub tensor: PathBuf,

    /// Where to write the logits: .npy, float32, 1 x classes
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,

    #[command(flatten)]
    pub engine: EngineArgs,

    #[command(flatten)]
    pub trust: TrustArgs,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Check this model, too, by name or file: whether it gives the results here that it gave where it was compiled
    #[arg(long, value_name = "NAME|FILE")]
    pub model: Option<String>,

    #[command(flatten)]
    pub engine: EngineArgs,

    #[command(flatten)]
    pub trust: TrustArgs,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn definition_is_sound() {
        Cli::command().debug_assert();
    }

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::parse_all(std::iter::once("edge-classify").chain(line.split_whitespace()))
    }

    #[test]
    fn one_input_is_required_and_only_one() {
        assert!(parse("--model m --camera test").is_ok());
        assert!(parse("--model m --source a b c").is_ok());
        assert!(parse("--model m").is_err());
        assert!(parse("--camera test").is_err());
        assert!(parse("--model m --camera test --source a").is_err());
        assert!(parse("--model m --source a --camera-size 640x480").is_err());
        assert!(parse("").is_err());
        assert!(parse("doctor").is_ok());
        assert!(parse("--log debug doctor").is_ok());
        assert!(parse("doctor --log debug").is_ok());
        assert!(parse("--camera-size 640x480 doctor").is_err());
        assert!(parse("--model m doctor").is_err());
        assert!(parse("doctor --model m --require-signature k").is_ok());
        assert!(parse("models list --json").is_ok());
    }

    #[test]
    fn values_are_checked() {
        for bad in [
            "--top-k 0",
            "--threshold 1.5",
            "--threshold nan",
            "--threads 0",
            "--threads all",
            "--precision fp8",
            "--fps 0",
            "--fps inf",
            "--camera-size 640",
            "--camera-size 0x480",
            "--camera-format H264",
            "--preprocessing TF",
            "--log vebose",
            "--log edge_classify=",
        ] {
            assert!(
                parse(&format!("--model m --camera test {bad}")).is_err(),
                "{bad}"
            );
        }
        for bad in [
            "--seconds 0",
            "--seconds nan",
            "--runs 0",
            "--runs 3 --seconds 1",
        ] {
            assert!(parse(&format!("bench m {bad}")).is_err(), "{bad}");
        }
        assert!(parse("--model m --camera test --threads auto").is_ok());
        let cli = parse("--model m --camera test --camera-size 640x480 --camera-format mjpg");
        assert!(parse("--model m --camera test --log warn,edge_classify=debug").is_ok());
        let run = cli.unwrap().run;
        assert_eq!(run.camera_size, Some((640, 480)));
        assert_eq!(run.camera_format, Some(PixelFormat::Mjpeg));
    }
}
