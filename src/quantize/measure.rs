//! How far a quantized network is from the one it was made of.

use crate::engine::Observed;
use crate::engine::net::Net;

/// Over some pictures.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    cosines: Vec<f64>,
    signal: f64,
    noise: f64,
}

impl Comparison {
    /// Takes in both networks' logits for a picture.
    pub fn add(&mut self, float: &[f32], quantized: &[f32]) {
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            let pairs = a.iter().zip(b);
            pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let (a, b) = (dot(float, float), dot(quantized, quantized));
        let product = dot(float, quantized);
        let cosine = match a * b > 0.0 {
            true => product / (a * b).sqrt(),
            // Both the same, or one of nothing.
            false => f64::from(a == b),
        };
        self.cosines.push(cosine);
        self.signal += a;
        self.noise += a - 2.0 * product + b;
    }

    /// Mean and least cosine between the logits.
    pub fn cosine(&self) -> (f64, f64) {
        let count = self.cosines.len().max(1) as f64;
        let least = self.cosines.iter().copied().fold(1.0, f64::min);
        (self.cosines.iter().sum::<f64>() / count, least)
    }

    /// Signal to quantization noise of the logits, in dB.
    pub fn signal_to_noise(&self) -> f64 {
        decibel(self.signal, self.noise)
    }
}

/// A finite number, whatever is compared.
fn decibel(signal: f64, noise: f64) -> f64 {
    /// Far beyond what sums of f32 can be told apart by.
    const MOST: f64 = 200.0;
    let [signal, noise] = [signal, noise].map(|sum| sum.max(f64::MIN_POSITIVE));
    let decibel = 10.0 * (signal / noise).log10();
    if noise <= f64::MIN_POSITIVE {
        MOST
    } else {
        decibel.clamp(-MOST, MOST)
    }
}

/// The first of the largest.
pub fn largest(logits: &[f32]) -> usize {
    let logits = logits.iter().enumerate();
    let largest = logits.fold((0, f32::NEG_INFINITY), |best, (index, logit)| {
        if *logit > best.1 {
            (index, *logit)
        } else {
            best
        }
    });
    largest.0
}

/// Signal and noise of each layer's output: in float, and what differs from that.
#[derive(Debug, Clone)]
pub struct LayerNoise {
    /// Of one picture, in float.
    outputs: Vec<Vec<f32>>,
    sums: Vec<(f64, f64)>,
}

impl LayerNoise {
    pub fn new(net: &Net) -> LayerNoise {
        let layers = net.layers().len();
        LayerNoise {
            outputs: vec![Vec::new(); layers],
            sums: vec![(0.0, 0.0); layers],
        }
    }

    /// What a layer writes in float, of the picture that the other is going to be shown next.
    pub fn see_float(&mut self, net: &Net, observed: &Observed) {
        let output = &mut self.outputs[observed.layer];
        output.clear();
        output.extend(pixels(net, observed).flatten());
    }

    /// What it writes as it is measured.
    pub fn see_quantized(&mut self, net: &Net, observed: &Observed) {
        let (signal, noise) = &mut self.sums[observed.layer];
        let float =
            self.outputs[observed.layer].chunks(net.layers()[observed.layer].output.channels);
        for (float, quantized) in float.zip(pixels(net, observed)) {
            let (mut a, mut b) = (0.0f32, 0.0f32);
            for (x, y) in float.iter().zip(quantized) {
                a += x * x;
                b += (x - y) * (x - y);
            }
            *signal += f64::from(a);
            *noise += f64::from(b);
        }
    }

    /// Of each layer, in dB.
    pub fn signal_to_noise(&self) -> Vec<f64> {
        let sums = self.sums.iter();
        sums.map(|(signal, noise)| decibel(*signal, *noise))
            .collect()
    }
}

fn pixels<'a>(net: &Net, observed: &'a Observed) -> impl Iterator<Item = &'a [f32]> {
    let channels = net.layers()[observed.layer].output.channels;
    let pixels = observed.output.data.chunks(observed.output.stride);
    pixels.map(move |pixel| &pixel[..channels])
}
