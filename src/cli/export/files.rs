//! The files of an export: model, labels, card.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use atomicwrites::{AllowOverwrite, AtomicFile};
use sha2::{Digest, Sha256};

use crate::model::hex;

/// Where the files of an export go.
pub struct Files {
    pub model: PathBuf,
    /// Where there are labels.
    pub labels: Option<PathBuf>,
    pub card: PathBuf,
}

impl Files {
    /// Those beside `model`.
    pub fn beside(model: &Path, with_labels: bool) -> Self {
        Files {
            model: model.to_owned(),
            labels: with_labels.then(|| model.with_extension("labels.txt")),
            card: model.with_extension("toml"),
        }
    }

    /// Refuses places where none of our files may go: directories, and what is read for the export.
    pub fn check(&self, inputs: &[&Path]) -> Result<()> {
        for path in [&self.model, &self.card].into_iter().chain(&self.labels) {
            if path.is_dir() {
                bail!(
                    "{}: is a directory; give the output another name",
                    path.display()
                );
            }
            let Ok(place) = path.canonicalize() else {
                continue;
            };
            for input in inputs {
                if input.canonicalize().is_ok_and(|input| input == place) {
                    bail!(
                        "{}: the export reads it, and would overwrite it with {}; give the output another name",
                        input.display(),
                        path.display()
                    );
                }
            }
        }
        Ok(())
    }

    /// Writes all files, or none: each is whole on the disk under another name before the first is put in its place.
    /// The card comes last, so that it never describes a model that is not there. `card` gets the SHA-256 of the model.
    pub fn write(
        &self,
        model: impl FnOnce(&mut dyn Write) -> Result<()>,
        labels: Option<&str>,
        card: impl FnOnce(String) -> Result<String>,
    ) -> Result<()> {
        // What an outer closure has staged is renamed after the inner ones.
        stage(&self.card, |card_file| {
            let model_and = |labels_file: Option<&mut File>| {
                stage(&self.model, |model_file| {
                    let sha256 = hashed(model_file, model)
                        .with_context(|| self.model.display().to_string())?;
                    if let (Some(path), Some(file), Some(labels)) =
                        (&self.labels, labels_file, labels)
                    {
                        fill(path, file, labels)?;
                    }
                    fill(&self.card, card_file, &card(sha256)?)
                })
            };
            match &self.labels {
                Some(path) => stage(path, |file| model_and(Some(file))),
                None => model_and(None),
            }
        })
    }
}

/// Opens a file in a temporary directory beside `path`, and puts it there once `write` has succeeded.
fn stage(path: &Path, write: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let written = AtomicFile::new(path, AllowOverwrite).write(write);
    written.map_err(|error| match error {
        atomicwrites::Error::User(error) => error,
        atomicwrites::Error::Internal(error) => {
            anyhow::Error::new(error).context(cannot_write(path))
        }
    })
}

/// Writes, down to the disk.
fn fill(path: &Path, file: &mut File, text: &str) -> Result<()> {
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| cannot_write(path))
}

fn cannot_write(path: &Path) -> String {
    format!("{}: cannot be written", path.display())
}

/// Writes, down to the disk, and returns the SHA-256.
fn hashed(file: &mut File, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<String> {
    let mut digest = Sha256::new();
    let mut out = BufWriter::new(Hashed {
        out: file,
        digest: &mut digest,
    });
    write(&mut out)?;
    out.flush()?;
    drop(out);
    file.sync_all()?;
    Ok(hex(&digest.finalize()))
}

struct Hashed<'a> {
    out: &'a mut File,
    digest: &'a mut Sha256,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn all_files_are_written_or_none() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::beside(&directory.path().join("net.onnx"), true);
        let model = |out: &mut dyn Write| Ok(out.write_all(b"abc")?);
        let failure = || anyhow::anyhow!("no more");
        let failed = files.write(model, Some("a\nb\n"), |_| Err(failure()));
        assert_eq!(failed.unwrap_err().to_string(), "no more");
        assert!(names(directory.path()).is_empty());

        files.write(model, Some("a\nb\n"), Ok).unwrap();
        let all = ["net.labels.txt", "net.onnx", "net.toml"];
        assert_eq!(names(directory.path()), all);
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        assert_eq!(
            read(&files.card),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );

        let half = |out: &mut dyn Write| {
            out.write_all(b"xyz")?;
            Err(failure())
        };
        files.write(half, Some("c\n"), Ok).unwrap_err();
        files
            .write(model, Some("c\n"), |_| Err(failure()))
            .unwrap_err();
        assert_eq!(names(directory.path()), all);
        assert_eq!(
            (read(&files.model), read(files.labels.as_ref().unwrap())),
            ("abc".to_owned(), "a\nb\n".to_owned())
        );
    }

    #[test]
    fn what_is_read_is_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let definition = directory.path().join("net.toml");
        std::fs::write(&definition, "mine").unwrap();
        let files = Files::beside(&directory.path().join("net.onnx"), true);
        files.check(&[]).unwrap();
        let error = files.check(&[&definition]).unwrap_err().to_string();
        assert!(error.contains("net.toml: the export reads it"), "{error}");
        std::fs::create_dir(directory.path().join("net.labels.txt")).unwrap();
        let error = files.check(&[]).unwrap_err().to_string();
        assert!(error.contains("net.labels.txt: is a directory"), "{error}");
    }
}
