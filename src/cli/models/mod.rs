//! `models`: what is installed, what there is, and how it comes here.

mod args;
mod import;
mod list;
mod pull;
mod show;
mod trial;

use std::path::Path;

use anyhow::{Context, Result};

pub use args::ModelsArgs;
use args::ModelsCommand;

use crate::model::{InstallDirectory, Library};

pub fn models(args: &ModelsArgs) -> Result<()> {
    match &args.command {
        ModelsCommand::List(args) => list::list(args),
        ModelsCommand::Show { name } => show::show(name),
        ModelsCommand::Pull(args) => pull::pull(args),
        ModelsCommand::Import(args) => import::import(args),
    }
}

/// Where a model is installed: as asked, or in the user's data directory.
fn target(into: Option<&Path>) -> Result<InstallDirectory> {
    let directory = into
        .map(Path::to_owned)
        .or_else(Library::user_directory)
        .context("no home directory to install the model in; give one with --into")?;
    InstallDirectory::open(&directory).with_context(|| directory.display().to_string())
}
