//! From layers to steps: weights packed, places found.

use edge_classify_kernels::{
    Activation, Element, Isa, Memory, PackedConv, PackedDepthwise, PackedExcite, PackedMatrix,
};

use super::ahead;
use super::arena::Arena;
use super::chain::{Chain, Link};
use super::fuse::{By, Group, Planner};
use super::int8::{self, Quantizations};
use super::step::{Run, Step};
use super::sums::Means;
use super::{GRAIN, Packed, Together, too_large, whole_lines};
use crate::EngineError;
use crate::net::{Kind, Layer, Net, Span, Weights};

/// Of each layer, the weights are gone as soon as they are packed.
pub(super) fn pack<E: Element>(
    net: Net,
    isa: Isa,
    together: Together,
) -> Result<Packed<E>, EngineError> {
    let (means, cache, reader) = match together {
        Together::In(cache) => (means_of_depthwise(&net), cache, reader(&net)),
        Together::Never => (Vec::new(), None, None),
    };
    let is_run = |index: &usize| means.iter().all(|mean| mean.layer != *index);
    let with_depthwise = |index: usize| means.iter().find(|mean| mean.depthwise == index);
    let run_layers: Vec<usize> = (0..net.layers().len()).filter(is_run).collect();
    let has_mean = |index| with_depthwise(index).is_some();
    let groups = Planner {
        net: &net,
        run: &run_layers,
        has_mean: &has_mean,
        reader,
        cache,
        element: size_of::<E>(),
    };
    let groups = groups.groups();
    let quantizations = Quantizations::of(&net);
    // What is read by bands is never there as a whole.
    let in_arena = |span: &Span| reader.is_none() || span.value != net.input_value();
    let spans: Vec<_> = groups
        .iter()
        .map(|group| {
            let spans = touched(&net, group, &means);
            spans.into_iter().filter(in_arena).collect::<Vec<_>>()
        })
        .collect();
    let arena =
        Arena::plan(&net, reader.is_none(), &spans, size_of::<E>()).ok_or_else(too_large)?;
    let most = most_bytes(&net);
    let input = net.input();
    let whole = Span {
        value: net.input_value(),
        first: 0,
        channels: input.channels,
    };
    let mut packed = Packed {
        isa,
        steps: Vec::new(),
        input: arena.place(whole),
        output: arena.place(net.output()),
        size: [input.height, input.width, input.channels],
        arena_len: arena.len(),
        scratch_len: 0,
        sums_len: 0,
        grain: GRAIN,
    };
    let heights: Vec<usize> = net.values().iter().map(|shape| shape.height).collect();
    let pieces = net
        .layers()
        .iter()
        .flat_map(|layer| match quantizations.runs(layer) {
            true => int8::bytes(layer, isa),
            false => pieces::<E>(layer, isa),
        });
    let mut room = Room {
        memory: Memory::new(pieces)
            .map_err(|e| EngineError::Prepare(format!("no memory for its weights: {e}")))?,
        buffer: Vec::new(),
    };
    let mut layers: Vec<Option<Layer>> = net.into_layers().into_iter().map(Some).collect();
    for Group {
        layers: indices,
        by,
    } in groups
    {
        let mut links = Vec::new();
        let (mut cost, mut ends) = (0, Vec::new());
        for index in &indices {
            let layer = layers[*index].take().expect("a layer is in one group");
            let (input, output) = (arena.place(layer.input), arena.place(layer.output));
            let (activation, height) = (layer.activation, heights[layer.output.value]);
            let name = layer.name.clone();
            let mean = with_depthwise(*index);
            let reads = reader == Some(*index);
            let run = if quantizations.runs(&layer) {
                let mean = mean.map(|mean| mean.output);
                int8::pack(layer, mean, isa, &arena, &quantizations, &mut room.memory).map(|run| {
                    Run::Int8(if reads {
                        run.of_input(packed.size)
                    } else {
                        run
                    })
                })
            } else {
                run(layer, mean, isa, &arena, &mut room)
            };
            let run =
                run.map_err(|problem| EngineError::Prepare(format!("layer '{name}': {problem}")))?;
            cost += run.cost(input, output);
            ends.extend([input, output]);
            links.push(Link::new(run, activation, output, height));
        }
        let (input, output) = (ends[0], ends[ends.len() - 1]);
        let mut band = match by {
            By::Rows(band) => band,
            By::All | By::Channels => 0,
        };
        if reader == Some(indices[0]) && !matches!(links[0].run, Run::Int8(_)) {
            let run = Run::Read { isa };
            let [height, ..] = packed.size;
            links.insert(0, Link::new(run, Activation::Identity, input, height));
            if band == 0 {
                band = STEM_BAND;
            }
        }
        let (run, activation) = match links.len() {
            2 if by == By::Channels => expansion(links),
            1 => links.remove(0).into_run(),
            _ if matches!(links[0].run, Run::Int8(_)) => {
                let links = links.into_iter().map(|link| link.map(in_levels));
                let chain = Chain::new(links.collect(), band);
                (Run::Int8Chain(chain), Activation::Identity)
            }
            _ => (Run::Chain(Chain::new(links, band)), Activation::Identity),
        };
        let scratch_len = whole_lines::<u8>(run.scratch_len(output.pixels));
        packed.scratch_len = packed.scratch_len.max(scratch_len);
        packed.sums_len = packed.sums_len.max(run.sums_len());
        packed.steps.push(Step {
            layers: indices,
            cost,
            input,
            output,
            activation,
            run,
            ahead: 0..0,
        });
    }
    let needed = packed.arena_len.saturating_add(packed.scratch_len);
    if needed > most {
        return Err(EngineError::Prepare(format!(
            "the values between its layers need {:.1} GB, and a network with so few weights may have {:.1} GB; \
             try a smaller picture",
            needed as f64 / 1e9,
            most as f64 / 1e9
        )));
    }
    ahead::plan(&mut packed.steps);
    Ok(packed)
}

