//! Squeeze-excite's two small layers (Hu et al. 2018, arXiv:1709.01507), in f32 with the same bits on every processor.

use std::ops::Range;

use edge_classify_kernels::{Activation, Isa, Lines, Memory};

use super::exact::exact;
use super::simd::{LevelKernel, Levels, run};

/// Outputs of a panel: whole vectors, on every processor.
const PANEL: usize = 16;

/// Sums that the products of an output are in, in turn: the input `i`'s is in the sum `i % PARTS`.
const PARTS: usize = 4;

/// The weights of both layers, in the order in which they are read.
#[derive(Debug)]
pub struct PackedExcite {
    isa: Isa,
    squeeze: Layer,
    excite: Layer,
}

/// `outputs` of `activation(Σ input * weight + bias)`.
#[derive(Debug)]
struct Layer {
    outputs: usize,
    /// Panels of inputs x [`PANEL`] outputs, and below these the biases; each is read from its start to its end.
    weights: Lines,
}

impl PackedExcite {
    /// `squeeze`: hidden x channels, its bias: hidden; `excite`: channels x hidden, its bias: channels. As ONNX has the
    /// weights of 1 x 1 convolutions. In two pieces of [`PackedExcite::bytes`].
    ///
    /// # Panics
    /// If the lengths do not agree, or there is no bias.
    pub fn new(
        isa: Isa,
        squeeze: &[f32],
        squeeze_bias: &[f32],
        excite: &[f32],
        excite_bias: &[f32],
        memory: &mut Memory,
    ) -> Self {
        let (hidden, channels) = (squeeze_bias.len(), excite_bias.len());
        PackedExcite {
            isa,
            squeeze: Layer::new(squeeze, squeeze_bias, channels, memory),
            excite: Layer::new(excite, excite_bias, hidden, memory),
        }
    }

    /// Bytes that each of the two layers takes.
    pub fn bytes(hidden: usize, channels: usize) -> [usize; 2] {
        let bytes = |inputs, outputs| Layer::len(inputs, outputs) * size_of::<f32>();
        [bytes(channels, hidden), bytes(hidden, channels)]
    }

    /// Where the weights of both layers are.
    pub fn addresses(&self) -> [Range<usize>; 2] {
        [&self.squeeze, &self.excite].map(|layer| layer.weights.addresses())
    }

    /// Values of the hidden layer.
    pub fn hidden(&self) -> usize {
        self.squeeze.outputs
    }

    pub fn channels(&self) -> usize {
        self.excite.outputs
    }
}

impl Layer {
    fn new(weights: &[f32], bias: &[f32], inputs: usize, memory: &mut Memory) -> Layer {
        let outputs = bias.len();
        assert!(outputs > 0, "layers have outputs");
        assert_eq!(
            weights.len(),
            outputs * inputs,
            "weights of {outputs} x {inputs}"
        );
        let mut packed = memory.take(Layer::len(inputs, outputs));
        let panels = packed.values_mut().chunks_exact_mut(Layer::panel(inputs));
        let rows = weights.chunks(PANEL * inputs);
        for ((panel, rows), bias) in panels.zip(rows).zip(bias.chunks(PANEL)) {
            for (output, row) in rows.chunks_exact(inputs).enumerate() {
                for (input, weight) in row.iter().enumerate() {
                    panel[input * PANEL + output] = *weight;
                }
            }
            panel[inputs * PANEL..][..bias.len()].copy_from_slice(bias);
        }
        Layer {
            outputs,
            weights: packed,
        }
    }

    fn len(inputs: usize, outputs: usize) -> usize {
        outputs.div_ceil(PANEL) * Layer::panel(inputs)
    }

    /// Values of a panel.
    fn panel(inputs: usize) -> usize {
        (inputs + 1) * PANEL
    }
}

/// `hidden = activation(squeeze * mean + bias)`, `gate = gate_activation(excite * hidden + bias)`; `hidden` is scratch. `gate`
/// may be longer than the channels.
///
/// Each product and each sum is rounded by itself: an output is `exact(((p0 + p1) + (p2 + p3)) + bias)`, where `p[n]` is the sum,
/// from the first on, of the products of the inputs `n`, `n + 4`, `n + 8`, ...
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
) {
    let (channels, values) = (w.channels(), w.hidden());
    assert!(
        mean.len() >= channels,
        "a mean for each of {channels} channels"
    );
    assert!(
        gate.len() >= channels,
        "a gate for each of {channels} channels"
    );
    assert!(hidden.len() >= values, "scratch for {values} hidden values");
    let hidden = &mut hidden[..values];
    let squeeze = Dense {
        x: &mean[..channels],
        layer: &w.squeeze,
        activation,
        out: hidden,
    };
    run(w.isa, squeeze);
    let excite = Dense {
        x: hidden,
        layer: &w.excite,
        activation: gate_activation,
        out: &mut gate[..channels],
    };
    run(w.isa, excite);
}

struct Dense<'a> {
    x: &'a [f32],
    layer: &'a Layer,
    activation: Activation,
    out: &'a mut [f32],
}

impl LevelKernel for Dense<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Levels>(self, simd: S) {
        match S::LANES {
            16 => self.panels::<S, 1>(simd),
            8 => self.panels::<S, 2>(simd),
            4 => self.panels::<S, 4>(simd),
            lanes => unreachable!("vectors of {lanes}"),
        }
    }
}

impl Dense<'_> {
    /// Panels of `N` vectors each.
    #[inline(always)]
    fn panels<S: Levels, const N: usize>(self, simd: S) {
        assert_eq!(N * S::LANES, PANEL);
        let panels = self.layer.weights.values();
        let panels = panels.chunks_exact(Layer::panel(self.x.len()));
        for (panel, out) in panels.zip(self.out.chunks_mut(PANEL)) {
            let sums = sums::<S, N>(simd, self.x, panel);
            for (sum, out) in sums.into_iter().zip(out.chunks_mut(S::LANES)) {
                let value = exact(simd, self.activation, sum);
                // SAFETY: so many values are there.
                unsafe { simd.store_first(out.as_mut_ptr(), out.len(), value) };
            }
        }
    }
}

/// Of `N` vectors of outputs, before their activation.
#[inline(always)]
fn sums<S: Levels, const N: usize>(simd: S, x: &[f32], panel: &[f32]) -> [S::V; N] {
    let mut rows = panel.chunks_exact(PANEL);
    // SAFETY: a row has `N` vectors.
    let load =
        |row: &[f32], n: usize| unsafe { simd.load(row[n * S::LANES..][..S::LANES].as_ptr()) };
    let mut parts = [[simd.splat(0.0); PARTS]; N];
    let mut add = |part: usize, x: f32| {
        let row = rows.next().expect("a row for each input");
        let x = simd.splat(x);
        for (n, parts) in parts.iter_mut().enumerate() {
            parts[part] = simd.add(parts[part], simd.mul(x, load(row, n)));
        }
    };
    let (whole, rest) = x.as_chunks::<PARTS>();
    for x in whole {
        add(0, x[0]);
        add(1, x[1]);
        add(2, x[2]);
        add(3, x[3]);
    }
    for (part, x) in rest.iter().enumerate() {
        add(part, *x);
    }
    let bias = rows.next().expect("a row of biases");
    std::array::from_fn(|n| {
        let [a, b, c, d] = parts[n];
        let sum = simd.add(simd.add(a, b), simd.add(c, d));
        simd.add(sum, load(bias, n))
    })
}

#[cfg(test)]
mod tests;
