//! Activation functions of the family.

use serde::Deserialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
    /// x * hard_sigmoid(x) (MobileNetV3).
    HardSwish,
    /// x * sigmoid(x), also called SiLU.
    Swish,
    Sigmoid,
    /// min(max(x / 6 + 0.5, 0), 1) (MobileNetV3).
    HardSigmoid,
}

impl Activation {
    /// Those that a block definition can name.
    pub const ALL: [Activation; 4] = [
        Activation::Relu,
        Activation::Relu6,
        Activation::HardSwish,
        Activation::Swish,
    ];

    pub(super) const CODES: &'static str =
        "nre (ReLU), nr6 (ReLU6), nhs (hard swish) or nsw (swish)";

    /// The code after `n` in a block definition; none for gates, which no block names.
    pub fn code(self) -> &'static str {
        match self {
            Activation::Relu => "re",
            Activation::Relu6 => "r6",
            Activation::HardSwish => "hs",
            Activation::Swish => "sw",
            Activation::Sigmoid | Activation::HardSigmoid => "",
        }
    }

    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|activation| activation.code() == code)
    }
}
