//! Small graphs, lowered: which layers are left, and whether they compute what tract does.

mod delegates;
mod levels;
mod random;
mod wider;

use tract_core::internal::*;
use tract_core::ops::array::{Slice, TypedConcat};
use tract_core::ops::binary::TypedBinOp;
use tract_core::ops::cnn::{Conv, KernelFormat, MaxPool, PaddingSpec, PoolSpec};
use tract_core::ops::math::{Add, Div, Max, Min, Mul, Sub};
use tract_core::ops::nn::{DataFormat, Reduce, Reducer, sigmoid};

use super::lower;
use crate::engine::Threads;
use crate::engine::net::Net;
use crate::session::{Graph, Program, Session};

const SIDE: usize = 6;

/// A graph from a picture of 3 channels on.
struct Builder {
    model: TypedModel,
    nodes: usize,
}

impl Builder {
    fn new() -> (Builder, OutletId) {
        let mut model = TypedModel::default();
        let picture = model
            .add_source("picture", f32::fact([1, 3, SIDE, SIDE]))
            .unwrap();
        (Builder { model, nodes: 0 }, picture)
    }

    fn wire(&mut self, op: impl Into<Box<dyn TypedOp>>, inputs: &[OutletId]) -> OutletId {
        self.nodes += 1;
        let name = format!("node{}", self.nodes);
        self.model.wire_node(name, op, inputs).unwrap()[0]
    }

    fn values(&mut self, shape: &[usize]) -> OutletId {
        self.nodes += 1;
        let len = shape.iter().product::<usize>();
        let values: Vec<f32> = (0..len)
            .map(|i| ((i * 37 + self.nodes * 11) % 23) as f32 / 11.0 - 1.0)
            .collect();
        let tensor = Tensor::from_shape(shape, &values).unwrap();
        self.constant(tensor)
    }

    fn constant(&mut self, tensor: Tensor) -> OutletId {
        self.nodes += 1;
        let name = format!("constant{}", self.nodes);
        self.model.add_const(name, tensor).unwrap()
    }

    fn with(
        &mut self,
        op: impl tract_core::ops::binary::BinMiniOp,
        x: OutletId,
        k: f32,
    ) -> OutletId {
        let k = self.constant(Tensor::from_shape(&[1, 1, 1, 1], &[k]).unwrap());
        self.wire(TypedBinOp(Box::new(op), None), &[x, k])
    }

    fn two(
        &mut self,
        op: impl tract_core::ops::binary::BinMiniOp,
        a: OutletId,
        b: OutletId,
    ) -> OutletId {
        self.wire(TypedBinOp(Box::new(op), None), &[a, b])
    }

    fn pool_spec(side: usize, pad: usize, inputs: usize, outputs: usize) -> PoolSpec {
        PoolSpec {
            data_format: DataFormat::NCHW,
            kernel_shape: tvec!(side, side),
            padding: PaddingSpec::Explicit(tvec!(pad, pad), tvec!(pad, pad)),
            dilations: None,
            strides: None,
            input_channels: inputs,
            output_channels: outputs,
        }
    }

    fn conv(&mut self, x: OutletId, side: usize, outputs: usize, group: usize) -> OutletId {
        let inputs = self.model.outlet_fact(x).unwrap().shape[1]
            .to_usize()
            .unwrap();
        let kernel = self.values(&[outputs, inputs / group, side, side]);
        self.conv_with(x, kernel, group)
    }

    /// With a kernel of output channels, input channels of a group, and two equal sides.
    fn conv_with(&mut self, x: OutletId, kernel: OutletId, group: usize) -> OutletId {
        let shape = self.model.outlet_fact(kernel).unwrap().shape.clone();
        let [outputs, inputs, side] = [0, 1, 2].map(|axis| shape[axis].to_usize().unwrap());
        let bias = self.values(&[outputs]);
        let conv = Conv {
            pool_spec: Self::pool_spec(side, side / 2, inputs * group, outputs),
            kernel_fmt: KernelFormat::OIHW,
            group,
            q_params: None,
        };
        self.wire(conv, &[x, kernel, bias])
    }

