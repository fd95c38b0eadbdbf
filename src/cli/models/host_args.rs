//! Options of the commands of `models` that install one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::cli::args::Preprocessing;
use crate::cli::host_args::Filter;
use crate::hub::Hub;
use crate::model::{InstallDirectory, Library, Scores};
use crate::preprocess::{ColorOrder, Size};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  edge-classify models pull mobilenetv3_100\n  edge-classify models pull tf_efficientnet_b0.ns_jft_in1k\n  edge-classify models pull me/my-mobilenetv3@v2 --name birds\n\nA private repository needs a token in HF_TOKEN. HTTPS_PROXY and NO_PROXY are heeded."
)]
pub struct PullArgs {
    /// Network of the zoo, a name of timm's, or a repository; after '@', a branch, tag or commit
    #[arg(value_name = "NAME[@REV]")]
    pub model: String,

    /// Name to install it under [default: the network's or the repository's]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Directory to install it in [default: ~/.local/share/edge-classify/models]
    #[arg(long, value_name = "DIR")]
    pub into: Option<PathBuf>,

    /// Address of the hub [default: $HF_ENDPOINT, or https://huggingface.co]
    #[arg(long, value_name = "URL")]
    pub hub: Option<String>,

    /// Install weights that hold NaN or infinity
    #[arg(long)]
    pub allow_nan: bool,
}

impl PullArgs {
    /// The hub's address, asked for or of the environment.
    pub fn address(&self) -> String {
        let environment = || {
            std::env::var("HF_ENDPOINT")
                .ok()
                .filter(|url| !url.is_empty())
        };
        let given = self.hub.clone().or_else(environment);
        given.unwrap_or_else(|| Hub::HUGGING_FACE.to_owned())
    }
}

#[derive(Debug, Args)]
#[command(
    after_help = "Preprocessing is taken from the card beside the file, or from the file's metadata if edge-classify made it, or\nfrom the network of --like; the options change it.\n\nExample:\n  edge-classify models import birds.onnx --name birds --labels birds.txt --like mobilenetv3_100"
)]
pub struct ImportArgs {
    /// The ONNX file
    #[arg(value_name = "FILE.onnx")]
    pub file: PathBuf,

    /// Name to install it under [default: the file's]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Labels, one a line in index order [default: ImageNet's, for 1000 classes]
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,

    /// Directory to install it in [default: ~/.local/share/edge-classify/models]
    #[arg(long, value_name = "DIR")]
    pub into: Option<PathBuf>,

    /// Network of the zoo whose preprocessing it shares
    #[arg(long, value_name = "NETWORK")]
    pub like: Option<String>,

    /// Output with the classes, of a model that has more than one
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,

    /// What that output is [default: probabilities if it stays between 0 and 1 and is no softmax]
    #[arg(long, value_enum)]
    pub scores: Option<OutputScores>,

    /// Size of the input in pixels, of a square or of a rectangle [default: the file's]
    #[arg(long, value_name = "N|WxH")]
    pub input_size: Option<Size>,

    /// Length of the shorter side before the crop, or the rectangle that is just covered
    #[arg(long, value_name = "N|WxH")]
    pub resize: Option<Size>,

    /// Preprocessing pipeline
    #[arg(long, value_enum)]
    pub preprocessing: Option<Preprocessing>,

    /// Resampling filter
    #[arg(long, value_enum)]
    pub interpolation: Option<Filter>,

    /// Order of the channels: rgb or bgr
    #[arg(long, value_name = "ORDER", value_parser = color)]
    pub color: Option<ColorOrder>,

    /// Subtracted from each channel, in 8-bit levels
    #[arg(long, value_name = "R,G,B", value_parser = channels)]
    pub mean: Option<[f32; 3]>,

    /// Divides each channel, in 8-bit levels
    #[arg(long, value_name = "R,G,B", value_parser = channels)]
    pub std: Option<[f32; 3]>,

    /// Install a model whose weights hold NaN or infinity
    #[arg(long)]
    pub allow_nan: bool,

    /// Licence of the model, for the card
    #[arg(long, value_name = "NAME")]
    pub licence: Option<String>,
}

/// [`Scores`] on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum OutputScores {
    /// Values to be put through a softmax
    Logits,
    /// Values to be taken as they are
    Probabilities,
}

impl From<OutputScores> for Scores {
    fn from(scores: OutputScores) -> Self {
        match scores {
            OutputScores::Logits => Scores::Logits,
            OutputScores::Probabilities => Scores::Probabilities,
        }
    }
}

fn color(text: &str) -> Result<ColorOrder, String> {
    match text {
        "rgb" => Ok(ColorOrder::Rgb),
        "bgr" => Ok(ColorOrder::Bgr),
        _ => Err("expected rgb or bgr".to_owned()),
    }
}

fn channels(text: &str) -> Result<[f32; 3], String> {
    let values: Result<Vec<f32>, _> = text.split(',').map(|value| value.trim().parse()).collect();
    let values = values.ok().and_then(|values| values.try_into().ok());
    values.ok_or_else(|| "expected three numbers, separated by commas".to_owned())
}

/// Where a model is installed: as asked, or in the user's data directory.
pub fn install_directory(into: Option<&Path>) -> Result<InstallDirectory> {
    let directory = into
        .map(Path::to_owned)
        .or_else(Library::user_directory)
        .context("no home directory to install the model in; give one with --into")?;
    InstallDirectory::open(&directory).with_context(|| directory.display().to_string())
}
