//! Labelled pictures in the directory layouts that ImageNet and its like come in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::labels_list::{self, ListError, some};
use crate::camera::pictures_below;
use crate::model::Labels;

/// WordNet ids of ImageNet's classes in index order: <https://image-net.org/challenges/LSVRC/2012/>, sorted.
const SYNSETS: &str = include_str!("../../models/imagenet_synsets.txt");

/// Pictures in the order of their paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    pub root: PathBuf,
    pub samples: Vec<Sample>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Relative to the data set's root.
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
        "{path}: nothing says which class the pictures are of; expected a directory for each class, named by WordNet \
         id (n01440764), label or index, or --labels-list",
        path = path.display()
    )]
    NoClasses { path: PathBuf },
    #[error(
        "{path}: --labels-list is for pictures in one directory, but there are directories in it",
        path = path.display()
    )]
    ListAndFolders { path: PathBuf },
    #[error(
        "{path}: no classes of the model by WordNet id, label or index, and not as many directories as it has classes \
         ({classes}): {}", some(unknown), path = path.display()
    )]
    UnknownFolders {
        path: PathBuf,
        unknown: Vec<String>,
        classes: usize,
    },
    #[error("{path}: {source}", path = path.display())]
    List { path: PathBuf, source: ListError },
}

/// How the classes of a model are called.
#[derive(Debug)]
pub struct Classes {
    count: usize,
    by_name: BTreeMap<String, usize>,
}

