//! What goes wrong with cameras and frames, worded for the person who has to fix it.

use std::{fmt, io};

use nix::errno::Errno;
use thiserror::Error;

use super::node::NotCapture;
use crate::preprocess::DecodeError;

/// A frame that cannot be turned into a picture.
#[derive(Debug, Error)]
pub enum FrameError {
    #[error("{0}")]
    Read(io::Error),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("{0}")]
    None(String),
    #[error("the picture cannot be decoded: {0}")]
    Panic(String),
    #[error("the frame has {found} bytes of {expected}")]
    Short { expected: usize, found: usize },
    #[error("a JPEG frame is cut short")]
    TruncatedJpeg,
    #[error("a frame of {width}x{height} cannot be converted: {message}")]
    Convert {
        width: u32,
        height: u32,
        message: String,
    },
}

/// A camera that cannot be used, or no longer. What is wrong and what to do are told apart, for
/// `doctor`; as text they stand together.
#[derive(Debug)]
pub enum CameraError {
    Absent {
        device: String,
    },
    Permission {
        device: String,
    },
    Busy {
        device: String,
    },
    NotV4l2 {
        device: String,
    },
    NotCapture {
        device: String,
        card: String,
        what: NotCapture,
    },
    /// A v4l2loopback device without a producer.
    Unfed {
        device: String,
        card: String,
    },
    RawSensor {
        device: String,
        card: String,
        driver: String,
    },
    NoFormat {
        device: String,
        card: String,
        formats: String,
    },
    FormatRefused {
        device: String,
        wanted: String,
        offered: String,
    },
    FormatChanged {
        device: String,
        wanted: String,
        got: String,
    },
    Bandwidth {
        device: String,
    },
    Stalled {
        device: String,
        seconds: f64,
    },
    /// Frames come, and every one of them is damaged.
    Damaged {
        device: String,
        frames: u64,
        seconds: f64,
    },
    Gone {
        device: String,
    },
    // The error is no `source`: the text has it already, and a broken pipe in the chain would
    // pass for a reader of our output that has left.
    Io {
        device: String,
        action: &'static str,
        error: io::Error,
    },
    Thread {
        device: String,
        error: io::Error,
    },
    Driver {
        device: String,
        message: String,
    },
}

/// How to get pictures from a camera whose kernel driver has none.
pub const CSI_WAYS_OUT: &str = "\
use a USB camera, or feed a v4l2loopback device, for instance
  sudo modprobe v4l2loopback video_nr=42 exclusive_caps=1
  rpicam-vid -t 0 -n --codec yuv420 --width 640 --height 480 -o - | ffmpeg -f rawvideo \
-pix_fmt yuv420p -s 640x480 -i - -pix_fmt yuyv422 -f v4l2 /dev/video42
and give --camera /dev/video42. An HDMI bridge in the camera's place works, with the --camera-size and \
--camera-format that it is set to";

impl CameraError {
    /// Words an error of the operating system by what it means for a camera.
    pub(super) fn from_io(device: &str, action: &'static str, error: io::Error) -> Self {
        let device = device.to_owned();
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENODEV | Errno::ENXIO) => CameraError::Gone { device },
            Some(Errno::EBUSY) => CameraError::Busy { device },
            Some(Errno::EACCES | Errno::EPERM) => CameraError::Permission { device },
            Some(Errno::ENOENT) => CameraError::Absent { device },
            Some(Errno::ENOTTY) => CameraError::NotV4l2 { device },
            _ => CameraError::Io {
                device,
                action,
                error,
            },
        }
    }

    /// What is wrong, with the device's name.
    pub fn problem(&self) -> String {
        match self {
            Self::Absent { device } => format!("{device}: no such device"),
            Self::Permission { device } => format!("{device}: permission denied"),
            Self::Busy { device } => format!("{device}: in use by another program"),
            Self::NotV4l2 { device } => format!("{device}: not a V4L2 device"),
            Self::NotCapture { device, card, what } => format!("{device} ({card}): {what}"),
            Self::Unfed { device, card } => {
                format!("{device} ({card}): nothing feeds this loopback device yet")
            }
            Self::RawSensor {
                device,
                card,
                driver,
            } => format!(
                "{device} ({card}, driver {driver}): gives a sensor's raw data, not pictures; those \
                 of a CSI camera are made by libcamera (Raspberry Pi) or Argus (Jetson)"
            ),
            Self::NoFormat {
                device,
                card,
                formats,
            } => format!(
                "{device} ({card}): none of its formats ({formats}) is one of those read here \
                 (YUYV, UYVY, NV12, MJPG, RGB3, BGR3, GREY)"
            ),
            Self::FormatRefused {
                device,
                wanted,
                offered,
            } => format!("{device}: does not offer {wanted}; it offers {offered}"),
            Self::FormatChanged {
                device,
                wanted,
                got,
            } => format!("{device}: switched to {got} when asked for {wanted}"),
            Self::Bandwidth { device } => {
                format!("{device}: not enough USB bandwidth for this size and format")
            }
            Self::Stalled { device, seconds } => format!("{device}: no frame for {seconds:.1} s"),
            Self::Damaged {
                device,
                frames,
                seconds,
            } => format!("{device}: only damaged frames, {frames} in {seconds:.1} s"),
            Self::Gone { device } => format!("{device}: unplugged"),
            Self::Io {
                device,
                action,
                error,
            } => format!("{device}: cannot {action}: {error}"),
            Self::Thread { device, error } => {
                format!("{device}: cannot start a thread to capture: {error}")
            }
            Self::Driver { device, message } => {
                format!("{device}: the driver's answer could not be understood: {message}")
            }
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        let text = match self {
            Self::Absent { .. } => {
                "plug the camera in, or see which there are with 'edge-classify doctor'"
            }
            Self::Permission { .. } => {
                "add the user to the group 'video' (sudo usermod -aG video $USER) and log in again"
            }
            Self::Busy { device } => return format!("'fuser -v {device}' names it"),
            Self::NotV4l2 { .. } => {
                "'edge-classify doctor' lists the cameras; pictures in files go to --source"
            }
            Self::NotCapture { what, .. } => what.remedy(),
            Self::Unfed { .. } => "start the program that writes to it first",
            Self::RawSensor { .. } => CSI_WAYS_OUT,
            Self::NoFormat { .. } => {
                "use another camera, or convert its pictures with ffmpeg into a v4l2loopback device"
            }
            Self::FormatRefused { .. } => {
                "give --camera-format another, or leave it out to have one chosen"
            }
            Self::FormatChanged { .. } => {
                "give --camera-format or --camera-size another value; 'edge-classify doctor' lists \
                 what the camera has"
            }
            Self::Bandwidth { .. } => {
                "try a smaller --camera-size, --camera-format MJPG, or a port of another USB \
                 controller"
            }
            Self::Stalled { .. } => {
                "try another --camera-format, or plug the camera in again or into another port; \
                 if it is a loopback device, see that its producer runs"
            }
            Self::Damaged { .. } => {
                "try another --camera-format, a shorter cable, or another port without a hub"
            }
            Self::Gone { .. } => "plug it in again, and see that cable and power supply are sound",
            Self::Io { .. } => {
                "plug the camera in again or into another port; 'sudo dmesg | tail' has the \
                 kernel's view"
            }
            Self::Thread { .. } => "end other programs, or raise the limit on processes",
            Self::Driver { .. } => {
                "try another --camera-format, or another camera, and report this message"
            }
        };
        text.to_owned()
    }

    /// Whether this is the other fault once more, whatever the figures in it.
    pub(super) fn repeats(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Io { action, error, .. },
                Self::Io {
                    action: other_action,
                    error: other_error,
                    ..
                },
            ) => {
                action == other_action
                    && error.raw_os_error() == other_error.raw_os_error()
                    && error.kind() == other_error.kind()
            }
            (Self::Driver { message, .. }, Self::Driver { message: other, .. }) => message == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl fmt::Display for CameraError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.problem(), self.remedy())
    }
}

