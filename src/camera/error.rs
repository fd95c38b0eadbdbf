//! What goes wrong with cameras and frames, worded for the person who has to fix it.

use std::io;

use thiserror::Error;

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

/// A camera that cannot be used, or no longer.
#[derive(Debug, Error)]
pub enum CameraError {
    #[error(
        "{device}: no such device; plug the camera in, or see which there are with \
         'edge-classify doctor'"
    )]
    Absent { device: String },
    #[error(
        "{device}: permission denied; add the user to the group 'video' \
         (sudo usermod -aG video $USER) and log in again"
    )]
    Permission { device: String },
    #[error("{device}: in use by another program; 'fuser -v {device}' names it")]
    Busy { device: String },
    #[error("{device}: not a V4L2 device")]
    NotV4l2 { device: String },
    #[error(
        "{device} ({card}): not a video capture device ({capabilities}); a USB camera has a second \
         node for metadata, use the other one"
    )]
    NotCapture {
        device: String,
        card: String,
        capabilities: String,
    },
    #[error(
        "{device} ({card}, driver {driver}): gives raw sensor data only ({formats}). On a \
         Raspberry Pi or Jetson CSI camera the pictures are made by libcamera or Argus, not by the \
         kernel: use a USB camera, or feed a v4l2loopback device, for instance\n  \
         sudo modprobe v4l2loopback video_nr=42 exclusive_caps=1\n  \
         rpicam-vid -t 0 -n --codec yuv420 --width 640 --height 480 -o - | ffmpeg -f rawvideo \
         -pix_fmt yuv420p -s 640x480 -i - -pix_fmt yuyv422 -f v4l2 /dev/video42\n\
         and give --camera /dev/video42"
    )]
    RawSensor {
        device: String,
        card: String,
        driver: String,
        formats: String,
    },
    #[error(
        "{device} ({card}): none of its formats ({formats}) is one of those read here \
         (YUYV, UYVY, NV12, MJPG, RGB3, BGR3, GREY)"
    )]
    NoFormat {
        device: String,
        card: String,
        formats: String,
    },
    #[error("{device}: does not offer {wanted}; it offers {offered}")]
    FormatRefused {
        device: String,
        wanted: String,
        offered: String,
    },
    #[error("{device}: switched to {got} when asked for {wanted}")]
    FormatChanged {
        device: String,
        wanted: String,
        got: String,
    },
    #[error("{device}: no frame for {seconds:.1} s")]
    Stalled { device: String, seconds: f64 },
    #[error("{device}: unplugged")]
    Gone { device: String },
    #[error("{device}: {action}: {source}")]
    Io {
        device: String,
        action: &'static str,
        source: io::Error,
    },
    #[error("{device}: the driver's answer could not be understood: {message}")]
    Driver { device: String, message: String },
}

impl CameraError {
    /// Words an error of the operating system by what it means for a camera.
    pub(super) fn from_io(device: &str, action: &'static str, source: io::Error) -> Self {
        let device = device.to_owned();
        match source.raw_os_error().map(nix::errno::Errno::from_raw) {
            Some(nix::errno::Errno::ENODEV | nix::errno::Errno::ENXIO) => {
                CameraError::Gone { device }
            }
            Some(nix::errno::Errno::EBUSY) => CameraError::Busy { device },
            Some(nix::errno::Errno::EACCES | nix::errno::Errno::EPERM) => {
                CameraError::Permission { device }
            }
            Some(nix::errno::Errno::ENOENT) => CameraError::Absent { device },
            Some(nix::errno::Errno::ENOTTY) => CameraError::NotV4l2 { device },
            _ => CameraError::Io {
                device,
                action,
                source,
            },
        }
    }
}
