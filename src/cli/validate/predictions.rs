//! The file that predictions are written to.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::model::NewFile;
use crate::validate::Results;

/// A file to be, found possible before hours of work that could not be kept.
pub struct PredictionsFile {
    /// As it was given.
    path: PathBuf,
    file: NewFile,
    name: OsString,
}

impl PredictionsFile {
    /// Begins a file that will replace the one at `path`, or at what it links to.
    pub fn create(path: &Path) -> Result<Self> {
        let failed = || format!("{}: cannot be written", path.display());
        let target = target(path)?;
        let directory = match target.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let Some(name) = target.file_name() else {
            bail!("{}: is not the name of a file", path.display());
        };
        Ok(PredictionsFile {
            path: path.to_owned(),
            file: NewFile::create(directory).with_context(failed)?,
            name: name.to_owned(),
        })
    }

    pub fn keep(mut self, results: &Results) -> Result<()> {
        results
            .write(&mut self.file)
            .and_then(|()| self.file.keep(&self.name))
            .with_context(|| format!("{}: cannot be written", self.path.display()))
    }
}

/// What a file written to `path` has to replace: `path`, or what it links to.
fn target(path: &Path) -> Result<PathBuf> {
    let failed = || format!("{}: cannot be written", path.display());
    match fs::metadata(path) {
        Ok(metadata) => {
            if !metadata.is_file() {
                bail!(
                    "{}: is there, but not a regular file; give the name of a file for the predictions",
                    path.display()
                );
            }
            if is_standard_output(&metadata) {
                bail!(
                    "{}: is where the report goes; give the predictions a file of their own",
                    path.display()
                );
            }
            fs::canonicalize(path).with_context(failed)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if path.as_os_str().as_bytes().ends_with(b"/") {
                bail!("{}: is not the name of a file", path.display());
            }
            missing_target(path)
        }
        Err(error) => Err(error).with_context(failed),
    }
}

/// Where a link leads that leads nowhere yet.
fn missing_target(path: &Path) -> Result<PathBuf> {
    /// As many as Linux follows.
    const LINKS: usize = 40;
    let mut target = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&target) {
            Ok(link) => target = target.parent().unwrap_or(Path::new("")).join(link),
            Err(_) => return Ok(target),
        }
    }
    bail!("{}: too many links", path.display())
}

fn is_standard_output(file: &Metadata) -> bool {
    fs::metadata("/dev/stdout")
        .is_ok_and(|output| (output.dev(), output.ino()) == (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_to_what_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(root.path()).unwrap();
        let at = |name: &str| root.join(name);
        fs::create_dir(at("sub")).unwrap();
        fs::write(at("sub/old.csv"), "").unwrap();
        for (link, to) in [
            ("to-old", "sub/old.csv"),
            ("to-new", "sub/new.csv"),
            ("to-link", "to-new"),
            ("to-sub", "sub"),
            ("loop", "loop"),
        ] {
            symlink(to, at(link)).unwrap();
        }
        for (given, found) in [
            ("plain.csv", "plain.csv"),
            ("to-old", "sub/old.csv"),
            ("to-new", "sub/new.csv"),
            ("to-link", "sub/new.csv"),
        ] {
            assert_eq!(target(&at(given)).unwrap(), at(found), "{given}");
            assert!(PredictionsFile::create(&at(given)).is_ok(), "{given}");
        }
        for (given, says) in [
            ("sub", "not a regular file"),
            ("sub/", "not a regular file"),
            ("sub/..", "not a regular file"),
            ("to-sub", "not a regular file"),
            ("none/", "not the name of a file"),
            ("none/..", "not the name of a file"),
            ("none/new.csv", "cannot be written"),
            ("sub/old.csv/", "cannot be written"),
            ("loop", "cannot be written"),
        ] {
            let error = PredictionsFile::create(&at(given)).err().unwrap();
            assert!(error.to_string().contains(says), "{given}: {error}");
        }
        assert!(PredictionsFile::create(Path::new("/dev/null")).is_err());
        // Nothing is left of what has not been kept.
        assert_eq!(fs::read_dir(at("sub")).unwrap().count(), 1);
        assert_eq!(fs::read_dir(&root).unwrap().count(), 6);
    }
}
