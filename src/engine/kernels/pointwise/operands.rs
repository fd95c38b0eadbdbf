//! What a product is of, and what follows it.

/// Rows of the left factor. A row is `segments` runs of `segment_len` values, `segment_stride` apart: one run for a
/// pointwise convolution, one for each row of the kernel for a dense one. Those after the first `before_turn` are `turn`
/// values before where they would be.
#[derive(Clone, Copy)]
pub struct Left<E> {
    pub data: *const E,
    pub stride: usize,
    pub segments: usize,
    pub segment_len: usize,
    pub segment_stride: usize,
    pub before_turn: usize,
    pub turn: usize,
}

/// Weights of some adjacent columns, and what is fetched into caches while they are multiplied.
#[derive(Clone, Copy)]
pub struct Panels<E> {
    pub data: *const E,
    /// Those that are multiplied next, as many.
    pub next: *const E,
    pub ahead: Prefetch<E>,
}

/// What is prefetched: in each step of a tile a cache line, so many bytes after the one before. It is never read, and may be
/// anywhere.
#[derive(Clone, Copy)]
pub struct Prefetch<E> {
    pub at: *const E,
    pub bytes: usize,
}

impl<E> Prefetch<E> {
    /// Nothing more than what is there anyway: a place that has no address takes long to find out about.
    pub fn none(there: *const E) -> Self {
        Prefetch {
            at: there,
            bytes: 0,
        }
    }

    /// What is left after so many steps.
    #[inline(always)]
    pub fn after(self, steps: usize) -> Self {
        Prefetch {
            at: self.at.wrapping_byte_add(steps.wrapping_mul(self.bytes)),
            ..self
        }
    }
}

/// Rows of the result in some adjacent columns, and what is added to them.
#[derive(Clone, Copy)]
pub struct Right<E> {
    pub data: *mut E,
    pub stride: usize,
    pub columns: usize,
    /// Null, or one value for each column.
    pub bias: *const E,
    /// Null, or of the result's shape.
    pub residual: *const E,
    pub residual_stride: usize,
}

impl<E> Left<E> {
    /// Rows of one run each.
    pub fn rows(data: *const E, stride: usize, len: usize) -> Self {
        Left {
            data,
            stride,
            segments: 1,
            segment_len: len,
            segment_stride: 0,
            before_turn: 1,
            turn: 0,
        }
    }

    /// Where a run of the first row begins.
    #[inline(always)]
    pub(super) fn segment(&self, index: usize) -> *const E {
        let turn = if index < self.before_turn {
            0
        } else {
            self.turn
        };
        self.data
            .wrapping_add(index * self.segment_stride)
            .wrapping_sub(turn)
    }

    /// # Safety
    /// There are at least `row` rows.
    #[inline(always)]
    pub(super) unsafe fn below(self, row: usize) -> Self {
        // SAFETY: by this function's contract.
        Left {
            data: unsafe { self.data.add(row * self.stride) },
            ..self
        }
    }
}

impl<E> Right<E> {
    /// # Safety
    /// There are at least `row` rows.
    #[inline(always)]
    pub(super) unsafe fn below(self, row: usize) -> Self {
        // SAFETY: by this function's contract.
        let data = unsafe { self.data.add(row * self.stride) };
        Right {
            data,
            residual: self.residual.wrapping_add(row * self.residual_stride),
            ..self
        }
    }
}
