//! A photograph as a network sees it, small.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use fast_image_resize::Resizer;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

use crate::preprocess::{ColorOrder, Spec};

/// Its longer side, in pixels, unless it takes too much with any of the qualities.
const SIDES: [u32; 3] = [128, 96, 64];
const QUALITIES: [i32; 5] = [85, 75, 65, 50, 35];

/// Bytes that a thumbnail may take, so that a dozen stay below 60 kB in base64.
const MOST: usize = 3700;

/// A JPEG in base64 of a network's input: f32 in planes, as `spec` makes it. `None` if that is no picture of its size.
pub fn thumbnail(planes: &[f32], spec: &Spec) -> Option<String> {
    let pixels = pixels(planes, spec)?;
    let (width, height) = (spec.size.width, spec.size.height);
    let picture = TypedImageRef::<U8x3>::from_buffer(width, height, &pixels).ok()?;
    let mut resizer = Resizer::new();
    for side in SIDES {
        let part = (f64::from(side) / f64::from(spec.size.longer())).min(1.0);
        let [width, height] =
            [width, height].map(|side| ((f64::from(side) * part).round() as u32).max(1));
        let mut small = vec![0; 3 * width as usize * height as usize];
        let mut target = TypedImage::<U8x3>::from_buffer(width, height, &mut small).ok()?;
        resizer.resize_typed(&picture, &mut target, None).ok()?;
        let encoded = QUALITIES
            .iter()
            .find_map(|quality| encode(&small, width as usize, height as usize, *quality));
        if let Some(jpeg) = encoded {
            return Some(BASE64_STANDARD.encode(jpeg));
        }
    }
    None
}

/// RGB in 8-bit levels.
fn pixels(planes: &[f32], spec: &Spec) -> Option<Vec<u8>> {
    let len = spec.size.pixels();
    if len == 0 || planes.len() != 3 * len {
        return None;
    }
    let order = match spec.color {
        ColorOrder::Rgb => [0, 1, 2],
        ColorOrder::Bgr => [2, 1, 0],
    };
    let level = |channel: usize, pixel: usize| {
        let value = planes[channel * len + pixel];
        (value * spec.std[channel] + spec.mean[channel]).round() as u8
    };
    let pixels = (0..len).flat_map(|pixel| order.map(|channel| level(channel, pixel)));
    Some(pixels.collect())
}

/// If it takes no more than it may.
fn encode(pixels: &[u8], width: usize, height: usize, quality: i32) -> Option<Vec<u8>> {
    let image = Image {
        pixels,
        width,
        pitch: 3 * width,
        height,
        format: PixelFormat::RGB,
    };
    let mut compressor = Compressor::new().ok()?;
    compressor.set_quality(quality).ok()?;
    compressor.set_subsamp(Subsamp::Sub2x2).ok()?;
    compressor.set_optimize(true).ok()?;
    let jpeg = compressor.compress_to_vec(image).ok()?;
    (jpeg.len() <= MOST).then_some(jpeg)
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;
    use crate::preprocess::{Size, Transform, decode_bytes};

    fn made_of(picture: &RgbImage, spec: &Spec) -> Option<RgbImage> {
        let mut transform = Transform::new(spec.clone());
        let mut planes = vec![0.0; transform.tensor_len()];
        transform.run(picture, &mut planes).unwrap();
        let thumbnail = thumbnail(&planes, spec)?;
        assert!(12 * thumbnail.len() < 60_000, "{}", thumbnail.len());
        let bytes = BASE64_STANDARD.decode(thumbnail).unwrap();
        Some(decode_bytes(&bytes).unwrap())
    }

    #[test]
    fn it_is_the_picture_in_its_colours() {
        let orange = RgbImage::from_pixel(300, 300, Rgb([240, 120, 20]));
        for color in [ColorOrder::Rgb, ColorOrder::Bgr] {
            let spec = Spec {
                color,
                ..Spec::imagenet(Size {
                    width: 192,
                    height: 96,
                })
            };
            let found = made_of(&orange, &spec).unwrap();
            assert_eq!(found.dimensions(), (128, 64));
            for (found, given) in found.get_pixel(60, 30).0.iter().zip([240_u8, 120, 20]) {
                assert!(found.abs_diff(given) < 6, "{found}, not {given}");
            }
        }
        assert_eq!(
            made_of(&orange, &Spec::imagenet(48)).unwrap().dimensions(),
            (48, 48)
        );
    }

    #[test]
    fn noise_takes_no_more_than_it_may() {
        let mut state = 1_u32;
        let noise = RgbImage::from_fn(256, 256, |_, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [a, b, c, _] = state.to_be_bytes();
            Rgb([a, b, c])
        });
        assert!(made_of(&noise, &Spec::imagenet(224)).is_some());
    }

    #[test]
    fn what_is_no_picture_has_none() {
        let spec = Spec::imagenet(32);
        assert_eq!(thumbnail(&[0.0; 7], &spec), None);
        assert!(thumbnail(&[f32::NAN; 3 * 32 * 32], &spec).is_some());
    }
}
