//! Pooling: over windows, or over the whole picture.

use std::ops::Range;

use super::{Element, Isa, Kernel, Rows, RowsMut, Simd, Window};

/// `out[c]` = the mean of channel `c` over the first `rows` pixels, for as many channels as `out` has.
///
/// # Panics
/// If there are fewer pixels, or none.
pub fn global_average<E: Element>(isa: Isa, x: Rows<E>, rows: usize, out: &mut [E]) {
    assert!(rows > 0, "a mean of something");
    x.check(rows, out.len());
    E::means(isa, Means { x, rows, out });
}

/// Made by the function above.
pub struct Means<'a, E> {
    x: Rows<'a, E>,
    rows: usize,
    out: &'a mut [E],
}

impl<E: Element> Kernel<E> for Means<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = E>>(mut self, simd: S) {
        let mut c = 0;
        while c + 4 * S::LANES <= self.out.len() {
            self.channels::<S, 4>(simd, c, S::LANES);
            c += 4 * S::LANES;
        }
        while c < self.out.len() {
            let count = S::LANES.min(self.out.len() - c);
            self.channels::<S, 1>(simd, c, count);
            c += S::LANES;
        }
    }
}

impl<E: Element> Means<'_, E> {
    /// `N` vectors from channel `c` on, of `count` channels each.
    #[inline(always)]
    fn channels<S: Simd<Element = E>, const N: usize>(&mut self, simd: S, c: usize, count: usize) {
        /// The most lanes that a vector has.
        const LANES: usize = 16;
        let mut totals = [[0.0f32; LANES]; N];
        for first in (0..self.rows).step_by(E::BATCH) {
            let mut sums = [simd.splat(0.0); N];
            for row in first..self.rows.min(first + E::BATCH) {
                let pixel = &self.x.data[row * self.x.stride + c..][..(N - 1) * S::LANES + count];
                for (n, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: the pixel has `N - 1` whole vectors and `count` values.
                    let v = unsafe {
                        let from = pixel.as_ptr().add(n * S::LANES);
                        if count == S::LANES {
                            simd.load(from)
                        } else {
                            simd.load_first(from, count)
                        }
                    };
                    *sum = simd.add(*sum, v);
                }
            }
            for (sum, totals) in sums.into_iter().zip(&mut totals) {
                // SAFETY: there are as many totals as any vector has lanes.
                unsafe { simd.add_to(totals.as_mut_ptr(), S::LANES, sum) };
            }
        }
        let scale = 1.0 / self.rows as f32;
        for (n, totals) in totals.iter().enumerate() {
            let to = &mut self.out[c + n * S::LANES..][..count];
            for (to, total) in to.iter_mut().zip(totals) {
                *to = E::from_f32(total * scale);
            }
        }
    }
}

/// What a window of pixels becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// The largest value within the picture.
    Max,
    /// The mean of the values within the picture or, with `count_padding`, of all the kernel's places, those outside
    /// being zero (ONNX's `count_include_pad`).
    Average { count_padding: bool },
}

/// Pools the output's rows `rows`; `x` and `out` are the whole pictures, of `channels` channels. Windows that see nothing
/// of the picture become zero.
///
/// # Panics
/// If a slice is too short for `window`, or `rows` ends after the output.
pub fn pool<E: Element>(
    isa: Isa,
    pool: Pool,
    x: Rows<E>,
    window: &Window,
    channels: usize,
    rows: Range<usize>,
    out: RowsMut<E>,
) {
    window.check(channels, x, &out, &rows);
    let kernel = Windows {
        pool,
        x,
        window,
        channels,
        rows,
        out,
    };
    E::pool(isa, kernel);
}

pub struct Windows<'a, E> {
    pool: Pool,
    x: Rows<'a, E>,
    window: &'a Window,
    channels: usize,
    rows: Range<usize>,
    out: RowsMut<'a, E>,
}

