//! The `tf` pipeline's crop and resize: the evaluation preprocessing of EfficientNet in TensorFlow
//! (`preprocess_for_eval` of tensorflow/tpu's `preprocessing.py`).
//!
//! Its resize is that of TensorFlow 1, `tf.compat.v1.image.resize`: output pixel `i` is taken at `i * scale`, without
//! half-pixel centres, so a picture moves to the top left by half a pixel's difference; pixels beyond the edge are those
//! of the edge; nothing is antialiased. The order of the float32 operations is kept, so that roundings agree, too.

use image::RgbImage;

use super::transform::Rows;
use super::{Interpolation, Size};

/// Pixels, at the network's input size, by which the shorter side exceeds the crop.
const CROP_PADDING: u32 = 32;

/// Crops and resizes, and keeps its buffers.
pub struct TfResize {
    /// Side of the output in pixels.
    size: u32,
    filter: Filter,
    /// Side of the crop that `filter` is set up for, in pixels.
    side: u32,
    resized: Vec<u8>,
}

enum Filter {
    Bicubic {
        taps: Vec<CubicTap>,
        /// A row of the crop's width, after the vertical pass.
        row: Vec<f32>,
    },
    Bilinear {
        taps: Vec<LinearTap>,
        /// The two rows that an output row lies between, after the horizontal pass.
        upper: Vec<f32>,
        lower: Vec<f32>,
    },
}

/// The square part of a picture that is resized, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    left: u32,
    top: u32,
    side: u32,
}

impl Window {
    fn central(width: u32, height: u32, size: u32) -> Self {
        let kept = f64::from(size) / f64::from(size + CROP_PADDING);
        // In float32 and cut off, as in the reference. That has no answer for pictures of so few pixels that nothing
        // is left.
        let side = ((kept as f32 * width.min(height) as f32) as u32).max(1);
        Window {
            left: (width - side).div_ceil(2),
            top: (height - side).div_ceil(2),
            side,
        }
    }
}

/// The source pixels of an output pixel along one axis, and their weights. As crop and output are square, the same taps
/// do for columns and rows.
#[derive(Debug, PartialEq)]
struct CubicTap {
    at: [usize; 4],
    weight: [f32; 4],
}

impl CubicTap {
    fn new(place: f32, side: u32) -> Self {
        /// The reference looks its weights up in a table of this many steps for each pixel.
        const STEPS: f32 = 1024.0;
        let first = place.floor();
        let step = ((place - first) * STEPS).round_ties_even() / STEPS;
        let (before, after) = (f64::from(step), f64::from(1.0 - step));
        let last = i64::from(side) - 1;
        CubicTap {
            at: [-1, 0, 1, 2].map(|offset| (first as i64 + offset).clamp(0, last) as usize),
            weight: [1.0 + before, before, after, 1.0 + after].map(|x| cubic(x) as f32),
        }
    }

    fn apply(&self, [v0, v1, v2, v3]: [f32; 4]) -> f32 {
        let [w0, w1, w2, w3] = self.weight;
        v0 * w0 + v1 * w1 + v2 * w2 + v3 * w3
    }
}

/// The cubic convolution kernel (Keys, 1981) with a = -0.75, at a distance of 0 to 2 pixels.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.75;
    if x <= 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else {
        ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A
    }
}

#[derive(Debug, PartialEq)]
struct LinearTap {
    at: [usize; 2],
    /// How far it is from the first to the second.
    fraction: f32,
}

impl LinearTap {
    fn new(place: f32, side: u32) -> Self {
        let first = place.floor();
        let last = side as usize - 1;
        LinearTap {
            at: [first as usize, first as usize + 1].map(|at| at.min(last)),
            fraction: place - first,
        }
    }

    fn apply(&self, first: f32, second: f32) -> f32 {
        first + (second - first) * self.fraction
    }
}

/// Where the output pixels lie in a crop of `side` pixels.
fn places(side: u32, size: u32) -> impl Iterator<Item = f32> {
    let scale = side as f32 / size as f32;
    (0..size).map(move |i| i as f32 * scale)
}

