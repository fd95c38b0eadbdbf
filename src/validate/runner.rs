//! Pictures through a model, on several threads.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use thiserror::Error;

use super::results::TOP;
use super::{Row, Sample};
use crate::daemon::{Classifier, ClassifyError, LoadError, LoadedModel, Selection, Stop};
use crate::panics;
use crate::preprocess::decode_file;

/// How the work is divided. What comes out does not depend on it.
#[derive(Debug, Clone, Copy)]
pub struct Workers {
    /// Each with the model for itself.
    pub threads: usize,
    /// Pictures that a thread takes at a time.
    pub batch: usize,
}

#[derive(Debug, Error)]
pub enum RunnerError {
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A model that fails is not one to have its other results counted.
    #[error("{path}: {source}", path = path.display())]
    Model {
        path: PathBuf,
        source: ClassifyError,
    },
}

/// Classifies `samples` below `root`, in their order; fewer of them if stopped before the end. `load` is called by
/// each thread; `done` is told of each picture, in whatever order they are finished.
pub fn run(
    root: &Path,
    samples: &[Sample],
    workers: Workers,
    load: &(dyn Fn() -> Result<LoadedModel, LoadError> + Sync),
    stop: &Stop,
    done: &mut dyn FnMut(&Row),
) -> Result<Vec<Row>, RunnerError> {
    let threads = workers
        .threads
        .min(samples.len().div_ceil(workers.batch))
        .max(1);
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel::<Result<(usize, Row), RunnerError>>();
    let mut rows: Vec<Option<Row>> = vec![None; samples.len()];
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let sender = sender.clone();
            let next = &next;
            scope.spawn(move || {
                let mut classifier = match load() {
                    Ok(model) => Classifier::new(model, SELECTION),
                    Err(error) => return drop(sender.send(Err(error.into()))),
                };
                loop {
                    let first = next.fetch_add(workers.batch, Ordering::Relaxed);
                    let batch = samples.iter().enumerate().skip(first).take(workers.batch);
                    if batch.len() == 0 {
                        return;
                    }
                    for (place, sample) in batch {
                        if stop.requested() {
                            return;
                        }
                        let row = classify(root, sample, &mut classifier);
                        // Nobody listens once another thread has failed.
                        if sender.send(row.map(|row| (place, row))).is_err() {
                            return;
                        }
                    }
                }
            });
        }
        drop(sender);
        for message in &receiver {
            let (place, row) = message?;
            done(&row);
            rows[place] = Some(row);
        }
        drop(receiver);
        Ok::<(), RunnerError>(())
    })?;
    Ok(rows.into_iter().flatten().collect())
}

const SELECTION: Selection = Selection {
    top_k: TOP,
    threshold: 0.0,
};

fn classify(root: &Path, sample: &Sample, classifier: &mut Classifier) -> Result<Row, RunnerError> {
    let file = root.join(&sample.file);
    // What breaks a decoder is no good picture.
    let picture = panics::guard(
        || decode_file(&file).map_err(|e| e.to_string().trim_end().to_owned()),
        |message| format!("the decoder failed: {message}"),
    );
    let top = match picture.map(|picture| classifier.classify(&picture)) {
        Ok(Ok(found)) => {
            let top = found.top.into_iter();
            Ok(top
                .map(|prediction| (prediction.index, prediction.score))
                .collect())
        }
        Ok(Err(ClassifyError::Transform(error))) => Err(error.to_string()),
        Ok(Err(source)) => return Err(RunnerError::Model { path: file, source }),
        Err(reason) => Err(reason),
    };
    Ok(Row {
        path: sample.path.clone(),
        class: sample.class,
        top,
    })
}
