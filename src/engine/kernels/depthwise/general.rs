//! Any kernel, stride and dilation: one output pixel after the other.

use super::Job;
use crate::{Element, Kernel, Simd};

pub(super) struct General<'a, E>(pub(super) Job<'a, E>);

impl<E: Element> Kernel<E> for General<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = E>>(self, simd: S) {
        let Job {
            x,
            window,
            w,
            activation,
            rows,
            out,
            out_stride,
            mut sums,
        } = self.0;
        for y in rows {
            let taps_h = window.taps_of_row(y);
            for column in 0..window.out_width {
                let taps_w = window.taps_of_column(column);
                // SAFETY: `out` has all of the window's pixels, and nobody else their channels.
                let to = unsafe {
                    let to = out.add((y * window.out_width + column) * out_stride);
                    std::slice::from_raw_parts_mut(to, w.channels)
                };
                for (block, to) in to.chunks_mut(S::LANES).enumerate() {
                    let c = block * S::LANES;
                    // SAFETY: `bias` and `taps` have whole vectors for all channels; the others have `count` values.
                    unsafe {
                        let count = to.len();
                        let mut sum = simd.load(w.bias[c..][..S::LANES].as_ptr());
                        for i in taps_h.clone() {
                            let line = x
                                .line(y * window.stride_h + i * window.dilation_h - window.pad_top);
                            for j in taps_w.clone() {
                                let at = column * window.stride_w + j * window.dilation_w
                                    - window.pad_left;
                                let pixel = &x.pixels.data
                                    [(line * window.width + at) * x.pixels.stride + c..][..count];
                                let tap =
                                    &w.taps[(i * w.kernel_w + j) * w.stride + c..][..S::LANES];
                                let pixel = simd.load_first(pixel.as_ptr(), count);
                                sum = simd.mul_add(pixel, simd.load(tap.as_ptr()), sum);
                            }
                        }
                        let value = activation.apply(simd, sum);
                        simd.store_first(to.as_mut_ptr(), count, value);
                        if let Some(sums) = &mut sums {
                            let total = &mut sums[c..c + count];
                            simd.add_to(total.as_mut_ptr(), count, value);
                        }
                    }
                }
            }
        }
    }
}
