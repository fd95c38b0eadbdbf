//! Pictures of levels.

use edge_classify_kernels::Rows;

use super::quantization::Quantization;

/// Pixels of so many channels, and what their levels stand for.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    pub rows: Rows<'a, u8>,
    pub channels: usize,
    pub quantization: Quantization,
}
