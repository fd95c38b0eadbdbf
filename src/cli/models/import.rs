//! `models import`: an ONNX classifier made elsewhere to an installed model.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use prost::Message;

use super::args::ImportArgs;
use crate::cli::conversion::default_labels;
use crate::compile;
use crate::engine::{Session, Threads};
use crate::model::{Installed, Labels, Library, ModelCard, Package, Weights, metadata};
use crate::preprocess::Spec;
use crate::zoo::{NetworkDef, Registry};

pub fn import(args: &ImportArgs) -> Result<()> {
    let file = &args.file;
    let name_file = || file.display().to_string();
    let extension = file.extension().unwrap_or_default();
    if !file.is_file() || !extension.eq_ignore_ascii_case("onnx") {
        bail!("{}: expected an ONNX file, ending in .onnx", file.display());
    }
    let found = Library::new(Vec::new()).find(&file.to_string_lossy())?;
    let bytes = std::fs::read(file).with_context(name_file)?;
    if let Some(card) = &found.card {
        card.verify(file, &bytes)?;
    }
    let mut model = compile::parse(&bytes).with_context(name_file)?;
    drop(bytes);
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
        let fixed = compile::input_side(&model).is_some();
        like.as_ref().filter(|_| !fixed).map(|network| network.size)
    });

    let bytes = model.encode_to_vec();
    drop(model);
    let graph =
        compile::load(&bytes, wanted_size.map(|size| size as usize)).with_context(name_file)?;
    let mut session = Session::new(graph, Threads::new(1).expect("one is allowed"))?;
    try_out(&mut session).with_context(name_file)?;
    let preprocess = preprocessing(args, said, like.as_ref(), &session).with_context(name_file)?;
    let classes = session.classes();
    let labels = labels(args, &found, classes)?;
    let package = Package {
        name: args.name.clone().unwrap_or(found.name),
        description: description(&found.card, file),
        weights: weights(args, &found.card, file),
        preprocess,
        labels,
    };
    let target = super::target(args.into.as_deref())?;
    let card = package.install(&target, |out| out.write_all(&bytes))?;
    let size = package.preprocess.size;
    let labelled = match &package.labels {
        Some(_) => "",
        None => " (no labels; give them with --labels)",
    };
    let _ = writeln!(
        io::stderr(),
        "{}: {size}x{size}, {classes} classes{labelled}",
        card.display()
    );
    Ok(())
}

/// Runs the network on some pictures, so that one that cannot work is not installed.
fn try_out(session: &mut Session) -> Result<()> {
    let (height, width) = session.input_size();
    let len = 3 * height * width;
    let pattern = |step: usize| {
        (0..len)
            .map(|i| (i * step % 251) as f32 / 62.5 - 2.0)
            .collect()
    };
    let pictures: [Vec<f32>; 3] = [vec![0.0; len], pattern(7), pattern(100)];
    let mut probabilities = true;
    for picture in pictures {
        let logits = session.run(&picture)?;
        if logits.iter().any(|logit| !logit.is_finite()) {
            bail!(
                "its output is not a number for a grey picture or a pattern; the weights are damaged"
            );
        }
        probabilities &= logits.iter().all(|p| (0.0..=1.0).contains(p));
    }
    if probabilities {
        bail!(
            "its output is between 0 and 1 whatever it is shown: probabilities, but not by a softmax at the end that \
             could be taken away; export the network without its last layer, so that it gives logits"
        );
    }
    Ok(())
}

/// What the options say, or the file or its card, or the network it is like, or most do.
fn preprocessing(
    args: &ImportArgs,
    said: Option<Spec>,
    like: Option<&NetworkDef>,
    session: &Session,
) -> Result<Spec> {
    let size = match session.input_size() {
        (height, width) if height == width => width as u32,
        (height, width) => bail!("its input is {width}x{height}; only square inputs can be used"),
    };
    let like = like.map(|network| network.preprocessing(size));
    let complete = args.mean.is_some() && args.std.is_some() && args.resize.is_some();
    let mut spec = like.or(said).unwrap_or_else(|| {
        if !complete {
            log::warn!(
                "nothing says how pictures are prepared; assuming ImageNet's mean and deviation and a crop of 0.875 \
                 (--like, --mean, --std, --resize, --preprocessing, --interpolation, --color)"
            );
        }
        Spec::imagenet(size)
    });
    if spec.size != size {
        // The same crop of another size.
        spec.resize = (u64::from(spec.resize) * u64::from(size) / u64::from(spec.size)) as u32;
        spec.size = size;
    }
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
