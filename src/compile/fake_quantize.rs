//! Tensors that a quantizer has rounded to levels of 8 bits: QuantizeLinear and DequantizeLinear behind it, as one operator
//! from f32 to f32.
//!
//! So, tract moves nothing between the two, and never sees a tensor of levels, for which it has operators of its own that
//! the lowering does not know; and what runs in tract all the same has the values that it would have with the pair.

use edge_classify_int8::Quantization;
use tract_core::internal::*;
use tract_core::ops::element_wise::{ElementWiseMiniOp, ElementWiseOp};
use tract_core::ops::quant::{DequantizeLinearF32, QuantizeLinearI8, QuantizeLinearU8};

/// Rounds to what the nearest level stands for ("fake quantization").
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FakeQuantize(pub Quantization);

impl Eq for FakeQuantize {}

impl ElementWiseMiniOp for FakeQuantize {
    fn name(&self) -> String {
        "FakeQuantize".to_owned()
    }

    fn eval_in_place(&self, tensor: &mut Tensor, _: Option<DatumType>) -> TractResult<()> {
        let mut plain = tensor.try_as_plain_ram_mut()?;
        for value in plain.as_slice_mut::<f32>()? {
            *value = self.0.value(self.0.level(*value));
        }
        Ok(())
    }

    fn info(&self) -> TractResult<Vec<String>> {
        let Quantization { scale, zero_point } = self.0;
        Ok(vec![format!("scale {scale}, zero point {zero_point}")])
    }
}

/// Puts one operator in place of each QuantizeLinear that only DequantizeLinear of the same levels read, and of those. The
/// model is one that has not been decluttered yet.
pub(super) fn join_pairs(model: &mut TypedModel) -> TractResult<()> {
    for id in 0..model.nodes().len() {
        let Some((quantization, readers)) = pair(model, id) else {
            continue;
        };
        let node = &model.nodes()[id];
        let mut patch = TypedModelPatch::default();
        let x = patch.tap_model(model, node.inputs[0])?;
        let op = ElementWiseOp(Box::new(FakeQuantize(quantization)), None);
        let rounded = patch.wire_node(&node.name, op, &[x])?[0];
        for reader in readers {
            patch.shunt_outside(model, OutletId::new(reader, 0), rounded)?;
        }
        patch.apply(model)?;
    }
    Ok(())
}

/// What a node rounds to, and the nodes that turn that back, if there are no other readers.
fn pair(model: &TypedModel, id: usize) -> Option<(Quantization, Vec<usize>)> {
    let node = &model.nodes()[id];
    let levels = Levels::of(node)?;
    let input = model.outlet_fact(*node.inputs.first()?).ok()?;
    let is_output = |outlet: &OutletId| outlet.node == id;
    if input.datum_type != DatumType::F32 || model.output_outlets().ok()?.iter().any(is_output) {
        return None;
    }
    let readers = node.outputs[0].successors.iter().map(|inlet| inlet.node);
    let readers: Vec<usize> = readers.collect();
    let mut scales = readers.iter().map(|reader| {
        let op = model.nodes()[*reader].op_as::<DequantizeLinearF32>()?;
        levels.are_those_of(op).then_some(op.scale)
    });
    let scale = scales.next()??;
    if !scales.all(|other| other == Some(scale)) {
        return None;
    }
    let quantization = Quantization {
        scale,
        zero_point: levels.zero_point(),
    };
    quantization.is_sound().then_some((quantization, readers))
}

/// What QuantizeLinear makes, as tract has it: the inverse of the scale, and the zero point.
#[derive(Debug, Clone, Copy)]
enum Levels {
    Unsigned(f32, u8),
    Signed(f32, i8),
}

impl Levels {
    fn of(node: &TypedNode) -> Option<Levels> {
        let op = &node.op_as::<ElementWiseOp>()?.0;
        if let Some(op) = op.downcast_ref::<QuantizeLinearU8>() {
            return Some(Levels::Unsigned(op.scale, op.zero_point));
        }
        let op = op.downcast_ref::<QuantizeLinearI8>()?;
        Some(Levels::Signed(op.scale, op.zero_point))
    }

