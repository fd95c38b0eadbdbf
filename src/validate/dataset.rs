//! Labelled pictures in the directory layouts that ImageNet and its like come in.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::labels_list::{self, ListError};
use super::{Classes, folders};
use crate::camera::pictures_below;
use crate::model::hex;
use crate::text::{SHOWN, some, some_of};

/// Pictures in the order of their paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    pub root: PathBuf,
    pub samples: Vec<Sample>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Relative to the data set's root.
    pub file: PathBuf,
    /// `file` as text; no two files have the same.
    pub path: String,
    /// Index of the true class, where it is known.
    pub class: Option<usize>,
}

#[derive(Debug, Error)]
pub enum DatasetError {
    #[error("{path}: {source}", path = path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path}: not a directory", path = path.display())]
    NotADirectory { path: PathBuf },
    #[error("{path}: no pictures (.jpg, .jpeg, .png, .webp) in it", path = path.display())]
    NoPictures { path: PathBuf },
    #[error(
        "{path}: nothing says which class {} of {pictures} pictures are of: {}; expected a directory for each class, \
         named by WordNet id (n01440764), label or index, or --labels-list",
        unknown, some_of(first, *unknown), path = path.display()
    )]
    NoClasses {
        path: PathBuf,
        pictures: usize,
        /// Pictures without a class, and the first of them.
        unknown: usize,
        first: Vec<String>,
    },
    #[error(
        "{path}: --labels-list is for pictures in one directory, but there are directories in it",
        path = path.display()
    )]
    ListAndFolders { path: PathBuf },
    #[error("{path}: {}", unknown_folders(*known, unknown, *classes), path = path.display())]
    UnknownFolders {
        path: PathBuf,
        /// Directories named as classes.
        known: usize,
        unknown: Vec<String>,
        classes: usize,
    },
    #[error(
        "{path}: the label of several classes ({indices}); name the directories by WordNet id or index",
        path = path.display()
    )]
    SharedLabel { path: PathBuf, indices: String },
    #[error("{path}: {source}", path = path.display())]
    List { path: PathBuf, source: ListError },
}

fn unknown_folders(known: usize, unknown: &[String], classes: usize) -> String {
    let unknown = some(unknown);
    if known > 0 {
        format!(
            "others of its directories are named as classes of the model, but not these: {unknown}; rename or move them"
        )
    } else {
        format!(
            "no classes of the model by WordNet id, label or index, and not as many directories as it has classes \
             ({classes}): {unknown}"
        )
    }
}

impl Dataset {
    /// Finds the pictures below `root` and what they show: by `list` if there is one, or else by the directories they
    /// are in. Without either they have no classes. Hidden files and directories are passed over.
    pub fn open(root: &Path, list: Option<&Path>, classes: &Classes) -> Result<Self, DatasetError> {
        if !root.is_dir() {
            return Err(DatasetError::NotADirectory {
                path: root.to_owned(),
            });
        }
        let files: Vec<PathBuf> = pictures_below(root)
            .map(|path| path.strip_prefix(root).unwrap_or(&path).to_owned())
            .collect();
        if files.is_empty() {
            return Err(DatasetError::NoPictures {
                path: root.to_owned(),
            });
        }
        // Without it the figures would be of fewer pictures.
        for directory in files.iter().map(|file| root.join(file)) {
            if directory.is_dir()
                && let Err(source) = std::fs::read_dir(&directory)
            {
                return Err(DatasetError::Read {
                    path: directory,
                    source,
                });
            }
        }
        let found = match list {
            Some(list) => by_list(root, &files, list, classes)?,
            None => folders::classes_of(root, &files, classes)?,
        };
        let mut samples: Vec<_> = files
            .into_iter()
            .zip(found)
            .map(|(file, class)| Sample {
                path: escaped(&file),
                file,
                class,
            })
            .collect();
        samples.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Dataset {
            root: root.to_owned(),
            samples,
        })
    }

    /// Whether the class of every picture is known.
    pub fn check_labelled(&self) -> Result<(), DatasetError> {
        let unknown = self.samples.iter().filter(|s| s.class.is_none());
        let first: Vec<_> = unknown.clone().take(SHOWN).collect();
        if first.is_empty() {
            return Ok(());
        }
        Err(DatasetError::NoClasses {
            path: self.root.clone(),
            pictures: self.samples.len(),
            unknown: unknown.count(),
            first: first.iter().map(|sample| sample.path.clone()).collect(),
        })
    }

    /// What tells it from other sets of pictures; see [`digest`].
    pub fn digest(&self) -> String {
        digest(self.samples.iter().map(|s| (s.path.as_str(), s.class)))
    }
}

