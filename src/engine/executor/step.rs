//! One layer, ready to run in the arena.

use std::sync::Arc;

use edge_classify_kernels::{
    Activation, Epilogue, Isa, PackedConv, PackedDepthwise, PackedExcite, PackedMatrix, Pool, Rows,
    RowsMut, Window,
};
use edge_classify_kernels::{
    activate, add, conv, depthwise, excite, global_average, multiply_channels, pointwise, pool,
    scale_shift,
};

use super::arena::Place;
use super::team;
use crate::engine::EngineError;
use crate::engine::net::Part;

/// A layer's kernel with what it needs besides its input.
#[derive(Debug)]
pub enum Run {
    Pointwise {
        w: PackedMatrix,
        bias: Vec<f32>,
        gate: Option<Place>,
        residual: Option<Place>,
    },
    Convolution {
        w: PackedConv,
        bias: Vec<f32>,
        window: Window,
        residual: Option<Place>,
    },
    Depthwise {
        w: PackedDepthwise,
        window: Window,
        means: Option<Means>,
    },
    Pool {
        isa: Isa,
        pool: Pool,
        window: Window,
    },
    Mean {
        isa: Isa,
    },
    Excite {
        w: PackedExcite,
        squeeze_activation: Activation,
    },
    Multiply {
        isa: Isa,
        gate: Place,
    },
    Add {
        isa: Isa,
        other: Place,
    },
    Affine {
        isa: Isa,
        scale: Vec<f32>,
        shift: Vec<f32>,
    },
    Activate {
        isa: Isa,
    },
    Shuffle {
        groups: usize,
    },
    Part {
        part: Arc<Part>,
        more: Vec<Place>,
    },
}

/// The mean of what a depthwise convolution writes, for squeeze-and-excitation.
#[derive(Debug)]
pub struct Means {
    pub place: Place,
    /// One over the number of pixels.
    pub scale: f32,
}

impl Run {
    /// Floats of scratch for so many output pixels.
    pub fn scratch_len(&self, pixels: usize) -> usize {
        match self {
            Run::Pointwise {
                w, gate: Some(_), ..
            } => w.scratch_len(pixels),
            Run::Convolution { w, window, .. } => w.scratch_len(window),
            Run::Depthwise {
                means: Some(means), ..
            } => means.place.channels,
            Run::Excite { w, .. } => w.hidden(),
            _ => 0,
        }
    }

    /// Multiply-adds, or what takes about as long.
    pub fn cost(&self, input: Place, output: Place) -> usize {
        /// Values that are read and written for each step of arithmetic.
        const PASS: usize = 8;
        let values = output.pixels * output.channels;
        match self {
            Run::Pointwise { .. } => values * input.channels,
            Run::Convolution { window, .. } => {
                values * input.channels * window.kernel_h * window.kernel_w
            }
            // Memory rather than arithmetic is what takes the time.
            Run::Depthwise { window, .. } | Run::Pool { window, .. } => {
                values * (window.kernel_h * window.kernel_w).max(PASS)
            }
            _ => values * PASS,
        }
    }
}

#[derive(Debug)]
pub struct Step {
    pub input: Place,
    pub output: Place,
    pub activation: Activation,
    pub run: Run,
    /// Index in the network.
    pub layer: usize,
    /// In multiply-adds.
    pub cost: usize,
}

/// The arena on both sides of what is written.
struct Around<'a> {
    before: &'a [f32],
    after: &'a [f32],
    /// Where the second begins.
    start: usize,
}

impl<'a> Around<'a> {
    fn values(&self, place: Place) -> &'a [f32] {
        if place.offset < self.start {
            &self.before[place.range(0)]
        } else {
            &self.after[place.range(self.start)]
        }
    }

    fn rows(&self, place: Place) -> Rows<'a> {
        Rows {
            data: self.values(place),
            stride: place.stride,
        }
    }
}

