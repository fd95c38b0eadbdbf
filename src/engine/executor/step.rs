//! One layer, ready to run in the arena.

use edge_classify_kernels::{
    Activation, Epilogue, Isa, PackedConv, PackedDepthwise, PackedExcite, PackedMatrix, Pool, Rows,
    RowsMut, Window,
};
use edge_classify_kernels::{
    activate, add, conv, depthwise, excite, global_average, multiply_channels, pointwise, pool,
    scale_shift,
};

use super::arena::Place;

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
}

#[derive(Debug)]
pub struct Step {
    pub input: Place,
    pub output: Place,
    pub activation: Activation,
    pub run: Run,
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
    /// `scratch` has at least [`Run::scratch_len`] floats.
    pub fn run(&self, arena: &mut [f32], scratch: &mut [f32]) {
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
        let pixels = output.pixels;
        match &self.run {
            Run::Pointwise {
                w,
                bias,
                gate,
                residual,
            } => {
                let epilogue = Epilogue {
                    bias: Some(bias),
                    residual: residual.map(|place| around.rows(place)),
                    activation,
                };
                let gate = gate.map(|place| around.values(place));
                pointwise(x, pixels, w, gate, &epilogue, out, scratch);
            }
            Run::Convolution {
                w,
                bias,
                window,
                residual,
            } => {
                let epilogue = Epilogue {
                    bias: Some(bias),
                    residual: residual.map(|place| around.rows(place)),
                    activation,
                };
                let rows = 0..window.out_height;
                conv(x.data, window, w, &epilogue, rows, out, scratch);
            }
            Run::Depthwise { w, window, means } => {
                let rows = 0..window.out_height;
                match means {
                    None => depthwise(x, window, w, activation, rows, out, None),
                    Some(means) => {
                        let sums = &mut scratch[..means.place.channels];
                        sums.fill(0.0);
                        depthwise(x, window, w, activation, rows, out, Some(sums));
                        let place = &mut arena[means.place.range(0)];
                        for (mean, sum) in place.iter_mut().zip(sums) {
                            *mean = *sum * means.scale;
                        }
                    }
                }
            }
            Run::Pool {
                isa,
                pool: kind,
                window,
            } => {
                let rows = 0..window.out_height;
                pool(*isa, *kind, x, window, input.channels, rows, out);
            }
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
                multiply_channels(*isa, x, pixels, around.values(*gate), activation, out);
            }
            Run::Add { isa, other } => {
                let operands = [(input, x.data), (*other, around.values(*other))];
                let dense = output.dense() && operands.iter().all(|(place, _)| place.dense());
                // Between the pixels lie other layers' values.
                let (runs, len) = if dense {
                    (1, data_len(output))
                } else {
                    (pixels, output.channels)
                };
                for run in 0..runs {
                    let [a, b] = operands.map(|(place, data)| &data[run * place.stride..][..len]);
                    add(
                        *isa,
                        a,
                        b,
                        activation,
                        &mut out.data[run * output.stride..][..len],
                    );
                }
            }
            Run::Affine { isa, scale, shift } => {
                scale_shift(*isa, x, pixels, scale, shift, activation, out);
            }
            Run::Activate { isa } => {
                let dense = output.dense() && input.dense();
                let (runs, len) = if dense {
                    (1, data_len(output))
                } else {
                    (pixels, output.channels)
                };
                for run in 0..runs {
                    let to = &mut out.data[run * output.stride..][..len];
                    to.copy_from_slice(&x.data[run * input.stride..][..len]);
                    if activation != Activation::Identity {
                        activate(*isa, to, activation);
                    }
                }
            }
        }
    }
}

fn data_len(place: Place) -> usize {
    place.pixels * place.channels
}
