//! Which levels weights are rounded to, so that a layer's output changes least.
//!
//! With second moments H of what the weights are multiplied with, an error e of a row of weights makes a mean square error
//! of eᵀHe. One weight after another is moved to the level where that is least, until none moves (cyclic coordinate descent:
//! Behdin et al. 2023, arXiv:2309.01885).

use super::moments::Moments;
use super::weights::{MOST, WeightLevels};

/// Levels that a weight may be from its nearest one.
const FURTHER: f32 = 2.0;

/// Moves `levels` for `values`, with so many threads. `about_means`: whether the bias makes up for a change of the mean.
/// `sweeps`: times that all weights of a row are looked at, at most.
pub fn round(
    levels: &mut WeightLevels,
    values: &[f32],
    moments: &Moments,
    about_means: bool,
    sweeps: usize,
    threads: usize,
) {
    let len = moments.row_len();
    let rows = levels.scales.len();
    let of_all = match moments.is_by_channel() {
        true => None,
        false => match moments.second(0, about_means) {
            Some(matrix) => Some(matrix),
            None => return,
        },
    };
    let each = rows.div_ceil(threads.max(1));
    let scales = levels.scales.chunks(each);
    let levels = levels.levels.chunks_mut(each * len);
    let parts = levels.zip(values.chunks(each * len)).zip(scales);
    std::thread::scope(|scope| {
        for (part, ((levels, values), scales)) in parts.enumerate() {
            let of_all = of_all.as_deref();
            scope.spawn(move || {
                let rows = levels.chunks_mut(len).zip(values.chunks(len));
                for (row, ((levels, values), scale)) in rows.zip(scales).enumerate() {
                    let own = match of_all {
                        Some(_) => None,
                        None => moments.second(part * each + row, about_means),
                    };
                    if let Some(moments) = own.as_deref().or(of_all) {
                        descend(levels, values, *scale, moments, sweeps);
                    }
                }
            });
        }
    });
}

/// Of one row.
fn descend(levels: &mut [i8], values: &[f32], scale: f32, moments: &[f32], sweeps: usize) {
    let len = levels.len();
    let pairs = levels.iter().zip(values);
    let errors: Vec<f32> = pairs
        .map(|(level, value)| f32::from(*level) * scale - value)
        .collect();
    // Half the gradient of eᵀHe.
    let mut slopes = vec![0.0f32; len];
    for (error, row) in errors.iter().zip(moments.chunks_exact(len)) {
        add(&mut slopes, *error, row);
    }
    for _ in 0..sweeps {
        let mut moved = false;
        for at in 0..len {
            let row = &moments[at * len..][..len];
            let curve = row[at];
            if curve <= 0.0 {
                continue;
            }
            let level = f32::from(levels[at]);
            let best = (level - slopes[at] / (curve * scale)).round_ties_even();
            // Where inputs were hardly seen, there is no telling what further levels do.
            let nearest = (values[at] / scale).round_ties_even();
            let best = best.clamp(nearest - FURTHER, nearest + FURTHER);
            let best = best.clamp(-MOST, MOST);
            // Half a step further makes no difference.
            if best == level {
                continue;
            }
            levels[at] = best as i8;
            add(&mut slopes, (best - level) * scale, row);
            moved = true;
        }
        if !moved {
            break;
        }
    }
}

/// Adds a multiple of `row`.
fn add(to: &mut [f32], factor: f32, row: &[f32]) {
    for (to, value) in to.iter_mut().zip(row) {
        *to += factor * value;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of random vectors, with what they have in common.
    fn moments(vectors: &[f32], len: usize) -> Vec<f32> {
        let mut moments = vec![0.0; len * len];
        for vector in vectors.chunks_exact(len) {
            for row in 0..len {
                for column in 0..len {
                    moments[row * len + column] += vector[row] * vector[column];
                }
            }
        }
        moments
    }

    fn error(levels: &[i8], values: &[f32], scale: f32, vectors: &[f32]) -> f64 {
        let errors: Vec<f32> = levels
            .iter()
            .zip(values)
            .map(|(level, value)| f32::from(*level) * scale - value)
            .collect();
        let vectors = vectors.chunks_exact(values.len());
        vectors
            .map(|vector| {
                let sum: f32 = vector.iter().zip(&errors).map(|(a, b)| a * b).sum();
                f64::from(sum).powi(2)
            })
            .sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn outputs_change_no_more_than_by_the_nearest_levels(
            values in prop::collection::vec(-1f32..1.0, 6),
            vectors in prop::collection::vec(0f32..1.0, 6 * 20),
        ) {
            let nearest = WeightLevels::nearest(&values, &[0.0], None);
            let scale = nearest.scales[0];
            let mut levels = nearest.levels.clone();
            descend(&mut levels, &values, scale, &moments(&vectors, 6), 20);
            let [before, after] =
                [&nearest.levels, &levels].map(|levels| error(levels, &values, scale, &vectors));
            prop_assert!(after <= before * 1.001 + 1e-9, "{} before, {} after", before, after);
        }
    }
}
