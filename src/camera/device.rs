//! Opening a V4L2 device and asking what it offers.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::video::Capture;
use v4l::{Device, FourCC};

use super::negotiate::{Mode, SizeRange, Steps, Wish, sizes_in_range, sizes_unlisted};
use super::node::{NoPictures, Unfit, is_csi_receiver, no_pictures, unfit};
use super::{CameraError, PixelFormat};
use crate::panics;

/// An open capture device and its modes.
pub(super) struct Opened {
    pub device: Device,
    pub card: String,
    pub driver: String,
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
    let about = device
        .query_caps()
        .map_err(|error| CameraError::from_io(path, "query capabilities", error))?;
    let (card, driver) = (about.card, about.driver);
    match unfit(&driver, about.capabilities) {
        Some(Unfit::Unfed) => {
            let device = named();
            return Err(CameraError::Unfed { device, card });
        }
        Some(Unfit::NotCapture(what)) => {
            let device = named();
            return Err(CameraError::NotCapture { device, card, what });
        }
        None => {}
    }
    let formats: Vec<FourCC> = device
        .enum_formats()
        .map_err(|error| CameraError::from_io(path, "list formats", error))?
        .iter()
        .map(|description| description.fourcc)
        .collect();
    let modes = modes(&device, &formats, wish);
    if modes.is_empty() {
        return Err(no_usable_format(path, card, driver, &formats));
    }
    Ok(Opened {
        device,
        card,
        driver,
        modes,
        formats,
    })
}

fn no_usable_format(path: &str, card: String, driver: String, formats: &[FourCC]) -> CameraError {
    let device = path.to_owned();
    match no_pictures(&driver, formats) {
        NoPictures::RawSensor => CameraError::RawSensor {
            device,
            card,
            driver,
        },
        NoPictures::Unfed => CameraError::Unfed { device, card },
        NoPictures::OtherFormats => CameraError::NoFormat {
            device,
            card,
            formats: list(formats),
        },
    }
}

pub(super) fn list(formats: &[FourCC]) -> String {
    let names: Vec<String> = formats.iter().map(FourCC::to_string).collect();
    if names.is_empty() {
        return "none".to_owned();
    }
    names.join(", ")
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
    let Ok(offered) = device.enum_framesizes(fourcc) else {
        let current = device.format().ok().map(|f| (f.width, f.height));
        return sizes_unlisted(current, wish);
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
    /// A CSI receiver: it gives pictures only if what is connected to it makes them.
    CsiReceiver {
        card: String,
        driver: String,
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
        Err(CameraError::RawSensor { card, driver, .. }) => {
            return CameraStatus::CsiReceiver { card, driver };
        }
        Err(error) => return CameraStatus::Unusable(error),
    };
    if is_csi_receiver(&opened.driver) {
        return CameraStatus::CsiReceiver {
            card: opened.card,
            driver: opened.driver,
        };
    }
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
