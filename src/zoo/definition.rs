//! Block definition strings, such as `ir_r2_k3_s2_e6_c24_se0.25`: a block type, then fields joined by `_`.
//!
//! The notation is that of the MnasNet reference code, as `timm` and `geffnet` extended it.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::Activation;

/// A block of a stage, repeated.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockDef {
    pub kind: BlockKind,
    /// `r`: how often the block comes, before depth scaling.
    pub repeats: u32,
    /// `k`: side of the main kernel (depthwise in `ir`, `ds` and `dsa`, expanding in `er`, the middle depthwise in
    /// `uir`). Several are mixed: each has its part of the channels. 0 is "absent", in `uir` only.
    pub kernels: Vec<u32>,
    /// `a`: kernels of the expanding convolution (several split input and output alike); in `uir` the side of the
    /// depthwise kernel before it.
    pub expand_kernels: Option<Vec<u32>>,
    /// `p`: likewise of the projecting convolution; in `uir` the depthwise after it.
    pub project_kernels: Option<Vec<u32>>,
    /// `s`: stride of the first repeat.
    pub stride: u32,
    /// `e`: expanded channels for each input channel.
    pub expansion: Option<f64>,
    /// `c`: output channels, before width scaling.
    pub channels: u32,
    /// `fc`: the channels that the expansion multiplies, where they are not the block's input.
    pub expand_from: Option<u32>,
    /// `se`: squeeze-excite with this ratio of reduced channels.
    pub squeeze: Option<f64>,
    /// `n`: activation other than the network's.
    pub activation: Option<Activation>,
    /// `noskip`: no residual connection even where shapes would allow it.
    pub noskip: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// `ir`, MobileNetV2: expand 1x1, depthwise, project 1x1.
    InvertedResidual,
    /// `ds`, MobileNetV1: depthwise, pointwise without activation.
    DepthwiseSeparable,
    /// `dsa`: the same with an activation after the pointwise convolution, and never a residual connection.
    DepthwiseSeparableAct,
    /// `cn`: convolution, normalisation, activation.
    ConvBnAct,
    /// `er`, EfficientNet-EdgeTPU: expand with a full convolution, project 1x1.
    EdgeResidual,
    /// `uir`, MobileNetV4: optional depthwise convolutions before, inside and after an inverted bottleneck.
    UniversalInvertedBottleneck,
}

impl BlockKind {
    const ALL: [BlockKind; 6] = [
        BlockKind::InvertedResidual,
        BlockKind::DepthwiseSeparable,
        BlockKind::DepthwiseSeparableAct,
        BlockKind::ConvBnAct,
        BlockKind::EdgeResidual,
        BlockKind::UniversalInvertedBottleneck,
    ];

    pub fn code(self) -> &'static str {
        match self {
            BlockKind::InvertedResidual => "ir",
            BlockKind::DepthwiseSeparable => "ds",
            BlockKind::DepthwiseSeparableAct => "dsa",
            BlockKind::ConvBnAct => "cn",
            BlockKind::EdgeResidual => "er",
            BlockKind::UniversalInvertedBottleneck => "uir",
        }
    }

    fn expands(self) -> bool {
        use BlockKind::*;
        matches!(
            self,
            InvertedResidual | EdgeResidual | UniversalInvertedBottleneck
        )
    }

    fn takes(self, field: &str) -> bool {
        use BlockKind::*;
        match field {
            "a" => matches!(self, InvertedResidual | UniversalInvertedBottleneck),
            "p" => self != ConvBnAct,
            "fc" => self == EdgeResidual,
            "se" => self != ConvBnAct,
            // A depthwise separable block never has a residual connection with an activation, `cn` never has one.
            "noskip" => !matches!(self, ConvBnAct | DepthwiseSeparableAct),
            _ => true,
        }
    }
}

/// What is wrong with a definition string, and where.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("block '{definition}': {problem}")]
pub struct DefinitionError {
    pub definition: String,
    pub problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Error)]
