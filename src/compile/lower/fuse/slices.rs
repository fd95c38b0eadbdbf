//! Slices: of slices, of concatenations, and of what was split for their sake.

use super::{Graph, Id, Op, Uses, levels};
use crate::compile::lower::graph::Node;

/// Lets all read `new` that read the node, unless that is rounded: then nothing is left of it but rounding.
fn replace(graph: &mut Graph, id: Id, new: Id) {
    let node = &mut graph.nodes[id];
    if node.levels.is_some() {
        (node.op, node.inputs) = (Op::Activate, vec![new]);
    } else {
        graph.replace(id, new);
    }
}

pub(super) fn of_whole(graph: &mut Graph, _: &Uses, id: Id) -> bool {
    let node = &graph.nodes[id];
    let whole = match node.op {
        Op::Slice { .. } => graph.nodes[node.inputs[0]].shape.channels == node.shape.channels,
        Op::Concat => node.inputs.len() == 1,
        _ => false,
    };
    if whole {
        let input = node.inputs[0];
        replace(graph, id, input);
    }
    whole
}

pub(super) fn of_slice(graph: &mut Graph, _: &Uses, id: Id) -> bool {
    let node = &graph.nodes[id];
    let Op::Slice { first } = node.op else {
        return false;
    };
    let inner = &graph.nodes[node.inputs[0]];
    let Op::Slice { first: before } = inner.op else {
        return false;
    };
    let source = inner.inputs[0];
    let node = &mut graph.nodes[id];
    node.op = Op::Slice {
        first: first + before,
    };
    node.inputs[0] = source;
    true
}

/// A concatenation of all slices of a value, in order, is the value.
pub(super) fn rejoined(graph: &mut Graph, _: &Uses, id: Id) -> bool {
    let node = &graph.nodes[id];
    let Some(first) = node.inputs.first().filter(|_| node.op == Op::Concat) else {
        return false;
    };
    let Some(whole) = graph.nodes[*first].inputs.first().copied() else {
        return false;
    };
    let mut end = 0;
    for part in &node.inputs {
        let part = &graph.nodes[*part];
        if part.op != (Op::Slice { first: end }) || part.inputs[0] != whole {
            return false;
        }
        end += part.shape.channels;
    }
    if end == graph.nodes[whole].shape.channels {
        replace(graph, id, whole);
        return true;
    }
    false
}

/// A concatenation that begins with all of another's parts begins with that one: values that grow, as where every layer
/// reads all those before it, are written once.
pub(super) fn nest(graph: &mut Graph, uses: &Uses, id: Id) -> bool {
    let node = &graph.nodes[id];
    let Some(first) = node.inputs.first().filter(|_| node.op == Op::Concat) else {
        return false;
    };
    let begins = |other: &&Id| {
        let other = &graph.nodes[**other];
        other.op == Op::Concat
            && other.levels == node.levels
            && other.inputs.len() > 1
            && other.inputs.len() < node.inputs.len()
            && node.inputs.starts_with(&other.inputs)
    };
    let others = uses.of(*first).iter().filter(begins);
    let longest = others.max_by_key(|other| graph.nodes[**other].inputs.len());
    let Some(longest) = longest.copied() else {
        return false;
    };
    let len = graph.nodes[longest].inputs.len();
    graph.nodes[id].inputs.splice(..len, [longest]);
    true
}

/// Where all that is read of a concatenation are its parts, there is no need of it.
pub(super) fn of_concat(graph: &mut Graph, uses: &Uses, id: Id) -> bool {
    if graph.nodes[id].op != Op::Concat || graph.output == id {
        return false;
    }
    let whole = graph.nodes[id].levels;
    let part = |slice: Id| {
        let node = &graph.nodes[slice];
        let Op::Slice { first } = node.op else {
            return None;
        };
        let mut start = 0;
        for part in &graph.nodes[id].inputs {
            let channels = graph.nodes[*part].shape.channels;
            let alike = whole.is_none() || levels::of(graph, *part) == whole;
            if (start, channels) == (first, node.shape.channels) && alike {
                return Some((slice, *part));
            }
            start += channels;
        }
        None
    };
    let found: Option<Vec<(Id, Id)>> = uses.of(id).iter().map(|user| part(*user)).collect();
    let Some(found) = found else {
        return false;
    };
    for (slice, part) in found {
        graph.replace(slice, part);
    }
    true
}

/// tract splits elementwise nodes among the slices that follow them. Where all slices of a value do the same, it is done
/// once, before them.
pub(super) fn hoist(graph: &mut Graph, uses: &Uses, id: Id) -> bool {
    let mut slices: Vec<(usize, Id)> = Vec::new();
    for user in uses.of(id) {
        let Op::Slice { first } = graph.nodes[*user].op else {
            return false;
        };
        slices.push((first, *user));
    }
    slices.sort_unstable();
    let mut end = 0;
    for (first, slice) in &slices {
        if *first != end || !uses.single(*slice) {
            return false;
        }
        end += graph.nodes[*slice].shape.channels;
    }
    let shape = graph.nodes[id].shape;
    if slices.len() < 2 || end != shape.channels || graph.output == id {
        return false;
    }
    let readers: Vec<Id> = slices.iter().map(|(_, slice)| uses.of(*slice)[0]).collect();
    let Some((op, inputs)) = joined(graph, id, &slices, &readers) else {
        return false;
    };
    let first = &graph.nodes[readers[0]];
    let whole = Node::new(&first.name, op, inputs, shape).with(first.activation);
    let whole = graph.add(whole.in_levels(first.levels));
    for ((_, slice), reader) in slices.iter().zip(readers) {
        graph.nodes[*slice].inputs[0] = whole;
        graph.replace(reader, *slice);
    }
    true
}

/// The one node that does to the value what the readers do to its slices, with its inputs.
fn joined(graph: &Graph, id: Id, slices: &[(usize, Id)], readers: &[Id]) -> Option<(Op, Vec<Id>)> {
    let nodes = || readers.iter().map(|reader| &graph.nodes[*reader]);
    let Node {
        activation, levels, ..
    } = graph.nodes[readers[0]];
    let alike = |node: &Node| node.activation == activation && node.levels == levels;
    if readers.contains(&graph.output) || !nodes().all(alike) {
        return None;
    }
    if nodes().all(|node| node.op == Op::Activate) {
        return Some((Op::Activate, vec![id]));
    }
    if nodes().all(|node| node.op == Op::Add) {
        // The other terms must be the same slices of one value.
        let mut other = None;
        for ((first, slice), node) in slices.iter().zip(nodes()) {
            let term = *node.inputs.iter().find(|input| *input != slice)?;
            let term = &graph.nodes[term];
            if term.op != (Op::Slice { first: *first })
                || other.is_some_and(|other| other != term.inputs[0])
            {
                return None;
            }
            other = Some(term.inputs[0]);
        }
        let other = other.filter(|other| graph.nodes[*other].shape == graph.nodes[id].shape)?;
        return Some((Op::Add, vec![id, other]));
    }
    let (mut scales, mut shifts) = (Vec::new(), Vec::new());
    for node in nodes() {
        let Op::Affine { scale, shift } = &node.op else {
            return None;
        };
        scales.extend_from_slice(scale);
        shifts.extend_from_slice(shift);
    }
    let op = Op::Affine {
        scale: scales,
        shift: shifts,
    };
    Some((op, vec![id]))
}
