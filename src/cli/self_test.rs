//! Whether the model's network says here what it said where it was compiled.

use std::path::Path;

use anyhow::{Result, anyhow};

use super::doctor::cpu;
use crate::engine::Options;
use crate::plan::SelfTest;
use crate::session::Session;

/// Runs the first `most` pictures of a self-test.
///
/// # Errors
/// If the network says something else: what, where, and what to do.
pub fn replay(
    test: &SelfTest,
    session: &mut Session,
    most: usize,
    file: &Path,
    options: &Options,
) -> Result<()> {
    test.replay(session, most).map_err(|mismatch| {
        let file = file.display();
        let processor = cpu::models(&cpu::info()).join(", ");
        anyhow!(
            "{file}: the self-test fails on this processor ({processor}; kernels {}, {}): {mismatch}\n\
             The file is whole, so it was compiled by a program that computes otherwise, or this machine computes wrongly. \
             Compile it again with this version; if it still fails, {}=portable shows whether it is the processor's \
             special instructions. --no-self-test runs it nevertheless",
            options.isa.name(),
            session.precision(),
            crate::engine::ISA_VARIABLE,
        )
    })
}
