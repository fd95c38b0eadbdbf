//! Threads that share the rows of a layer's output.

use std::ops::Range;

use edge_classify_kernels::RowsMut;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::engine::{EngineError, Threads};

/// One thread, or a pool of several.
#[derive(Debug)]
pub struct Team {
    pool: Option<ThreadPool>,
    threads: usize,
}

/// A part of a layer's output to compute.
pub struct Part<'a> {
    pub rows: Range<usize>,
    /// Of these rows alone.
    pub out: RowsMut<'a>,
    pub scratch: &'a mut [f32],
}

impl Team {
    pub fn new(threads: Threads) -> Result<Team, EngineError> {
        let threads = threads.get();
        let pool = match threads {
            1 => None,
            _ => {
                let pool = ThreadPoolBuilder::new().num_threads(threads).build();
                Some(pool.map_err(|e| EngineError::Prepare(format!("no {threads} threads: {e}")))?)
            }
        };
        Ok(Team { pool, threads })
    }

    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Runs a whole inference where its layers can be shared out without delay.
    pub fn run(&self, inference: impl FnOnce() + Send) {
        match &self.pool {
            Some(pool) => pool.install(inference),
            None => inference(),
        }
    }
}

impl Part<'_> {
    /// Computes `parts` parts of this one at the same time. A row is `row_len` values of the output; every part gets
    /// `scratch_len` of scratch.
    pub fn share(
        self,
        parts: usize,
        row_len: usize,
        scratch_len: usize,
        compute: &(impl Fn(Part) + Sync),
    ) {
        let parts = parts.min(self.rows.len());
        if parts <= 1 {
            return compute(self);
        }
        let (left, stride) = (parts / 2, self.out.stride);
        let middle = self.rows.start + self.rows.len() * left / parts;
        let at = (middle - self.rows.start) * row_len;
        let (before, after) = self.out.data.split_at_mut(at);
        let (ours, theirs) = self.scratch.split_at_mut(left * scratch_len);
        let part = |rows, data, scratch| Part {
            rows,
            out: RowsMut { data, stride },
            scratch,
        };
        let first = part(self.rows.start..middle, before, ours);
        let second = part(middle..self.rows.end, after, theirs);
        rayon::join(
            || first.share(left, row_len, scratch_len, compute),
            || second.share(parts - left, row_len, scratch_len, compute),
        );
    }
}