impl TfResize {
    /// For an output of `size` x `size` pixels.
    pub fn new(interpolation: Interpolation, size: u32) -> Self {
        let filter = match interpolation {
            Interpolation::Bicubic => Filter::Bicubic {
                taps: Vec::new(),
                row: Vec::new(),
            },
            Interpolation::Bilinear => Filter::Bilinear {
                taps: Vec::new(),
                upper: vec![0.0; 3 * size as usize],
                lower: vec![0.0; 3 * size as usize],
            },
        };
        TfResize {
            size,
            filter,
            side: 0,
            resized: vec![0; 3 * (size as usize).pow(2)],
        }
    }

    /// The resized crop of `picture`, which must not be empty.
    pub fn run(&mut self, picture: &RgbImage) -> Rows<'_> {
        let window = Window::central(picture.width(), picture.height(), self.size);
        if self.side != window.side {
            self.side = window.side;
            self.filter.prepare(window.side, self.size);
        }
        let row_of = |row: usize| crop_row(picture, window, row);
        let stride = 3 * self.size as usize;
        let rows = self.resized.chunks_exact_mut(stride);
        match &mut self.filter {
            Filter::Bicubic { taps, row } => {
                for (down, out) in taps.iter().zip(rows) {
                    let sources = down.at.map(row_of);
                    for (i, value) in row.iter_mut().enumerate() {
                        *value = down.apply(sources.map(|source| f32::from(source[i])));
                    }
                    for (across, out) in taps.iter().zip(out.chunks_exact_mut(3)) {
                        let pixels = across.at.map(|at| pixel(row, at));
                        for (channel, out) in out.iter_mut().enumerate() {
                            *out = level(across.apply(pixels.map(|pixel| pixel[channel])));
                        }
                    }
                }
            }
            Filter::Bilinear { taps, upper, lower } => {
                for (down, out) in taps.iter().zip(rows) {
                    across(taps, row_of(down.at[0]), upper);
                    across(taps, row_of(down.at[1]), lower);
                    for ((upper, lower), out) in upper.iter().zip(&*lower).zip(out) {
                        *out = level(down.apply(*upper, *lower));
                    }
                }
            }
        }
        Rows::new(&self.resized, stride, 0, Size::square(self.size))
    }
}

impl Filter {
    fn prepare(&mut self, side: u32, size: u32) {
        match self {
            Filter::Bicubic { taps, row } => {
                taps.clear();
                taps.extend(places(side, size).map(|place| CubicTap::new(place, side)));
                row.resize(3 * side as usize, 0.0);
            }
            Filter::Bilinear { taps, .. } => {
                taps.clear();
                taps.extend(places(side, size).map(|place| LinearTap::new(place, side)));
            }
        }
    }
}

/// A row of the crop: `3 * side` levels.
fn crop_row(picture: &RgbImage, window: Window, row: usize) -> &[u8] {
    let row = row + window.top as usize;
    let first = 3 * (row * picture.width() as usize + window.left as usize);
    &picture.as_raw()[first..first + 3 * window.side as usize]
}

fn pixel<T>(row: &[T], at: usize) -> &[T] {
    &row[3 * at..3 * at + 3]
}

/// Resizes one row.
fn across(taps: &[LinearTap], source: &[u8], out: &mut [f32]) {
    for (tap, out) in taps.iter().zip(out.chunks_exact_mut(3)) {
        let [first, second] = tap.at.map(|at| pixel(source, at));
        for ((first, second), out) in first.iter().zip(second).zip(out) {
            *out = tap.apply(f32::from(*first), f32::from(*second));
        }
    }
}

