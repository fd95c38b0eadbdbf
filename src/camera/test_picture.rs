//! A moving picture for machines without a camera.

use std::time::{Duration, Instant};

use super::colorimetry::Colorimetry;
use super::frame::{Content, RawFrame};
use super::{Dropped, Frame, FrameFormat, PixelFormat, Source};

const WIDTH: u32 = 320;
const HEIGHT: u32 = 240;
const FRAMES_PER_SECOND: u32 = 30;

/// Colour bars drifting to the left under a bouncing ball, 320x240 at 30 frames a second.
pub struct TestPicture {
    started: Instant,
    next: u64,
    dropped: Dropped,
}

impl Default for TestPicture {
    fn default() -> Self {
        TestPicture {
            started: Instant::now(),
            next: 0,
            dropped: Dropped::default(),
        }
    }
}

impl Source for TestPicture {
    fn next(&mut self, stop: &dyn Fn() -> bool) -> Option<Frame> {
        // As with a camera, what nobody asked for in time is gone.
        let interval = Duration::from_secs(1) / FRAMES_PER_SECOND;
        let newest = (self.started.elapsed().as_nanos() / interval.as_nanos()) as u64;
        if newest > self.next {
            self.dropped.stale += newest - self.next;
            self.next = newest;
        }
        let due = self.started + interval * u32::try_from(self.next).unwrap_or(u32::MAX);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if stop() {
            return None;
        }
        let number = self.next;
        self.next += 1;
        Some(Frame {
            source: "test".to_owned(),
            number,
            content: Content::Raw(RawFrame {
                format: FrameFormat {
                    pixel: PixelFormat::Rgb24,
                    width: WIDTH,
                    height: HEIGHT,
                    stride: WIDTH * 3,
                    colorimetry: Colorimetry::FULL_601,
                },
                bytes: draw(number),
            }),
        })
    }

    fn dropped(&self) -> Dropped {
        self.dropped
    }
}

fn draw(number: u64) -> Vec<u8> {
    const BARS: [[u8; 3]; 7] = [
        [191, 191, 191],
        [191, 191, 0],
        [0, 191, 191],
        [0, 191, 0],
        [191, 0, 191],
        [191, 0, 0],
        [0, 0, 191],
    ];
    const RADIUS: i64 = 30;
    let drift = (number % u64::from(WIDTH)) as u32;
    let centre_x = bounce(number * 4, i64::from(WIDTH), RADIUS);
    let centre_y = bounce(number * 3, i64::from(HEIGHT), RADIUS);
    let mut rgb = Vec::with_capacity((WIDTH * HEIGHT * 3) as usize);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let (dx, dy) = (i64::from(x) - centre_x, i64::from(y) - centre_y);
            let colour = if dx * dx + dy * dy <= RADIUS * RADIUS {
                [255, 140, 0]
            } else {
                BARS[((x + drift) % WIDTH * 7 / WIDTH) as usize]
            };
            rgb.extend(colour);
        }
    }
    rgb
}

/// Position of a ball that has travelled `way` between two walls `length` apart.
fn bounce(way: u64, length: i64, radius: i64) -> i64 {
    let span = length - 2 * radius;
    let phase = (way % (2 * span as u64)) as i64;
    radius
        + if phase < span {
            phase
        } else {
            2 * span - phase
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_numbered_and_move() {
        let mut source = TestPicture::default();
        let first = source.next(&|| false).unwrap();
        let second = source.next(&|| false).unwrap();
        assert!(second.number > first.number);
        let mut pictures = [(); 2].map(|()| image::RgbImage::default());
        first.decode(&mut pictures[0]).unwrap();
        second.decode(&mut pictures[1]).unwrap();
        assert_eq!(pictures[0].dimensions(), (WIDTH, HEIGHT));
        assert_ne!(pictures[0], pictures[1]);
        assert!(source.next(&|| true).is_none());
    }

    #[test]
    fn the_ball_stays_inside() {
        for way in 0..2000 {
            assert!((30..=210).contains(&bounce(way, 240, 30)));
        }
    }
}
