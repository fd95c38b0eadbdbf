//! What a layer has read and written, for whoever looks on.

use edge_classify_kernels::{Plain, Rows, RowsMut, values_of_mut};

use super::arena::Around;
use super::step::Step;

/// A layer's first input and its output, just computed, as pixels of the layer's channels.
#[derive(Debug)]
pub struct Observed<'a, E = f32> {
    /// Its index in the network.
    pub layer: usize,
    pub input: Rows<'a, E>,
    pub output: RowsMut<'a, E>,
}

impl<'a, E: Plain> Observed<'a, E> {
    /// # Panics
    /// If the step computes several layers, or on levels.
    pub(super) fn new(step: &Step<E>, arena: &'a mut [u8]) -> Self {
        let [layer] = step.layers[..] else {
            panic!("layers {:?} are computed together", step.layers);
        };
        let (data, around) = Around::split(arena, step.output);
        Observed {
            layer,
            input: around.rows(step.input),
            output: RowsMut {
                data: values_of_mut(data),
                stride: step.output.stride,
            },
        }
    }
}
