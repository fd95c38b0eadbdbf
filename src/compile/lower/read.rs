//! tract's nodes, one by one, to the graph's.

use std::collections::{BTreeMap, HashMap};

use edge_classify_kernels::Activation;
use tract_core::internal::*;
use tract_core::ops::array::{Slice, TypedConcat};
use tract_core::ops::binary::TypedBinOp;
use tract_core::ops::cnn::{Conv, MaxPool, SumPool};
use tract_core::ops::downsample::Downsample;
use tract_core::ops::einsum::EinSum;
use tract_core::ops::element_wise::ElementWiseOp;
use tract_core::ops::identity::Identity;
use tract_core::ops::konst::Const;
use tract_core::ops::nn::{HardSwish, LeakyRelu, Reduce, Reducer, Sigmoid, Silu};
use tract_core::ops::source::TypedSource;

use super::constants::Constants;
use super::graph::{Graph, Id, Node, Op};
use super::layout::{Layout, concrete};
use super::moved::Moved;
use crate::compile::fake_quantize::FakeQuantize;
use crate::engine::net::Shape;

/// A tensor that depends on the picture.
#[derive(Debug, Clone)]
pub(super) struct Tracked {
    pub id: Id,
    pub layout: Layout,
    /// As tract has it.
    pub dims: Vec<usize>,
}

/// What is known of a tensor that depends on the picture.
#[derive(Debug, Clone)]
pub(super) enum Known {
    Ours(Tracked),
    /// Has the values of one of ours in an order that no layer reads; nothing computes it yet.
    Moved(Moved),
    /// tract is to compute it; with the layout that it has if a layer reads it.
    Theirs(Option<Layout>),
}

pub(super) struct Reader<'a> {
    pub model: &'a TypedModel,
    pub graph: Graph,
    pub constants: Constants,
    known: HashMap<OutletId, Known>,
    /// Nodes that no layer computes, and why.
    pub refused: BTreeMap<usize, String>,
    /// What was known before the node that is being read changed it.
    undo: Vec<(OutletId, Known)>,
}

/// What a node becomes, or why it does not.
pub(super) type Read = Result<Tracked, String>;

/// Reads all nodes in their order. Those in `left`, and those that no layer computes, are left to tract.
pub(super) fn read<'a>(
    model: &'a TypedModel,
    order: &[usize],
    left: &HashMap<usize, Option<String>>,
) -> Reader<'a> {
    let mut reader = Reader {
        model,
        graph: Graph::default(),
        constants: Constants::default(),
        known: HashMap::new(),
        refused: BTreeMap::new(),
        undo: Vec::new(),
    };
    for id in order {
        let node = &model.nodes()[*id];
        let depends = node
            .inputs
            .iter()
            .any(|outlet| reader.known.contains_key(outlet));
        if node.op_is::<Const>() || (!depends && reader.constants.compute(model, node)) {
            continue;
        }
        let before = reader.graph.nodes.len();
        let read = match left.get(id) {
            Some(reason) => Err(reason.clone()),
            None => reader.node(node).map_err(Some),
        };
        match read {
            Ok(known) => {
                reader.undo.clear();
                reader.known.insert(OutletId::new(*id, 0), known);
            }
            Err(reason) => {
                reader.graph.nodes.truncate(before);
                while let Some((outlet, known)) = reader.undo.pop() {
                    reader.known.insert(outlet, known);
                }
                reader.leave(node, reason);
            }
        }
    }
    reader
}

