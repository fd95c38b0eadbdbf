//! The evaluation transform: resize and crop as the pipeline has it, then normalise.

use image::RgbImage;
use thiserror::Error;

use super::tf_resize::TfResize;
use super::torch_resize::TorchResize;
use super::{ColorOrder, Pipeline, Size, Spec};

#[derive(Debug, Error)]
pub enum TransformError {
    #[error("the picture is empty")]
    Empty,
    #[error("a picture of {width}x{height} is too elongated to resize")]
    Elongated { width: u32, height: u32 },
    #[error("cannot resize a picture of {width}x{height}: {message}")]
    Resize {
        width: u32,
        height: u32,
        message: String,
    },
}

/// Turns pictures into the network's input. Holds its buffers, so that frames of one size cost no
/// allocation after the first.
pub struct Transform {
    spec: Spec,
    /// `(level - mean) / std` for each output channel.
    levels: Box<[[f32; 256]; 3]>,
    resize: Resize,
}

enum Resize {
    Torch(TorchResize),
    Tf(TfResize),
}

/// The rows of a resized and cropped picture, which may lie within a larger one.
pub struct Rows<'a> {
    /// RGB from the crop's first row on, in 8-bit levels.
    pixels: &'a [u8],
    /// Bytes from one row to the next.
    stride: usize,
    /// First byte of the crop in each row.
    left: usize,
    size: Size,
}

impl<'a> Rows<'a> {
    pub(super) fn new(pixels: &'a [u8], stride: usize, left: usize, size: Size) -> Self {
        Rows {
            pixels,
            stride,
            left,
            size,
        }
    }

    /// From the first pixel's first byte on; a row's are [`Rows::stride`] after those of the row before.
    pub fn pixels(&self) -> &'a [u8] {
        &self.pixels[self.left..]
    }

    /// Bytes from one row to the next.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Each row's `3 x width` bytes.
    fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        let columns = self.left..self.left + 3 * self.size.width as usize;
        let rows = self.pixels.chunks_exact(self.stride);
        let rows = rows.take(self.size.height as usize);
        rows.map(move |row| &row[columns.clone()])
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        self.iter().flatten().copied().collect()
    }
}

impl Transform {
    /// `spec` must have passed [`Spec::validate`].
    pub fn new(spec: Spec) -> Self {
        let mut levels = Box::new([[0.0; 256]; 3]);
        for (channel, table) in levels.iter_mut().enumerate() {
            for (level, value) in table.iter_mut().enumerate() {
                *value = (level as f32 - spec.mean[channel]) / spec.std[channel];
            }
        }
        let resize = match spec.pipeline {
            Pipeline::Torch => Resize::Torch(TorchResize::new()),
            Pipeline::Tf => Resize::Tf(TfResize::new(spec.interpolation, spec.size.width)),
        };
        Transform {
            spec,
            levels,
            resize,
        }
    }

    /// Length of the tensor [`Transform::run`] fills: 3 x height x width.
    pub fn tensor_len(&self) -> usize {
        3 * self.spec.size.pixels()
    }

    /// Fills `tensor` (f32, CHW, `tensor_len()` values) from `picture`.
    ///
    /// # Panics
    /// If `tensor` has another length.
    pub fn run(&mut self, picture: &RgbImage, tensor: &mut [f32]) -> Result<(), TransformError> {
        assert_eq!(tensor.len(), self.tensor_len(), "tensor length");
        let rows = resize(&mut self.resize, &self.spec, picture)?;
        let width = self.spec.size.width as usize;
        let (first, rest) = tensor.split_at_mut(self.spec.size.pixels());
        let (second, third) = rest.split_at_mut(self.spec.size.pixels());
        let [c0, c1, c2] = match self.spec.color {
            ColorOrder::Rgb => [0, 1, 2],
            ColorOrder::Bgr => [2, 1, 0],
        };
        let planes = first
            .chunks_exact_mut(width)
            .zip(second.chunks_exact_mut(width))
            .zip(third.chunks_exact_mut(width));
        for (row, ((p0, p1), p2)) in rows.iter().zip(planes) {
            let pixels = row.chunks_exact(3);
            for (((pixel, v0), v1), v2) in pixels.zip(p0).zip(p1).zip(p2) {
                *v0 = self.levels[0][usize::from(pixel[c0])];
                *v1 = self.levels[1][usize::from(pixel[c1])];
                *v2 = self.levels[2][usize::from(pixel[c2])];
            }
        }
        Ok(())
    }

