//! The float tensors of an exported model, and batch normalisation folded into them.

use crate::zoo::{TensorSpec, Weights, WeightsError};

/// A tensor of the exported model.
pub(super) struct Parameter {
    pub name: String,
    pub shape: Vec<usize>,
    source: Source,
}

/// How the values follow from the weights.
enum Source {
    Weight(TensorSpec),
    FoldedWeight {
        weight: TensorSpec,
        norm: Norm,
    },
    FoldedBias {
        bias: Option<TensorSpec>,
        norm: Norm,
    },
}

/// The batch normalisation of some channels: `first..first + n` of all.
#[derive(Clone)]
pub(super) struct Norm {
    pub name: String,
    pub eps: f64,
    /// Channels of the whole normalisation.
    pub channels: usize,
    pub first: usize,
}

impl Parameter {
    pub fn weight(tensor: TensorSpec) -> Self {
        Parameter {
            name: tensor.name.clone(),
            shape: tensor.shape.clone(),
            source: Source::Weight(tensor),
        }
    }

    pub fn folded_weight(weight: TensorSpec, norm: Norm) -> Self {
        Parameter {
            name: weight.name.clone(),
            shape: weight.shape.clone(),
            source: Source::FoldedWeight { weight, norm },
        }
    }

    pub fn folded_bias(name: String, outputs: usize, bias: Option<TensorSpec>, norm: Norm) -> Self {
        Parameter {
            name,
            shape: vec![outputs],
            source: Source::FoldedBias { bias, norm },
        }
    }

    pub fn values(&self, weights: &Weights) -> Result<Vec<f32>, WeightsError> {
        match &self.source {
            Source::Weight(tensor) => weights.read(tensor),
            Source::FoldedWeight { weight, norm } => {
                let mut values = weights.read(weight)?;
                let outputs = self.shape[0];
                let scale_shift = norm.scale_shift(weights, outputs)?;
                let per_output = values.len() / outputs;
                for (values, (scale, _)) in values.chunks_exact_mut(per_output).zip(scale_shift) {
                    for value in values {
                        *value = (f64::from(*value) * scale) as f32;
                    }
                }
                Ok(values)
            }
            Source::FoldedBias { bias, norm } => {
                let outputs = self.shape[0];
                let bias = match bias {
                    Some(bias) => weights.read(bias)?,
                    None => vec![0.0; outputs],
                };
                let scale_shift = norm.scale_shift(weights, outputs)?;
                Ok(bias
                    .iter()
                    .zip(scale_shift)
                    .map(|(b, (scale, shift))| (f64::from(*b) * scale + shift) as f32)
                    .collect())
            }
        }
    }
}

impl Norm {
    /// y = (x - mean) / sqrt(var + eps) * weight + bias = x * scale + shift, for each channel.
    fn scale_shift(
        &self,
        weights: &Weights,
        count: usize,
    ) -> Result<Vec<(f64, f64)>, WeightsError> {
        let read = |field: &str| {
            weights.read(&TensorSpec {
                name: format!("{}.{field}", self.name),
                shape: vec![self.channels],
            })
        };
        let [gamma, beta, mean, var] = [
            read("weight")?,
            read("bias")?,
            read("running_mean")?,
            read("running_var")?,
        ];
        Ok((self.first..self.first + count)
            .map(|c| {
                let scale = f64::from(gamma[c]) / (f64::from(var[c]) + self.eps).sqrt();
                (scale, f64::from(beta[c]) - f64::from(mean[c]) * scale)
            })
            .collect())
    }
}
