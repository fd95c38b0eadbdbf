//! From a file to a network.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use safetensors::Dtype;
use xxhash_rust::xxh3::Xxh3;

use super::schema::{Contents, Envelope, WeightsForm};
use super::self_test::SelfTest;
use super::source::Source;
use super::write::{filling, floats, name};
use super::{Belongings, ENTRY, PlanError, REPORT, checksum, format_checksum, version};
use crate::engine::Precision;
use crate::engine::net::{Net, Store, Weights};
use crate::report::Report;
use crate::safetensors_header::{self, HeaderError};

/// A plan of which all but the weights has been read.
pub struct Plan {
    contents: Contents,
    report: Option<Place>,
    tensors: Arc<Tensors>,
}

/// The weights, still in the file.
struct Tensors {
    path: PathBuf,
    source: Source,
    places: Vec<Place>,
    precision: Precision,
}

struct Place {
    offset: u64,
    /// In bytes.
    len: usize,
    /// Bytes behind it that fill a line.
    filling: usize,
    dtype: Dtype,
    /// Of both.
    checksum: String,
}

impl Plan {
    /// Reads what the plan says of itself; the weights are read as they are needed, from the file that was opened.
    pub fn open(path: &Path) -> Result<Plan, PlanError> {
        let read = |source| PlanError::Read {
            path: path.to_owned(),
            source,
        };
        // Of what is no regular file, opening some waits for ever.
        let found = std::fs::metadata(path).map_err(read)?;
        if !found.is_file() {
            return Err(PlanError::NotAPlan {
                path: path.to_owned(),
            });
        }
        let mut file = File::open(path).map_err(read)?;
        let len = file.metadata().map_err(read)?.len();
        let head = head(path, &mut file, len)?;
        Ok(Plan::of(path, Source::File(file), head))
    }

    /// The same of a file that has been read as a whole; errors name it by its path.
    pub fn read(path: &Path, bytes: Arc<[u8]>) -> Result<Plan, PlanError> {
        let len = bytes.len() as u64;
        let head = head(path, &mut Cursor::new(&bytes), len)?;
        Ok(Plan::of(path, Source::Bytes(bytes), head))
    }

    fn of(path: &Path, source: Source, head: Head) -> Plan {
        let tensors = Tensors {
            path: path.to_owned(),
            source,
            places: head.places,
            precision: head.precision,
        };
        Plan {
            contents: head.contents,
            report: head.report,
            tensors: Arc::new(tensors),
        }
    }

    /// Takes what belongs to the network out of the plan.
    pub fn belongings(&mut self) -> Belongings {
        Belongings {
            card: self.contents.card.take(),
            labels: self.contents.labels.take(),
            report: None,
        }
    }

    /// How the network was quantized, if it was; read from the file only now.
    pub fn report(&self) -> Result<Option<Report>, PlanError> {
        let Some(place) = &self.report else {
            return Ok(None);
        };
        let tensors = &self.tensors;
        let damaged = |problem| PlanError::Damaged {
            path: tensors.path.clone(),
            problem,
        };
        let read = |bytes: &[u8]| match checksum(bytes) == place.checksum {
            true => {
                serde_json::from_slice(bytes).map_err(|e| format!("its report cannot be read: {e}"))
            }
            false => Err("the checksum of its report differs".to_owned()),
        };
        let report = tensors.source.with(place.offset, place.len, read);
        let report = report.map_err(|source| PlanError::Read {
            path: tensors.path.clone(),
            source,
        })?;
        report.map(Some).map_err(damaged)
    }

    /// Its self-test, if it has one.
    pub fn self_test(&self) -> Result<Option<SelfTest>, PlanError> {
        let Some(form) = &self.contents.self_test else {
            return Ok(None);
        };
        let tensors = &self.tensors;
        let test = SelfTest::of(form, |index| {
            let place = tensors.places.get(index);
            let place = place.filter(|place| place.dtype == Dtype::F32);
            let place = place.ok_or_else(|| format!("it names tensor {index}"))?;
            let len = place.len / size_of::<f32>();
            let logits = Weights::stored(tensors.clone(), index, len);
            Ok(logits.values()?.into_owned())
        });
        let damaged = |problem| PlanError::Damaged {
            path: tensors.path.clone(),
            problem: format!("its self-test: {problem}"),
        };
        test.map(Some).map_err(damaged)
    }

