//! What defines a network: blocks, scaling, head, and the preprocessing it expects.

use serde::Deserialize;

use super::{Activation, BlockDef};
use crate::preprocess::{ColorOrder, Crop, Interpolation, Pipeline, Size, Spec};

/// A network as it is defined, before scaling.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkDef {
    pub name: String,
    /// Other names for the same network.
    pub aliases: Vec<String>,
    pub family: String,
    pub paper: Option<String>,
    pub stages: Vec<Vec<BlockDef>>,
    /// Multiplies the channels of every block (and of the stem unless `fix_stem`).
    pub width: f64,
    /// Multiplies the repeats of every stage (except the first and last if `fix_first_last`).
    pub depth: f64,
    pub depth_rounding: DepthRounding,
    /// Scaled channels are multiples of this.
    pub divisor: u32,
    /// Channels of the 3x3 stride-2 stem.
    pub stem: u32,
    pub fix_stem: bool,
    /// Whether expanded channels are rounded to multiples of 8, or else down to whole numbers.
    pub round_expanded: bool,
    pub fix_first_last: bool,
    pub head: Head,
    /// Channels of the head convolution; not scaled.
    pub head_features: u32,
    pub head_bias: bool,
    pub head_norm: bool,
    pub activation: Activation,
    pub squeeze_excite: SqueezeExcite,
    pub bn_eps: f64,
    pub padding: Padding,
    /// Evaluation preprocessing. Mean and standard deviation in 8-bit levels.
    pub size: u32,
    pub crop: f64,
    pub interpolation: Interpolation,
    pub mean: [f32; 3],
    pub std: [f32; 3],
    pub published: Option<Accuracy>,
    /// With TensorFlow's evaluation preprocessing.
    pub published_tf: Option<TfAccuracy>,
    pub published_cost: Option<Cost>,
    /// Weights in the Hugging Face hub: `timm/NAME`.
    pub timm: Option<String>,
}

/// How the repeats of a stage are rounded after scaling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DepthRounding {
    #[default]
    Up,
    Nearest,
}

/// What follows the last block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Head {
    /// 1x1 convolution, batch normalisation, activation, global average pool.
    #[default]
    Default,
    /// Global average pool first, then the convolution and activation (MobileNetV3).
    Efficient,
    /// Global average pool only.
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// (stride - 1 + kernel - 1) / 2 on each side.
    #[default]
    Symmetric,
    /// TensorFlow's SAME: as much as gives ceil(input / stride), the odd one after.
    Same,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqueezeExcite {
    #[serde(default = "SqueezeExcite::sigmoid")]
    pub gate: Activation,
    /// After the reduction; the block's own where not given.
    #[serde(default)]
    pub activation: Option<Activation>,
    #[serde(default)]
    pub reduce_from: ReduceFrom,
    /// Reduced channels are multiples of this.
    #[serde(default = "SqueezeExcite::one")]
    pub divisor: u32,
}

/// Which channels the squeeze ratio is a ratio of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReduceFrom {
    #[default]
    Input,
    Expanded,
}

impl SqueezeExcite {
    fn sigmoid() -> Activation {
        Activation::Sigmoid
    }

    fn one() -> u32 {
        1
    }
}

impl Default for SqueezeExcite {
    fn default() -> Self {
        SqueezeExcite {
            gate: Activation::Sigmoid,
            activation: None,
            reduce_from: ReduceFrom::Input,
            divisor: 1,
        }
    }
}

/// ImageNet validation accuracy in percent.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accuracy {
    pub top1: f64,
    pub top5: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TfAccuracy {
    pub top1: f64,
    pub top5: f64,
    pub interpolation: Interpolation,
}

/// What its publisher says of a network's size, in millions.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    pub parameters: f64,
    /// At the network's own input size.
    pub multiply_adds: Option<f64>,
}

impl NetworkDef {
    /// The evaluation transform for inputs of `size`, which need not be the network's own.
    pub fn preprocessing(&self, size: impl Into<Size>) -> Spec {
        let size = size.into();
        Spec {
            size,
            resize: Spec::resize_for(size, self.crop),
            pipeline: Pipeline::Torch,
            crop: Crop::Centre,
            interpolation: self.interpolation,
            color: ColorOrder::Rgb,
            mean: self.mean,
            std: self.std,
        }
    }
}
