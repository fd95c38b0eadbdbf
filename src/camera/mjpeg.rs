//! Motion JPEG as webcams send it: padded, cut short, or without Huffman tables.

use image::RgbImage;

use super::FrameError;
use crate::preprocess::decode_bytes;

const SOI: [u8; 2] = [0xff, 0xd8];
const EOI: [u8; 2] = [0xff, 0xd9];

/// Whether a frame starts and ends as a JPEG picture does. Zeros after the end are padding.
pub fn is_whole(frame: &[u8]) -> bool {
    let end = frame
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |i| i + 1);
    frame.starts_with(&SOI) && frame[..end].ends_with(&EOI)
}

pub fn decode(frame: &[u8]) -> Result<RgbImage, FrameError> {
    if !is_whole(frame) {
        return Err(FrameError::TruncatedJpeg);
    }
    // Where tables are missing, the decoder takes those of JPEG's annex K.3, as such cameras mean it to.
    Ok(decode_bytes(frame)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{DynamicImage, ImageFormat, Rgb};
    use std::io::Cursor;

    const SOS: u8 = 0xda;
    const DHT: u8 = 0xc4;

    fn jpeg() -> Vec<u8> {
        let picture = RgbImage::from_fn(48, 32, |x, y| Rgb([(x * 5) as u8, (y * 7) as u8, 90]));
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::from(picture)
            .write_to(&mut bytes, ImageFormat::Jpeg)
            .unwrap();
        bytes.into_inner()
    }

    fn without_huffman_tables(frame: &[u8]) -> Vec<u8> {
        let mut stripped = frame[..2].to_vec();
        let mut at = 2;
        loop {
            let length = usize::from(u16::from_be_bytes([frame[at + 2], frame[at + 3]]));
            match frame[at + 1] {
                SOS => break,
                DHT => {}
                _ => stripped.extend(&frame[at..at + 2 + length]),
            }
            at += 2 + length;
        }
        stripped.extend(&frame[at..]);
        stripped
    }

    #[test]
    fn missing_huffman_tables_are_supplied() {
        let whole = jpeg();
        let stripped = without_huffman_tables(&whole);
        assert!(stripped.len() < whole.len());
        assert_eq!(decode(&stripped).unwrap(), decode(&whole).unwrap());
    }

    #[test]
    fn truncated_and_foreign_frames_are_refused() {
        let whole = jpeg();
        let mut padded = whole.clone();
        padded.extend([0; 300]);
        assert!(is_whole(&padded) && decode(&padded).is_ok());
        for length in [0, 1, 2, 3, 100, whole.len() / 2, whole.len() - 1] {
            assert!(!is_whole(&whole[..length]), "{length}");
            assert!(decode(&whole[..length]).is_err(), "{length}");
        }
        assert!(!is_whole(&[0; 100]));
    }

    #[test]
    fn garbage_between_the_markers_does_not_panic() {
        let mut state = 1u64;
        for length in 0..400 {
            let mut frame = SOI.to_vec();
            for _ in 0..length {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(99);
                frame.push((state >> 56) as u8);
            }
            frame.extend(EOI);
            let _ = decode(&frame);
        }
        // A segment length that points past the end.
        let _ = decode(&[0xff, 0xd8, 0xff, 0xe1, 0xff, 0xff, 0xff, 0xd9]);
    }
}