pub enum Problem {
    #[error("block type '{0}' is not one of ir, ds, dsa, cn, er, uir")]
    UnknownBlock(String),
    #[error("field '{0}' is not one of r, k, a, p, s, e, c, fc, se, n, noskip")]
    UnknownField(String),
    #[error("field '{0}' comes a second time")]
    Repeated(String),
    #[error("field '{field}' has no meaning in a {kind} block", kind = kind.code())]
    NotInThisBlock { kind: BlockKind, field: String },
    #[error("field '{field}' is missing; a {kind} block needs it", kind = kind.code())]
    Missing {
        kind: BlockKind,
        field: &'static str,
    },
    #[error("field '{field}': expected {expected}")]
    Value {
        field: String,
        expected: &'static str,
    },
}

const COUNT: &str = "a whole number from 1 to 65536 after the letter";
const KERNEL: &str = "odd kernel sides from 1 to 31, joined by dots";
const KERNEL_OR_NONE: &str = "one odd kernel side from 1 to 31, or 0 for none";
const STRIDE: &str = "a stride of 1 or 2";
const EXPANSION: &str = "an expansion factor above 0, at most 64";
const RATIO: &str = "a ratio above 0, at most 1";
const ONE: &str = "1, as this block does not expand";

impl FromStr for BlockDef {
    type Err = DefinitionError;

    fn from_str(definition: &str) -> Result<Self, DefinitionError> {
        parse(definition).map_err(|problem| DefinitionError {
            definition: definition.to_owned(),
            problem,
        })
    }
}

fn parse(definition: &str) -> Result<BlockDef, Problem> {
    let mut parts = definition.split('_');
    let code = parts.next().unwrap_or_default();
    let kind = BlockKind::ALL
        .into_iter()
        .find(|kind| kind.code() == code)
        .ok_or_else(|| Problem::UnknownBlock(code.to_owned()))?;

    let mut fields = Fields {
        kind,
        seen: Vec::new(),
    };
    for part in parts {
        fields.add(part)?;
    }
    let uir = kind == BlockKind::UniversalInvertedBottleneck;
    let kernels = |field| -> Result<Option<Vec<u32>>, Problem> {
        fields.value(field, if uir { KERNEL_OR_NONE } else { KERNEL }, |text| {
            text.split('.')
                .map(|side| kernel(side, uir))
                .collect::<Option<Vec<_>>>()
                .filter(|k| !uir || k.len() == 1)
        })
    };
    let count = |field| fields.value(field, COUNT, whole);
    let needed = |field| move || Problem::Missing { kind, field };

    let expansion = if kind.expands() {
        let expansion = fields.value("e", EXPANSION, |text| real(text).filter(|e| *e <= 64.0))?;
        Some(expansion.ok_or_else(needed("e"))?)
    } else {
        fields.value("e", ONE, |text| real(text).filter(|e| *e == 1.0))?
    };
    let block = BlockDef {
        kind,
        repeats: count("r")?.ok_or_else(needed("r"))?,
        kernels: kernels("k")?.ok_or_else(needed("k"))?,
        expand_kernels: kernels("a")?,
        project_kernels: kernels("p")?,
        stride: fields
            .value("s", STRIDE, |text| {
                whole(text).filter(|stride| *stride <= 2)
            })?
            .ok_or_else(needed("s"))?,
        expansion,
        channels: count("c")?.ok_or_else(needed("c"))?,
        expand_from: count("fc")?,
        squeeze: fields.value("se", RATIO, |text| real(text).filter(|ratio| *ratio <= 1.0))?,
        activation: fields.value("n", Activation::CODES, Activation::from_code)?,
        noskip: fields.seen.iter().any(|(name, _)| *name == "noskip"),
    };
    let mixed =
        matches!(kind, BlockKind::ConvBnAct | BlockKind::EdgeResidual) && block.kernels.len() > 1;
    if mixed {
        return Err(fields.bad("k", "one odd kernel side from 1 to 31"));
    }
    let no_depthwise = [&block.expand_kernels, &block.project_kernels]
        .into_iter()
        .flatten()
        .chain([&block.kernels])
        .all(|sides| sides == &[0]);
    if uir && block.stride > 1 && no_depthwise {
        return Err(fields.bad("s", "a stride of 1, as there is no depthwise convolution"));
    }
    Ok(block)
}

