//! The network while it is being lowered: nodes that name what they read, easy to rewrite.

use edge_classify_int8::Quantization;
use edge_classify_kernels::{Activation, Pool, Window};
use tract_core::internal::OutletId;

use crate::engine::net::Shape;

/// Index into [`Graph::nodes`].
pub type Id = usize;

/// As [`crate::engine::net::Kind`], with splits and concatenations. All that a node reads is in [`Node::inputs`].
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    Input,
    /// Inputs: x, then the gate, then the residual.
    Pointwise {
        weights: Vec<f32>,
        bias: Vec<f32>,
        gate: bool,
        residual: bool,
    },
    /// Inputs: x, then the residual.
    Convolution {
        weights: Vec<f32>,
        bias: Vec<f32>,
        window: Window,
        residual: bool,
    },
    Depthwise {
        weights: Vec<f32>,
        bias: Vec<f32>,
        window: Window,
    },
    Pool {
        pool: Pool,
        window: Window,
    },
    Mean,
    Excite {
        squeeze: Vec<f32>,
        squeeze_bias: Vec<f32>,
        squeeze_activation: Activation,
        excite: Vec<f32>,
        excite_bias: Vec<f32>,
    },
    /// Inputs: x, and what it is multiplied by: as large, or of 1 x 1 pixel.
    Multiply,
    Add,
    Affine {
        scale: Vec<f32>,
        shift: Vec<f32>,
    },
    /// Nothing but its activation.
    Activate,
    Shuffle {
        groups: usize,
    },
    /// A tensor that tract computes; inputs: all that the part reads.
    Foreign(OutletId),
    /// Channels from `first` on, as many as the node's shape has.
    Slice {
        first: usize,
    },
    Concat,
    /// Has been replaced.
    Gone,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub name: String,
    pub op: Op,
    pub inputs: Vec<Id>,
    pub activation: Activation,
    /// What the result is rounded to after its activation, if the model says so. Of a slice, what its source is.
    pub levels: Option<Quantization>,
    pub shape: Shape,
}

impl Node {
    pub fn new(name: &str, op: Op, inputs: Vec<Id>, shape: Shape) -> Node {
        Node {
            name: name.to_owned(),
            op,
            inputs,
            activation: Activation::Identity,
            levels: None,
            shape,
        }
    }

    pub fn with(self, activation: Activation) -> Node {
        Node { activation, ..self }
    }

    pub fn in_levels(self, levels: Option<Quantization>) -> Node {
        Node { levels, ..self }
    }
}

#[derive(Debug, Clone, Default)]
pub struct Graph {
    pub nodes: Vec<Node>,
    pub output: Id,
}

/// Who reads each node, once for every time that it does.
pub struct Uses {
    starts: Vec<usize>,
    users: Vec<Id>,
}

impl Uses {
    pub fn of(&self, id: Id) -> &[Id] {
        &self.users[self.starts[id]..self.starts[id + 1]]
    }

    /// Whether nothing but one reader sees it.
    pub fn single(&self, id: Id) -> bool {
        self.of(id).len() == 1
    }
}

impl Graph {
    pub fn add(&mut self, node: Node) -> Id {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Lets all that read `old` read `new`, which keeps its own levels.
    pub fn replace(&mut self, old: Id, new: Id) {
        for node in &mut self.nodes {
            for input in &mut node.inputs {
                if *input == old {
                    *input = new;
                }
            }
        }
        if self.output == old {
            self.output = new;
        }
        self.nodes[old].op = Op::Gone;
        self.nodes[old].inputs.clear();
    }

    /// Whether a product has two factors of many pixels, for which there is no layer.
    pub fn multiplies_pictures(&self, node: &Node) -> bool {
        node.op == Op::Multiply && self.nodes[node.inputs[1]].shape.pixels() != 1
    }

    /// The nodes that the output needs, each after those that it reads.
    pub fn order(&self) -> Vec<Id> {
        let mut order = Vec::with_capacity(self.nodes.len());
        let mut seen = vec![false; self.nodes.len()];
        // A node, and how many of its inputs have been visited.
        let mut stack = vec![(self.output, 0)];
        seen[self.output] = true;
        while let Some((id, next)) = stack.pop() {
            match self.nodes[id].inputs.get(next) {
                Some(input) => {
                    stack.push((id, next + 1));
                    if !std::mem::replace(&mut seen[*input], true) {
                        stack.push((*input, 0));
                    }
                }
                None => order.push(id),
            }
        }
        order
    }

    /// Counts the output's as a use as well; forgets what nothing needs.
    pub fn uses(&mut self) -> Uses {
        let mut needed = vec![false; self.nodes.len()];
        for id in self.order() {
            needed[id] = true;
        }
        let mut starts = vec![0; self.nodes.len() + 1];
        for (id, node) in self.nodes.iter_mut().enumerate() {
            if !needed[id] {
                node.op = Op::Gone;
                node.inputs.clear();
            }
            for input in &node.inputs {
                starts[*input + 1] += 1;
            }
        }
        starts[self.output + 1] += 1;
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let mut users = vec![self.output; starts[self.nodes.len()]];
        for (id, node) in self.nodes.iter().enumerate() {
            for input in &node.inputs {
                users[next[*input]] = id;
                next[*input] += 1;
            }
        }
        Uses { starts, users }
    }
}
