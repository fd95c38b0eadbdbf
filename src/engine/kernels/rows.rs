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

/// Rows of a picture in a ring: so many of them are there together, and each new one takes the place of the oldest.
#[derive(Debug, Clone, Copy)]
pub struct Ring<'a, E = f32> {
    /// Of all of the ring's rows.
    pub pixels: Rows<'a, E>,
    /// Rows of pixels that there is room for.
    pub lines: usize,
    /// Which of them is the picture's first.
    pub first: usize,
}

impl<'a, E> Ring<'a, E> {
    /// A picture of so many rows that is there as a whole.
    pub fn whole(pixels: Rows<'a, E>, lines: usize) -> Self {
        Ring {
            pixels,
            lines,
            first: 0,
        }
    }

    /// The picture without its first rows.
    pub fn below(self, rows: usize) -> Self {
        Ring {
            first: self.line(rows),
            ..self
        }
    }

    /// Where the picture's row `y` is.
    #[inline(always)]
    pub fn line(&self, y: usize) -> usize {
        let line = self.first + y;
        if line < self.lines {
            line
        } else {
            line - self.lines
        }
    }

    /// # Panics
    /// If there are fewer pixels, or more rows of the picture than in the ring.
    pub fn check(&self, height: usize, width: usize, channels: usize) {
        assert!(
            height <= self.lines && self.first <= self.lines,
            "{height} rows in a ring of {}, from {} on",
            self.lines,
            self.first
        );
        let pixels = self.lines.checked_mul(width);
        self.pixels
            .check(pixels.expect("a ring within the address space"), channels);
    }
}

impl<E> Rows<'_, E> {
    /// # Panics
    /// If there are fewer pixels.
    pub fn check(&self, pixels: usize, channels: usize) {
        check(self.data.len(), self.stride, pixels, channels);
    }
}

impl<E> RowsMut<'_, E> {
    /// # Panics
    /// If there are fewer pixels, or one would be written over the next.
    pub fn check(&self, pixels: usize, channels: usize) {
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

/// The rows of a picture in a ring of `lines`, from the one `first` on; there is nothing in the others.
#[cfg(test)]
pub(super) fn turned<E: super::Element>(
    picture: &[E],
    height: usize,
    lines: usize,
    first: usize,
) -> Vec<E> {
    let row_len = picture.len().checked_div(height).unwrap_or(0);
    let mut ring = vec![E::from_f32(f32::NAN); lines * row_len];
    for (y, row) in picture.chunks_exact(row_len.max(1)).enumerate() {
        ring[(first + y) % lines * row_len..][..row_len].copy_from_slice(row);
    }
    ring
}
