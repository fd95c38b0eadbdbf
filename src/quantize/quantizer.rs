//! The steps in their order.

use std::collections::BTreeMap;

use edge_classify_int8::Quantization;

use crate::engine::Options;
use crate::engine::net::Net;
use crate::report::{self, Report};

use super::describe::{self, Float};
use super::machine::Machine;
use super::measure::{Comparison, LayerNoise};
use super::placement::{Placed, place};
use super::progress::Work;
use super::range_choice::{self, Choice, Choices};
use super::ranges::Method;
use super::reference::Reference;
use super::rewrite::{Candidate, REWRITES, Trial};
use super::sensitivity;
use super::weight_choice::{self, Chosen};
use super::{Progress, QuantizeError, QuantizeOptions, Quantized, Range, Step};

/// Pictures that steps are compared with, and layers.
const COMPARED: usize = 16;

/// Quantizes a network with pictures of f32 in planes, run on this machine as `engine` says; `tell` hears how far that
/// has come.
pub fn quantize(
    net: &Net,
    pictures: &[Vec<f32>],
    options: &QuantizeOptions,
    engine: &Options,
    tell: &mut dyn FnMut(Progress),
) -> Result<Quantized, QuantizeError> {
    let mut machine = Machine::new(engine, Work::new(tell))?;
    let quantizer = Quantizer {
        net,
        pictures,
        options,
    };
    let outcome = quantizer.run(&Attempt::default(), &mut machine)?;
    Ok(outcome.quantized)
}

pub struct Quantizer<'a> {
    pub net: &'a Net,
    pub pictures: &'a [Vec<f32>],
    pub options: &'a QuantizeOptions,
}

/// What earlier attempts at the same network have found.
#[derive(Debug, Default)]
pub struct Attempt {
    /// Layers that are too sensitive for int8, by their index in the network.
    pub sensitive: Vec<usize>,
    /// As [`Outcome::sensitivities`], if they have been measured.
    pub sensitivities: Vec<Option<f64>>,
    /// Ranges that have been chosen, by the layer that writes the value.
    pub known: BTreeMap<String, Choice>,
}

pub struct Outcome<'a> {
    pub quantized: Quantized,
    /// Of each layer of the network that computes in levels, by its index there: signal to noise in the logits where it
    /// alone does, in dB. Empty where they have not been measured.
    pub sensitivities: Vec<Option<f64>>,
    placed: Placed,
    choices: Choices,
    chosen: Chosen,
    reference: Reference<'a>,
    origins: Vec<Option<usize>>,
}

