//! A file of networks: templates, networks that are like them, and what they say differently.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

use super::{
    Accuracy, Activation, BlockDef, Cost, DefinitionError, DepthRounding, Head, NetworkDef,
    Padding, SqueezeExcite, TfAccuracy,
};
use crate::preprocess::{Interpolation, Spec};

/// Most blocks of a network, after scaling.
const MAX_BLOCKS: u32 = 10_000;

/// One file: a family of networks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FamilyFile {
    family: String,
    paper: Option<String>,
    #[serde(default)]
    pub template: BTreeMap<String, Fields>,
    #[serde(default)]
    pub network: BTreeMap<String, Fields>,
}

/// What a template or a network says; the rest comes from those it is like.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    /// Templates of this file, or networks of any, that fill in what is not said here; the first that says it wins.
    #[serde(default)]
    like: Vec<String>,
    #[serde(default)]
    pub aliases: Vec<String>,
    published: Option<Accuracy>,
    published_tf: Option<TfAccuracy>,
    published_cost: Option<Cost>,
    timm: Option<String>,

    pub stages: Option<Vec<String>>,
    width: Option<f64>,
    depth: Option<f64>,
    depth_rounding: Option<DepthRounding>,
    divisor: Option<u32>,
    stem: Option<u32>,
    fix_stem: Option<bool>,
    round_expanded: Option<bool>,
    fix_first_last: Option<bool>,
    head: Option<Head>,
    head_features: Option<u32>,
    head_bias: Option<bool>,
    head_norm: Option<bool>,
    activation: Option<Activation>,
    se: Option<SqueezeExcite>,
    bn_eps: Option<f64>,
    padding: Option<Padding>,
    size: Option<u32>,
    crop: Option<f64>,
    interpolation: Option<Interpolation>,
    mean: Option<[f32; 3]>,
    std: Option<[f32; 3]>,
}

impl Fields {
    /// Takes from `other` what is not said here, but not what belongs to one set of weights.
    fn fill(&mut self, other: &Fields) {
        macro_rules! fill {
            ($($field:ident),*) => { $(if self.$field.is_none() { self.$field = other.$field.clone(); })* };
        }
        fill!(
            stages,
            width,
            depth,
            depth_rounding,
            divisor,
            stem,
            fix_stem,
            round_expanded,
            fix_first_last,
            head,
            head_features,
            head_bias,
            head_norm,
            activation,
            se,
            bn_eps,
            padding,
            size,
            crop,
            interpolation,
            mean,
            std
        );
    }
}

/// What is wrong with a file of networks.
#[derive(Debug, Error)]
pub enum FamilyError {
    #[error("{file}: not a network definition: {source}")]
    Parse {
        file: String,
        source: Box<toml::de::Error>,
    },
    #[error(
        "{file}: {name}: like '{like}', but there is no such template here and no such network"
    )]
    UnknownLike {
        file: String,
        name: String,
        like: String,
    },
    #[error("{file}: {name}: is like itself, by way of '{like}'")]
    Circle {
        file: String,
        name: String,
        like: String,
    },
    #[error("{file}: {name}: stage {stage}: {source}")]
    Definition {
        file: String,
        name: String,
        stage: usize,
        source: DefinitionError,
    },
    #[error("{file}: {name}: {field} is missing")]
    Missing {
        file: String,
        name: String,
        field: &'static str,
    },
    #[error("{file}: {name}: {field} {problem}")]
    Value {
        file: String,
        name: String,
        field: &'static str,
        problem: String,
    },
}

impl FamilyFile {
    pub fn parse(file: &str, text: &str) -> Result<Self, FamilyError> {
        toml::from_str(text).map_err(|source| FamilyError::Parse {
            file: file.to_owned(),
            source: Box::new(source),
        })
    }
}

/// Completes and checks a network of one of `files`, by that file's place among them.
pub(super) fn network(
    files: &[(String, FamilyFile)],
    place: usize,
    name: &str,
) -> Result<NetworkDef, FamilyError> {
    let (file, family) = &files[place];
    let resolver = Resolver {
        files,
        file,
        family,
        name,
    };
    let mut path = vec![(file.clone(), name.to_owned())];
    let fields = resolver.fill(&family.network[name], &mut path)?;
    build(file, family, name, fields)
}

/// Follows `like`.
struct Resolver<'a> {
    files: &'a [(String, FamilyFile)],
    file: &'a str,
    family: &'a FamilyFile,
    name: &'a str,
}

impl Resolver<'_> {
    fn fill(
        &self,
        fields: &Fields,
        path: &mut Vec<(String, String)>,
    ) -> Result<Fields, FamilyError> {
        let mut filled = fields.clone();
        for like in &fields.like {
            let template = self
                .family
                .template
                .get(like)
                .map(|fields| (self.file, self.family, fields));
            let network = || {
                let mut found = self
                    .files
                    .iter()
                    .map(|(file, family)| (file, family, family.network.get(like)));
                found.find_map(|(file, family, fields)| Some((file.as_str(), family, fields?)))
            };
            let Some((file, family, fields)) = template.or_else(network) else {
                return Err(FamilyError::UnknownLike {
                    file: self.file.to_owned(),
                    name: self.name.to_owned(),
                    like: like.clone(),
                });
            };
            let step = (file.to_owned(), like.clone());
            if path.contains(&step) {
                return Err(FamilyError::Circle {
                    file: self.file.to_owned(),
                    name: self.name.to_owned(),
                    like: like.clone(),
                });
            }
            path.push(step);
            let resolver = Resolver {
                files: self.files,
                file,
                family,
                name: self.name,
            };
            filled.fill(&resolver.fill(fields, path)?);
            path.pop();
        }
        Ok(filled)
    }
}

