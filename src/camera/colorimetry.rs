//! Colour matrix and range of a frame, from V4L2's colorspace and quantization fields.
//!
//! The defaults are those of `V4L2_MAP_YCBCR_ENC_DEFAULT` and `V4L2_MAP_QUANTIZATION_DEFAULT` in
//! the kernel's `videodev2.h`. The `v4l` crate does not expose `ycbcr_enc`, so the matrix is the
//! colorspace's default.

use v4l::format::{Colorspace, Quantization};

use super::PixelFormat;

/// Which luma coefficients were used to make YCbCr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matrix {
    Bt601,
    Bt709,
    Bt2020,
    Smpte240m,
}

/// Which levels stand for black and white.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// Luma and RGB 16 to 235, chroma 16 to 240.
    Limited,
    /// 0 to 255.
    Full,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colorimetry {
    pub matrix: Matrix,
    pub range: Range,
}

impl Colorimetry {
    /// sRGB pictures, and JFIF's YCbCr.
    pub const FULL_601: Self = Colorimetry {
        matrix: Matrix::Bt601,
        range: Range::Full,
    };

    pub fn of(pixel: PixelFormat, colorspace: Colorspace, quantization: Quantization) -> Self {
        // JPEG says itself what it is, whatever the driver calls it.
        if pixel == PixelFormat::Mjpeg {
            return Self::FULL_601;
        }
        let matrix = match colorspace {
            Colorspace::Rec709 | Colorspace::DCIP3 => Matrix::Bt709,
            Colorspace::Rec2020 => Matrix::Bt2020,
            Colorspace::SMPTE240M => Matrix::Smpte240m,
            _ => Matrix::Bt601,
        };
        let range = match quantization {
            Quantization::FullRange => Range::Full,
            Quantization::LimitedRange => Range::Limited,
            Quantization::Default if pixel.is_rgb() || matches!(colorspace, Colorspace::JPEG) => {
                Range::Full
            }
            Quantization::Default => Range::Limited,
        };
        Colorimetry { matrix, range }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_follow_the_kernel_header() {
        struct Case {
            colorspace: Colorspace,
            quantization: Quantization,
            pixel: PixelFormat,
            matrix: Matrix,
            range: Range,
        }
        let cases = [
            // A typical webcam's YUYV: sRGB, everything else default.
            Case {
                colorspace: Colorspace::SRGB,
                quantization: Quantization::Default,
                pixel: PixelFormat::Yuyv,
                matrix: Matrix::Bt601,
                range: Range::Limited,
            },
            Case {
                colorspace: Colorspace::JPEG,
                quantization: Quantization::Default,
                pixel: PixelFormat::Yuyv,
                matrix: Matrix::Bt601,
                range: Range::Full,
            },
            Case {
                colorspace: Colorspace::Rec709,
                quantization: Quantization::Default,
                pixel: PixelFormat::Yuyv,
                matrix: Matrix::Bt709,
                range: Range::Limited,
            },
            Case {
                colorspace: Colorspace::Rec2020,
                quantization: Quantization::FullRange,
                pixel: PixelFormat::Yuyv,
                matrix: Matrix::Bt2020,
                range: Range::Full,
            },
            Case {
                colorspace: Colorspace::SRGB,
                quantization: Quantization::Default,
                pixel: PixelFormat::Rgb24,
                matrix: Matrix::Bt601,
                range: Range::Full,
            },
            Case {
                colorspace: Colorspace::SRGB,
                quantization: Quantization::LimitedRange,
                pixel: PixelFormat::Rgb24,
                matrix: Matrix::Bt601,
                range: Range::Limited,
            },
            Case {
                colorspace: Colorspace::SRGB,
                quantization: Quantization::Default,
                pixel: PixelFormat::Mjpeg,
                matrix: Matrix::Bt601,
                range: Range::Full,
            },
        ];
        for case in cases {
            let got = Colorimetry::of(case.pixel, case.colorspace, case.quantization);
            assert_eq!(got.matrix, case.matrix, "{:?}", case.colorspace);
            assert_eq!(got.range, case.range, "{:?}", case.colorspace);
        }
    }
}