impl std::error::Error for CameraError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_of_each() -> Vec<CameraError> {
        let device = || "/dev/video7".to_owned();
        let text = || "something".to_owned();
        let error = || io::Error::from_raw_os_error(Errno::EPROTO as i32);
        let not_capture = |what| CameraError::NotCapture {
            device: device(),
            card: text(),
            what,
        };
        vec![
            CameraError::Absent { device: device() },
            CameraError::Permission { device: device() },
            CameraError::Busy { device: device() },
            CameraError::NotV4l2 { device: device() },
            not_capture(NotCapture::Metadata),
            not_capture(NotCapture::MultiPlanar),
            not_capture(NotCapture::Converter),
            not_capture(NotCapture::Other(text())),
            CameraError::Unfed {
                device: device(),
                card: text(),
            },
            CameraError::RawSensor {
                device: device(),
                card: text(),
                driver: text(),
            },
            CameraError::NoFormat {
                device: device(),
                card: text(),
                formats: text(),
            },
            CameraError::FormatRefused {
                device: device(),
                wanted: text(),
                offered: text(),
            },
            CameraError::FormatChanged {
                device: device(),
                wanted: text(),
                got: text(),
            },
            CameraError::Bandwidth { device: device() },
            CameraError::Stalled {
                device: device(),
                seconds: 10.0,
            },
            CameraError::Damaged {
                device: device(),
                frames: 3,
                seconds: 10.0,
            },
            CameraError::Gone { device: device() },
            CameraError::Io {
                device: device(),
                action: "do",
                error: error(),
            },
            CameraError::Thread {
                device: device(),
                error: error(),
            },
            CameraError::Driver {
                device: device(),
                message: text(),
            },
        ]
    }

    #[test]
    fn every_error_names_the_device_and_a_remedy() {
        for error in one_of_each() {
            assert!(error.problem().starts_with("/dev/video7"), "{error:?}");
            assert!(error.remedy().len() > 10, "{error:?}");
            assert_eq!(
                error.to_string(),
                format!("{}; {}", error.problem(), error.remedy())
            );
        }
    }

    #[test]
    fn a_fault_repeats_only_itself() {
        let faults = one_of_each();
        for (i, fault) in faults.iter().enumerate() {
            for (j, other) in faults.iter().enumerate() {
                let both_not_capture = matches!(
                    (fault, other),
                    (
                        CameraError::NotCapture { .. },
                        CameraError::NotCapture { .. }
                    )
                );
                assert_eq!(fault.repeats(other), i == j || both_not_capture, "{other}");
            }
        }
        let stalled = |seconds| CameraError::Stalled {
            device: "a".to_owned(),
            seconds,
        };
        assert!(stalled(10.0).repeats(&stalled(10.1)));
        let io = |errno: Errno| {
            CameraError::from_io("a", "read", io::Error::from_raw_os_error(errno as i32))
        };
        assert!(io(Errno::EIO).repeats(&io(Errno::EIO)));
        assert!(!io(Errno::EIO).repeats(&io(Errno::EPIPE)));
    }

    #[test]
    fn no_cause_is_mistaken_for_a_reader_of_the_output() {
        let pipe = io::Error::from_raw_os_error(Errno::EPIPE as i32);
        let error = anyhow::Error::from(CameraError::from_io("a", "start the stream", pipe));
        assert!(error.chain().all(|cause| !cause.is::<io::Error>()));
    }
}
