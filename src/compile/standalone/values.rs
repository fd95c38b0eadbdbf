//! Weights that are not numbers.

use half::{bf16, f16};
use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::DataType;

/// How many of a tensor's values are not finite. A single value is no weight, but a bound, and may be infinite.
pub(super) fn count_not_finite(tensor: &TensorProto) -> usize {
    if tensor.dims.iter().product::<i64>() <= 1 {
        return 0;
    }
    let raw = tensor.raw_data.as_slice();
    // Types of 16 bits have their values in the low half of these.
    let halves = || tensor.int32_data.iter().map(|bits| *bits as u16);
    match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float) => {
            let typed = tensor
                .float_data
                .iter()
                .filter(|value| !value.is_finite())
                .count();
            typed + count(raw, |bytes| f32::from_le_bytes(bytes).is_finite())
        }
        Ok(DataType::Double) => {
            let typed = tensor
                .double_data
                .iter()
                .filter(|value| !value.is_finite())
                .count();
            typed + count(raw, |bytes| f64::from_le_bytes(bytes).is_finite())
        }
        Ok(DataType::Float16) => {
            let typed = halves()
                .filter(|bits| !f16::from_bits(*bits).is_finite())
                .count();
            typed + count(raw, |bytes| f16::from_le_bytes(bytes).is_finite())
        }
        Ok(DataType::Bfloat16) => {
            let typed = halves()
                .filter(|bits| !bf16::from_bits(*bits).is_finite())
                .count();
            typed + count(raw, |bytes| bf16::from_le_bytes(bytes).is_finite())
        }
        _ => 0,
    }
}

fn count<const N: usize>(raw: &[u8], is_finite: impl Fn([u8; N]) -> bool) -> usize {
    let (values, _) = raw.as_chunks::<N>();
    values.iter().filter(|bytes| !is_finite(**bytes)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_looked_through() {
        let nan = |kind: DataType, raw: &[u8], dims: &[i64]| TensorProto {
            data_type: kind as i32,
            raw_data: raw.to_vec(),
            dims: dims.to_vec(),
            ..TensorProto::default()
        };
        let float = [1f32, f32::NAN, f32::INFINITY]
            .map(f32::to_le_bytes)
            .concat();
        assert_eq!(count_not_finite(&nan(DataType::Float, &float, &[3])), 2);
        assert_eq!(count_not_finite(&nan(DataType::Int32, &float, &[3])), 0);
        let double = [1f64, f64::NAN].map(f64::to_le_bytes).concat();
        assert_eq!(count_not_finite(&nan(DataType::Double, &double, &[2])), 1);
        let half = [f16::ONE, f16::NAN].map(f16::to_le_bytes).concat();
        assert_eq!(count_not_finite(&nan(DataType::Float16, &half, &[2])), 1);
        let half = [bf16::ONE, bf16::INFINITY].map(bf16::to_le_bytes).concat();
        assert_eq!(count_not_finite(&nan(DataType::Bfloat16, &half, &[2])), 1);
        // The bound of a clip.
        let bound = nan(DataType::Float, &f32::INFINITY.to_le_bytes(), &[]);
        assert_eq!(count_not_finite(&bound), 0);
        let mut typed = nan(DataType::Float, &[], &[2]);
        typed.float_data = vec![f32::NAN, 0.0];
        assert_eq!(count_not_finite(&typed), 1);
    }
}
