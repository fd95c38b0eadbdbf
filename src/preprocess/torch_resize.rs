//! The `torch` pipeline's resize and crop: antialiased resize in proportion, centre crop. As torchvision's `Resize` and
//! `CenterCrop` do with Pillow, and timm's `ResizeKeepRatio` where the input is not a square.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;

use super::transform::{Rows, TransformError};
use super::{Interpolation, Size, Spec};

/// Resizes and crops, and keeps its buffers.
pub struct TorchResize {
    resizer: Resizer,
    /// The picture after the horizontal pass, then after both.
    narrowed: Vec<u8>,
    resized: Vec<u8>,
}

/// A run of resized pixels along one axis: where the crop lies, and which part of the resized
/// picture has to be computed to get it.
#[derive(Debug, PartialEq)]
struct Axis {
    /// First and one-past-last resized pixel to compute.
    start: u32,
    end: u32,
    /// Offset of the crop within them.
    offset: u32,
    /// Source pixels for each resized pixel.
    scale: f64,
}

impl Axis {
    /// The crop's pixels and as many neighbours as keep the filter from seeing the cut.
    fn centred(source: u32, resized: u32, crop: u32) -> Self {
        let scale = f64::from(source) / f64::from(resized);
        // The widest filter (bicubic) reaches 2 resized pixels when shrinking, 2 source pixels
        // when enlarging; one more absorbs rounding.
        let margin = (2.0 * (1.0 / scale).max(1.0)).ceil() as u32 + 1;
        // Half to even is what Python's round() does in the reference.
        let left = (f64::from(resized - crop) / 2.0).round_ties_even() as u32;
        let start = left.saturating_sub(margin);
        Axis {
            start,
            end: (left + crop + margin).min(resized),
            offset: left - start,
            scale,
        }
    }

    fn len(&self) -> u32 {
        self.end - self.start
    }

    fn source_start(&self) -> f64 {
        f64::from(self.start) * self.scale
    }

    fn source_len(&self) -> f64 {
        f64::from(self.len()) * self.scale
    }
}

impl TorchResize {
    pub fn new() -> Self {
        TorchResize {
            resizer: Resizer::new(),
            narrowed: Vec::new(),
            resized: Vec::new(),
        }
    }

    /// The crop of `picture`, which must not be empty.
    pub fn run(&mut self, spec: &Spec, picture: &RgbImage) -> Result<Rows<'_>, TransformError> {
        let (x, y) = self.resize(spec, picture)?;
        let stride = x.len() as usize * 3;
        let first = y.offset as usize * stride;
        Ok(Rows::new(
            &self.resized[first..],
            stride,
            x.offset as usize * 3,
            spec.size,
        ))
    }

    /// Computes into `self.resized` the part of the resized picture that the crop needs.
    fn resize(&mut self, spec: &Spec, picture: &RgbImage) -> Result<(Axis, Axis), TransformError> {
        let (width, height) = picture.dimensions();
        let (new_width, new_height) = resized_dimensions(width, height, spec.resize)
            .ok_or(TransformError::Elongated { width, height })?;
        let x = Axis::centred(width, new_width, spec.size.width);
        let y = Axis::centred(height, new_height, spec.size.height);
        let filter = match spec.interpolation {
            Interpolation::Bicubic => FilterType::CatmullRom,
            Interpolation::Bilinear => FilterType::Bilinear,
        };
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
        let failed = |message: String| TransformError::Resize {
            width,
            height,
            message,
        };
        // Pillow goes along the rows first and rounds to 8 bits in between. Left to itself, the
        // resizer takes the cheaper order, and overshoot is clipped elsewhere. Its untyped
        // interface would build every pixel type's code for the one we use.
        let first_row = y.source_start() as u32;
        let last_row = ((y.source_start() + y.source_len()).ceil() as u32).min(height);
        let rows = last_row - first_row;
        self.narrowed
            .resize(x.len() as usize * rows as usize * 3, 0);
        self.resized
            .resize(x.len() as usize * y.len() as usize * 3, 0);
        let source = TypedImageRef::<U8x3>::from_buffer(width, height, picture.as_raw())
            .map_err(|e| failed(e.to_string()))?;
        let mut narrowed = TypedImage::<U8x3>::from_buffer(x.len(), rows, &mut self.narrowed)
            .map_err(|e| failed(e.to_string()))?;
        let mut resized = TypedImage::<U8x3>::from_buffer(x.len(), y.len(), &mut self.resized)
            .map_err(|e| failed(e.to_string()))?;
        // Rounding must not carry a box past the picture's edge.
        let (left, top) = (x.source_start(), y.source_start() - f64::from(first_row));
        let across = options.crop(
            left,
            f64::from(first_row),
            x.source_len().min(f64::from(width) - left),
            f64::from(rows),
        );
        let down = options.crop(
            0.0,
            top,
            f64::from(x.len()),
            y.source_len().min(f64::from(rows) - top),
        );
        self.resizer
            .resize_typed(&source, &mut narrowed, &across)
            .and_then(|()| self.resizer.resize_typed(&narrowed, &mut resized, &down))
            .map_err(|e| failed(e.to_string()))?;
        Ok((x, y))
    }
}

/// Longest side of a resized picture.
const LONGEST: f64 = 1e6;

