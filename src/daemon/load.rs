//! From a model on disk to one that is ready to run.

use std::path::{Path, PathBuf};

use thiserror::Error;

#[cfg(feature = "host")]
use crate::compile::{self, OnnxError};
use crate::engine::{EngineError, Options};
use crate::model::{CardError, Installed, Labels, LabelsError, Scores};
use crate::plan::{PlanError, SelfTest};
use crate::preprocess::{Size, Spec, SpecError};
use crate::session::{Program, Session};

/// A model in memory with all that belongs to it.
pub struct LoadedModel {
    pub name: String,
    pub session: Session,
    pub spec: Spec,
    pub scores: Scores,
    pub labels: Labels,
    /// Of a plan that has one.
    pub self_test: Option<SelfTest>,
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
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[cfg(feature = "host")]
    #[error("{path}: {source}", path = path.display())]
    Onnx { path: PathBuf, source: OnnxError },
    #[cfg(not(feature = "host"))]
    #[error(
        "{path}: not a plan, and this build of edge-classify runs nothing else; make one with 'edge-classify compile' of \
         the full build, on any machine",
        path = path.display()
    )]
    NotAPlan { path: PathBuf },
    #[error("{path}: {source}", path = path.display())]
    Engine { path: PathBuf, source: EngineError },
    #[error("{path}: without a model card: {source}", path = path.display())]
    Spec { path: PathBuf, source: SpecError },
    #[error(transparent)]
    Labels(#[from] LabelsError),
}

/// Reads the network, compiled already or not.
pub fn load_program(model: &Installed) -> Result<Program, LoadError> {
    Ok(load_tested(model, false)?.0)
}

/// The same, with its self-test if that is wanted.
fn load_tested(model: &Installed, wanted: bool) -> Result<(Program, Option<SelfTest>), LoadError> {
    if !model.is_plan() {
        return Ok((compile(model)?, None));
    }
    if let Some(card) = model.card.as_ref().filter(|card| card.sha256.is_some()) {
        card.verify(&model.file, &read(model)?)?;
    }
    let plan = model.plan()?;
    let self_test = match wanted {
        true => plan.self_test()?,
        false => None,
    };
    Ok((Program::Net(plan.net()?), self_test))
}

#[cfg(feature = "host")]
fn compile(model: &Installed) -> Result<Program, LoadError> {
    let bytes = read(model)?;
    let card = model.card.as_ref();
    if let Some(card) = card {
        card.verify(&model.file, &bytes)?;
    }
    let size = card.map(|card| card.preprocess.size.height_and_width());
    compile::load(&bytes, size).map_err(|source| LoadError::Onnx {
        path: model.file.clone(),
        source,
    })
}

#[cfg(not(feature = "host"))]
fn compile(model: &Installed) -> Result<Program, LoadError> {
    Err(LoadError::NotAPlan {
        path: model.file.clone(),
    })
}

fn read(model: &Installed) -> Result<Vec<u8>, LoadError> {
    std::fs::read(&model.file).map_err(|source| LoadError::Read {
        path: model.file.clone(),
        source,
    })
}

/// Loads the network alone: without labels and preprocessing.
pub fn load_session(model: &Installed, options: &Options) -> Result<Session, LoadError> {
    let program = load_program(model)?;
    Session::with(program, options).map_err(engine(model))
}

fn engine(model: &Installed) -> impl Fn(EngineError) -> LoadError {
    let path = model.file.clone();
    move |source| LoadError::Engine {
        path: path.clone(),
        source,
    }
}

/// Loads a model. `labels` replaces the labels that its card names.
pub fn load(
    model: &Installed,
    labels: Option<&Path>,
    options: &Options,
) -> Result<LoadedModel, LoadError> {
    let (program, self_test) = load_tested(model, true)?;
    let session = Session::with(program, options).map_err(engine(model))?;
    let spec = match &model.card {
        Some(card) => card.preprocess.clone(),
        None => assumed_spec(model, &session)?,
    };
    let scores = model.card.as_ref().map(|card| card.scores);
    let classes = session.classes();
    let labels = match labels {
        Some(file) => Some(Labels::read(file, classes)?),
        None => model.labels(classes)?,
    };
    Ok(LoadedModel {
        name: model.name.clone(),
        session,
        spec,
        scores: scores.unwrap_or_default(),
        labels: labels.unwrap_or_else(|| Labels::numbered(classes)),
        self_test,
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