    /// What is normalised: the resized and cropped picture.
    pub fn levels(&mut self, picture: &RgbImage) -> Result<Rows<'_>, TransformError> {
        resize(&mut self.resize, &self.spec, picture)
    }

    /// The resized and cropped picture, before normalisation.
    pub fn crop(&mut self, picture: &RgbImage) -> Result<RgbImage, TransformError> {
        let pixels = self.levels(picture)?.to_vec();
        let Size { width, height } = self.spec.size;
        Ok(RgbImage::from_raw(width, height, pixels).expect("as many rows as columns"))
    }
}

/// The resized and cropped picture.
fn resize<'a>(
    resize: &'a mut Resize,
    spec: &Spec,
    picture: &RgbImage,
) -> Result<Rows<'a>, TransformError> {
    if picture.width() == 0 || picture.height() == 0 {
        return Err(TransformError::Empty);
    }
    match resize {
        Resize::Torch(torch) => torch.run(spec, picture),
        Resize::Tf(tf) => Ok(tf.run(picture)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn spec(size: u32, resize: u32) -> Spec {
        Spec {
            resize: Size::square(resize),
            ..Spec::imagenet(size)
        }
    }

    #[test]
    fn tensor_is_planar_and_normalised() {
        let picture = RgbImage::from_pixel(50, 40, Rgb([10, 20, 30]));
        let mut transform = Transform::new(Spec {
            mean: [0.0, 10.0, 20.0],
            std: [1.0, 2.0, 4.0],
            ..spec(8, 8)
        });
        let mut tensor = vec![0.0; transform.tensor_len()];
        transform.run(&picture, &mut tensor).unwrap();
        assert!(tensor[..64].iter().all(|&v| v == 10.0));
        assert!(tensor[64..128].iter().all(|&v| v == 5.0));
        assert!(tensor[128..].iter().all(|&v| v == 2.5));
    }

    #[test]
    fn bgr_swaps_channels_before_normalising() {
        let picture = RgbImage::from_pixel(8, 8, Rgb([10, 20, 30]));
        let mut transform = Transform::new(Spec {
            mean: [0.0; 3],
            std: [1.0; 3],
            color: ColorOrder::Bgr,
            ..spec(8, 8)
        });
        let mut tensor = vec![0.0; transform.tensor_len()];
        transform.run(&picture, &mut tensor).unwrap();
        assert_eq!((tensor[0], tensor[64], tensor[128]), (30.0, 20.0, 10.0));
    }

    #[test]
    fn odd_pictures_do_not_panic() {
        let mut transform = Transform::new(spec(224, 256));
        let mut tensor = vec![0.0; transform.tensor_len()];
        for (width, height) in [(1, 1), (1, 300), (300, 1), (2, 3), (224, 224), (4000, 30)] {
            let picture = RgbImage::from_pixel(width, height, Rgb([1, 2, 3]));
            transform.run(&picture, &mut tensor).unwrap();
        }
        let empty = RgbImage::new(0, 10);
        assert!(matches!(
            transform.run(&empty, &mut tensor),
            Err(TransformError::Empty)
        ));
        let line = RgbImage::new(60_000, 1);
        assert!(matches!(
            transform.run(&line, &mut tensor),
            Err(TransformError::Elongated { .. })
        ));
    }
}
