//! How a network is to be run.

use edge_classify_kernels::Isa;

use super::{EngineError, Threads, cache, chosen_isa};

/// What may be chosen for a session. What tract runs chooses its instructions for itself.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub isa: Isa,
    pub threads: Threads,
    /// Whether layers may be computed together, a band of rows at a time.
    pub fuse: bool,
}

impl Options {
    /// What is best on this processor, or is asked for by [`super::ISA_VARIABLE`].
    pub fn new(threads: Threads) -> Result<Options, EngineError> {
        Ok(Options {
            isa: chosen_isa()?,
            threads,
            fuse: true,
        })
    }

    /// Bytes of cache for layers that are computed together.
    pub fn cache(&self) -> Option<usize> {
        /// Where the system does not tell: as much as the smallest boards have for a core.
        const UNKNOWN: usize = 128 << 10;
        let known = || cache::level_2(self.threads.get()).unwrap_or(UNKNOWN);
        self.fuse.then(known)
    }
}
