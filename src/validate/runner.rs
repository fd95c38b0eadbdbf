//! Pictures through a model, on several threads.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use image::RgbImage;

use super::results::TOP;
use super::{Row, Sample};
use crate::daemon::{Classifier, LoadError, LoadedModel, Selection, Stop};
use crate::preprocess::decode_file;

/// How the work is divided. What comes out does not depend on it.
#[derive(Debug, Clone, Copy)]
pub struct Workers {
    /// Each with the model for itself.
    pub threads: usize,
    /// Pictures that a thread takes at a time.
    pub batch: usize,
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
) -> Result<Vec<Row>, LoadError> {
    let threads = workers
        .threads
        .min(samples.len().div_ceil(workers.batch))
        .max(1);
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel::<Result<(usize, Row), LoadError>>();
    let mut rows: Vec<Option<Row>> = vec![None; samples.len()];
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let sender = sender.clone();
            let next = &next;
            scope.spawn(move || {
                let mut classifier = match load() {
                    Ok(model) => Classifier::new(model, SELECTION),
                    Err(error) => return drop(sender.send(Err(error))),
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
                        if sender.send(Ok((place, row))).is_err() {
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
        Ok::<(), LoadError>(())
    })?;
    Ok(rows.into_iter().flatten().collect())
}

const SELECTION: Selection = Selection {
    top_k: TOP,
    threshold: 0.0,
};

fn classify(root: &Path, sample: &Sample, classifier: &mut Classifier) -> Row {
    let read = |path: &Path| -> Result<RgbImage, String> {
        decode_file(path).map_err(|e| e.to_string().trim_end().to_owned())
    };
    let top = read(&root.join(&sample.file)).and_then(|picture| {
        let found = classifier.classify(&picture).map_err(|e| e.to_string())?;
        let top = found.top.into_iter();
        Ok(top
            .map(|prediction| (prediction.index, prediction.score))
            .collect())
    });
    Row {
        path: sample.path.clone(),
        class: sample.class,
        top,
    }
}
