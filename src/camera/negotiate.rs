//! Choosing one of the modes a camera offers.

use std::cmp::Ordering;

use super::PixelFormat;

/// One combination of format and size that a camera offers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mode {
    pub pixel: PixelFormat,
    pub width: u32,
    pub height: u32,
    /// Highest frame rate at this size, if the driver tells.
    pub max_fps: Option<f64>,
}

/// What is wanted of the camera.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wish {
    /// Exactly this size, or the nearest to it.
    pub size: Option<(u32, u32)>,
    /// Only this format.
    pub pixel: Option<PixelFormat>,
    /// Without a size: width and height at least this.
    pub cover: u32,
    /// Frames a second.
    pub fps: f64,
}

/// How well a mode serves a wish; smaller is better, earlier fields decide first.
#[derive(PartialEq, PartialOrd)]
struct Misfit {
    /// Classifiers are trained on colour pictures.
    colourless: bool,
    pixels_off: u32,
    fps_short: f64,
    cost: f64,
    /// Of two that cost the same, the faster.
    interval: f64,
}

impl Mode {
    fn misfit(&self, wish: &Wish) -> Misfit {
        let pixels_off = match wish.size {
            Some((width, height)) => self.width.abs_diff(width) + self.height.abs_diff(height),
            None => wish.cover.saturating_sub(self.width.min(self.height)),
        };
        let fps = self.max_fps.unwrap_or(wish.fps);
        // 29.97 serves a wish of 30.
        let fps_short = if fps < wish.fps * 0.95 {
            wish.fps - fps
        } else {
            0.0
        };
        Misfit {
            colourless: self.pixel == PixelFormat::Grey,
            pixels_off,
            fps_short,
            cost: f64::from(self.width) * f64::from(self.height) * cost_per_pixel(self.pixel),
            interval: 1.0 / fps.max(0.001),
        }
    }
}

/// Relative cost of a pixel's transfer and conversion to RGB. Decoding JPEG is about ten times
/// converting YCbCr, which the sum of the others does not reach.
fn cost_per_pixel(pixel: PixelFormat) -> f64 {
    match pixel {
        PixelFormat::Grey => 1.0,
        PixelFormat::Nv12 => 1.5,
        PixelFormat::Yuyv | PixelFormat::Uyvy => 2.0,
        PixelFormat::Rgb24 | PixelFormat::Bgr24 => 2.5,
        PixelFormat::Mjpeg => 20.0,
    }
}

/// The mode that gives the wanted size and rate at the least cost; `None` if there is none of the
/// wanted format.
pub fn choose(modes: &[Mode], wish: &Wish) -> Option<Mode> {
    modes
        .iter()
        .filter(|mode| wish.pixel.is_none_or(|pixel| pixel == mode.pixel))
        .map(|mode| (mode.misfit(wish), mode))
        .min_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal))
        .map(|(_, mode)| *mode)
}