/// The fields of a definition: name and text after it.
struct Fields<'a> {
    kind: BlockKind,
    seen: Vec<(&'a str, &'a str)>,
}

impl<'a> Fields<'a> {
    fn add(&mut self, part: &'a str) -> Result<(), Problem> {
        let (name, value) = if part == "noskip" {
            (part, "")
        } else if let Some(code) = part.strip_prefix('n') {
            ("n", code)
        } else {
            part.split_at(
                part.find(|c: char| !c.is_ascii_lowercase())
                    .unwrap_or(part.len()),
            )
        };
        if !["r", "k", "a", "p", "s", "e", "c", "fc", "se", "n", "noskip"].contains(&name) {
            return Err(Problem::UnknownField(part.to_owned()));
        }
        if !self.kind.takes(name) {
            return Err(Problem::NotInThisBlock {
                kind: self.kind,
                field: part.to_owned(),
            });
        }
        if self.seen.iter().any(|(seen, _)| *seen == name) {
            return Err(Problem::Repeated(part.to_owned()));
        }
        self.seen.push((name, value));
        Ok(())
    }

    fn value<T>(
        &self,
        name: &str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some((_, text)) = self.seen.iter().find(|(seen, _)| *seen == name) else {
            return Ok(None);
        };
        parse(text)
            .map(Some)
            .ok_or_else(|| self.bad(name, expected))
    }

    fn bad(&self, name: &str, expected: &'static str) -> Problem {
        let text = self
            .seen
            .iter()
            .find(|(seen, _)| *seen == name)
            .map_or("", |(_, text)| text);
        Problem::Value {
            field: format!("{name}{text}"),
            expected,
        }
    }
}

fn whole(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|n| digits && (1..=65536).contains(n))
}

fn kernel(text: &str, none_allowed: bool) -> Option<u32> {
    if none_allowed && text == "0" {
        return Some(0);
    }
    whole(text).filter(|side| side % 2 == 1 && *side <= 31)
}

fn real(text: &str) -> Option<f64> {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|value| plain && *value > 0.0)
}

impl fmt::Display for BlockDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |sides: &[u32]| {
            sides
                .iter()
                .map(u32::to_string)
                .collect::<Vec<_>>()
                .join(".")
        };
        let uir = self.kind == BlockKind::UniversalInvertedBottleneck;
        let expand = self
            .expand_kernels
            .as_deref()
            .map(|sides| format!("_a{}", join(sides)))
            .unwrap_or_default();
        write!(f, "{}_r{}", self.kind.code(), self.repeats)?;
        // In the order of the convolutions, as in the literature.
        if uir {
            write!(f, "{expand}_k{}", join(&self.kernels))?;
        } else {
            write!(f, "_k{}{expand}", join(&self.kernels))?;
        }
        if let Some(sides) = &self.project_kernels {
            write!(f, "_p{}", join(sides))?;
        }
        write!(f, "_s{}", self.stride)?;
        if let Some(expansion) = self.expansion {
            write!(f, "_e{expansion}")?;
        }
        write!(f, "_c{}", self.channels)?;
        if let Some(channels) = self.expand_from {
            write!(f, "_fc{channels}")?;
        }
        if let Some(ratio) = self.squeeze {
            write!(f, "_se{ratio}")?;
        }
        if let Some(activation) = self.activation {
            write!(f, "_n{}", activation.code())?;
        }
        if self.noskip {
            write!(f, "_noskip")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
