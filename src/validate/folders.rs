//! Classes of pictures by the directories that they are in.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use super::dataset::{DatasetError, escaped};
use super::{Classes, classes};
use crate::camera::is_hidden;

/// The classes of pictures, given relative to `root`, by the directories of `root` that they are in. Those in none have
/// none.
pub(super) fn classes_of(
    root: &Path,
    pictures: &[PathBuf],
    classes: &Classes,
) -> Result<Vec<Option<usize>>, DatasetError> {
    let in_folders = pictures.iter().filter(|path| folder(path).is_some());
    let in_folders = in_folders.count();
    if in_folders == 0 {
        return Ok(vec![None; pictures.len()]);
    }
    match named(root, &directories(root)?, classes) {
        Ok(known) => Ok(pictures
            .iter()
            .map(|path| known.get(folder(path)?).copied())
            .collect()),
        // Just a tree of pictures: not meant to say anything of classes.
        Err(DatasetError::UnknownFolders { known: 0, .. }) if in_folders < pictures.len() => {
            Ok(vec![None; pictures.len()])
        }
        Err(error) => Err(error),
    }
}

/// The directory in the data set's root that a picture is in.
fn folder(picture: &Path) -> Option<&OsStr> {
    let mut components = picture.components();
    match (components.next(), components.next()) {
        (Some(Component::Normal(folder)), Some(_)) => Some(folder),
        _ => None,
    }
}

/// The class of each of the directories `all`, sorted by name: all are named by WordNet id or label, or all by index, or
/// all by something else.
fn named(
    root: &Path,
    all: &[OsString],
    classes: &Classes,
) -> Result<BTreeMap<OsString, usize>, DatasetError> {
    for name in all {
        if let Some(sharing) = name.to_str().and_then(|name| classes.sharing(name)) {
            return Err(DatasetError::SharedLabel {
                path: root.join(name),
                indices: classes::indices(sharing),
            });
        }
    }
    for class in [Classes::by_name, Classes::by_number] {
        let class = |name: &OsString| class(classes, name.to_str()?);
        let known: BTreeMap<_, _> = all
            .iter()
            .filter_map(|name| Some((name.clone(), class(name)?)))
            .collect();
        if known.len() == all.len() {
            return Ok(known);
        }
        // One wrong name among right ones must not give all of them other classes.
        if !known.is_empty() {
            return Err(DatasetError::UnknownFolders {
                path: root.to_owned(),
                known: known.len(),
                unknown: names(all.iter().filter(|name| !known.contains_key(*name))),
                classes: classes.count(),
            });
        }
    }
    if all.len() != classes.count() {
        return Err(DatasetError::UnknownFolders {
            path: root.to_owned(),
            known: 0,
            unknown: names(all.iter()),
            classes: classes.count(),
        });
    }
    // torchvision's ImageFolder, with which such models are trained, numbers classes so.
    log::warn!(
        "{}: its directories are not named as the classes; taken to be them in alphabetical order",
        root.display()
    );
    let numbered = all.iter().cloned().enumerate();
    Ok(numbered.map(|(index, name)| (name, index)).collect())
}

fn names<'a>(folders: impl Iterator<Item = &'a OsString>) -> Vec<String> {
    folders.map(|name| escaped(Path::new(name))).collect()
}

/// Names of the directories in `root`, sorted; of empty ones, too, as each stands for a class.
fn directories(root: &Path) -> Result<Vec<OsString>, DatasetError> {
    let failed = |source| DatasetError::Read {
        path: root.to_owned(),
        source,
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().is_dir() && !is_hidden(&entry.file_name()) {
            names.push(entry.file_name());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::super::Dataset;
    use super::*;

    fn open(
        files: &[&str],
        classes: &Classes,
    ) -> Result<Vec<(String, Option<usize>)>, DatasetError> {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let dataset = Dataset::open(root.path(), None, classes)?;
        let samples = dataset.samples.into_iter();
        Ok(samples.map(|sample| (sample.path, sample.class)).collect())
    }

    fn birds() -> Classes {
        Classes::for_tests(&["jay", "rook", "wren"])
    }

    #[test]
    fn directories_name_classes_in_several_ways() {
        let (birds, imagenet) = (birds(), Classes::imagenet_for_tests());
        struct Case<'a> {
            files: &'a [&'a str],
            classes: &'a Classes,
            found: &'a [Option<usize>],
        }
        let cases = [
            Case {
                files: &["rook/a.jpg", "rook/b.JPEG", "wren/c.png"],
                classes: &birds,
                found: &[Some(1), Some(1), Some(2)],
            },
            Case {
                files: &["0/a.jpg", "2/b.jpg"],
                classes: &birds,
                found: &[Some(0), Some(2)],
            },
            Case {
                files: &["class_a/a.jpg", "class_b/b.jpg", "class_c/c.jpg"],
                classes: &birds,
                found: &[Some(0), Some(1), Some(2)],
            },
            Case {
                files: &["n01440764/x/a.JPEG", "n15075141/b.JPEG"],
                classes: &imagenet,
                found: &[Some(0), Some(999)],
            },
            Case {
                files: &["a.jpg", "b.jpg"],
                classes: &birds,
                found: &[None, None],
            },
            // One beside the directories has no class, the others have theirs.
            Case {
                files: &["a.jpg", "rook/b.jpg"],
                classes: &birds,
                found: &[None, Some(1)],
            },
            Case {
                files: &["a.jpg", "holiday/b.jpg"],
                classes: &birds,
                found: &[None, None],
            },
            Case {
                files: &[".thumbs/a.jpg", "jay/.b.jpg", "jay/c.jpg"],
                classes: &birds,
                found: &[Some(0)],
            },
        ];
        for case in cases {
            let samples = open(case.files, case.classes).unwrap();
            let found: Vec<_> = samples.iter().map(|(_, class)| *class).collect();
            assert_eq!(found, case.found, "{:?}", case.files);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let shared = Classes::for_tests(&["crane", "jay", "crane"]);
        for (files, classes, says) in [
            (&["owl/a.jpg", "jay/b.jpg"][..], birds(), "not these: owl"),
            (&["1/a.jpg", "3/b.jpg"], birds(), "not these: 3"),
            (&["n01440764/a.jpg"], birds(), "n01440764"),
            // As many directories as classes, but with names of classes among them.
            (
                &["jay/a.jpg", "rook/b.jpg", "wrne/c.jpg"],
                birds(),
                "not these: wrne",
            ),
            (&["1/a.jpg", "2/b.jpg", "3/c.jpg"], birds(), "not these: 3"),
            (
                &["1/a.jpg", "jay/b.jpg", "rook/c.jpg"],
                birds(),
                "not these: 1",
            ),
            (
                &["a.jpg", "jay/b.jpg", "owl/c.jpg"],
                birds(),
                "not these: owl",
            ),
            (
                &["crane/a.jpg", "jay/b.jpg"],
                shared,
                "crane: the label of several classes (0, 2)",
            ),
        ] {
            let error = open(files, &classes).unwrap_err().to_string();
            assert!(error.contains(says), "{files:?}: {error}");
        }
    }
}
