//! Any kernel, stride and dilation: one output pixel after the other.

use super::{Job, PAD};
use crate::rounding::Rounding;
use crate::simd::{LevelKernel, Levels};

pub(super) struct General<'a>(pub(super) Job<'a>);

impl LevelKernel for General<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Levels>(self, simd: S) {
        let Job {
            x,
            window,
            w,
            rows,
            out,
            out_stride,
            mut sums,
        } = self.0;
        let stride = w.bias.len();
        let zero = i16::from(w.requantization.input.zero_point);
        let zero_out = i32::from(w.output.zero_point);
        let rounding = Rounding::new(simd, &w.requantization, w.range());
        for y in rows {
            let taps_h = window.taps_of_row(y);
            for column in 0..window.out_width {
                let taps_w = window.taps_of_column(column);
                // SAFETY: `out` has all of the window's pixels, and nobody else their channels.
                let to = unsafe {
                    let to = out.add((y * window.out_width + column) * out_stride);
                    std::slice::from_raw_parts_mut(to, w.channels)
                };
                for (block, to) in to.chunks_mut(PAD).enumerate() {
                    let (c, count) = (block * PAD, to.len());
                    let mut totals = [0; PAD];
                    totals.copy_from_slice(&w.bias[c..][..PAD]);
                    for i in taps_h.clone() {
                        let line =
                            x.line(y * window.stride_h + i * window.dilation_h - window.pad_top);
                        for j in taps_w.clone() {
                            let at =
                                column * window.stride_w + j * window.dilation_w - window.pad_left;
                            let pixel = &x.pixels.data
                                [(line * window.width + at) * x.pixels.stride + c..][..count];
                            let tap = &w.taps.values()[(i * w.kernel_w + j) * stride + c..][..PAD];
                            let mut bytes = [0; PAD];
                            match <&[u8; PAD]>::try_from(pixel) {
                                Ok(pixel) => bytes = *pixel,
                                Err(_) => bytes[..count].copy_from_slice(pixel),
                            }
                            for n in 0..PAD {
                                let above = i16::from((bytes[n] ^ S::FLIP) as i8) - zero;
                                totals[n] += i32::from(above) * i32::from(i16::from(tap[n]));
                            }
                        }
                    }
                    for lane in (0..count).step_by(S::LANES) {
                        let some = S::LANES.min(count - lane);
                        // SAFETY: there are totals and multipliers for whole vectors, and `some` bytes.
                        unsafe {
                            let sum = simd.load_integers(totals[lane..][..S::LANES].as_ptr());
                            let multiplier =
                                simd.load(w.multipliers[c + lane..][..S::LANES].as_ptr());
                            let t = simd.mul(simd.to_floats(sum), multiplier);
                            rounding.store(simd, to[lane..].as_mut_ptr(), some, t);
                        }
                    }
                    if let Some(sums) = &mut sums {
                        for (sum, byte) in sums[c..].iter_mut().zip(to.iter()) {
                            *sum += i32::from((byte ^ S::FLIP) as i8) - zero_out;
                        }
                    }
                }
            }
        }
    }
}
