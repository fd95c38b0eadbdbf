//! Preprocessing as the metadata properties of an ONNX file: text by key.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::preprocess::{Spec, SpecError};

const PREFIX: &str = "preprocess.";

#[derive(Debug, Error)]
pub enum MetadataError {
    #[error("its metadata on preprocessing cannot be read: {0}")]
    Parse(#[from] serde_json::Error),
    #[error("its metadata: {0}")]
    Spec(#[from] SpecError),
}

/// Lists are separated by spaces.
pub fn properties(spec: &Spec) -> Vec<(String, String)> {
    // By way of text, as a value would hold the digits that f64 has more.
    let text = serde_json::to_string(spec).expect("a specification can be written");
    let fields: Map<String, Value> = serde_json::from_str(&text).expect("it has named fields");
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values
            .iter()
            .map(Value::to_string)
            .collect::<Vec<_>>()
            .join(" "),
        other => other.to_string(),
    };
    let keys = fields.iter();
    keys.map(|(key, value)| (format!("{PREFIX}{key}"), text(value)))
        .collect()
}

/// What [`properties`] wrote, or `None` where there is nothing of the kind.
pub fn preprocessing(properties: &BTreeMap<String, String>) -> Result<Option<Spec>, MetadataError> {
    let number = |text: &str| serde_json::from_str::<serde_json::Number>(text).map(Value::from);
    let value = |text: &str| -> Value {
        match text.split(' ').map(number).collect::<Result<Vec<_>, _>>() {
            Ok(values) if values.len() == 1 => values[0].clone(),
            Ok(values) => Value::Array(values),
            Err(_) => json!(text),
        }
    };
    // Others may have keys of their own.
    let ours: Vec<String> = self::properties(&Spec::imagenet(224))
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    let fields: Map<String, Value> = properties
        .iter()
        .filter(|(key, _)| ours.contains(key))
        .filter_map(|(key, text)| Some((key.strip_prefix(PREFIX)?.to_owned(), value(text))))
        .collect();
    if fields.is_empty() {
        return Ok(None);
    }
    let spec: Spec = serde_json::from_value(fields.into())?;
    spec.validate()?;
    Ok(Some(spec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_way_through_text() {
        let spec = Spec::imagenet(240);
        let mut written: BTreeMap<_, _> = properties(&spec).into_iter().collect();
        assert_eq!(written["preprocess.size"], "240");
        assert_eq!(written["preprocess.interpolation"], "bicubic");
        assert_eq!(written["preprocess.mean"], "123.675 116.28 103.53");
        written.insert("preprocess.note".to_owned(), "theirs".to_owned());
        assert_eq!(preprocessing(&written).unwrap(), Some(spec));
        written.insert("preprocess.size".to_owned(), "big".to_owned());
        assert!(
            preprocessing(&written)
                .unwrap_err()
                .to_string()
                .contains("big")
        );
        written.insert("preprocess.size".to_owned(), "0".to_owned());
        assert!(
            preprocessing(&written)
                .unwrap_err()
                .to_string()
                .contains("preprocess.size")
        );
        written.retain(|key, _| !key.starts_with(PREFIX));
        assert_eq!(preprocessing(&written).unwrap(), None);
    }
}
