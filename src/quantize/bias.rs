//! Biases that make up for what rounding changes in the mean of each output channel (Nagel et al. 2019, arXiv:1906.04721).

use super::moments::Moments;

/// The biases for rounded weights, which are multiplied with what has these moments.
pub fn correct(bias: &[f32], weights: &[f32], rounded: &[f32], moments: &Moments) -> Vec<f32> {
    let means = moments.means();
    let len = moments.row_len();
    let rows = weights.chunks_exact(len).zip(rounded.chunks_exact(len));
    bias.iter()
        .zip(rows)
        .enumerate()
        .map(|(channel, (bias, (weights, rounded)))| {
            let first = if moments.is_by_channel() {
                channel * len
            } else {
                0
            };
            let rows = weights.iter().zip(rounded).zip(&means[first..]);
            let lost: f64 = rows
                .map(|((weight, rounded), mean)| f64::from(weight - rounded) * mean)
                .sum();
            (f64::from(*bias) + lost) as f32
        })
        .collect()
}
