//! Rows of levels whose last columns are padding, for processors that store whole vectors.

/// Room for `M` rows of at most [`Aside::STRIDE`] levels.
pub struct Aside<const M: usize>([[u8; 16]; M]);

impl<const M: usize> Aside<M> {
    pub const STRIDE: usize = 16;

    #[inline(always)]
    pub fn new() -> Self {
        Aside([[0; 16]; M])
    }

    #[inline(always)]
    pub fn start(&mut self) -> *mut u8 {
        self.0.as_flattened_mut().as_mut_ptr()
    }

    /// Copies the first columns of the rows. A function of its own: what the caller has in registers by now need not
    /// survive it.
    ///
    /// # Safety
    /// `M` rows from `to` on, `stride` bytes apart, are valid for writing `columns` bytes.
    #[inline(never)]
    pub unsafe fn copy(&self, to: *mut u8, stride: usize, columns: usize) {
        for (row, from) in self.0.iter().enumerate() {
            let from = &from[..columns];
            // SAFETY: by this function's contract.
            unsafe {
                to.add(row * stride)
                    .copy_from_nonoverlapping(from.as_ptr(), columns)
            };
        }
    }
}
