//! How a network is to be run.

use edge_classify_kernels::Isa;

use super::net::Net;
use super::{EngineError, Precision, Threads, cache, chosen_isa};

/// What may be chosen for a session. What tract runs chooses its instructions for itself.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub isa: Isa,
    pub threads: Threads,
    /// Whether layers may be computed together, a band of rows or some channels at a time.
    pub fuse: bool,
    /// In place of that in which the network's weights are stored, or f32 where the processor lacks it.
    pub precision: Option<Precision>,
}

impl Options {
    /// What is best on this processor, or is asked for by [`super::ISA_VARIABLE`].
    pub fn new(threads: Threads) -> Result<Options, EngineError> {
        Ok(Options {
            isa: chosen_isa()?,
            threads,
            fuse: true,
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
    pub fn precision_of(&self, net: &Net) -> Precision {
        let stored = net.precision();
        let native = stored.is_native(self.isa).then_some(stored);
        self.precision.or(native).unwrap_or(Precision::F32)
    }

    /// Bytes of cache for layers that are computed together.
    pub fn cache(&self) -> Option<usize> {
        /// Where the system does not tell: as much as the smallest boards have for a core.
        const UNKNOWN: usize = 128 << 10;
        let known = || cache::level_2(self.threads.get()).unwrap_or(UNKNOWN);
        self.fuse.then(known)
    }
}