/// Bytes that the values between the layers may take: what the network's file says of their sizes costs it nothing. The
/// largest pictures of the zoo's networks need less than the first term, those with the largest values have weights.
fn most_bytes(net: &Net) -> usize {
    let parameters = net.layers().iter().map(|layer| layer.kind.parameters());
    let parameters = parameters.fold(0, usize::saturating_add);
    (1_usize << 30).saturating_add(parameters.saturating_mul(16))
}

/// A layer that is computed together with others of levels.
fn in_levels<E>(run: Run<E>) -> int8::Run {
    match run {
        Run::Int8(run) => run,
        _ => unreachable!("layers of levels are computed together with such"),
    }
}

/// Of a pointwise layer and a depthwise one.
fn expansion<E: Element>(links: Vec<Link<Run<E>>>) -> (Run<E>, Activation) {
    let mut runs = links.into_iter().map(Link::into_run);
    match (runs.next(), runs.next()) {
        (
            Some((
                Run::Pointwise {
                    w: expand, bias, ..
                },
                expand_activation,
            )),
            Some((Run::Depthwise { w, window, means }, activation)),
        ) => {
            let run = Run::Expansion {
                expand,
                bias,
                expand_activation,
                w,
                window,
                means,
            };
            (run, activation)
        }
        _ => unreachable!("what is computed by channels is a pointwise layer and a depthwise one"),
    }
}

/// Rows that are computed together of a first layer that is not in a group with others.
const STEM_BAND: usize = 8;

