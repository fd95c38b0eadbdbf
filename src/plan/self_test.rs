//! Whether this program on this processor computes what the one computed that compiled the plan.
//!
//! A plan tells what its network said of some pictures, which are made of numbers and not stored: of exact networks the
//! bits, of others the logits and by how much they may differ.

use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

use super::schema::{LogitsForm, PictureForm, SelfTestForm};
use super::{Belongings, Plan, format_checksum, write};
use crate::engine::net::Net;
use crate::engine::{EngineError, Options, Precision, Threads};
use crate::noise::noise;
use crate::session::{Program, Session};

/// What a network is known to say.
#[derive(Debug, Clone, PartialEq)]
pub struct SelfTest {
    pictures: Vec<Picture>,
}

#[derive(Debug, Clone, PartialEq)]
struct Picture {
    /// Of [`noise`], for the tensor as the network takes it.
    seed: u32,
    logits: Logits,
}

#[derive(Debug, Clone, PartialEq)]
enum Logits {
    /// XXH3 of their bits.
    Exactly(String),
    About {
        logits: Vec<f32>,
        tolerance: Tolerance,
    },
}

/// How much a logit may differ when the network is computed in one of these.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Tolerance {
    f32: f32,
    fp16: f32,
}

/// What the network says otherwise.
#[derive(Debug, Error)]
pub enum Mismatch {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("picture {seed}: {expected} logits were expected, and {found} came")]
    Classes {
        seed: u32,
        expected: usize,
        found: usize,
    },
    #[error(
        "picture {seed}: logits with checksum {expected} were expected, and some with {found} came"
    )]
    Bits {
        seed: u32,
        expected: String,
        found: String,
    },
    #[error(
        "picture {seed}: {expected} was expected for class {class}, within {tolerance} in {precision}, and {found} came"
    )]
    Value {
        seed: u32,
        class: usize,
        expected: f32,
        found: f32,
        tolerance: f32,
        precision: Precision,
    },
}

/// Of the pictures that are recorded.
const SEEDS: [u32; 2] = [1, 2];

/// Pictures that a plan may have.
const MOST: usize = 16;

/// Of the largest logit, for networks of a hundred layers: processors add up in other orders, and round once or twice.
const TOLERANCE: Tolerance = Tolerance {
    f32: 1e-3,
    fp16: 0.1,
};

/// The same, of networks partly in float before layers of levels: the last bits of float decide between two levels, and what
/// that makes of the logits is as large as what rounding to levels does at all.
const TOLERANCE_IN_LEVELS: f32 = 0.1;

impl SelfTest {
    /// What the network says as it will be stored. `None` if that are no numbers.
    ///
    /// # Errors
    /// If it cannot be written or run.
    pub fn record(net: &Net) -> Result<Option<SelfTest>, String> {
        let stored = write(net, Belongings::default())?;
        let stored = Plan::read("its plan".as_ref(), stored.into()).and_then(Plan::net);
        let stored = stored.map_err(|e| e.to_string())?;
        let exact = stored.is_exact();
        let is_quantized = stored.is_quantized();
        let precision = (!is_quantized).then_some(Precision::F32);
        let in_f32 = match is_quantized {
            true => TOLERANCE_IN_LEVELS,
            false => TOLERANCE.f32,
        };
        let record = || {
            let options = Options::new(Threads::auto(None))?.in_precision(precision)?;
            let mut session = Session::with(Program::Net(stored), &options)?;
            let pictures = SEEDS.map(|seed| Ok((seed, run(&mut session, seed)?)));
            pictures
                .into_iter()
                .collect::<Result<Vec<_>, EngineError>>()
        };
        let recorded = record().map_err(|e| e.to_string())?;
        let mut logits = recorded.iter().flat_map(|(_, logits)| logits);
        if !logits.all(|logit| logit.is_finite()) {
            return Ok(None);
        }
        let picture = |(seed, logits): (u32, Vec<f32>)| Picture {
            seed,
            logits: match exact {
                true => Logits::Exactly(bits(&logits)),
                false => {
                    let largest = logits.iter().fold(0.0_f32, |most, l| most.max(l.abs()));
                    let tolerance = Tolerance {
                        f32: in_f32 * largest.max(1e-3),
                        fp16: TOLERANCE.fp16 * largest.max(1e-3),
                    };
                    Logits::About { logits, tolerance }
                }
            },
        };
        let pictures = recorded.into_iter().map(picture).collect();
        Ok(Some(SelfTest { pictures }))
    }

