//! Frame after frame until the source ends, a limit is reached, or a signal comes.

use std::io;
use std::time::{Duration, Instant};

use image::RgbImage;

use super::{Classifier, ClassifyError, LatencyStats, Stop};
use crate::camera::{Dropped, Frame, Source};
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

/// Runs the pipeline. A sink that cannot be written to any more ends it with the error.
pub fn run(
    source: &mut dyn Source,
    classifier: &mut Classifier,
    sink: &mut dyn Sink,
    limits: Limits,
    stop: &Stop,
) -> (Outcome, io::Result<()>) {
    let mut outcome = Outcome::default();
    let mut picture = RgbImage::default();
    let mut pace = Pace::new(limits.fps);
    let should_stop = || stop.requested();
    let mut result = Ok(());
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
                result = sink.emit(&record);
                if result.is_err() {
                    break;
                }
            }
            Err(message) => {
                outcome.failed += 1;
                log::error!("{}: {message}; skipped", frame.source);
            }
        }
    }
    outcome.dropped = source.dropped();
    (outcome, result)
}

fn classify(
    frame: &Frame,
    picture: &mut RgbImage,
    classifier: &mut Classifier,
) -> Result<(Record, Duration), String> {
    let start = Instant::now();
    frame.decode(picture).map_err(|e| e.to_string())?;
    let decode = start.elapsed();
    let found = classifier
        .classify(picture)
        .map_err(|e: ClassifyError| e.to_string())?;
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
                // A late frame does not entitle to a burst afterwards.
                self.next = (self.next + interval).max(now);
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
        stop.request();
        assert!(!Pace::new(Some(0.001)).wait(&stop));
        assert!(!Pace::new(None).wait(&stop));
    }
}