/// The layer that can take the input as it comes, which is read on the way: a convolution of it, or what makes levels of it,
/// if nothing else reads it.
fn reader(net: &Net) -> Option<usize> {
    let value = net.input_value();
    let mut readers = net.layers().iter().enumerate().filter(|(_, layer)| {
        let mut reads = layer.reads();
        reads.any(|span| span.value == value)
    });
    let (index, layer) = readers.next()?;
    let whole = layer.input.value == value && layer.input.channels == 3;
    let alone = readers.next().is_none() && layer.reads().count() == 1;
    let wide = net.input().width > 1 && net.shape(layer.output).width > 1;
    let output = net.shape(layer.output);
    let fits = match layer.kind {
        Kind::Convolution { .. } => wide,
        Kind::Activate => {
            let dense = output == net.values()[layer.output.value];
            dense && net.quantization(layer.output.value).is_some()
        }
        _ => false,
    };
    (whole && alone && fits && net.input().channels == 3).then_some(index)
}

/// Where weights come to.
struct Room {
    memory: Memory,
    /// For those that are read from elsewhere.
    buffer: Vec<f32>,
}

/// Bytes of the two pieces of memory that a layer's weights are packed into, at most.
fn pieces<E: Element>(layer: &Layer, isa: Isa) -> [usize; 2] {
    let (inputs, outputs) = (layer.input.channels, layer.output.channels);
    match &layer.kind {
        Kind::Pointwise { .. } => [PackedMatrix::<E>::bytes(isa, outputs, inputs), 0],
        Kind::Convolution { window, .. } => {
            let row = inputs * window.kernel_h * window.kernel_w;
            [PackedMatrix::<E>::bytes(isa, outputs, row), 0]
        }
        Kind::Depthwise { window, .. } => {
            let taps = window.kernel_h * window.kernel_w;
            [PackedDepthwise::<E>::bytes(inputs, taps), 0]
        }
        Kind::Excite { squeeze_bias, .. } => {
            [PackedExcite::<E>::bytes(squeeze_bias.len(), outputs); 2]
        }
        _ => [0, 0],
    }
}

/// Spans of what is in the arena while a group is computed; what is between its layers is not.
fn touched(net: &Net, group: &Group, means: &[Mean]) -> Vec<Span> {
    let layers = || group.layers.iter().map(|index| &net.layers()[*index]);
    let between = |span: &Span| {
        let before_last = layers().take(group.layers.len() - 1);
        before_last
            .map(|layer| layer.output.value)
            .any(|value| value == span.value)
    };
    let written = means
        .iter()
        .filter(|mean| group.layers.contains(&mean.depthwise));
    let spans = layers().flat_map(|layer| layer.reads().chain([layer.output]));
    spans
        .filter(|span| !between(span))
        .chain(written.map(|mean| mean.output))
        .collect()
}

/// Part of a mean that a depthwise convolution computes with its output.
struct Mean {
    /// The layer of the mean, and that of the convolution.
    layer: usize,
    depthwise: usize,
    output: Span,
}

/// The means whose input is all written by depthwise convolutions, which add up what they write.
fn means_of_depthwise(net: &Net) -> Vec<Mean> {
    let mut found: Vec<Mean> = Vec::new();
    for (index, layer) in net.layers().iter().enumerate() {
        let to_levels = net.quantization(layer.output.value).is_some();
        if !matches!(layer.kind, Kind::Mean) || to_levels {
            continue;
        }
        let input = layer.input;
        let overlaps = |output: Span| {
            output.value == input.value
                && output.first < input.range().end
                && input.first < output.range().end
        };
        let writers = net.layers().iter().enumerate();
        let writers: Vec<(usize, &Layer)> = writers
            .filter(|(_, layer)| overlaps(layer.output))
            .collect();
        let fits = |(writer, layer): &(usize, &Layer)| {
            matches!(layer.kind, Kind::Depthwise { .. })
                && input.first <= layer.output.first
                && layer.output.range().end <= input.range().end
                && found.iter().all(|mean| mean.depthwise != *writer)
        };
        if writers.is_empty() || !writers.iter().all(fits) {
            continue;
        }
        let parts = writers.into_iter().map(|(depthwise, writer)| Mean {
            layer: index,
            depthwise,
            output: Span {
                first: layer.output.first + writer.output.first - input.first,
                channels: writer.output.channels,
                ..layer.output
            },
        });
        found.extend(parts.collect::<Vec<_>>());
    }
    found
}