/// SHA-256, in hexadecimal, of the paths and classes of pictures in the order of their paths.
pub fn digest<'a>(pictures: impl Iterator<Item = (&'a str, Option<usize>)>) -> String {
    let mut digest = Sha256::new();
    for (path, class) in pictures {
        digest.update(format!("{path}\0{class:?}\0"));
    }
    hex(&digest.finalize())
}

/// A path as text that no other path has: with backslashes and control characters escaped, and bytes that are not UTF-8
/// as `\xff`.
pub(super) fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            if character == '\\' || character.is_control() {
                text.extend(character.escape_default());
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            text += &format!("\\x{byte:02x}");
        }
    }
    text
}

fn by_list(
    root: &Path,
    files: &[PathBuf],
    list: &Path,
    classes: &Classes,
) -> Result<Vec<Option<usize>>, DatasetError> {
    if files.iter().any(|file| file.components().count() > 1) {
        return Err(DatasetError::ListAndFolders {
            path: root.to_owned(),
        });
    }
    let text = std::fs::read_to_string(list).map_err(|source| DatasetError::Read {
        path: list.to_owned(),
        source,
    })?;
    // A list, being text, names only what is text.
    let name = |file: &PathBuf| file.to_str().map_or_else(|| escaped(file), str::to_owned);
    let names: Vec<_> = files.iter().map(name).collect();
    let found = labels_list::listed(&text, &names, classes);
    let found = found.map_err(|source| DatasetError::List {
        path: list.to_owned(),
        source,
    })?;
    Ok(found.into_iter().map(Some).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn what_has_no_pictures_or_no_classes_is_refused() {
        let birds = Classes::for_tests(&["jay", "rook"]);
        let none = Dataset::open(Path::new("/nonexistent"), None, &birds).unwrap_err();
        assert!(none.to_string().contains("/nonexistent: not a directory"));
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("notes.txt"), "").unwrap();
        let empty = Dataset::open(root.path(), None, &birds).unwrap_err();
        assert!(empty.to_string().contains("no pictures"), "{empty}");
        std::fs::create_dir(root.path().join("rook")).unwrap();
        for name in ["rook/a.jpg", "stray.jpg"] {
            std::fs::write(root.path().join(name), "").unwrap();
        }
        let stray = Dataset::open(root.path(), None, &birds).unwrap();
        let error = stray.check_labelled().unwrap_err().to_string();
        assert!(
            error.contains("1 of 2 pictures are of: stray.jpg;"),
            "{error}"
        );
    }

    #[test]
    fn every_file_has_a_text_of_its_own_and_can_be_opened() {
        let root = tempfile::tempdir().unwrap();
        let names: [&[u8]; 7] = [
            b"a\xff.jpg",
            b"a\xfe.jpg",
            b"a\\xff.jpg",
            b"a\n.jpg",
            b"a\\n.jpg",
            b"a\xe2\x82.jpg",
            "\u{fffd}\u{e4}.jpg".as_bytes(),
        ];
        for name in names {
            let path = root.path().join("rook").join(OsStr::from_bytes(name));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let classes = Classes::for_tests(&["jay", "rook"]);
        let Dataset { samples, .. } = Dataset::open(root.path(), None, &classes).unwrap();
        let paths: BTreeSet<_> = samples.iter().map(|s| s.path.as_str()).collect();
        assert_eq!(
            paths.into_iter().collect::<Vec<_>>(),
            [
                r"rook/a\\n.jpg",
                r"rook/a\\xff.jpg",
                r"rook/a\n.jpg",
                r"rook/a\xe2\x82.jpg",
                r"rook/a\xfe.jpg",
                r"rook/a\xff.jpg",
                "rook/\u{fffd}\u{e4}.jpg",
            ]
        );
        assert!(samples.is_sorted_by_key(|sample| &sample.path));
        for sample in samples {
            assert!(root.path().join(&sample.file).is_file(), "{}", sample.path);
        }
    }
}
