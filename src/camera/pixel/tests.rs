use super::*;

/// Kr and Kb of ITU-R BT.601-7, BT.709-6, BT.2020-2 and SMPTE 240M.
fn coefficients(matrix: Matrix) -> (f64, f64) {
    match matrix {
        Matrix::Bt601 => (0.299, 0.114),
        Matrix::Bt709 => (0.2126, 0.0722),
        Matrix::Bt2020 => (0.2627, 0.0593),
        Matrix::Smpte240m => (0.212, 0.087),
    }
}

/// R'G'B' to Y'CbCr by the definition in those standards, at 8 bits.
fn encode(rgb: [u8; 3], colorimetry: Colorimetry) -> [u8; 3] {
    let (kr, kb) = coefficients(colorimetry.matrix);
    let [r, g, b] = rgb.map(|v| f64::from(v) / 255.0);
    let y = kr * r + (1.0 - kr - kb) * g + kb * b;
    let cb = (b - y) / (2.0 * (1.0 - kb));
    let cr = (r - y) / (2.0 * (1.0 - kr));
    let (scale_y, offset_y, scale_c) = match colorimetry.range {
        Range::Limited => (219.0, 16.0, 224.0),
        Range::Full => (255.0, 0.0, 255.0),
    };
    [
        scale_y * y + offset_y,
        scale_c * cb + 128.0,
        scale_c * cr + 128.0,
    ]
    .map(|v| v.round().clamp(0.0, 255.0) as u8)
}

/// A frame of one colour, its lines padded to `stride` with a value that must not be seen.
fn frame(format: &FrameFormat, rgb: [u8; 3]) -> Vec<u8> {
    let [y, cb, cr] = encode(rgb, format.colorimetry);
    let (width, height) = (format.width as usize, format.height as usize);
    let stride = format.stride() as usize;
    let line = |unit: &[u8], units: usize| {
        let mut line = unit.repeat(units);
        line.resize(stride, 0x55);
        line
    };
    let pairs = width.div_ceil(2);
    match format.pixel {
        PixelFormat::Yuyv => line(&[y, cb, y, cr], pairs).repeat(height),
        PixelFormat::Uyvy => line(&[cb, y, cr, y], pairs).repeat(height),
        PixelFormat::Nv12 => [
            line(&[y], width).repeat(height),
            line(&[cb, cr], pairs).repeat(height.div_ceil(2)),
        ]
        .concat(),
        PixelFormat::Grey => line(&[y], width).repeat(height),
        PixelFormat::Rgb24 => line(&rgb, width).repeat(height),
        PixelFormat::Bgr24 => line(&[rgb[2], rgb[1], rgb[0]], width).repeat(height),
        PixelFormat::Mjpeg => unreachable!(),
    }
}

const RAW_FORMATS: [PixelFormat; 6] = [
    PixelFormat::Yuyv,
    PixelFormat::Uyvy,
    PixelFormat::Nv12,
    PixelFormat::Grey,
    PixelFormat::Rgb24,
    PixelFormat::Bgr24,
];

#[test]
fn every_format_matrix_and_range_gives_the_colour_back() {
    let colours = [
        [255, 0, 0],
        [0, 255, 0],
        [0, 0, 255],
        [255, 255, 255],
        [0, 0, 0],
        [200, 120, 40],
    ];
    for pixel in RAW_FORMATS {
        for matrix in [
            Matrix::Bt601,
            Matrix::Bt709,
            Matrix::Bt2020,
            Matrix::Smpte240m,
        ] {
            for range in [Range::Limited, Range::Full] {
                if pixel.is_rgb() && range == Range::Limited {
                    continue;
                }
                for colour in colours {
                    let format = FrameFormat {
                        pixel,
                        width: 34,
                        height: 6,
                        stride: 0,
                        colorimetry: Colorimetry { matrix, range },
                    };
                    let mut picture = RgbImage::default();
                    to_rgb(&frame(&format, colour), &format, &mut picture).unwrap();
                    let expected = if pixel == PixelFormat::Grey {
                        let (kr, kb) = coefficients(matrix);
                        let [r, g, b] = colour.map(f64::from);
                        [(kr * r + (1.0 - kr - kb) * g + kb * b).round() as u8; 3]
                    } else {
                        colour
                    };
                    for (x, y, got) in picture.enumerate_pixels() {
                        let off = (0..3).map(|c| got.0[c].abs_diff(expected[c])).max();
                        // 8-bit YCbCr rounds chroma, which alone costs up to 2 levels.
                        assert!(
                            off <= Some(3),
                            "{format:?} {x},{y}: {:?}, expected {expected:?}",
                            got.0
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn limited_range_rgb_is_expanded() {
    assert_eq!(
        (expand(16), expand(235), expand(0), expand(255)),
        (0, 255, 0, 255)
    );
    let format = FrameFormat {
        pixel: PixelFormat::Rgb24,
        width: 2,
        height: 1,
        stride: 6,
        colorimetry: Colorimetry {
            matrix: Matrix::Bt601,
            range: Range::Limited,
        },
    };
    let mut picture = RgbImage::default();
    to_rgb(&[16, 235, 126, 0, 255, 16], &format, &mut picture).unwrap();
    assert_eq!(picture.as_raw(), &[0, 255, 128, 0, 255, 0]);
}

#[test]
fn padding_is_not_seen_and_the_last_may_be_missing() {
    for pixel in RAW_FORMATS {
        for (width, height) in [(30, 4), (33, 5), (2, 3)] {
            let format = FrameFormat {
                pixel,
                width,
                height,
                stride: 160,
                colorimetry: Colorimetry::FULL_601,
            };
            let bytes = frame(&format, [90, 90, 90]);
            let mut picture = RgbImage::default();
            to_rgb(&bytes[..format.frame_bytes()], &format, &mut picture)
                .unwrap_or_else(|e| panic!("{format:?}: {e}"));
            assert!(
                picture.as_raw().iter().all(|v| v.abs_diff(90) <= 1),
                "{format:?}"
            );
        }
    }
}

#[test]
fn short_frames_are_errors() {
    for pixel in RAW_FORMATS {
        let format = FrameFormat {
            pixel,
            width: 16,
            height: 4,
            stride: 0,
            colorimetry: Colorimetry::FULL_601,
        };
        let bytes = frame(&format, [1, 2, 3]);
        let mut picture = RgbImage::default();
        for length in [0, 1, bytes.len() - 1] {
            assert!(matches!(
                to_rgb(&bytes[..length], &format, &mut picture),
                Err(FrameError::Short { .. })
            ));
        }
    }
}

#[test]
fn names_are_fourccs() {
    for format in PixelFormat::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
        assert_eq!(format.to_string().to_lowercase().parse(), Ok(format));
    }
    assert_eq!(PixelFormat::from_fourcc(*b"JPEG"), Some(PixelFormat::Mjpeg));
    assert!("H264".parse::<PixelFormat>().unwrap_err().contains("YUYV"));
}