impl Classes {
    /// The labels of a model, and ImageNet's WordNet ids if it has as many classes.
    pub fn new(labels: &Labels) -> Self {
        let mut by_name = BTreeMap::new();
        let mut ambiguous = Vec::new();
        for (index, label) in labels.iter().enumerate() {
            if by_name.insert(label.to_owned(), index).is_some() {
                ambiguous.push(label);
            }
        }
        // Two classes of one name: the name says nothing.
        for label in ambiguous {
            by_name.remove(label);
        }
        let synsets = SYNSETS.lines().enumerate();
        if labels.len() == synsets.clone().count() {
            by_name.extend(synsets.map(|(index, id)| (id.to_owned(), index)));
        }
        Classes {
            count: labels.len(),
            by_name,
        }
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// A class by WordNet id or label.
    pub fn by_name(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    #[cfg(test)]
    pub(super) fn imagenet_for_tests() -> Self {
        Classes::new(&Labels::read(Path::new("models/imagenet_labels.txt"), 1000).unwrap())
    }
}

impl Dataset {
    /// Finds the pictures below `root` and what they show: by `list` if there is one, or else by the directories they
    /// are in. Without either they have no classes.
    pub fn open(root: &Path, list: Option<&Path>, classes: &Classes) -> Result<Self, DatasetError> {
        if !root.is_dir() {
            return Err(DatasetError::NotADirectory {
                path: root.to_owned(),
            });
        }
        let paths: Vec<String> = pictures_below(root)
            .map(|path| {
                let path = path.strip_prefix(root).unwrap_or(&path).to_owned();
                path.to_string_lossy().into_owned()
            })
            .collect();
        if paths.is_empty() {
            return Err(DatasetError::NoPictures {
                path: root.to_owned(),
            });
        }
        let found = match list {
            Some(list) => by_list(root, &paths, list, classes)?,
            None => by_directory(root, &paths, classes)?,
        };
        let mut samples: Vec<_> = paths
            .into_iter()
            .zip(found)
            .map(|(path, class)| Sample { path, class })
            .collect();
        samples.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Dataset {
            root: root.to_owned(),
            samples,
        })
    }

    /// Whether the class of every picture is known.
    pub fn check_labelled(&self) -> Result<(), DatasetError> {
        if self.samples.iter().all(|sample| sample.class.is_some()) {
            return Ok(());
        }
        Err(DatasetError::NoClasses {
            path: self.root.clone(),
        })
    }
}

fn by_list(
    root: &Path,
    paths: &[String],
    list: &Path,
    classes: &Classes,
) -> Result<Vec<Option<usize>>, DatasetError> {
    if paths.iter().any(|path| path.contains('/')) {
        return Err(DatasetError::ListAndFolders {
            path: root.to_owned(),
        });
    }
    let text = std::fs::read_to_string(list).map_err(|source| DatasetError::Read {
        path: list.to_owned(),
        source,
    })?;
    let found = labels_list::classes(&text, paths, classes);
    let found = found.map_err(|source| DatasetError::List {
        path: list.to_owned(),
        source,
    })?;
    Ok(found.into_iter().map(Some).collect())
}

fn by_directory(
    root: &Path,
    paths: &[String],
    classes: &Classes,
) -> Result<Vec<Option<usize>>, DatasetError> {
    let folder = |path: &str| path.split_once('/').map(|(folder, _)| folder.to_owned());
    let Some(folders) = paths
        .iter()
        .map(|path| folder(path))
        .collect::<Option<Vec<_>>>()
    else {
        return Ok(vec![None; paths.len()]);
    };
    let all = directories(root)?;
    let number = |name: &str| name.parse().ok().filter(|index| *index < classes.count());
    let resolve = |class: &dyn Fn(&str) -> Option<usize>| {
        let known: BTreeMap<_, _> = all
            .iter()
            .filter_map(|name| Some((name.clone(), class(name)?)))
            .collect();
        (known.len() == all.len()).then_some(known)
    };
    let by_name = resolve(&|name| classes.by_name(name));
    let by_number = || resolve(&number);
    // torchvision's ImageFolder, with which such models are trained, numbers classes so.
    let in_order = || {
        let numbered = all.iter().cloned().enumerate();
        (all.len() == classes.count()).then(|| {
            log::warn!(
                "{}: its directories are not named as the classes; taken to be them in alphabetical order",
                root.display()
            );
            numbered.map(|(index, name)| (name, index)).collect()
        })
    };
    let known = by_name.or_else(by_number).or_else(in_order);
    let known = known.ok_or_else(|| DatasetError::UnknownFolders {
        path: root.to_owned(),
        unknown: all
            .iter()
            .filter(|name| classes.by_name(name).is_none())
            .cloned()
            .collect(),
        classes: classes.count(),
    })?;
    Ok(folders
        .iter()
        .map(|folder| known.get(folder).copied())
        .collect())
}

/// Names of the directories in `root`, sorted; of empty ones, too, as each stands for a class.
fn directories(root: &Path) -> Result<Vec<String>, DatasetError> {
    let failed = |source| DatasetError::Read {
        path: root.to_owned(),
        source,
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(labels: &str) -> Classes {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("labels.txt");
        std::fs::write(&path, labels).unwrap();
        Classes::new(&Labels::read(&path, labels.lines().count()).unwrap())
    }

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

    #[test]
    fn directories_name_classes_in_several_ways() {
        let birds = classes("jay\nrook\nwren\n");
        struct Case<'a> {
            files: &'a [&'a str],
            classes: &'a Classes,
            found: &'a [usize],
        }
        let cases = [
            Case {
                files: &["rook/a.jpg", "rook/b.JPEG", "wren/c.png"],
                classes: &birds,
                found: &[1, 1, 2],
            },
            Case {
                files: &["0/a.jpg", "2/b.jpg"],
                classes: &birds,
                found: &[0, 2],
            },
            Case {
                files: &["class_a/a.jpg", "class_b/b.jpg", "class_c/c.jpg"],
                classes: &birds,
                found: &[0, 1, 2],
            },
            Case {
                files: &["n01440764/x/a.JPEG", "n15075141/b.JPEG"],
                classes: &Classes::imagenet_for_tests(),
                found: &[0, 999],
            },
        ];
        for case in cases {
            let samples = open(case.files, case.classes).unwrap();
            let found: Vec<_> = samples.iter().filter_map(|(_, class)| *class).collect();
            assert_eq!(found, case.found, "{:?}", case.files);
        }
        // Flat, or partly so: pictures without a class.
        for files in [&["a.jpg", "b.jpg"][..], &["a.jpg", "rook/b.jpg"]] {
            assert!(
                open(files, &birds)
                    .unwrap()
                    .iter()
                    .all(|(_, class)| class.is_none())
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let birds = classes("jay\nrook\nwren\n");
        for (files, says) in [
            (&["owl/a.jpg", "jay/b.jpg"][..], "owl"),
            (&["1/a.jpg", "3/b.jpg"], "1, 3"),
            (&["n01440764/a.jpg"], "n01440764"),
            (&["notes.txt"], "no pictures"),
        ] {
            let error = open(files, &birds).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let none = Dataset::open(Path::new("/nonexistent"), None, &birds).unwrap_err();
        assert!(none.to_string().contains("/nonexistent: not a directory"));
        // A name of two classes is none.
        let ambiguous = classes("crane\ncrane\njay\n");
        assert_eq!(ambiguous.by_name("crane"), None);
        assert_eq!(ambiguous.by_name("jay"), Some(2));
    }
}