impl<'a> Quantizer<'a> {
    pub fn run(
        &self,
        attempt: &Attempt,
        machine: &mut Machine,
    ) -> Result<Outcome<'a>, QuantizeError> {
        if self.pictures.is_empty() {
            return Err(QuantizeError::NoPictures);
        }
        let asked = &self.options.in_float;
        let keep = |layer: usize| asked.contains(&layer) || attempt.sensitive.contains(&layer);
        let placed = place(self.net, &keep)?;
        if !placed.in_levels.contains(&true) {
            return Err(QuantizeError::NoLayers);
        }
        machine.work.expect(self.cost(&placed));
        machine.work.start("looking at values");
        let reference = Reference::new(&placed.net, self.pictures, COMPARED, machine)?;
        let mut steps = Steps {
            taken: Vec::new(),
            reference: &reference,
        };
        let bare = [Step::ShrunkScales, Step::BiasCorrection, Step::Rounding]
            .into_iter()
            .fold(self.options.clone(), QuantizeOptions::without);
        let plain = |candidate: &Candidate, machine: &mut Machine| {
            let placed = &candidate.placed;
            let ranges = range_choice::by_method(placed, &candidate.seen, Method::MinMax);
            let chosen =
                weight_choice::choose(placed, &ranges.quantizations(), &[], &bare, machine);
            Ok::<_, QuantizeError>((ranges, chosen?))
        };
        let trial = Trial {
            pictures: self.pictures,
            keep: &keep,
            reference: &reference,
        };
        let mut candidate = Candidate::new(self.net.clone(), trial, machine)?;
        let (ranges, chosen) = plain(&candidate, machine)?;
        steps.take("plain", &candidate.placed, &ranges, &chosen, machine)?;
        for rewrite in &REWRITES {
            let found = match self.options.takes(rewrite.step) {
                true => candidate.rewritten(rewrite, trial, machine)?,
                false => None,
            };
            let Some(found) = found else {
                steps.leave(rewrite.step);
                continue;
            };
            candidate = found;
            let (ranges, chosen) = plain(&candidate, machine)?;
            let name = rewrite.step.name();
            steps.take(name, &candidate.placed, &ranges, &chosen, machine)?;
        }
        let Candidate { placed, seen, .. } = candidate;
        machine.work.start("choosing ranges");
        let choices = range_choice::choose(
            &placed,
            &seen,
            self.pictures,
            self.options.range,
            &attempt.known,
            machine,
        )?;
        let quantizations = choices.quantizations();
        let mut chosen = weight_choice::choose(&placed, &quantizations, &[], &bare, machine)?;
        match self.options.takes(Step::Ranges) {
            true => steps.take(Step::Ranges.name(), &placed, &choices, &chosen, machine)?,
            false => steps.leave(Step::Ranges),
        }
        machine.work.start("looking at products");
        let moments = weight_choice::moments(
            &placed,
            &quantizations,
            self.pictures,
            self.options,
            machine,
        )?;
        machine.work.start("rounding weights");
        let of_weights = [Step::ShrunkScales, Step::BiasCorrection, Step::Rounding];
        for (index, step) in of_weights.into_iter().enumerate() {
            if !self.options.takes(step) {
                steps.leave(step);
                continue;
            }
            let later = of_weights[index + 1..].iter().copied();
            let options = later.fold(self.options.clone(), QuantizeOptions::without);
            chosen = weight_choice::choose(&placed, &quantizations, &moments, &options, machine)?;
            steps.take(step.name(), &placed, &choices, &chosen, machine)?;
        }
        let steps = steps.taken;
        machine.work.start("measuring");
        let (comparison, noise) = self.measure(&placed, &quantizations, &chosen, machine)?;
        let net = chosen.in_levels(&placed, quantizations)?;
        let mut outcome = Outcome {
            origins: describe::origins(self.net, &placed.net),
            quantized: Quantized {
                net,
                report: Report::default(),
                comparison,
            },
            sensitivities: attempt.sensitivities.clone(),
            placed,
            choices,
            chosen,
            reference,
        };
        if self.options.sensitivity && outcome.sensitivities.is_empty() {
            outcome.sensitivities = outcome.measure_sensitivities(machine)?;
        }
        let why = Float {
            asked,
            sensitive: &attempt.sensitive,
        };
        outcome.quantized.report = Report {
            steps,
            layers: describe::layers(
                &outcome.placed,
                &outcome.origins,
                &noise.signal_to_noise(),
                &outcome.sensitivities,
                &why,
            ),
            ranges: describe::ranges(&outcome.placed, &outcome.choices, &seen),
            size: describe::sizes(self.net, &outcome.quantized.net),
            ..Report::default()
        };
        outcome.quantized.report.calibration.pictures = self.pictures.len();
        Ok(outcome)
    }

    /// Of all that [`Quantizer::run`] does, in runs of the network.
    fn cost(&self, placed: &Placed) -> u64 {
        let (all, options) = (self.pictures.len() as u64, self.options);
        let compared = all.min(COMPARED as u64);
        let steps = Step::ALL
            .iter()
            .filter(|step| options.takes(**step))
            .count() as u64;
        let ranges = match options.range {
            Range::By(_) => 0,
            Range::Measured { pictures } => {
                let tried = range_choice::leaders(placed).len() * Method::ALL.len();
                tried as u64 * all.min(pictures as u64)
            }
        };
        let layers = placed.net.layers();
        let rounding = match options.round_weights {
            0 => 0,
            _ => {
                let costs = layers.iter().enumerate().map(|(index, layer)| {
                    let counts = placed.computes_in_levels(index);
                    u64::from(counts) * weight_choice::rounding_cost(&placed.net, layer)
                });
                costs.sum()
            }
        };
        let sensitivity = match options.sensitivity {
            true => layers.len() as u64 * (compared + sensitivity::PACKING),
            false => 0,
        };
        let rewrites = REWRITES.iter();
        let rewrites = rewrites
            .filter(|rewrite| options.takes(rewrite.step))
            .count() as u64;
        let bounds = match options.equalize_below_bounds {
            true => Candidate::cost_of_bounds(self.net, compared),
            false => 0,
        };
        let candidates = (1 + rewrites) * Candidate::cost(all, compared) + bounds;
        candidates + all + (1 + steps) * compared + ranges + rounding + 2 * all + sensitivity
    }

    /// What is left of the network on all pictures, and in its layers.
    fn measure(
        &self,
        placed: &Placed,
        quantizations: &[Option<Quantization>],
        chosen: &Chosen,
        machine: &mut Machine,
    ) -> Result<(Comparison, LayerNoise), QuantizeError> {
        let net = chosen.simulated(placed)?;
        let mut float = machine.simulation(&placed.net, &[])?;
        let mut quantized = machine.simulation(&net, quantizations)?;
        let mut noise = LayerNoise::new(&net);
        let mut comparison = Comparison::default();
        for picture in self.pictures {
            let expected = float.run(picture, &mut |observed| noise.see_float(&net, &observed))?;
            let found = quantized.run(picture, &mut |observed| {
                noise.see_quantized(&net, &observed);
            })?;
            comparison.add(&expected, &found);
            machine.work.advance(2);
        }
        Ok((comparison, noise))
    }
}

impl Outcome<'_> {
    /// As [`Outcome::sensitivities`].
    pub fn measure_sensitivities(
        &self,
        machine: &mut Machine,
    ) -> Result<Vec<Option<f64>>, QuantizeError> {
        machine.work.start("measuring sensitivity");
        sensitivity::sensitivities(
            &self.placed,
            &self.origins,
            &self.choices.quantizations(),
            &self.chosen,
            &self.reference,
            machine,
        )
    }

    /// Ranges that were tried, for further attempts.
    pub fn known(&self) -> BTreeMap<String, Choice> {
        self.choices.by_writer(&self.placed)
    }
}

/// Steps as they are taken, each measured with those before it.
struct Steps<'a> {
    taken: Vec<report::Step>,
    reference: &'a Reference<'a>,
}

impl Steps<'_> {
    fn take(
        &mut self,
        name: &str,
        placed: &Placed,
        choices: &Choices,
        chosen: &Chosen,
        machine: &mut Machine,
    ) -> Result<(), QuantizeError> {
        let net = chosen.simulated(placed)?;
        let quantizations = choices.quantizations();
        let found = self
            .reference
            .signal_to_noise_of(&net, &quantizations, machine)?;
        machine.work.advance(self.reference.pictures() as u64);
        self.taken.push(report::Step {
            name: name.to_owned(),
            taken: true,
            signal_to_noise: Some(found),
        });
        Ok(())
    }

    fn leave(&mut self, step: Step) {
        self.taken.push(report::Step {
            name: step.name().to_owned(),
            taken: false,
            signal_to_noise: None,
        });
    }
}
