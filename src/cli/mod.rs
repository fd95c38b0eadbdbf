//! The command line.

#[cfg(feature = "host")]
mod advice;
mod args;
mod bench;
#[cfg(feature = "host")]
mod calibration;
#[cfg(feature = "host")]
mod compile;
#[cfg(feature = "host")]
mod conversion;
mod doctor;
mod engine_args;
#[cfg(feature = "host")]
mod export;
#[cfg(feature = "host")]
mod held_back;
#[cfg(feature = "host")]
mod host_args;
mod infer;
mod inspect;
#[cfg(feature = "host")]
mod int8_args;
#[cfg(feature = "host")]
mod layer_names;
mod models;
#[cfg(feature = "host")]
mod quantization;
mod run;
mod self_test;
#[cfg(feature = "host")]
mod stoppable;
#[cfg(feature = "host")]
mod synthetic_pictures;
mod table;
mod trust_args;
mod validate;
mod values;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use clap::error::ErrorKind;

use args::{Cli, Command};

#[cfg(feature = "host")]
use crate::model::FindError;
use crate::model::{Installed, Library, NewFile};
use crate::plan::PublicKey;

/// Exit status of a run that failed, and of a command line that made no sense.
const FAILURE: u8 = 1;
const USAGE: u8 = 2;

/// Parses the command line and runs it.
pub fn main() -> ExitCode {
    let started = Instant::now();
    let cli = match Cli::from_command_line() {
        Ok(cli) => cli,
        Err(error) => {
            // Printing can fail only if nobody is listening.
            let _ = error.print();
            let asked_for = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            );
            return ExitCode::from(if asked_for { 0 } else { USAGE });
        }
    };
    start_log(cli.log.as_deref());
    let result = match cli.command {
        Some(Command::Infer(args)) => infer::infer(&args),
        #[cfg(feature = "host")]
        Some(Command::Compile(args)) => compile::compile(&args),
        Some(Command::Bench(args)) => bench::bench(&args, started),
        Some(Command::Inspect(args)) => inspect::inspect(&args),
        Some(Command::Models(args)) => models::models(&args),
        #[cfg(feature = "host")]
        Some(Command::Export(args)) => export::export(&args),
        Some(Command::Validate(args)) => validate::validate(&args),
        Some(Command::Doctor(args)) => doctor::doctor(&args),
        None => run::run(&cli.run),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be listening any more.
            let _ = writeln!(std::io::stderr(), "error: {}", describe(&error));
            ExitCode::from(FAILURE)
        }
    }
}

/// Looks a model up; one that is not here, but could be, comes with the way to get it.
fn find_model(name: &str) -> Result<Installed> {
    find_signed_model(name, None)
}

/// The same; what the key has not signed is refused.
fn find_signed_model(name: &str, key: Option<&PublicKey>) -> Result<Installed> {
    let found = Library::from_environment().find_signed(name, key);
    found.map_err(|error| {
        let advice = match error {
            #[cfg(feature = "host")]
            FindError::Unknown { .. } => advice::of_the_zoo(name),
            _ => String::new(),
        };
        anyhow!("{error}{advice}")
    })
}

/// Writes a file that appears whole or not at all.
fn write_file(path: &Path, contents: &[u8]) -> Result<()> {
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let write = || -> std::io::Result<()> {
        let mut file = NewFile::create(directory)?;
        file.write_all(contents)?;
        file.keep(path.file_name().unwrap_or_default())
    };
    write().with_context(|| path.display().to_string())
}

/// An error and its causes, but for those that the text before ends with already.
fn describe(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.ends_with(&cause) {
            text += &format!(": {cause}");
        }
    }
    text
}

/// Whoever read our output has gone, as `head` does; that is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// Logs go to stderr; `--log` wins over `RUST_LOG`. The journal adds times of its own. What one library logs beside
/// returning it as an error is left out.
fn start_log(filter: Option<&str>) {
    let filter = filter
        .map(str::to_owned)
        .or_else(|| std::env::var("RUST_LOG").ok())
        .unwrap_or_else(|| "warn,rustls_platform_verifier=off,edge_classify=info".to_owned());
    let mut builder = env_logger::Builder::new();
    builder.parse_filters(&filter);
    builder.format(|out, record| {
        let level = record.level().as_str().to_ascii_lowercase();
        writeln!(out, "{level}: {}", record.args())
    });
    builder.init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once() {
        let error = anyhow::anyhow!("no disk")
            .context("cannot write: no disk")
            .context("infer");
        assert_eq!(describe(&error), "infer: cannot write: no disk");
    }
}
