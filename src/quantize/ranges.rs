//! From the values that were seen to the levels that stand for them.

use std::fmt;

use edge_classify_int8::Quantization;

use super::histogram::Histogram;

/// How the range of a value's levels is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// All that was seen.
    MinMax,
    /// All but this part on each side.
    Percentile(f64),
    /// The range with the least mean square of errors.
    Mse,
    /// The range whose levels are spread most like the values, by their relative entropy (Migacz, 8-bit inference with
    /// TensorRT, 2017).
    Entropy,
}

impl Method {
    /// Those that can be tried.
    pub const ALL: [Method; 8] = [
        Method::MinMax,
        Method::Percentile(1e-5),
        Method::Percentile(1e-4),
        Method::Percentile(1e-3),
        Method::Percentile(3e-3),
        Method::Percentile(1e-2),
        Method::Mse,
        Method::Entropy,
    ];

    /// `low` and `high` are the least and the largest value of the histogram, and 0 is between them.
    pub fn quantization(self, histogram: &Histogram, low: f32, high: f32) -> Quantization {
        let (low, high) = (f64::from(low), f64::from(high));
        match self {
            Method::MinMax => quantization(low, high),
            Method::Percentile(beyond) => {
                let (within_low, within_high) = histogram.percentile(beyond);
                quantization(within_low.max(low), within_high.min(high))
            }
            Method::Mse => least(low, high, |quantization| {
                squared_error(histogram, quantization)
            }),
            Method::Entropy => least(low, high, |quantization| {
                relative_entropy(histogram, quantization)
            }),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Method::MinMax => f.write_str("min/max"),
            Method::Percentile(beyond) => {
                let within = format!("{:.4}", 100.0 * (1.0 - beyond));
                write!(
                    f,
                    "{}th percentile",
                    within.trim_end_matches('0').trim_end_matches('.')
                )
            }
            Method::Mse => f.write_str("mean square"),
            Method::Entropy => f.write_str("entropy"),
        }
    }
}

/// Levels that reach from `low` to `high`, with 0 exactly one of them. Without negative values, that is the lowest.
pub fn quantization(low: f64, high: f64) -> Quantization {
    /// Less is as good as nothing, and far from what other values can be scaled to.
    const LEAST: f64 = 1e-7;
    const STEPS: f64 = 255.0;
    let (low, high) = (low.min(0.0), high.max(0.0));
    if high - low < LEAST {
        // Nothing has been seen: any levels will do.
        return Quantization {
            scale: 1.0,
            zero_point: i8::MIN,
        };
    }
    let step = ((high - low) / STEPS).max(LEAST);
    let below = (-low / step).round_ties_even().clamp(0.0, STEPS);
    // As 0 moves to a level, one of the bounds would be outside.
    let reach = |bound: f64, steps: f64| if steps > 0.0 { bound / steps } else { 0.0 };
    let scale = reach(-low, below).max(reach(high, STEPS - below));
    Quantization {
        scale: scale.max(LEAST) as f32,
        zero_point: (f64::from(i8::MIN) + below) as i8,
    }
}

/// The range within `low` and `high` whose levels have the least error, searched for on each side.
fn least(low: f64, high: f64, error: impl Fn(Quantization) -> f64) -> Quantization {
    const STEPS: usize = 40;
    const LEAST: f64 = 0.2;
    let parts = |bound: f64| {
        let steps = if bound == 0.0 { 0 } else { STEPS };
        (0..=steps)
            .map(move |step| bound * (1.0 - (1.0 - LEAST) * step as f64 / steps.max(1) as f64))
    };
    let mut best = quantization(low, high);
    let mut least = error(best);
    for low in parts(low) {
        for high in parts(high) {
            let candidate = quantization(low, high);
            let found = error(candidate);
            if found < least {
                (best, least) = (candidate, found);
            }
        }
    }
    best
}

/// Mean square of what rounding to levels changes. Between two levels, values are taken to be spread evenly.
pub fn squared_error(histogram: &Histogram, quantization: Quantization) -> f64 {
    let Quantization { scale, zero_point } = quantization;
    let scale = f64::from(scale);
    let bound = |level: i8| scale * (f64::from(level) - f64::from(zero_point));
    let (low, high) = (bound(i8::MIN), bound(i8::MAX));
    let error = |value: f64| {
        let beyond = (value - high).max(low - value).max(0.0);
        if beyond > 0.0 {
            beyond * beyond
        } else if value.abs() < scale / 2.0 {
            value * value
        } else {
            scale * scale / 12.0
        }
    };
    let sum: f64 = histogram
        .bins()
        .map(|(middle, count)| error(middle) * count as f64)
        .sum();
    sum / histogram.count().max(1) as f64
}

