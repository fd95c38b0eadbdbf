//! How far a measured precision can be from the true one.

use serde::Serialize;

/// A count of successes and what it says of their probability, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Proportion {
    pub right: usize,
    pub percent: f64,
    /// 95% confidence interval.
    pub low: f64,
    pub high: f64,
}

impl Proportion {
    pub fn new(right: usize, total: usize) -> Self {
        let (low, high) = wilson(right, total);
        let percent = |part: f64| 100.0 * part;
        Proportion {
            right,
            percent: percent(right as f64 / total.max(1) as f64),
            low: percent(low),
            high: percent(high),
        }
    }
}

/// The 95% score interval of a binomial proportion (Wilson 1927, "Probable inference, the law of succession, and
/// statistical inference"), which holds also near 0 and 1 and for few trials.
pub fn wilson(successes: usize, trials: usize) -> (f64, f64) {
    /// 97.5% quantile of the normal distribution.
    const Z: f64 = 1.959_963_984_540_054;
    if trials == 0 {
        return (0.0, 1.0);
    }
    let n = trials as f64;
    let p = successes as f64 / n;
    let denominator = 1.0 + Z * Z / n;
    let centre = (p + Z * Z / (2.0 * n)) / denominator;
    let half = Z / denominator * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
    #[test]
    fn equals_published_values() {
        for (successes, trials, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let found = wilson(successes, trials);
            assert!(
                (found.0 - low).abs() < 5e-5,
                "{successes}/{trials}: {found:?}"
            );
            assert!(
                (found.1 - high).abs() < 5e-5,
                "{successes}/{trials}: {found:?}"
            );
        }
        assert_eq!(wilson(0, 0), (0.0, 1.0));
        assert_eq!(wilson(20, 20).1, 1.0);
    }
}