fn run<E: Element>(
    layer: Layer,
    mean: Option<&Mean>,
    isa: Isa,
    arena: &Arena,
    Room { memory, buffer }: &mut Room,
) -> Result<Run<E>, String> {
    let place = |span: Span| arena.place(span);
    let inputs = layer.input.channels;
    let outputs = layer.output.channels;
    Ok(match layer.kind {
        Kind::Pointwise {
            weights,
            bias,
            gate,
            residual,
        } => {
            let mut w = PackedMatrix::zeros(isa, outputs, inputs, memory);
            weights.read_rows(inputs, buffer, |first, rows| w.set_rows(first, rows))?;
            Run::Pointwise {
                w,
                bias: narrow(&bias)?,
                gate: gate.map(place),
                residual: residual.map(place),
            }
        }
        Kind::Convolution {
            weights,
            bias,
            window,
            residual,
        } => {
            let (kernel_h, kernel_w) = (window.kernel_h, window.kernel_w);
            let mut w = PackedConv::zeros(isa, outputs, inputs, kernel_h, kernel_w, memory);
            let row = inputs * kernel_h * kernel_w;
            weights.read_rows(row, buffer, |first, rows| w.set_outputs(first, rows))?;
            Run::Convolution {
                w,
                bias: narrow(&bias)?,
                window,
                residual: residual.map(place),
            }
        }
        Kind::Depthwise {
            weights,
            bias,
            window,
        } => {
            let (kernel_h, kernel_w) = (window.kernel_h, window.kernel_w);
            let bias = bias.values()?;
            let mut w =
                PackedDepthwise::zeros(isa, Some(&bias), inputs, kernel_h, kernel_w, memory);
            let row = kernel_h * kernel_w;
            weights.read_rows(row, buffer, |first, rows| w.set_channels(first, rows))?;
            Run::Depthwise {
                w,
                window,
                means: mean.map(|mean| Means {
                    place: place(mean.output),
                    scale: 1.0 / place(layer.output).pixels as f32,
                }),
            }
        }
        Kind::Pool { pool, window } => Run::Pool { isa, pool, window },
        Kind::Mean => Run::Mean { isa },
        Kind::Excite {
            squeeze,
            squeeze_bias,
            squeeze_activation,
            excite,
            excite_bias,
        } => {
            let (squeeze_bias, excite_bias) = (squeeze_bias.values()?, excite_bias.values()?);
            let (hidden, channels) = (squeeze_bias.len(), excite_bias.len());
            let mut w = PackedExcite::zeros(isa, &squeeze_bias, &excite_bias, memory);
            squeeze.read_rows(channels, buffer, |first, rows| {
                w.set_squeeze_rows(first, rows)
            })?;
            excite.read_rows(hidden, buffer, |first, rows| w.set_excite_rows(first, rows))?;
            Run::Excite {
                w,
                squeeze_activation,
            }
        }
        Kind::Multiply { gate } => Run::Multiply {
            isa,
            gate: place(gate),
        },
        Kind::Add { other } => Run::Add {
            isa,
            other: place(other),
        },
        Kind::Affine { scale, shift } => Run::Affine {
            isa,
            scale: narrow(&scale)?,
            shift: narrow(&shift)?,
        },
        Kind::Activate => Run::Activate { isa },
        Kind::Shuffle { groups } => Run::Shuffle { groups },
        Kind::Part { part, more } => Run::Part {
            part,
            more: more.into_iter().map(place).collect(),
        },
    })
}

fn narrow<E: Element>(weights: &Weights) -> Result<Vec<E>, String> {
    let values = weights.values()?;
    let mut narrow = vec![E::default(); values.len()];
    E::narrow(&values, &mut narrow);
    Ok(narrow)
}
