//! What the camera tells of itself: USB descriptors of a UVC 1.0 webcam with one bulk endpoint.
//!
//! Table numbers are those of the "Device Class Definition for Video Devices", revision 1.0.

use crate::picture::{Format, Size};

/// The picture sizes, in the order of their frame descriptors.
pub const SIZES: [Size; 2] = [
    Size {
        width: 640,
        height: 480,
    },
    Size {
        width: 320,
        height: 240,
    },
];

/// The frame intervals in units of 100 ns: 30, 15 and 5 frames a second.
pub const INTERVALS: [u32; 3] = [333_333, 666_666, 2_000_000];

/// The pixel formats, in the order of their format descriptors.
pub const FORMATS: [Format; 2] = [Format::Mjpeg, Format::Yuyv];

/// The largest payload, header included: what uvcvideo asks for in one bulk transfer (32 packets of 512 bytes).
pub const MAX_PAYLOAD: u32 = 16 * 1024;

/// The number of the interface that streams; 0 is the one that controls.
pub const STREAMING_INTERFACE: u16 = 1;

const VIDEO_CLASS: u8 = 0x0e;
const CS_INTERFACE: u8 = 0x24;
const BULK_IN_ENDPOINT: u8 = 0x81;
const CAMERA_TERMINAL: u8 = 1;
const OUTPUT_TERMINAL: u8 = 2;

/// The GUID by which UVC names YUYV (YUY2).
const YUY2_GUID: [u8; 16] = [
    0x59, 0x55, 0x59, 0x32, 0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0xaa, 0x00, 0x38, 0x9b, 0x71,
];

/// Descriptors put together byte by byte; the numbers in them are little-endian.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn u8s(mut self, values: &[u8]) -> Self {
        self.0.extend_from_slice(values);
        self
    }

    fn u16(self, value: u16) -> Self {
        self.u8s(&value.to_le_bytes())
    }

    fn u32(self, value: u32) -> Self {
        self.u8s(&value.to_le_bytes())
    }

    /// Puts the length, which starts every descriptor, in front.
    fn descriptor(mut self) -> Vec<u8> {
        let length =
            u8::try_from(self.0.len() + 1).expect("a descriptor is shorter than 256 bytes");
        self.0.insert(0, length);
        self.0
    }
}

/// The device descriptor: USB 2.0, of the class of devices that group their interfaces.
pub fn device() -> Vec<u8> {
    Bytes::default()
        .u8s(&[1])
        .u16(0x0200)
        .u8s(&[0xef, 2, 1, 64])
        .u16(0x1209) // vendor and product: numbers that are set aside for tests
        .u16(0x0001)
        .u16(0x0100)
        .u8s(&[1, 2, 3, 1])
        .descriptor()
}

/// The string descriptor of a number, if there is one.
pub fn string(number: u8) -> Option<Vec<u8>> {
    let text = match number {
        0 => return Some(Bytes::default().u8s(&[3]).u16(0x0409).descriptor()),
        1 => "edge-classify tests",
        2 => "Emulated Webcam",
        3 => "0001",
        _ => return None,
    };
    let descriptor = text
        .encode_utf16()
        .fold(Bytes::default().u8s(&[3]), Bytes::u16);
    Some(descriptor.descriptor())
}

/// The configuration descriptor with all that belongs to it.
pub fn configuration() -> Vec<u8> {
    let association = Bytes::default()
        .u8s(&[0x0b, 0, 2, VIDEO_CLASS, 3, 0, 2])
        .descriptor();
    let control = Bytes::default()
        .u8s(&[4, 0, 0, 0, VIDEO_CLASS, 1, 0, 2])
        .descriptor();
    let streaming = Bytes::default()
        .u8s(&[4, 1, 0, 1, VIDEO_CLASS, 2, 0, 0])
        .descriptor();
    let endpoint = Bytes::default()
        .u8s(&[5, BULK_IN_ENDPOINT, 2])
        .u16(512)
        .u8s(&[0])
        .descriptor();
    let body = [
        association,
        control,
        video_control(),
        streaming,
        video_streaming(),
        endpoint,
    ]
    .concat();
    let header = Bytes::default()
        .u8s(&[2])
        .u16(total_length(9, &body))
        .u8s(&[2, 1, 0, 0x80, 50])
        .descriptor();
    [header, body].concat()
}

