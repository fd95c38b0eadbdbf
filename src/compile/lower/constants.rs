//! Constants of tract's graph: given, or computed from given ones.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use tract_core::internal::*;

use super::layout::Layout;

/// The nodes' constant outputs.
#[derive(Default)]
pub struct Constants {
    computed: HashMap<OutletId, Arc<Tensor>>,
}

impl Constants {
    pub fn get(&self, model: &TypedModel, outlet: OutletId) -> Option<Arc<Tensor>> {
        if let Some(tensor) = self.computed.get(&outlet) {
            return Some(tensor.clone());
        }
        model.outlet_fact(outlet).ok()?.konst.clone()
    }

    /// Computes a node that reads constants only, as those of weights that are stored in fewer bits.
    pub fn compute(&mut self, model: &TypedModel, node: &TypedNode) -> bool {
        let inputs: Option<TVec<TValue>> = node
            .inputs
            .iter()
            .map(|outlet| Some(self.get(model, *outlet)?.into_tvalue()))
            .collect();
        let Some(inputs) = inputs.filter(|inputs| !inputs.is_empty()) else {
            return false;
        };
        let Ok(outputs) = node.op.eval(&EvalContext::out_of_plan(), inputs) else {
            return false;
        };
        for (slot, value) in outputs.into_iter().enumerate() {
            let outlet = OutletId::new(node.id, slot);
            self.computed.insert(outlet, value.into_arc_tensor());
        }
        true
    }
}

/// The values of an f32 tensor.
pub fn floats(tensor: &Tensor) -> Option<Cow<'_, [f32]>> {
    let plain = tensor.try_as_plain_ram().ok()?;
    Some(Cow::Borrowed(plain.as_slice::<f32>().ok()?))
}

/// A value for each channel, of a constant that is broadcast to a tensor of such a layout.
pub fn per_channel(
    tensor: &Tensor,
    layout: Layout,
    rank: usize,
    channels: usize,
) -> Option<Vec<f32>> {
    let values = floats(tensor)?;
    if let [value] = *values {
        return Some(vec![value; channels]);
    }
    let shape = tensor.shape();
    let along = shape.len() == rank && shape.get(layout.channels) == Some(&channels);
    (along && values.len() == channels).then(|| values.into_owned())
}
