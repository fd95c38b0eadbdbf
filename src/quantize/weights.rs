//! Weights as levels: symmetric, with a scale for each output channel.

use crate::engine::net::{Kind, Weights};

/// Rows of levels from -127 to 127, one for each output channel, with a scale for each row. The zero point is 0.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightLevels {
    pub levels: Vec<i8>,
    pub scales: Vec<f32>,
}

/// The largest level: there is no -128, so that no product of levels is beyond what two of them add up to in 16 bits.
pub const MOST: f32 = 127.0;

/// Of rows that are all zero.
const LEAST_SCALE: f32 = 1e-12;

impl WeightLevels {
    /// The nearest levels to `values`. Each row's scale is that of its largest value; or, if there are `importances`, of
    /// the columns of each row, a smaller one if that makes the weighted square of errors less. None is less than the one
    /// of `least` for its row.
    pub fn nearest(
        values: &[f32],
        least: &[f32],
        importances: Option<&dyn Fn(usize, usize) -> f32>,
    ) -> WeightLevels {
        let len = values.len() / least.len();
        let scales: Vec<f32> = values
            .chunks_exact(len)
            .zip(least)
            .enumerate()
            .map(|(row, (values, least))| {
                let largest = values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
                let whole = (largest / MOST).max(LEAST_SCALE);
                if whole <= *least {
                    return *least;
                }
                match importances {
                    None => whole,
                    Some(importances) => {
                        let importances = |column| importances(row, column);
                        smaller(values, whole, &importances).max(*least)
                    }
                }
            })
            .collect();
        let rows = values.chunks_exact(len).zip(&scales);
        let levels = rows.flat_map(|(row, scale)| row.iter().map(|value| level(*value, *scale)));
        WeightLevels {
            levels: levels.collect(),
            scales,
        }
    }

    /// The levels that `values` stand for exactly, in rows of which each is a scale's multiples, as somebody else's
    /// quantizer has left them; and how many rows are not, and have the nearest levels. No scale is less than the one of
    /// `least` for its row: such rows have the nearest levels as well, but only next to a bias that hardly tells them from
    /// zeros.
    pub fn recovered(values: &[f32], least: &[f32]) -> (WeightLevels, usize) {
        let len = values.len() / least.len();
        let (mut levels, mut scales, mut inexact) = (Vec::with_capacity(values.len()), vec![], 0);
        for (row, least) in values.chunks_exact(len).zip(least) {
            let common = common_scale(row);
            if let Some(scale) = common.filter(|scale| scale >= least) {
                levels.extend(row.iter().map(|value| level(*value, scale)));
                scales.push(scale);
            } else {
                let nearest = WeightLevels::nearest(row, &[*least], None);
                levels.extend(nearest.levels);
                scales.extend(nearest.scales);
                inexact += usize::from(common.is_none() && row.iter().any(|value| *value != 0.0));
            }
        }
        (WeightLevels { levels, scales }, inexact)
    }

    /// What the levels stand for.
    pub fn values(&self) -> Vec<f32> {
        let len = self.levels.len() / self.scales.len();
        let rows = self.levels.chunks_exact(len).zip(&self.scales);
        rows.flat_map(|(row, scale)| row.iter().map(move |level| f32::from(*level) * scale))
            .collect()
    }
}

/// The nearest level.
pub fn level(value: f32, scale: f32) -> i8 {
    (value / scale).round_ties_even().clamp(-MOST, MOST) as i8
}

/// The largest scale of which all values are multiples, up to [`MOST`] times.
fn common_scale(values: &[f32]) -> Option<f32> {
    /// Of a level. Rounding is a hundredth of it, and what two levels could differ from a multiple by is several times as
    /// much.
    const NEAR: f32 = 1e-3;
    let largest = values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return None;
    }
    let mut scales = (1..=MOST as usize).map(|most| largest / most as f32);
    scales.find(|scale| {
        let mut multiples = values.iter().map(|value| value / scale);
        multiples.all(|multiple| (multiple - multiple.round_ties_even()).abs() <= NEAR)
    })
}

/// The scale with the least weighted square of errors, from `whole` down to a half of it.
fn smaller(values: &[f32], whole: f32, importances: &dyn Fn(usize) -> f32) -> f32 {
    const STEPS: usize = 50;
    let error = |scale: f32| {
        let errors = values.iter().enumerate().map(|(column, value)| {
            let error = f64::from(f32::from(level(*value, scale)) * scale - value);
            error * error * f64::from(importances(column))
        });
        errors.sum::<f64>()
    };
    let (mut best, mut least) = (whole, error(whole));
    for step in 1..=STEPS {
        let scale = whole * (1.0 - 0.5 * step as f32 / STEPS as f32);
        let found = error(scale);
        if found < least {
            (best, least) = (scale, found);
        }
    }
    best
}

/// Weights and biases of a layer, if it has rows of weights.
pub fn parameters(kind: &Kind) -> Option<(&Weights, &Weights)> {
    match kind {
        Kind::Pointwise { weights, bias, .. }
        | Kind::Convolution { weights, bias, .. }
        | Kind::Depthwise { weights, bias, .. } => Some((weights, bias)),
        _ => None,
    }
}

/// As [`parameters`], to be replaced.
pub fn parameters_mut(kind: &mut Kind) -> Option<(&mut Weights, &mut Weights)> {
    match kind {
        Kind::Pointwise { weights, bias, .. }
        | Kind::Convolution { weights, bias, .. }
        | Kind::Depthwise { weights, bias, .. } => Some((weights, bias)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_of_levels_are_found_again_unless_their_bias_hides_them() {
        let values = [
            0.5, -1.5, 3.5, 0.7, 0.3337, -0.1234, 0.0, 0.0, 0.0, 2e-9, 0.0, -4e-9,
        ];
        let (found, inexact) = WeightLevels::recovered(&values, &[0.0, 0.0, 0.25, 1e-7]);
        assert_eq!(found.scales, [0.5, 0.7 / 127.0, 0.25, 1e-7]);
        assert_eq!(found.levels, [1, -3, 7, 127, 61, -22, 0, 0, 0, 0, 0, 0]);
        assert_eq!(inexact, 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_level_is_further_than_half_a_step(
            values in prop::collection::vec(-100f32..100.0, 12),
            rows in prop::sample::select(vec![1usize, 2, 3, 4, 6, 12]),
        ) {
            let found = WeightLevels::nearest(&values, &vec![0.0; rows], None);
            let len = values.len() / rows;
            for (at, (value, near)) in values.iter().zip(found.values()).enumerate() {
                let scale = found.scales[at / len];
                prop_assert!((value - near).abs() <= 0.5001 * scale, "{} for {}", near, value);
            }
            let error = |found: &WeightLevels| -> f64 {
                let pairs = values.iter().zip(found.values());
                pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum()
            };
            let better = WeightLevels::nearest(&values, &vec![0.0; rows], Some(&|_, _| 1.0));
            prop_assert!(error(&better) <= error(&found));
        }
    }
}