impl Reader<'_> {
    fn node(&mut self, node: &TypedNode) -> Result<Known, String> {
        if node.outputs.len() != 1 {
            return Err(format!("has {} outputs", node.outputs.len()));
        }
        let fact = &node.outputs[0].fact;
        if fact.datum_type != DatumType::F32 {
            return Err(format!("computes {:?}", fact.datum_type));
        }
        match node.op().downcast_ref::<AxisOp>() {
            Some(op) => self.change_axes(node, op),
            None => self.computed(node).map(Known::Ours),
        }
    }

    fn computed(&mut self, node: &TypedNode) -> Read {
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
            if let Some(LeakyRelu { alpha }) = op.0.downcast_ref() {
                return self.leaky_relu(node, *alpha);
            }
            if let Some(FakeQuantize(levels)) = op.0.downcast_ref() {
                return self.rounded(node, *levels);
            }
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
        if let Some(op) = op.downcast_ref::<Downsample>() {
            return self.downsample(node, op);
        }
        Err("no layer computes this".to_owned())
    }

    /// Leaves a node to tract.
    fn leave(&mut self, node: &TypedNode, reason: Option<String>) {
        let layouts = node
            .inputs
            .iter()
            .filter_map(|outlet| match self.known(*outlet)? {
                Known::Ours(tracked) => Some((tracked.layout, tracked.dims.len())),
                Known::Moved(_) => None,
                Known::Theirs(layout) => {
                    let rank = self.model.outlet_fact(*outlet).ok()?.rank();
                    layout.map(|layout| (layout, rank))
                }
            });
        let of_input = layouts.into_iter().next();
        for (slot, output) in node.outputs.iter().enumerate() {
            let layout = concrete(&output.fact.shape).and_then(|dims| {
                let same = of_input
                    .filter(|(layout, rank)| *rank == dims.len() && layout.shape(&dims).is_some());
                same.map_or_else(|| Layout::usual(&dims), |(layout, _)| Some(layout))
            });
            let layout = layout.filter(|_| output.fact.datum_type == DatumType::F32);
            let outlet = OutletId::new(node.id, slot);
            self.known.insert(outlet, Known::Theirs(layout));
        }
        if let Some(reason) = reason {
            self.refused.insert(node.id, reason);
        }
    }

    pub fn known(&self, outlet: OutletId) -> Option<&Known> {
        self.known.get(&outlet)
    }

    pub fn input(&mut self, node: &TypedNode, slot: usize) -> Read {
        let outlet = *node.inputs.get(slot).ok_or("an input is missing")?;
        self.tracked(outlet)
            .map_err(|reason| format!("input {slot} {reason}"))
    }

    /// A tensor for a layer to read; if tract is to compute it, it becomes one.
    pub fn tracked(&mut self, outlet: OutletId) -> Read {
        let layout = match self.known(outlet) {
            None => return Err("is a constant".to_owned()),
            Some(Known::Ours(tracked)) => return Ok(tracked.clone()),
            Some(Known::Theirs(layout)) => *layout,
            Some(Known::Moved(moved)) => Layout::usual(moved.dims()),
        };
        let fact = self
            .model
            .outlet_fact(outlet)
            .map_err(|e| format!("{e:#}"))?;
        let dims = concrete(&fact.shape).ok_or("has no fixed shape")?;
        let picture = layout.and_then(|layout| Some((layout, layout.shape(&dims)?)));
        let (layout, shape) = picture.ok_or_else(|| format!("is no picture: {fact:?}"))?;
        let name = &self.model.nodes()[outlet.node].name;
        let foreign = Node::new(name, Op::Foreign(outlet), Vec::new(), shape);
        let id = self.graph.add(foreign);
        let tracked = Tracked { id, layout, dims };
        let ours = Known::Ours(tracked.clone());
        if let Some(before) = self.known.insert(outlet, ours) {
            self.undo.push((outlet, before));
        }
        Ok(tracked)
    }

    /// A node's constant input.
    pub fn constant(&self, node: &TypedNode, slot: usize) -> Option<Arc<Tensor>> {
        self.constants.get(self.model, *node.inputs.get(slot)?)
    }

    pub fn shape(&self, id: Id) -> Shape {
        self.graph.nodes[id].shape
    }

    /// The node's output is what `id` computes.
    pub fn output(&self, node: &TypedNode, id: Id, layout: Layout) -> Read {
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
        let slots = 0..node.inputs.len();
        let parts: Result<Vec<_>, _> = slots.map(|slot| self.input(node, slot)).collect();
        let parts = parts?;
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
