//! How many threads one inference may use.

use std::num::NonZeroUsize;

use tract_linalg::multithread::Executor;

/// Threads for one inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads(NonZeroUsize);

impl Threads {
    /// More than any board has; a larger number is a mistake.
    pub const MAX: usize = 64;

    /// `None` for 0 or for more than [`Threads::MAX`].
    pub fn new(count: usize) -> Option<Self> {
        NonZeroUsize::new(count)
            .filter(|n| n.get() <= Self::MAX)
            .map(Threads)
    }

    pub fn get(self) -> usize {
        self.0.get()
    }

    pub(super) fn executor(self) -> Executor {
        match self.get() {
            1 => Executor::SingleThread,
            n => Executor::multithread(n),
        }
    }
}
