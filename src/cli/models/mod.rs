//! `models`: what is installed, what there is, and how it comes here.

mod args;
#[cfg(feature = "host")]
mod host_args;
#[cfg(feature = "host")]
mod import;
mod list;
#[cfg(feature = "host")]
mod networks;
#[cfg(feature = "host")]
mod pull;
mod show;
#[cfg(feature = "host")]
mod trial;

use anyhow::Result;

pub use args::ModelsArgs;
use args::ModelsCommand;

pub fn models(args: &ModelsArgs) -> Result<()> {
    match &args.command {
        ModelsCommand::List(args) => list::list(args),
        ModelsCommand::Show { name } => show::show(name),
        #[cfg(feature = "host")]
        ModelsCommand::Pull(args) => pull::pull(args),
        #[cfg(feature = "host")]
        ModelsCommand::Import(args) => import::import(args),
    }
}
