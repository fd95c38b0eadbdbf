//! Models of nothing but the nodes that tract computes, each with what is around it said in our terms.

use std::collections::HashMap;

use tract_core::internal::*;

use super::NotCovered;
use super::partition::{Cone, Partition, products};
use super::read::Tracked;
use crate::engine::net::{Part, Shape};
use crate::session::{Border, TractPart};

pub(super) fn parts(partition: &Partition) -> Result<HashMap<OutletId, Arc<Part>>, NotCovered> {
    let parts = partition.cones.iter().map(|(outlet, cone)| {
        let part = cut(partition, *outlet, cone);
        let part = part.map_err(|e| NotCovered::whole(format!("a part for tract: {e:#}")))?;
        Ok((*outlet, Arc::new(part)))
    });
    parts.collect()
}

fn cut(partition: &Partition, outlet: OutletId, cone: &Cone) -> TractResult<Part> {
    let whole = partition.model;
    let border = |outlet: OutletId| {
        let tracked = partition.ours(outlet);
        let border = tracked.as_ref().and_then(border);
        border.with_context(|| format!("{outlet:?} has no place"))
    };
    ensure!(!cone.inputs.is_empty(), "reads nothing");
    let mut model = TypedModel::default();
    let mut wired: HashMap<OutletId, OutletId> = HashMap::new();
    let mut inputs = Vec::new();
    for input in &cone.inputs {
        let border = border(*input)?;
        let name = format!("input {}", inputs.len());
        let source = model.add_source(name, f32::fact(&border.dims))?;
        wired.insert(*input, source);
        inputs.push(border);
    }
    let (mut nodes, mut parameters, mut multiply_adds) = (Vec::new(), 0, 0);
    for id in &cone.nodes {
        let node = &whole.nodes()[*id];
        for input in &node.inputs {
            if !wired.contains_key(input) {
                let constant = partition.constant(*input);
                let constant = constant.with_context(|| format!("{input:?} is not known"))?;
                parameters += constant.len();
                let name = format!("constant {}", wired.len());
                wired.insert(*input, model.add_const(name, constant)?);
            }
        }
        let read: TVec<OutletId> = node.inputs.iter().map(|input| wired[input]).collect();
        let outputs = model.wire_node(&node.name, node.op.clone(), &read)?;
        for (slot, output) in outputs.into_iter().enumerate() {
            wired.insert(OutletId::new(*id, slot), output);
        }
        nodes.push(format!("'{}' ({})", node.name, node.op.name()));
        multiply_adds += products(whole, *id);
    }
    model.select_output_outlets(&[wired[&outlet]])?;
    let output = border(outlet)?;
    let shapes: Vec<Shape> = inputs.iter().map(|border: &Border| border.shape).collect();
    Ok(Part {
        inputs: shapes,
        output: output.shape,
        nodes,
        reason: partition.reason(&cone.nodes),
        parameters,
        multiply_adds,
        delegate: Box::new(TractPart::new(model, inputs, output)?),
    })
}

/// Where the values of a tensor lie.
fn border(tracked: &Tracked) -> Option<Border> {
    let Tracked { layout, dims, .. } = tracked;
    let stride = |axis: usize| dims[axis + 1..].iter().product();
    Some(Border {
        shape: layout.shape(dims)?,
        strides: [
            layout.height.map_or(0, stride),
            layout.width.map_or(0, stride),
            stride(layout.channels),
        ],
        dims: dims.clone(),
    })
}
