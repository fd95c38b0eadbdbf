//! tract's nodes, one by one, to the graph's.

use std::collections::HashMap;

use edge_classify_kernels::Activation;
use tract_core::internal::*;
use tract_core::ops::array::{Slice, TypedConcat};
use tract_core::ops::binary::TypedBinOp;
use tract_core::ops::cnn::{Conv, MaxPool, SumPool};
use tract_core::ops::einsum::EinSum;
use tract_core::ops::element_wise::ElementWiseOp;
use tract_core::ops::identity::Identity;
use tract_core::ops::konst::Const;
use tract_core::ops::nn::{HardSwish, Reduce, Reducer, Sigmoid, Silu};
use tract_core::ops::source::TypedSource;

use super::NotCovered;
use super::constants::Constants;
use super::graph::{Graph, Id, Node, Op};
use super::layout::{Layout, concrete};
use crate::engine::net::Shape;

/// A tensor that depends on the picture.
#[derive(Debug, Clone)]
pub(super) struct Tracked {
    pub id: Id,
    pub layout: Layout,
    /// As tract has it.
    pub dims: Vec<usize>,
}

pub(super) struct Reader<'a> {
    pub model: &'a TypedModel,
    pub graph: Graph,
    pub constants: Constants,
    tracked: HashMap<OutletId, Tracked>,
}

/// What a node becomes, or why it does not.
pub(super) type Read = Result<Tracked, String>;

pub(super) fn read(model: &TypedModel) -> Result<Graph, NotCovered> {
    let mut reader = Reader {
        model,
        graph: Graph::default(),
        constants: Constants::default(),
        tracked: HashMap::new(),
    };
    let whole = |reason: String| NotCovered {
        node: String::new(),
        op: "the network".to_owned(),
        reason,
    };
    let order = model.eval_order().map_err(|e| whole(format!("{e:#}")))?;
    for id in order {
        let node = &model.nodes()[id];
        let tracked = node
            .inputs
            .iter()
            .any(|outlet| reader.tracked.contains_key(outlet));
        if node.op_is::<Const>() || (!tracked && reader.constants.compute(model, node)) {
            continue;
        }
        let read = reader.node(node).map_err(|reason| NotCovered {
            node: node.name.clone(),
            op: node.op.name().into_owned(),
            reason,
        })?;
        reader.tracked.insert(OutletId::new(id, 0), read);
    }
    let output = model
        .output_outlets()
        .ok()
        .and_then(|outlets| outlets.first());
    let output = output.and_then(|outlet| reader.tracked.get(outlet));
    let output =
        output.ok_or_else(|| whole("its output does not depend on its input".to_owned()))?;
    reader.graph.output = output.id;
    Ok(reader.graph)
}

