//! The rewritten graph as a list of layers: splits and concatenations become ranges of values.

use std::collections::HashMap;
use std::sync::Arc;

use edge_classify_int8::Quantization;
use edge_classify_kernels::Activation;
use tract_core::internal::OutletId;

use super::NotCovered;
use super::fuse::levels;
use super::graph::{Graph, Id, Node, Op, Uses};
use crate::engine::net::{Kind, Layer, Net, Part, Shape, Span};

struct Emitter {
    graph: Graph,
    parts: HashMap<OutletId, Arc<Part>>,
    values: Vec<Shape>,
    /// What each value is rounded to, if the model says so.
    levels: Vec<Option<Quantization>>,
    layers: Vec<Layer>,
    /// Where each node's result is.
    places: Vec<Option<Span>>,
    /// Whether the node is computed in a concatenation.
    in_place: Vec<bool>,
}

/// The network in float, and what each of its values is rounded to. `parts` are the tensors that tract computes.
pub(super) fn emit(
    mut graph: Graph,
    parts: HashMap<OutletId, Arc<Part>>,
) -> Result<(Net, Vec<Option<Quantization>>), NotCovered> {
    levels::settle(&mut graph);
    let uses = graph.uses();
    let order = graph.order();
    let output = graph.output;
    let mut emitter = Emitter {
        values: Vec::new(),
        levels: Vec::new(),
        layers: Vec::new(),
        places: vec![None; graph.nodes.len()],
        in_place: vec![false; graph.nodes.len()],
        graph,
        parts,
    };
    // What reads a node is placed before it, so that it can be computed in a concatenation.
    for id in order.iter().rev() {
        emitter.place(&uses, *id);
    }
    let mut input = None;
    for id in order {
        if emitter.graph.nodes[id].op == Op::Input {
            input = emitter.places[id].map(|span| span.value);
        }
        emitter.node(id)?;
    }
    let (input, mut output) = input
        .zip(emitter.places[output])
        .ok_or_else(|| NotCovered::whole("its output does not depend on its input"))?;
    if emitter.levels[output.value].is_some() {
        // What is given out is of f32 all the same.
        let shape = Shape {
            channels: output.channels,
            ..emitter.values[output.value]
        };
        let values = emitter.value(shape, None);
        emitter.copy("output", output, values);
        output = values;
    }
    let net = Net::new(emitter.values, emitter.layers, input, output);
    let net = net.map_err(|e| NotCovered::whole(e.to_string()))?;
    Ok((net, emitter.levels))
}

impl Emitter {
    fn value(&mut self, shape: Shape, levels: Option<Quantization>) -> Span {
        self.values.push(shape);
        self.levels.push(levels);
        Span {
            value: self.values.len() - 1,
            first: 0,
            channels: shape.channels,
        }
    }

    fn place(&mut self, uses: &Uses, id: Id) {
        if matches!(self.graph.nodes[id].op, Op::Slice { .. }) {
            return;
        }
        let inside = self.in_concat(uses, id);
        self.in_place[id] = inside.is_some();
        let node = &self.graph.nodes[id];
        let (shape, levels) = (node.shape, node.levels);
        let place = inside.unwrap_or_else(|| self.value(shape, levels));
        self.places[id] = Some(place);
    }

    /// The node's place in the one concatenation that it is a part of.
    fn in_concat(&self, uses: &Uses, id: Id) -> Option<Span> {
        let is_concat = |user: &&Id| self.graph.nodes[**user].op == Op::Concat;
        let mut concats = uses.of(id).iter().filter(is_concat);
        let (concat, more) = (concats.next()?, concats.next());
        let Node { op, levels, .. } = &self.graph.nodes[id];
        let place = self.places[*concat]?;
        // Who else reads it wants its own levels.
        let whole = self.levels[place.value];
        let alike = *levels == whole || (whole.is_none() && uses.single(id));
        if more.is_some() || *op == Op::Input || !alike || id == self.graph.output {
            return None;
        }
        if uses
            .of(id)
            .iter()
            .any(|user| user != concat && self.forbids(uses, *user, place))
        {
            return None;
        }
        let parts = self.graph.nodes[*concat].inputs.iter();
        let before = parts.take_while(|part| **part != id);
        let before = before.map(|part| self.graph.nodes[*part].shape.channels);
        Some(Span {
            first: place.first + before.sum::<usize>(),
            channels: self.graph.nodes[id].shape.channels,
            ..place
        })
    }

    /// Whether a reader cannot read from a place: dense convolutions read whole values, and no layer reads the value that
    /// it writes.
    fn forbids(&self, uses: &Uses, user: Id, place: Span) -> bool {
        match self.graph.nodes[user].op {
            Op::Convolution { .. } => true,
            Op::Slice { .. } => uses
                .of(user)
                .iter()
                .any(|user| self.forbids(uses, *user, place)),
            _ => self.places[user].is_none_or(|span| span.value == place.value),
        }
    }

