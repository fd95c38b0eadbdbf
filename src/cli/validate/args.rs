//! Options of `validate`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::args::Preprocessing;
use crate::cli::trust_args::TrustArgs;
use crate::cli::values::precision;
use crate::engine::Precision;
use crate::validate::Shard;

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Pictures that cannot be read are reported, counted and left out of the figures. Hidden files and \
                  directories are passed over.\nThe exit status is 0 unless no picture could be classified, the run was \
                  interrupted, or it failed otherwise."
)]
pub struct ValidateArgs {
    #[command(subcommand)]
    pub command: Option<ValidateCommand>,

    #[command(flatten)]
    pub run: ValidateRunArgs,
}

#[derive(Debug, Subcommand)]
pub enum ValidateCommand {
    /// Put the predictions of all shards of a run together
    Merge(MergeArgs),
}

#[derive(Debug, Args)]
pub struct ValidateRunArgs {
    /// Model by name or file
    #[arg(required = true)]
    pub model: Option<String>,

    /// Pictures: a directory for each class, named by WordNet id, label or index; or all in one, with --labels-list
    #[arg(long, value_name = "DIR", required = true)]
    pub data: Option<PathBuf>,

    /// Classes of pictures that are all in one directory: WordNet ids in the order of the files; lines of a file and
    /// its class; or LOC_val_solution.csv
    #[arg(long, value_name = "FILE")]
    pub labels_list: Option<PathBuf>,

    /// Labels, one a line in index order, instead of the model's own
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,

    /// Preprocessing pipeline, instead of the model's own
    #[arg(long, value_enum)]
    pub preprocessing: Option<Preprocessing>,

    #[command(flatten)]
    pub trust: TrustArgs,

    /// Threads, each with the model for itself [default: the processor's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    /// Type in which to compute: f32, or fp16 where the processor has it; not for the model that is compared with
    /// [default: a plan's, or f32]
    #[arg(long, value_name = "f32|fp16", value_parser = precision)]
    pub precision: Option<Precision>,

    /// Pictures that a thread takes at a time; results do not depend on it
    #[arg(long, value_name = "N", default_value = "8", value_parser = clap::value_parser!(u16).range(1..))]
    pub batch: u16,

    /// Another model to compare with, picture by picture; classes need not be known then
    #[arg(long, value_name = "OTHER", conflicts_with_all = ["shard", "predictions"])]
    pub compare: Option<String>,

    /// Only every N-th picture, beginning with the I-th, for runs on several machines
    #[arg(long, value_name = "I/N", value_parser = shard, requires = "predictions")]
    pub shard: Option<Shard>,

    /// Write the prediction for each picture
    #[arg(long, value_name = "FILE.csv")]
    pub predictions: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct MergeArgs {
    /// The files of --predictions, one of each shard
    #[arg(value_name = "FILE.csv", required = true)]
    pub files: Vec<PathBuf>,

    /// Write the predictions of all
    #[arg(long, value_name = "FILE.csv")]
    pub predictions: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn shard(text: &str) -> Result<Shard, String> {
    let numbers = text.split_once('/');
    let numbers =
        numbers.and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
    numbers
        .and_then(|(index, count)| Shard::new(index, count))
        .ok_or_else(|| {
            format!(
                "expected I/N with I from 1 to N and N up to {}, for instance 1/8",
                Shard::MOST
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_count_from_one() {
        assert_eq!(shard("3/8"), Ok(Shard { index: 3, count: 8 }));
        assert!(shard("100000/100000").is_ok());
        for bad in [
            "0/8",
            "9/8",
            "1/0",
            "1",
            "a/b",
            "-1/2",
            "1/100001",
            "1/18446744073709551615",
        ] {
            assert!(shard(bad).is_err(), "{bad}");
        }
    }
}
