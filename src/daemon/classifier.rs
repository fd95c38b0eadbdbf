//! A picture in, the likeliest classes out.

use std::time::{Duration, Instant};

use image::RgbImage;
use thiserror::Error;

use super::LoadedModel;
use crate::engine::{EngineError, Normalization, Picture};
use crate::model::{Labels, Scores};
use crate::preprocess::{ColorOrder, Spec, Transform, TransformError};
use crate::session::Session;
use crate::sinks::Prediction;

/// Which classes to report.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Selection {
    /// At most this many.
    pub top_k: usize,
    /// Only probabilities of at least this.
    pub threshold: f32,
}

/// A loaded model with its transform and buffers.
pub struct Classifier {
    name: String,
    session: Session,
    transform: Transform,
    scores: Scores,
    labels: Labels,
    selection: Selection,
    normalization: Normalization,
    /// For a network that takes no 8-bit picture.
    tensor: Vec<f32>,
}

/// The result for one picture and what it took.
#[derive(Debug)]
pub struct Classification {
    /// Best first.
    pub top: Vec<Prediction>,
    pub preprocess: Duration,
    pub inference: Duration,
}

#[derive(Debug, Error)]
pub enum ClassifyError {
    #[error(transparent)]
    Transform(#[from] TransformError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the network's output is not a number; the model file is damaged or was made wrongly")]
    NotANumber,
}

impl Classifier {
    pub fn new(model: LoadedModel, selection: Selection) -> Self {
        let Spec {
            mean, std, color, ..
        } = model.spec;
        let normalization = Normalization::new(mean, std, color == ColorOrder::Bgr);
        let transform = Transform::new(model.spec);
        Classifier {
            tensor: Vec::new(),
            normalization,
            name: model.name,
            session: model.session,
            transform,
            scores: model.scores,
            labels: model.labels,
            selection,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn classify(&mut self, picture: &RgbImage) -> Result<Classification, ClassifyError> {
        let start = Instant::now();
        let (preprocessed, output) = if self.session.takes_pictures() {
            let rows = self.transform.levels(picture)?;
            let picture = Picture {
                pixels: rows.pixels(),
                stride: rows.stride(),
                normalization: &self.normalization,
            };
            (Instant::now(), self.session.run_picture(picture)?)
        } else {
            self.tensor.resize(self.transform.tensor_len(), 0.0);
            self.transform.run(picture, &mut self.tensor)?;
            (Instant::now(), self.session.run(&self.tensor)?)
        };
        let inference = preprocessed.elapsed();
        let scores = match self.scores {
            Scores::Logits => softmax(&output),
            Scores::Probabilities => Some(output).filter(|p| p.iter().all(|p| p.is_finite())),
        };
        let scores = scores.ok_or(ClassifyError::NotANumber)?;
        let top = select(&scores, self.selection)
            .into_iter()
            .map(|index| Prediction {
                index,
                label: self.labels.get(index).to_owned(),
                score: scores[index],
            })
            .collect();
        Ok(Classification {
            top,
            preprocess: preprocessed - start,
            inference,
        })
    }
}

/// Probabilities from logits; `None` if they are not numbers.
pub fn softmax(logits: &[f32]) -> Option<Vec<f32>> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f32> = logits.iter().map(|logit| (logit - max).exp()).collect();
    let sum: f64 = exponentials.iter().copied().map(f64::from).sum();
    sum.is_finite().then(|| {
        exponentials
            .iter()
            .map(|e| (f64::from(*e) / sum) as f32)
            .collect()
    })
}

/// Indices of the best scores, best first; the lower index first among equals.
fn select(scores: &[f32], selection: Selection) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len())
        .filter(|&index| scores[index] >= selection.threshold)
        .collect();
    let best_first = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
    if order.len() > selection.top_k {
        order.select_nth_unstable_by(selection.top_k, best_first);
        order.truncate(selection.top_k);
    }
    order.sort_unstable_by(best_first);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_is_stable_and_refuses_nan() {
        let scores = softmax(&[1000.0, 1000.0, -1000.0]).unwrap();
        assert_eq!(scores, [0.5, 0.5, 0.0]);
        let scores = softmax(&[0.0, 3f32.ln()]).unwrap();
        assert!((scores[1] - 0.75).abs() < 1e-6);
        assert_eq!(softmax(&[1.0, f32::NAN]), None);
        assert_eq!(softmax(&[1.0, f32::INFINITY]), None);
    }

    #[test]
    fn selection_orders_cuts_and_filters() {
        let scores = [0.1, 0.4, 0.1, 0.25, 0.15];
        let pick = |top_k, threshold| select(&scores, Selection { top_k, threshold });
        assert_eq!(pick(3, 0.0), [1, 3, 4]);
        assert_eq!(pick(9, 0.0), [1, 3, 4, 0, 2]);
        assert_eq!(pick(4, 0.0), [1, 3, 4, 0]);
        assert_eq!(pick(5, 0.2), [1, 3]);
        assert!(pick(5, 0.5).is_empty());
    }
}