fn build(
    file: &str,
    family: &FamilyFile,
    name: &str,
    fields: Fields,
) -> Result<NetworkDef, FamilyError> {
    let value = |field, problem: &str| FamilyError::Value {
        file: file.to_owned(),
        name: name.to_owned(),
        field,
        problem: problem.to_owned(),
    };
    let missing = |field| FamilyError::Missing {
        file: file.to_owned(),
        name: name.to_owned(),
        field,
    };
    let texts = fields
        .stages
        .filter(|stages| !stages.is_empty())
        .ok_or_else(|| missing("stages"))?;
    let mut stages = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let mut blocks: Vec<BlockDef> = Vec::new();
        for block in text.split_whitespace() {
            blocks.push(block.parse().map_err(|source| FamilyError::Definition {
                file: file.to_owned(),
                name: name.to_owned(),
                stage: index,
                source,
            })?);
        }
        if blocks.is_empty() {
            return Err(value("stages", "has an empty stage"));
        }
        // The reference implementations take the stride of a stage from its first block alone.
        if blocks[1..].iter().any(|block| block.stride != 1) {
            return Err(value(
                "stages",
                "has a stride above 1 in a block that is not the first of its stage",
            ));
        }
        stages.push(blocks);
    }
    let factor = |given: Option<f64>, field| match given.unwrap_or(1.0) {
        factor if (0.01..=100.0).contains(&factor) => Ok(factor),
        factor => Err(value(
            field,
            &format!("is {factor}; it must be between 0.01 and 100"),
        )),
    };
    let count = |given: Option<u32>, default, field| match given.unwrap_or(default) {
        count if (1..=65536).contains(&count) => Ok(count),
        count => Err(value(
            field,
            &format!("is {count}; it must be between 1 and 65536"),
        )),
    };
    let crop = fields.crop.unwrap_or(0.875);
    if !(crop > 0.0 && crop <= 1.0) {
        return Err(value(
            "crop",
            &format!("is {crop}; it must be above 0 and at most 1"),
        ));
    }
    let bn_eps = fields.bn_eps.unwrap_or(1e-5);
    if !(bn_eps > 0.0 && bn_eps < 1.0) {
        return Err(value(
            "bn_eps",
            &format!("is {bn_eps}; it must be above 0 and below 1"),
        ));
    }
    // Deeper than any network, and no great harm yet.
    let blocks: f64 = stages
        .iter()
        .flatten()
        .map(|block| f64::from(block.repeats))
        .sum();
    let depth = factor(fields.depth, "depth")?;
    if blocks * depth > f64::from(MAX_BLOCKS) {
        return Err(value(
            "stages",
            &format!("come to more than {MAX_BLOCKS} blocks"),
        ));
    }
    let squeeze_excite = fields.se.unwrap_or_default();
    if squeeze_excite.divisor == 0 {
        return Err(value("se", "has a divisor of 0"));
    }
    let size = count(fields.size, 224, "size")?;
    if size > Spec::MAX_SIDE {
        return Err(value(
            "size",
            &format!("is {size}; it must be at most {}", Spec::MAX_SIDE),
        ));
    }
    let head = fields.head.unwrap_or_default();
    Ok(NetworkDef {
        name: name.to_owned(),
        aliases: fields.aliases,
        family: family.family.clone(),
        paper: family.paper.clone(),
        stages,
        width: factor(fields.width, "width")?,
        depth,
        depth_rounding: fields.depth_rounding.unwrap_or_default(),
        divisor: count(fields.divisor, 8, "divisor")?,
        stem: count(fields.stem, 32, "stem")?,
        fix_stem: fields.fix_stem.unwrap_or(false),
        round_expanded: fields.round_expanded.unwrap_or(true),
        fix_first_last: fields.fix_first_last.unwrap_or(false),
        head,
        head_features: count(fields.head_features, 1280, "head_features")?,
        head_bias: fields.head_bias.unwrap_or(head == Head::Efficient),
        head_norm: fields.head_norm.unwrap_or(head == Head::Default),
        activation: fields.activation.unwrap_or(Activation::Relu),
        squeeze_excite,
        bn_eps,
        padding: fields.padding.unwrap_or_default(),
        size,
        crop,
        interpolation: fields.interpolation.unwrap_or_default(),
        mean: fields.mean.unwrap_or([123.675, 116.28, 103.53]),
        std: fields.std.unwrap_or([58.395, 57.12, 57.375]),
        published: fields.published,
        published_tf: fields.published_tf,
        published_cost: fields.published_cost,
        timm: fields.timm,
    })
}