    fn copy(&mut self, name: &str, input: Span, output: Span) {
        self.layers.push(Layer {
            name: name.to_owned(),
            kind: Kind::Activate,
            activation: Activation::Identity,
            input,
            output,
        });
    }

    fn node(&mut self, id: Id) -> Result<(), NotCovered> {
        // Its weights move to the layer.
        let node = &mut self.graph.nodes[id];
        let op = std::mem::replace(&mut node.op, Op::Gone);
        let node = node.clone();
        let name = node.name.clone();
        let refuse = |reason: &str| NotCovered {
            node: name.clone(),
            op: "lowered".to_owned(),
            reason: reason.to_owned(),
        };
        let input = |this: &Self, slot: usize| {
            let place = node.inputs.get(slot).and_then(|id| this.places[*id]);
            place.ok_or_else(|| refuse("an input has no place"))
        };
        match op {
            Op::Input => return Ok(()),
            Op::Slice { first } => {
                let whole = input(self, 0)?;
                self.places[id] = Some(Span {
                    first: whole.first + first,
                    channels: node.shape.channels,
                    ..whole
                });
                return Ok(());
            }
            Op::Concat => {
                let mut to = self.places[id].ok_or_else(|| refuse("has no place"))?;
                for (slot, part) in node.inputs.iter().enumerate() {
                    to.channels = self.graph.nodes[*part].shape.channels;
                    if !self.in_place[*part] {
                        let from = input(self, slot)?;
                        self.copy(&node.name, from, to);
                    }
                    to.first += to.channels;
                }
                return Ok(());
            }
            _ => {}
        }
        let mut x = input(self, 0)?;
        let output = self.places[id].ok_or_else(|| refuse("has no place"))?;
        if matches!(op, Op::Convolution { .. }) && x.channels != self.values[x.value].channels {
            let shape = self.graph.nodes[node.inputs[0]].shape;
            let whole = self.value(shape, self.levels[x.value]);
            self.copy(&node.name, x, whole);
            x = whole;
        }
        let kind = self.kind(op, |slot| input(self, slot), refuse)?;
        self.layers.push(Layer {
            name: node.name,
            kind,
            activation: node.activation,
            input: x,
            output,
        });
        Ok(())
    }

    fn kind(
        &self,
        op: Op,
        input: impl Fn(usize) -> Result<Span, NotCovered>,
        refuse: impl Fn(&str) -> NotCovered,
    ) -> Result<Kind, NotCovered> {
        let optional = |is: bool, slot: usize| is.then(|| input(slot)).transpose();
        Ok(match op {
            Op::Pointwise {
                weights,
                bias,
                gate,
                residual,
            } => Kind::Pointwise {
                weights: weights.into(),
                bias: bias.into(),
                gate: optional(gate, 1)?,
                residual: optional(residual, 1 + usize::from(gate))?,
            },
            Op::Convolution {
                weights,
                bias,
                window,
                residual,
            } => Kind::Convolution {
                weights: weights.into(),
                bias: bias.into(),
                window,
                residual: optional(residual, 1)?,
            },
            Op::Depthwise {
                weights,
                bias,
                window,
            } => Kind::Depthwise {
                weights: weights.into(),
                bias: bias.into(),
                window,
            },
            Op::Pool { pool, window } => Kind::Pool { pool, window },
            Op::Mean => Kind::Mean,
            Op::Excite {
                squeeze,
                squeeze_bias,
                squeeze_activation,
                excite,
                excite_bias,
            } => Kind::Excite {
                squeeze: squeeze.into(),
                squeeze_bias: squeeze_bias.into(),
                squeeze_activation,
                excite: excite.into(),
                excite_bias: excite_bias.into(),
            },
            Op::Multiply => {
                let gate = input(1)?;
                if self.values[gate.value].pixels() != 1 {
                    return Err(refuse("multiplies two pictures"));
                }
                Kind::Multiply { gate }
            }
            Op::Add => Kind::Add { other: input(1)? },
            Op::Affine { scale, shift } => Kind::Affine {
                scale: scale.into(),
                shift: shift.into(),
            },
            Op::Activate => Kind::Activate,
            Op::Shuffle { groups } => Kind::Shuffle { groups },
            Op::Foreign(outlet) => {
                let part = self.parts.get(&outlet);
                let part = part.ok_or_else(|| refuse("nothing computes it"))?.clone();
                let more = (1..part.inputs.len()).map(input);
                Kind::Part {
                    more: more.collect::<Result<_, _>>()?,
                    part,
                }
            }
            Op::Input | Op::Slice { .. } | Op::Concat | Op::Gone => {
                return Err(refuse("is no layer"));
            }
        })
    }
}
