//! Squeeze-excite's two small layers (Hu et al. 2018, arXiv:1709.01507).

use std::ops::Range;

use super::crew::Crew;
use super::transpose::write_columns;
use super::{Activation, Element, Isa, Kernel, Lines, Memory, Simd};

/// More than any vector's lanes.
const PAD: usize = 16;

/// The weights of both layers, in the order in which they are read.
#[derive(Debug)]
pub struct PackedExcite<E = f32> {
    isa: Isa,
    channels: usize,
    hidden: usize,
    /// Both have the hidden values as rows, of `stride` channels.
    stride: usize,
    squeeze: Lines<E>,
    squeeze_bias: Vec<E>,
    excite: Lines<E>,
    excite_bias: Vec<E>,
}

impl<E: Element> PackedExcite<E> {
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
        let mut packed = PackedExcite::zeros(isa, squeeze_bias, excite_bias, &mut Memory::none());
        let (hidden, channels) = (packed.hidden, packed.channels);
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
        packed.set_squeeze_rows(0, squeeze);
        packed.set_excite_rows(0, excite);
        packed
    }

    /// Both layers with their biases, and weights that are to be set, in two pieces of [`PackedExcite::bytes`].
    ///
    /// # Panics
    /// If there is no bias.
    pub fn zeros(isa: Isa, squeeze_bias: &[f32], excite_bias: &[f32], memory: &mut Memory) -> Self {
        let (hidden, channels) = (squeeze_bias.len(), excite_bias.len());
        assert!(hidden > 0 && channels > 0, "layers have outputs");
        let stride = channels.next_multiple_of(PAD);
        let mut padded = vec![E::default(); stride];
        E::narrow(excite_bias, &mut padded[..channels]);
        PackedExcite {
            isa,
            channels,
            hidden,
            stride,
            squeeze: memory.take(Self::len(hidden, channels)),
            squeeze_bias: squeeze_bias.iter().map(|bias| E::from_f32(*bias)).collect(),
            excite: memory.take(Self::len(hidden, channels)),
            excite_bias: padded,
        }
    }

    /// Bytes that each layer takes.
    pub fn bytes(hidden: usize, channels: usize) -> usize {
        Self::len(hidden, channels) * size_of::<E>()
    }

    fn len(hidden: usize, channels: usize) -> usize {
        hidden * channels.next_multiple_of(PAD)
    }

    /// Sets the weights for hidden values, of each of which there is one for every channel, from the value `first` on.
    ///
    /// # Panics
    /// If there are not so many hidden values, or the last has not all of its weights.
    pub fn set_squeeze_rows(&mut self, first: usize, weights: &[f32]) {
        let channels = self.channels;
        check_rows(first, weights.len(), self.hidden, channels);
        for (row, h) in weights.chunks_exact(channels).zip(first..) {
            E::narrow(
                row,
                &mut self.squeeze.values_mut()[h * self.stride..][..channels],
            );
        }
    }

    /// Sets the weights for channels, of each of which there is one for every hidden value, from the channel `first` on.
    ///
    /// # Panics
    /// If there are not so many channels, or the last has not all of its weights.
    pub fn set_excite_rows(&mut self, first: usize, weights: &[f32]) {
        let hidden = self.hidden;
        check_rows(first, weights.len(), self.channels, hidden);
        write_columns(
            weights,
            hidden,
            self.excite.values_mut(),
            self.stride,
            first,
        );
    }

    /// Where the weights of both layers are.
    pub fn addresses(&self) -> [Range<usize>; 2] {
        [self.squeeze.addresses(), self.excite.addresses()]
    }

    /// Values of the hidden layer.
    pub fn hidden(&self) -> usize {
        self.hidden
    }
}

/// Panics unless `len` weights are whole rows of `width`, of which there are `rows`.
fn check_rows(first: usize, len: usize, rows: usize, width: usize) {
    let end = first.saturating_add(len / width);
    assert!(
        len.is_multiple_of(width) && end <= rows,
        "{len} weights from row {first} on of {rows} rows of {width}"
    );
}

/// `hidden = activation(squeeze * mean + bias)`, `gate = gate_activation(excite * hidden + bias)`; `hidden` is scratch.
/// `gate` may be longer than the channels. The threads share both layers' outputs.
///
/// # Panics
/// If a slice is too short.
pub fn excite<E: Element>(
    mean: &[E],
    w: &PackedExcite<E>,
    activation: Activation,
    gate_activation: Activation,
    hidden: &mut [E],
    gate: &mut [E],
    crew: &Crew<E>,
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
        let kernel = Squeeze {
            mean,
            w,
            activation,
            first,
            values,
        };
        E::squeeze(w.isa, kernel);
    });
    crew.fill(gate, TOGETHER * PAD, &|first, values| {
        let kernel = Excite {
            hidden,
            w,
            activation: gate_activation,
            first,
            values,
        };
        E::excite(w.isa, kernel);
    });
}

/// Rows, or vectors of columns, that are computed at the same time.
const TOGETHER: usize = 4;

