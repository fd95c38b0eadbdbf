//! A model that is asked about: whether it loads, and gives here what it gave where it was compiled.

use std::time::Instant;

use anyhow::Result;

use super::Report;
use crate::cli::args::DoctorArgs;
use crate::cli::self_test;
use crate::daemon;

/// Whether it cannot be used.
pub(super) fn check(report: &mut Report, name: &str, args: &DoctorArgs) -> Result<bool> {
    report.heading(format!("model {name}"))?;
    match test(args, name) {
        Ok(facts) => facts
            .iter()
            .try_for_each(|fact| report.fact(fact))
            .map(|()| false),
        Err(error) => {
            let text = super::super::describe(&error);
            let (problem, remedy) = text
                .split_once('\n')
                .unwrap_or((&text, "give another model"));
            report.problem(problem, remedy).map(|()| true)
        }
    }
}

fn test(args: &DoctorArgs, name: &str) -> Result<Vec<String>> {
    let installed = args.trust.find_model(name)?;
    let options = args.engine.options()?;
    let mut model = daemon::load(&installed, None, &options)?;
    let file = installed.file.display();
    let mut facts = vec![format!(
        "{file}: {} classes, runs in {} with kernels {}",
        model.session.classes(),
        model.session.precision(),
        options.isa.name()
    )];
    if args.trust.requires_signature() {
        facts.push("the signature is right".to_owned());
    }
    let Some(test) = &model.self_test else {
        facts.push(match installed.is_plan() {
            true => "no self-test in this plan; compiled again, it has one".to_owned(),
            false => "no self-test, which only plans have".to_owned(),
        });
        return Ok(facts);
    };
    let start = Instant::now();
    self_test::replay(
        test,
        &mut model.session,
        usize::MAX,
        &installed.file,
        &options,
    )?;
    facts.push(format!(
        "self-test: {} for {} pictures, in {:.1} ms",
        match test.is_exact() {
            true => "the same bits as where it was compiled",
            false => "the logits that it gave where it was compiled, within their tolerance",
        },
        test.pictures(),
        start.elapsed().as_secs_f64() * 1e3
    ));
    Ok(facts)
}
