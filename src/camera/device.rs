//! Opening a V4L2 device and asking what it offers.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use v4l::capability::{Capabilities, Flags};
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::video::Capture;
use v4l::{Device, FourCC};

use super::negotiate::{Mode, SizeRange, Steps, Wish, sizes_in_range};
use super::{CameraError, PixelFormat};
use crate::panics;

/// An open capture device and its modes.
pub(super) struct Opened {
    pub device: Device,
    pub card: String,
    pub modes: Vec<Mode>,
    /// Every format offered, also those not read here.
    pub formats: Vec<FourCC>,
}

/// Runs code of the `v4l` crate, which panics on answers outside its enumerations.
pub(super) fn guarded<T>(
    device: &str,
    call: impl FnOnce() -> Result<T, CameraError>,
) -> Result<T, CameraError> {
    panics::guard(call, |message| CameraError::Driver {
        device: device.to_owned(),
        message,
    })
}

pub(super) fn open(path: &str, wish: &Wish) -> Result<Opened, CameraError> {
    let named = || path.to_owned();
    match std::fs::metadata(path) {
        Err(error) => return Err(CameraError::from_io(path, "open", error)),
        Ok(metadata) if !metadata.file_type().is_char_device() => {
            return Err(CameraError::NotV4l2 { device: named() });
        }
        Ok(_) => {}
    }
    let device =
        Device::with_path(path).map_err(|error| CameraError::from_io(path, "open", error))?;
    let capabilities = device
        .query_caps()
        .map_err(|error| CameraError::from_io(path, "query capabilities", error))?;
    if !capabilities.capabilities.contains(Flags::VIDEO_CAPTURE) {
        return Err(CameraError::NotCapture {
            device: named(),
            card: capabilities.card,
            capabilities: capabilities.capabilities.to_string(),
        });
    }
    let formats: Vec<FourCC> = device
        .enum_formats()
        .map_err(|error| CameraError::from_io(path, "list formats", error))?
        .iter()
        .map(|description| description.fourcc)
        .collect();
    let modes = modes(&device, &formats, wish);
    if modes.is_empty() {
        return Err(no_usable_format(path, capabilities, &formats));
    }
    Ok(Opened {
        device,
        card: capabilities.card,
        modes,
        formats,
    })
}

fn no_usable_format(path: &str, capabilities: Capabilities, formats: &[FourCC]) -> CameraError {
    let listed = list(formats);
    if formats.iter().any(|format| is_raw_sensor(format.repr)) {
        return CameraError::RawSensor {
            device: path.to_owned(),
            card: capabilities.card,
            driver: capabilities.driver,
            formats: listed,
        };
    }
    CameraError::NoFormat {
        device: path.to_owned(),
        card: capabilities.card,
        formats: listed,
    }
}

pub(super) fn list(formats: &[FourCC]) -> String {
    let names: Vec<String> = formats.iter().map(FourCC::to_string).collect();
    if names.is_empty() {
        return "none".to_owned();
    }
    names.join(", ")
}

/// Whether a format is a Bayer mosaic or its like. V4L2 names them by their first pixels, depth
/// and packing: `BA81`, `RG10`, `RGGB`, `pBAA`, `BYR2` and so on.
fn is_raw_sensor(fourcc: [u8; 4]) -> bool {
    const MOSAICS: [&[u8]; 7] = [b"BA", b"BG", b"BYR", b"GB", b"GR", b"RG", b"p"];
    // RGB and grey pictures whose names start likewise (`RGB3`, `BGR4`, `BA24`, `GREY`).
    const FINISHED: [&[u8]; 4] = [b"RGB", b"BGR", b"BA2", b"GREY"];
    let starts_with_one_of =
        |prefixes: &[&[u8]]| prefixes.iter().any(|prefix| fourcc.starts_with(prefix));
    starts_with_one_of(&MOSAICS) && !starts_with_one_of(&FINISHED)
}

fn modes(device: &Device, formats: &[FourCC], wish: &Wish) -> Vec<Mode> {
    let mut modes = Vec::new();
    for &fourcc in formats {
        let Some(pixel) = PixelFormat::from_fourcc(fourcc.repr) else {
            continue;
        };
        for (width, height) in sizes(device, fourcc, wish) {
            modes.push(Mode {
                pixel,
                width,
                height,
                max_fps: max_fps(device, fourcc, width, height),
            });
        }
    }
    modes
}