/// Hidden values from `first` on.
pub struct Squeeze<'a, E> {
    mean: &'a [E],
    w: &'a PackedExcite<E>,
    activation: Activation,
    first: usize,
    values: &'a mut [E],
}

impl<E: Element> Kernel<E> for Squeeze<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = E>>(mut self, simd: S) {
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

impl<E: Element> Squeeze<'_, E> {
    /// `N` values from the `h`-th on, before their activation.
    #[inline(always)]
    fn rows<S: Simd<Element = E>, const N: usize>(&mut self, simd: S, h: usize) {
        let (w, first) = (self.w, self.first + h);
        let rows = w.squeeze.values()[first * w.stride..][..N * w.stride].as_ptr();
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
            let sum = w.squeeze_bias[first + n].to_f32() + simd.sum(sum);
            self.values[h + n] = E::from_f32(sum);
        }
    }
}

/// Gates from that of the channel `first` on.
pub struct Excite<'a, E> {
    hidden: &'a [E],
    w: &'a PackedExcite<E>,
    activation: Activation,
    first: usize,
    values: &'a mut [E],
}

impl<E: Element> Kernel<E> for Excite<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = E>>(mut self, simd: S) {
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

impl<E: Element> Excite<'_, E> {
    /// `N` vectors of gates from the `c`-th on.
    #[inline(always)]
    fn columns<S: Simd<Element = E>, const N: usize>(&mut self, simd: S, c: usize) {
        let w = self.w;
        let at = |n: usize| self.first + c + n * S::LANES;
        let mut sums = [simd.splat(0.0); N];
        for (n, sum) in sums.iter_mut().enumerate() {
            // SAFETY: here and below, there are whole vectors for all channels.
            *sum = unsafe { simd.load(w.excite_bias[at(n)..][..S::LANES].as_ptr()) };
        }
        for (row, hidden) in w.excite.values().chunks_exact(w.stride).zip(self.hidden) {
            let v = simd.broadcast(*hidden);
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
    use half::f16;

    use super::*;
    use crate::Team;

    /// At most `scale`, and such as the type has.
    fn values<E: Element>(len: usize, seed: usize, scale: f32) -> Vec<f32> {
        (0..len)
            .map(|i| (((i * 37 + seed * 101) % 157) as f32 / 78.0 - 1.0) * scale)
            .map(|value| E::from_f32(value).to_f32())
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
        compute_the_definition::<f32>();
        compute_the_definition::<f16>();
    }

    fn compute_the_definition<E: Element>() {
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
                // So that sums of any length are of the same size.
                let scale = |terms: usize| 1.0 / (terms as f32).sqrt();
                let mean = values::<E>(channels, 1, 1.0);
                let w1 = values::<E>(hidden * channels, 2, scale(channels));
                let b1 = values::<E>(hidden, 3, 1.0);
                let w2 = values::<E>(channels * hidden, 4, scale(hidden));
                let b2 = values::<E>(channels, 5, 1.0);
                let exact: Vec<f64> = mean.iter().map(|v| f64::from(*v)).collect();
                let expected = layer(
                    &layer(&exact, &w1, &b1, activation),
                    &w2,
                    &b2,
                    gate_activation,
                );
                let given: Vec<E> = mean.iter().map(|value| E::from_f32(*value)).collect();
                for isa in Isa::computing::<E>() {
                    // In two parts, as they are read.
                    let mut w = PackedExcite::zeros(isa, &b1, &b2, &mut Memory::none());
                    let (first, others) = w1.split_at(hidden / 3 * channels);
                    w.set_squeeze_rows(0, first);
                    w.set_squeeze_rows(hidden / 3, others);
                    let (first, others) = w2.split_at(channels / 3 * hidden);
                    w.set_excite_rows(0, first);
                    w.set_excite_rows(channels / 3, others);
                    let nine = E::from_f32(9.0);
                    let gates = |crew: Crew<E>| {
                        let (mut hidden, mut gate) =
                            (vec![E::default(); hidden], vec![nine; channels + 1]);
                        excite(
                            &given,
                            &w,
                            activation,
                            gate_activation,
                            &mut hidden,
                            &mut gate,
                            &crew,
                        );
                        gate
                    };
                    let gate = gates(Crew::alone(&mut []));
                    assert_eq!(gate, gates(Crew::new(&team, 3, &mut [])));
                    for c in 0..channels {
                        // Rounding of sums of about 1, also of as many as there are hidden values, before a gate of
                        // slope 1/4 at most.
                        let error = (f64::from(gate[c].to_f32()) - expected[c]).abs();
                        assert!(
                            error <= 8.0 * f64::from(E::EPSILON),
                            "{} {channels} x {hidden}: {:?} {}",
                            isa.name(),
                            gate[c],
                            expected[c]
                        );
                    }
                    assert_eq!(gate[channels], nine, "more is written");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "scratch for 4 hidden values")]
    fn short_scratch_is_refused() {
        let w = PackedExcite::<f32>::new(
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
