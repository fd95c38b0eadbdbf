//! From a file to a network.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::Dtype;
use xxhash_rust::xxh3::Xxh3;

use super::schema::{Contents, Envelope};
use super::write::name;
use super::{Belongings, ENTRY, PlanError, VERSION, checksum, format_checksum};
use crate::engine::net::{Net, Store, Weights};
use crate::safetensors_header::{self, HeaderError};

/// A plan of which all but the weights has been read.
pub struct Plan {
    contents: Contents,
    tensors: Arc<Tensors>,
}

/// The weights, still in the file.
struct Tensors {
    path: PathBuf,
    file: File,
    places: Vec<Place>,
}

struct Place {
    offset: u64,
    /// In bytes.
    len: usize,
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
        if envelope.version != VERSION {
            return Err(PlanError::Version {
                path: path.to_owned(),
                found: envelope.version,
            });
        }
        if envelope.checksum != checksum(envelope.contents.as_bytes()) {
            return Err(damaged("the checksum of its header differs".to_owned()));
        }
        let mut contents: Contents =
            serde_json::from_str(&envelope.contents).map_err(|e| damaged(e.to_string()))?;
        let checksums = std::mem::take(&mut contents.checksums);
        let place = |(index, checksum)| {
            let info = metadata.info(&name(index));
            let info = info.filter(|info| info.dtype == Dtype::F32 && info.shape.len() == 1);
            let (begin, end) = info
                .ok_or_else(|| damaged(format!("it lacks tensor {index}")))?
                .data_offsets;
            Ok(Place {
                offset: start + begin as u64,
                len: end - begin,
                checksum,
            })
        };
        let places = checksums.into_iter().enumerate().map(place);
        Ok(Plan {
            contents,
            tensors: Arc::new(Tensors {
                path: path.to_owned(),
                file,
                places: places.collect::<Result<_, PlanError>>()?,
            }),
        })
    }

    /// Takes what belongs to the network out of the plan.
    pub fn belongings(&mut self) -> Belongings {
        Belongings {
            card: self.contents.card.take(),
            labels: self.contents.labels.take(),
        }
    }

    /// The network, whose weights stay in the file until they are packed.
    pub fn net(self) -> Result<Net, PlanError> {
        let tensors = self.tensors;
        let damaged = |problem| PlanError::Damaged {
            path: tensors.path.clone(),
            problem,
        };
        let weights = |index: usize| {
            let len = tensors.places.get(index)?.len / size_of::<f32>();
            Some(Weights::stored(tensors.clone(), index, len))
        };
        let net = self.contents.network.net(weights).map_err(damaged)?;
        net.map_err(|e| damaged(e.to_string()))
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
        } = &self.places[index];
        let failed = |what: String| format!("{}: {what}", self.path.display());
        let len = len / size_of::<f32>();
        let mut hasher = Xxh3::new();
        let mut read = 0;
        while read < len {
            buffer.resize(at_once.clamp(1, len - read), 0.0);
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(buffer);
            let at = offset + (read * size_of::<f32>()) as u64;
            self.file
                .read_exact_at(bytes, at)
                .map_err(|e| failed(e.to_string()))?;
            hasher.update(bytes);
            if cfg!(target_endian = "big") {
                for value in buffer.iter_mut() {
                    *value = f32::from_bits(value.to_bits().swap_bytes());
                }
            }
            take(buffer);
            read += buffer.len();
        }
        if format_checksum(hasher.digest()) != *expected {
            return Err(failed(format!(
                "damaged: the checksum of tensor {index} differs; compile or copy it again"
            )));
        }
        Ok(())
    }
}
