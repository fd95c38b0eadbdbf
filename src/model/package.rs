//! A model with all that belongs to it, written as files: network, labels, card.

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::install_directory::InstallDirectory;
use super::new_file::NewFile;
use super::{ModelCard, Scores, Weights, hex};
use crate::preprocess::Spec;

/// What a model's card says, but for the files.
pub struct Package {
    pub name: String,
    pub description: String,
    pub scores: Scores,
    pub preprocess: Spec,
    pub weights: Weights,
    /// Text of the labels file.
    pub labels: Option<String>,
}

#[derive(Debug, Error)]
pub enum PackageError<E> {
    #[error("{path}: cannot be written", path = path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error(
        "'{0}' cannot be the name of a model: letters, digits, '-', '_' and '.' only, beginning with a letter or digit, \
         and not ending in .onnx or .toml; give another with --name"
    )]
    Name(String),
    #[error(
        "{path}: is not the card of a model, and would be overwritten by one; move it away, or give the model another \
         name",
        path = path.display()
    )]
    NotACard { path: PathBuf },
    #[error("{path}", path = path.display())]
    Model { path: PathBuf, source: E },
}

/// Digits of the checksum in the names of installed files.
const CHECKSUM: usize = 16;

/// Where the files go, once their checksums are known.
struct Layout<'a> {
    /// Directory of the card; the other files' is relative to it.
    base: &'a Path,
    files: &'a Path,
    /// What errors name.
    shown: &'a Path,
    card: OsString,
    /// Names by the checksums of model and labels.
    model: &'a dyn Fn(&str) -> OsString,
    labels: &'a dyn Fn(&str) -> OsString,
}

impl Package {
    /// The files that [`Package::write_beside`] writes for `path`: model, labels, card.
    pub fn paths_beside(path: &Path) -> [PathBuf; 3] {
        let with = |end: &str| {
            let mut name = path.file_stem().unwrap_or_default().to_owned();
            name.push(end);
            path.with_file_name(name)
        };
        [path.to_owned(), with(".labels.txt"), with(".toml")]
    }

