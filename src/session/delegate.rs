//! Parts of a network that our layers do not cover, run by tract between them.

use std::sync::Arc;

use edge_classify_kernels::{Rows, RowsMut};
use tract_core::prelude::*;

use crate::engine::EngineError;
use crate::engine::net::{Delegate, Shape};
use crate::panics;

/// A tensor of tract's that is one of ours on the other side: the same values in another order.
#[derive(Debug, Clone, PartialEq)]
pub struct Border {
    /// Of the picture.
    pub shape: Shape,
    /// Of the tensor.
    pub dims: Vec<usize>,
    /// From a row, a column and a channel of the picture to the next, in values of the tensor.
    pub strides: [usize; 3],
}

/// A part of a network as a plan of tract's. Every run has a state of its own, so that any number of sessions share one.
#[derive(Debug)]
pub struct TractPart {
    plan: Arc<TypedRunnableModel>,
    inputs: Vec<Border>,
    output: Border,
}

impl TractPart {
    /// The model's inputs and its output are what the borders say.
    pub fn new(
        model: TypedModel,
        inputs: Vec<Border>,
        output: Border,
    ) -> Result<TractPart, EngineError> {
        let prepare = || {
            let plan = model.into_optimized()?.into_runnable()?;
            Ok(TractPart {
                plan,
                inputs,
                output,
            })
        };
        let failed = |e: TractError| EngineError::Prepare(format!("{e:#}"));
        panics::guard(|| prepare().map_err(failed), EngineError::Prepare)
    }

    fn compute(&self, inputs: &[Rows], output: RowsMut) -> TractResult<()> {
        let borders = self.inputs.iter().zip(inputs);
        let tensors: TractResult<TVec<TValue>> = borders
            .map(|(border, rows)| Ok(border.tensor(*rows)?.into_tvalue()))
            .collect();
        let results = self.plan.run(tensors?)?;
        let result = results[0].try_as_plain_ram()?;
        self.output.read(result.as_slice::<f32>()?, output)
    }
}

impl Delegate for TractPart {
    fn run(&self, inputs: &[Rows], output: RowsMut) -> Result<(), String> {
        panics::guard(
            || {
                self.compute(inputs, output)
                    .map_err(|e: TractError| format!("{e:#}"))
            },
            |message| message,
        )
    }
}

impl Border {
    fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Where a pixel begins in the tensor.
    fn start(&self, pixel: usize) -> usize {
        let [row, column, _] = self.strides;
        pixel / self.shape.width * row + pixel % self.shape.width * column
    }

    /// Calls with a value's place in the tensor, its pixel and its channel, for some pixels at a time: a cache keeps them
    /// while they are gone through channel by channel.
    fn values(&self, mut each: impl FnMut(usize, usize, usize)) {
        let Shape { channels, .. } = self.shape;
        let pixels = self.shape.pixels();
        for first in (0..pixels).step_by(BLOCK) {
            let block = first..pixels.min(first + BLOCK);
            let starts: [usize; BLOCK] = std::array::from_fn(|at| self.start(first + at));
            for channel in 0..channels {
                let place = channel * self.strides[2];
                for (pixel, start) in block.clone().zip(starts) {
                    each(start + place, pixel, channel);
                }
            }
        }
    }

    fn tensor(&self, rows: Rows) -> TractResult<Tensor> {
        let channels = self.shape.channels;
        let mut values = vec![0.0f32; self.len()];
        if self.strides[2] == 1 {
            for pixel in 0..self.shape.pixels() {
                let from = &rows.data[pixel * rows.stride..][..channels];
                values[self.start(pixel)..][..channels].copy_from_slice(from);
            }
        } else {
            self.values(|at, pixel, c| values[at] = rows.data[pixel * rows.stride + c]);
        }
        Tensor::from_shape(&self.dims, &values)
    }

    fn read(&self, values: &[f32], output: RowsMut) -> TractResult<()> {
        if values.len() != self.len() {
            return Err(TractError::msg(format!("{} values", values.len())));
        }
        let channels = self.shape.channels;
        if self.strides[2] == 1 {
            for pixel in 0..self.shape.pixels() {
                let to = &mut output.data[pixel * output.stride..][..channels];
                to.copy_from_slice(&values[self.start(pixel)..][..channels]);
            }
        } else {
            self.values(|at, pixel, c| output.data[pixel * output.stride + c] = values[at]);
        }
        Ok(())
    }
}

/// Pixels that are gone through together.
const BLOCK: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// Pixels in an order of axes and back again, with other values between them.
    #[test]
    fn tensors_cross_the_border_in_any_order_of_axes() {
        let shape = Shape {
            height: 5,
            width: 7,
            channels: 3,
        };
        let data: Vec<f32> = (0..5 * 7 * 4).map(|value| value as f32).collect();
        let rows = Rows {
            data: &data,
            stride: 4,
        };
        for (dims, strides) in [
            (vec![1, 3, 5, 7], [7, 1, 35]),
            (vec![5, 7, 3], [21, 3, 1]),
            (vec![7, 3, 5], [1, 15, 5]),
        ] {
            let border = Border {
                shape,
                dims,
                strides,
            };
            let tensor = border.tensor(rows).unwrap();
            assert_eq!(tensor.shape(), border.dims);
            let plain = tensor.try_as_plain_ram().unwrap();
            let values = plain.as_slice::<f32>().unwrap();
            // Row 2, column 3, channel 1.
            let at = 2 * strides[0] + 3 * strides[1] + strides[2];
            assert_eq!(values[at], ((2 * 7 + 3) * 4 + 1) as f32);
            let mut back = vec![-1.0; data.len()];
            let output = RowsMut {
                data: &mut back,
                stride: 4,
            };
            border.read(values, output).unwrap();
            for (at, (found, expected)) in back.iter().zip(&data).enumerate() {
                let expected = if at % 4 < 3 { *expected } else { -1.0 };
                assert_eq!(*found, expected, "{at}");
            }
        }
    }
}
