//! How a network is to be run.

use edge_classify_kernels::Isa;

use super::net::Net;
use super::{EngineError, Precision, Threads, cache, chosen_isa};

/// What may be chosen for a session. What tract runs chooses its instructions for itself.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub isa: Isa,
    pub threads: Threads,
    /// Bytes of its own cache that a thread may fill with layers that are computed together, a band of rows or some channels
    /// at a time; without it, each is by itself.
    pub cache: Option<usize>,
    /// In place of that in which the network's weights are stored, or f32 where the processor lacks it.
    pub precision: Option<Precision>,
}

impl Options {
    /// What is best on this processor, or is asked for by [`super::ISA_VARIABLE`].
    pub fn new(threads: Threads) -> Result<Options, EngineError> {
        Options::with_level_2(threads, None)
    }

    /// The same. `level_2`: bytes of that cache for each thread, where the system does not tell.
    pub fn with_level_2(threads: Threads, level_2: Option<usize>) -> Result<Options, EngineError> {
        /// As much as the smallest boards have for a core.
        const UNKNOWN: usize = 128 << 10;
        Ok(Options {
            isa: chosen_isa()?,
            threads,
            cache: cache::level_2(threads.get()).or(level_2).or(Some(UNKNOWN)),
            precision: None,
        })
    }

    /// The same, in a precision that is asked for.
    ///
    /// # Errors
    /// If the processor does not have it.
    pub fn in_precision(self, precision: Option<Precision>) -> Result<Options, EngineError> {
        if let Some(precision) = precision {
            precision.check(self.isa)?;
        }
        Ok(Options { precision, ..self })
    }

    /// The precision in which a network is run.
    ///
    /// # Errors
    /// If the network is of levels, and another is asked for.
    pub fn precision_of(&self, net: &Net) -> Result<Precision, EngineError> {
        let stored = net.precision();
        let native = stored.is_native(self.isa).then_some(stored);
        match self.precision {
            Some(asked) if net.is_quantized() => Err(EngineError::Prepare(format!(
                "it has been quantized, and runs in int8 alone; leave out --precision {asked}"
            ))),
            Some(asked) => Ok(asked),
            None => Ok(native.unwrap_or(Precision::F32)),
        }
    }

    /// The same, with layers computed together or not.
    pub fn fusing(self, fuse: bool) -> Options {
        let cache = self.cache.filter(|_| fuse);
        Options { cache, ..self }
    }
}