/// To the nearest 8-bit level, as NumPy's `round` and `clip` do.
fn level(value: f32) -> u8 {
    value.clamp(0.0, 255.0).round_ties_even() as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn the_crop_is_central_and_cut_off() {
        struct Case {
            picture: (u32, u32),
            size: u32,
            window: (u32, u32, u32),
        }
        // Left, top and side, by hand: side = floor(size / (size + 32) * shorter), margins rounded up.
        let cases = [
            Case {
                picture: (256, 256),
                size: 224,
                window: (16, 16, 224),
            },
            Case {
                picture: (640, 480),
                size: 224,
                window: (110, 30, 420),
            },
            // 278.03 and margins of 21 and 221.5
            Case {
                picture: (721, 320),
                size: 212,
                window: (222, 21, 278),
            },
            // 284.9 and margins of 18 and 71.5
            Case {
                picture: (320, 427),
                size: 260,
                window: (18, 72, 284),
            },
            // 0.875 of a pixel
            Case {
                picture: (1, 1),
                size: 224,
                window: (0, 0, 1),
            },
            Case {
                picture: (300, 1),
                size: 224,
                window: (150, 0, 1),
            },
        ];
        for case in cases {
            let (width, height) = case.picture;
            let Window { left, top, side } = Window::central(width, height, case.size);
            assert_eq!((left, top, side), case.window, "{width}x{height}");
        }
    }

    #[test]
    fn every_crop_lies_within_its_picture() {
        for size in [1, 31, 224, 380] {
            for width in 1..=130 {
                for height in [1, 2, 3, 64, 97, 130] {
                    let Window { left, top, side } = Window::central(width, height, size);
                    assert!(side >= 1 && left + side <= width && top + side <= height);
                }
            }
        }
    }

    #[test]
    fn cubic_weights_are_those_of_the_kernel() {
        assert_eq!([0.0, 1.0, 2.0].map(cubic), [1.0, 0.0, 0.0]);
        // Between two pixels, the outer weights are a / 8.
        let tap = CubicTap::new(0.5, 9);
        assert_eq!(tap.weight, [-0.09375, 0.59375, 0.59375, -0.09375]);
        assert_eq!(tap.at, [0, 0, 1, 2]);
        // Places are rounded to 1/1024 of a pixel.
        let tap = CubicTap::new(7.0 + 0.4 / 1024.0, 9);
        assert_eq!((tap.at, tap.weight), ([6, 7, 8, 8], [0.0, 1.0, 0.0, 0.0]));
    }

    #[test]
    fn a_crop_of_the_networks_size_is_left_as_it_is() {
        let picture = RgbImage::from_fn(37, 48, |x, y| Rgb([x, y, x * y].map(|v| v as u8)));
        for interpolation in [Interpolation::Bicubic, Interpolation::Bilinear] {
            // 5 / (5 + 32) of 37 are 5.
            let mut resize = TfResize::new(interpolation, 5);
            let pixels = resize.run(&picture).to_vec();
            for (i, pixel) in pixels.chunks_exact(3).enumerate() {
                let (x, y) = (16 + i as u32 % 5, 22 + i as u32 / 5);
                assert_eq!(pixel, picture.get_pixel(x, y).0);
            }
        }
    }

    #[test]
    fn bilinear_takes_places_without_half_pixels() {
        // A crop of 2x2 (16 / 48 of 6) to 16x16: four columns for each half pixel.
        let picture = RgbImage::from_fn(6, 6, |x, _| Rgb([if x == 2 { 0 } else { 80 }; 3]));
        let mut resize = TfResize::new(Interpolation::Bilinear, 16);
        let reds: Vec<u8> = resize.run(&picture).to_vec()[..48]
            .iter()
            .step_by(3)
            .copied()
            .collect();
        let expected = [
            0, 10, 20, 30, 40, 50, 60, 70, 80, 80, 80, 80, 80, 80, 80, 80,
        ];
        assert_eq!(reds, expected);
    }

    #[test]
    fn taps_follow_the_size_of_the_picture() {
        let large = RgbImage::from_fn(90, 70, |x, y| Rgb([x, y, x + y].map(|v| v as u8)));
        let small = RgbImage::from_fn(20, 30, |x, y| Rgb([y, x, x + y].map(|v| v as u8)));
        for interpolation in [Interpolation::Bicubic, Interpolation::Bilinear] {
            let fresh = |picture| TfResize::new(interpolation, 24).run(picture).to_vec();
            let mut resize = TfResize::new(interpolation, 24);
            for picture in [&large, &small, &large] {
                assert_eq!(resize.run(picture).to_vec(), fresh(picture));
            }
        }
    }
}
