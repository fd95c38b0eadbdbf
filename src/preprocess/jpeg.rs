//! JPEG pictures: whether a file is all there, and its pixels as libjpeg-turbo has them.
//!
//! Networks are trained and evaluated on what Pillow decodes, by libjpeg-turbo. Other decoders round and interpolate
//! chroma differently, by up to 4 levels, which tips close calls.

use image::RgbImage;
use turbojpeg::{Decompressor, Image, PixelFormat};

/// Progressive pictures have about 10 scans; a hostile file has as many as it has room for, and each costs as much as
/// the picture.
const MAX_SCANS: u32 = 500;

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;

/// Whether `bytes` begin as a JPEG picture does and end before the picture's end marker. The
/// decoder would fill what is missing with grey.
pub fn is_cut_short(bytes: &[u8]) -> bool {
    if !bytes.starts_with(&[0xff, SOI]) {
        return false;
    }
    let mut at = 2;
    // Whatever stands between segments is coded data, in which 0xff is never followed by a marker
    // with a length: only by zero or by a restart (ISO/IEC 10918-1, B.1.1).
    while let Some(found) = bytes
        .get(at..)
        .and_then(|rest| rest.iter().position(|&byte| byte == 0xff))
    {
        at += found;
        match bytes.get(at + 1) {
            Some(&EOI) => return false,
            Some(0xff) => at += 1,
            Some(0x00 | 0x01 | 0xd0..=SOI) => at += 2,
            // A segment: a thumbnail in one has an end marker of its own.
            Some(_) => match bytes.get(at + 2..at + 4) {
                Some(&[high, low]) => at += 2 + usize::from(u16::from_be_bytes([high, low])),
                _ => return true,
            },
            None => return true,
        }
    }
    true
}

/// Decodes into `picture`, which must have the size that the header says. False, with anything in `picture`, if
/// libjpeg-turbo has an objection: what it takes for damage, or colours that it does not make RGB of (CMYK).
pub fn decode(bytes: &[u8], picture: &mut RgbImage) -> bool {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let output = Image {
        pixels: picture.as_flat_samples_mut().samples,
        width,
        pitch: 3 * width,
        height,
        format: PixelFormat::RGB,
    };
    let decoded = Decompressor::new().and_then(|mut decompressor| {
        decompressor.set_scan_limit(MAX_SCANS)?;
        decompressor.decompress(bytes, output)
    });
    match decoded {
        Ok(()) => true,
        Err(error) => {
            log::debug!("libjpeg-turbo: {error}");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_looked_for_outside_segments() {
        let whole = [
            &[0xff, 0xd8][..],
            // A segment that holds a picture.
            &[0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9],
            // A scan with stuffing and a restart.
            &[0xff, 0xda, 0, 3, 1, 9, 0xff, 0, 7, 0xff, 0xd0, 8],
            &[0xff, 0xff, 0xd9],
        ]
        .concat();
        assert!(!is_cut_short(&whole));
        assert!(!is_cut_short(&[&whole[..], b"more"].concat()));
        for length in 2..whole.len() {
            assert!(is_cut_short(&whole[..length]), "{length}");
        }
        assert!(!is_cut_short(b"\x89PNG"));
    }
}
