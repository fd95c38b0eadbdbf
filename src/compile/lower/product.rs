//! 1 x 1 convolutions and linear layers, which tract has as sums of products over named axes.

use tract_core::internal::*;
use tract_core::ops::einsum::EinSum;

use super::constants::floats;
use super::graph::Op;
use super::read::{Read, Reader};

impl Reader<'_> {
    pub fn product(&mut self, node: &TypedNode, op: &EinSum) -> Read {
        if op.q_params.is_some() || node.inputs.len() != 2 {
            return Err("is not a product of two tensors of f32".to_owned());
        }
        let (slot, weights) = [0, 1]
            .into_iter()
            .find_map(|slot| Some((slot, self.constant(node, slot)?)))
            .ok_or("neither factor is constant")?;
        let x = self.input(node, 1 - slot)?;
        let dims = weights.shape();
        // The axes of the weights: their sizes and strides.
        let stride = |axis: usize| dims[axis + 1..].iter().product::<usize>();
        let (mut inputs, mut outputs, mut output_axis) = ((1, 0), (1, 0), None);
        for axis in op.axes.iter_all_axes() {
            let places = [&axis.inputs[1 - slot], &axis.inputs[slot], &axis.outputs[0]];
            if places.iter().any(|places| places.len() > 1) {
                return Err(format!("takes a diagonal: {}", op.axes));
            }
            let [of_x, of_weights, of_output] = places.map(|places| places.first().copied());
            let size = of_weights.map_or(1, |axis| dims[axis]);
            match (of_x, of_weights, of_output) {
                (Some(of_x), Some(of_weights), None) if of_x == x.layout.channels => {
                    inputs = (size, stride(of_weights));
                }
                (None, Some(of_weights), Some(of_output)) if output_axis.is_none() || size > 1 => {
                    if outputs.0 > 1 {
                        return Err(format!("has two axes of outputs: {}", op.axes));
                    }
                    outputs = (size, stride(of_weights));
                    output_axis = Some(of_output);
                }
                (Some(of_x), None, None) if x.dims[of_x] > 1 => {
                    return Err(format!("adds up pixels: {}", op.axes));
                }
                (_, Some(_), _) if size > 1 => {
                    return Err(format!("has weights for each pixel or group: {}", op.axes));
                }
                _ => {}
            }
        }
        let channels = self.shape(x.id).channels;
        let output_axis = output_axis.ok_or("has no axis of outputs")?;
        if inputs.0 != channels || inputs.0 * outputs.0 != weights.len() {
            return Err(format!("is not a product over channels: {}", op.axes));
        }
        let kept = |axis: usize| {
            let place = (InOut::In(1 - slot), axis);
            op.axes.track_axis(place, InOut::Out(0)).ok().flatten()
        };
        let layout = super::layout::Layout {
            channels: output_axis,
            height: x.layout.height.and_then(kept),
            width: x.layout.width.and_then(kept),
        };
        let values = floats(&weights).ok_or("its weights are not f32")?;
        let weights = if (outputs.1, inputs.1) == (inputs.0, 1) {
            values.into_owned()
        } else {
            (0..outputs.0)
                .flat_map(|o| (0..inputs.0).map(move |i| (o, i)))
                .map(|(o, i)| values[o * outputs.1 + i * inputs.1])
                .collect()
        };
        let op = Op::Pointwise {
            weights,
            bias: vec![0.0; outputs.0],
            gate: false,
            residual: false,
        };
        self.emit(node, op, vec![x.id], layout)
    }
}