    fn are_those_of(self, op: &DequantizeLinearF32) -> bool {
        let (inverse, zero_point) = match self {
            Levels::Unsigned(inverse, zero_point) => (inverse, i32::from(zero_point)),
            Levels::Signed(inverse, zero_point) => (inverse, i32::from(zero_point)),
        };
        op.scale.recip() == inverse && op.zero_point == zero_point
    }

    /// For levels from -128 on: those from 0 on are the same 128 lower.
    fn zero_point(self) -> i8 {
        match self {
            Levels::Unsigned(_, zero_point) => (zero_point ^ 0x80) as i8,
            Levels::Signed(_, zero_point) => zero_point,
        }
    }
}

#[cfg(test)]
mod tests {
    use tract_core::ops::quant::{quantize_linear_i8, quantize_linear_u8};

    use super::*;

    /// A picture through a node that quantizes and one for each of the others.
    fn model(quantize: ElementWiseOp, others: &[DequantizeLinearF32]) -> TypedModel {
        let mut model = TypedModel::default();
        let picture = model.add_source("picture", f32::fact([1, 3])).unwrap();
        let levels = model.wire_node("levels", quantize, &[picture]).unwrap()[0];
        let outputs: Vec<OutletId> = others
            .iter()
            .enumerate()
            .map(|(at, op)| {
                let name = format!("values {at}");
                model.wire_node(name, op.clone(), &[levels]).unwrap()[0]
            })
            .collect();
        model.select_output_outlets(&outputs).unwrap();
        model
    }

    fn run(model: TypedModel, values: [f32; 3]) -> Vec<Vec<f32>> {
        let input = Tensor::from_shape(&[1, 3], &values).unwrap();
        let plan = model.into_decluttered().unwrap().into_runnable().unwrap();
        let outputs = plan.run(tvec!(input.into_tvalue())).unwrap();
        outputs
            .iter()
            .map(|output| {
                let plain = output.try_as_plain_ram().unwrap();
                plain.as_slice::<f32>().unwrap().to_vec()
            })
            .collect()
    }

    fn count<O: TypedOp>(model: &TypedModel) -> usize {
        let model = model.clone().into_decluttered().unwrap();
        model
            .nodes()
            .iter()
            .filter(|node| node.op_is::<O>())
            .count()
    }

    #[test]
    fn a_pair_becomes_one_operator_with_the_same_values() {
        let scale = 0.25f32;
        for (quantize, zero_point, level) in [
            (quantize_linear_u8(scale.recip(), 3), 3, -125),
            (quantize_linear_i8(scale.recip(), 3), 3, 3),
        ] {
            let dequantize = DequantizeLinearF32::new(scale, zero_point);
            for readers in 1..3 {
                let mut joined = model(quantize.clone(), &vec![dequantize.clone(); readers]);
                let pairs = joined.clone();
                join_pairs(&mut joined).unwrap();
                assert_eq!(count::<DequantizeLinearF32>(&joined), 0);
                let values = [-100.0, 0.374, 100.0];
                assert_eq!(run(joined.clone(), values), run(pairs, values));
                let declared = joined.nodes().iter().find_map(|node| {
                    let op = node.op_as::<ElementWiseOp>()?;
                    op.0.downcast_ref::<FakeQuantize>().cloned()
                });
                let expected = Quantization {
                    scale,
                    zero_point: level,
                };
                assert_eq!(declared, Some(FakeQuantize(expected)));
            }
        }
    }

    #[test]
    fn what_is_no_pair_stays() {
        let quantize = quantize_linear_u8(4.0, 3);
        let pair = DequantizeLinearF32::new(0.25, 3);
        for other in [(0.5, 3), (0.25, 4), (f32::NAN, 3)] {
            let other = DequantizeLinearF32::new(other.0, other.1);
            let mut model = model(quantize.clone(), &[pair.clone(), other]);
            join_pairs(&mut model).unwrap();
            assert_eq!(count::<DequantizeLinearF32>(&model), 2);
        }
    }
}
