//! `models import`: an ONNX classifier made elsewhere to an installed model.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use tract_onnx::pb::ModelProto;

use super::host_args::{ImportArgs, install_directory};
use super::trial;
use crate::cli::conversion::default_labels;
use crate::compile;
use crate::model::{Installed, Labels, ModelCard, Package, Scores, Weights, metadata};
use crate::preprocess::{Size, Spec};
use crate::zoo::{NetworkDef, Registry};

pub fn import(args: &ImportArgs) -> Result<()> {
    let file = &args.file;
    let name_file = || file.display().to_string();
    let extension = file.extension().unwrap_or_default();
    if !file.is_file() || !extension.eq_ignore_ascii_case("onnx") {
        bail!("{}: expected an ONNX file, ending in .onnx", file.display());
    }
    let found = Installed::open(file)?;
    let bytes = std::fs::read(file).with_context(name_file)?;
    if let Some(card) = &found.card {
        card.verify(file, &bytes)?;
    }
    let mut model = compile::parse(&bytes).with_context(name_file)?;
    drop(bytes);
    choose_output(&mut model, args.output.as_deref()).with_context(name_file)?;
    let levels = compile::takes_levels(&mut model);
    let directory = match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    compile::standalone(&mut model, directory, args.allow_nan).with_context(name_file)?;
    let properties = model.metadata_props.iter();
    let properties = properties.map(|entry| (entry.key.clone(), entry.value.clone()));
    let said = match metadata::preprocessing(&properties.collect()) {
        // What the options say does not need it.
        Err(error) if args.like.is_some() => {
            log::warn!("{}: {error}; left aside", file.display());
            None
        }
        said => said.with_context(name_file)?,
    };
    let said = said.or_else(|| found.card.as_ref().map(|card| card.preprocess.clone()));
    let like = match &args.like {
        Some(name) => Some(Registry::bundled().get(name)?.clone()),
        None => None,
    };
    let wanted_size = args.input_size.or(said.as_ref().map(|spec| spec.size));
    let wanted_size = wanted_size.or_else(|| {
        let free = compile::is_free_size(&mut model);
        like.as_ref().filter(|_| free).map(|like| like.size.into())
    });

    let card_scores = found.card.as_ref().map(|card| card.scores);
    let scores = args.scores.map(Scores::from);
    // Logits is also what a card says by saying nothing.
    let scores = scores.or(card_scores.filter(|scores| *scores == Scores::Probabilities));
    let trial = trial::run(model, wanted_size, scores).with_context(name_file)?;
    let preprocess =
        preprocessing(args, said, like.as_ref(), trial.size, levels).with_context(name_file)?;
    let labels = labels(args, &found, trial.classes)?;
    let package = Package {
        name: args.name.clone().unwrap_or(found.name),
        description: description(&found.card, file),
        scores: trial.scores,
        weights: weights(args, &found.card, file),
        preprocess,
        labels,
    };
    let target = install_directory(args.into.as_deref())?;
    let card = package.install(&target, |out| out.write_all(&trial.onnx))?;
    let labelled = match &package.labels {
        Some(_) => "",
        None => " (no labels; give them with --labels)",
    };
    let scores = match (trial.scores, scores) {
        (Scores::Probabilities, None) => {
            "; its output stays between 0 and 1 and is taken for probabilities (--scores)"
        }
        _ => "",
    };
    let _ = writeln!(
        io::stderr(),
        "{}: {}, {} classes{labelled}{scores}",
        card.display(),
        package.preprocess.size,
        trial.classes,
    );
    Ok(())
}

/// Leaves the only output, or the one that is asked for.
fn choose_output(model: &mut ModelProto, wanted: Option<&str>) -> Result<()> {
    let outputs: Vec<&str> = compile::outputs(model).collect();
    let list = || outputs.join(", ");
    match wanted {
        None if outputs.len() > 1 => bail!(
            "it has {} outputs, {}; say which one gives the classes with --output",
            outputs.len(),
            list()
        ),
        Some(name) if !outputs.contains(&name) => {
            bail!("it has no output '{name}', only {}", list())
        }
        Some(name) => compile::keep_output(model, name),
        None => {}
    }
    Ok(())
}

/// What the options say, or the file or its card, or the network it is like, or most do. A network that takes `levels`
/// gets them as they are.
fn preprocessing(
    args: &ImportArgs,
    said: Option<Spec>,
    like: Option<&NetworkDef>,
    size: Size,
    levels: bool,
) -> Result<Spec> {
    let like = like.map(|network| network.preprocessing(size));
    let complete = (levels || args.mean.is_some() && args.std.is_some()) && args.resize.is_some();
    let spec = like.or(said).unwrap_or_else(|| {
        if !complete {
            log::warn!(
                "nothing says how pictures are prepared; assuming ImageNet's mean and deviation and a crop of 0.875 \
                 (--like, --mean, --std, --resize, --preprocessing, --interpolation, --color)"
            );
        }
        Spec::imagenet(size)
    });
    let mut spec = if spec.size == size {
        spec
    } else {
        spec.resized(size)
    };
    if let Some(resize) = args.resize {
        spec.resize = resize;
    }
    if let Some(interpolation) = args.interpolation {
        spec.interpolation = interpolation.into();
    }
    if let Some(preprocessing) = args.preprocessing {
        spec.pipeline = preprocessing.into();
    }
    if let Some(color) = args.color {
        spec.color = color;
    }
    if levels {
        (spec.mean, spec.std) = ([0.0; 3], [1.0; 3]);
    }
    spec.mean = args.mean.unwrap_or(spec.mean);
    spec.std = args.std.unwrap_or(spec.std);
    spec.validate()?;
    Ok(spec)
}

fn labels(args: &ImportArgs, found: &Installed, classes: usize) -> Result<Option<String>> {
    match args.labels.clone().or_else(|| found.labels_file()) {
        Some(path) => {
            Labels::read(&path, classes)?;
            let text = std::fs::read_to_string(&path);
            Ok(Some(text.with_context(|| path.display().to_string())?))
        }
        None => Ok(default_labels(classes)),
    }
}

fn description(card: &Option<ModelCard>, file: &Path) -> String {
    match card {
        Some(card) => card.description.clone(),
        None => format!("imported from {}", file_name(file)),
    }
}

fn weights(args: &ImportArgs, card: &Option<ModelCard>, file: &Path) -> Weights {
    let said = card.as_ref().and_then(|card| card.weights.clone());
    let mut weights = said.unwrap_or_else(|| Weights {
        source: file_name(file),
        licence: "unknown".to_owned(),
    });
    if let Some(licence) = &args.licence {
        weights.licence.clone_from(licence);
    }
    weights
}

fn file_name(file: &Path) -> String {
    file.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
