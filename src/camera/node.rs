//! What a video node is, judged by its driver, capabilities and formats.

use std::fmt;

use nix::errno::Errno;
use v4l::FourCC;
use v4l::capability::Flags;

const LOOPBACK: &str = "v4l2 loopback";

/// The receivers of Raspberry Pi's CSI cameras. They list every format they know whatever the
/// sensor sends, which for nearly all of them is raw.
const CSI_RECEIVERS: [&str; 2] = ["unicam", "rp1-cfe"];

pub(super) fn is_csi_receiver(driver: &str) -> bool {
    CSI_RECEIVERS.contains(&driver)
}

/// A node that gives no pictures by design.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotCapture {
    Metadata,
    MultiPlanar,
    Converter,
    Other(String),
}

impl NotCapture {
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Metadata => "use the camera's other node, usually the one numbered below this",
            Self::MultiPlanar => {
                "use a USB camera, or convert the pictures with ffmpeg or GStreamer into a \
                 v4l2loopback device"
            }
            Self::Converter | Self::Other(_) => "'edge-classify doctor' lists the cameras",
        }
    }
}

impl fmt::Display for NotCapture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metadata => f.write_str("a metadata node, which describes a camera's pictures"),
            Self::MultiPlanar => f.write_str("multi-planar capture is not supported yet"),
            Self::Converter => f.write_str("a codec or converter, not a camera"),
            Self::Other(capabilities) => write!(f, "not a video capture device ({capabilities})"),
        }
    }
}

/// Why a node cannot be captured from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    NotCapture(NotCapture),
    /// With `exclusive_caps=1`, v4l2loopback calls itself an output until something writes to it.
    Unfed,
}

/// Why a node of these capabilities cannot be captured from; `None` if it can.
pub(super) fn unfit(driver: &str, capabilities: Flags) -> Option<Unfit> {
    let has = |flags| capabilities.intersects(flags);
    if has(Flags::VIDEO_CAPTURE) {
        return None;
    }
    Some(if has(Flags::VIDEO_M2M | Flags::VIDEO_M2M_MPLANE) {
        Unfit::NotCapture(NotCapture::Converter)
    } else if has(Flags::VIDEO_CAPTURE_MPLANE) {
        Unfit::NotCapture(NotCapture::MultiPlanar)
    } else if has(Flags::META_CAPTURE) {
        Unfit::NotCapture(NotCapture::Metadata)
    } else if driver == LOOPBACK && has(Flags::VIDEO_OUTPUT) {
        Unfit::Unfed
    } else {
        Unfit::NotCapture(NotCapture::Other(capabilities.to_string()))
    })
}

/// Why a node offers no format that is read here.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoPictures {
    RawSensor,
    Unfed,
    OtherFormats,
}

pub(super) fn no_pictures(driver: &str, formats: &[FourCC]) -> NoPictures {
    if is_csi_receiver(driver) || formats.iter().any(|format| is_raw_sensor(format.repr)) {
        NoPictures::RawSensor
    } else if driver == LOOPBACK && formats.is_empty() {
        NoPictures::Unfed
    } else {
        NoPictures::OtherFormats
    }
}

/// What it means that a device refuses to start.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The sensor sends something else than the format that was set, or nothing is connected.
    RawSensor,
    Bandwidth,
    Unfed,
    Other,
}

