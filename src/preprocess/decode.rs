//! Picture files and JPEG frames to 8-bit RGB.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use thiserror::Error;

use super::jpeg;

/// Decoding may allocate this much and no more, whatever a file's header claims.
const MAX_DECODED_BYTES: u64 = 512 << 20;

/// Largest picture side accepted, in pixels.
const MAX_SIDE: u32 = 32_768;

#[derive(Debug, Error)]
pub enum DecodeError {
    #[error("{path}: {source}", path = path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path}: not a regular file", path = path.display())]
    NotAFile { path: PathBuf },
    #[error("not a picture this build reads (JPEG, PNG, WebP)")]
    UnknownFormat,
    #[error("the picture is cut short: its file ends before it does; copy the file again")]
    CutShort,
    #[error("cannot decode the picture: {0}")]
    Decode(image::ImageError),
}

/// Reads and decodes a picture file. The orientation that a camera stored in EXIF is applied.
pub fn decode_file(path: &Path) -> Result<RgbImage, DecodeError> {
    let mut bytes = Vec::new();
    // Opening a pipe would wait for a writer.
    if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(DecodeError::NotAFile {
            path: path.to_owned(),
        });
    }
    std::fs::File::open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|source| DecodeError::Read {
            path: path.to_owned(),
            source,
        })?;
    decode_bytes(&bytes)
}

/// Decodes a picture held in memory, whatever of the known formats it is in.
pub fn decode_bytes(bytes: &[u8]) -> Result<RgbImage, DecodeError> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .expect("reading from memory cannot fail");
    let Some(format) = reader.format() else {
        return Err(DecodeError::UnknownFormat);
    };
    if jpeg::is_cut_short(bytes) {
        return Err(DecodeError::CutShort);
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(unsupported)?;
    // Decoders hold their own buffers to the limits, but not the picture.
    limits
        .reserve(decoder.total_bytes())
        .map_err(DecodeError::Decode)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = match format {
        ImageFormat::Jpeg => decode_jpeg(bytes, decoder)?,
        _ => DynamicImage::from_decoder(decoder).map_err(DecodeError::Decode)?,
    };
    picture.apply_orientation(orientation);
    Ok(picture.into_rgb8())
}

/// What libjpeg-turbo will not decode, `decoder` may: it passes over slight damage and knows CMYK.
fn decode_jpeg(bytes: &[u8], decoder: impl ImageDecoder) -> Result<DynamicImage, DecodeError> {
    let (width, height) = decoder.dimensions();
    let mut picture = RgbImage::new(width, height);
    if jpeg::decode(bytes, &mut picture) {
        return Ok(picture.into());
    }
    drop(picture);
    DynamicImage::from_decoder(decoder).map_err(DecodeError::Decode)
}

/// A format that `image` recognises by its signature but that this build leaves out is, to the
/// user, simply not a picture we read.
fn unsupported(error: image::ImageError) -> DecodeError {
    match error {
        image::ImageError::Unsupported(_) => DecodeError::UnknownFormat,
        other => DecodeError::Decode(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageFormat, Rgb};

    fn encode(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn reads_every_promised_format() {
        let picture = RgbImage::from_fn(20, 10, |x, _| Rgb([if x < 10 { 250 } else { 5 }, 40, 80]));
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
            let bytes = encode(&picture.clone().into(), format);
            let back = decode_bytes(&bytes).unwrap();
            assert_eq!(back.dimensions(), (20, 10), "{format:?}");
            assert!(back.get_pixel(2, 5).0[0] > 230, "{format:?}");
            assert!(back.get_pixel(17, 5).0[0] < 25, "{format:?}");
        }
    }

    #[test]
    fn alpha_and_grey_become_rgb() {
        let rgba = image::RgbaImage::from_pixel(4, 4, image::Rgba([9, 8, 7, 0]));
        let back = decode_bytes(&encode(&rgba.into(), ImageFormat::Png)).unwrap();
        assert_eq!(back.get_pixel(0, 0).0, [9, 8, 7]);
        let grey = image::GrayImage::from_pixel(4, 4, image::Luma([77]));
        let back = decode_bytes(&encode(&grey.into(), ImageFormat::Png)).unwrap();
        assert_eq!(back.get_pixel(0, 0).0, [77, 77, 77]);
    }

    fn picture_of_noise() -> RgbImage {
        RgbImage::from_fn(64, 64, |x, y| Rgb([(x * y * 7) as u8, (x ^ y) as u8, 3]))
    }

    /// The difference of the first pixel from `expected`, at most.
    fn off(picture: &RgbImage, expected: [u8; 3]) -> u8 {
        let pixel = picture.get_pixel(0, 0).0;
        let off = pixel.iter().zip(expected).map(|(a, b)| a.abs_diff(b));
        off.max().unwrap()
    }

    #[test]
    fn jpegs_that_libjpeg_turbo_objects_to_are_read_all_the_same() {
        // Some of the picture's data is lost.
        let mut jpeg = encode(&picture_of_noise().into(), ImageFormat::Jpeg);
        let first = decode_bytes(&jpeg).unwrap().get_pixel(0, 0).0;
        let end = jpeg.len() - 2;
        jpeg.drain(end - 8..end);
        assert!(!jpeg::decode(&jpeg, &mut RgbImage::new(64, 64)));
        assert!(off(&decode_bytes(&jpeg).unwrap(), first) < 4);

        // Inverted, as the programs that make such files store it.
        let inks = [255u8, 0, 255, 255].repeat(16 * 16);
        let picture = turbojpeg::Image {
            pixels: inks.as_slice(),
            width: 16,
            pitch: 4 * 16,
            height: 16,
            format: turbojpeg::PixelFormat::CMYK,
        };
        let cmyk = turbojpeg::compress(picture, 95, turbojpeg::Subsamp::None).unwrap();
        assert!(!jpeg::decode(&cmyk, &mut RgbImage::new(16, 16)));
        assert!(off(&decode_bytes(&cmyk).unwrap(), [255, 0, 255]) < 8);
    }

    #[test]
    fn bad_bytes_are_errors() {
        assert!(matches!(decode_bytes(b""), Err(DecodeError::UnknownFormat)));
        assert!(matches!(
            decode_bytes(b"hello, world, this is text"),
            Err(DecodeError::UnknownFormat)
        ));
        let picture = RgbImage::from_pixel(64, 64, Rgb([1, 2, 3]));
        let mut png = encode(&picture.into(), ImageFormat::Png);
        png.truncate(60);
        assert!(matches!(decode_bytes(&png), Err(DecodeError::Decode(_))));
        let mut jpeg = encode(&picture_of_noise().into(), ImageFormat::Jpeg);
        jpeg.truncate(jpeg.len() * 3 / 4);
        assert!(matches!(decode_bytes(&jpeg), Err(DecodeError::CutShort)));
    }

    #[test]
    fn a_header_that_claims_an_absurd_size_is_refused() {
        let picture = RgbImage::from_pixel(8, 8, Rgb([1, 2, 3]));
        let mut jpeg = encode(&picture.into(), ImageFormat::Jpeg);
        let sof = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
        // The first breaks the limit of a side, the second only that of memory.
        for side in [65_535u16, 20_000] {
            let bytes = side.to_be_bytes();
            jpeg[sof + 5..sof + 9].copy_from_slice(&[bytes, bytes].concat());
            let error = decode_bytes(&jpeg).unwrap_err();
            let limits = matches!(error, DecodeError::Decode(image::ImageError::Limits(_)));
            assert!(limits, "{error}");
        }
    }
}
