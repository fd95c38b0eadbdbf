//! What is known of how a network was quantized: made when it is compiled, kept in its plan, shown by `inspect`.

#[cfg(feature = "host")]
mod compare;
mod page;
mod summary;
#[cfg(test)]
mod tests;
#[cfg(feature = "host")]
mod thumbnail;

use serde::{Deserialize, Serialize};

#[cfg(feature = "host")]
pub use compare::{Answer, Comparison};
pub use page::Page;
#[cfg(feature = "host")]
pub use thumbnail::thumbnail;

/// Signal to noise, in dB, from which on a difference is only that of how numbers are added up.
const EXACT: f64 = 150.0;

/// The same where there is no difference at all.
const NOISELESS: f64 = 999.0;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    pub calibration: Calibration,
    /// In the order in which they are taken.
    pub steps: Vec<Step>,
    /// All layers of the network, in their order.
    pub layers: Vec<LayerReport>,
    /// Values in levels.
    pub ranges: Vec<RangeReport>,
    pub size: Sizes,
    pub agreement: Agreement,
    /// Of the photographs that were held back, those that the two networks see most differently, the worst first.
    pub worst: Vec<Difference>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Calibration {
    /// Photographs that ranges, weights and biases were chosen with.
    pub pictures: usize,
    /// Others, which the networks are compared on.
    pub held_back: usize,
    /// Random pictures instead: nothing here says what photographs would give.
    pub synthetic: bool,
    pub seed: u64,
}

/// A step of quantization, and what it does to the error.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    pub name: String,
    /// Whether it was taken.
    pub taken: bool,
    /// Signal to quantization noise in the logits of the pictures calibrated with, in dB, after this step and those
    /// before it; none where that was not measured.
    pub signal_to_noise: Option<f64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LayerReport {
    pub name: String,
    /// Whether it computes in int8.
    pub in_levels: bool,
    /// Why it does not.
    pub reason: Option<String>,
    /// Signal to quantization noise in its output, in dB.
    pub signal_to_noise: Option<f64>,
    /// Signal to noise in the logits where this layer alone is in int8, in dB; none where that was not measured.
    pub sensitivity: Option<f64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RangeReport {
    /// The layer that writes the value first; "input" for the network's input.
    pub layer: String,
    pub method: String,
    pub scale: f32,
    pub zero_point: i8,
    /// Least and largest value seen.
    pub seen: [f32; 2],
    /// How often values were seen in equal parts of what was seen.
    pub histogram: Vec<u64>,
    /// What each method that was tried gives: signal to noise in the logits, in dB.
    pub tried: Vec<(String, f64)>,
}

impl RangeReport {
    /// What the levels reach.
    pub fn reach(&self) -> [f64; 2] {
        let bound = |level: i8| {
            let steps = f64::from(level) - f64::from(self.zero_point);
            f64::from(self.scale) * steps
        };
        [bound(i8::MIN), bound(i8::MAX)]
    }
}

/// In bytes: weights and biases.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sizes {
    pub before: u64,
    pub after: u64,
}

/// Float against int8, on photographs that were held back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Agreement {
    pub pictures: usize,
    /// Of these, how many get the same class.
    pub same_class: usize,
    /// The mean share of the five likeliest classes that both name.
    pub top5_overlap: f64,
    /// Of logits: mean and least.
    pub cosine: [f64; 2],
}

/// A photograph as the two networks see it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Difference {
    /// Name of its file, without directories.
    pub file: String,
    /// A small JPEG of it, in base64.
    pub thumbnail: String,
    /// Class and its probability.
    pub float: (usize, f64),
    pub int8: (usize, f64),
    pub cosine: f64,
}

impl Report {
    /// As JSON, which has no numbers that are not finite. Where there is no noise, signal to noise becomes a large one; what
    /// else was measured as no number is left out. Elsewhere, they are errors.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let mut report = self.clone();
        let measured = report
            .steps
            .iter_mut()
            .map(|step| &mut step.signal_to_noise);
        let layers = report.layers.iter_mut();
        let of_layers =
            layers.flat_map(|layer| [&mut layer.signal_to_noise, &mut layer.sensitivity]);
        for measured in measured.chain(of_layers) {
            let found = measured.filter(|value| *value > f64::NEG_INFINITY);
            *measured = found.map(|value| value.min(NOISELESS));
        }
        for range in &mut report.ranges {
            range.tried.retain(|(_, value)| value.is_finite());
        }
        let json = serde_json::to_string(&report)?;
        serde_json::from_str::<Report>(&json)?;
        Ok(json)
    }
}
