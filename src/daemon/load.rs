//! From a model on disk to one that is ready to run.

use std::path::{Path, PathBuf};

use thiserror::Error;
use tract_onnx::prelude::TypedModel;

use crate::compile::{self, OnnxError};
use crate::engine::{EngineError, Session, Threads};
use crate::model::{CardError, Installed, Labels, LabelsError, Scores};
use crate::preprocess::{Size, Spec, SpecError};

/// A model in memory with all that belongs to it.
pub struct LoadedModel {
    pub name: String,
    pub session: Session,
    pub spec: Spec,
    pub scores: Scores,
    pub labels: Labels,
}

#[derive(Debug, Error)]
pub enum LoadError {
    #[error("{path}: {source}", path = path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Card(#[from] CardError),
    #[error("{path}: {source}", path = path.display())]
    Onnx { path: PathBuf, source: OnnxError },
    #[error("{path}: {source}", path = path.display())]
    Engine { path: PathBuf, source: EngineError },
    #[error("{path}: without a model card: {source}", path = path.display())]
    Spec { path: PathBuf, source: SpecError },
    #[error(transparent)]
    Labels(#[from] LabelsError),
}

/// Reads the network, which need not be of layers of ours.
pub fn load_graph(model: &Installed) -> Result<TypedModel, LoadError> {
    let path = || model.file.clone();
    let bytes = std::fs::read(&model.file).map_err(|source| LoadError::Read {
        path: path(),
        source,
    })?;
    let card = model.card.as_ref();
    if let Some(card) = card {
        card.verify(&model.file, &bytes)?;
    }
    let size = card.map(|card| card.preprocess.size);
    let size = size.map(Size::height_and_width);
    compile::load_graph(&bytes, size).map_err(|source| LoadError::Onnx {
        path: path(),
        source,
    })
}

/// Loads the network alone: without labels and preprocessing.
pub fn load_session(model: &Installed, threads: Threads) -> Result<Session, LoadError> {
    let program = compile::program(load_graph(model)?);
    Session::new(program, threads).map_err(|source| LoadError::Engine {
        path: model.file.clone(),
        source,
    })
}

/// Loads a model. `labels` replaces the labels that its card names.
pub fn load(
    model: &Installed,
    labels: Option<&Path>,
    threads: Threads,
) -> Result<LoadedModel, LoadError> {
    let session = load_session(model, threads)?;
    let spec = match &model.card {
        Some(card) => card.preprocess.clone(),
        None => assumed_spec(model, &session)?,
    };
    let scores = model.card.as_ref().map(|card| card.scores);
    let classes = session.classes();
    let labels = match labels.map(Path::to_owned).or_else(|| model.labels_file()) {
        Some(file) => Labels::read(&file, classes)?,
        None => Labels::numbered(classes),
    };
    Ok(LoadedModel {
        name: model.name.clone(),
        session,
        spec,
        scores: scores.unwrap_or_default(),
        labels,
    })
}

fn assumed_spec(model: &Installed, session: &Session) -> Result<Spec, LoadError> {
    let size = Size::from_height_and_width(session.input_size());
    let beside = model.file.with_extension("toml");
    log::warn!(
        "{}: no model card; assuming ImageNet preprocessing for {size} (describe it in {})",
        model.file.display(),
        beside.display()
    );
    let spec = Spec::imagenet(size);
    spec.validate().map_err(|source| LoadError::Spec {
        path: model.file.clone(),
        source,
    })?;
    Ok(spec)
}
