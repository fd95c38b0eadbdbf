//! One layer, ready to run in the arena.

use std::ops::Range;
use std::sync::Arc;

use edge_classify_int8::Quantization;
use edge_classify_kernels::{
    Activation, Element, Isa, Lines, PackedConv, PackedDepthwise, PackedExcite, PackedMatrix, Pool,
    Rows, RowsMut, Window,
};
use edge_classify_kernels::{
    Epilogue, Expansion, Factor, activate, add, excite, expand_depthwise, global_average,
    multiply_channels, part_of, pointwise_by_columns, pool, scale_shift, values_of_mut,
};

use super::arena::{Around, Place};
use super::chain::Chain;
use super::convert::run_delegate;
use super::int8;
use super::piece::{ByRows, Held, Piece, from};
use super::source::{Input, Source};
use super::sums::{Means, Sums};
use super::team::{self, Team};
use crate::EngineError;
use crate::net::Part;

/// A layer's kernel with what it needs besides its input.
#[derive(Debug)]
pub enum Run<E> {
    /// Of the network's input, of three channels: the first link of a chain.
    Read {
        isa: Isa,
    },
    Pointwise {
        w: PackedMatrix<E>,
        bias: Vec<E>,
        gate: Option<Place>,
        residual: Option<Place>,
    },
    Convolution {
        w: PackedConv<E>,
        bias: Vec<E>,
        window: Window,
        residual: Option<Place>,
    },
    Depthwise {
        w: PackedDepthwise<E>,
        window: Window,
        means: Option<Means>,
    },
    /// A pointwise layer and a depthwise one of its output, some channels at a time.
    Expansion {
        expand: PackedMatrix<E>,
        bias: Vec<E>,
        expand_activation: Activation,
        w: PackedDepthwise<E>,
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
        w: PackedExcite<E>,
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
        scale: Vec<E>,
        shift: Vec<E>,
    },
    Activate {
        isa: Isa,
    },
    Shuffle {
        groups: usize,
    },
    Chain(Chain<Run<E>>),
    Part {
        part: Arc<Part>,
        more: Vec<Place>,
    },
    /// What reads or writes levels.
    Int8(int8::Run),
    Int8Chain(Chain<int8::Run>),
}

impl<E: Element> Run<E> {
    /// Bytes of scratch for so many output pixels.
    pub fn scratch_len(&self, pixels: usize) -> usize {
        let values = match self {
            Run::Int8(run) => return run.kernel_scratch_len(pixels),
            Run::Int8Chain(chain) => return chain.scratch_len(),
            Run::Chain(chain) => chain.scratch_len(),
            _ => self.kernel_scratch_len(pixels),
        };
        values.saturating_mul(size_of::<E>())
    }

    /// Bytes of the sums of channels that it adds up.
    pub fn sums_len(&self) -> usize {
        let means = match self {
            Run::Chain(chain) => chain.means(),
            Run::Int8(run) => run.means(),
            Run::Int8Chain(chain) => chain.means(),
            _ => self.means(),
        };
        means.map_or(0, Means::sums_len)
    }

    /// Multiply-adds, or what takes about as long.
    pub fn cost(&self, input: Place, output: Place) -> u64 {
        /// Values that are read and written for each step of arithmetic.
        const PASS: usize = 8;
        /// Pixels that it takes as long to multiply a weight with as to read it.
        const READ: usize = 8;
        let values = output.pixels * output.channels;
        let (count, each) = match self {
            Run::Pointwise { w, .. } => (w.n() * w.k(), output.pixels.max(READ)),
            Run::Excite { w, .. } => (2 * w.hidden() * output.channels, READ),
            Run::Convolution { window, .. } => {
                (values, input.channels * window.kernel_h * window.kernel_w)
            }
            // Memory rather than arithmetic is what takes the time.
            Run::Depthwise { window, .. } | Run::Pool { window, .. } => {
                (values, (window.kernel_h * window.kernel_w).max(PASS))
            }
            Run::Chain(_) | Run::Int8Chain(_) | Run::Expansion { .. } => {
                unreachable!("the sum of its layers' costs")
            }
            Run::Int8(run) => return run.cost(input, output),
            _ => (values, PASS),
        };
        count as u64 * each as u64
    }
}

#[derive(Debug)]
pub struct Step<E> {
    pub input: Place,
    pub output: Place,
    pub activation: Activation,
    pub run: Run<E>,
    /// Indices in the network of those that it computes.
    pub layers: Vec<usize>,
    /// In multiply-adds.
    pub cost: u64,
    /// Addresses of what is fetched meanwhile.
    pub ahead: Range<usize>,
}

/// What a step needs besides the arena, for all its parts: bytes.
#[derive(Debug)]
pub struct Scratch {
    pub values: Lines<u8>,
    pub sums: Lines<u8>,
}

