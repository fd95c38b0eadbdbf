//! What the first layer of a network reads.

use edge_classify_int8::{PictureLevels, Quantization, interleave_quantize, quantize_picture};
use edge_classify_kernels::{Element, Isa, Normalization, Rows, RowsMut, interleave, normalize};

/// Pixels of three 8-bit levels, and what the network takes them for.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    pub pixels: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    pub normalization: &'a Normalization,
}

/// What a network is run on.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// f32, a channel after the other (NCHW).
    Planes(&'a [f32]),
    Picture(Picture<'a>),
    /// For a first layer of levels, which its pixels become by these.
    Levels(Picture<'a>, &'a PictureLevels),
}

impl Input<'_> {
    /// Writes the rows from `first` on, of `width` pixels of three channels.
    pub fn read<E: Element>(self, isa: Isa, first: usize, width: usize, out: RowsMut<E>) {
        match self {
            Input::Planes(planes) => {
                interleave(isa, planes, 3, first * width, out.data);
            }
            Input::Picture(picture) | Input::Levels(picture, _) => {
                let rows = picture.pixels.chunks(picture.stride).skip(first);
                for (row, out) in rows.zip(out.data.chunks_exact_mut(3 * width)) {
                    normalize(isa, &row[..3 * width], picture.normalization, out);
                }
            }
        }
    }
}

impl<'a> Input<'a> {
    /// The same, for a first layer that makes levels of it, if one does. `levels` is where those of pixels go.
    pub fn to_levels(
        self,
        isa: Isa,
        quantization: Option<Quantization>,
        levels: &'a mut Option<PictureLevels>,
    ) -> Input<'a> {
        match (self, quantization) {
            (Input::Picture(picture), Some(quantization)) => {
                let new = PictureLevels::new(isa, picture.normalization, quantization);
                Input::Levels(picture, levels.insert(new))
            }
            (input, _) => input,
        }
    }

    /// As [`Input::read`], to levels.
    ///
    /// # Panics
    /// If they have not been told what the [levels](Input::to_levels) of a picture are.
    pub fn quantize(
        self,
        isa: Isa,
        first: usize,
        width: usize,
        quantization: Quantization,
        out: &mut [u8],
    ) {
        match self {
            Input::Planes(planes) => {
                interleave_quantize(isa, planes, 3, first * width, quantization, out);
            }
            Input::Picture(_) => unreachable!("its levels are made first"),
            Input::Levels(picture, levels) => {
                let rows = picture.pixels.chunks(picture.stride).skip(first);
                for (row, out) in rows.zip(out.chunks_exact_mut(3 * width)) {
                    quantize_picture(&row[..3 * width], levels, out);
                }
            }
        }
    }
}

/// What a layer reads.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a, E> {
    Values(Rows<'a, E>),
    Input(Input<'a>),
}

impl<'a, E> Source<'a, E> {
    /// # Panics
    /// If it is the network's input, which nothing but [`Run::Read`](super::step::Run::Read) reads.
    pub fn values(self) -> Rows<'a, E> {
        match self {
            Source::Values(rows) => rows,
            Source::Input(_) => unreachable!("an input is read first"),
        }
    }

    /// # Panics
    /// If it is not the network's input.
    pub fn input(self) -> Input<'a> {
        match self {
            Source::Input(input) => input,
            Source::Values(_) => unreachable!("values are not read again"),
        }
    }
}
