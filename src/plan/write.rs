//! From a network to a file's contents.

use std::collections::HashMap;

use half::f16;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

use super::schema::{Contents, Network};
use super::{Belongings, ENTRY, checksum, version};
use crate::engine::Precision;
use crate::engine::net::Net;

/// The contents of a plan, the same whenever the network and its belongings are the same. An error says what of it
/// cannot be written.
pub fn write(net: &Net, belongings: Belongings) -> Result<Vec<u8>, String> {
    let mut bytes: Vec<Vec<u8>> = Vec::new();
    let precision = net.precision();
    let network = Network::of(net, |weights| {
        bytes.push(to_bytes(&weights.values()?, precision)?);
        Ok::<_, String>(bytes.len() - 1)
    })?;
    let contents = Contents {
        card: belongings.card,
        labels: belongings.labels,
        network,
        checksums: bytes.iter().map(|bytes| checksum(bytes)).collect(),
    };
    let contents = serde_json::to_string(&contents).map_err(|e| e.to_string())?;
    let envelope = json!({
        "version": version(precision),
        "checksum": checksum(contents.as_bytes()),
        "contents": contents,
    });
    // One entry, as their order is not that in which they are given.
    let metadata = HashMap::from([(ENTRY.to_owned(), envelope.to_string())]);
    let views = bytes.iter().enumerate().map(|(index, bytes)| {
        let shape = vec![bytes.len() / precision.size()];
        let view = TensorView::new(dtype(precision), shape, bytes).map_err(|e| e.to_string())?;
        Ok((name(index), view))
    });
    let views: Vec<(String, TensorView)> = views.collect::<Result<_, String>>()?;
    safetensors::serialize(views, Some(metadata)).map_err(|e| e.to_string())
}

/// Of the same length for any index, so that they are in their order when they are sorted.
pub(super) fn name(index: usize) -> String {
    format!("{index:06}")
}

/// The type of tensors.
pub(super) fn dtype(precision: Precision) -> Dtype {
    match precision {
        Precision::F32 => Dtype::F32,
        Precision::Fp16 => Dtype::F16,
    }
}

fn to_bytes(values: &[f32], precision: Precision) -> Result<Vec<u8>, String> {
    let values = values.iter();
    Ok(match precision {
        Precision::F32 => values.flat_map(|value| value.to_le_bytes()).collect(),
        Precision::Fp16 => {
            let fits = |value: &f32| f16::from_f32(*value).is_finite() || !value.is_finite();
            if let Some(value) = values.clone().find(|value| !fits(value)) {
                return Err(format!(
                    "a weight is {value}, more than fp16 has: compile it with --precision f32"
                ));
            }
            let values = values.map(|value| f16::from_f32(*value));
            values.flat_map(|value| value.to_le_bytes()).collect()
        }
    })
}