fn total_length(header: usize, body: &[u8]) -> u16 {
    u16::try_from(header + body.len()).expect("the configuration is shorter than 64 KiB")
}

/// What the control interface consists of: a camera and its way to the host (tables 3-3, 3-6 and 3-5).
fn video_control() -> Vec<u8> {
    let camera = Bytes::default()
        .u8s(&[CS_INTERFACE, 2, CAMERA_TERMINAL])
        .u16(0x0201)
        .u8s(&[0, 0])
        .u16(0) // no optical zoom
        .u16(0)
        .u16(0)
        .u8s(&[3, 0, 0, 0]) // and no controls
        .descriptor();
    let output = Bytes::default()
        .u8s(&[CS_INTERFACE, 3, OUTPUT_TERMINAL])
        .u16(0x0101)
        .u8s(&[0, CAMERA_TERMINAL, 0])
        .descriptor();
    let body = [camera, output].concat();
    let header = Bytes::default()
        .u8s(&[CS_INTERFACE, 1])
        .u16(0x0100) // UVC 1.0
        .u16(total_length(13, &body))
        .u32(6_000_000)
        .u8s(&[
            1,
            u8::try_from(STREAMING_INTERFACE).expect("a small number"),
        ])
        .descriptor();
    [header, body].concat()
}

/// The streaming interface's formats and sizes (table 3-13).
fn video_streaming() -> Vec<u8> {
    let body: Vec<u8> = (1..)
        .zip(FORMATS)
        .flat_map(|(number, format)| one_format(number, format))
        .collect();
    let count = u8::try_from(FORMATS.len()).expect("few formats");
    let header = Bytes::default()
        .u8s(&[CS_INTERFACE, 1, count])
        .u16(total_length(13 + FORMATS.len(), &body))
        .u8s(&[BULK_IN_ENDPOINT, 0, OUTPUT_TERMINAL, 0, 0, 0, 1])
        .u8s(&[0; FORMATS.len()])
        .descriptor();
    [header, body].concat()
}

/// A format with its sizes and its colours: sRGB primaries and transfer, BT.601 matrix.
fn one_format(number: u8, format: Format) -> Vec<u8> {
    let sizes = u8::try_from(SIZES.len()).expect("few sizes");
    let (head, frame_subtype) = match format {
        Format::Mjpeg => (
            Bytes::default().u8s(&[CS_INTERFACE, 6, number, sizes, 1]),
            7,
        ),
        Format::Yuyv => (
            Bytes::default()
                .u8s(&[CS_INTERFACE, 4, number, sizes])
                .u8s(&YUY2_GUID)
                .u8s(&[16]),
            5,
        ),
    };
    let mut all = head.u8s(&[1, 0, 0, 0, 0]).descriptor();
    for (index, size) in (1..).zip(SIZES) {
        all.extend(frame(frame_subtype, index, size));
    }
    all.extend(
        Bytes::default()
            .u8s(&[CS_INTERFACE, 0x0d, 1, 1, 4])
            .descriptor(),
    );
    all
}

/// A frame descriptor, the same for both formats.
fn frame(subtype: u8, index: u8, size: Size) -> Vec<u8> {
    let bytes = size.yuyv_bytes();
    let dimension = |value| {
        u16::try_from(value).expect("a UVC picture is less than 64 Ki pixels wide and high")
    };
    let count = u8::try_from(INTERVALS.len()).expect("few intervals");
    let head = Bytes::default()
        .u8s(&[CS_INTERFACE, subtype, index, 0])
        .u16(dimension(size.width))
        .u16(dimension(size.height))
        .u32(bytes * 8 * 5)
        .u32(bytes * 8 * 30)
        .u32(bytes)
        .u32(INTERVALS[0])
        .u8s(&[count]);
    INTERVALS.into_iter().fold(head, Bytes::u32).descriptor()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_fill_the_configuration_exactly() {
        let all = configuration();
        assert_eq!(usize::from(u16::from_le_bytes([all[2], all[3]])), all.len());
        let mut at = 0;
        while at < all.len() {
            assert!(all[at] >= 2, "a descriptor of length {} at {at}", all[at]);
            at += usize::from(all[at]);
        }
        assert_eq!(at, all.len());
    }
}
