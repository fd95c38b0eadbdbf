//! What is done to quantize a network.

use super::ranges::Method;

/// How ranges of levels are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    /// By one method for all values.
    By(Method),
    /// By whichever method changes the logits least, tried for each value with so many of the pictures.
    Measured { pictures: usize },
}

/// What can be left out, in the order in which the report has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Centering,
    Equalization,
    BoundedEqualization,
    Ranges,
    ShrunkScales,
    BiasCorrection,
    Rounding,
}

impl Step {
    pub const ALL: [Step; 7] = [
        Step::Centering,
        Step::Equalization,
        Step::BoundedEqualization,
        Step::Ranges,
        Step::ShrunkScales,
        Step::BiasCorrection,
        Step::Rounding,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Step::Centering => "centering",
            Step::Equalization => "equalization",
            Step::BoundedEqualization => "bounded-equalization",
            Step::Ranges => "ranges",
            Step::ShrunkScales => "shrunk-scales",
            Step::BiasCorrection => "bias-correction",
            Step::Rounding => "rounding",
        }
    }

    /// What it does.
    pub fn help(self) -> &'static str {
        match self {
            Step::Centering => "Channels are moved to a mean of 0",
            Step::Equalization => "Channels of a value are brought to the same range",
            Step::BoundedEqualization => "Channels below a ReLU6 are, too, if that pays",
            Step::Ranges => "Ranges of levels are chosen; without, they are all that was seen",
            Step::ShrunkScales => "Scales of weights may be less than the largest weight asks for",
            Step::BiasCorrection => "Biases make up for what rounding changes in the mean",
            Step::Rounding => {
                "Weights are rounded so that outputs change least, not to the nearest level"
            }
        }
    }
}

/// Each step can be left out, to see what it is good for.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizeOptions {
    pub center: bool,
    pub equalize: bool,
    pub equalize_below_bounds: bool,
    pub range: Range,
    /// Scales of weights may be less than their largest value asks for.
    pub shrink_weights: bool,
    pub correct_biases: bool,
    /// Weights are rounded so that outputs change least, rather than to the nearest level: all of them are looked at so
    /// many times, at most; or not at all.
    pub round_weights: usize,
    /// Whether it is measured what each layer by itself does to the logits.
    pub sensitivity: bool,
    /// Layers that are to stay in float, by their index in the network.
    pub in_float: Vec<usize>,
}

impl QuantizeOptions {
    /// All that was seen, and the nearest levels.
    pub fn plain() -> Self {
        QuantizeOptions {
            center: false,
            equalize: false,
            equalize_below_bounds: false,
            range: Range::By(Method::MinMax),
            shrink_weights: false,
            correct_biases: false,
            round_weights: 0,
            sensitivity: false,
            in_float: Vec::new(),
        }
    }

    /// What takes little more time than that.
    pub fn fast() -> Self {
        QuantizeOptions {
            center: true,
            equalize: true,
            equalize_below_bounds: true,
            range: Range::By(Method::Percentile(1e-5)),
            shrink_weights: true,
            correct_biases: true,
            ..QuantizeOptions::plain()
        }
    }

    pub fn normal() -> Self {
        QuantizeOptions {
            range: Range::Measured { pictures: 8 },
            round_weights: 20,
            ..QuantizeOptions::fast()
        }
    }

    /// What takes several times as long.
    pub fn high() -> Self {
        QuantizeOptions {
            range: Range::Measured { pictures: 32 },
            round_weights: 100,
            sensitivity: true,
            ..QuantizeOptions::normal()
        }
    }

    pub fn takes(&self, step: Step) -> bool {
        match step {
            Step::Centering => self.center,
            Step::Equalization => self.equalize,
            Step::BoundedEqualization => self.equalize_below_bounds,
            Step::Ranges => self.range != Range::By(Method::MinMax),
            Step::ShrunkScales => self.shrink_weights,
            Step::BiasCorrection => self.correct_biases,
            Step::Rounding => self.round_weights > 0,
        }
    }

    /// The same without a step.
    pub fn without(mut self, step: Step) -> QuantizeOptions {
        match step {
            Step::Centering => self.center = false,
            Step::Equalization => self.equalize = false,
            Step::BoundedEqualization => self.equalize_below_bounds = false,
            Step::Ranges => self.range = Range::By(Method::MinMax),
            Step::ShrunkScales => self.shrink_weights = false,
            Step::BiasCorrection => self.correct_biases = false,
            Step::Rounding => self.round_weights = 0,
        }
        self
    }
}

impl Default for QuantizeOptions {
    fn default() -> Self {
        QuantizeOptions::normal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_every_step_it_is_plain() {
        let mut options = QuantizeOptions::normal();
        for step in Step::ALL {
            assert!(options.takes(step), "{step:?}");
            options = options.without(step);
            assert!(!options.takes(step), "{step:?}");
        }
        assert_eq!(options, QuantizeOptions::plain());
    }
}
