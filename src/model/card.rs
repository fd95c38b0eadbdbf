//! The model card: a TOML file beside the model that says how to feed it and what its outputs mean.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::preprocess::{Spec, SpecError};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    pub name: String,
    #[serde(default)]
    pub description: String,
    /// The model file, relative to the card.
    pub file: PathBuf,
    /// SHA-256 of the model file in hexadecimal; checked before the model is used.
    #[serde(default)]
    pub sha256: Option<String>,
    /// The labels file, relative to the card.
    #[serde(default)]
    pub labels: Option<PathBuf>,
    /// What the network's output is.
    #[serde(default)]
    pub scores: Scores,
    pub preprocess: Spec,
    #[serde(default)]
    pub weights: Option<Weights>,
}

/// What the values are that a network gives, one for each class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scores {
    /// To be put through a softmax.
    #[default]
    Logits,
    /// As they are: of one class among all, or of each by itself.
    Probabilities,
}

/// Where the weights come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    pub source: String,
    pub licence: String,
}

#[derive(Debug, Error)]
pub enum CardError {
    #[error("{path}: {source}", path = path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path}: not a model card: {source}", path = path.display())]
    Parse {
        path: PathBuf,
        source: Box<toml::de::Error>,
    },
    #[error("{path}: {source}", path = path.display())]
    Spec { path: PathBuf, source: SpecError },
    #[error(
        "{path}: SHA-256 is {found}, but its card says {expected}: the file is damaged or is not \
         the one the card describes; install the model again",
        path = path.display()
    )]
    Checksum {
        path: PathBuf,
        expected: String,
        found: String,
    },
}

impl ModelCard {
    pub fn read(path: &Path) -> Result<Self, CardError> {
        let text = std::fs::read_to_string(path).map_err(|source| CardError::Read {
            path: path.to_owned(),
            source,
        })?;
        ModelCard::parse(&text, path)
    }

    /// The same of a file's text.
    pub fn parse(text: &str, path: &Path) -> Result<Self, CardError> {
        let card: ModelCard = toml::from_str(text).map_err(|source| CardError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        card.preprocess
            .validate()
            .map_err(|source| CardError::Spec {
                path: path.to_owned(),
                source,
            })?;
        Ok(card)
    }

    /// Compares the model file's contents with the card's checksum, if it has one.
    pub fn verify(&self, path: &Path, contents: &[u8]) -> Result<(), CardError> {
        let Some(expected) = &self.sha256 else {
            return Ok(());
        };
        let found = hex(&Sha256::digest(contents));
        if found.eq_ignore_ascii_case(expected) {
            return Ok(());
        }
        Err(CardError::Checksum {
            path: path.to_owned(),
            expected: expected.clone(),
            found,
        })
    }
}

/// A digest as cards have it.
pub fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: &str = r#"
        name = "tiny"
        file = "tiny.onnx"
        sha256 = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"

        [preprocess]
        size = 32
        resize = 36
        mean = [0.0, 0.0, 0.0]
        std = [255.0, 255.0, 255.0]
    "#;

    fn read(text: &str) -> Result<ModelCard, CardError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tiny.toml");
        std::fs::write(&path, text).unwrap();
        ModelCard::read(&path)
    }

    #[test]
    fn optional_fields_have_defaults() {
        let card = read(CARD).unwrap();
        assert_eq!(card.name, "tiny");
        assert_eq!(card.labels, None);
        assert_eq!(
            card.preprocess.interpolation,
            crate::preprocess::Interpolation::Bicubic
        );
    }

    #[test]
    fn checksum_is_compared_without_regard_to_case() {
        let card = read(CARD).unwrap();
        card.verify(Path::new("tiny.onnx"), b"abc").unwrap();
        let error = card.verify(Path::new("tiny.onnx"), b"abd").unwrap_err();
        assert!(matches!(error, CardError::Checksum { .. }));
    }

    #[test]
    fn errors_name_the_file_and_the_field() {
        struct Case {
            from: &'static str,
            to: &'static str,
            says: &'static str,
        }
        let cases = [
            Case {
                from: "size = 32",
                to: "size = 0",
                says: "preprocess.size",
            },
            Case {
                from: "resize = 36",
                to: "rezise = 36",
                says: "rezise",
            },
            Case {
                from: "[preprocess]",
                to: "[preprocess",
                says: "tiny.toml",
            },
            Case {
                from: "resize = 36",
                to: "resize = 36\npipeline = 'TF'",
                says: "`torch` or `tf`",
            },
            Case {
                from: "mean = [0.0, 0.0, 0.0]",
                to: "mean = [0.0]",
                says: "mean",
            },
        ];
        for case in cases {
            let error = read(&CARD.replace(case.from, case.to)).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(case.says), "{text}");
            assert!(text.contains("tiny.toml"), "{text}");
        }
    }
}
