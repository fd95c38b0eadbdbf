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
    /// List the models on this machine and the networks of the zoo
    List(ListArgs),
    /// Describe a model or a network
    Show {
        /// Model by name or file, or network by name
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
    #[arg(long)]
    pub installed: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
