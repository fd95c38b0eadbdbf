//! From layers to steps: weights packed, places found.

use edge_classify_kernels::{Isa, PackedConv, PackedDepthwise, PackedExcite, PackedMatrix};

use super::arena::Arena;
use super::step::{Means, Run, Step};
use super::{GRAIN, Packed};
use crate::engine::net::{Kind, Layer, Net, Span};

pub(super) fn pack(net: &Net, isa: Isa) -> Packed {
    let means = means_of_depthwise(net);
    let mut planned = Vec::new();
    let mut spans = Vec::new();
    for (index, layer) in net.layers().iter().enumerate() {
        if matches!(layer.kind, Kind::Mean) && means.iter().any(|mean| mean.layer == index) {
            continue;
        }
        let mean = means.iter().find(|mean| mean.depthwise == index);
        let touched = layer.reads().chain([layer.output]);
        spans.push(
            touched
                .chain(mean.map(|mean| mean.output))
                .collect::<Vec<_>>(),
        );
        planned.push((index, layer, mean));
    }
    let arena = Arena::plan(net, &spans);
    let mut scratch_len = 0;
    let steps = planned
        .into_iter()
        .map(|(index, layer, mean)| {
            let run = run(net, layer, mean, isa, &arena);
            let output = arena.place(layer.output);
            let input = arena.place(layer.input);
            scratch_len = scratch_len.max(run.scratch_len(output.pixels));
            Step {
                layer: index,
                cost: run.cost(input, output),
                input,
                output,
                activation: layer.activation,
                run,
            }
        })
        .collect();
    let input = net.input();
    let whole = Span {
        value: net.input_value(),
        first: 0,
        channels: input.channels,
    };
    Packed {
        steps,
        input: arena.place(whole),
        output: arena.place(net.output()),
        size: [input.height, input.width, input.channels],
        arena_len: arena.len(),
        scratch_len,
        grain: GRAIN,
    }
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
        if !matches!(layer.kind, Kind::Mean) {
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

fn run(net: &Net, layer: &Layer, mean: Option<&Mean>, isa: Isa, arena: &Arena) -> Run {
    let place = |span: Span| arena.place(span);
    let inputs = layer.input.channels;
    match &layer.kind {
        Kind::Pointwise {
            weights,
            bias,
            gate,
            residual,
        } => Run::Pointwise {
            w: PackedMatrix::new(isa, weights, layer.output.channels, inputs),
            bias: bias.clone(),
            gate: gate.map(place),
            residual: residual.map(place),
        },
        Kind::Convolution {
            weights,
            bias,
            window,
            residual,
        } => Run::Convolution {
            w: PackedConv::new(
                isa,
                weights,
                layer.output.channels,
                inputs,
                window.kernel_h,
                window.kernel_w,
            ),
            bias: bias.clone(),
            window: *window,
            residual: residual.map(place),
        },
        Kind::Depthwise {
            weights,
            bias,
            window,
        } => Run::Depthwise {
            w: PackedDepthwise::new(
                isa,
                weights,
                Some(bias),
                inputs,
                window.kernel_h,
                window.kernel_w,
            ),
            window: *window,
            means: mean.map(|mean| Means {
                place: place(mean.output),
                scale: 1.0 / net.shape(layer.output).pixels() as f32,
            }),
        },
        Kind::Pool { pool, window } => Run::Pool {
            isa,
            pool: *pool,
            window: *window,
        },
        Kind::Mean => Run::Mean { isa },
        Kind::Excite {
            squeeze,
            squeeze_bias,
            squeeze_activation,
            excite,
            excite_bias,
        } => Run::Excite {
            w: PackedExcite::new(isa, squeeze, squeeze_bias, excite, excite_bias),
            squeeze_activation: *squeeze_activation,
        },
        Kind::Multiply { gate } => Run::Multiply {
            isa,
            gate: place(*gate),
        },
        Kind::Add { other } => Run::Add {
            isa,
            other: place(*other),
        },
        Kind::Affine { scale, shift } => Run::Affine {
            isa,
            scale: scale.clone(),
            shift: shift.clone(),
        },
        Kind::Activate => Run::Activate { isa },
    }
}
