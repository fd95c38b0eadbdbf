//! From a network to a file's contents.

use std::ops::Range;

use edge_classify_kernels::LINE;
use half::f16;
use safetensors::tensor::Dtype;
use serde_json::{Value, json};

use super::schema::{Contents, Network, WeightsForm};
use super::{Belongings, ENTRY, REPORT, SelfTest, checksum, version};
use crate::engine::Precision;
use crate::engine::net::{Net, WeightLevels};

/// The contents of a plan, the same whenever the network and its belongings are the same. An error says what of it
/// cannot be written.
pub fn write(net: &Net, belongings: Belongings) -> Result<Vec<u8>, String> {
    write_all(net, belongings, None)
}

/// As [`write()`], with a self-test of the network.
pub fn write_tested(
    net: &Net,
    belongings: Belongings,
    self_test: &SelfTest,
) -> Result<Vec<u8>, String> {
    write_all(net, belongings, Some(self_test))
}

fn write_all(
    net: &Net,
    belongings: Belongings,
    self_test: Option<&SelfTest>,
) -> Result<Vec<u8>, String> {
    let precision = net.precision();
    let mut tensors = Tensors::default();
    let network = Network::of(net, |weights| {
        let Some(WeightLevels { levels, scales }) = weights.levels()? else {
            let bytes = to_bytes(&weights.values()?, precision)?;
            return Ok::<_, String>(WeightsForm::Values(tensors.add(floats(precision), &bytes)));
        };
        let levels: Vec<u8> = levels.iter().map(|level| *level as u8).collect();
        Ok(WeightsForm::Levels {
            levels: tensors.add(Dtype::I8, &levels),
            scales: tensors.add(Dtype::F32, &to_bytes(&scales, Precision::F32)?),
        })
    })?;
    let self_test = self_test.map(|test| {
        test.form(|logits| {
            let bytes: Vec<u8> = logits.iter().flat_map(|v| v.to_le_bytes()).collect();
            tensors.add(Dtype::F32, &bytes)
        })
    });
    let report = belongings.report.map(|report| report.to_json());
    let report = report
        .transpose()
        .map_err(|e| format!("its report cannot be written: {e}"))?;
    if let Some(report) = &report {
        tensors.add_report(report.as_bytes());
    }
    let contents = Contents {
        card: belongings.card,
        labels: belongings.labels,
        network,
        self_test,
        checksums: std::mem::take(&mut tensors.checksums),
        report: report.as_ref().map(|report| checksum(report.as_bytes())),
    };
    let contents = serde_json::to_string(&contents).map_err(|e| e.to_string())?;
    let envelope = json!({
        "version": version(precision),
        "checksum": checksum(contents.as_bytes()),
        "contents": contents,
    });
    Ok(tensors.file(&envelope.to_string()))
}

/// Tensors behind each other, each from the beginning of a cache line on: so they can be read where the file is mapped. The
/// format has no gaps: what fills a line is a tensor of zeros, and belongs to the one before it.
#[derive(Default)]
struct Tensors {
    entries: serde_json::Map<String, Value>,
    data: Vec<u8>,
    checksums: Vec<String>,
}

impl Tensors {
    /// Returns the index.
    fn add(&mut self, dtype: Dtype, bytes: &[u8]) -> usize {
        let (index, start) = (self.checksums.len(), self.data.len());
        self.data.extend(bytes);
        let end = self.data.len();
        self.enter(name(index), dtype, start..end);
        self.data.resize(end.next_multiple_of(LINE), 0);
        if self.data.len() > end {
            self.enter(filling(index), Dtype::U8, end..self.data.len());
        }
        self.checksums.push(checksum(&self.data[start..]));
        index
    }

    /// Behind all others.
    fn add_report(&mut self, bytes: &[u8]) {
        let start = self.data.len();
        self.data.extend(bytes);
        self.enter(REPORT.to_owned(), Dtype::U8, start..self.data.len());
    }

    fn enter(&mut self, name: String, dtype: Dtype, place: Range<usize>) {
        let entry = json!({
            "dtype": dtype,
            "shape": [8 * place.len() / dtype.bitsize()],
            "data_offsets": [place.start, place.end],
        });
        self.entries.insert(name, entry);
    }

    /// The file: the header, which white space fills up to a line, and the data.
    fn file(mut self, entry: &str) -> Vec<u8> {
        self.entries
            .insert("__metadata__".to_owned(), json!({ ENTRY: entry }));
        let mut header = Value::Object(self.entries).to_string().into_bytes();
        let begin = size_of::<u64>() + header.len();
        header.resize(header.len() + begin.next_multiple_of(LINE) - begin, b' ');
        let len = header.len() as u64;
        [&len.to_le_bytes()[..], &header, &self.data].concat()
    }
}

/// Of the same length for any index, so that they are in their order when they are sorted.
pub(super) fn name(index: usize) -> String {
    format!("{index:06}")
}

/// Of what fills the line behind a tensor.
pub(super) fn filling(index: usize) -> String {
    format!("{index:06}.filling")
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
