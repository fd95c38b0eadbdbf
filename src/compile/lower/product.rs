//! 1 x 1 convolutions and linear layers, which tract has as sums of products over named axes.

use edge_classify_kernels::Window;
use tract_core::internal::*;
use tract_core::ops::einsum::EinSum;

use super::constants::floats;
use super::graph::Op;
use super::layout::Layout;
use super::read::{Known, Read, Reader, Tracked};
use crate::engine::net::Shape;

/// The size of an axis of weights, and the distance of its elements.
#[derive(Debug, Clone, Copy)]
struct Axis {
    size: usize,
    stride: usize,
}

/// What the tensor's axes are multiplied by: channels, rows and columns of the input, and the outputs.
#[derive(Debug)]
struct Weights {
    inputs: [Axis; 3],
    outputs: Axis,
    output_axis: usize,
}

impl Reader<'_> {
    pub fn product(&mut self, node: &TypedNode, op: &EinSum) -> Read {
        if op.q_params.is_some() || node.inputs.len() != 2 {
            return Err("is not a product of two tensors of f32".to_owned());
        }
        let (slot, weights) = [0, 1]
            .into_iter()
            .find_map(|slot| Some((slot, self.constant(node, slot)?)))
            .ok_or("neither factor is constant")?;
        let (x, order) = match self.flat(node.inputs[1 - slot]) {
            Some((x, order)) => (x, Some(order)),
            None => (self.input(node, 1 - slot)?, None),
        };
        let read = axes(op, &x, slot, weights.shape())?;
        let picture = self.shape(x.id);
        let inputs = order.as_ref().map_or(picture.channels, Vec::len);
        let [channels, rows, columns] = read.inputs;
        let outputs = read.outputs;
        let row_len = channels.size * rows.size * columns.size;
        if channels.size != inputs || row_len * outputs.size != weights.len() {
            return Err(format!("is not a product over channels: {}", op.axes));
        }
        let all = order.is_some() || rows.size * columns.size > 1;
        if order.is_none() && all && rows.size * columns.size != picture.pixels() {
            return Err(format!("adds up rows or columns: {}", op.axes));
        }
        let kept = |axis: usize| {
            let place = (InOut::In(1 - slot), axis);
            op.axes.track_axis(place, InOut::Out(0)).ok().flatten()
        };
        let layout = Layout {
            channels: read.output_axis,
            height: x.layout.height.and_then(kept),
            width: x.layout.width.and_then(kept),
        };
        let values = floats(&weights).ok_or("its weights are not f32")?;
        // From each of a kernel's weights to the tensor's.
        let offsets: Vec<usize> = match order {
            Some(order) => {
                let mut offsets = vec![0; order.len()];
                for (i, place) in order.iter().enumerate() {
                    offsets[*place] = i * channels.stride;
                }
                offsets
            }
            None => (0..row_len)
                .map(|at| {
                    let (pixel, pixels) =
                        (at % (rows.size * columns.size), rows.size * columns.size);
                    at / pixels * channels.stride
                        + pixel / columns.size * rows.stride
                        + pixel % columns.size * columns.stride
                })
                .collect(),
        };
        let row = |o: usize| offsets.iter().map(move |at| (o, at));
        let all_rows = (0..outputs.size).flat_map(row);
        let weights = all_rows
            .map(|(o, at)| values[o * outputs.stride + at])
            .collect();
        let bias = vec![0.0; outputs.size];
        let op = if all {
            Op::Convolution {
                weights,
                bias,
                window: whole(picture),
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
        self.emit(node, op, vec![x.id], layout)
    }

    /// A picture laid flat, as a vector of its values, with where each was among channels, rows and columns.
    fn flat(&self, outlet: OutletId) -> Option<(Tracked, Vec<usize>)> {
        let Some(Known::Moved(moved)) = self.known(outlet) else {
            return None;
        };
        let (axis, order) = moved.flat()?;
        let layout = Layout {
            channels: axis,
            height: None,
            width: None,
        };
        let x = Tracked {
            id: moved.source.id,
            layout,
            dims: moved.dims().to_vec(),
        };
        Some((x, order))
    }
}

/// Which axes of the tensor in `slot` are which.
fn axes(op: &EinSum, x: &Tracked, slot: usize, dims: &[usize]) -> Result<Weights, String> {
    let one = Axis { size: 1, stride: 0 };
    let (mut inputs, mut outputs, mut output_axis) = ([one; 3], one, None);
    for axis in op.axes.iter_all_axes() {
        let places = [&axis.inputs[1 - slot], &axis.inputs[slot], &axis.outputs[0]];
        if places.iter().any(|places| places.len() > 1) {
            return Err(format!("takes a diagonal: {}", op.axes));
        }
        let [of_x, of_weights, of_output] = places.map(|places| places.first().copied());
        let found = of_weights.map_or(one, |axis| Axis {
            size: dims[axis],
            stride: dims[axis + 1..].iter().product(),
        });
        let all = [Some(x.layout.channels), x.layout.height, x.layout.width];
        match (of_x, of_weights, of_output) {
            (Some(_), Some(_), None) if all.contains(&of_x) => {
                let at = all.iter().position(|axis| *axis == of_x).unwrap_or(0);
                inputs[at] = found;
            }
            (None, Some(_), Some(of_output)) if output_axis.is_none() || found.size > 1 => {
                if outputs.size > 1 {
                    return Err(format!("has two axes of outputs: {}", op.axes));
                }
                outputs = found;
                output_axis = Some(of_output);
            }
            (Some(of_x), None, None) if x.dims[of_x] > 1 => {
                return Err(format!("adds up pixels: {}", op.axes));
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
