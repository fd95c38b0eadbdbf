//! Processor, features that the kernels use, cores.

use std::collections::BTreeMap;

use anyhow::Result;
use edge_classify_kernels::Isa;

use super::Report;
use crate::engine::{ISA_VARIABLE, Precision, chosen_isa};

/// What the kernel says of each processor.
pub fn info() -> String {
    std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default()
}

pub(super) fn check(report: &mut Report) -> Result<()> {
    report.heading("processor")?;
    let cpuinfo = info();
    for line in models(&cpuinfo) {
        report.fact(line)?;
    }
    let features = features(&cpuinfo);
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
    #[cfg(target_arch = "arm")]
    arm::advise(report, &cpuinfo)?;
    let available: Vec<_> = Isa::available().iter().map(|isa| isa.name()).collect();
    match chosen_isa() {
        Ok(isa) => report.fact(format!(
            "kernels: {}, of {}; {}",
            isa.name(),
            available.join(", "),
            match Precision::Fp16.is_native(isa) {
                true => "fp16 with --precision fp16",
                false => "no fp16",
            }
        )),
        Err(error) => report.problem(error.to_string(), format!("unset {ISA_VARIABLE}")),
    }?;
    match std::thread::available_parallelism() {
        Ok(cores) => report.fact(format!("cores usable: {cores}")),
        Err(error) => report.problem(
            format!("cannot tell how many cores may be used: {error}"),
            "give --threads",
        ),
    }
}

/// ARM's implementer and part numbers, and what they stand for.
const ARM_CORES: [[&str; 3]; 8] = [
    ["0x41", "0xd03", "Cortex-A53"],
    ["0x41", "0xd04", "Cortex-A35"],
    ["0x41", "0xd05", "Cortex-A55"],
    ["0x41", "0xd07", "Cortex-A57"],
    ["0x41", "0xd08", "Cortex-A72"],
    ["0x41", "0xd0b", "Cortex-A76"],
    ["0x41", "0xd42", "Cortex-A78AE"],
    ["0x4e", "0x004", "NVIDIA Carmel"],
];

/// One line for each kind of core, with its count. ARM kernels give implementer and part numbers, and some of them the
/// architecture as the model's name; x86 kernels name the model.
pub fn models(cpuinfo: &str) -> Vec<String> {
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
        let numbered = || {
            let part = field("CPU part")?;
            let implementer = field("CPU implementer")?;
            let is = |core: &&[&str; 3]| core[..2] == [&implementer, &part];
            let name = ARM_CORES.iter().find(is).map_or("", |core| core[2]);
            Some(
                format!("{name} (implementer {implementer}, part {part})")
                    .trim()
                    .to_owned(),
            )
        };
        let kind = numbered().or_else(|| field("model name"));
        *kinds
            .entry(kind.unwrap_or_else(|| "unknown".to_owned()))
            .or_default() += 1;
    }
    let cores = kinds.into_iter();
    cores
        .map(|(kind, count)| format!("{count} x {kind}"))
        .collect()
}

/// Whether each feature that matters to inference is there.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub fn features(_: &str) -> Vec<(&'static str, bool)> {
    macro_rules! detect {
        ($macro:ident: $($name:tt)*) => {
            vec![$(($name, std::arch::$macro!($name))),*]
        };
    }
    #[cfg(target_arch = "x86_64")]
    return detect!(is_x86_feature_detected: "avx2" "fma" "avx512f" "avx512vnni" "avxvnni");
    #[cfg(target_arch = "aarch64")]
    return detect!(is_aarch64_feature_detected: "neon" "dotprod" "i8mm" "fp16");
}

#[cfg(target_arch = "arm")]
pub use arm::features;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "arm")))]
pub fn features(_: &str) -> Vec<(&'static str, bool)> {
    Vec::new()
}

/// 32-bit ARM, where the standard library cannot detect features yet.
#[cfg(any(target_arch = "arm", test))]
mod arm {
    fn has(cpuinfo: &str, feature: &str) -> bool {
        cpuinfo
            .lines()
            .filter_map(|line| line.split_once(':'))
            .filter(|(key, _)| key.trim() == "Features")
            .any(|(_, list)| list.split_whitespace().any(|word| word == feature))
    }

    /// A 64-bit kernel uses its own words for what its 32-bit programs may use, too.
    pub fn is_64_bit(cpuinfo: &str) -> bool {
        has(cpuinfo, "asimd")
    }

    pub fn features(cpuinfo: &str) -> Vec<(&'static str, bool)> {
        let is_64_bit = is_64_bit(cpuinfo);
        vec![
            ("neon", is_64_bit || has(cpuinfo, "neon")),
            ("vfpv4", is_64_bit || has(cpuinfo, "vfpv4")),
            ("dotprod", has(cpuinfo, "asimddp")),
            ("fp16", has(cpuinfo, "asimdhp")),
        ]
    }

    #[cfg(target_arch = "arm")]
    pub fn advise(report: &mut super::Report, cpuinfo: &str) -> anyhow::Result<()> {
        if is_64_bit(cpuinfo) {
            report.fact("32-bit program on a 64-bit kernel: the aarch64 build suits it better")?;
        }
        if !features(cpuinfo).contains(&("neon", true)) {
            report.problem(
                "the kernel reports no NEON, without which inference is many times slower",
                match cfg!(feature = "host") {
                    true => "use a board with NEON; if this has it, set TRACT_CPU_ARM32_NEON=true",
                    false => "use a board with NEON",
                },
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_of_32_bit_arm_are_read_from_either_kernel() {
        let pi2 = "processor\t: 0\nFeatures\t: half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 \
                   idiva idivt vfpd32 lpae evtstrm\n";
        let pi5 = "processor\t: 0\nFeatures\t: fp asimd evtstrm aes crc32 atomics fphp asimdhp \
                   cpuid asimdrdm lrcpc dcpop asimddp\n";
        let pi_zero = "processor\t: 0\nFeatures\t: half thumb fastmult vfp edsp java tls\n";
        let present = |cpuinfo| {
            let features = arm::features(cpuinfo).into_iter();
            features.filter(|f| f.1).map(|f| f.0).collect::<Vec<_>>()
        };
        assert_eq!(present(pi2), ["neon", "vfpv4"]);
        assert_eq!(present(pi5), ["neon", "vfpv4", "dotprod", "fp16"]);
        assert!(present(pi_zero).is_empty() && present("").is_empty());
        assert!(arm::is_64_bit(pi5) && !arm::is_64_bit(pi2));
    }

    #[test]
    fn the_cores_of_all_boards_are_known() {
        for board in crate::board::Board::all() {
            for cores in &board.cores {
                let known = ARM_CORES.iter().any(|core| core[2] == cores.kind);
                assert!(known, "{}: {}", board.file, cores.kind);
            }
        }
    }

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
        let xavier = "processor\t: 0\nmodel name\t: ARMv8 Processor rev 0 (v8l)\nCPU implementer\t: 0x4e\n\
                      CPU part\t: 0x004\n\n";
        assert!(models(xavier)[0].starts_with("1 x NVIDIA Carmel"));
        let pc =
            "processor\t: 0\nmodel name\t: Some CPU\n\nprocessor\t: 1\nmodel name\t: Some CPU\n";
        assert!(models(pc).contains(&"2 x Some CPU".to_owned()));
        assert!(models("garbage").is_empty());
    }
}
