//! Parts of a network that our layers do not cover, run by tract between them.

use std::sync::Arc;

use edge_classify_kernels::{Rows, RowsMut};
use tract_core::prelude::*;

use super::EngineError;
use super::net::{Delegate, Shape};
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

    /// Calls with every pixel's index and where it begins in the tensor.
    fn pixels(&self) -> impl Iterator<Item = (usize, usize)> {
        let [row, column, _] = self.strides;
        let width = self.shape.width;
        (0..self.shape.pixels()).map(move |at| (at, at / width * row + at % width * column))
    }

    fn tensor(&self, rows: Rows) -> TractResult<Tensor> {
        let (channels, stride) = (self.shape.channels, self.strides[2]);
        let mut values = vec![0.0f32; self.len()];
        for (pixel, at) in self.pixels() {
            let from = &rows.data[pixel * rows.stride..][..channels];
            if stride == 1 {
                values[at..at + channels].copy_from_slice(from);
            } else {
                let to = values[at..].iter_mut().step_by(stride);
                to.zip(from).for_each(|(to, from)| *to = *from);
            }
        }
        Tensor::from_shape(&self.dims, &values)
    }

    fn read(&self, values: &[f32], output: RowsMut) -> TractResult<()> {
        if values.len() != self.len() {
            return Err(TractError::msg(format!("{} values", values.len())));
        }
        let (channels, stride) = (self.shape.channels, self.strides[2]);
        for (pixel, at) in self.pixels() {
            let to = &mut output.data[pixel * output.stride..][..channels];
            if stride == 1 {
                to.copy_from_slice(&values[at..at + channels]);
            } else {
                let from = values[at..].iter().step_by(stride);
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
        }
        Ok(())
    }
}
