//! Processor, features that the kernels use, cores.

use std::collections::BTreeMap;

use anyhow::Result;

use super::Report;

pub fn check(report: &mut Report) -> Result<()> {
    report.heading("processor")?;
    for line in models(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default()) {
        report.fact(line)?;
    }
    let features = features();
    let listed = |present: bool| {
        let names: Vec<_> = features
            .iter()
            .filter(|f| f.1 == present)
            .map(|f| f.0)
            .collect();
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(" ")
        }
    };
    report.fact(format!(
        "features: {}; absent: {}",
        listed(true),
        listed(false)
    ))?;
    match std::thread::available_parallelism() {
        Ok(cores) => report.fact(format!("cores usable: {cores}")),
        Err(error) => report.problem(
            format!("cannot tell how many cores may be used: {error}"),
            "give --threads",
        ),
    }
}

/// One line for each kind of core, with its count. x86 kernels name the model; ARM kernels give
/// implementer and part numbers, which the device tree's board name complements.
fn models(cpuinfo: &str) -> Vec<String> {
    let mut kinds = BTreeMap::<String, usize>::new();
    for processor in cpuinfo.split("\n\n") {
        let field = |name: &str| {
            processor.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                (key.trim() == name).then(|| value.trim().to_owned())
            })
        };
        if field("processor").is_none() {
            continue;
        }
        let kind = field("model name").or_else(|| {
            let part = field("CPU part")?;
            let implementer = field("CPU implementer")?;
            let name = match (implementer.as_str(), part.as_str()) {
                ("0x41", "0xd03") => "Cortex-A53",
                ("0x41", "0xd04") => "Cortex-A35",
                ("0x41", "0xd05") => "Cortex-A55",
                ("0x41", "0xd07") => "Cortex-A57",
                ("0x41", "0xd08") => "Cortex-A72",
                ("0x41", "0xd0b") => "Cortex-A76",
                ("0x41", "0xd42") => "Cortex-A78AE",
                ("0x4e", "0x004") => "NVIDIA Carmel",
                _ => "",
            };
            Some(
                format!("{name} (implementer {implementer}, part {part})")
                    .trim()
                    .to_owned(),
            )
        });
        *kinds
            .entry(kind.unwrap_or_else(|| "unknown".to_owned()))
            .or_default() += 1;
    }
    let board = std::fs::read_to_string("/proc/device-tree/model").ok();
    let board = board.map(|name| name.trim_matches('\0').to_owned());
    let cores = kinds
        .into_iter()
        .map(|(kind, count)| format!("{count} x {kind}"));
    board.into_iter().chain(cores).collect()
}

/// Whether each feature that matters to inference is there.
fn features() -> Vec<(&'static str, bool)> {
    macro_rules! detect {
        ($macro:ident: $($name:tt)*) => {
            vec![$(($name, std::arch::$macro!($name))),*]
        };
    }
    #[cfg(target_arch = "x86_64")]
    return detect!(is_x86_feature_detected: "avx2" "fma" "avx512f" "avx512vnni" "avxvnni");
    #[cfg(target_arch = "aarch64")]
    return detect!(is_aarch64_feature_detected: "neon" "dotprod" "i8mm" "fp16");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return Vec::new();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_counted_by_kind() {
        let big_little = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd03\n\n\
                          processor\t: 1\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n\n\
                          processor\t: 2\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n\n";
        let lines = models(big_little);
        assert!(
            lines.iter().any(|l| l.starts_with("1 x Cortex-A53")),
            "{lines:?}"
        );
        assert!(
            lines.iter().any(|l| l.starts_with("2 x Cortex-A72")),
            "{lines:?}"
        );
        let pc =
            "processor\t: 0\nmodel name\t: Some CPU\n\nprocessor\t: 1\nmodel name\t: Some CPU\n";
        assert!(models(pc).contains(&"2 x Some CPU".to_owned()));
        assert!(models("garbage").iter().all(|line| !line.contains(" x ")));
    }
}
