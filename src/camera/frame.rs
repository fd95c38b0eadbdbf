//! One frame, as it came, and its conversion to RGB.

use std::path::PathBuf;

use image::RgbImage;

use super::{FilesError, FrameError, FrameFormat, pixel};
use crate::panics;
use crate::preprocess::{DecodeError, decode_file};

/// One picture from a source, not yet decoded.
#[derive(Debug)]
pub struct Frame {
    /// The camera's or the file's path.
    pub source: String,
    /// Number within the source, from 0, counting frames that were dropped.
    pub number: u64,
    pub content: Content,
}

#[derive(Debug)]
pub enum Content {
    File(PathBuf),
    Raw(RawFrame),
    /// An argument that leads to no picture.
    None(FilesError),
}

/// A captured buffer in the camera's own pixel format.
#[derive(Debug)]
pub struct RawFrame {
    pub format: FrameFormat,
    pub bytes: Vec<u8>,
}

impl Frame {
    /// Decodes into `picture`, reusing its memory where the size allows.
    pub fn decode(&self, picture: &mut RgbImage) -> Result<(), FrameError> {
        // Decoders of pictures meet all kinds of broken input.
        panics::guard(|| self.decode_unguarded(picture), FrameError::Panic)
    }

    fn decode_unguarded(&self, picture: &mut RgbImage) -> Result<(), FrameError> {
        match &self.content {
            Content::File(path) => {
                *picture = decode_file(path).map_err(|error| match error {
                    // The reader of the message sees the file's name beside it already.
                    DecodeError::Read { source, .. } => FrameError::Read(source),
                    other => FrameError::Decode(other),
                })?;
                Ok(())
            }
            Content::Raw(raw) => pixel::to_rgb(&raw.bytes, &raw.format, picture),
            Content::None(error) => Err(FrameError::None(error.to_string())),
        }
    }
}