impl Reader<'_> {
    fn node(&mut self, node: &TypedNode) -> Read {
        if node.outputs.len() != 1 {
            return Err(format!("has {} outputs", node.outputs.len()));
        }
        let fact = &node.outputs[0].fact;
        if fact.datum_type != DatumType::F32 {
            return Err(format!("computes {:?}", fact.datum_type));
        }
        let op = node.op();
        if op.is::<TypedSource>() {
            return self.source(node);
        }
        if op.is::<Identity>() {
            return self.input(node, 0);
        }
        if let Some(op) = op.downcast_ref::<Conv>() {
            return self.convolution(node, op);
        }
        if let Some(op) = op.downcast_ref::<EinSum>() {
            return self.product(node, op);
        }
        if let Some(op) = op.downcast_ref::<TypedBinOp>() {
            return self.binary(node, &*op.0);
        }
        if let Some(op) = op.downcast_ref::<ElementWiseOp>() {
            let activation = if op.0.is::<HardSwish>() {
                Activation::HardSwish
            } else if op.0.is::<Silu>() {
                Activation::Swish
            } else if op.0.is::<Sigmoid>() {
                Activation::Sigmoid
            } else {
                return Err("no layer computes this function".to_owned());
            };
            return self.activation(node, activation);
        }
        if let Some(op) = op.downcast_ref::<Reduce>() {
            return self.reduce(node, op);
        }
        if let Some(op) = op.downcast_ref::<MaxPool>() {
            return self.max_pool(node, op);
        }
        if let Some(op) = op.downcast_ref::<SumPool>() {
            return self.sum_pool(node, op);
        }
        if let Some(op) = op.downcast_ref::<Slice>() {
            return self.slice(node, op);
        }
        if let Some(op) = op.downcast_ref::<TypedConcat>() {
            return self.concat(node, op);
        }
        if let Some(op) = op.downcast_ref::<AxisOp>() {
            let x = self.input(node, 0)?;
            let layout = x.layout.change(op, &x.dims);
            let layout = layout.ok_or("mixes channels with height and width")?;
            return self.output(node, x.id, layout);
        }
        Err("no layer computes this".to_owned())
    }

    pub fn input(&self, node: &TypedNode, slot: usize) -> Read {
        let outlet = node.inputs.get(slot).ok_or("an input is missing")?;
        let tracked = self.tracked.get(outlet).cloned();
        tracked.ok_or_else(|| format!("input {slot} is a constant"))
    }

    /// A node's constant input.
    pub fn constant(&self, node: &TypedNode, slot: usize) -> Option<Arc<Tensor>> {
        self.constants.get(self.model, *node.inputs.get(slot)?)
    }

    pub fn shape(&self, id: Id) -> Shape {
        self.graph.nodes[id].shape
    }

    /// The node's output is what `id` computes.
    fn output(&self, node: &TypedNode, id: Id, layout: Layout) -> Read {
        let dims = concrete(&node.outputs[0].fact.shape).ok_or("its shape is not fixed")?;
        if layout.shape(&dims) != Some(self.shape(id)) {
            return Err(format!("has an output of {dims:?}"));
        }
        Ok(Tracked { id, layout, dims })
    }

    /// Adds a node whose shape is that of the output.
    pub fn emit(&mut self, node: &TypedNode, op: Op, inputs: Vec<Id>, layout: Layout) -> Read {
        let dims = concrete(&node.outputs[0].fact.shape).ok_or("its shape is not fixed")?;
        let shape = layout.shape(&dims);
        let shape = shape.ok_or_else(|| format!("has an output of {dims:?}"))?;
        let id = self.graph.add(Node::new(&node.name, op, inputs, shape));
        Ok(Tracked { id, layout, dims })
    }

    /// A node with the same shape as its input.
    pub fn activation(&mut self, node: &TypedNode, activation: Activation) -> Read {
        let x = self.input(node, 0)?;
        self.activate(node, x, activation)
    }

    pub fn activate(&mut self, node: &TypedNode, x: Tracked, activation: Activation) -> Read {
        let read = self.emit(node, Op::Activate, vec![x.id], x.layout)?;
        self.graph.nodes[read.id].activation = activation;
        self.same(&read, &x)
    }

    /// Refuses what is broadcast to more pixels or channels.
    pub fn same(&self, read: &Tracked, x: &Tracked) -> Read {
        if self.shape(read.id) == self.shape(x.id) {
            Ok(read.clone())
        } else {
            Err(format!("broadcasts {:?} to {:?}", x.dims, read.dims))
        }
    }

    fn source(&mut self, node: &TypedNode) -> Read {
        let nchw = Layout {
            channels: 1,
            height: Some(2),
            width: Some(3),
        };
        self.emit(node, Op::Input, Vec::new(), nchw)
    }

    fn reduce(&mut self, node: &TypedNode, op: &Reduce) -> Read {
        let x = self.input(node, 0)?;
        let shape = self.shape(x.id);
        let reduced: Vec<usize> = (0..x.dims.len())
            .filter(|axis| op.axes.contains(axis) && x.dims[*axis] > 1)
            .collect();
        let picture: Vec<usize> = [x.layout.height, x.layout.width]
            .into_iter()
            .flatten()
            .filter(|axis| x.dims[*axis] > 1)
            .collect();
        if op.reducer != Reducer::Sum || reduced != picture {
            return Err("is not a sum over height and width".to_owned());
        }
        let mean = self.emit(node, Op::Mean, vec![x.id], x.layout)?;
        let op = Op::Affine {
            scale: vec![shape.pixels() as f32; shape.channels],
            shift: vec![0.0; shape.channels],
        };
        self.emit(node, op, vec![mean.id], x.layout)
    }

    fn slice(&mut self, node: &TypedNode, op: &Slice) -> Read {
        let x = self.input(node, 0)?;
        let first = op.start.to_usize().ok();
        match first.filter(|_| op.axis == x.layout.channels) {
            Some(first) => self.emit(node, Op::Slice { first }, vec![x.id], x.layout),
            None => Err("is not a slice of channels".to_owned()),
        }
    }

    fn concat(&mut self, node: &TypedNode, op: &TypedConcat) -> Read {
        let parts = (0..node.inputs.len()).map(|slot| self.input(node, slot));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let first = parts.first().ok_or("has no inputs")?;
        let layout = first.layout;
        let alike = |part: &Tracked| {
            let (a, b) = (self.shape(part.id), self.shape(first.id));
            part.layout.channels == op.axis && (a.height, a.width) == (b.height, b.width)
        };
        if !parts.iter().all(alike) {
            return Err("does not concatenate channels".to_owned());
        }
        let inputs = parts.iter().map(|part| part.id).collect();
        self.emit(node, Op::Concat, inputs, layout)
    }
}
