//! Pixels of NHWC pictures as rows of a matrix.

/// Pixel `r` begins at `r * stride`: with a stride larger than the channels, a slice of the channels is read in place.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a, E = f32> {
    pub data: &'a [E],
    pub stride: usize,
}

/// As [`Rows`], to be written.
#[derive(Debug)]
pub struct RowsMut<'a, E = f32> {
    pub data: &'a mut [E],
    pub stride: usize,
}

impl<E> Rows<'_, E> {
    /// # Panics
    /// If there are fewer pixels.
    pub(super) fn check(&self, pixels: usize, channels: usize) {
        check(self.data.len(), self.stride, pixels, channels);
    }
}

impl<E> RowsMut<'_, E> {
    /// # Panics
    /// If there are fewer pixels, or one would be written over the next.
    pub(super) fn check(&self, pixels: usize, channels: usize) {
        check(self.data.len(), self.stride, pixels, channels);
    }
}

fn check(len: usize, stride: usize, pixels: usize, channels: usize) {
    assert!(
        stride >= channels,
        "rows of {channels} channels, {stride} apart"
    );
    if let Some(last) = pixels.checked_sub(1) {
        let end = last
            .checked_mul(stride)
            .and_then(|at| at.checked_add(channels));
        assert!(
            end.is_some_and(|end| end <= len),
            "{pixels} rows of {channels} channels, {stride} apart, in {len} values"
        );
    }
}
