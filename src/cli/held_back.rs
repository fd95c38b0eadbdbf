//! What a network in int8 makes of photographs that it was not calibrated with.

use anyhow::{Result, bail};

use crate::daemon;
use crate::engine::Options;
use crate::engine::net::Net;
use crate::model::Scores;
use crate::preprocess::Spec;
use crate::report::{self, Answer, Comparison, Report};
use crate::session::{Program, Session};

/// Photographs as a network reads them, f32 in planes, and what else is to be known of them.
pub struct HeldBack<'a> {
    pub planes: &'a [Vec<f32>],
    /// Names of their files.
    pub files: &'a [String],
    /// What they were made with.
    pub spec: &'a Spec,
    /// What the networks' outputs are.
    pub scores: Scores,
}

impl HeldBack<'_> {
    /// Compares the networks in float and in int8, and adds what is found to the report; of random pictures, nothing.
    pub fn compare(&self, nets: [&Net; 2], engine: &Options, report: &mut Report) -> Result<()> {
        if report.calibration.synthetic {
            return Ok(());
        }
        let [float, int8] = nets.map(|net| Session::with(Program::Net(net.clone()), engine));
        let (mut float, mut int8) = (float?, int8?);
        let mut comparison = Comparison::default();
        for (planes, file) in self.planes.iter().zip(self.files) {
            let outputs = [float.run(planes)?, int8.run(planes)?];
            let probabilities = outputs.each_ref().map(|output| match self.scores {
                Scores::Logits => daemon::softmax(output),
                Scores::Probabilities => Some(output.clone()),
            });
            let [Some(of_float), Some(of_int8)] = &probabilities else {
                bail!("for {file}, the network gives what is no number; look at its weights");
            };
            let answer = |logits, probabilities| Answer {
                logits,
                probabilities,
            };
            comparison.add(answer(&outputs[0], of_float), answer(&outputs[1], of_int8));
        }
        report.agreement = comparison.agreement();
        report.worst = comparison.worst(|index| {
            let thumbnail = report::thumbnail(&self.planes[index], self.spec);
            (self.files[index].clone(), thumbnail.unwrap_or_default())
        });
        Ok(())
    }
}
