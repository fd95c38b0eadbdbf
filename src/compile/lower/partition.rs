//! Which nodes stay tract's, and how they are grouped.
//!
//! For each tensor that tract computes and a layer reads there is one part: all nodes that it takes to compute it from
//! tensors of ours, or from others that tract computes and a layer reads. As a part has one output, nothing that it reads
//! can depend on it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tract_core::internal::*;

use super::NotCovered;
use super::absorb::absorbed;
use super::graph::{Graph, Op};
use super::read::{Known, Reader, Tracked, read};

/// What it takes to compute a tensor.
#[derive(Debug, Clone, Default)]
pub(super) struct Cone {
    /// In the order in which they are computed.
    pub nodes: Vec<usize>,
    pub inputs: Vec<OutletId>,
}

pub(super) struct Partition<'a> {
    pub model: &'a TypedModel,
    order: Vec<usize>,
    /// Nodes that are tract's although they can be read. Some turned out to be no layers, for a reason.
    left: HashMap<usize, Option<String>>,
    /// The last reading.
    reader: Option<Reader<'a>>,
    pub cones: BTreeMap<OutletId, Cone>,
}

impl<'a> Partition<'a> {
    pub fn new(model: &'a TypedModel) -> Result<Partition<'a>, NotCovered> {
        let order = model.eval_order();
        Ok(Partition {
            model,
            order: order.map_err(|e| NotCovered::whole(format!("{e:#}")))?,
            left: HashMap::new(),
            reader: None,
            cones: BTreeMap::new(),
        })
    }

    /// Leaves a node of that name to tract at the next reading.
    pub fn leave(&mut self, name: &str, reason: &str) -> Result<(), NotCovered> {
        let refuse = || NotCovered {
            node: name.to_owned(),
            op: "lowered".to_owned(),
            reason: reason.to_owned(),
        };
        let node = self.model.nodes().iter().find(|node| node.name == name);
        let id = node.ok_or_else(refuse)?.id;
        match self.left.insert(id, Some(reason.to_owned())) {
            None => Ok(()),
            Some(_) => Err(refuse()),
        }
    }

    /// Reads the model, again and again until nothing more is better left to tract.
    pub fn read(&mut self) -> Result<Graph, NotCovered> {
        loop {
            let mut reader = read(self.model, &self.order, &self.left);
            let outlets = self.model.output_outlets();
            let outlet = outlets.map_err(|e| NotCovered::whole(format!("{e:#}")))?;
            let output = reader.tracked(outlet[0]);
            let output = output.map_err(|e| NotCovered::whole(format!("its output {e}")))?;
            reader.graph.output = output.id;
            let cones = self.cones(&mut reader);
            let theirs: BTreeSet<usize> = cones
                .values()
                .flat_map(|cone| &cone.nodes)
                .copied()
                .collect();
            let more = absorbed(self.model, &theirs, &reader);
            if !more.is_empty() {
                self.left.extend(more.into_iter().map(|id| (id, None)));
                continue;
            }
            self.judge(&theirs, &reader)?;
            for (outlet, cone) in &cones {
                let inputs: Option<Vec<Tracked>> = cone
                    .inputs
                    .iter()
                    .map(|input| ours(&reader, *input))
                    .collect();
                let (Some(root), Some(inputs)) = (ours(&reader, *outlet), inputs) else {
                    return Err(NotCovered::whole("a part has no place"));
                };
                let inputs = inputs.iter().map(|input| input.id).collect();
                reader.graph.nodes[root.id].inputs = inputs;
            }
            self.cones = cones;
            let graph = std::mem::take(&mut reader.graph);
            self.reader = Some(reader);
            return Ok(graph);
        }
    }

    /// One of ours, as it was read last.
    pub fn ours(&self, outlet: OutletId) -> Option<Tracked> {
        ours(self.reader.as_ref()?, outlet)
    }

    pub fn constant(&self, outlet: OutletId) -> Option<Arc<Tensor>> {
        let reader = self.reader.as_ref()?;
        reader.constants.get(self.model, outlet)
    }

    /// Why the first of the nodes is not ours.
    pub fn reason(&self, nodes: &[usize]) -> String {
        let reader = self.reader.as_ref();
        let first = reader.and_then(|reader| refusal(self.model, reader, nodes));
        first.map_or_else(String::new, |first| first.to_string())
    }

    /// The parts for all tensors of tract's that layers read. Where two have nodes in common, their result becomes a
    /// tensor that both read, if it can be.
    fn cones(&self, reader: &mut Reader) -> BTreeMap<OutletId, Cone> {
        loop {
            let roots = reader.graph.nodes.iter().filter_map(|node| match node.op {
                Op::Foreign(outlet) => Some(outlet),
                _ => None,
            });
            let cones: BTreeMap<OutletId, Cone> =
                roots.map(|root| (root, self.cone(reader, root))).collect();
            let mut users: HashMap<usize, usize> = HashMap::new();
            for node in cones.values().flat_map(|cone| &cone.nodes) {
                *users.entry(*node).or_default() += 1;
            }
            let mut forks = self.order.iter().rev().filter(|id| {
                let node = &self.model.nodes()[**id];
                users.get(id).is_some_and(|users| *users > 1)
                    && node.outputs.len() == 1
                    && !node.op_is::<AxisOp>()
            });
            if !forks.any(|id| {
                reader.tracked(OutletId::new(*id, 0)).is_ok_and(|fork| {
                    // Not one that is such a tensor already.
                    fork.id + 1 == reader.graph.nodes.len()
                        && !cones.contains_key(&OutletId::new(*id, 0))
                })
            }) {
                return cones;
            }
        }
    }

    fn cone(&self, reader: &Reader, root: OutletId) -> Cone {
        let (mut nodes, mut inputs) = (BTreeSet::from([root.node]), BTreeSet::new());
        let mut stack = vec![root.node];
        while let Some(id) = stack.pop() {
            for input in &self.model.nodes()[id].inputs {
                match reader.known(*input) {
                    Some(Known::Ours(_)) => {
                        inputs.insert(*input);
                    }
                    None if reader.constants.get(self.model, *input).is_some() => {}
                    _ => {
                        if nodes.insert(input.node) {
                            stack.push(input.node);
                        }
                    }
                }
            }
        }
        Cone {
            nodes: self
                .order
                .iter()
                .copied()
                .filter(|id| nodes.contains(id))
                .collect(),
            inputs: inputs.into_iter().collect(),
        }
    }

    /// Refuses a network of which tract would do most of the work.
    fn judge(&self, theirs: &BTreeSet<usize>, reader: &Reader) -> Result<(), NotCovered> {
        let nodes = self.order.iter().copied();
        let nodes: Vec<usize> = nodes.filter(|id| theirs.contains(id)).collect();
        let Some(mut first) = refusal(self.model, reader, &nodes) else {
            return Ok(());
        };
        let all: u64 = self.order.iter().map(|id| products(self.model, *id)).sum();
        let of_theirs: u64 = nodes.iter().map(|id| products(self.model, *id)).sum();
        if of_theirs * 2 < all {
            return Ok(());
        }
        let percent = of_theirs as f64 / all.max(1) as f64 * 100.0;
        first.reason += &format!("; tract would do {percent:.0} % of the multiply-adds");
        Err(first)
    }
}

fn ours(reader: &Reader, outlet: OutletId) -> Option<Tracked> {
    match reader.known(outlet)? {
        Known::Ours(tracked) => Some(tracked.clone()),
        _ => None,
    }
}

/// The first of the nodes that no layer computes, in the order of the model.
fn refusal(model: &TypedModel, reader: &Reader, nodes: &[usize]) -> Option<NotCovered> {
    let refused = |id: &&usize| reader.refused.contains_key(id);
    let id = nodes.iter().find(refused)?;
    let node = &model.nodes()[*id];
    Some(NotCovered {
        node: node.name.clone(),
        op: node.op.name().into_owned(),
        reason: reader.refused[id].clone(),
    })
}

/// Multiply-adds of a node, as tract counts them.
pub(super) fn products(model: &TypedModel, id: usize) -> u64 {
    let Ok(facts) = model.node_input_facts(id) else {
        return 0;
    };
    let cost = model.nodes()[id].op.cost(&facts).unwrap_or_default();
    let products = cost
        .into_iter()
        .filter(|(cost, _)| matches!(cost, Cost::FMA(_)));
    products
        .filter_map(|(_, count)| u64::try_from(count.to_i64().ok()?).ok())
        .sum()
}
