//! Squeeze-excite's two small layers (Hu et al. 2018, arXiv:1709.01507).

use super::crew::Crew;
use super::{Activation, Isa, Kernel, Simd};

/// More than any vector's lanes.
const PAD: usize = 16;

/// The weights of both layers, in the order in which they are read.
#[derive(Debug, Clone)]
pub struct PackedExcite {
    isa: Isa,
    channels: usize,
    hidden: usize,
    /// Both have the hidden values as rows, of `stride` channels.
    stride: usize,
    squeeze: Vec<f32>,
    squeeze_bias: Vec<f32>,
    excite: Vec<f32>,
    excite_bias: Vec<f32>,
}

impl PackedExcite {
    /// `squeeze`: hidden x channels, its bias: hidden; `excite`: channels x hidden, its bias: channels. As ONNX has the
    /// weights of 1 x 1 convolutions.
    ///
    /// # Panics
    /// If the lengths do not agree.
    pub fn new(
        isa: Isa,
        squeeze: &[f32],
        squeeze_bias: &[f32],
        excite: &[f32],
        excite_bias: &[f32],
    ) -> Self {
        let (hidden, channels) = (squeeze_bias.len(), excite_bias.len());
        assert!(hidden > 0 && channels > 0, "layers have outputs");
        assert_eq!(
            squeeze.len(),
            hidden * channels,
            "weights of {hidden} x {channels}"
        );
        assert_eq!(
            excite.len(),
            channels * hidden,
            "weights of {channels} x {hidden}"
        );
        let stride = channels.next_multiple_of(PAD);
        let mut rows = vec![0.0; hidden * stride];
        let mut columns = vec![0.0; hidden * stride];
        for (h, row) in squeeze.chunks_exact(channels).enumerate() {
            rows[h * stride..][..channels].copy_from_slice(row);
        }
        for (c, row) in excite.chunks_exact(hidden).enumerate() {
            for (h, weight) in row.iter().enumerate() {
                columns[h * stride + c] = *weight;
            }
        }
        let mut padded = vec![0.0; stride];
        padded[..channels].copy_from_slice(excite_bias);
        PackedExcite {
            isa,
            channels,
            hidden,
            stride,
            squeeze: rows,
            squeeze_bias: squeeze_bias.to_vec(),
            excite: columns,
            excite_bias: padded,
        }
    }

    /// Values of the hidden layer.
    pub fn hidden(&self) -> usize {
        self.hidden
    }
}

/// `hidden = activation(squeeze * mean + bias)`, `gate = gate_activation(excite * hidden + bias)`; `hidden` is scratch.
/// `gate` may be longer than the channels. The threads share both layers' outputs.
///
/// # Panics
/// If a slice is too short.
pub fn excite(
    mean: &[f32],
    w: &PackedExcite,
    activation: Activation,
    gate_activation: Activation,
    hidden: &mut [f32],
    gate: &mut [f32],
    crew: &Crew,
) {
    assert!(
        mean.len() >= w.channels,
        "a mean for each of {} channels",
        w.channels
    );
    assert!(
        gate.len() >= w.channels,
        "a gate for each of {} channels",
        w.channels
    );
    assert!(
        hidden.len() >= w.hidden,
        "scratch for {} hidden values",
        w.hidden
    );
    let mean = &mean[..w.channels];
    let hidden = &mut hidden[..w.hidden];
    let gate = &mut gate[..w.channels];
    crew.fill(hidden, TOGETHER, &|first, values| {
        w.isa.run_wide(Squeeze {
            mean,
            w,
            activation,
            first,
            values,
        });
    });
    crew.fill(gate, TOGETHER * PAD, &|first, values| {
        w.isa.run_wide(Excite {
            hidden,
            w,
            activation: gate_activation,
            first,
            values,
        });
    });
}

/// Rows, or vectors of columns, that are computed at the same time.
const TOGETHER: usize = 4;

/// Hidden values from `first` on.
struct Squeeze<'a> {
    mean: &'a [f32],
    w: &'a PackedExcite,
    activation: Activation,
    first: usize,
    values: &'a mut [f32],
}

impl Kernel for Squeeze<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        // These rows share the loads of the means; the rest goes one by one.
        let together = self.values.len() / TOGETHER * TOGETHER;
        for h in (0..together).step_by(TOGETHER) {
            self.rows::<S, TOGETHER>(simd, h);
        }
        for h in together..self.values.len() {
            self.rows::<S, 1>(simd, h);
        }
        for values in self.values.chunks_mut(S::LANES) {
            // SAFETY: the chunk has so many values.
            unsafe {
                let v = simd.load_first(values.as_ptr(), values.len());
                let v = self.activation.apply(simd, v);
                simd.store_first(values.as_mut_ptr(), values.len(), v);
            }
        }
    }
}

impl Squeeze<'_> {
    /// `N` values from the `h`-th on, before their activation.
    #[inline(always)]
    fn rows<S: Simd, const N: usize>(&mut self, simd: S, h: usize) {
        let (w, first) = (self.w, self.first + h);
        let rows = w.squeeze[first * w.stride..][..N * w.stride].as_ptr();
        let mut sums = [simd.splat(0.0); N];
        for (block, mean) in self.mean.chunks(S::LANES).enumerate() {
            // SAFETY: each of the `N` rows has whole vectors for all channels.
            unsafe {
                let v = if mean.len() == S::LANES {
                    simd.load(mean.as_ptr())
                } else {
                    simd.load_first(mean.as_ptr(), mean.len())
                };
                for (n, sum) in sums.iter_mut().enumerate() {
                    *sum = simd.mul_add(
                        v,
                        simd.load(rows.add(n * w.stride + block * S::LANES)),
                        *sum,
                    );
                }
            }
        }
        for (n, sum) in sums.into_iter().enumerate() {
            self.values[h + n] = w.squeeze_bias[first + n] + simd.sum(sum);
        }
    }
}