    /// Batch normalisation.
    fn norm(&mut self, x: OutletId) -> OutletId {
        let channels = self.model.outlet_fact(x).unwrap().shape[1]
            .to_usize()
            .unwrap();
        let (scale, shift) = (
            self.values(&[1, channels, 1, 1]),
            self.values(&[1, channels, 1, 1]),
        );
        let x = self.two(Mul, x, scale);
        self.two(Add, x, shift)
    }

    fn mean(&mut self, x: OutletId) -> OutletId {
        let sum = Reduce {
            axes: tvec!(2, 3),
            reducer: Reducer::Sum,
        };
        let sum = self.wire(sum, &[x]);
        self.with(Mul, sum, 1.0 / (SIDE * SIDE) as f32)
    }

    fn slice(&mut self, x: OutletId, start: usize, end: usize) -> OutletId {
        self.wire(Slice::new(1, start, end), &[x])
    }

    /// Lowers what ends in a mean; returns the kinds of layers before that.
    fn lowered(mut self, x: OutletId) -> Result<Vec<&'static str>, String> {
        let mean = self.mean(x);
        let net = self.net(mean)?;
        let mut kinds = kinds(&net);
        assert_eq!(kinds.pop(), Some("mean"));
        Ok(kinds)
    }

    /// Lowers what ends in a vector of outputs.
    fn net(mut self, output: OutletId) -> Result<Net, String> {
        self.model.select_output_outlets(&[output]).unwrap();
        let model = self.model.into_decluttered().unwrap();
        let net = lower(&model).map_err(|e| e.to_string())?;
        let lowered = net.clone();
        let one = Threads::new(1).unwrap();
        let mut ours = Session::new(Program::Net(net), one).unwrap();
        let mut theirs =
            Session::new(Program::Graph(Graph::new(model, "of a comparison")), one).unwrap();
        let picture: Vec<f32> = (0..ours.input_len())
            .map(|i| (i * 29 % 31) as f32 / 4.0 - 4.0)
            .collect();
        let (ours, theirs) = (ours.run(&picture).unwrap(), theirs.run(&picture).unwrap());
        for (a, b) in ours.iter().zip(&theirs) {
            assert!(
                (a - b).abs() < 1e-4 * b.abs().max(1.0),
                "{ours:?} {theirs:?}"
            );
        }
        Ok(lowered)
    }
}

fn kinds(net: &Net) -> Vec<&'static str> {
    net.layers().iter().map(|layer| layer.kind.name()).collect()
}

#[test]
fn normalisation_and_activations_join_their_convolution() {
    for (side, group, kind) in [
        (1, 1, "pointwise"),
        (3, 1, "convolution"),
        (3, 3, "depthwise"),
    ] {
        let (mut b, x) = Builder::new();
        let x = b.conv(x, side, 3, group);
        let x = b.norm(x);
        let x = b.with(Max, x, 0.0);
        let x = b.with(Min, x, 6.0);
        assert_eq!(b.lowered(x), Ok(vec![kind]));
    }
}

#[test]
fn activations_that_are_spelled_out_are_recognised() {
    // The factor of the product, and what is left of the scale after it.
    for (scale_before, scale_after) in [(true, false), (false, true)] {
        let (mut b, x) = Builder::new();
        let x = b.conv(x, 1, 8, 1);
        let gate = b.with(Add, x, 3.0);
        let gate = b.with(Max, gate, 0.0);
        let mut gate = b.with(Min, gate, 6.0);
        if scale_before {
            gate = b.with(Div, gate, 6.0);
        }
        let mut x = b.two(Mul, x, gate);
        if scale_after {
            x = b.with(Mul, x, 1.0 / 6.0);
        }
        assert_eq!(b.lowered(x), Ok(vec!["pointwise"]));
    }
    let (mut b, x) = Builder::new();
    let x = b.conv(x, 3, 8, 1);
    let gate = b.wire(sigmoid(), &[x]);
    let x = b.two(Mul, gate, x);
    assert_eq!(b.lowered(x), Ok(vec!["convolution"]));
}

