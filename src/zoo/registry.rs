//! Networks by name, as data: `models/zoo/*.toml`, and files of the same form that users write.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use super::{Activation, BlockDef, DefinitionError};
use crate::preprocess::{ColorOrder, Crop, Interpolation, Spec};

/// The files that come with the program: name and contents.
const BUNDLED: [(&str, &str); 12] = [
    (
        "chamnet.toml",
        include_str!("../../models/zoo/chamnet.toml"),
    ),
    (
        "efficientnet.toml",
        include_str!("../../models/zoo/efficientnet.toml"),
    ),
    (
        "efficientnet_edgetpu.toml",
        include_str!("../../models/zoo/efficientnet_edgetpu.toml"),
    ),
    (
        "efficientnet_lite.toml",
        include_str!("../../models/zoo/efficientnet_lite.toml"),
    ),
    ("fbnet.toml", include_str!("../../models/zoo/fbnet.toml")),
    ("mixnet.toml", include_str!("../../models/zoo/mixnet.toml")),
    (
        "mnasnet.toml",
        include_str!("../../models/zoo/mnasnet.toml"),
    ),
    (
        "mobilenet.toml",
        include_str!("../../models/zoo/mobilenet.toml"),
    ),
    (
        "mobilenetv3.toml",
        include_str!("../../models/zoo/mobilenetv3.toml"),
    ),
    (
        "mobilenetv4.toml",
        include_str!("../../models/zoo/mobilenetv4.toml"),
    ),
    (
        "spnasnet.toml",
        include_str!("../../models/zoo/spnasnet.toml"),
    ),
    (
        "tf_efficientnet.toml",
        include_str!("../../models/zoo/tf_efficientnet.toml"),
    ),
];

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

/// One file: a family of networks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FamilyFile {
    family: String,
    paper: Option<String>,
    #[serde(default)]
    template: BTreeMap<String, Fields>,
    #[serde(default)]
    network: BTreeMap<String, Fields>,
}

/// What a template or a network says; the rest comes from those it is like.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    /// Templates of this file, or networks of any, that fill in what is not said here; the first that says it wins.
    #[serde(default)]
    like: Vec<String>,
    #[serde(default)]
    aliases: Vec<String>,
    published: Option<Accuracy>,
    published_tf: Option<TfAccuracy>,
    timm: Option<String>,

    stages: Option<Vec<String>>,
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

#[derive(Debug, Error)]
pub enum RegistryError {
    #[error("{path}: {source}", path = path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
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
    #[error("{file}: the name '{name}' is taken by another network")]
    Duplicate { file: String, name: String },
    #[error("{}", unknown(name, nearest))]
    Unknown { name: String, nearest: Vec<String> },
}

fn unknown(name: &str, nearest: &[String]) -> String {
    match nearest {
        [] => format!("no network named '{name}'; `edge-classify models list` shows them all"),
        names => format!("no network named '{name}'; nearest: {}", names.join(", ")),
    }
}

/// The networks that can be built.
#[derive(Debug)]
pub struct Registry {
    networks: BTreeMap<String, NetworkDef>,
}

impl NetworkDef {
    /// The evaluation transform for inputs of `size`, which need not be the network's own.
    pub fn preprocessing(&self, size: u32) -> Spec {
        Spec {
            size,
            resize: (f64::from(size) / self.crop) as u32,
            crop: Crop::Centre,
            interpolation: self.interpolation,
            color: ColorOrder::Rgb,
            mean: self.mean,
            std: self.std,
        }
    }
}

impl Registry {
    /// The networks that come with the program.
    pub fn bundled() -> Self {
        let files = BUNDLED
            .iter()
            .map(|(name, text)| (format!("models/zoo/{name}"), (*text).to_owned()));
        Registry::from_texts(files.collect()).expect("the bundled definitions are tested")
    }