impl<E: Element> Step<E> {
    /// Whether it reads the network's input.
    pub fn reads(&self) -> bool {
        match &self.run {
            Run::Chain(chain) => chain.reads(),
            Run::Int8(run) => run.reads(),
            Run::Int8Chain(chain) => chain.reads(),
            _ => false,
        }
    }

    /// What it makes levels of the network's input by, if it does.
    pub fn input_levels(&self) -> Option<Quantization> {
        match &self.run {
            Run::Int8(run) => run.input_levels(),
            Run::Int8Chain(chain) => chain.links()[0].run.input_levels(),
            _ => None,
        }
    }

    /// In `parts` at the same time. `scratch` has at least [`Run::scratch_len`] bytes for each, and [`Run::sums_len`]
    /// of sums. `read` is the network's input if it [reads](Step::reads) that. Nothing but a delegate fails.
    ///
    /// # Panics
    /// If there is an input that it does not read, or none that it does.
    pub fn run(
        &self,
        read: Option<Input>,
        arena: &mut [u8],
        scratch: &mut Scratch,
        parts: usize,
        team: &Team,
    ) -> Result<(), EngineError> {
        let (input, output, activation) = (self.input, self.output, self.activation);
        assert!(read.is_some() == self.reads(), "an input is read once");
        if let Run::Int8(run) = &self.run {
            run.run(read, [input, output], arena, scratch, parts, team);
            return Ok(());
        }
        if let Run::Int8Chain(chain) = &self.run {
            int8::run_chain(chain, read, [input, output], arena, scratch, parts, team);
            return Ok(());
        }
        let (data, around) = Around::split(arena, output);
        let x = match read {
            // It is not in the arena.
            Some(_) => Rows {
                data: &[],
                stride: input.stride,
            },
            None => around.rows(input),
        };
        let out = RowsMut {
            data: values_of_mut(data),
            stride: output.stride,
        };
        let share = |parts, rows, out: RowsMut<E>, scratch: &mut Scratch, compute: &Compute<E>| {
            let row_len = output.pixels / rows * out.stride;
            let part = team::Part {
                rows: 0..rows,
                out,
                scratch: scratch.values.values_mut(),
                sums: scratch.sums.values_mut(),
            };
            team.share(part, parts, row_len, self.run.sums_len(), compute);
        };
        match &self.run {
            Run::Read { .. } => unreachable!("it begins a chain"),
            Run::Int8(_) | Run::Int8Chain(_) => unreachable!("it has been run"),
            Run::Pointwise {
                w,
                bias,
                gate,
                residual,
            } => {
                if parts > 1 && w.n() > output.pixels {
                    // More weights than pixels: so each is read by one thread alone.
                    let epilogue = Epilogue {
                        bias: Some(bias),
                        residual: residual.map(|place| around.rows(place)),
                        activation,
                    };
                    let crew = team.crew(parts, scratch.values.values_mut());
                    let factor = Factor {
                        weights: w,
                        gate: gate.map(|place| around.values(place)),
                        ahead: self.ahead.clone(),
                    };
                    pointwise_by_columns(x, output.pixels, &factor, &epilogue, out, crew);
                    return Ok(());
                }
                // Pixels are shared rather than rows. The kernel sums up one in another order than several: no part is of one
                // alone.
                let parts = parts.min(output.pixels / 2).max(1);
                share(parts, output.pixels, out, scratch, &|part| {
                    let piece = Piece {
                        x: Source::Values(x),
                        held: Held::all(input.pixels),
                        around: &around,
                        ahead: part_of(&self.ahead, &part.rows, output.pixels),
                        rows: part.rows,
                        out: part.out,
                        sums: None,
                        scratch: values_of_mut(part.scratch),
                    };
                    self.run.compute(1, activation, piece);
                });
            }
            Run::Convolution { window, .. } => {
                share(parts, window.out_height, out, scratch, &|part| {
                    let piece = Piece {
                        x: Source::Values(x),
                        held: Held::all(window.height),
                        around: &around,
                        rows: part.rows,
                        out: part.out,
                        ahead: 0..0,
                        sums: None,
                        scratch: values_of_mut(part.scratch),
                    };
                    self.run.compute(window.out_width, activation, piece);
                });
            }
            Run::Depthwise { window, means, .. } => {
                let sums = Sums::new(means.as_ref(), parts.min(window.out_height));
                sums.clear(scratch.sums.values_mut());
                share(parts, window.out_height, out, scratch, &|part| {
                    let piece = Piece {
                        x: Source::Values(x),
                        held: Held::all(window.height),
                        rows: part.rows,
                        out: part.out,
                        around: &around,
                        ahead: 0..0,
                        sums: sums.own(part.sums),
                        scratch: values_of_mut(part.scratch),
                    };
                    self.run.compute(window.out_width, activation, piece);
                });
                sums.to_means::<E>(scratch.sums.values(), arena);
            }
            Run::Expansion {
                expand,
                bias,
                expand_activation,
                w,
                window,
                means,
            } => {
                let sums = Sums::new(means.as_ref(), parts.min(window.out_height));
                sums.clear(scratch.sums.values_mut());
                let expansion = Expansion {
                    x,
                    weights: expand,
                    bias: Some(bias),
                    activation: *expand_activation,
                    ahead: self.ahead.clone(),
                };
                let own = sums.own(scratch.sums.values_mut());
                let crew = team.crew(parts, scratch.values.values_mut());
                expand_depthwise(&expansion, window, w, activation, out, own, crew);
                sums.to_means::<E>(scratch.sums.values(), arena);
            }
            Run::Chain(chain) => {
                let height = chain.links().last().map_or(1, |link| link.height);
                let sums = Sums::new(chain.means(), parts.min(height));
                sums.clear(scratch.sums.values_mut());
                let x = read.map_or(Source::Values(x), Source::Input);
                share(parts, height, out, scratch, &|part| {
                    let own = sums.own(part.sums);
                    let scratch = values_of_mut(part.scratch);
                    chain.run(x, part.rows, part.out, &around, scratch, own);
                });
                sums.to_means::<E>(scratch.sums.values(), arena);
            }
            Run::Pool {
                isa,
                pool: kind,
                window,
            } => share(parts, window.out_height, out, scratch, &|part| {
                let (first, window) = window.band(&part.rows);
                let x = from(x, first * window.width);
                let rows = 0..window.out_height;
                pool(*isa, *kind, x, &window, input.channels, rows, part.out);
            }),
            Run::Mean { isa } => global_average(*isa, x, input.pixels, out.data),
            Run::Excite {
                w,
                squeeze_activation,
            } => {
                let hidden = values_of_mut(scratch.values.values_mut());
                let crew = team.crew(parts, &mut []);
                excite(
                    x.data,
                    w,
                    *squeeze_activation,
                    activation,
                    hidden,
                    out.data,
                    &crew,
                );
            }
            Run::Multiply { isa, gate } => {
                let gate = around.values(*gate);
                share(parts, output.pixels, out, scratch, &|part| {
                    let x = from(x, part.rows.start);
                    multiply_channels(*isa, x, part.rows.len(), gate, activation, part.out);
                });
            }
            Run::Add { isa, other } => {
                let term = around.rows(*other);
                let dense = [input, *other, output].iter().all(Place::dense);
                share(parts, output.pixels, out, scratch, &|part| {
                    let terms = [x, term].map(|term| from(term, part.rows.start));
                    let (runs, len) = runs(dense, part.rows.len(), output.channels);
                    for run in 0..runs {
                        let [a, b] = terms.map(|term| &term.data[run * term.stride..][..len]);
                        let to = &mut part.out.data[run * output.stride..][..len];
                        add(*isa, a, b, activation, to);
                    }
                });
            }
            Run::Affine { isa, scale, shift } => {
                share(parts, output.pixels, out, scratch, &|part| {
                    let x = from(x, part.rows.start);
                    let pixels = part.rows.len();
                    scale_shift(*isa, x, pixels, scale, shift, activation, part.out);
                })
            }
            Run::Activate { isa } => {
                let dense = output.dense() && input.dense();
                share(parts, output.pixels, out, scratch, &|part| {
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
            Run::Shuffle { groups } => share(parts, output.pixels, out, scratch, &|part| {
                let (x, pixels) = (from(x, part.rows.start), part.rows.len());
                shuffle(x, *groups, pixels, part.out, output.channels);
            }),
            Run::Part { part, more } => {
                let more = more.iter().map(|place| around.rows(*place));
                let inputs: Vec<Rows<E>> = std::iter::once(x).chain(more).collect();
                return run_delegate(&*part.delegate, &inputs, out).map_err(EngineError::Run);
            }
        }
        Ok(())
    }
}

/// What computes a part of a step.
type Compute<'a, E> = dyn Fn(team::Part<E>) + Sync + 'a;

/// Every group's first channel, then every group's second one, and so on.
pub fn shuffle<E: Copy>(
    x: Rows<E>,
    groups: usize,
    pixels: usize,
    out: RowsMut<E>,
    channels: usize,
) {
    let each = channels / groups;
    for pixel in 0..pixels {
        let from = &x.data[pixel * x.stride..][..channels];
        let to = &mut out.data[pixel * out.stride..][..channels];
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

/// How many runs of how many values there are: one of all pixels if they are `dense`; otherwise other layers' values lie
/// between them.
pub fn runs(dense: bool, pixels: usize, channels: usize) -> (usize, usize) {
    if dense {
        (1, pixels * channels)
    } else {
        (pixels, channels)
    }
}
