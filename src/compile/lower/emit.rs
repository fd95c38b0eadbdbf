//! The rewritten graph as a list of layers: splits and concatenations become ranges of values.

use super::NotCovered;
use super::graph::{Graph, Id, Op};
use crate::engine::net::{Kind, Layer, Net, Shape, Span};
use edge_classify_kernels::Activation;

struct Emitter {
    graph: Graph,
    values: Vec<Shape>,
    layers: Vec<Layer>,
    /// Where each node's result is.
    places: Vec<Option<Span>>,
    /// Whether nothing but a concatenation may read the node, so that it can be computed in that.
    in_place: Vec<bool>,
}

pub(super) fn emit(graph: Graph) -> Result<Net, NotCovered> {
    let order = graph.order();
    let mut readers = vec![0; graph.nodes.len()];
    readers[graph.output] += 1;
    for id in &order {
        for input in &graph.nodes[*id].inputs {
            readers[*input] += 1;
        }
    }
    let computed = |op: &Op| !matches!(op, Op::Input | Op::Slice { .. });
    let nodes = graph.nodes.iter().zip(readers);
    let output = graph.output;
    let mut emitter = Emitter {
        values: Vec::new(),
        layers: Vec::new(),
        places: vec![None; graph.nodes.len()],
        in_place: nodes
            .map(|(node, readers)| readers == 1 && computed(&node.op))
            .collect(),
        graph,
    };
    // A concatenation is placed before its parts, so that they are computed in it.
    for id in order.iter().rev() {
        emitter.place(*id);
    }
    let mut input = None;
    for id in order {
        if emitter.graph.nodes[id].op == Op::Input {
            input = emitter.places[id].map(|span| span.value);
        }
        emitter.node(id)?;
    }
    let refuse = |reason: String| NotCovered {
        node: String::new(),
        op: "the network".to_owned(),
        reason,
    };
    let output = emitter.places[output];
    let (input, output) = input
        .zip(output)
        .ok_or_else(|| refuse("its output does not depend on its input".to_owned()))?;
    Net::new(emitter.values, emitter.layers, input, output).map_err(|e| refuse(e.to_string()))
}

impl Emitter {
    fn value(&mut self, shape: Shape) -> Span {
        self.values.push(shape);
        Span {
            value: self.values.len() - 1,
            first: 0,
            channels: shape.channels,
        }
    }

    fn place(&mut self, id: Id) {
        if matches!(self.graph.nodes[id].op, Op::Slice { .. }) {
            return;
        }
        let place = match self.places[id] {
            Some(place) => place,
            None => self.value(self.graph.nodes[id].shape),
        };
        self.places[id] = Some(place);
        let node = &self.graph.nodes[id];
        if node.op != Op::Concat {
            return;
        }
        let mut first = place.first;
        for part in &node.inputs {
            let channels = self.graph.nodes[*part].shape.channels;
            if self.in_place[*part] {
                self.places[*part] = Some(Span {
                    first,
                    channels,
                    ..place
                });
            }
            first += channels;
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
            let whole = self.value(self.graph.nodes[node.inputs[0]].shape);
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
            Op::Input | Op::Slice { .. } | Op::Concat | Op::Gone => {
                return Err(refuse("is no layer"));
            }
        })
    }
}