    /// The bundled networks and those of a file that a user wrote.
    pub fn with_file(path: &Path) -> Result<Self, RegistryError> {
        let text = std::fs::read_to_string(path).map_err(|source| RegistryError::Read {
            path: path.to_owned(),
            source,
        })?;
        let bundled = BUNDLED
            .iter()
            .map(|(name, text)| (format!("models/zoo/{name}"), (*text).to_owned()));
        Registry::from_texts(
            bundled
                .chain([(path.display().to_string(), text)])
                .collect(),
        )
    }

    fn from_texts(texts: Vec<(String, String)>) -> Result<Self, RegistryError> {
        let mut files = Vec::new();
        for (file, text) in texts {
            let parsed: FamilyFile =
                toml::from_str(&text).map_err(|source| RegistryError::Parse {
                    file: file.clone(),
                    source: Box::new(source),
                })?;
            files.push((file, parsed));
        }
        let mut networks = BTreeMap::new();
        let mut names = std::collections::BTreeSet::new();
        for (file, family) in &files {
            for (name, fields) in &family.network {
                for name in fields.aliases.iter().chain([name]) {
                    if !names.insert(name.clone()) {
                        return Err(RegistryError::Duplicate {
                            file: file.clone(),
                            name: name.clone(),
                        });
                    }
                }
                let filled = Resolver {
                    files: &files,
                    file,
                    family,
                    name,
                }
                .fill(fields, &mut vec![name.clone()])?;
                networks.insert(name.clone(), build(file, family, name, filled)?);
            }
        }
        Ok(Registry { networks })
    }

    pub fn networks(&self) -> impl Iterator<Item = &NetworkDef> {
        self.networks.values()
    }

    /// A network by its name or an alias.
    pub fn get(&self, name: &str) -> Result<&NetworkDef, RegistryError> {
        let alias = || {
            self.networks()
                .find(|network| network.aliases.iter().any(|alias| alias == name))
        };
        self.networks.get(name).or_else(alias).ok_or_else(|| {
            let names = self
                .networks()
                .flat_map(|network| network.aliases.iter().chain([&network.name]));
            let mut near: Vec<_> = names
                .map(|candidate| (strsim::jaro_winkler(candidate, name), candidate))
                .filter(|(similarity, _)| *similarity > 0.8)
                .collect();
            near.sort_by(|a, b| b.0.total_cmp(&a.0));
            RegistryError::Unknown {
                name: name.to_owned(),
                nearest: near
                    .into_iter()
                    .take(3)
                    .map(|(_, name)| name.clone())
                    .collect(),
            }
        })
    }
}

/// Follows `like`.
struct Resolver<'a> {
    files: &'a [(String, FamilyFile)],
    file: &'a str,
    family: &'a FamilyFile,
    name: &'a str,
}

