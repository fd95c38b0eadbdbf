//! From a file to a network.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use safetensors::Dtype;
use xxhash_rust::xxh3::Xxh3;

use super::schema::{Contents, Envelope, WeightsForm};
use super::write::{floats, name};
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
    file: File,
    places: Vec<Place>,
    precision: Precision,
}

struct Place {
    offset: u64,
    /// In bytes.
    len: usize,
    dtype: Dtype,
    checksum: String,
}

impl Plan {
    /// Reads what the plan says of itself; the weights are read as they are needed, from the file that was opened.
    pub fn open(path: &Path) -> Result<Plan, PlanError> {
        let read = |source| PlanError::Read {
            path: path.to_owned(),
            source,
        };
        let damaged = |problem: String| PlanError::Damaged {
            path: path.to_owned(),
            problem,
        };
        // Of what is no regular file, opening some waits for ever.
        let found = std::fs::metadata(path).map_err(read)?;
        if !found.is_file() {
            return Err(PlanError::NotAPlan {
                path: path.to_owned(),
            });
        }
        let mut file = File::open(path).map_err(read)?;
        let (start, metadata) =
            safetensors_header::read(&mut file, found.len()).map_err(|error| match error {
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
                dtype == floats(precision) || (precision == Precision::Int8 && dtype == Dtype::I8)
            };
            let info = info.filter(|info| is_known(info.dtype) && info.shape.len() == 1);
            let info = info.ok_or_else(|| damaged(format!("it lacks tensor {index}")))?;
            let (begin, end) = info.data_offsets;
            Ok(Place {
                dtype: info.dtype,
                offset: start + begin as u64,
                len: end - begin,
                checksum,
            })
        };
        let places = checksums.into_iter().enumerate().map(place);
        let report = contents.report.take().map(|checksum| {
            let info = metadata.info(REPORT).filter(|info| info.dtype == Dtype::U8);
            let info = info.ok_or_else(|| damaged("it lacks its report".to_owned()))?;
            let (begin, end) = info.data_offsets;
            Ok(Place {
                dtype: info.dtype,
                offset: start + begin as u64,
                len: end - begin,
                checksum,
            })
        });
        Ok(Plan {
            contents,
            report: report.transpose()?,
            tensors: Arc::new(Tensors {
                path: path.to_owned(),
                file,
                places: places.collect::<Result<_, PlanError>>()?,
                precision,
            }),
        })
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
        let Tensors { path, file, .. } = &*self.tensors;
        let damaged = |problem| PlanError::Damaged {
            path: path.clone(),
            problem,
        };
        let mut bytes = vec![0; place.len];
        file.read_exact_at(&mut bytes, place.offset)
            .map_err(|source| PlanError::Read {
                path: path.clone(),
                source,
            })?;
        if checksum(&bytes) != place.checksum {
            return Err(damaged("the checksum of its report differs".to_owned()));
        }
        let report = serde_json::from_slice(&bytes);
        let report = report.map_err(|e| damaged(format!("its report cannot be read: {e}")))?;
        Ok(Some(report))
    }

    /// The network, whose weights stay in the file until they are packed.
    pub fn net(self) -> Result<Net, PlanError> {
        let tensors = self.tensors;
        let damaged = |problem| PlanError::Damaged {
            path: tensors.path.clone(),
            problem,
        };
        let place = |index: usize, dtype: Dtype| {
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

impl Store for Tensors {
    fn read(
        &self,
        index: usize,
        at_once: usize,
        buffer: &mut Vec<f32>,
        take: &mut dyn FnMut(&[f32]),
    ) -> Result<(), String> {
        let Place {
            offset,
            len,
            checksum: expected,
            dtype,
        } = &self.places[index];
        let failed = |what: String| format!("{}: {what}", self.path.display());
        let size = dtype.bitsize() / 8;
        let len = len / size;
        let (mut hasher, mut bits) = (Xxh3::new(), Vec::new());
        let mut done = 0;
        while done < len {
            buffer.resize(at_once.clamp(1, len - done), 0.0);
            let at = offset + (done * size) as u64;
            let mut fill = |bytes: &mut [u8]| {
                self.file
                    .read_exact_at(bytes, at)
                    .map_err(|e| failed(e.to_string()))?;
                hasher.update(bytes);
                Ok::<_, String>(())
            };
            match dtype {
                Dtype::F16 => {
                    bits.resize(buffer.len(), 0_u16);
                    fill(bytemuck::cast_slice_mut(&mut bits))?;
                    if cfg!(target_endian = "big") {
                        bits.iter_mut().for_each(|bits| *bits = bits.swap_bytes());
                    }
                    bits.reinterpret_cast::<f16>().convert_to_f32_slice(buffer);
                }
                _ => {
                    fill(bytemuck::cast_slice_mut(buffer))?;
                    if cfg!(target_endian = "big") {
                        for value in buffer.iter_mut() {
                            *value = f32::from_bits(value.to_bits().swap_bytes());
                        }
                    }
                }
            }
            take(buffer);
            done += buffer.len();
        }
        if format_checksum(hasher.digest()) != *expected {
            return Err(failed(differs(index)));
        }
        Ok(())
    }

    fn levels(&self, index: usize) -> Result<Arc<[i8]>, String> {
        let place = &self.places[index];
        let failed = |what: String| format!("{}: {what}", self.path.display());
        let mut levels = vec![0_i8; place.len];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut levels);
        self.file
            .read_exact_at(bytes, place.offset)
            .map_err(|e| failed(e.to_string()))?;
        if checksum(bytes) != place.checksum {
            return Err(failed(differs(index)));
        }
        Ok(levels.into())
    }
}

fn differs(index: usize) -> String {
    format!("damaged: the checksum of tensor {index} differs; compile or copy it again")
}
