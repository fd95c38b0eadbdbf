//! Layers of levels that are computed by rows.

use std::ops::Range;

use edge_classify_int8::{Output, Picture, conv, depthwise, multiply_channels, pointwise};
use edge_classify_kernels::{Activation, Window};

use super::{Run, levels};
use crate::executor::ahead;
use crate::executor::arena::Place;
use crate::executor::piece::{ByRows, Piece, from};
use crate::executor::sums::Means;

impl ByRows for Run {
    type Value = u8;
    type Sum = i32;

    fn needs(&self, rows: &Range<usize>) -> Option<Range<usize>> {
        match self {
            Run::Read { .. } | Run::Pointwise { .. } | Run::Multiply { .. } => Some(rows.clone()),
            Run::Convolution { window, .. } | Run::Depthwise { window, .. } => {
                Some(window.sees(rows))
            }
            _ => None,
        }
    }

    fn window(&self) -> Option<&Window> {
        match self {
            Run::Convolution { window, .. } | Run::Depthwise { window, .. } => Some(window),
            _ => None,
        }
    }

    fn means(&self) -> Option<&Means> {
        match self {
            Run::Depthwise { means, .. } => means.as_ref(),
            _ => None,
        }
    }

    fn reads(&self) -> bool {
        matches!(self, Run::Read { .. })
    }

    fn kernel_scratch_len(&self, _: usize) -> usize {
        match self {
            Run::Convolution { w, window, .. } => w.scratch_len(window),
            Run::Excite { w, .. } => w.hidden() * size_of::<f32>(),
            _ => 0,
        }
    }

    fn addresses(&self) -> Option<Range<usize>> {
        match self {
            Run::Pointwise { w, .. } => Some(w.addresses()),
            Run::Convolution { w, .. } => Some(w.addresses()),
            Run::Depthwise { w, .. } => Some(w.addresses()),
            Run::Excite { w, .. } => {
                let [squeeze, excite] = w.addresses();
                ahead::join(squeeze, excite)
            }
            _ => None,
        }
    }

    fn compute(&self, width: usize, _: Activation, piece: Piece<u8, i32>) {
        let Piece {
            x,
            held,
            rows,
            out,
            around,
            ahead,
            sums,
            scratch,
        } = piece;
        let out = Output::Levels(out);
        let piece = Piece {
            x,
            held,
            rows,
            out,
            around,
            ahead,
            sums,
            scratch,
        };
        self.write(width, piece);
    }
}

impl Run {
    /// As [`ByRows::compute`], to levels or f32.
    pub(super) fn write(&self, width: usize, piece: Piece<u8, i32, Output>) {
        let Piece {
            x,
            held,
            rows,
            out,
            around,
            sums,
            scratch,
            ..
        } = piece;
        let (first, pixels) = (rows.start * width, rows.len() * width);
        let residual = |place: &Option<Place>| place.map(|place| from(around.rows(place), first));
        let same_pixels = || {
            let ring = held.from(x.values(), rows.start);
            from(ring.pixels, ring.first * width)
        };
        // What the window sees of the rows that are held.
        let seen = |window: &Window| {
            let (first, band) = window.band(&rows);
            let band = Window {
                height: held.rows.end - first,
                ..band
            };
            (held.from(x.values(), first), band)
        };
        match self {
            Run::Read { isa, output, .. } => {
                let to = &mut levels(out).data[..3 * pixels];
                x.input().quantize(*isa, rows.start, width, *output, to);
            }
            Run::Pointwise { w, residual: term } => {
                pointwise(same_pixels(), pixels, w, residual(term), out);
            }
            Run::Convolution {
                w,
                window,
                residual: term,
            } => {
                let (x, band) = seen(window);
                conv(
                    x,
                    &band,
                    w,
                    residual(term),
                    0..band.out_height,
                    out,
                    scratch,
                );
            }
            Run::Depthwise { w, window, .. } => {
                let (x, band) = seen(window);
                depthwise(x, &band, w, 0..band.out_height, levels(out), sums);
            }
            Run::Multiply {
                isa,
                gate,
                bounds,
                input,
                output,
            } => {
                let x = Picture {
                    rows: same_pixels(),
                    channels: gate.channels,
                    quantization: *input,
                };
                let gate = around.values(*gate);
                multiply_channels(*isa, x, pixels, gate, *output, *bounds, levels(out));
            }
            _ => unreachable!("a layer that is computed as a whole"),
        }
    }
}
