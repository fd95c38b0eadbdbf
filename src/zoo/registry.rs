//! Networks by name: those of `models/zoo/*.toml`, and of files of the same form that users write.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::NetworkDef;
use super::family::{self, FamilyError, FamilyFile};
use crate::nearest::nearest;

macro_rules! bundled {
    ($file:literal) => {
        (
            concat!("models/zoo/", $file),
            include_str!(concat!("../../models/zoo/", $file)),
        )
    };
}

/// The files that come with the program, and their contents.
const BUNDLED: [(&str, &str); 12] = [
    bundled!("chamnet.toml"),
    bundled!("efficientnet.toml"),
    bundled!("efficientnet_edgetpu.toml"),
    bundled!("efficientnet_lite.toml"),
    bundled!("fbnet.toml"),
    bundled!("mixnet.toml"),
    bundled!("mnasnet.toml"),
    bundled!("mobilenet.toml"),
    bundled!("mobilenetv3.toml"),
    bundled!("mobilenetv4.toml"),
    bundled!("spnasnet.toml"),
    bundled!("tf_efficientnet.toml"),
];

#[derive(Debug, Error)]
pub enum RegistryError {
    #[error("{path}: {source}", path = path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Family(#[from] FamilyError),
    #[error("{file}: the name '{name}' is taken by another network")]
    Duplicate { file: String, name: String },
    #[error("{}", unknown(name, nearest))]
    Unknown { name: String, nearest: Vec<String> },
}

fn unknown(name: &str, nearest: &[String]) -> String {
    match nearest {
        [] => format!("no network named '{name}'; models/zoo defines those there are"),
        names => format!("no network named '{name}'; nearest: {}", names.join(", ")),
    }
}

/// The networks that can be built.
#[derive(Debug)]
pub struct Registry {
    networks: BTreeMap<String, NetworkDef>,
}

impl Registry {
    /// The networks that come with the program.
    pub fn bundled() -> Self {
        Registry::new(None).expect("the bundled definitions are tested")
    }

    /// The bundled networks and those of a file that a user wrote.
    pub fn with_file(path: &Path) -> Result<Self, RegistryError> {
        let text = std::fs::read_to_string(path).map_err(|source| RegistryError::Read {
            path: path.to_owned(),
            source,
        })?;
        Registry::new(Some((&path.display().to_string(), &text)))
    }

    fn new(own: Option<(&str, &str)>) -> Result<Self, RegistryError> {
        let files = BUNDLED
            .into_iter()
            .chain(own)
            .map(|(file, text)| Ok((file.to_owned(), FamilyFile::parse(file, text)?)))
            .collect::<Result<Vec<_>, FamilyError>>()?;
        let mut networks = BTreeMap::new();
        let mut taken = BTreeSet::new();
        for (place, (file, family)) in files.iter().enumerate() {
            for (name, fields) in &family.network {
                if let Some(name) = fields
                    .aliases
                    .iter()
                    .chain([name])
                    .find(|name| !taken.insert(*name))
                {
                    return Err(RegistryError::Duplicate {
                        file: file.clone(),
                        name: name.clone(),
                    });
                }
                networks.insert(name.clone(), family::network(&files, place, name)?);
            }
        }
        Ok(Registry { networks })
    }

    pub fn networks(&self) -> impl Iterator<Item = &NetworkDef> {
        self.networks.values()
    }

    /// Every name by which [`Registry::get`] finds a network.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.networks()
            .flat_map(|network| network.aliases.iter().chain([&network.name]))
    }

    /// A network by its name or an alias.
    pub fn get(&self, name: &str) -> Result<&NetworkDef, RegistryError> {
        let alias = || {
            self.networks()
                .find(|network| network.aliases.iter().any(|alias| alias == name))
        };
        self.networks
            .get(name)
            .or_else(alias)
            .ok_or_else(|| RegistryError::Unknown {
                name: name.to_owned(),
                nearest: nearest(name, self.names()),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo::{BlockDef, Padding};

    #[test]
    fn bundled_definitions_are_sound_and_print_as_they_are_written() {
        let registry = Registry::bundled();
        assert_eq!(registry.networks().count(), 96);
        for (_, text) in BUNDLED {
            let file = FamilyFile::parse("", text).unwrap();
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
                body: "like = ['mnasnet_100']\nsize = 5000",
                says: "size is 5000",
            },
            Case {
                body: "like = ['mnasnet_100']\nse = { divisor = 0 }",
                says: "divisor of 0",
            },
            Case {
                body: "stages = ['cn_r60000_k1_s1_c8']",
                says: "more than 10000 blocks",
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