impl Resolver<'_> {
    fn fill(&self, fields: &Fields, path: &mut Vec<String>) -> Result<Fields, RegistryError> {
        let mut filled = fields.clone();
        for like in &fields.like {
            if path.contains(like) {
                return Err(RegistryError::Circle {
                    file: self.file.to_owned(),
                    name: self.name.to_owned(),
                    like: like.clone(),
                });
            }
            path.push(like.clone());
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
                return Err(RegistryError::UnknownLike {
                    file: self.file.to_owned(),
                    name: self.name.to_owned(),
                    like: like.clone(),
                });
            };
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
) -> Result<NetworkDef, RegistryError> {
    let value = |field, problem: &str| RegistryError::Value {
        file: file.to_owned(),
        name: name.to_owned(),
        field,
        problem: problem.to_owned(),
    };
    let missing = |field| RegistryError::Missing {
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
            blocks.push(block.parse().map_err(|source| RegistryError::Definition {
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
    let head = fields.head.unwrap_or_default();
    Ok(NetworkDef {
        name: name.to_owned(),
        aliases: fields.aliases,
        family: family.family.clone(),
        paper: family.paper.clone(),
        stages,
        width: factor(fields.width, "width")?,
        depth: factor(fields.depth, "depth")?,
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
        squeeze_excite: fields.se.unwrap_or_default(),
        bn_eps,
        padding: fields.padding.unwrap_or_default(),
        size: count(fields.size, 224, "size")?,
        crop,
        interpolation: fields.interpolation.unwrap_or_default(),
        mean: fields.mean.unwrap_or([123.675, 116.28, 103.53]),
        std: fields.std.unwrap_or([58.395, 57.12, 57.375]),
        published: fields.published,
        published_tf: fields.published_tf,
        timm: fields.timm,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundled_definitions_are_sound_and_print_as_they_are_written() {
        let registry = Registry::bundled();
        assert!(registry.networks().count() > 90);
        for (_, text) in BUNDLED {
            let file: FamilyFile = toml::from_str(text).unwrap();
            let all = file.template.values().chain(file.network.values());
            for block in all
                .flat_map(|fields| fields.stages.iter().flatten())
                .flat_map(|s| s.split_whitespace())
            {
                assert_eq!(block.parse::<BlockDef>().unwrap().to_string(), block);
            }
        }
    }

    #[test]
    fn likeness_is_followed_and_the_nearer_wins() {
        let registry = Registry::bundled();
        let tf = registry.get("tf_efficientnet_b1_ap").unwrap();
        assert_eq!(
            (tf.padding, tf.bn_eps, tf.mean[0]),
            (Padding::Same, 1e-3, 127.5)
        );
        assert_eq!((tf.depth, tf.size, tf.crop), (1.1, 240, 0.88));
        assert_eq!(tf.published, None);
        assert_eq!(registry.get("mnasnet_a1").unwrap().name, "semnasnet_100");
    }

    #[test]
    fn unknown_names_get_the_nearest() {
        let error = Registry::bundled()
            .get("mobilnetv3_100")
            .unwrap_err()
            .to_string();
        assert!(error.contains("mobilenetv3_100"), "{error}");
        assert!(Registry::bundled().get("").is_err());
    }

    #[test]
    fn errors_name_the_file_the_network_and_the_field() {
        struct Case {
            body: &'static str,
            says: &'static str,
        }
        let cases = [
            Case {
                body: "stages = ['ir_r1_k3_s1_e6_q16']",
                says: "stage 0: block 'ir_r1_k3_s1_e6_q16'",
            },
            Case {
                body: "stages = ['cn_r1_k1_s1_c8 cn_r1_k1_s2_c8']",
                says: "stages has a stride",
            },
            Case {
                body: "stages = ['']",
                says: "empty stage",
            },
            Case {
                body: "",
                says: "stages is missing",
            },
            Case {
                body: "like = ['nothing']",
                says: "like 'nothing'",
            },
            Case {
                body: "like = ['mine']",
                says: "like itself",
            },
            Case {
                body: "like = ['mnasnet_100']\nwidth = 0.0",
                says: "width is 0",
            },
            Case {
                body: "like = ['mnasnet_100']\nwidth = nan",
                says: "width is NaN",
            },
            Case {
                body: "like = ['mnasnet_100']\nstem = 0",
                says: "stem is 0",
            },
            Case {
                body: "like = ['mnasnet_100']\ncrop = 1.5",
                says: "crop is 1.5",
            },
            Case {
                body: "like = ['mnasnet_100']\nbn_eps = 0.0",
                says: "bn_eps is 0",
            },
            Case {
                body: "like = ['mnasnet_100']\nwidht = 1.0",
                says: "widht",
            },
            Case {
                body: "like = ['mnasnet_100']\naliases = ['mnasnet_b1']",
                says: "'mnasnet_b1' is taken",
            },
        ];
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("own.toml");
        for case in cases {
            std::fs::write(
                &path,
                format!("family = 'own'\n[network.mine]\n{}\n", case.body),
            )
            .unwrap();
            let error = Registry::with_file(&path).unwrap_err().to_string();
            assert!(error.contains(case.says), "{}: {error}", case.body);
            assert!(error.contains("own.toml"), "{error}");
        }
        std::fs::write(
            &path,
            "family = 'own'\n[network.mine]\nlike = ['mnasnet_100']\nwidth = 0.35\n",
        )
        .unwrap();
        assert_eq!(
            Registry::with_file(&path)
                .unwrap()
                .get("mine")
                .unwrap()
                .width,
            0.35
        );
    }
}
