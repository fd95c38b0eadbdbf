//! `models pull`: trained weights from the hub to an installed model.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use super::host_args::{PullArgs, install_directory};
use crate::cli::conversion::{Built, Conversion, IMAGENET_CLASSES, default_labels};
use crate::cli::stoppable::Stoppable;
use crate::daemon::Stop;
use crate::hub::{Hub, HubError, RemoteFile, Snapshot, TimmConfig};
use crate::preprocess::Spec;
use crate::zoo::{FileWeights, NetworkDef, Registry, RegistryError, Weights};

/// Owner of the repositories that names without one stand for.
const OWNER: &str = "timm";
const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const OPSET: i64 = 17;

pub fn pull(args: &PullArgs) -> Result<()> {
    let registry = Registry::bundled();
    let wanted = Wanted::parse(&args.model, &registry)?;
    let token = std::env::var("HF_TOKEN")
        .ok()
        .filter(|token| !token.is_empty());
    let hub = Hub::new(&args.address(), token)?;
    let snapshot = hub.snapshot(&wanted.repository, &wanted.revision)?;
    let config_file = snapshot.file(CONFIG)?;
    let config = TimmConfig::parse(&hub.text(config_file)?).context(config_file.url.clone())?;
    let network = match wanted.network {
        Some(network) => network,
        None => by_architecture(&registry, &config.architecture).with_context(|| {
            format!(
                "{}: its architecture is '{}'",
                wanted.repository, config.architecture
            )
        })?,
    };
    let preprocess = config
        .preprocessing(&network.preprocessing(network.size))
        .with_context(|| config_file.url.clone())?;

    let directory = install_directory(args.into.as_deref())?;
    let downloads = directory.path().join(".downloads");
    std::fs::create_dir_all(&downloads).with_context(|| downloads.display().to_string())?;
    let remote = snapshot.file(WEIGHTS)?;
    let sha256 = remote.sha256.as_ref().ok_or_else(|| HubError::NoChecksum {
        repository: snapshot.repository.clone(),
        file: WEIGHTS.to_owned(),
    })?;
    // By its checksum: a later run takes it up whatever it is called by then.
    let local = downloads.join(format!("{sha256}.safetensors"));
    download(&hub, remote, &local)?;

    let remove_download = || {
        drop(std::fs::remove_file(&local));
        drop(std::fs::remove_dir(&downloads));
    };
    let origin = Origin {
        snapshot: &snapshot,
        page: format!(
            "{}/{}",
            args.address().trim_end_matches('/'),
            snapshot.repository
        ),
        config: &config,
    };
    let name = args.name.clone().unwrap_or(wanted.name);
    let weights = FileWeights::open(&local, args.allow_nan).map(Weights::File);
    let built = match weights {
        Ok(ref weights) => convert(name, network, preprocess, &origin, weights),
        Err(error) => Err(error.into()),
    };
    // Weights that do not fit will not fit the next time either.
    let built = built.inspect_err(|_| remove_download())?;
    let stop = Stop::default();
    stop.on_signals().context("cannot handle signals")?;
    let card = built
        .package
        .install(&directory, |out| {
            built.write(&mut Stoppable { out, stop: &stop })
        })
        .with_context(|| format!("the weights received are kept in {}", local.display()))?;
    // The model holds the weights now.
    remove_download();
    let licence = &built.package.weights.licence;
    let _ = writeln!(
        io::stderr(),
        "{}: {}; licence of the weights: {licence}",
        card.display(),
        built.summary()
    );
    Ok(())
}

/// Where weights come from.
struct Origin<'a> {
    snapshot: &'a Snapshot,
    page: String,
    config: &'a TimmConfig,
}

fn convert<'a>(
    name: String,
    network: &'a NetworkDef,
    preprocess: Spec,
    origin: &Origin,
    weights: &'a Weights,
) -> Result<Built<'a>> {
    let classes = weights.classes().unwrap_or(IMAGENET_CLASSES);
    let snapshot = origin.snapshot;
    let conversion = Conversion {
        name,
        network,
        weights,
        source: format!("{} at {}", origin.page, snapshot.commit),
        licence: snapshot
            .licence
            .clone()
            .unwrap_or_else(|| "unknown".to_owned()),
        classes,
        preprocess,
        labels: labels(origin.config, classes)?,
        opset: OPSET,
        fold_bn: false,
    };
    conversion.build()
}