pub(super) fn refusal(driver: &str, errno: Errno, formats: &[FourCC]) -> Refusal {
    match errno {
        Errno::EPIPE | Errno::EINVAL | Errno::ENOTCONN | Errno::ENOLINK
            if is_csi_receiver(driver) =>
        {
            Refusal::RawSensor
        }
        // What the kernel's media pipelines say of a mismatch. USB cameras may list raw formats
        // too, and mean a stalled endpoint by EPIPE.
        Errno::EPIPE | Errno::ENOTCONN | Errno::ENOLINK
            if driver != "uvcvideo" && formats.iter().any(|f| is_raw_sensor(f.repr)) =>
        {
            Refusal::RawSensor
        }
        Errno::ENOSPC => Refusal::Bandwidth,
        Errno::EIO if driver == LOOPBACK => Refusal::Unfed,
        _ => Refusal::Other,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn formats(names: &[&[u8; 4]]) -> Vec<FourCC> {
        names.iter().map(|name| FourCC::new(name)).collect()
    }

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
    fn nodes_without_pictures_are_told_apart() {
        let not = |what| Some(Unfit::NotCapture(what));
        let streaming = Flags::STREAMING;
        let cases = [
            ("uvcvideo", Flags::VIDEO_CAPTURE, None),
            ("rp1-cfe", Flags::VIDEO_CAPTURE | Flags::META_CAPTURE, None),
            (LOOPBACK, Flags::VIDEO_CAPTURE | Flags::VIDEO_OUTPUT, None),
            (LOOPBACK, Flags::VIDEO_OUTPUT, Some(Unfit::Unfed)),
            ("uvcvideo", Flags::META_CAPTURE, not(NotCapture::Metadata)),
            (
                "rkisp1",
                Flags::VIDEO_CAPTURE_MPLANE,
                not(NotCapture::MultiPlanar),
            ),
            (
                "bcm2835-codec",
                Flags::VIDEO_M2M_MPLANE,
                not(NotCapture::Converter),
            ),
            (
                "vivid",
                Flags::VIDEO_OUTPUT,
                not(NotCapture::Other(
                    (Flags::VIDEO_OUTPUT | streaming).to_string(),
                )),
            ),
        ];
        for (driver, flags, expected) in cases {
            assert_eq!(unfit(driver, flags | streaming), expected, "{driver}");
        }
    }

    #[test]
    fn what_a_node_lacks_follows_from_driver_and_formats() {
        let bayer = formats(&[b"RG10", b"pRAA"]);
        assert_eq!(no_pictures("tegra-video", &bayer), NoPictures::RawSensor);
        assert_eq!(no_pictures("unicam", &[]), NoPictures::RawSensor);
        assert_eq!(no_pictures(LOOPBACK, &[]), NoPictures::Unfed);
        let h264 = formats(&[b"H264"]);
        assert_eq!(no_pictures("uvcvideo", &h264), NoPictures::OtherFormats);
    }

    #[test]
    fn a_refusal_to_start_is_explained() {
        let static_table = formats(&[b"YUYV", b"RGB3", b"RG10"]);
        let pictures = formats(&[b"YUYV"]);
        let cases = [
            ("unicam", Errno::EPIPE, &static_table, Refusal::RawSensor),
            ("rp1-cfe", Errno::EINVAL, &static_table, Refusal::RawSensor),
            ("rp1-cfe", Errno::ENOTCONN, &pictures, Refusal::RawSensor),
            ("rp1-cfe", Errno::ENOLINK, &pictures, Refusal::RawSensor),
            ("rkcif", Errno::EPIPE, &static_table, Refusal::RawSensor),
            ("rp1-cfe", Errno::ENOMEM, &static_table, Refusal::Other),
            ("rkcif", Errno::EPIPE, &pictures, Refusal::Other),
            // vivid lists Bayer, and says this when told to fail.
            ("vivid", Errno::EINVAL, &static_table, Refusal::Other),
            ("uvcvideo", Errno::EPIPE, &static_table, Refusal::Other),
            ("uvcvideo", Errno::ENOSPC, &pictures, Refusal::Bandwidth),
            (LOOPBACK, Errno::EIO, &pictures, Refusal::Unfed),
            ("uvcvideo", Errno::EIO, &pictures, Refusal::Other),
        ];
        for (driver, errno, formats, expected) in cases {
            let got = refusal(driver, errno, formats);
            assert_eq!(got, expected, "{driver} {errno}");
        }
    }
}
