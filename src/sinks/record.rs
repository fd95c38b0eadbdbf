//! One result.

use std::time::Duration;

use serde::Serialize;

/// The classification of one frame.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    /// When the result was made, RFC 3339 in UTC.
    pub ts: jiff::Timestamp,
    pub source: String,
    pub frame: u64,
    pub model: String,
    pub latency_ms: Latency,
    /// Best first.
    pub top: Vec<Prediction>,
}

/// Milliseconds spent on one frame. `total` is from taking the frame to having the result.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    pub decode: f64,
    pub preprocess: f64,
    pub inference: f64,
    pub total: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    pub index: usize,
    pub label: String,
    /// Softmax probability.
    pub score: f32,
}

/// Milliseconds, to the microsecond.
pub fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
pub(super) fn example() -> Record {
    Record {
        ts: "2026-11-24T05:06:07.891Z".parse().unwrap(),
        source: "a \"b\".jpg".to_owned(),
        frame: 3,
        model: "tiny".to_owned(),
        latency_ms: Latency {
            decode: 1.5,
            preprocess: 0.25,
            inference: 10.125,
            total: 11.9,
        },
        top: vec![
            Prediction {
                index: 388,
                label: "giant panda".to_owned(),
                score: 0.875,
            },
            Prediction {
                index: 0,
                label: "tench".to_owned(),
                score: 0.0625,
            },
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_keep_microseconds() {
        assert_eq!(milliseconds(Duration::from_nanos(1_234_567)), 1.235);
        assert_eq!(milliseconds(Duration::ZERO), 0.0);
    }
}
