//! Repetitions and the distribution of what they took.

use std::time::{Duration, Instant};

use serde::Serialize;

/// Milliseconds that the share of the inferences took at most (nearest rank).
#[derive(Debug, Serialize)]
pub struct Times {
    pub runs: usize,
    pub min_ms: f64,
    pub median_ms: f64,
    pub mean_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

impl Times {
    /// # Panics
    /// If there are none.
    pub fn of(durations: Vec<Duration>) -> Times {
        let mut ms: Vec<f64> = durations.iter().map(|d| d.as_secs_f64() * 1e3).collect();
        ms.sort_unstable_by(f64::total_cmp);
        let rank = |share: f64| {
            let rank = (share * ms.len() as f64).ceil() as usize;
            ms[rank.clamp(1, ms.len()) - 1]
        };
        Times {
            runs: ms.len(),
            min_ms: rank(0.0),
            median_ms: rank(0.5),
            mean_ms: ms.iter().sum::<f64>() / ms.len() as f64,
            p90_ms: rank(0.9),
            p99_ms: rank(0.99),
            max_ms: rank(1.0),
        }
    }
}

/// Runs it `count` times.
pub fn repeat<E>(
    count: usize,
    run: &mut impl FnMut() -> Result<(), E>,
) -> Result<Vec<Duration>, E> {
    (0..count).map(|_| timed(run)).collect()
}

/// Runs it until `time` is over, at least `least` times.
pub fn repeat_for<E>(
    time: Duration,
    least: usize,
    run: &mut impl FnMut() -> Result<(), E>,
) -> Result<Vec<Duration>, E> {
    let start = Instant::now();
    let mut durations = Vec::new();
    while durations.len() < least || start.elapsed() < time {
        durations.push(timed(run)?);
    }
    Ok(durations)
}

fn timed<E>(run: &mut impl FnMut() -> Result<(), E>) -> Result<Duration, E> {
    let start = Instant::now();
    run()?;
    Ok(start.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_the_sorted_times() {
        let times = Times::of((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!(times.runs, 200);
        let ranks = [
            times.min_ms,
            times.median_ms,
            times.p90_ms,
            times.p99_ms,
            times.max_ms,
        ];
        for (found, expected) in ranks.iter().zip([1.0, 100.0, 180.0, 198.0, 200.0]) {
            assert!((found - expected).abs() < 1e-9, "{ranks:?}");
        }
        assert!((times.mean_ms - 100.5).abs() < 1e-9);
        let one = Times::of(vec![Duration::from_millis(3)]);
        assert_eq!((one.min_ms, one.p99_ms), (3.0, 3.0));
    }

    #[test]
    fn repetitions_are_counted_and_errors_end_them() {
        let mut runs = 0;
        let mut run = || {
            runs += 1;
            if runs > 7 { Err(()) } else { Ok(()) }
        };
        assert_eq!(repeat(3, &mut run).unwrap().len(), 3);
        assert_eq!(repeat_for(Duration::ZERO, 4, &mut run).unwrap().len(), 4);
        assert!(repeat(1, &mut run).is_err());
    }
}