/// Relative entropy (Kullback and Leibler's) of the values to levels that are spread evenly over the bins they stand for.
fn relative_entropy(histogram: &Histogram, quantization: Quantization) -> f64 {
    let level = |middle: f64| usize::from((quantization.level(middle as f32) as u8) ^ 0x80);
    // Of each level: values, bins, and those of values that it is nearest to without being at the end for them.
    let mut values = [0.0; 256];
    let mut bins = [0.0; 256];
    let reach = f64::from(quantization.scale) / 2.0;
    let near = |middle: f64| {
        let stands_for = f64::from(quantization.value(quantization.level(middle as f32)));
        (middle - stands_for).abs() <= reach
    };
    for (middle, count) in histogram.bins().filter(|(middle, _)| near(*middle)) {
        values[level(middle)] += count as f64;
        bins[level(middle)] += 1.0;
    }
    let total = (histogram.count() - histogram.zeros()).max(1) as f64;
    let inside: f64 = values.iter().sum::<f64>().max(1.0);
    let mut entropy = 0.0;
    let mut outside = [0.0; 256];
    for (middle, count) in histogram.bins().filter(|(middle, _)| !near(*middle)) {
        outside[level(middle)] += count as f64;
    }
    for (middle, count) in histogram.bins().filter(|(middle, _)| near(*middle)) {
        let level = level(middle);
        // What is beyond the end is counted with its last bins.
        let part = (count as f64 + outside[level] / bins[level]) / total;
        let even = values[level] / bins[level] / inside;
        entropy += part * (part / even).ln();
    }
    // Beyond an end whose level has no bins of its own, any value at all is unlikely.
    let lost = (0..256).filter(|level| bins[*level] == 0.0 && outside[*level] > 0.0);
    for level in lost {
        let part = outside[level] / total;
        entropy += part * (part * inside).ln();
    }
    entropy
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn methods_have_names_without_noise() {
        let names = Method::ALL.map(|method| method.to_string());
        let percentiles: Vec<&str> = names
            .iter()
            .filter_map(|name| name.strip_suffix("th percentile"))
            .collect();
        assert_eq!(percentiles, ["99.999", "99.99", "99.9", "99.7", "99"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn levels_reach_as_far_as_the_range(low in -1e3f64..0.0, high in 0.0f64..1e3) {
            let quantization = quantization(low, high);
            prop_assert_eq!(quantization.value(quantization.zero_point), 0.0);
            let [lowest, highest] = [i8::MIN, i8::MAX].map(|level| f64::from(quantization.value(level)));
            let slack = 1e-6 * (high - low);
            // Beside one that is more than a hundred times as large, a bound may be no level.
            let tiny = f64::from(quantization.scale) / 2.0 + slack;
            let slack_at = |bound| if quantization.zero_point == bound { tiny } else { slack };
            prop_assert!(lowest <= low + slack_at(i8::MIN));
            prop_assert!(highest >= high - slack_at(i8::MAX));
        }
    }

    #[test]
    fn an_outlier_is_cut_off_where_that_makes_squares_less() {
        let mut values: Vec<f32> = (-500_000..500_000).map(|at| at as f32 / 5e5).collect();
        values.push(3.0);
        let mut histogram = Histogram::default();
        histogram.add(&values);
        let [whole, least] = [Method::MinMax, Method::Mse].map(|method| {
            let quantization = method.quantization(&histogram, -1.0, 3.0);
            let errors = values.iter().map(|value| {
                let level = quantization.value(quantization.level(*value));
                f64::from(value - level).powi(2)
            });
            let found = errors.sum::<f64>() / values.len() as f64;
            let told = squared_error(&histogram, quantization);
            assert!((told / found - 1.0).abs() < 0.1, "{told} for {found}");
            found
        });
        assert!(
            least < 0.6 * whole,
            "{least}, and {whole} of the whole range"
        );
    }

    #[test]
    fn what_is_not_negative_has_all_levels_above_zero() {
        assert_eq!(quantization(0.0, 6.0).zero_point, -128);
        assert_eq!(quantization(-0.001, 6.0).zero_point, -128);
        assert_eq!(quantization(-6.0, 0.0).zero_point, 127);
        assert_eq!(quantization(0.0, 0.0).zero_point, -128);
    }
}
