//! Layers that read or write levels of 8 bits.

mod pack;
mod rows;

use std::ops::Range;

use edge_classify_int8::{
    ActivationLevels, Means as MeansOut, Output, PackedConv, PackedDepthwise, PackedExcite,
    PackedMatrix, Picture, Quantization, activate, add, dequantize, excite, global_average, pool,
    quantize,
};
use edge_classify_kernels::{Activation, Isa, Plain, Pool, Rows, RowsMut, Window, values_of_mut};

use super::arena::{Around, Place};
use super::chain::Chain;
use super::piece::{ByRows, Held, Piece, from};
use super::source::{Input, Source};
use super::step::{Scratch, runs, shuffle};
use super::sums::{Means, Sums};
use super::team::{Part, Team};

pub use pack::{Quantizations, bytes, pack};

/// A layer's kernel with what it needs besides its input. What the levels of each operand stand for is packed with the
/// weights, or stands beside its place.
#[derive(Debug)]
pub enum Run {
    /// From the network's input, of three channels, as it comes.
    Read {
        isa: Isa,
        output: Quantization,
        /// In pixels.
        height: usize,
        width: usize,
    },
    /// From f32.
    Quantize {
        isa: Isa,
        output: Quantization,
    },
    /// To f32.
    Dequantize {
        isa: Isa,
        input: Quantization,
    },
    Pointwise {
        w: PackedMatrix,
        residual: Option<Place>,
    },
    Convolution {
        w: PackedConv,
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
        input: Quantization,
        output: Quantization,
    },
    Mean {
        isa: Isa,
        input: Quantization,
        output: Option<Quantization>,
    },
    /// In f32, with the same bits everywhere.
    Excite {
        w: PackedExcite,
        squeeze_activation: Activation,
        activation: Activation,
    },
    Multiply {
        isa: Isa,
        gate: Place,
        /// Levels.
        bounds: (i8, i8),
        input: Quantization,
        output: Quantization,
    },
    Add {
        isa: Isa,
        other: Place,
        terms: [Quantization; 2],
        activation: Activation,
        output: Quantization,
    },
    Activate(ActivationLevels),
    Shuffle {
        groups: usize,
    },
}

impl Run {
    /// The same for the network's input, of such a height and width: the first layer, which quantizes it, reads it as it
    /// comes.
    pub fn of_input(self, [height, width, _]: [usize; 3]) -> Run {
        match self {
            Run::Quantize { isa, output } => Run::Read {
                isa,
                output,
                height,
                width,
            },
            other => unreachable!("{other:?} does not quantize the input"),
        }
    }

    /// What it makes levels of the network's input by, if it does.
    pub fn input_levels(&self) -> Option<Quantization> {
        match self {
            Run::Read { output, .. } => Some(*output),
            _ => None,
        }
    }

    /// Multiply-adds of f32 that take about as long.
    pub fn cost(&self, input: Place, output: Place) -> u64 {
        /// Values that are read and written for each step of arithmetic.
        const PASS: usize = 2;
        /// Products of levels that take as long as one of f32.
        const FASTER: usize = 3;
        let values = output.pixels * output.channels;
        let each = match self {
            Run::Pointwise { .. } => input.channels / FASTER,
            Run::Convolution { window, .. } => {
                input.channels * window.kernel_h * window.kernel_w / FASTER
            }
            Run::Depthwise { window, .. } | Run::Pool { window, .. } => {
                window.kernel_h * window.kernel_w / FASTER
            }
            Run::Excite { w, .. } => 2 * w.hidden(),
            _ => 0,
        };
        values as u64 * each.max(PASS) as u64
    }

    /// As [`Step::run`](super::step::Step::run).
    pub fn run(
        &self,
        read: Option<Input>,
        [input, output]: [Place; 2],
        arena: &mut [u8],
        scratch: &mut Scratch,
        parts: usize,
        team: &Team,
    ) {
        let (data, around) = Around::split(arena, output);
        let layer = Layer {
            run: self,
            read,
            input,
            output,
            around,
            parts,
            team,
        };
        let sums = Sums::new(self.means(), parts.min(layer.rows()));
        sums.clear(scratch.sums.values_mut());
        match output.size {
            1 => layer.share(data, scratch, &|part| {
                let own = sums.own(part.sums);
                layer.compute(part.rows, Output::Levels(part.out), part.scratch, own);
            }),
            _ => layer.share(data, scratch, &|part| {
                layer.compute(part.rows, Output::Values(part.out), part.scratch, None);
            }),
        }
        sums.to_means_of_levels(scratch.sums.values(), arena);
    }
}

/// Runs layers that are computed together: as [`Step::run`](super::step::Step::run).
pub fn run_chain(
    chain: &Chain<Run>,
    read: Option<Input>,
    [input, output]: [Place; 2],
    arena: &mut [u8],
    scratch: &mut Scratch,
    parts: usize,
    team: &Team,
) {
    let (data, around) = Around::split(arena, output);
    let height = chain.links().last().map_or(1, |link| link.height);
    let sums = Sums::new(chain.means(), parts.min(height));
    sums.clear(scratch.sums.values_mut());
    let x = match read {
        Some(read) => Source::Input(read),
        None => Source::Values(around.rows(input)),
    };
    let whole = Part {
        rows: 0..height,
        out: RowsMut {
            data,
            stride: output.stride,
        },
        scratch: scratch.values.values_mut(),
        sums: scratch.sums.values_mut(),
    };
    let row_len = output.pixels / height * output.stride;
    let sums_len = chain.means().map_or(0, Means::sums_len);
    team.share(whole, parts, row_len, sums_len, &|part: Part<u8>| {
        let own = sums.own(part.sums);
        chain.run(x, part.rows, part.out, &around, part.scratch, own);
    });
    sums.to_means_of_levels(scratch.sums.values(), arena);
}

