//! What the camera sees, in the formats in which it sends it.

use std::collections::HashMap;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{DynamicImage, Rgb, RgbImage};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    Mjpeg,
    Yuyv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

impl Size {
    pub fn yuyv_bytes(self) -> u32 {
        self.width * self.height * 2
    }
}

const JPEG_QUALITY: u8 = 90;
const BAR_WIDTH: u32 = 32;
/// The bars repeat after this many frames, so that each picture is encoded once only.
const BAR_PHASES: u64 = 16;

enum Subject {
    Photograph(DynamicImage),
    MovingBars,
}

/// Makes the frames, and keeps them: an emulated processor takes long to encode one.
pub struct Pictures {
    subject: Subject,
    strip_huffman: bool,
    made: HashMap<(Format, Size, u64), Arc<[u8]>>,
}

impl Pictures {
    /// Of the photograph in a file, or else of moving colour bars.
    pub fn new(file: Option<&Path>, strip_huffman: bool) -> Result<Self> {
        let subject = match file {
            Some(path) => Subject::Photograph(
                image::open(path).with_context(|| format!("cannot read {}", path.display()))?,
            ),
            None => Subject::MovingBars,
        };
        Ok(Self {
            subject,
            strip_huffman,
            made: HashMap::new(),
        })
    }

    /// The encoded frame of a number.
    pub fn frame(&mut self, format: Format, size: Size, number: u64) -> Result<Arc<[u8]>> {
        let phase = match self.subject {
            Subject::Photograph(_) => 0,
            Subject::MovingBars => number % BAR_PHASES,
        };
        if let Some(frame) = self.made.get(&(format, size, phase)) {
            return Ok(Arc::clone(frame));
        }
        let picture = match &self.subject {
            Subject::Photograph(photograph) => cover(photograph, size),
            Subject::MovingBars => moving_bars(size, phase),
        };
        let frame: Arc<[u8]> = match format {
            Format::Mjpeg if self.strip_huffman => without_huffman_tables(&jpeg(&picture)?).into(),
            Format::Mjpeg => jpeg(&picture)?.into(),
            Format::Yuyv => yuyv(&picture).into(),
        };
        self.made.insert((format, size, phase), Arc::clone(&frame));
        Ok(frame)
    }
}

/// The photograph scaled to cover the frame, what juts out cut off on both sides alike.
fn cover(photograph: &DynamicImage, size: Size) -> RgbImage {
    photograph
        .resize_to_fill(size.width, size.height, FilterType::CatmullRom)
        .to_rgb8()
}

/// The eight colours of a test picture, moving left.
fn moving_bars(size: Size, phase: u64) -> RgbImage {
    let shift =
        u32::try_from(phase * u64::from(BAR_WIDTH) * 8 / BAR_PHASES).expect("phases are few");
    let row = RgbImage::from_fn(size.width, 1, |x, _| {
        let bar = (x + shift) / BAR_WIDTH % 8;
        Rgb([0, 1, 2].map(|bit| if bar >> bit & 1 == 1 { 255 } else { 0 }))
    });
    imageops::resize(&row, size.width, size.height, FilterType::Nearest)
}

fn jpeg(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))
        .context("cannot encode a JPEG")?;
    Ok(bytes.into_inner())
}

/// Takes the Huffman tables out of a JPEG. Cheap webcams leave them out, for a decoder of MJPEG is to know the
/// standard's example tables by heart; the encoder here uses just those.
fn without_huffman_tables(jpeg: &[u8]) -> Vec<u8> {
    const START_OF_IMAGE: usize = 2;
    const HUFFMAN_TABLES: u8 = 0xc4;
    const START_OF_SCAN: u8 = 0xda;
    let mut kept = jpeg[..START_OF_IMAGE].to_vec();
    let mut rest = &jpeg[START_OF_IMAGE..];
    while let [0xff, marker, high, low, ..] = *rest {
        if marker == START_OF_SCAN {
            break;
        }
        let (segment, after) = rest.split_at(2 + usize::from(u16::from_be_bytes([high, low])));
        if marker != HUFFMAN_TABLES {
            kept.extend_from_slice(segment);
        }
        rest = after;
    }
    kept.extend_from_slice(rest);
    kept
}

/// BT.601, limited range; each pair of pixels shares the chroma of its average.
fn yuyv(picture: &RgbImage) -> Vec<u8> {
    const LUMA: [f32; 3] = [0.256_788, 0.504_129, 0.097_906];
    const BLUE_DIFFERENCE: [f32; 3] = [-0.148_223, -0.290_993, 0.439_216];
    const RED_DIFFERENCE: [f32; 3] = [0.439_216, -0.367_788, -0.071_427];
    let weigh = |offset: f32, weights: [f32; 3], rgb: [f32; 3]| {
        byte(offset + (0..3).map(|i| weights[i] * rgb[i]).sum::<f32>())
    };
    let mut bytes = Vec::with_capacity(picture.as_raw().len() / 3 * 2);
    for pair in picture.as_raw().chunks_exact(6) {
        let left = [0, 1, 2].map(|i| f32::from(pair[i]));
        let right = [3, 4, 5].map(|i| f32::from(pair[i]));
        let mean = [0, 1, 2].map(|i| f32::midpoint(left[i], right[i]));
        bytes.extend([
            weigh(16.0, LUMA, left),
            weigh(128.0, BLUE_DIFFERENCE, mean),
            weigh(16.0, LUMA, right),
            weigh(128.0, RED_DIFFERENCE, mean),
        ]);
    }
    bytes
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to a byte"
)]
fn byte(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Size = Size {
        width: 64,
        height: 48,
    };

    #[test]
    fn yuyv_has_the_standards_colours() {
        let cases = [
            ([0, 0, 0], [16, 128, 128]),
            ([255, 255, 255], [235, 128, 128]),
            ([255, 0, 0], [81, 90, 240]),
            ([0, 255, 0], [145, 54, 34]),
            ([0, 0, 255], [41, 240, 110]),
        ];
        for (rgb, [y, u, v]) in cases {
            let picture = RgbImage::from_pixel(2, 1, Rgb(rgb));
            assert_eq!(yuyv(&picture), [y, u, y, v], "{rgb:?}");
        }
    }

    #[test]
    fn a_jpeg_without_huffman_tables_has_everything_else() {
        let whole = jpeg(&moving_bars(SMALL, 3)).unwrap();
        let stripped = without_huffman_tables(&whole);
        let tables = |bytes: &[u8]| {
            bytes
                .windows(2)
                .filter(|pair| *pair == [0xff, 0xc4])
                .count()
        };
        assert!(tables(&whole) > 0);
        assert_eq!(tables(&stripped), 0);
        assert_eq!(stripped[stripped.len() - 2..], [0xff, 0xd9]);
        assert!(stripped.len() < whole.len());
    }

    #[test]
    fn a_photograph_covers_the_frame_centred() {
        let photograph = RgbImage::from_fn(100, 48, |x, _| {
            Rgb(if (18..82).contains(&x) {
                [255; 3]
            } else {
                [0; 3]
            })
        });
        let covered = cover(&photograph.into(), SMALL);
        assert_eq!(covered.dimensions(), (64, 48));
        assert!(covered.pixels().all(|pixel| pixel.0 == [255; 3]));
    }

    #[test]
    fn bars_repeat() {
        let mut pictures = Pictures::new(None, false).unwrap();
        let mut frame = |number| pictures.frame(Format::Yuyv, SMALL, number).unwrap();
        assert_eq!(frame(0), frame(BAR_PHASES));
        assert_ne!(frame(0), frame(1));
    }
}