/// Sizes worth trying where a driver gives a range instead of a list.
pub fn sizes_in_range(range: &SizeRange, wish: &Wish) -> Vec<(u32, u32)> {
    const USUAL: [(u32, u32); 8] = [
        (160, 120),
        (320, 240),
        (640, 360),
        (640, 480),
        (800, 600),
        (1280, 720),
        (1920, 1080),
        (3840, 2160),
    ];
    let wanted = wish.size.unwrap_or((wish.cover, wish.cover));
    let mut sizes: Vec<_> = USUAL
        .into_iter()
        .chain([wanted])
        .map(|(width, height)| (range.width.nearest(width), range.height.nearest(height)))
        .collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// Sizes worth asking for where a driver does not tell which it has; its answer to the request
/// decides.
pub fn sizes_unlisted(current: Option<(u32, u32)>, wish: &Wish) -> Vec<(u32, u32)> {
    const USUAL: [(u32, u32); 2] = [(320, 240), (640, 480)];
    let mut sizes = wish
        .size
        .map_or_else(|| USUAL.to_vec(), |wanted| vec![wanted]);
    sizes.extend(current.filter(|&(width, height)| width > 0 && height > 0));
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// A range of frame sizes, as V4L2 gives them.
#[derive(Debug, Clone, Copy)]
pub struct SizeRange {
    pub width: Steps,
    pub height: Steps,
}

#[derive(Debug, Clone, Copy)]
pub struct Steps {
    pub min: u32,
    pub max: u32,
    pub step: u32,
}

impl Steps {
    /// The smallest step at or above `wanted`, or the largest there is.
    fn nearest(&self, wanted: u32) -> u32 {
        let step = self.step.max(1);
        let steps_up = wanted.saturating_sub(self.min).div_ceil(step);
        let largest = self.min + self.max.saturating_sub(self.min) / step * step;
        steps_up
            .checked_mul(step)
            .and_then(|up| up.checked_add(self.min))
            .map_or(largest, |found| found.min(largest))
    }
}

#[cfg(test)]
mod tests {
    use super::PixelFormat::{Grey, Mjpeg, Nv12, Rgb24, Yuyv};
    use super::*;

    fn mode(pixel: PixelFormat, width: u32, height: u32, fps: f64) -> Mode {
        Mode {
            pixel,
            width,
            height,
            max_fps: (fps > 0.0).then_some(fps),
        }
    }

    const ANY: Wish = Wish {
        size: None,
        pixel: None,
        cover: 224,
        fps: 30.0,
    };

    /// A common webcam: raw at full rate only when small.
    fn webcam() -> Vec<Mode> {
        vec![
            mode(Mjpeg, 1280, 720, 30.0),
            mode(Mjpeg, 640, 480, 30.0),
            mode(Mjpeg, 320, 240, 30.0),
            mode(Yuyv, 1280, 720, 10.0),
            mode(Yuyv, 640, 480, 30.0),
            mode(Yuyv, 320, 240, 30.0),
            mode(Yuyv, 160, 120, 30.0),
        ]
    }

    #[test]
    fn chooses_the_cheapest_that_serves() {
        struct Case {
            why: &'static str,
            modes: Vec<Mode>,
            wish: Wish,
            expected: Option<Mode>,
        }
        let cases = [
            Case {
                why: "smallest raw size that covers the input",
                modes: webcam(),
                wish: ANY,
                expected: Some(mode(Yuyv, 320, 240, 30.0)),
            },
            Case {
                why: "raw is too slow at this size",
                modes: webcam(),
                wish: Wish {
                    size: Some((1280, 720)),
                    ..ANY
                },
                expected: Some(mode(Mjpeg, 1280, 720, 30.0)),
            },
            Case {
                why: "raw is fast enough for 10 frames a second",
                modes: webcam(),
                wish: Wish {
                    size: Some((1280, 720)),
                    fps: 10.0,
                    ..ANY
                },
                expected: Some(mode(Yuyv, 1280, 720, 10.0)),
            },
            Case {
                why: "only the format asked for",
                modes: webcam(),
                wish: Wish {
                    pixel: Some(Mjpeg),
                    ..ANY
                },
                expected: Some(mode(Mjpeg, 320, 240, 30.0)),
            },
            Case {
                why: "a format that is not offered",
                modes: webcam(),
                wish: Wish {
                    pixel: Some(Nv12),
                    ..ANY
                },
                expected: None,
            },
            Case {
                why: "nothing covers, so the largest",
                modes: vec![mode(Yuyv, 160, 120, 30.0), mode(Yuyv, 176, 144, 30.0)],
                wish: ANY,
                expected: Some(mode(Yuyv, 176, 144, 30.0)),
            },
            Case {
                why: "colour before a cheaper grey",
                modes: vec![mode(Grey, 640, 480, 30.0), mode(Mjpeg, 640, 480, 15.0)],
                wish: ANY,
                expected: Some(mode(Mjpeg, 640, 480, 15.0)),
            },
            Case {
                why: "grey if there is nothing else",
                modes: vec![mode(Grey, 640, 480, 30.0)],
                wish: ANY,
                expected: Some(mode(Grey, 640, 480, 30.0)),
            },
            Case {
                why: "an unknown rate is taken on trust",
                modes: vec![mode(Rgb24, 640, 480, 0.0), mode(Mjpeg, 640, 480, 30.0)],
                wish: ANY,
                expected: Some(mode(Rgb24, 640, 480, 0.0)),
            },
            Case {
                why: "29.97 serves 30",
                modes: vec![mode(Yuyv, 640, 480, 29.97), mode(Mjpeg, 640, 480, 30.0)],
                wish: ANY,
                expected: Some(mode(Yuyv, 640, 480, 29.97)),
            },
            Case {
                why: "no modes",
                modes: vec![],
                wish: ANY,
                expected: None,
            },
        ];
        for case in cases {
            assert_eq!(
                choose(&case.modes, &case.wish),
                case.expected,
                "{}",
                case.why
            );
        }
    }

    #[test]
    fn ranges_become_sizes_on_their_grid() {
        let range = SizeRange {
            width: Steps {
                min: 48,
                max: 1600,
                step: 16,
            },
            height: Steps {
                min: 32,
                max: 1200,
                step: 8,
            },
        };
        let sizes = sizes_in_range(&range, &ANY);
        assert!(sizes.contains(&(224, 224)) && sizes.contains(&(640, 480)));
        assert!(sizes.contains(&(1600, 1080)), "{sizes:?}");
        for (width, height) in sizes {
            assert!((width - 48) % 16 == 0 && (48..=1600).contains(&width));
            assert!((height - 32) % 8 == 0 && (32..=1200).contains(&height));
        }
    }

    #[test]
    fn a_driver_that_lists_no_sizes_is_asked_for_what_is_wanted() {
        let sized = Wish {
            size: Some((800, 600)),
            ..ANY
        };
        let cases = [
            (Some((1920, 1080)), ANY, (320, 240)),
            (Some((256, 256)), ANY, (256, 256)),
            (Some((1920, 1080)), sized, (800, 600)),
            (Some((0, 0)), sized, (800, 600)),
            (None, ANY, (320, 240)),
        ];
        for (current, wish, expected) in cases {
            let modes: Vec<_> = sizes_unlisted(current, &wish)
                .into_iter()
                .map(|(width, height)| mode(Yuyv, width, height, 0.0))
                .collect();
            let chosen = choose(&modes, &wish).map(|mode| (mode.width, mode.height));
            assert_eq!(chosen, Some(expected), "{current:?} {wish:?}");
        }
    }

    #[test]
    fn absurd_ranges_do_not_overflow() {
        let steps = Steps {
            min: u32::MAX - 1,
            max: 5,
            step: 0,
        };
        assert_eq!(steps.nearest(u32::MAX), u32::MAX - 1);
        let steps = Steps {
            min: 1,
            max: u32::MAX,
            step: u32::MAX,
        };
        assert_eq!(steps.nearest(u32::MAX), 1);
    }
}
