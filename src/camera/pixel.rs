//! Pixel formats and their conversion to 8-bit RGB.

use std::fmt;
use std::str::FromStr;

use image::RgbImage;
use yuv::{
    YuvBiPlanarImage, YuvConversionMode, YuvGrayImage, YuvPackedImage, YuvRange, YuvStandardMatrix,
};

use super::colorimetry::{Colorimetry, Matrix, Range};
use super::{FrameError, mjpeg};

/// The pixel formats that are read, named by their V4L2 four-character codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    Yuyv,
    Uyvy,
    Nv12,
    Grey,
    Rgb24,
    Bgr24,
    Mjpeg,
}

impl PixelFormat {
    pub const ALL: [Self; 7] = [
        Self::Yuyv,
        Self::Uyvy,
        Self::Nv12,
        Self::Grey,
        Self::Rgb24,
        Self::Bgr24,
        Self::Mjpeg,
    ];

    pub fn fourcc(self) -> [u8; 4] {
        *match self {
            Self::Yuyv => b"YUYV",
            Self::Uyvy => b"UYVY",
            Self::Nv12 => b"NV12",
            Self::Grey => b"GREY",
            Self::Rgb24 => b"RGB3",
            Self::Bgr24 => b"BGR3",
            Self::Mjpeg => b"MJPG",
        }
    }

    pub fn from_fourcc(fourcc: [u8; 4]) -> Option<Self> {
        // Some webcams call their motion JPEG plain JPEG.
        if &fourcc == b"JPEG" {
            return Some(Self::Mjpeg);
        }
        Self::ALL.into_iter().find(|f| f.fourcc() == fourcc)
    }

    pub fn is_rgb(self) -> bool {
        matches!(self, Self::Rgb24 | Self::Bgr24)
    }

    /// Bytes of one line without padding; `None` where lines do not exist.
    fn line_bytes(self, width: u32) -> Option<u32> {
        match self {
            // Two pixels share their chroma, so a line holds an even number of them.
            Self::Yuyv | Self::Uyvy => Some(width.div_ceil(2) * 4),
            Self::Nv12 | Self::Grey => Some(width),
            Self::Rgb24 | Self::Bgr24 => Some(width * 3),
            Self::Mjpeg => None,
        }
    }
}

impl fmt::Display for PixelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.fourcc()).expect("fourccs are ASCII"))
    }
}

impl FromStr for PixelFormat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let fourcc: Option<[u8; 4]> = name.to_ascii_uppercase().as_bytes().try_into().ok();
        fourcc
            .and_then(Self::from_fourcc)
            .ok_or_else(|| format!("one of {}", Self::ALL.map(|f| f.to_string()).join(", ")))
    }
}

/// How the bytes of a captured frame are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameFormat {
    pub pixel: PixelFormat,
    pub width: u32,
    pub height: u32,
    /// Bytes from one line to the next; 0 if they follow without padding.
    pub stride: u32,
    pub colorimetry: Colorimetry,
}

impl FrameFormat {
    fn stride(&self) -> u32 {
        let line = self.pixel.line_bytes(self.width).unwrap_or(0);
        self.stride.max(line)
    }

    /// Bytes a whole frame has at least; 0 for compressed formats.
    pub fn frame_bytes(&self) -> usize {
        let Some(line) = self.pixel.line_bytes(self.width) else {
            return 0;
        };
        let lines = match self.pixel {
            PixelFormat::Nv12 => self.height as usize + self.height.div_ceil(2) as usize,
            _ => self.height as usize,
        };
        // The padding of the last line may be missing.
        (lines.max(1) - 1) * self.stride() as usize + line as usize
    }
}

impl fmt::Display for FrameFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}x{}", self.pixel, self.width, self.height)
    }
}

