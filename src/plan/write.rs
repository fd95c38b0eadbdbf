//! From a network to a file's contents.

use std::collections::HashMap;

use half::f16;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

use super::schema::{Contents, Network, WeightsForm};
use super::{Belongings, ENTRY, REPORT, checksum, version};
use crate::engine::Precision;
use crate::engine::net::{Net, WeightLevels};

/// The contents of a plan, the same whenever the network and its belongings are the same. An error says what of it
/// cannot be written.
pub fn write(net: &Net, belongings: Belongings) -> Result<Vec<u8>, String> {
    let precision = net.precision();
    let mut tensors: Vec<(Dtype, Vec<u8>)> = Vec::new();
    let mut add = |dtype, bytes| {
        tensors.push((dtype, bytes));
        tensors.len() - 1
    };
    let network = Network::of(net, |weights| {
        let Some(WeightLevels { levels, scales }) = weights.levels()? else {
            let bytes = to_bytes(&weights.values()?, precision)?;
            return Ok::<_, String>(WeightsForm::Values(add(floats(precision), bytes)));
        };
        let levels = levels.iter().map(|level| *level as u8).collect();
        Ok(WeightsForm::Levels {
            levels: add(Dtype::I8, levels),
            scales: add(Dtype::F32, to_bytes(&scales, Precision::F32)?),
        })
    })?;
    let report = belongings.report.map(|report| report.to_json());
    let report = report
        .transpose()
        .map_err(|e| format!("its report cannot be written: {e}"))?;
    let contents = Contents {
        card: belongings.card,
        labels: belongings.labels,
        network,
        checksums: tensors.iter().map(|(_, bytes)| checksum(bytes)).collect(),
        report: report.as_ref().map(|report| checksum(report.as_bytes())),
    };
    let contents = serde_json::to_string(&contents).map_err(|e| e.to_string())?;
    let envelope = json!({
        "version": version(precision),
        "checksum": checksum(contents.as_bytes()),
        "contents": contents,
    });
    // One entry, as their order is not that in which they are given.
    let metadata = HashMap::from([(ENTRY.to_owned(), envelope.to_string())]);
    let views = tensors.iter().enumerate().map(|(index, (dtype, bytes))| {
        let shape = vec![8 * bytes.len() / dtype.bitsize()];
        let view = TensorView::new(*dtype, shape, bytes).map_err(|e| e.to_string())?;
        Ok((name(index), view))
    });
    let mut views: Vec<(String, TensorView)> = views.collect::<Result<_, String>>()?;
    if let Some(report) = &report {
        let bytes = report.as_bytes();
        let view = TensorView::new(Dtype::U8, vec![bytes.len()], bytes);
        views.push((REPORT.to_owned(), view.map_err(|e| e.to_string())?));
    }
    safetensors::serialize(views, Some(metadata)).map_err(|e| e.to_string())
}

/// Of the same length for any index, so that they are in their order when they are sorted.
pub(super) fn name(index: usize) -> String {
    format!("{index:06}")
}

/// The type of tensors of real values.
pub(super) fn floats(precision: Precision) -> Dtype {
    match precision {
        Precision::F32 | Precision::Int8 => Dtype::F32,
        Precision::Fp16 => Dtype::F16,
    }
}

fn to_bytes(values: &[f32], precision: Precision) -> Result<Vec<u8>, String> {
    let values = values.iter();
    Ok(match precision {
        Precision::F32 | Precision::Int8 => values.flat_map(|value| value.to_le_bytes()).collect(),
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