/// Gates from that of the channel `first` on.
struct Excite<'a> {
    hidden: &'a [f32],
    w: &'a PackedExcite,
    activation: Activation,
    first: usize,
    values: &'a mut [f32],
}

impl Kernel for Excite<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let mut c = 0;
        while c + TOGETHER * S::LANES <= self.values.len() {
            self.columns::<S, TOGETHER>(simd, c);
            c += TOGETHER * S::LANES;
        }
        while c < self.values.len() {
            self.columns::<S, 1>(simd, c);
            c += S::LANES;
        }
    }
}

impl Excite<'_> {
    /// `N` vectors of gates from the `c`-th on.
    #[inline(always)]
    fn columns<S: Simd, const N: usize>(&mut self, simd: S, c: usize) {
        let w = self.w;
        let at = |n: usize| self.first + c + n * S::LANES;
        let mut sums = [simd.splat(0.0); N];
        for (n, sum) in sums.iter_mut().enumerate() {
            // SAFETY: here and below, there are whole vectors for all channels.
            *sum = unsafe { simd.load(w.excite_bias[at(n)..][..S::LANES].as_ptr()) };
        }
        for (row, hidden) in w.excite.chunks_exact(w.stride).zip(self.hidden) {
            let v = simd.splat(*hidden);
            for (n, sum) in sums.iter_mut().enumerate() {
                *sum = simd.mul_add(v, unsafe { simd.load(row.as_ptr().add(at(n))) }, *sum);
            }
        }
        for (n, sum) in sums.into_iter().enumerate() {
            let gates = &mut self.values[c + n * S::LANES..];
            let sum = self.activation.apply(simd, sum);
            // SAFETY: so many values are left.
            unsafe { simd.store_first(gates.as_mut_ptr(), gates.len().min(S::LANES), sum) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Team;

    fn values(len: usize, seed: usize) -> Vec<f32> {
        (0..len)
            .map(|i| ((i * 37 + seed * 101) % 157) as f32 / 78.0 - 1.0)
            .collect()
    }

    /// One layer in f64.
    fn layer(x: &[f64], weights: &[f32], bias: &[f32], activation: Activation) -> Vec<f64> {
        let rows = weights.chunks_exact(x.len()).zip(bias);
        let sums = rows.map(|(row, bias)| {
            row.iter()
                .zip(x)
                .map(|(w, x)| f64::from(*w) * x)
                .sum::<f64>()
                + f64::from(*bias)
        });
        sums.map(|sum| f64::from(activation.scalar(sum as f32)))
            .collect()
    }

    #[test]
    fn both_layers_compute_the_definition() {
        let hard = Activation::HardSigmoid {
            alpha: 1.0 / 6.0,
            beta: 0.5,
        };
        let relu = Activation::Clamp {
            low: 0.0,
            high: f32::INFINITY,
        };
        let sizes = [
            (1, 1),
            (3, 5),
            (16, 4),
            (70, 7),
            (96, 4),
            (129, 33),
            (672, 28),
            (960, 120),
            (2304, 96),
        ];
        let team = Team::new(3).unwrap();
        for (channels, hidden) in sizes {
            for (activation, gate_activation) in
                [(relu, hard), (Activation::Swish, Activation::Sigmoid)]
            {
                let mean = values(channels, 1);
                let (w1, b1) = (values(hidden * channels, 2), values(hidden, 3));
                let (w2, b2) = (values(channels * hidden, 4), values(channels, 5));
                let exact: Vec<f64> = mean.iter().map(|v| f64::from(*v)).collect();
                let expected = layer(
                    &layer(&exact, &w1, &b1, activation),
                    &w2,
                    &b2,
                    gate_activation,
                );
                for isa in Isa::available() {
                    let w = PackedExcite::new(isa, &w1, &b1, &w2, &b2);
                    let gates = |crew: Crew| {
                        let (mut scratch, mut gate) = (vec![0.0; hidden], vec![9.0; channels + 1]);
                        let (hidden, gate_mut) = (&mut scratch, &mut gate);
                        excite(
                            &mean,
                            &w,
                            activation,
                            gate_activation,
                            hidden,
                            gate_mut,
                            &crew,
                        );
                        gate
                    };
                    let gate = gates(Crew::alone(&mut []));
                    assert_eq!(gate, gates(Crew::new(&team, 3, &mut [])));
                    for c in 0..channels {
                        // Rounding of sums of some hundreds before a gate of slope 1/4 at most.
                        let error = (f64::from(gate[c]) - expected[c]).abs();
                        assert!(
                            error <= 1e-3,
                            "{} {channels} x {hidden}: {} {}",
                            isa.name(),
                            gate[c],
                            expected[c]
                        );
                    }
                    assert_eq!(gate[channels], 9.0, "more is written");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "scratch for 4 hidden values")]
    fn short_scratch_is_refused() {
        let w = PackedExcite::new(
            Isa::available()[0],
            &[0.0; 32],
            &[0.0; 4],
            &[0.0; 32],
            &[0.0; 8],
        );
        let identity = Activation::Identity;
        excite(
            &[0.0; 8],
            &w,
            identity,
            identity,
            &mut [0.0; 3],
            &mut [0.0; 8],
            &Crew::alone(&mut []),
        );
    }
}
