//! Pooling: over windows, or over the whole picture.

use std::ops::Range;

use edge_classify_kernels::{Isa, Pool, Rows, RowsMut, Window};

use super::depthwise::MOST_SUMMED;
use super::picture::Picture;
use super::quantization::Quantization;
use super::rounding::{Rounding, whole_range};
use super::simd::{LevelKernel, Levels, run};

/// Channels that are summed up together, in whole vectors.
const BLOCK: usize = 64;

/// What means are written as.
#[derive(Debug)]
pub enum Means<'a> {
    Levels(Quantization, &'a mut [u8]),
    Values(&'a mut [f32]),
}

impl Means<'_> {
    fn len(&self) -> usize {
        match self {
            Means::Levels(_, levels) => levels.len(),
            Means::Values(values) => values.len(),
        }
    }

    /// What a sum of so many levels above the zero point is multiplied by: the f32 nearest to `input.scale / pixels`, over
    /// the output's scale if that has one.
    fn multiplier(&self, input: Quantization, pixels: usize) -> f32 {
        let output = match self {
            Means::Levels(output, _) => Some(*output),
            Means::Values(_) => None,
        };
        input.mean_multiplier(pixels, output)
    }
}

/// `out[c]` = the mean of channel `c` over the first `pixels` pixels, for as many channels as `out` has: the sum of the levels
/// above the zero point, which is exact, as f32 times a [multiplier](Means::multiplier); and the nearest level of that.
///
/// # Panics
/// If there are fewer pixels, none, or more than [`MOST_SUMMED`].
pub fn global_average(isa: Isa, x: Rows<u8>, pixels: usize, input: Quantization, out: Means) {
    assert!(
        (1..=MOST_SUMMED).contains(&pixels),
        "a mean of {pixels} pixels"
    );
    x.check(pixels, out.len());
    let kernel = Average {
        x,
        pixels,
        zero_point: input.zero_point,
        multiplier: out.multiplier(input, pixels),
        out,
    };
    run(isa, kernel);
}

/// Made by [`global_average`].
struct Average<'a> {
    x: Rows<'a, u8>,
    pixels: usize,
    zero_point: i8,
    multiplier: f32,
    out: Means<'a>,
}

impl LevelKernel for Average<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Levels>(mut self, simd: S) {
        let channels = self.out.len();
        // What the zero point adds up to.
        let zeros = i32::from(self.zero_point) * self.pixels as i32;
        for c in (0..channels).step_by(BLOCK) {
            let count = BLOCK.min(channels - c);
            let mut sums = [0; BLOCK];
            for pixel in 0..self.pixels {
                let levels = &self.x.data[pixel * self.x.stride + c..][..count];
                add_levels::<S>(levels, &mut sums);
            }
            let sums = sums.map(|sum| sum - zeros);
            finish(simd, &sums, self.multiplier, c..c + count, &mut self.out);
        }
    }
}

/// Adds as many levels as there are.
#[inline(always)]
fn add_levels<S: Levels>(bytes: &[u8], sums: &mut [i32; BLOCK]) {
    if let Ok(bytes) = <&[u8; BLOCK]>::try_from(bytes) {
        for (sum, byte) in sums.iter_mut().zip(bytes) {
            *sum += i32::from((byte ^ S::FLIP) as i8);
        }
    } else {
        for (sum, byte) in sums.iter_mut().zip(bytes) {
            *sum += i32::from((byte ^ S::FLIP) as i8);
        }
    }
}

/// Writes the means of some channels, of which there are no more than sums.
#[inline(always)]
fn finish<S: Levels>(
    simd: S,
    sums: &[i32; BLOCK],
    multiplier: f32,
    channels: Range<usize>,
    out: &mut Means,
) {
    let multiplier = simd.splat(multiplier);
    for lane in (0..channels.len()).step_by(S::LANES) {
        let c = channels.start + lane;
        let count = S::LANES.min(channels.end - c);
        // SAFETY: there are sums for whole vectors, and `count` outputs from `c` on.
        unsafe {
            let sum = simd.load_integers(sums[lane..][..S::LANES].as_ptr());
            let t = simd.mul(simd.to_floats(sum), multiplier);
            match out {
                Means::Levels(output, levels) => {
                    let rounding = Rounding::linear(simd, whole_range(*output));
                    rounding.store(simd, levels[c..][..count].as_mut_ptr(), count, t);
                }
                Means::Values(values) => {
                    simd.store_first(values[c..][..count].as_mut_ptr(), count, t);
                }
            }
        }
    }
}

