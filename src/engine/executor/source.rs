//! What the first layer of a network reads.

use edge_classify_kernels::{Element, Isa, Normalization, Rows, RowsMut, normalize};

/// Pixels of three 8-bit levels, and what the network takes them for.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    pub pixels: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    pub normalization: &'a Normalization,
}

/// What a layer reads.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a, E> {
    Values(Rows<'a, E>),
    Picture(Picture<'a>),
}

impl<'a, E: Element> Source<'a, E> {
    /// # Panics
    /// If it is a picture, which nothing but [`Source::normalize`] reads.
    pub fn values(self) -> Rows<'a, E> {
        match self {
            Source::Values(rows) => rows,
            Source::Picture(_) => unreachable!("a picture is normalised first"),
        }
    }

    /// Writes the rows of a picture from `first` on, of `width` pixels.
    ///
    /// # Panics
    /// If it is no picture.
    pub fn normalize(self, isa: Isa, first: usize, width: usize, out: RowsMut<E>) {
        let Source::Picture(picture) = self else {
            unreachable!("values are not normalised")
        };
        let rows = picture.pixels.chunks(picture.stride).skip(first);
        for (row, out) in rows.zip(out.data.chunks_exact_mut(3 * width)) {
            normalize(isa, &row[..3 * width], picture.normalization, out);
        }
    }
}
