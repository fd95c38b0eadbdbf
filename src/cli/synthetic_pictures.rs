//! Random pictures with the statistics of photographs, roughly: noise of several frequencies, smooth between its points,
//! with less of the higher ones, and more of it in brightness than in colour (amplitudes of natural scenes fall as one over
//! frequency: Field 1987).

use image::{Rgb, RgbImage};

/// Points of noise along a picture's side; amplitudes go with one over them.
const FREQUENCIES: [usize; 7] = [2, 4, 8, 16, 32, 64, 128];

/// Of colour beside brightness.
const COLOUR: f32 = 0.3;

/// A square picture; the same for the same seed and number.
pub fn picture(seed: u64, number: u64, side: u32) -> RgbImage {
    let mut random = Random(seed ^ number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    // Dark ones and light ones, flat ones and rough ones.
    let contrast = random.between(15.0, 75.0);
    let means = [(); 3].map(|()| random.between(-40.0, 40.0));
    let brightness = random.between(70.0, 185.0);
    let roughness = random.between(0.7, 1.5);
    let planes = [(); 4].map(|()| noise(&mut random, side as usize, roughness));
    RgbImage::from_fn(side, side, |x, y| {
        let at = (y * side + x) as usize;
        let light = planes[3][at] + brightness / contrast;
        Rgb([0, 1, 2].map(|channel| {
            let value = contrast * (light + COLOUR * planes[channel][at]);
            (value + COLOUR * means[channel]).round() as u8
        }))
    })
}

/// About 0, with a deviation of about 1.
fn noise(random: &mut Random, side: usize, roughness: f32) -> Vec<f32> {
    let mut plane = vec![0.0f32; side * side];
    for points in FREQUENCIES.into_iter().filter(|points| *points <= side) {
        let amplitude = (points as f32 / FREQUENCIES[0] as f32).powf(-roughness);
        let row = points + 1;
        let grid: Vec<f32> = (0..row * row).map(|_| random.between(-1.7, 1.7)).collect();
        // The cell that a pixel is in, and where in it, with slopes of 0 at the points.
        let place = |pixel: usize| {
            let place = (pixel as f32 + 0.5) * points as f32 / side as f32;
            let part = place.fract();
            (place as usize, part * part * (3.0 - 2.0 * part))
        };
        for (y, pixels) in plane.chunks_exact_mut(side).enumerate() {
            let (top, down) = place(y);
            for (x, pixel) in pixels.iter_mut().enumerate() {
                let (left, right) = place(x);
                let between = |row: &[f32]| row[left] + (row[left + 1] - row[left]) * right;
                let [upper, lower] = [top, top + 1].map(|y| between(&grid[y * row..]));
                *pixel += amplitude * (upper + (lower - upper) * down);
            }
        }
    }
    plane
}

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn between(&mut self, low: f32, high: f32) -> f32 {
        let part = (self.next() >> 40) as f32 / (1 << 24) as f32;
        low + (high - low) * part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_differ_by_seed_and_number_and_are_smooth() {
        let first = picture(1, 0, 96);
        assert_eq!(first, picture(1, 0, 96));
        assert_ne!(first, picture(1, 1, 96));
        assert_ne!(first, picture(2, 0, 96));
        for number in 0..8 {
            let picture = picture(7, number, 96);
            let levels: Vec<f64> = picture.pixels().map(|p| f64::from(p.0[1])).collect();
            let mean = levels.iter().sum::<f64>() / levels.len() as f64;
            let deviation = |values: &mut dyn Iterator<Item = f64>| {
                let (mut sum, mut count) = (0.0, 0.0);
                for value in values {
                    sum += value * value;
                    count += 1.0;
                }
                f64::sqrt(sum / count)
            };
            let whole = deviation(&mut levels.iter().map(|level| level - mean));
            let steps = deviation(&mut levels.windows(2).map(|pair| pair[1] - pair[0]));
            assert!(
                whole > 5.0 && steps < whole,
                "{whole}, {steps} between neighbours"
            );
        }
    }
}