    /// How many pictures there are.
    pub fn pictures(&self) -> usize {
        self.pictures.len()
    }

    /// Whether the bits have to be the same.
    pub fn is_exact(&self) -> bool {
        let is = |picture: &Picture| matches!(picture.logits, Logits::Exactly(_));
        self.pictures.iter().all(is)
    }

    /// Runs the first `most` pictures.
    ///
    /// # Errors
    /// If the network says something else of one.
    pub fn replay(&self, session: &mut Session, most: usize) -> Result<(), Mismatch> {
        let mut pictures = self.pictures.iter().take(most);
        pictures.try_for_each(|picture| picture.replay(session))
    }

    /// As it is written; `tensor` takes logits in, and says which tensor they are.
    pub(super) fn form(&self, mut tensor: impl FnMut(&[f32]) -> usize) -> SelfTestForm {
        let pictures = self.pictures.iter().map(|picture| PictureForm {
            seed: picture.seed,
            logits: match &picture.logits {
                Logits::Exactly(bits) => LogitsForm::Exactly(bits.clone()),
                Logits::About {
                    logits,
                    tolerance: Tolerance { f32, fp16 },
                } => LogitsForm::About {
                    tensor: tensor(logits),
                    f32: *f32,
                    fp16: *fp16,
                },
            },
        });
        SelfTestForm {
            pictures: pictures.collect(),
        }
    }

    /// As it was written; `tensor` has the logits.
    pub(super) fn of(
        form: &SelfTestForm,
        tensor: impl Fn(usize) -> Result<Vec<f32>, String>,
    ) -> Result<SelfTest, String> {
        if form.pictures.is_empty() || form.pictures.len() > MOST {
            return Err(format!("{} pictures", form.pictures.len()));
        }
        let picture = |form: &PictureForm| {
            let logits = match &form.logits {
                LogitsForm::Exactly(bits) => Logits::Exactly(bits.clone()),
                LogitsForm::About {
                    tensor: index,
                    f32,
                    fp16,
                } => Logits::About {
                    logits: tensor(*index)?,
                    tolerance: Tolerance {
                        f32: *f32,
                        fp16: *fp16,
                    },
                },
            };
            let seed = form.seed;
            Ok::<_, String>(Picture { seed, logits })
        };
        let pictures = form.pictures.iter().map(picture);
        Ok(SelfTest {
            pictures: pictures.collect::<Result<_, _>>()?,
        })
    }
}

impl Picture {
    fn replay(&self, session: &mut Session) -> Result<(), Mismatch> {
        let (seed, found) = (self.seed, run(session, self.seed)?);
        match &self.logits {
            Logits::Exactly(expected) => {
                let found = bits(&found);
                if found != *expected {
                    let expected = expected.clone();
                    return Err(Mismatch::Bits {
                        seed,
                        expected,
                        found,
                    });
                }
            }
            Logits::About { logits, tolerance } => {
                if logits.len() != found.len() {
                    return Err(Mismatch::Classes {
                        seed,
                        expected: logits.len(),
                        found: found.len(),
                    });
                }
                let precision = session.precision();
                let tolerance = match precision {
                    Precision::F32 | Precision::Int8 => tolerance.f32,
                    Precision::Fp16 => tolerance.fp16,
                };
                let within = |expected: f32, found: f32| (expected - found).abs() <= tolerance;
                let pairs = logits.iter().zip(&found).enumerate();
                for (class, (expected, found)) in pairs {
                    if !within(*expected, *found) {
                        return Err(Mismatch::Value {
                            seed,
                            class,
                            expected: *expected,
                            found: *found,
                            tolerance,
                            precision,
                        });
                    }
                }
            }
        }
        Ok(())
    }
}

fn run(session: &mut Session, seed: u32) -> Result<Vec<f32>, EngineError> {
    let input: Vec<f32> = noise(seed).take(session.input_len()).collect();
    session.run(&input)
}

fn bits(logits: &[f32]) -> String {
    let bytes: Vec<u8> = logits
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    format_checksum(xxh3_64(&bytes))
}