fn sizes(device: &Device, fourcc: FourCC, wish: &Wish) -> Vec<(u32, u32)> {
    // Drivers without enumeration have the size they are set to.
    let Ok(offered) = device.enum_framesizes(fourcc) else {
        let current = device.format();
        return current.map_or_else(|_| Vec::new(), |f| vec![(f.width, f.height)]);
    };
    offered
        .into_iter()
        .flat_map(|offer| match offer.size {
            FrameSizeEnum::Discrete(size) => vec![(size.width, size.height)],
            FrameSizeEnum::Stepwise(range) => {
                let range = SizeRange {
                    width: Steps {
                        min: range.min_width,
                        max: range.max_width,
                        step: range.step_width,
                    },
                    height: Steps {
                        min: range.min_height,
                        max: range.max_height,
                        step: range.step_height,
                    },
                };
                sizes_in_range(&range, wish)
            }
        })
        .collect()
}

fn max_fps(device: &Device, fourcc: FourCC, width: u32, height: u32) -> Option<f64> {
    let intervals = device.enum_frameintervals(fourcc, width, height).ok()?;
    intervals
        .iter()
        .map(|offer| match &offer.interval {
            FrameIntervalEnum::Discrete(interval) => interval,
            FrameIntervalEnum::Stepwise(range) => &range.min,
        })
        .filter(|interval| interval.numerator > 0)
        .map(|interval| f64::from(interval.denominator) / f64::from(interval.numerator))
        .max_by(f64::total_cmp)
}

/// What `doctor` tells of one video node.
#[derive(Debug)]
pub struct CameraReport {
    pub device: String,
    pub status: CameraStatus,
}

#[derive(Debug)]
pub enum CameraStatus {
    Usable {
        card: String,
        /// Readable formats and their sizes, and the other formats by name.
        modes: Vec<String>,
        others: Vec<String>,
    },
    Unusable(CameraError),
}

/// Asks every `/dev/video*` node what it is.
pub fn probe() -> Vec<CameraReport> {
    let mut nodes: Vec<_> = std::fs::read_dir("/dev")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_prefix("video")?.parse::<u32>().ok())
        .collect();
    nodes.sort_unstable();
    nodes
        .into_iter()
        .map(|number| {
            let device = format!("/dev/video{number}");
            CameraReport {
                status: report(&device),
                device,
            }
        })
        .collect()
}

fn report(device: &str) -> CameraStatus {
    let wish = Wish {
        size: None,
        pixel: None,
        cover: 224,
        fps: 30.0,
    };
    let opened = match guarded(device, || open(device, &wish)) {
        Ok(opened) => opened,
        Err(error) => return CameraStatus::Unusable(error),
    };
    let mut modes = Vec::new();
    for mode in &opened.modes {
        let fps = mode
            .max_fps
            .map_or_else(String::new, |fps| format!("@{fps:.0}"));
        modes.push(format!(
            "{} {}x{}{fps}",
            mode.pixel, mode.width, mode.height
        ));
    }
    let others = opened
        .formats
        .iter()
        .filter(|f| PixelFormat::from_fourcc(f.repr).is_none());
    CameraStatus::Usable {
        card: opened.card,
        modes,
        others: others.map(FourCC::to_string).collect(),
    }
}

/// The stable names under `/dev/v4l/by-id` that lead to a node.
pub fn stable_names(device: &str) -> Vec<String> {
    let node = Path::new(device);
    std::fs::read_dir("/dev/v4l/by-id")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|link| link.canonicalize().is_ok_and(|target| target == node))
        .map(|link| link.display().to_string())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensor_formats_are_told_from_pictures() {
        for raw in [
            b"BA81", b"pBAA", b"RG10", b"pgAA", b"GRBG", b"BYR2", b"GB12", b"BG16",
        ] {
            assert!(is_raw_sensor(*raw), "{raw:?}");
        }
        for finished in [
            b"RGB3", b"BGR3", b"BA24", b"GREY", b"YUYV", b"MJPG", b"NV12", b"H264",
        ] {
            assert!(!is_raw_sensor(*finished), "{finished:?}");
        }
    }

    #[test]
    fn what_is_no_camera_is_refused_with_its_name() {
        let wish = Wish {
            size: None,
            pixel: None,
            cover: 224,
            fps: 30.0,
        };
        let open = |path: &str| open(path, &wish).map(|_| ()).unwrap_err();
        let absent = open("/dev/video4242");
        assert!(matches!(absent, CameraError::Absent { .. }), "{absent}");
        assert!(absent.to_string().contains("/dev/video4242"));
        let file = tempfile::NamedTempFile::new().unwrap();
        let file = open(file.path().to_str().unwrap());
        assert!(matches!(file, CameraError::NotV4l2 { .. }), "{file}");
        let null = open("/dev/null");
        assert!(matches!(null, CameraError::NotV4l2 { .. }), "{null}");
    }
}