#[test]
fn squeeze_and_excitation_gates_the_projection() {
    let (mut b, x) = Builder::new();
    let x = b.conv(x, 3, 3, 3);
    let mean = b.mean(x);
    let hidden = b.conv(mean, 1, 2, 1);
    let hidden = b.with(Max, hidden, 0.0);
    let gate = b.conv(hidden, 1, 3, 1);
    let gate = b.with(Add, gate, 3.0);
    let gate = b.with(Max, gate, 0.0);
    let gate = b.with(Min, gate, 6.0);
    let gate = b.with(Mul, gate, 1.0 / 6.0);
    let x = b.two(Mul, x, gate);
    let x = b.conv(x, 1, 5, 1);
    let kinds = vec!["depthwise", "mean", "excite", "pointwise"];
    assert_eq!(b.lowered(x), Ok(kinds));
}

#[test]
fn residuals_join_their_convolution() {
    let (mut b, x) = Builder::new();
    let input = b.conv(x, 1, 8, 1);
    let x = b.conv(input, 3, 8, 8);
    let x = b.conv(x, 1, 8, 1);
    let x = b.norm(x);
    let x = b.two(Add, input, x);
    let x = b.with(Max, x, 0.0);
    assert_eq!(
        b.lowered(x),
        Ok(vec!["pointwise", "depthwise", "pointwise"])
    );
}

#[test]
fn mixed_convolutions_need_no_copies() {
    let (mut b, x) = Builder::new();
    let x = b.conv(x, 1, 10, 1);
    let input = x;
    let parts = [(0, 4, 3), (4, 10, 5)].map(|(start, end, side)| {
        let part = b.slice(x, start, end);
        b.conv(part, side, end - start, end - start)
    });
    let x = b.wire(TypedConcat { axis: 1 }, &parts);
    let x = b.norm(x);
    let x = b.with(Max, x, 0.0);
    let gate = b.mean(x);
    let gate = b.conv(gate, 1, 2, 1);
    let gate = b.conv(gate, 1, 10, 1);
    let gate = b.wire(sigmoid(), &[gate]);
    let x = b.two(Mul, x, gate);
    let parts = [(0, 5), (5, 10)].map(|(start, end)| {
        let part = b.slice(x, start, end);
        b.conv(part, 1, 5, 1)
    });
    let x = b.wire(TypedConcat { axis: 1 }, &parts);
    let x = b.norm(x);
    let x = b.two(Add, x, input);
    let mut kinds = b.lowered(x).unwrap();
    kinds.sort_unstable();
    let expected = [
        "depthwise",
        "depthwise",
        "excite",
        "mean",
        "pointwise",
        "pointwise",
        "pointwise",
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn parts_that_others_read_are_copied() {
    let (mut b, x) = Builder::new();
    let a = b.conv(x, 1, 4, 1);
    let c = b.conv(a, 3, 4, 1);
    let x = b.wire(TypedConcat { axis: 1 }, &[a, c, a]);
    let x = b.conv(x, 3, 5, 1);
    assert!(b.lowered(x).unwrap().contains(&"activate"));
}

#[test]
fn what_has_no_kernel_to_join_is_a_layer() {
    let (mut b, x) = Builder::new();
    let pool = MaxPool {
        pool_spec: Builder::pool_spec(3, 1, 3, 3),
        with_index_outputs: None,
    };
    let x = b.wire(pool, &[x]);
    let k = b.values(&[1, 3, 1, 1]);
    let y = b.two(Sub, k, x);
    let x = b.two(Add, x, y);
    assert_eq!(b.lowered(x), Ok(vec!["pool", "affine", "add"]));
}