    /// Writes `path` (its contents by `write`), and beside it `STEM.labels.txt` and the card `STEM.toml`, whose path
    /// is the result. All three are whole before the first takes its name, and the card is the last to do so.
    pub fn write_beside<E>(
        &self,
        path: &Path,
        write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<PathBuf, PackageError<E>> {
        let paths = Self::paths_beside(path);
        let [model, labels, card] = paths
            .each_ref()
            .map(|path| path.file_name().unwrap_or_default().to_owned());
        let base = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let layout = Layout {
            base,
            files: Path::new(""),
            shown: path,
            card,
            model: &|_| model.clone(),
            labels: &|_| labels.clone(),
        };
        self.write(&layout, write)?;
        let [_, _, card] = paths;
        Ok(card)
    }

    /// Installs the model in a directory that is searched for models, under its name; the card's path is the result.
    /// The other files go to a directory of that name, called after their checksums, and those there are stay
    /// until the card is replaced: it changes from one version to the other at once.
    pub fn install<E>(
        &self,
        directory: &InstallDirectory,
        write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<PathBuf, PackageError<E>> {
        check_name(&self.name)?;
        let directory = directory.path();
        let files = directory.join(&self.name);
        std::fs::create_dir_all(&files).map_err(|source| PackageError::Write {
            path: files.clone(),
            source,
        })?;
        let name = |checksum: &str, end: &str| format!("{}.{end}", &checksum[..CHECKSUM]).into();
        let layout = Layout {
            base: directory,
            files: Path::new(&self.name),
            shown: &files,
            card: format!("{}.toml", self.name).into(),
            model: &|checksum| name(checksum, "onnx"),
            labels: &|checksum| name(checksum, "labels.txt"),
        };
        let written = self.write(&layout, write);
        match &written {
            Ok(card) => remove_older(&files, card),
            // Unless there is an older version.
            Err(_) => drop(std::fs::remove_dir(&files)),
        }
        written.map(|_| directory.join(layout.card))
    }

    fn write<E>(
        &self,
        layout: &Layout,
        write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<ModelCard, PackageError<E>> {
        let files = layout.base.join(layout.files);
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| PackageError::Write { path, source }
        };
        let card_path = layout.base.join(&layout.card);
        if card_path.exists() && ModelCard::read(&card_path).is_err() {
            return Err(PackageError::NotACard { path: card_path });
        }
        let mut model = NewFile::create(&files).map_err(failed(&files))?;
        let mut out = BufWriter::new(&mut model);
        write(&mut out).map_err(|source| PackageError::Model {
            path: layout.shown.to_owned(),
            source,
        })?;
        out.flush().map_err(failed(layout.shown))?;
        drop(out);
        model.sync().map_err(failed(layout.shown))?;
        let labels = match &self.labels {
            Some(text) => {
                let name = (layout.labels)(&hex(&Sha256::digest(text)));
                let file = text_file(&files, text).map_err(failed(&files.join(&name)))?;
                Some((file, name))
            }
            None => None,
        };
        let model_name = (layout.model)(&model.sha256());
        let card = ModelCard {
            name: self.name.clone(),
            description: self.description.clone(),
            file: layout.files.join(&model_name),
            sha256: Some(model.sha256()),
            labels: labels.as_ref().map(|(_, name)| layout.files.join(name)),
            scores: self.scores,
            preprocess: self.preprocess.clone(),
            weights: Some(self.weights.clone()),
        };
        let text = toml::to_string_pretty(&card).expect("a card can be written as TOML");
        let card_file = text_file(layout.base, &text).map_err(failed(&card_path))?;
        if let Some((file, name)) = labels {
            file.keep(&name).map_err(failed(&files.join(&name)))?;
        }
        let model_path = files.join(&model_name);
        model.keep(&model_name).map_err(failed(&model_path))?;
        card_file.keep(&layout.card).map_err(failed(&card_path))?;
        Ok(card)
    }
}

fn text_file(directory: &Path, text: &str) -> io::Result<NewFile> {
    let mut file = NewFile::create(directory)?;
    file.write_all(text.as_bytes())?;
    file.sync()?;
    Ok(file)
}

/// The name becomes that of files.
fn check_name<E>(name: &str) -> Result<(), PackageError<E>> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let lower = name.to_ascii_lowercase();
    let extension = [".onnx", ".plan", ".toml"]
        .iter()
        .any(|end| lower.ends_with(end));
    if name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(allowed)
        && !extension
    {
        return Ok(());
    }
    Err(PackageError::Name(name.to_owned()))
}

/// Removes older versions: what is called as we call files, and not named by the card in force.
fn remove_older(directory: &Path, card: &ModelCard) {
    let in_force = [Some(&card.file), card.labels.as_ref()].map(|file| file?.file_name());
    let is_ours = |name: &str| {
        let checksum = name
            .strip_suffix(".onnx")
            .or_else(|| name.strip_suffix(".labels.txt"));
        checksum
            .is_some_and(|sum| sum.len() == CHECKSUM && sum.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        if !in_force.contains(&Some(&name))
            && name.to_str().is_some_and(is_ours)
            && let Err(error) = std::fs::remove_file(entry.path())
        {
            log::warn!("{}: cannot be removed: {error}", entry.path().display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Library;

    fn package(name: &str) -> Package {
        Package {
            name: name.to_owned(),
            description: "a test".to_owned(),
            scores: Scores::Logits,
            preprocess: Spec::imagenet(32),
            weights: Weights {
                source: "none".to_owned(),
                licence: "CC0".to_owned(),
            },
            labels: Some("cat\ndog\n".to_owned()),
        }
    }

    fn write(text: &'static str) -> impl FnOnce(&mut dyn Write) -> io::Result<()> {
        move |out| out.write_all(text.as_bytes())
    }

    fn files_below(directory: &Path) -> Vec<String> {
        let files = walkdir::WalkDir::new(directory).sort_by_file_name();
        files
            .into_iter()
            .flatten()
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| {
                let path = entry.path().strip_prefix(directory).unwrap();
                path.to_str().unwrap().to_owned()
            })
            .collect()
    }

    #[test]
    fn a_new_version_replaces_the_old_one_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let target = InstallDirectory::open(directory.path()).unwrap();
        let library = Library::new(vec![directory.path().to_owned()]);
        let package = package("tiny.v1");
        package.install(&target, write("one")).unwrap();
        let failed = package.install(&target, |_| Err(io::Error::other("no")));
        assert!(matches!(failed, Err(PackageError::Model { .. })));
        let installed = library.find("tiny.v1").unwrap();
        assert_eq!(std::fs::read(&installed.file).unwrap(), b"one");
        assert_eq!(files_below(directory.path()).len(), 3);

        package.install(&target, write("two")).unwrap();
        let installed = library.find("tiny.v1").unwrap();
        assert_eq!(std::fs::read(&installed.file).unwrap(), b"two");
        assert!(installed.labels_file().unwrap().is_file());
        assert_eq!(files_below(directory.path()).len(), 3);
        assert_eq!(library.list().len(), 1);
    }

    #[test]
    fn a_failed_first_installation_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let target = InstallDirectory::open(directory.path()).unwrap();
        let failed = package("tiny").install(&target, |out| {
            out.write_all(b"half").and(Err(io::Error::other("no")))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        for name in [
            "", "../x", ".hidden", "a/b", "a b", "-x", "x.onnx", "x.TOML",
        ] {
            let refused = package(name).install(&target, write("one"));
            assert!(matches!(refused, Err(PackageError::Name(_))), "{name}");
        }
    }

    #[test]
    fn files_beside_a_model_are_replaced_together() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("net.onnx");
        package("net").write_beside(&path, write("one")).unwrap();
        let before = files_below(directory.path());
        assert_eq!(before, ["net.labels.txt", "net.onnx", "net.toml"]);
        // The labels' name is taken by a directory: neither card nor model may change.
        std::fs::remove_file(directory.path().join("net.labels.txt")).unwrap();
        std::fs::create_dir(directory.path().join("net.labels.txt")).unwrap();
        package("net")
            .write_beside(&path, write("two"))
            .unwrap_err();
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        assert_eq!(files_below(directory.path()), ["net.onnx", "net.toml"]);
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let target = InstallDirectory::open(directory.path()).unwrap();
        std::fs::create_dir(directory.path().join("photos")).unwrap();
        std::fs::write(directory.path().join("photos/a.jpg"), "a").unwrap();
        std::fs::write(directory.path().join("photos/other.onnx"), "b").unwrap();
        for text in ["one", "two"] {
            package("photos").install(&target, write(text)).unwrap();
        }
        let files = files_below(directory.path());
        assert_eq!(files.len(), 5, "{files:?}");
        assert!(files.contains(&"photos/a.jpg".to_owned()));
        assert!(files.contains(&"photos/other.onnx".to_owned()));
        std::fs::write(directory.path().join("Cargo.toml"), "[package]").unwrap();
        let refused = package("Cargo").install(&target, write("one"));
        assert!(matches!(refused, Err(PackageError::NotACard { .. })));
        assert!(!directory.path().join("Cargo").exists());
        let refused =
            package("Cargo").write_beside(&directory.path().join("Cargo.onnx"), write("one"));
        assert!(matches!(refused, Err(PackageError::NotACard { .. })));
    }
}