/// One layer, as it is run.
struct Layer<'a> {
    run: &'a Run,
    read: Option<Input<'a>>,
    input: Place,
    output: Place,
    around: Around<'a>,
    parts: usize,
    team: &'a Team,
}

impl Layer<'_> {
    /// What is shared among threads: rows of pixels where a window slides over them, or pixels.
    fn rows(&self) -> usize {
        match self.run {
            Run::Read { height, .. } => *height,
            Run::Convolution { window, .. }
            | Run::Depthwise { window, .. }
            | Run::Pool { window, .. } => window.out_height,
            _ => self.output.pixels,
        }
    }

    fn share<T: Plain>(
        &self,
        data: &mut [u8],
        scratch: &mut Scratch,
        compute: &(dyn Fn(Part<T>) + Sync),
    ) {
        let (rows, stride) = (self.rows(), self.output.stride);
        let whole = Part {
            rows: 0..rows,
            out: RowsMut {
                data: values_of_mut(data),
                stride,
            },
            scratch: scratch.values.values_mut(),
            sums: scratch.sums.values_mut(),
        };
        let row_len = self.output.pixels / rows * stride;
        let sums_len = self.run.means().map_or(0, Means::sums_len);
        self.team
            .share(whole, self.parts, row_len, sums_len, compute);
    }

    /// The input's pixels from `first` on.
    fn x<T: Plain>(&self, first: usize) -> Rows<'_, T> {
        from(self.around.rows(self.input), first)
    }

    /// Computes some rows, which `out` has.
    fn compute(
        &self,
        rows: Range<usize>,
        out: Output,
        scratch: &mut [u8],
        sums: Option<&mut [i32]>,
    ) {
        let (start, pixels) = (rows.start, rows.len());
        let channels = self.input.channels;
        let picture = |rows, quantization| Picture {
            rows,
            channels,
            quantization,
        };
        match self.run {
            Run::Read { .. }
            | Run::Pointwise { .. }
            | Run::Convolution { .. }
            | Run::Depthwise { .. }
            | Run::Multiply { .. } => {
                let (held, width) = match (self.run, self.run.window()) {
                    (Run::Read { height, width, .. }, _) => (*height, *width),
                    (_, Some(window)) => (window.height, window.out_width),
                    _ => (self.input.pixels, 1),
                };
                let read = self.read.map(Source::Input);
                let piece = Piece {
                    x: read.unwrap_or_else(|| Source::Values(self.x(0))),
                    held: Held::all(held),
                    rows,
                    out,
                    around: &self.around,
                    ahead: 0..0,
                    sums,
                    scratch,
                };
                self.run.write(width, piece);
            }
            Run::Quantize { isa, output } => {
                let to = levels(out);
                self.by_pixels(pixels, self.x(start), to, |from, to| {
                    quantize(*isa, from, *output, to);
                });
            }
            Run::Dequantize { isa, input } => {
                let to = values(out);
                self.by_pixels(pixels, self.x(start), to, |from, to| {
                    dequantize(*isa, from, *input, to);
                });
            }
            Run::Pool {
                isa,
                pool: kind,
                window,
                input,
                output,
            } => {
                let (first, band) = window.band(&rows);
                let x = picture(self.x(first * window.width), *input);
                let rows = 0..band.out_height;
                pool(*isa, *kind, x, &band, rows, *output, levels(out));
            }
            Run::Mean { isa, input, output } => {
                let out = match (out, output) {
                    (Output::Levels(out), Some(output)) => MeansOut::Levels(*output, out.data),
                    (Output::Levels(_), None) => unreachable!("levels stand for something"),
                    (Output::Values(out), _) => MeansOut::Values(out.data),
                };
                global_average(*isa, self.x(0), self.input.pixels, *input, out);
            }
            Run::Excite {
                w,
                squeeze_activation,
                activation,
            } => {
                let (x, hidden) = (self.x::<f32>(0), values_of_mut(scratch));
                let gate = values(out).data;
                excite(x.data, w, *squeeze_activation, *activation, hidden, gate);
            }
            Run::Add {
                isa,
                other,
                terms,
                activation,
                output,
            } => {
                let a = picture(self.x(start), terms[0]);
                let b = picture(from(self.around.rows(*other), start), terms[1]);
                add(*isa, a, b, pixels, *activation, *output, levels(out));
            }
            Run::Activate(table) => {
                activate(self.x(start), pixels, channels, table, levels(out));
            }
            Run::Shuffle { groups } => {
                shuffle(self.x(start), *groups, pixels, levels(out), channels);
            }
        }
    }

    /// Calls `convert` with each pixel's channels, or with all pixels at once if nothing lies between them.
    fn by_pixels<A: Plain, B: Plain>(
        &self,
        pixels: usize,
        from: Rows<A>,
        to: RowsMut<B>,
        convert: impl Fn(&[A], &mut [B]),
    ) {
        let (runs, len) = runs(
            self.input.dense() && self.output.dense(),
            pixels,
            self.input.channels,
        );
        for run in 0..runs {
            let from = &from.data[run * from.stride..][..len];
            convert(from, &mut to.data[run * to.stride..][..len]);
        }
    }
}

fn levels(out: Output) -> RowsMut<u8> {
    match out {
        Output::Levels(out) => out,
        Output::Values(_) => unreachable!("a layer that writes levels"),
    }
}

fn values(out: Output) -> RowsMut<f32> {
    match out {
        Output::Values(out) => out,
        Output::Levels(_) => unreachable!("a layer that writes f32"),
    }
}