/// Width and height of a picture that just covers `resize`. `None` if it would be absurdly long.
fn resized_dimensions(width: u32, height: u32, resize: Size) -> Option<(u32, u32)> {
    if !resize.is_square() {
        // As timm's ResizeKeepRatio has it: both sides are rounded.
        let across = f64::from(width) / f64::from(resize.width);
        let down = f64::from(height) / f64::from(resize.height);
        let sides = [width, height].map(|side| f64::from(side) / across.min(down));
        let [width, height] = sides.map(|side| side.round_ties_even());
        return (width <= LONGEST && height <= LONGEST).then_some((width as u32, height as u32));
    }
    // As torchvision's Resize has it: the longer side is rounded down.
    let side = resize.width;
    let longer = |long: u32, short: u32| {
        let exact = f64::from(side) * f64::from(long) / f64::from(short);
        (exact <= LONGEST).then_some(exact as u32)
    };
    if width <= height {
        Some((side, longer(height, width)?))
    } else {
        Some((longer(width, height)?, side))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Transform;
    use super::*;
    use image::Rgb;

    #[test]
    fn the_longer_side_is_rounded_down() {
        let dimensions = |width, height| resized_dimensions(width, height, Size::square(256));
        assert_eq!(dimensions(500, 375), Some((341, 256)));
        assert_eq!(dimensions(375, 500), Some((256, 341)));
        assert_eq!(dimensions(10, 10), Some((256, 256)));
        assert_eq!(dimensions(30_000, 1), None);
    }

    /// timm 1.0.31: `ResizeKeepRatio((54, 219))`, whose sizes have the height first.
    #[test]
    fn a_rectangle_is_just_covered() {
        let resize = Size {
            width: 219,
            height: 54,
        };
        let dimensions = |width, height| resized_dimensions(width, height, resize);
        assert_eq!(dimensions(500, 375), Some((219, 164)));
        assert_eq!(dimensions(999, 100), Some((539, 54)));
        assert_eq!(dimensions(1, 1), Some((219, 219)));
        assert_eq!(dimensions(30_000, 1), None);
    }

    #[test]
    fn crop_offsets_round_half_to_even() {
        // (341 - 224) / 2 = 58.5 and (343 - 224) / 2 = 59.5
        assert_eq!(
            {
                let a = Axis::centred(500, 341, 224);
                a.start + a.offset
            },
            58
        );
        assert_eq!(
            {
                let a = Axis::centred(500, 343, 224);
                a.start + a.offset
            },
            60
        );
    }

    /// Computing only the crop's neighbourhood gives the pixels of a full resize.
    #[test]
    fn partial_resize_equals_full_resize() {
        let picture = RgbImage::from_fn(411, 173, |x, y| {
            Rgb([
                (x * 7 % 256) as u8,
                (y * 5 % 256) as u8,
                ((x * y) % 256) as u8,
            ])
        });
        let wide = |width, height| Size { width, height };
        for (size, resize) in [
            (Size::square(64), Size::square(73)),
            (Size::square(64), Size::square(120)),
            (Size::square(160), Size::square(400)),
            (Size::square(224), Size::square(256)),
            (wide(192, 48), wide(219, 54)),
            (wide(40, 90), Size::square(100)),
        ] {
            for interpolation in [Interpolation::Bicubic, Interpolation::Bilinear] {
                let crop = Transform::new(Spec {
                    resize,
                    interpolation,
                    ..Spec::imagenet(size)
                })
                .crop(&picture)
                .unwrap();
                let (width, height) = resized_dimensions(411, 173, resize).unwrap();
                let full = full_resize(interpolation, &picture, width, height);
                let left = (f64::from(width - size.width) / 2.0).round_ties_even() as u32;
                let top = (f64::from(height - size.height) / 2.0).round_ties_even() as u32;
                for (x, y, pixel) in crop.enumerate_pixels() {
                    let expected = full.get_pixel(left + x, top + y);
                    let off = (0..3).map(|c| pixel.0[c].abs_diff(expected.0[c])).max();
                    assert!(
                        off <= Some(1),
                        "{size}/{resize} at {x},{y}: {pixel:?} {expected:?}"
                    );
                }
            }
        }
    }

    fn full_resize(
        interpolation: Interpolation,
        picture: &RgbImage,
        width: u32,
        height: u32,
    ) -> RgbImage {
        let filter = match interpolation {
            Interpolation::Bicubic => FilterType::CatmullRom,
            Interpolation::Bilinear => FilterType::Bilinear,
        };
        let (w, h) = picture.dimensions();
        let source = TypedImageRef::<U8x3>::from_buffer(w, h, picture.as_raw()).unwrap();
        let (mut across, mut full) = (RgbImage::new(width, h), RgbImage::new(width, height));
        let mut narrowed = TypedImage::<U8x3>::from_buffer(width, h, &mut across).unwrap();
        let mut view = TypedImage::<U8x3>::from_buffer(width, height, &mut full).unwrap();
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
        let mut resizer = Resizer::new();
        resizer
            .resize_typed(&source, &mut narrowed, &options)
            .unwrap();
        resizer
            .resize_typed(&narrowed, &mut view, &options)
            .unwrap();
        drop(view);
        full
    }
}
