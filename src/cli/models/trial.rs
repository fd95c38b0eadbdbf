//! Running a network that is to be installed: what its output is, and that it works at all.

use anyhow::{Result, bail};
use prost::Message;
use tract_onnx::pb::ModelProto;

use crate::compile;
use crate::daemon::softmax;
use crate::engine::Threads;
use crate::model::Scores;
use crate::preprocess::Size;
use crate::session::Session;

/// A network found to work.
pub struct Trial {
    /// Without the softmax that was at its end, unless it was said what its output is.
    pub onnx: Vec<u8>,
    pub size: Size,
    pub classes: usize,
    /// What its output is: as was said, or as far as running it can tell.
    pub scores: Scores,
}

/// Two sets of probabilities are the same if no value differs by more.
const TOLERANCE: f32 = 1e-4;

/// Runs `model`, standing alone, on some pictures. Its output is `scores`, where that is known.
pub fn run(mut model: ModelProto, size: Option<Size>, scores: Option<Scores>) -> Result<Trial> {
    let onnx = model.encode_to_vec();
    let (session, outputs) = try_out(&onnx, size)?;
    let mut trial = Trial {
        onnx,
        size: Size::from_height_and_width(session.input_size()),
        classes: session.classes(),
        scores: scores.unwrap_or_default(),
    };
    drop(session);
    if scores.is_some() {
        return Ok(trial);
    }
    if compile::drop_softmax(&mut model) {
        let onnx = model.encode_to_vec();
        let (_, logits) = try_out(&onnx, size)?;
        // It may be over a part of the classes.
        let same = |(logits, scores): (&Vec<f32>, &Vec<f32>)| {
            softmax(logits).is_some_and(|softmax| {
                let mut pairs = softmax.iter().zip(scores);
                pairs.all(|(a, b)| (a - b).abs() <= TOLERANCE)
            })
        };
        if logits.iter().zip(&outputs).all(same) {
            trial.onnx = onnx;
            return Ok(trial);
        }
    }
    let mut values = outputs.iter().flatten();
    if values.all(|value| (0.0..=1.0).contains(value)) {
        trial.scores = Scores::Probabilities;
    }
    Ok(trial)
}

/// The network's output for a grey picture and for patterns.
fn try_out(onnx: &[u8], size: Option<Size>) -> Result<(Session, Vec<Vec<f32>>)> {
    let graph = compile::load(onnx, size.map(Size::height_and_width))?;
    let mut session = Session::new(graph, Threads::new(1).expect("one is allowed"))?;
    let len = session.input_len();
    let pattern = |step: usize| {
        (0..len)
            .map(|i| (i * step % 251) as f32 / 62.5 - 2.0)
            .collect()
    };
    let pictures: [Vec<f32>; 3] = [vec![0.0; len], pattern(7), pattern(100)];
    let mut outputs = Vec::new();
    for picture in pictures {
        let output = session.run(&picture)?;
        if output.iter().any(|value| !value.is_finite()) {
            bail!(
                "its output is not a number for a grey picture or a pattern; the weights are damaged"
            );
        }
        outputs.push(output);
    }
    Ok((session, outputs))
}