/// Pools the output's rows `rows`; `x` and `out` are the whole pictures. Means are the nearest levels of exact sums of levels
/// above the zero point, as f32, times the f32 nearest to `input scale / (output.scale * summed values)`. Windows that see
/// nothing of the picture become zero.
///
/// # Panics
/// If a slice is too short for `window`, `rows` ends after the output, maxima are of another quantization than the picture,
/// or a window has more than [`MOST_SUMMED`] places.
pub fn pool(
    isa: Isa,
    pool: Pool,
    x: Picture,
    window: &Window,
    rows: Range<usize>,
    output: Quantization,
    out: RowsMut<u8>,
) {
    window.check(x.channels, x.rows, &out, &rows);
    assert!(
        pool != Pool::Max || x.quantization == output,
        "maxima are of the picture's quantization"
    );
    let places = window.kernel_h.checked_mul(window.kernel_w);
    assert!(
        places.is_some_and(|places| places <= MOST_SUMMED),
        "a window of {} x {}",
        window.kernel_h,
        window.kernel_w
    );
    let kernel = Windows {
        pool,
        x,
        window,
        rows,
        output,
        out,
    };
    run(isa, kernel);
}

/// Made by [`pool`].
struct Windows<'a> {
    pool: Pool,
    x: Picture<'a>,
    window: &'a Window,
    rows: Range<usize>,
    output: Quantization,
    out: RowsMut<'a, u8>,
}

impl LevelKernel for Windows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Levels>(self, simd: S) {
        let Windows {
            pool,
            x,
            window,
            rows,
            output,
            out,
        } = self;
        let Picture {
            rows: pixels,
            channels,
            quantization: input,
        } = x;
        for y in rows {
            let taps_h = window.taps_of_row(y);
            for column in 0..window.out_width {
                let taps_w = window.taps_of_column(column);
                let seen = taps_h.len() * taps_w.len();
                let to = &mut out.data[(y * window.out_width + column) * out.stride..][..channels];
                if seen == 0 {
                    to.fill(output.zero_point as u8 ^ S::FLIP);
                    continue;
                }
                let summed = match pool {
                    Pool::Average {
                        count_padding: true,
                    } => window.kernel_h * window.kernel_w,
                    _ => seen,
                };
                let multiplier = input.mean_multiplier(summed, Some(output));
                let zeros = i32::from(input.zero_point) * seen as i32;
                for (block, to) in to.chunks_mut(BLOCK).enumerate() {
                    let (c, count) = (block * BLOCK, to.len());
                    let mut sums = [0; BLOCK];
                    let mut most = [i8::MIN; BLOCK];
                    for i in taps_h.clone() {
                        let line = y * window.stride_h + i * window.dilation_h - window.pad_top;
                        for j in taps_w.clone() {
                            let at =
                                column * window.stride_w + j * window.dilation_w - window.pad_left;
                            let from = (line * window.width + at) * pixels.stride + c;
                            let bytes = &pixels.data[from..][..count];
                            match pool {
                                Pool::Max => {
                                    for (most, byte) in most.iter_mut().zip(bytes) {
                                        *most = (*most).max((byte ^ S::FLIP) as i8);
                                    }
                                }
                                Pool::Average { .. } => add_levels::<S>(bytes, &mut sums),
                            }
                        }
                    }
                    if pool == Pool::Max {
                        for (to, most) in to.iter_mut().zip(most) {
                            *to = most as u8 ^ S::FLIP;
                        }
                        continue;
                    }
                    let sums = sums.map(|sum| sum - zeros);
                    let mut means = Means::Levels(output, to);
                    finish(simd, &sums, multiplier, 0..count, &mut means);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