    /// The network, whose weights stay in the file until they are packed.
    pub fn net(self) -> Result<Net, PlanError> {
        let tensors = self.tensors;
        let damaged = |problem| PlanError::Damaged {
            path: tensors.path.clone(),
            problem,
        };
        // Of a tensor that many layers had, little data would take much memory.
        let taken = RefCell::new(vec![false; tensors.places.len()]);
        let place = |index: usize, dtype: Dtype| {
            if let Some(taken) = taken.borrow_mut().get_mut(index)
                && std::mem::replace(taken, true)
            {
                return Err(format!("its layers name tensor {index} twice"));
            }
            let place = tensors.places.get(index);
            let place = place.filter(|place| place.dtype == dtype);
            let len = place.map(|place| 8 * place.len / dtype.bitsize());
            len.ok_or_else(|| format!("its layers name tensor {index}, which is not there"))
        };
        let values = |index| {
            let len = place(index, floats(tensors.precision))?;
            Ok(Weights::stored(tensors.clone(), index, len))
        };
        let weights = |form| match form {
            WeightsForm::Values(index) => values(index),
            WeightsForm::Levels { levels, scales } => {
                let len = place(levels, Dtype::I8)?;
                let scales = values(scales)?.values()?.into_owned();
                if scales.is_empty() || !len.is_multiple_of(scales.len()) {
                    return Err(format!("tensor {levels} is not of rows with a scale each"));
                }
                Ok(Weights::stored_quantized(
                    tensors.clone(),
                    levels,
                    len,
                    scales,
                ))
            }
        };
        let net = self.contents.network.net(weights).map_err(damaged)?;
        let net = net.map_err(|e| damaged(e.to_string()))?;
        if (tensors.precision == Precision::Int8) != net.is_quantized() {
            return Err(damaged("its version and its values differ".to_owned()));
        }
        Ok(net.with_precision(tensors.precision))
    }
}

struct Head {
    contents: Contents,
    places: Vec<Place>,
    report: Option<Place>,
    precision: Precision,
}

/// What a file of `len` bytes says of itself, and where its tensors are.
fn head(path: &Path, file: &mut impl Read, len: u64) -> Result<Head, PlanError> {
    let read = |source| PlanError::Read {
        path: path.to_owned(),
        source,
    };
    let damaged = |problem: String| PlanError::Damaged {
        path: path.to_owned(),
        problem,
    };
    let (start, metadata) = safetensors_header::read(file, len).map_err(|error| match error {
        HeaderError::Read(source) => read(source),
        HeaderError::Foreign(_) => PlanError::NotAPlan {
            path: path.to_owned(),
        },
        HeaderError::Damaged(problem) => damaged(problem),
    })?;
    let entries = metadata.metadata().as_ref();
    let Some(entry) = entries.and_then(|entries| entries.get(ENTRY)) else {
        return Err(PlanError::NotAPlan {
            path: path.to_owned(),
        });
    };
    let envelope: Envelope = serde_json::from_str(entry).map_err(|e| damaged(e.to_string()))?;
    let known = [Precision::F32, Precision::Fp16, Precision::Int8];
    let precision = known.into_iter().find(|p| version(*p) == envelope.version);
    let Some(precision) = precision else {
        return Err(PlanError::Version {
            path: path.to_owned(),
            found: envelope.version,
        });
    };
    if envelope.checksum != checksum(envelope.contents.as_bytes()) {
        return Err(damaged("the checksum of its header differs".to_owned()));
    }
    let mut contents: Contents =
        serde_json::from_str(&envelope.contents).map_err(|e| damaged(e.to_string()))?;
    let checksums = std::mem::take(&mut contents.checksums);
    let place = |(index, checksum)| {
        let info = metadata.info(&name(index));
        let is_known = |dtype| {
            [Dtype::F32, floats(precision)].contains(&dtype)
                || (precision == Precision::Int8 && dtype == Dtype::I8)
        };
        let info = info.filter(|info| is_known(info.dtype) && info.shape.len() == 1);
        let info = info.ok_or_else(|| damaged(format!("it lacks tensor {index}")))?;
        let (begin, end) = info.data_offsets;
        let behind = metadata.info(&filling(index));
        let behind = behind.filter(|behind| behind.data_offsets.0 == end);
        Ok(Place {
            filling: behind.map_or(0, |behind| behind.data_offsets.1 - end),
            dtype: info.dtype,
            offset: start + begin as u64,
            len: end - begin,
            checksum,
        })
    };
    let places = checksums.into_iter().enumerate().map(place);
    let places = places.collect::<Result<_, PlanError>>()?;
    let report = contents.report.take().map(|checksum| {
        let info = metadata.info(REPORT).filter(|info| info.dtype == Dtype::U8);
        let info = info.ok_or_else(|| damaged("it lacks its report".to_owned()))?;
        let (begin, end) = info.data_offsets;
        Ok(Place {
            filling: 0,
            dtype: info.dtype,
            offset: start + begin as u64,
            len: end - begin,
            checksum,
        })
    });
    Ok(Head {
        contents,
        places,
        report: report.transpose()?,
        precision,
    })
}

