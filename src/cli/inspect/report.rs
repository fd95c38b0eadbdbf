//! How a plan was quantized, as a page.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Result, bail};

use crate::model::Installed;
use crate::plan::{Plan, PlanError};
use crate::report::{Page, Report};
use crate::validate::wilson;

/// What a plan says of how it was quantized; no other model, and not every plan, says anything.
pub fn read(installed: &Installed) -> Result<Option<Report>, PlanError> {
    match installed.is_plan() {
        true => Plan::open(&installed.file)?.report(),
        false => Ok(None),
    }
}

pub fn write(installed: &Installed, file: &Path) -> Result<()> {
    let model = installed.file.display();
    if !installed.is_plan() {
        bail!(
            "{model}: not a plan; a plan in int8 has a report: make one with 'edge-classify compile MODEL --int8' of the \
             full build"
        );
    }
    let plan = Plan::open(&installed.file)?;
    let report = plan.report()?;
    let net = plan.net()?;
    let Some(report) = report else {
        match net.is_quantized() {
            true => bail!(
                "{model}: has no report, as an earlier version of this program compiled it; compile the model again"
            ),
            false => bail!(
                "{model}: has no report, as it is in {}, not quantized; 'edge-classify compile MODEL --int8' of the full build \
                 quantizes",
                net.precision()
            ),
        }
    };
    let labels = installed.labels(net.output().channels)?;
    let labels: Vec<String> = match &labels {
        Some(labels) => labels.iter().map(str::to_owned).collect(),
        None => Vec::new(),
    };
    let (same, pictures) = (report.agreement.same_class, report.agreement.pictures);
    let page = Page {
        name: &installed.name,
        facts: &facts(installed)?,
        labels: &labels,
        report: &report,
        same_class: wilson(same.min(pictures), pictures),
    };
    let html = page.to_html();
    super::super::write_file(file, html.as_bytes())?;
    let kilobytes = html.len() as f64 / 1e3;
    // Nobody may be listening any more.
    let _ = writeln!(io::stderr(), "{}: {kilobytes:.0} kB", file.display());
    Ok(())
}

fn facts(installed: &Installed) -> Result<Vec<(&'static str, String)>> {
    let file = installed.file.file_name().unwrap_or_default();
    let megabytes = std::fs::metadata(&installed.file)?.len() as f64 / 1e6;
    let file = format!("{}, {megabytes:.2} MB", file.to_string_lossy());
    let mut facts = vec![("Plan", file)];
    if let Some(card) = &installed.card {
        facts.insert(0, ("Network", card.description.clone()));
        facts.push(("Input", card.preprocess.size.to_string()));
        if let Some(weights) = &card.weights {
            facts.push(("Weights from", weights.source.clone()));
            facts.push(("Licence of the weights", weights.licence.clone()));
        }
    }
    facts.retain(|(_, value)| !value.is_empty());
    Ok(facts)
}
