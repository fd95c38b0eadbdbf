//! `config.json` of timm's repositories: which network the weights are for, and how to feed it.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

use crate::preprocess::{ColorOrder, Crop, Interpolation, Spec, SpecError};

/// What is read of it. Weights that are not trained by timm's authors have more and fewer fields.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct TimmConfig {
    /// timm's name of the network.
    pub architecture: String,
    /// Names of the classes, or their identifiers where there are descriptions.
    label_names: Option<Vec<String>>,
    label_descriptions: Option<BTreeMap<String, String>>,
    pretrained_cfg: Pretrained,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Pretrained {
    /// Channels, height, width.
    input_size: [u32; 3],
    crop_pct: Option<f64>,
    crop_mode: Option<String>,
    interpolation: Option<String>,
    /// In parts of the range of 8-bit levels.
    mean: Option<[f32; 3]>,
    std: Option<[f32; 3]>,
}

#[derive(Debug, Error, PartialEq)]
pub enum ConfigError {
    #[error("not a configuration in timm's form: {0}")]
    Parse(String),
    #[error("input_size is {0:?}; only square RGB pictures can be fed")]
    InputSize([u32; 3]),
    #[error("crop_pct is {0}; it must be above 0 and at most 1")]
    CropPct(f64),
    #[error("crop_mode '{0}' is not supported, only 'center'")]
    CropMode(String),
    #[error("interpolation '{0}' is not supported, only bicubic and bilinear")]
    Interpolation(String),
    #[error(transparent)]
    Spec(#[from] SpecError),
}

impl TimmConfig {
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        serde_json::from_str(text).map_err(|error| ConfigError::Parse(error.to_string()))
    }

    /// The evaluation transform; what is not said is `network`'s.
    pub fn preprocessing(&self, network: &Spec) -> Result<Spec, ConfigError> {
        let given = &self.pretrained_cfg;
        let size = match given.input_size {
            [3, height, width] if height == width => width,
            other => return Err(ConfigError::InputSize(other)),
        };
        let crop = given
            .crop_pct
            .unwrap_or_else(|| f64::from(network.size.width) / f64::from(network.resize.width));
        if !(crop > 0.0 && crop <= 1.0) {
            return Err(ConfigError::CropPct(crop));
        }
        match given.crop_mode.as_deref() {
            None | Some("center") => {}
            Some(other) => return Err(ConfigError::CropMode(other.to_owned())),
        }
        let interpolation = match given.interpolation.as_deref() {
            None => network.interpolation,
            Some("bicubic") => Interpolation::Bicubic,
            Some("bilinear") => Interpolation::Bilinear,
            Some(other) => return Err(ConfigError::Interpolation(other.to_owned())),
        };
        let levels = |parts: Option<[f32; 3]>, other| {
            parts.map_or(other, |parts| parts.map(|part| part * 255.0))
        };
        let spec = Spec {
            size: size.into(),
            resize: Spec::resize_for(size, crop),
            pipeline: network.pipeline,
            crop: Crop::Centre,
            interpolation,
            color: ColorOrder::Rgb,
            mean: levels(given.mean, network.mean),
            std: levels(given.std, network.std),
        };
        spec.validate()?;
        Ok(spec)
    }

    /// Names of the classes in index order, where the configuration has them.
    pub fn labels(&self) -> Option<Vec<String>> {
        let names = self.label_names.as_ref()?;
        let described = |name: &String| {
            let descriptions = self.label_descriptions.as_ref()?;
            descriptions.get(name).cloned()
        };
        Some(
            names
                .iter()
                .map(|name| described(name).unwrap_or_else(|| name.clone()))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{
        "architecture": "tf_efficientnet_lite0", "num_classes": 3, "num_features": 1280,
        "label_names": ["n1", "n2", "n3"], "label_descriptions": {"n1": "cat", "n3": "dog"},
        "pretrained_cfg": {
            "tag": "in1k", "input_size": [3, 300, 300], "interpolation": "bilinear", "crop_pct": 0.904,
            "crop_mode": "center", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "classifier": "classifier"
        }
    }"#;

    #[test]
    fn says_how_to_feed_the_network() {
        let config = TimmConfig::parse(CONFIG).unwrap();
        let spec = config.preprocessing(&Spec::imagenet(224)).unwrap();
        assert_eq!((spec.size, spec.resize), (300.into(), 331.into()));
        assert_eq!(spec.interpolation, Interpolation::Bilinear);
        assert_eq!((spec.mean, spec.std), ([127.5; 3], [127.5; 3]));
        assert_eq!(config.labels().unwrap(), ["cat", "n2", "dog"]);
        let short = r#"{"architecture": "x", "pretrained_cfg": {"input_size": [3, 224, 224]}}"#;
        let config = TimmConfig::parse(short).unwrap();
        let network = Spec::imagenet(224);
        assert_eq!(config.preprocessing(&network), Ok(network));
        assert_eq!(config.labels(), None);
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        for (from, to, says) in [
            ("[3, 300, 300]", "[3, 300, 200]", "input_size"),
            ("[3, 300, 300]", "[1, 300, 300]", "input_size"),
            ("[3, 300, 300]", "[3, 0, 0]", "size"),
            ("0.904", "0.0", "crop_pct"),
            ("\"center\"", "\"squash\"", "squash"),
            ("\"bilinear\"", "\"nearest\"", "nearest"),
            (
                "[0.5, 0.5, 0.5], \"std\"",
                "[0.5], \"std\"",
                "pretrained_cfg",
            ),
        ] {
            let result = TimmConfig::parse(&CONFIG.replacen(from, to, 1))
                .and_then(|config| config.preprocessing(&Spec::imagenet(224)));
            let error = result.unwrap_err().to_string();
            assert!(
                error.contains(says) || error.contains("expected"),
                "{to}: {error}"
            );
        }
    }
}
