//! 1 x 1 convolutions and linear layers, which tract has as sums of products over named axes.

use std::collections::HashMap;

use edge_classify_kernels::Window;
use tract_core::internal::*;
use tract_core::ops::einsum::EinSum;

use super::constants::floats;
use super::graph::{Id, Op};
use super::layout::Layout;
use super::read::{Known, Read, Reader};
use crate::engine::net::Shape;

/// The size of an axis of weights, and the distance of its elements.
#[derive(Debug, Clone, Copy)]
struct Axis {
    size: usize,
    stride: usize,
}

/// What a tensor is multiplied by.
#[derive(Debug)]
struct Weights {
    /// Those of its axes that are added up.
    inputs: HashMap<usize, Axis>,
    outputs: Axis,
    output_axis: usize,
}

/// What the axes of a tensor are of a picture of ours.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// Which are of channels, and how many channels further the next element of each is.
    pub channels: Vec<(usize, usize)>,
    pub height: Option<usize>,
    pub width: Option<usize>,
}

const ONE: Axis = Axis { size: 1, stride: 0 };

impl Reader<'_> {
    pub fn product(&mut self, node: &TypedNode, op: &EinSum) -> Read {
        if op.q_params.is_some() || node.inputs.len() != 2 {
            return Err("is not a product of two tensors of f32".to_owned());
        }
        let (slot, weights) = [0, 1]
            .into_iter()
            .find_map(|slot| Some((slot, self.constant(node, slot)?)))
            .ok_or("neither factor is constant")?;
        let moved = match self.known(node.inputs[1 - slot]) {
            Some(Known::Moved(moved)) => Some(moved.clone()),
            _ => None,
        };
        let values = floats(&weights).ok_or("its weights are not f32")?;
        if let Some(moved) = &moved
            && let Some((axis, order)) = moved.flat()
        {
            let read = axes(op, slot, weights.shape())?;
            let input = read.inputs.get(&axis).copied().unwrap_or(ONE);
            if input.size != order.len() || input.size * read.outputs.size != values.len() {
                return Err(format!("is not a product over all values: {}", op.axes));
            }
            let mut offsets = vec![0; order.len()];
            for (i, place) in order.iter().enumerate() {
                offsets[*place] = i * input.stride;
            }
            let layout = Layout {
                channels: read.output_axis,
                height: None,
                width: None,
            };
            let rows = rows(&values, read.outputs, &offsets);
            return self.linear(node, moved.source.id, rows, read.outputs.size, true, layout);
        }
        let (id, view) = match moved.and_then(|moved| Some((moved.source.id, moved.view()?))) {
            Some(found) => found,
            None => {
                let x = self.input(node, 1 - slot)?;
                let view = View {
                    channels: vec![(x.layout.channels, 1)],
                    height: x.layout.height,
                    width: x.layout.width,
                };
                (x.id, view)
            }
        };
        let picture = self.shape(id);
        let read = axes(op, slot, weights.shape())?;
        let size = |axis: Option<usize>| axis.and_then(|axis| read.inputs.get(&axis));
        let (rows_axis, columns_axis) = (size(view.height), size(view.width));
        let [high, wide] = [rows_axis, columns_axis].map(|axis| axis.copied().unwrap_or(ONE));
        let pixels = high.size * wide.size;
        let channels: Vec<(Axis, usize)> = view
            .channels
            .iter()
            .map(|(axis, step)| (size(Some(*axis)).copied().unwrap_or(ONE), *step))
            .collect();
        let added: usize = read.inputs.values().map(|axis| axis.size).product();
        let of_channels: usize = channels.iter().map(|(axis, _)| axis.size).product();
        if of_channels != picture.channels
            || added != of_channels * pixels
            || added * read.outputs.size != values.len()
        {
            return Err(format!("is not a product over channels: {}", op.axes));
        }
        let all = pixels > 1;
        if all && pixels != picture.pixels() {
            return Err(format!("adds up rows or columns: {}", op.axes));
        }
        let offset = |at: usize| {
            let (channel, pixel) = (at / pixels, at % pixels);
            let of_channel = channels
                .iter()
                .map(|(axis, step)| channel / step % axis.size * axis.stride);
            of_channel.sum::<usize>()
                + pixel / wide.size * high.stride
                + pixel % wide.size * wide.stride
        };
        let offsets: Vec<usize> = (0..added).map(offset).collect();
        let kept = |axis: usize| {
            let place = (InOut::In(1 - slot), axis);
            op.axes.track_axis(place, InOut::Out(0)).ok().flatten()
        };
        let layout = Layout {
            channels: read.output_axis,
            height: view.height.and_then(kept),
            width: view.width.and_then(kept),
        };
        let rows = rows(&values, read.outputs, &offsets);
        self.linear(node, id, rows, read.outputs.size, all, layout)
    }

    /// A layer with such weights, of all pixels at once or of each.
    fn linear(
        &mut self,
        node: &TypedNode,
        x: Id,
        weights: Vec<f32>,
        outputs: usize,
        all: bool,
        layout: Layout,
    ) -> Read {
        let bias = vec![0.0; outputs];
        let op = if all {
            Op::Convolution {
                weights,
                bias,
                window: whole(self.shape(x)),
                residual: false,
            }
        } else {
            Op::Pointwise {
                weights,
                bias,
                gate: false,
                residual: false,
            }
        };
        self.emit(node, op, vec![x], layout)
    }
}

/// The weights of every output, each where its offset says.
fn rows(values: &[f32], outputs: Axis, offsets: &[usize]) -> Vec<f32> {
    let mut rows = Vec::with_capacity(outputs.size * offsets.len());
    for o in 0..outputs.size {
        rows.extend(offsets.iter().map(|at| values[o * outputs.stride + at]));
    }
    rows
}

/// Which axes the constant in `slot`, of such a shape, has with those of the other tensor, and which for itself.
fn axes(op: &EinSum, slot: usize, dims: &[usize]) -> Result<Weights, String> {
    let (mut inputs, mut outputs, mut output_axis) = (HashMap::new(), ONE, None);
    for axis in op.axes.iter_all_axes() {
        let places = [&axis.inputs[1 - slot], &axis.inputs[slot], &axis.outputs[0]];
        if places.iter().any(|places| places.len() > 1) {
            return Err(format!("takes a diagonal: {}", op.axes));
        }
        let [of_x, of_weights, of_output] = places.map(|places| places.first().copied());
        let found = of_weights.map_or(ONE, |axis| Axis {
            size: dims[axis],
            stride: dims[axis + 1..].iter().product(),
        });
        match (of_x, of_weights, of_output) {
            (Some(of_x), Some(_), None) => {
                inputs.insert(of_x, found);
            }
            (None, Some(_), Some(of_output)) if output_axis.is_none() || found.size > 1 => {
                if outputs.size > 1 {
                    return Err(format!("has two axes of outputs: {}", op.axes));
                }
                outputs = found;
                output_axis = Some(of_output);
            }
            (_, Some(_), _) if found.size > 1 => {
                return Err(format!("has weights for each pixel or group: {}", op.axes));
            }
            _ => {}
        }
    }
    Ok(Weights {
        inputs,
        outputs,
        output_axis: output_axis.ok_or("has no axis of outputs")?,
    })
}

/// A window that sees all of a picture.
fn whole(picture: Shape) -> Window {
    Window {
        height: picture.height,
        width: picture.width,
        kernel_h: picture.height,
        kernel_w: picture.width,
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: 0,
        pad_left: 0,
        out_height: 1,
        out_width: 1,
    }
}
