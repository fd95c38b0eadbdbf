//! Floats of several widths from little-endian bytes.

use half::{bf16, f16};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FloatType {
    F64,
    F32,
    F16,
    Bf16,
}

/// Values as f32, each rounded once.
pub(super) fn decode(bytes: &[u8], float: FloatType) -> Vec<f32> {
    match float {
        FloatType::F64 => map(bytes, |b| f64::from_le_bytes(b) as f32),
        FloatType::F32 => map(bytes, f32::from_le_bytes),
        FloatType::F16 => map(bytes, |b| f16::from_le_bytes(b).to_f32()),
        FloatType::Bf16 => map(bytes, |b| bf16::from_le_bytes(b).to_f32()),
    }
}

fn map<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (values, _) = bytes.as_chunks::<N>();
    values.iter().map(|value| convert(*value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_is_read() {
        assert_eq!(decode(&1.5f32.to_le_bytes(), FloatType::F32), [1.5]);
        assert_eq!(decode(&(-2.25f64).to_le_bytes(), FloatType::F64), [-2.25]);
        assert_eq!(
            decode(&f16::from_f32(0.5).to_le_bytes(), FloatType::F16),
            [0.5]
        );
        assert_eq!(
            decode(&bf16::from_f32(3.0).to_le_bytes(), FloatType::Bf16),
            [3.0]
        );
    }
}
