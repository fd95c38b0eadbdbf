//! Which board this is, and what is best there.

use anyhow::Result;

use super::{Report, cpu};
use crate::board::{self, Board};
use crate::engine::Precision;

pub fn check(report: &mut Report, board: Option<&Board>) -> Result<()> {
    report.heading("board")?;
    let model = board::model();
    let model = model.as_deref().unwrap_or("no device tree");
    let Some(board) = board else {
        return report.fact(format!(
            "{model}: none of boards/; threads and caches are what Linux tells of"
        ));
    };
    let file = format!("boards/{}.toml", board.file);
    report.fact(format!("{} ({file}; {model})", board.name))?;
    for cores in &board.cores {
        let cache = cores.level_2;
        let of = match cache.shared_by {
            1 => "each".to_owned(),
            n => format!("for {n}"),
        };
        report.fact(format!(
            "{} x {}: {}; level 2 cache of {} kB {of}",
            cores.count,
            cores.kind,
            cores.features.join(" "),
            cache.kb
        ))?;
    }
    // A 32-bit program is another section's to tell of.
    let is_32_bit = cfg!(target_arch = "arm");
    report.fact(format!(
        "best for one inference: --threads {}, --precision {}",
        board.threads().get(),
        match board.precision() {
            Precision::Fp16 if !is_32_bit => "fp16, if logits right to 10 bits will do",
            _ => "f32",
        }
    ))?;
    report.fact(format!(
        "oldest system: {} (glibc {})",
        board.system.name, board.system.glibc
    ))?;
    let here = cpu::models(&cpu::info());
    for cores in &board.cores {
        if !here.iter().any(|line| line.contains(&cores.kind)) {
            report.problem(
                format!(
                    "{file} has cores of kind {}, of which Linux tells of none",
                    cores.kind
                ),
                "name the board that this is with --board",
            )?;
        }
    }
    let arch = board.target.split('-').next();
    if !is_32_bit && arch != Some(std::env::consts::ARCH) {
        report.problem(
            format!("built for {}", env!("BUILD_TARGET")),
            format!("the build for {} is the one for this board", board.target),
        )?;
    }
    Ok(())
}