/// What the argument of `pull` stands for.
#[derive(Debug)]
struct Wanted<'a> {
    repository: String,
    revision: String,
    /// Name to install it under.
    name: String,
    /// Where the argument says; otherwise the repository's configuration does.
    network: Option<&'a NetworkDef>,
}

impl<'a> Wanted<'a> {
    fn parse(argument: &str, registry: &'a Registry) -> Result<Self> {
        let (name, revision) = argument.split_once('@').unwrap_or((argument, "main"));
        let revision = revision.to_owned();
        if let Some((_, last)) = name.split_once('/') {
            return Ok(Wanted {
                repository: name.to_owned(),
                revision,
                name: last.to_owned(),
                network: None,
            });
        }
        let unknown = match registry.get(name) {
            Ok(network) => {
                let Some(timm) = &network.timm else {
                    bail!(
                        "the hub has no weights for {name}; build it from your own: edge-classify export {name} \
                         --weights FILE -o {name}.onnx"
                    );
                };
                return Ok(Wanted {
                    repository: format!("{OWNER}/{timm}"),
                    revision,
                    name: name.to_owned(),
                    network: Some(network),
                });
            }
            Err(unknown) => unknown,
        };
        // Other weights for a network that timm knows: ARCHITECTURE.TAG.
        let architecture = name.split('.').next().unwrap_or_default();
        let network = by_architecture(registry, architecture).map_err(|_| unknown)?;
        Ok(Wanted {
            repository: format!("{OWNER}/{name}"),
            revision,
            name: name.to_owned(),
            network: Some(network),
        })
    }
}

/// A network by timm's name for it.
fn by_architecture<'a>(
    registry: &'a Registry,
    name: &str,
) -> Result<&'a NetworkDef, RegistryError> {
    let timm_name = |network: &NetworkDef| {
        let weights = network.timm.as_deref()?;
        weights.split('.').next().map(str::to_owned)
    };
    let mut networks = registry.networks();
    match networks.find(|network| timm_name(network).as_deref() == Some(name)) {
        Some(network) => Ok(network),
        None => registry.get(name),
    }
}

fn labels(config: &TimmConfig, classes: usize) -> Result<Option<String>> {
    match config.labels() {
        Some(labels) if labels.len() != classes => bail!(
            "{CONFIG} names {} classes, but the weights are for {classes}",
            labels.len()
        ),
        Some(labels) => {
            // A line each.
            let lines = labels
                .iter()
                .map(|label| label.replace(['\n', '\r'], " ") + "\n");
            Ok(Some(lines.collect()))
        }
        None => Ok(default_labels(classes)),
    }
}

fn download(hub: &Hub, remote: &RemoteFile, path: &Path) -> Result<()> {
    let style =
        ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left");
    let bar = ProgressBar::new(remote.size).with_style(style.expect("the template is sound"));
    hub.download(remote, path, &mut |received| bar.set_position(received))?;
    bar.finish_and_clear();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_repositories() {
        let registry = Registry::bundled();
        struct Case {
            argument: &'static str,
            repository: &'static str,
            revision: &'static str,
            name: &'static str,
            network: Option<&'static str>,
        }
        let cases = [
            Case {
                argument: "mobilenetv3_100",
                repository: "timm/mobilenetv3_rw.rmsp_in1k",
                revision: "main",
                name: "mobilenetv3_100",
                network: Some("mobilenetv3_100"),
            },
            Case {
                argument: "mobilenetv3_rw.other@abc",
                repository: "timm/mobilenetv3_rw.other",
                revision: "abc",
                name: "mobilenetv3_rw.other",
                network: Some("mobilenetv3_100"),
            },
            Case {
                argument: "me/birds@v2",
                repository: "me/birds",
                revision: "v2",
                name: "birds",
                network: None,
            },
        ];
        for case in cases {
            let wanted = Wanted::parse(case.argument, &registry).unwrap();
            assert_eq!(wanted.repository, case.repository);
            assert_eq!(wanted.revision, case.revision);
            assert_eq!(wanted.name, case.name);
            let network = wanted.network.map(|network| network.name.as_str());
            assert_eq!(network, case.network, "{}", case.argument);
        }
        let error = Wanted::parse("mobilenetv3_10O", &registry).unwrap_err();
        assert!(error.to_string().contains("mobilenetv3_100"), "{error}");
        let error = Wanted::parse("chamnetv1_100", &registry).unwrap_err();
        assert!(
            error.to_string().contains("export chamnetv1_100"),
            "{error}"
        );
    }
}
