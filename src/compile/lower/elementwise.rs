//! Sums, products and bounds, with constants and of two tensors.

use edge_classify_int8::Quantization;
use edge_classify_kernels::Activation;
use tract_core::internal::*;
use tract_core::ops::binary::BinMiniOp;
use tract_core::ops::math::{Add, Div, Max, Min, Mul, Sub, SubF};

use super::constants::per_channel;
use super::fuse::levels::bounds;
use super::graph::Op;
use super::read::{Read, Reader, Tracked};

impl Reader<'_> {
    pub fn binary(&mut self, node: &TypedNode, op: &dyn BinMiniOp) -> Read {
        let constant = [0, 1]
            .into_iter()
            .find_map(|slot| Some((slot, self.constant(node, slot)?)));
        let Some((slot, constant)) = constant else {
            let (a, b) = (self.input(node, 0)?, self.input(node, 1)?);
            return self.combine(node, op, a, b);
        };
        let x = self.input(node, 1 - slot)?;
        let channels = self.shape(x.id).channels;
        let k = per_channel(&constant, x.layout, x.dims.len(), channels)
            .ok_or_else(|| format!("with a constant of {:?}", constant.shape()))?;
        let uniform = k.iter().all(|value| *value == k[0]).then(|| k[0]);
        let zero = vec![0.0; channels];
        let one = vec![1.0; channels];
        let negative = |k: Vec<f32>| k.into_iter().map(|v| -v).collect::<Vec<f32>>();
        // Whether the tensor is taken from the constant.
        let reversed = (op.is::<Sub>() && slot == 0) || (op.is::<SubF>() && slot == 1);
        let (scale, shift) = if op.is::<Mul>() {
            (k, zero)
        } else if op.is::<Add>() {
            (one, k)
        } else if reversed {
            (negative(one), k)
        } else if op.is::<Sub>() || op.is::<SubF>() {
            (one, negative(k))
        } else if op.is::<Div>() && slot == 1 {
            (k.into_iter().map(|v| 1.0 / v).collect(), zero)
        } else if let Some(bound) = uniform.filter(|_| op.is::<Max>() || op.is::<Min>()) {
            let (low, high) = if op.is::<Max>() {
                (bound, f32::INFINITY)
            } else {
                (f32::NEG_INFINITY, bound)
            };
            return self.activate(node, x, Activation::Clamp { low, high });
        } else {
            return Err("no layer computes this with a constant".to_owned());
        };
        let read = self.emit(node, Op::Affine { scale, shift }, vec![x.id], x.layout)?;
        self.same(&read, &x)
    }

    /// Its slope below zero, and what is missing from that above.
    pub fn leaky_relu(&mut self, node: &TypedNode, slope: f32) -> Read {
        let x = self.input(node, 0)?;
        let channels = self.shape(x.id).channels;
        let scaled = |this: &mut Self, scale: f32, from: &Tracked| {
            let op = Op::Affine {
                scale: vec![scale; channels],
                shift: vec![0.0; channels],
            };
            this.emit(node, op, vec![from.id], x.layout)
        };
        let below = scaled(self, slope, &x)?;
        let positive = Activation::Clamp {
            low: 0.0,
            high: f32::INFINITY,
        };
        let above = self.activate(node, x.clone(), positive)?;
        let above = scaled(self, 1.0 - slope, &above)?;
        let read = self.emit(node, Op::Add, vec![below.id, above.id], x.layout)?;
        self.same(&read, &x)
    }

    /// Levels, with what may be an activation that they stand for.
    pub fn rounded(&mut self, node: &TypedNode, levels: Quantization) -> Read {
        let read = self.activation(node, bounds(levels))?;
        self.graph.nodes[read.id].levels = Some(levels);
        Ok(read)
    }

    fn combine(&mut self, node: &TypedNode, op: &dyn BinMiniOp, a: Tracked, b: Tracked) -> Read {
        let (shape_a, shape_b) = (self.shape(a.id), self.shape(b.id));
        let (x, other) = if shape_a.pixels() >= shape_b.pixels() {
            (a, b)
        } else {
            (b, a)
        };
        if x.layout.channels != other.layout.channels || shape_a.channels != shape_b.channels {
            return Err(format!("of {:?} and {:?}", x.dims, other.dims));
        }
        let alike = shape_a == shape_b && (shape_a.pixels() == 1 || x.layout == other.layout);
        let vector = self.shape(other.id).pixels() == 1;
        let op = if op.is::<Add>() && alike {
            Op::Add
        } else if op.is::<Mul>() && (alike || vector) {
            Op::Multiply
        } else {
            return Err(format!("of {:?} and {:?}", x.dims, other.dims));
        };
        let read = self.emit(node, op, vec![x.id, other.id], x.layout)?;
        self.same(&read, &x)
    }
}