impl Step {
    /// In `parts` at the same time. `scratch` has at least [`Run::scratch_len`] floats for each. Nothing but a delegate
    /// fails.
    pub fn run(
        &self,
        arena: &mut [f32],
        scratch: &mut [f32],
        parts: usize,
    ) -> Result<(), EngineError> {
        let (input, output, activation) = (self.input, self.output, self.activation);
        let (before, rest) = arena.split_at_mut(output.offset);
        let (data, after) = rest.split_at_mut(output.len());
        let around = Around {
            before,
            after,
            start: output.offset + output.len(),
        };
        let x = around.rows(input);
        let out = RowsMut {
            data,
            stride: output.stride,
        };
        let scratch_len = self.run.scratch_len(output.pixels);
        let share = |rows, out: RowsMut, scratch, compute: &(dyn Fn(team::Part) + Sync)| {
            let row_len = output.pixels / rows * out.stride;
            let part = team::Part {
                rows: 0..rows,
                out,
                scratch,
            };
            part.share(parts, row_len, scratch_len, &compute);
        };
        match &self.run {
            Run::Pointwise {
                w,
                bias,
                gate,
                residual,
            } => {
                let gate = gate.map(|place| around.values(place));
                let residual = residual.map(|place| around.rows(place));
                share(output.pixels, out, scratch, &|part| {
                    let epilogue = Epilogue {
                        bias: Some(bias),
                        residual: residual.map(|residual| from(residual, part.rows.start)),
                        activation,
                    };
                    let x = from(x, part.rows.start);
                    let pixels = part.rows.len();
                    pointwise(x, pixels, w, gate, &epilogue, part.out, part.scratch);
                });
            }
            Run::Convolution {
                w,
                bias,
                window,
                residual,
            } => {
                let residual = residual.map(|place| around.rows(place));
                share(window.out_height, out, scratch, &|part| {
                    let first = part.rows.start * window.out_width;
                    let epilogue = Epilogue {
                        bias: Some(bias),
                        residual: residual.map(|residual| from(residual, first)),
                        activation,
                    };
                    conv(
                        x.data,
                        window,
                        w,
                        &epilogue,
                        part.rows,
                        part.out,
                        part.scratch,
                    );
                });
            }
            Run::Depthwise { w, window, means } => {
                let sums_len = means.as_ref().map_or(0, |means| means.place.channels);
                let sums = ..sums_len * parts.min(window.out_height);
                scratch[sums].fill(0.0);
                share(window.out_height, out, scratch, &|part| {
                    let (first, window) = window.band(&part.rows);
                    let x = from(x, first * window.width);
                    let sums = means.as_ref().map(|_| &mut part.scratch[..sums_len]);
                    depthwise(
                        x,
                        &window,
                        w,
                        activation,
                        0..window.out_height,
                        part.out,
                        sums,
                    );
                });
                if let Some(means) = means {
                    let place = &mut arena[means.place.range(0)];
                    place.fill(0.0);
                    for part in scratch[sums].chunks_exact(sums_len) {
                        for (mean, sum) in place.iter_mut().zip(part) {
                            *mean += *sum * means.scale;
                        }
                    }
                }
            }
            Run::Pool {
                isa,
                pool: kind,
                window,
            } => share(window.out_height, out, scratch, &|part| {
                let (first, window) = window.band(&part.rows);
                let x = from(x, first * window.width);
                let rows = 0..window.out_height;
                pool(*isa, *kind, x, &window, input.channels, rows, part.out);
            }),
            Run::Mean { isa } => global_average(*isa, x, input.pixels, out.data),
            Run::Excite {
                w,
                squeeze_activation,
            } => excite(
                x.data,
                w,
                *squeeze_activation,
                activation,
                scratch,
                out.data,
            ),
            Run::Multiply { isa, gate } => {
                let gate = around.values(*gate);
                share(output.pixels, out, scratch, &|part| {
                    let x = from(x, part.rows.start);
                    multiply_channels(*isa, x, part.rows.len(), gate, activation, part.out);
                });
            }
            Run::Add { isa, other } => {
                let term = around.rows(*other);
                let dense = [input, *other, output].iter().all(Place::dense);
                share(output.pixels, out, scratch, &|part| {
                    let terms = [x, term].map(|term| from(term, part.rows.start));
                    let (runs, len) = runs(dense, part.rows.len(), output.channels);
                    for run in 0..runs {
                        let [a, b] = terms.map(|term| &term.data[run * term.stride..][..len]);
                        let to = &mut part.out.data[run * output.stride..][..len];
                        add(*isa, a, b, activation, to);
                    }
                });
            }
            Run::Affine { isa, scale, shift } => share(output.pixels, out, scratch, &|part| {
                let x = from(x, part.rows.start);
                let pixels = part.rows.len();
                scale_shift(*isa, x, pixels, scale, shift, activation, part.out);
            }),
            Run::Activate { isa } => {
                let dense = output.dense() && input.dense();
                share(output.pixels, out, scratch, &|part| {
                    let x = from(x, part.rows.start);
                    let (runs, len) = runs(dense, part.rows.len(), output.channels);
                    for run in 0..runs {
                        let to = &mut part.out.data[run * output.stride..][..len];
                        to.copy_from_slice(&x.data[run * x.stride..][..len]);
                        if activation != Activation::Identity {
                            activate(*isa, to, activation);
                        }
                    }
                });
            }
            Run::Shuffle { groups } => share(output.pixels, out, scratch, &|part| {
                shuffle(from(x, part.rows.start), *groups, part, output.channels);
            }),
            Run::Part { part, more } => {
                let more = more.iter().map(|place| around.rows(*place));
                let inputs: Vec<Rows> = std::iter::once(x).chain(more).collect();
                let run = part.delegate.run(&inputs, out);
                return run.map_err(EngineError::Run);
            }
        }
        Ok(())
    }
}

/// Every group's first channel, then every group's second one, and so on.
fn shuffle(x: Rows, groups: usize, part: team::Part, channels: usize) {
    let each = channels / groups;
    for pixel in 0..part.rows.len() {
        let from = &x.data[pixel * x.stride..][..channels];
        let to = &mut part.out.data[pixel * part.out.stride..][..channels];
        if groups == 2 {
            let (first, second) = from.split_at(each);
            for ((to, a), b) in to.chunks_exact_mut(2).zip(first).zip(second) {
                to.copy_from_slice(&[*a, *b]);
            }
            continue;
        }
        for (group, from) in from.chunks_exact(each).enumerate() {
            let to = to[group..].iter_mut().step_by(groups);
            to.zip(from).for_each(|(to, from)| *to = *from);
        }
    }
}

/// The pixels from `first` on.
fn from(rows: Rows, first: usize) -> Rows {
    Rows {
        // There may be none.
        data: rows.data.get(first * rows.stride..).unwrap_or_default(),
        stride: rows.stride,
    }
}

/// How many runs of how many values there are: one of all pixels if they are `dense`; otherwise other layers' values lie
/// between them.
fn runs(dense: bool, pixels: usize, channels: usize) -> (usize, usize) {
    if dense {
        (1, pixels * channels)
    } else {
        (pixels, channels)
    }
}
