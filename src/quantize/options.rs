//! What is done to quantize a network.

use super::ranges::Method;

/// How ranges of levels are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    /// By one method for all values.
    By(Method),
    /// By whichever method changes the logits least, tried for each value with so many of the pictures.
    Measured { pictures: usize },
}

/// Each step can be left out, to see what it is good for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantizeOptions {
    pub equalize: bool,
    pub range: Range,
    /// Scales of weights may be less than their largest value asks for.
    pub shrink_weights: bool,
    /// Weights are rounded so that outputs change least, rather than to the nearest level.
    pub round_weights: bool,
    pub correct_biases: bool,
}

impl QuantizeOptions {
    /// What takes least time.
    pub const PLAIN: QuantizeOptions = QuantizeOptions {
        equalize: false,
        range: Range::By(Method::MinMax),
        shrink_weights: false,
        round_weights: false,
        correct_biases: false,
    };
}

impl Default for QuantizeOptions {
    fn default() -> Self {
        QuantizeOptions {
            equalize: true,
            range: Range::Measured { pictures: 8 },
            shrink_weights: true,
            round_weights: true,
            correct_biases: true,
        }
    }
}
