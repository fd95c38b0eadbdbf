//! `doctor`: what this machine is, what is wrong with it, and what to do.

mod board;
pub(super) mod cpu;
mod model;
mod thermal;

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;

use anyhow::{Result, bail};
use nix::unistd::{Gid, Group, Uid, User, getgroups};

use super::args::DoctorArgs;
use crate::camera::{CSI_WAYS_OUT, CameraError, CameraReport, CameraStatus, probe, stable_names};
use crate::model::Library;

/// # Errors
/// If what is found cannot be printed, or a model that was named cannot be used.
pub fn doctor(args: &DoctorArgs) -> Result<()> {
    let board = args.engine.board();
    let board = board.as_ref();
    let mut report = Report {
        out: io::stdout().lock(),
        problems: 0,
    };
    program(&mut report)?;
    cpu::check(&mut report)?;
    board::check(&mut report, board)?;
    thermal::check(
        &mut report,
        board.and_then(|board| board.throttled.as_deref()),
    )?;
    cameras(&mut report)?;
    models(&mut report)?;
    let unusable = match &args.model {
        Some(name) => model::check(&mut report, name, args)?,
        None => false,
    };
    let problems = report.problems;
    report.heading(match problems {
        0 => "no problems found".to_owned(),
        1 => "1 problem found".to_owned(),
        n => format!("{n} problems found"),
    })?;
    match unusable {
        true => bail!("the model cannot be used on this machine"),
        false => Ok(()),
    }
}

/// Findings as they are made; each problem comes with its remedy.
struct Report<'a> {
    out: io::StdoutLock<'a>,
    problems: usize,
}

impl Report<'_> {
    fn heading(&mut self, text: impl AsRef<str>) -> Result<()> {
        Ok(writeln!(self.out, "{}", text.as_ref())?)
    }

    fn fact(&mut self, text: impl AsRef<str>) -> Result<()> {
        Ok(writeln!(self.out, "  {}", text.as_ref())?)
    }

    fn problem(&mut self, text: impl AsRef<str>, remedy: impl AsRef<str>) -> Result<()> {
        self.problems += 1;
        writeln!(self.out, "  ! {}", text.as_ref())?;
        self.hint(remedy)
    }

    fn hint(&mut self, text: impl AsRef<str>) -> Result<()> {
        let text = text.as_ref().replace('\n', "\n       ");
        Ok(writeln!(self.out, "    -> {text}")?)
    }
}

fn program(report: &mut Report) -> Result<()> {
    report.heading(format!("edge-classify {}", env!("CARGO_PKG_VERSION")))?;
    let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    if cfg!(debug_assertions) {
        return report.problem(
            format!("built without optimisation for {target}"),
            "build with 'cargo build --release'; this build is many times slower",
        );
    }
    let only = match cfg!(feature = "host") {
        true => "",
        false => ", of what runs plans",
    };
    report.fact(format!("optimised build for {target}{only}"))
}

fn cameras(report: &mut Report) -> Result<()> {
    report.heading("cameras")?;
    let cameras = probe();
    if cameras.is_empty() {
        report.problem(
            "no /dev/video* device",
            "plug a USB camera in (then 'dmesg | tail' shows it); without one, try --camera test",
        )?;
    }
    for camera in &cameras {
        one_camera(report, camera)?;
    }
    csi_receivers(report, &cameras)?;
    permissions(report, cameras.first().map(|camera| camera.device.as_str()))
}

fn one_camera(report: &mut Report, camera: &CameraReport) -> Result<()> {
    match &camera.status {
        CameraStatus::Usable {
            card,
            modes,
            others,
        } => {
            report.fact(format!("{} {card}", camera.device))?;
            for name in stable_names(&camera.device) {
                report.fact(format!("  {name}"))?;
            }
            report.fact(format!("  {}", modes.join(", ")))?;
            if !others.is_empty() {
                report.fact(format!("  not read here: {}", others.join(", ")))?;
            }
            Ok(())
        }
        CameraStatus::CsiReceiver { card, driver } => report.fact(format!(
            "{} {card}: CSI receiver (driver {driver})",
            camera.device
        )),
        // A USB camera's metadata node, or a codec: there by design.
        CameraStatus::Unusable(error @ CameraError::NotCapture { .. }) => {
            report.fact(error.problem())
        }
        CameraStatus::Unusable(error) => report.problem(error.problem(), error.remedy()),
    }
}

/// A board has many receivers, so what holds for all is said once.
fn csi_receivers(report: &mut Report, cameras: &[CameraReport]) -> Result<()> {
    const TEXT: &str = "the pictures of a CSI camera are normally made by libcamera (Raspberry Pi) \
                        or Argus (Jetson); its receiver alone has the sensor's raw data";
    let any = |is: fn(&CameraStatus) -> bool| cameras.iter().any(|camera| is(&camera.status));
    if !any(|status| matches!(status, CameraStatus::CsiReceiver { .. })) {
        return Ok(());
    }
    if any(|status| matches!(status, CameraStatus::Usable { .. })) {
        report.fact(TEXT)?;
        return report.hint(CSI_WAYS_OUT);
    }
    report.problem(TEXT, CSI_WAYS_OUT)
}

/// Video nodes belong to a group, usually `video`; who is not in it cannot open them.
fn permissions(report: &mut Report, device: Option<&str>) -> Result<()> {
    let uid = Uid::effective();
    let user = User::from_uid(uid).ok().flatten();
    let user = user.map_or_else(|| uid.to_string(), |user| user.name);
    let group = match device.and_then(|device| std::fs::metadata(device).ok()) {
        Some(metadata) => Group::from_gid(Gid::from_raw(metadata.gid()))
            .ok()
            .flatten(),
        None => Group::from_name("video").ok().flatten(),
    };
    let Some(group) = group else {
        return Ok(());
    };
    let member = uid.is_root()
        || Gid::effective() == group.gid
        || getgroups().is_ok_and(|groups| groups.contains(&group.gid));
    if member {
        return report.fact(format!(
            "user {user} may use devices of group {}",
            group.name
        ));
    }
    report.problem(
        format!("user {user} is not in group {}", group.name),
        format!("sudo usermod -aG {} {user}, then log in again", group.name),
    )
}

fn models(report: &mut Report) -> Result<()> {
    report.heading("models")?;
    let library = Library::from_environment();
    for directory in library.directories() {
        let state = if directory.is_dir() { "" } else { " (absent)" };
        report.fact(format!("{}{state}", directory.display()))?;
    }
    let models = library.list();
    if models.is_empty() {
        report.problem(
            "no models in these directories",
            "put a model there, name another directory in EDGE_CLASSIFY_MODELS, or give --model a path",
        )?;
    }
    for (name, found) in models {
        match found {
            Ok(model) if cfg!(not(feature = "host")) && !model.is_plan() => report.problem(
                format!("{name}: {}: not a plan", model.file.display()),
                "this build runs plans alone; make one with 'edge-classify compile' of the full build, on any machine",
            )?,
            Ok(model) => report.fact(format!("{name}: {}", model.file.display()))?,
            Err(error) => report.problem(
                format!("{name}: {error}"),
                "install the model again, or correct its card",
            )?,
        }
    }
    Ok(())
}