impl Tensors {
    fn failed(&self, what: &str) -> String {
        format!("{}: {what}", self.path.display())
    }

    /// Shows a tensor's values and what fills the line behind them, as bytes. The result of `take` is their checksum.
    fn with(&self, index: usize, take: impl FnOnce(&[u8], &[u8]) -> u64) -> Result<(), String> {
        let place = &self.places[index];
        let found = self
            .source
            .with(place.offset, place.len + place.filling, |bytes| {
                let (values, filling) = bytes.split_at(place.len);
                take(values, filling)
            })
            .map_err(|e| self.failed(&e.to_string()))?;
        match format_checksum(found) == place.checksum {
            true => Ok(()),
            false => Err(self.failed(&format!(
                "damaged: the checksum of tensor {index} differs; compile or copy it again"
            ))),
        }
    }
}

impl Store for Tensors {
    fn read(
        &self,
        index: usize,
        at_once: usize,
        buffer: &mut Vec<f32>,
        take: &mut dyn FnMut(&[f32]),
    ) -> Result<(), String> {
        let dtype = self.places[index].dtype;
        self.with(index, |values, filling| {
            let mut hasher = Xxh3::new();
            for bytes in values.chunks(at_once.max(1) * (dtype.bitsize() / 8)) {
                hasher.update(bytes);
                take(match dtype {
                    Dtype::F16 => widened(bytes, buffer),
                    _ => singles(bytes, buffer),
                });
            }
            hasher.update(filling);
            hasher.digest()
        })
    }

    fn levels(&self, index: usize) -> Result<Arc<[i8]>, String> {
        let mut levels: Arc<[i8]> = Arc::new([]);
        self.with(index, |values, filling| {
            levels = bytemuck::cast_slice(values).into();
            let mut hasher = Xxh3::new();
            hasher.update(values);
            hasher.update(filling);
            hasher.digest()
        })?;
        Ok(levels)
    }
}

/// Values of f32: the bytes themselves, where they lie as such values do.
fn singles<'a>(bytes: &'a [u8], buffer: &'a mut Vec<f32>) -> &'a [f32] {
    match bytemuck::try_cast_slice(bytes) {
        Ok(values) if cfg!(target_endian = "little") => values,
        _ => {
            let values = bytes.chunks_exact(size_of::<f32>());
            let value = |bytes: &[u8]| bytes.try_into().map_or(0.0, f32::from_le_bytes);
            buffer.clear();
            buffer.extend(values.map(value));
            buffer
        }
    }
}

/// Values of f16, as f32.
fn widened<'a>(bytes: &[u8], buffer: &'a mut Vec<f32>) -> &'a [f32] {
    let copied: Vec<u16>;
    let bits: &[u16] = match bytemuck::try_cast_slice(bytes) {
        Ok(bits) if cfg!(target_endian = "little") => bits,
        _ => {
            let values = bytes.chunks_exact(size_of::<u16>());
            let value = |bytes: &[u8]| bytes.try_into().map_or(0, u16::from_le_bytes);
            copied = values.map(value).collect();
            &copied
        }
    };
    buffer.resize(bits.len(), 0.0);
    bits.reinterpret_cast::<f16>().convert_to_f32_slice(buffer);
    buffer
}
