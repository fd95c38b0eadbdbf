//! Frame after frame until the source ends, a limit is reached, or a signal comes.

use std::io;
use std::time::{Duration, Instant};

use image::RgbImage;
use thiserror::Error;

use super::{Classifier, ClassifyError, LatencyStats, Stop};
use crate::camera::{Dropped, Frame, FrameError, Source};
use crate::sinks::{Latency, Record, Sink, milliseconds};

/// When to stop, and how fast to go.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    /// Stop after this many results.
    pub frames: Option<u64>,
    /// At most this many results a second.
    pub fps: Option<f64>,
}

/// What a run came to.
#[derive(Default)]
pub struct Outcome {
    pub classified: u64,
    /// Frames that could not be decoded or classified.
    pub failed: u64,
    pub dropped: Dropped,
    pub latency: LatencyStats,
}

/// What ends a run before its source does.
#[derive(Debug, Error)]
pub enum RunError {
    #[error("cannot write the result")]
    Sink(#[source] io::Error),
    #[error("the model gave no result for {frames} frames in a row: {last}")]
    Model { frames: u32, last: ClassifyError },
}

/// A model that fails this often in a row, whatever it is shown, will not recover.
const MAX_MODEL_FAILURES: u32 = 30;

#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Model(#[from] ClassifyError),
}

/// Runs the pipeline.
pub fn run(
    source: &mut dyn Source,
    classifier: &mut Classifier,
    sink: &mut dyn Sink,
    limits: Limits,
    stop: &Stop,
) -> (Outcome, Result<(), RunError>) {
    let mut outcome = Outcome::default();
    let mut picture = RgbImage::default();
    let mut pace = Pace::new(limits.fps);
    let should_stop = || stop.requested();
    let mut result = Ok(());
    let mut model_failures = 0;
    let mut log = FailureLog::default();
    while limits.frames.is_none_or(|limit| outcome.classified < limit) {
        if !pace.wait(stop) {
            break;
        }
        let Some(frame) = source.next(&should_stop) else {
            break;
        };
        match classify(&frame, &mut picture, classifier) {
            Ok((record, total)) => {
                outcome.classified += 1;
                outcome.latency.record(total);
                model_failures = 0;
                log.cleared();
                result = sink.emit(&record).map_err(RunError::Sink);
            }
            Err(failure) => {
                outcome.failed += 1;
                log.report(&frame.source, &failure);
                if let Failure::Model(last) = failure {
                    model_failures += 1;
                    if model_failures == MAX_MODEL_FAILURES {
                        let frames = model_failures;
                        result = Err(RunError::Model { frames, last });
                    }
                }
            }
        }
        if result.is_err() {
            break;
        }
    }
    outcome.dropped = source.dropped();
    (outcome, result)
}

fn classify(
    frame: &Frame,
    picture: &mut RgbImage,
    classifier: &mut Classifier,
) -> Result<(Record, Duration), Failure> {
    let start = Instant::now();
    frame.decode(picture)?;
    let decode = start.elapsed();
    let found = classifier.classify(picture)?;
    let total = start.elapsed();
    let record = Record {
        ts: jiff::Timestamp::now(),
        source: frame.source.clone(),
        frame: frame.number,
        model: classifier.name().to_owned(),
        latency_ms: Latency {
            decode: milliseconds(decode),
            preprocess: milliseconds(found.preprocess),
            inference: milliseconds(found.inference),
            total: milliseconds(total),
        },
        top: found.top,
    };
    Ok((record, total))
}

/// Reports failures; a camera that gives the same one thirty times a second is reported once.
#[derive(Default)]
struct FailureLog {
    last: String,
}

impl FailureLog {
    fn report(&mut self, source: &str, failure: &Failure) {
        let text = format!("{source}: {failure}; skipped");
        if text != self.last {
            log::error!("{text}");
            self.last = text;
        }
    }

    fn cleared(&mut self) {
        self.last.clear();
    }
}

/// Keeps a rate from being exceeded.
struct Pace {
    interval: Option<Duration>,
    next: Instant,
}

impl Pace {
    fn new(fps: Option<f64>) -> Self {
        Pace {
            interval: fps.map(|fps| Duration::from_secs_f64(1.0 / fps)),
            next: Instant::now(),
        }
    }

    /// Waits until the next frame is due; false if asked to stop meanwhile.
    fn wait(&mut self, stop: &Stop) -> bool {
        const SLICE: Duration = Duration::from_millis(50);
        let Some(interval) = self.interval else {
            return !stop.requested();
        };
        loop {
            let now = Instant::now();
            if stop.requested() {
                return false;
            }
            if now >= self.next {
                // On time, the rate holds on average; a late frame does not entitle to a burst.
                let late = now - self.next >= interval;
                self.next = if late { now } else { self.next } + interval;
                return true;
            }
            std::thread::sleep((self.next - now).min(SLICE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_spaces_frames_and_stops() {
        let stop = Stop::default();
        let start = Instant::now();
        let mut pace = Pace::new(Some(100.0));
        for _ in 0..4 {
            assert!(pace.wait(&stop));
        }
        assert!(start.elapsed() >= Duration::from_millis(30));
        // After a pause, too, one interval lies between a frame and the next.
        std::thread::sleep(Duration::from_millis(50));
        assert!(pace.wait(&stop));
        let late = Instant::now();
        assert!(pace.wait(&stop));
        assert!(late.elapsed() >= Duration::from_millis(9));
        stop.request();
        assert!(!Pace::new(Some(0.001)).wait(&stop));
        assert!(!Pace::new(None).wait(&stop));
    }
}