impl<E: Element> Kernel<E> for Windows<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = E>>(self, simd: S) {
        let Windows {
            pool,
            x,
            window,
            channels,
            rows,
            out,
        } = self;
        for y in rows {
            let taps_h = window.taps_of_row(y);
            for column in 0..window.out_width {
                let taps_w = window.taps_of_column(column);
                let seen = taps_h.len() * taps_w.len();
                let to = &mut out.data[(y * window.out_width + column) * out.stride..][..channels];
                if seen == 0 {
                    to.fill(E::default());
                    continue;
                }
                let (start, scale) = match pool {
                    Pool::Max => (f32::NEG_INFINITY, 1.0),
                    Pool::Average {
                        count_padding: true,
                    } => (0.0, 1.0 / (window.kernel_h * window.kernel_w) as f32),
                    Pool::Average {
                        count_padding: false,
                    } => (0.0, 1.0 / seen as f32),
                };
                for (block, to) in to.chunks_mut(S::LANES).enumerate() {
                    let count = to.len();
                    let mut result = simd.splat(start);
                    for i in taps_h.clone() {
                        let line = y * window.stride_h + i * window.dilation_h - window.pad_top;
                        for j in taps_w.clone() {
                            let at =
                                column * window.stride_w + j * window.dilation_w - window.pad_left;
                            let from = (line * window.width + at) * x.stride + block * S::LANES;
                            let pixel = &x.data[from..][..count];
                            // SAFETY: it has `count` values.
                            let v = unsafe { simd.load_first(pixel.as_ptr(), count) };
                            result = match pool {
                                Pool::Max => simd.max(result, v),
                                Pool::Average { .. } => simd.add(result, v),
                            };
                        }
                    }
                    // SAFETY: it has `count` values.
                    unsafe {
                        simd.store_first(
                            to.as_mut_ptr(),
                            count,
                            simd.mul(result, simd.splat(scale)),
                        )
                    };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;

    /// At most 6, and such as the type has.
    fn values<E: Element>(len: usize) -> (Vec<f32>, Vec<E>) {
        let values: Vec<E> = (0..len)
            .map(|i| E::from_f32(((i * 37) % 157) as f32 * 0.05 - 6.0))
            .collect();
        (values.iter().map(|value| value.to_f32()).collect(), values)
    }

    /// Of a mean of values of at most 6, added up by so many: the sums are rounded by half a unit in the last place.
    fn tolerance<E: Element>(summed: usize) -> f64 {
        f64::from(E::EPSILON) / 2.0 * 6.0 * (summed as f64 / 2.0 + 3.0)
    }

    #[test]
    fn means_are_those_of_each_channel() {
        are_those_of_each_channel::<f32>();
        are_those_of_each_channel::<f16>();
    }

    fn are_those_of_each_channel<E: Element>() {
        for isa in Isa::computing::<E>() {
            for (channels, rows, gap) in [
                (1, 1, 0),
                (7, 49, 3),
                (16, 64, 0),
                (70, 65, 1),
                (131, 3000, 0),
            ] {
                let stride = channels + gap;
                let (x, given) = values::<E>(rows * stride);
                let data = &given[..];
                let mut out = vec![E::from_f32(5.0); channels];
                global_average(isa, Rows { data, stride }, rows, &mut out);
                for (c, got) in out.iter().enumerate() {
                    let sum: f64 = x.chunks(stride).map(|pixel| f64::from(pixel[c])).sum();
                    assert!(
                        (f64::from(got.to_f32()) - sum / rows as f64).abs()
                            < tolerance::<E>(E::BATCH),
                        "{} {channels} {c}",
                        isa.name()
                    );
                }
            }
        }
    }

    #[test]
    fn windows_pool_what_they_see() {
        pool_what_they_see::<f32>();
        pool_what_they_see::<f16>();
    }

    fn pool_what_they_see<E: Element>() {
        let nine = E::from_f32(9.0);
        let all = [
            Pool::Max,
            Pool::Average {
                count_padding: true,
            },
            Pool::Average {
                count_padding: false,
            },
        ];
        for channels in [1, 7, 16, 37] {
            for (size, kernel, stride, dilation, pad) in [
                ((5, 6), (3, 3), (1, 2), 1, (1, 1)),
                ((7, 4), (2, 3), (2, 1), 2, (0, 2)),
                ((2, 2), (3, 1), (3, 3), 1, (2, 0)),
            ] {
                let out_size = |size: usize, kernel: usize, stride: usize, pad: usize| {
                    (size + 2 * pad - ((kernel - 1) * dilation + 1)) / stride + 1
                };
                let window = Window {
                    height: size.0,
                    width: size.1,
                    kernel_h: kernel.0,
                    kernel_w: kernel.1,
                    stride_h: stride.0,
                    stride_w: stride.1,
                    dilation_h: dilation,
                    dilation_w: dilation,
                    pad_top: pad.0,
                    pad_left: pad.1,
                    out_height: out_size(size.0, kernel.0, stride.0, pad.0),
                    out_width: out_size(size.1, kernel.1, stride.1, pad.1),
                };
                let (x, given) = values::<E>(size.0 * size.1 * (channels + 2));
                let stride = channels + 2;
                let x = Rows { data: &x, stride };
                let data = &given[..];
                let given = Rows { data, stride };
                for isa in Isa::computing::<E>() {
                    for kind in all {
                        let mut out =
                            vec![nine; window.out_height * window.out_width * (channels + 1)];
                        let to = RowsMut {
                            data: &mut out,
                            stride: channels + 1,
                        };
                        pool(
                            isa,
                            kind,
                            given,
                            &window,
                            channels,
                            0..window.out_height,
                            to,
                        );
                        for (o, pixel) in out.chunks(channels + 1).enumerate() {
                            assert_eq!(pixel[channels], nine, "more is written");
                            for (c, got) in pixel[..channels].iter().enumerate() {
                                let expected = reference(kind, &x, &window, o, c);
                                assert!(
                                    f64::from((got.to_f32() - expected).abs()) < tolerance::<E>(9),
                                    "{kind:?} {}: {got:?} {expected}",
                                    isa.name()
                                );
                            }
                        }
                    }
                }
            }
        }
    }

    fn reference(kind: Pool, x: &Rows, p: &Window, o: usize, c: usize) -> f32 {
        let (y, column) = (o / p.out_width, o % p.out_width);
        let mut seen = Vec::new();
        for i in 0..p.kernel_h {
            for j in 0..p.kernel_w {
                let line = (y * p.stride_h + i * p.dilation_h)
                    .checked_sub(p.pad_top)
                    .filter(|l| *l < p.height);
                let at = (column * p.stride_w + j * p.dilation_w)
                    .checked_sub(p.pad_left)
                    .filter(|a| *a < p.width);
                if let (Some(line), Some(at)) = (line, at) {
                    seen.push(x.data[(line * p.width + at) * x.stride + c]);
                }
            }
        }
        let sum: f32 = seen.iter().sum();
        match kind {
            _ if seen.is_empty() => 0.0,
            Pool::Max => seen.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            Pool::Average {
                count_padding: true,
            } => sum / (p.kernel_h * p.kernel_w) as f32,
            Pool::Average {
                count_padding: false,
            } => sum / seen.len() as f32,
        }
    }
}
