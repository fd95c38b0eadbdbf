//! Which layers compute in levels, and which values are of levels for that.
//!
//! A layer whose kind has an int8 kernel computes in levels unless it is kept in float. Where one that does meets one
//! that does not, a copy between them converts: an activation without a function. What makes factors for channels
//! (squeeze-and-excitation) is small and stays in float.

use std::collections::BTreeMap;

use edge_classify_kernels::{Activation, Pool};

use crate::engine::net::{Kind, Layer, Net, NetError, Shape, Span};

/// A network with the layers that convert between levels and float; all of its weights and arithmetic are still of f32.
#[derive(Debug, Clone)]
pub struct Placed {
    pub net: Net,
    /// Of each value, whether it is of levels.
    pub in_levels: Vec<bool>,
    /// Of each value, the first of those that have one quantization in common.
    pub shared: Vec<usize>,
}

impl Placed {
    /// Whether a layer's weights are levels.
    pub fn computes_in_levels(&self, layer: usize) -> bool {
        self.in_levels[self.net.layers()[layer].input.value]
    }

    /// Whether somebody reads a value's levels: its own, or those of a copy.
    pub fn has_levels(&self, value: usize) -> bool {
        let is_copy = |layer: &Layer| {
            layer.input.value == value
                && matches!(layer.kind, Kind::Activate)
                && self.in_levels[layer.output.value]
        };
        self.in_levels[value] || self.net.layers().iter().any(is_copy)
    }
}

/// Places the layers; those are kept in float for whose index `keep` is true.
pub fn place(net: &Net, keep: &dyn Fn(usize) -> bool) -> Result<Placed, NetError> {
    let int8 = layers_in_levels(net, keep);
    let in_levels = values_in_levels(net, &int8);
    let mut rewriter = Rewriter {
        values: net.values().to_vec(),
        layers: Vec::new(),
        in_levels,
        copies: BTreeMap::new(),
    };
    for (layer, int8) in net.layers().iter().zip(int8) {
        rewriter.take(layer.clone(), int8);
    }
    let output = rewriter.read(net.output(), false, "output");
    let Rewriter {
        values,
        layers,
        in_levels,
        ..
    } = rewriter;
    let shared = shared(&layers, &in_levels);
    let net = Net::new(values, layers, net.input_value(), output)?;
    Ok(Placed {
        net,
        in_levels,
        shared,
    })
}

/// Whether layers of this kind can compute in levels.
pub fn has_kernel(kind: &Kind) -> bool {
    !matches!(
        kind,
        Kind::Excite { .. } | Kind::Affine { .. } | Kind::Part { .. }
    )
}

/// Whether a layer of levels can write values of f32.
fn writes_float(layer: &Layer) -> bool {
    match layer.kind {
        Kind::Pointwise { .. } | Kind::Convolution { .. } | Kind::Mean => true,
        Kind::Activate => layer.activation == Activation::Identity,
        _ => false,
    }
}

fn gate(kind: &Kind) -> Option<Span> {
    match kind {
        Kind::Pointwise { gate, .. } => *gate,
        Kind::Multiply { gate } => Some(*gate),
        _ => None,
    }
}

/// The spans that a layer of levels must read as levels: all but factors of channels.
pub fn reads_as_levels(layer: &Layer) -> impl Iterator<Item = Span> {
    let gate = gate(&layer.kind);
    let mut gate = gate.into_iter().peekable();
    layer
        .reads()
        .filter(move |span| gate.next_if_eq(span).is_none())
}

fn layers_in_levels(net: &Net, keep: &dyn Fn(usize) -> bool) -> Vec<bool> {
    let layers = net.layers();
    let kept = |index: usize| has_kernel(&layers[index].kind) && !keep(index);
    let mut int8: Vec<bool> = (0..layers.len()).map(kept).collect();
    // Layers of vectors that only make factors, the last first.
    for index in (0..layers.len()).rev() {
        let layer = &layers[index];
        let value = layer.output.value;
        let readers = (0..layers.len()).filter(|reader| {
            let mut reads = layers[*reader].reads();
            reads.any(|span| span.value == value)
        });
        let in_float = |reader: usize| {
            let mut reads = reads_as_levels(&layers[reader]);
            !int8[reader] || reads.all(|span| span.value != value)
        };
        let readers: Vec<usize> = readers.collect();
        let is_vector = net.values()[layer.input.value].pixels() == 1;
        if is_vector && !readers.is_empty() && readers.into_iter().all(in_float) {
            int8[index] = value == net.output().value && int8[index];
        }
    }
    int8
}

