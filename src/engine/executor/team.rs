//! Threads that share the rows of a layer's output.

use std::ops::Range;
use std::sync::Mutex;

use edge_classify_kernels::{Crew, Element, RowsMut, values_of_mut};

use crate::{EngineError, Threads};

/// Ready to run layers.
#[derive(Debug)]
pub struct Team(edge_classify_kernels::Team);

/// A part of a layer's output to compute.
pub struct Part<'a, E> {
    pub rows: Range<usize>,
    /// Of these rows alone.
    pub out: RowsMut<'a, E>,
    /// In bytes, as are the sums.
    pub scratch: &'a mut [u8],
    pub sums: &'a mut [u8],
}

impl Team {
    pub fn new(threads: Threads) -> Result<Team, EngineError> {
        let threads = threads.get();
        let team = edge_classify_kernels::Team::new(threads);
        team.map(Team)
            .map_err(|e| EngineError::Prepare(format!("no {threads} threads: {e}")))
    }

    pub fn threads(&self) -> usize {
        self.0.threads()
    }

    /// For a layer in parts, no more than there are threads, that shares its output otherwise than by rows. A part has as
    /// much of the scratch, which is in bytes, as a thread has.
    pub fn crew<'a, E: Element>(&'a self, parts: usize, scratch: &'a mut [u8]) -> Crew<'a, E> {
        let each = scratch.len() / self.threads();
        Crew::new(&self.0, parts, values_of_mut(&mut scratch[..parts * each]))
    }

    /// Computes `parts` parts of `whole`, no more than there are threads, each on one. A row is `row_len` values of the
    /// output; every part gets `sums_len` bytes of sums, and as much of the scratch as a thread has: in all layers the same,
    /// which stays in its core's cache.
    pub fn share<E: Send>(
        &self,
        whole: Part<E>,
        parts: usize,
        row_len: usize,
        sums_len: usize,
        compute: &(dyn Fn(Part<E>) + Sync),
    ) {
        let parts = parts.min(whole.rows.len()).min(Threads::MAX);
        if parts <= 1 {
            return compute(whole);
        }
        let (rows, stride) = (whole.rows, whole.out.stride);
        let scratch_len = whole.scratch.len() / self.threads();
        let end = |part: usize| rows.start + rows.len() * part / parts;
        let (mut data, mut scratch, mut sums) = (whole.out.data, whole.scratch, whole.sums);
        // Whoever does a part takes what belongs to it.
        let mut shares: [Mutex<Option<Part<E>>>; Threads::MAX] = [const { Mutex::new(None) }; _];
        for (part, share) in shares[..parts].iter_mut().enumerate() {
            let rows = end(part)..end(part + 1);
            let own = match part + 1 == parts {
                true => std::mem::take(&mut data),
                false => data
                    .split_off_mut(..rows.len() * row_len)
                    .unwrap_or_default(),
            };
            let own_scratch = scratch.split_off_mut(..scratch_len).unwrap_or_default();
            let own_sums = sums.split_off_mut(..sums_len).unwrap_or_default();
            let own = Part {
                rows,
                out: RowsMut { data: own, stride },
                scratch: own_scratch,
                sums: own_sums,
            };
            *share = Mutex::new(Some(own));
        }
        self.0.run(parts, &|part| {
            let share = shares[part].lock().ok().and_then(|mut share| share.take());
            compute(share.expect("a part is done once"));
        });
    }
}
