//! Temperatures, and throttling where the board tells.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::Report;

/// Boards begin to throttle at 80 to 85 degrees Celsius.
const HOT_MILLIDEGREES: i64 = 80_000;

/// `throttled`: where the firmware tells by its flags, as Raspberry Pi's does: under-voltage, frequency capped, throttled,
/// soft limit; the same sixteen bits up since the start.
pub fn check(report: &mut Report, throttled: Option<&Path>) -> Result<()> {
    report.heading("temperature")?;
    let mut any = false;
    for (zone, millidegrees) in zones(Path::new("/sys/class/thermal")) {
        any = true;
        let text = format!("{zone}: {:.1} °C", millidegrees as f64 / 1000.0);
        if millidegrees >= HOT_MILLIDEGREES {
            report.problem(
                text,
                "add a heat sink or a fan, or lower the rate with --fps",
            )?;
        } else {
            report.fact(text)?;
        }
    }
    if !any {
        report.fact("no sensor")?;
    }
    let flags = throttled.and_then(|file| fs::read_to_string(file).ok());
    let Some(flags) = flags.and_then(|text| {
        let digits = text.trim().trim_start_matches("0x");
        u32::from_str_radix(digits, 16).ok()
    }) else {
        return Ok(());
    };
    if flags & 0x1 != 0 {
        report.problem("under-voltage", "use the power supply made for this board")?;
    }
    if flags & 0xe != 0 {
        report.problem(
            "throttled now",
            "cool the board, or lower the rate with --fps",
        )?;
    } else if flags & 0xf_0000 != 0 {
        report.fact("was throttled or under-voltage since it started")?;
    }
    Ok(())
}

/// Name and temperature of every readable thermal zone.
fn zones(root: &Path) -> Vec<(String, i64)> {
    let mut zones: Vec<_> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let zone = entry.ok()?.path();
            zone.file_name()?.to_str()?.strip_prefix("thermal_zone")?;
            let read = |file: &str| fs::read_to_string(zone.join(file)).ok();
            let millidegrees = read("temp")?.trim().parse().ok()?;
            let name = read("type")?.trim().to_owned();
            Some((name, millidegrees))
        })
        .collect();
    zones.sort();
    zones
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreadable_zones_are_left_out() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("thermal_zone0/type", "cpu-thermal\n");
        write("thermal_zone0/temp", "48312\n");
        write("thermal_zone1/type", "broken\n");
        write("cooling_device0/type", "fan\n");
        assert_eq!(zones(root.path()), [("cpu-thermal".to_owned(), 48312)]);
        assert!(zones(&root.path().join("absent")).is_empty());
    }
}