/// Those that a layer of levels writes, unless nobody reads them as levels and all writers can write f32.
fn values_in_levels(net: &Net, int8: &[bool]) -> Vec<bool> {
    let mut read = vec![false; net.values().len()];
    let mut written = read.clone();
    let mut must = read.clone();
    for (layer, _) in net.layers().iter().zip(int8).filter(|(_, int8)| **int8) {
        reads_as_levels(layer).for_each(|span| read[span.value] = true);
        written[layer.output.value] = true;
        must[layer.output.value] |= !writes_float(layer);
    }
    let values = read.into_iter().zip(written).zip(must);
    values
        .map(|((read, written), must)| must || (read && written))
        .collect()
}

struct Rewriter {
    values: Vec<Shape>,
    layers: Vec<Layer>,
    in_levels: Vec<bool>,
    /// Conversions of spans, by value, first channel and number of channels.
    copies: BTreeMap<(usize, usize, usize), Span>,
}

impl Rewriter {
    fn take(&mut self, mut layer: Layer, int8: bool) {
        let name = layer.name.clone();
        if int8 {
            self.gate(&mut layer);
        }
        layer.input = self.read(layer.input, int8, &name);
        match &mut layer.kind {
            Kind::Pointwise { gate, residual, .. } => {
                *gate = gate.map(|span| self.read(span, false, &name));
                *residual = residual.map(|span| self.read(span, int8, &name));
            }
            Kind::Convolution { residual, .. } => {
                *residual = residual.map(|span| self.read(span, int8, &name));
            }
            Kind::Multiply { gate } => *gate = self.read(*gate, false, &name),
            Kind::Add { other } => *other = self.read(*other, int8, &name),
            Kind::Part { more, .. } => {
                for span in more {
                    *span = self.read(*span, int8, &name);
                }
            }
            _ => {}
        }
        let output = layer.output;
        let bounds = matches!(
            layer.activation,
            Activation::Identity | Activation::Clamp { .. }
        );
        if int8 && matches!(layer.kind, Kind::Multiply { .. }) && !bounds {
            // A product of levels has no other activation: that gets a layer of its own.
            let activation = std::mem::replace(&mut layer.activation, Activation::Identity);
            layer.output = self.value(self.shape(output), true);
            let input = layer.output;
            self.layers.push(layer);
            self.layers.push(Layer {
                name: format!("{name} activation"),
                kind: Kind::Activate,
                activation,
                input,
                output,
            });
            return;
        }
        if int8 || !self.in_levels[output.value] {
            self.layers.push(layer);
            return;
        }
        layer.output = self.value(self.shape(output), false);
        let from = layer.output;
        self.layers.push(layer);
        self.copy(&name, from, output);
    }

    /// Takes the factors of a pointwise layer out of it: the product gets levels of its own.
    fn gate(&mut self, layer: &mut Layer) {
        let Kind::Pointwise { gate, .. } = &mut layer.kind else {
            return;
        };
        let Some(span) = gate.take() else { return };
        let name = format!("{} input", layer.name);
        let gate = self.read(span, false, &name);
        let input = self.read(layer.input, true, &name);
        let output = self.value(self.shape(layer.input), true);
        self.layers.push(Layer {
            name,
            kind: Kind::Multiply { gate },
            activation: Activation::Identity,
            input,
            output,
        });
        layer.input = output;
    }

    /// The span as it is wanted: of levels, or of f32.
    fn read(&mut self, span: Span, as_levels: bool, name: &str) -> Span {
        if self.in_levels[span.value] == as_levels {
            return span;
        }
        let key = (span.value, span.first, span.channels);
        if let Some(copy) = self.copies.get(&key) {
            return *copy;
        }
        let copy = self.value(self.shape(span), as_levels);
        self.copy(&format!("{name} input"), span, copy);
        self.copies.insert(key, copy);
        copy
    }

    fn copy(&mut self, name: &str, input: Span, output: Span) {
        self.layers.push(Layer {
            name: format!("{name} converted"),
            kind: Kind::Activate,
            activation: Activation::Identity,
            input,
            output,
        });
    }

    /// A new value.
    fn value(&mut self, shape: Shape, in_levels: bool) -> Span {
        self.values.push(shape);
        self.in_levels.push(in_levels);
        Span {
            value: self.values.len() - 1,
            first: 0,
            channels: shape.channels,
        }
    }

    fn shape(&self, span: Span) -> Shape {
        Shape {
            channels: span.channels,
            ..self.values[span.value]
        }
    }
}

/// Of each value, the first that has the same quantization: some layers move levels and do nothing else.
fn shared(layers: &[Layer], in_levels: &[bool]) -> Vec<usize> {
    let mut shared: Vec<usize> = (0..in_levels.len()).collect();
    for layer in layers {
        let moves = matches!(
            layer.kind,
            Kind::Shuffle { .. }
                | Kind::Pool {
                    pool: Pool::Max,
                    ..
                }
        );
        if moves && in_levels[layer.input.value] {
            let [a, b] = [layer.input, layer.output].map(|span| shared[span.value]);
            let (first, other) = (a.min(b), a.max(b));
            for value in &mut shared {
                if *value == other {
                    *value = first;
                }
            }
        }
    }
    shared
}
