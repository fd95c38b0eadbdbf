//! Options of `models`.

use clap::{Args, Subcommand};

#[cfg(feature = "host")]
use super::host_args::{ImportArgs, PullArgs};

#[derive(Debug, Args)]
pub struct ModelsArgs {
    #[command(subcommand)]
    pub command: ModelsCommand,
}

#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    #[cfg_attr(
        feature = "host",
        doc = "List the models on this machine and the networks of the zoo"
    )]
    #[cfg_attr(not(feature = "host"), doc = "List the models on this machine")]
    List(ListArgs),
    #[cfg_attr(feature = "host", doc = "Describe a model or a network")]
    #[cfg_attr(not(feature = "host"), doc = "Describe a model")]
    Show {
        #[cfg_attr(feature = "host", doc = "Model by name or file, or network by name")]
        #[cfg_attr(not(feature = "host"), doc = "Model by name or file")]
        name: String,
    },
    #[cfg(feature = "host")]
    /// Fetch trained weights from the Hugging Face hub and install the model
    Pull(PullArgs),
    #[cfg(feature = "host")]
    /// Install an ONNX classifier made elsewhere
    Import(ImportArgs),
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only the models on this machine
    #[cfg(feature = "host")]
    #[arg(long)]
    pub installed: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
