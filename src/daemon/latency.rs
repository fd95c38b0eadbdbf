//! Distribution of the time a frame takes.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Times of all frames so far, to three digits, in constant memory.
pub struct LatencyStats(Histogram<u32>);

impl Default for LatencyStats {
    fn default() -> Self {
        let hour = Duration::from_secs(3600).as_micros() as u64;
        LatencyStats(Histogram::new_with_max(hour, 3).expect("the bounds are valid"))
    }
}

impl LatencyStats {
    pub fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(micros.max(1));
    }

    /// Milliseconds that `percent` of the frames stayed below; `None` before the first frame.
    pub fn percentile_ms(&self, percent: f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.value_at_percentile(percent) as f64 / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let mut stats = LatencyStats::default();
        assert_eq!(stats.percentile_ms(50.0), None);
        for ms in 1..=100 {
            stats.record(Duration::from_millis(ms));
        }
        stats.record(Duration::MAX);
        let near = |percent, expected: f64| {
            let got = stats.percentile_ms(percent).unwrap();
            assert!((got / expected - 1.0).abs() < 0.02, "{percent}: {got}");
        };
        near(50.0, 51.0);
        near(95.0, 96.0);
    }
}