/// Converts a frame into `picture`, which keeps its memory if it has the frame's size already.
pub fn to_rgb(
    bytes: &[u8],
    format: &FrameFormat,
    picture: &mut RgbImage,
) -> Result<(), FrameError> {
    if format.pixel == PixelFormat::Mjpeg {
        *picture = mjpeg::decode(bytes)?;
        return Ok(());
    }
    if bytes.len() < format.frame_bytes() {
        return Err(FrameError::Short {
            expected: format.frame_bytes(),
            found: bytes.len(),
        });
    }
    let (width, height) = match format.pixel {
        // An odd last line or column has half a chroma sample, which the conversion gets wrong.
        PixelFormat::Nv12 => (format.width & !1, format.height & !1),
        _ => (format.width, format.height),
    };
    if picture.dimensions() != (width, height) {
        *picture = RgbImage::new(width, height);
    }
    let stride = format.stride();
    // The conversions want whole lines; only the very last can lack its padding.
    let padded;
    let whole_lines = format
        .frame_bytes()
        .next_multiple_of(stride.max(1) as usize);
    let bytes = if bytes.len() < whole_lines {
        let mut copy = bytes.to_vec();
        copy.resize(whole_lines, 0);
        padded = copy;
        padded.as_slice()
    } else {
        bytes
    };
    let rgb_stride = width * 3;
    let rgb: &mut [u8] = picture;
    let range = match format.colorimetry.range {
        Range::Limited => YuvRange::Limited,
        Range::Full => YuvRange::Full,
    };
    let matrix = match format.colorimetry.matrix {
        Matrix::Bt601 => YuvStandardMatrix::Bt601,
        Matrix::Bt709 => YuvStandardMatrix::Bt709,
        Matrix::Bt2020 => YuvStandardMatrix::Bt2020,
        // yuv 0.8's own constant gives wrong colours for NV12.
        Matrix::Smpte240m => YuvStandardMatrix::Custom(0.212, 0.087),
    };
    let converted = match format.pixel {
        PixelFormat::Yuyv | PixelFormat::Uyvy => {
            let packed = YuvPackedImage {
                yuy: &bytes[..stride as usize * height as usize],
                yuy_stride: stride,
                width,
                height,
            };
            if format.pixel == PixelFormat::Yuyv {
                yuv::yuyv422_to_rgb(&packed, rgb, rgb_stride, range, matrix)
            } else {
                yuv::uyvy422_to_rgb(&packed, rgb, rgb_stride, range, matrix)
            }
        }
        PixelFormat::Nv12 => {
            let (y_plane, uv_plane) = bytes.split_at(stride as usize * format.height as usize);
            let planes = YuvBiPlanarImage {
                y_plane: &y_plane[..stride as usize * height as usize],
                y_stride: stride,
                uv_plane: &uv_plane[..stride as usize * height as usize / 2],
                uv_stride: stride,
                width,
                height,
            };
            let mode = YuvConversionMode::Balanced;
            yuv::yuv_nv12_to_rgb(&planes, rgb, rgb_stride, range, matrix, mode)
        }
        PixelFormat::Grey => {
            let grey = YuvGrayImage {
                y_plane: &bytes[..stride as usize * height as usize],
                y_stride: stride,
                width,
                height,
            };
            yuv::yuv400_to_rgb(&grey, rgb, rgb_stride, range, matrix)
        }
        PixelFormat::Rgb24 | PixelFormat::Bgr24 => {
            copy_rgb(bytes, format, rgb);
            Ok(())
        }
        PixelFormat::Mjpeg => unreachable!("decoded above"),
    };
    converted.map_err(|error| FrameError::Convert {
        width,
        height,
        message: error.to_string(),
    })
}

fn copy_rgb(bytes: &[u8], format: &FrameFormat, rgb: &mut [u8]) {
    let line = format.width as usize * 3;
    if line == 0 {
        return;
    }
    let lines = bytes.chunks(format.stride() as usize);
    for (from, to) in lines.zip(rgb.chunks_exact_mut(line)) {
        to.copy_from_slice(&from[..line]);
        if format.pixel == PixelFormat::Bgr24 {
            to.as_chunks_mut::<3>()
                .0
                .iter_mut()
                .for_each(|p| p.swap(0, 2));
        }
    }
    if format.colorimetry.range == Range::Limited {
        for level in rgb {
            *level = expand(*level);
        }
    }
}

/// Stretches 16..=235 to 0..=255, as ITU-R BT.601 defines limited-range RGB.
fn expand(level: u8) -> u8 {
    let above_black = u32::from(level.clamp(16, 235)) - 16;
    ((above_black * 255 + 109) / 219) as u8
}

#[cfg(test)]
mod tests;
