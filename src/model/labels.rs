//! Class names, one a line, in index order.

use std::path::{Path, PathBuf};

use thiserror::Error;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels(Vec<String>);

#[derive(Debug, Error)]
pub enum LabelsError {
    #[error("{path}: {source}", path = path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "{path} has {found} labels, but the model has {classes} classes; give the right file \
         with --labels, one label a line in index order",
        path = path.display()
    )]
    Count {
        path: PathBuf,
        found: usize,
        classes: usize,
    },
}

impl Labels {
    /// Reads a labels file for a model with `classes` outputs. Blank lines at the end are ignored.
    pub fn read(path: &Path, classes: usize) -> Result<Self, LabelsError> {
        let text = std::fs::read_to_string(path).map_err(|source| LabelsError::Read {
            path: path.to_owned(),
            source,
        })?;
        Labels::parse(&text, classes, path)
    }

    /// The same of a file's text.
    pub fn parse(text: &str, classes: usize, path: &Path) -> Result<Self, LabelsError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let labels: Vec<String> = text
            .trim_end()
            .lines()
            .map(|line| line.trim().to_owned())
            .collect();
        if labels.len() != classes {
            return Err(LabelsError::Count {
                path: path.to_owned(),
                found: labels.len(),
                classes,
            });
        }
        Ok(Labels(labels))
    }

    /// Names for a model that brings none.
    pub fn numbered(classes: usize) -> Self {
        Labels((0..classes).map(|i| format!("class {i}")).collect())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In index order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// # Panics
    /// If `index` is not a class of the model the labels were made for.
    pub fn get(&self, index: usize) -> &str {
        &self.0[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_must_match() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("labels.txt");
        std::fs::write(&path, "\u{feff}cat\r\n dog \n\n\n").unwrap();
        let labels = Labels::read(&path, 2).unwrap();
        assert_eq!((labels.get(0), labels.get(1)), ("cat", "dog"));
        let error = Labels::read(&path, 3).unwrap_err().to_string();
        assert!(error.contains("2 labels") && error.contains("3 classes"));
        let missing = Labels::read(&dir.path().join("none.txt"), 3).unwrap_err();
        assert!(missing.to_string().contains("none.txt"));
    }
}
