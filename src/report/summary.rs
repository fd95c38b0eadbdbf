//! A report in a few lines.

use std::fmt;

use super::{Agreement, LayerReport, Report};
use crate::text::{one_line, some};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let calibration = &self.calibration;
        if calibration.synthetic {
            writeln!(
                f,
                "calibrated with {} random pictures, which say nothing of photographs: whether it still classifies is not \
                 known",
                calibration.pictures
            )?;
        } else {
            writeln!(f, "calibrated with {} photographs", calibration.pictures)?;
        }
        if self.agreement.pictures > 0 {
            writeln!(f, "{}", self.agreement)?;
        }
        let (before, after) = (self.size.before, self.size.after);
        if before > 0 {
            writeln!(
                f,
                "weights and biases: {} in float, {} now ({:.0} %)",
                megabytes(before),
                megabytes(after),
                100.0 * after as f64 / before as f64
            )?;
        }
        let in_levels = self.layers.iter().filter(|layer| layer.in_levels).count();
        let in_float = self.layers.len() - in_levels;
        write!(f, "{in_levels} layers in int8, {in_float} in float")?;
        for (reason, layers) in reasons(&self.layers) {
            write!(f, "\n  {}: {}", one_line(reason), some(&layers))?;
        }
        let noisy = self.layers.iter().filter_map(|layer| {
            let decibel = layer
                .signal_to_noise
                .filter(|decibel| decibel.is_finite())?;
            Some((layer, decibel))
        });
        if let Some((layer, decibel)) = noisy.min_by(|(_, a), (_, b)| a.total_cmp(b)) {
            let name = one_line(&layer.name);
            write!(
                f,
                "\nleast signal to quantization noise: {decibel:.1} dB in {name}"
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let [mean, least] = self.cosine;
        write!(
            f,
            "of {} photographs held back, {} get the same class as in float; {:.1} % of the five likeliest in common; cosine \
             of logits {mean:.4}, {least:.4} at least",
            self.pictures,
            self.same_class,
            100.0 * self.top5_overlap,
        )
    }
}

/// Layers in float by the reason for that, in their order.
pub fn reasons(layers: &[LayerReport]) -> Vec<(&str, Vec<String>)> {
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for layer in layers.iter().filter(|layer| !layer.in_levels) {
        let reason = layer.reason.as_deref().unwrap_or("for no reason told");
        let name = one_line(&layer.name);
        match reasons.iter_mut().find(|(other, _)| *other == reason) {
            Some((_, names)) => names.push(name),
            None => reasons.push((reason, vec![name])),
        }
    }
    reasons
}

pub fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}
