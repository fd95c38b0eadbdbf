//! What a network expects of its input picture.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Size;

/// The evaluation transform of one network: resize and centre crop to `size` as the pipeline has it,
/// then `(level - mean) / std` for each channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The network's input.
    pub size: Size,
    /// What the resized picture, its proportions kept, just covers: for a square, its shorter side gets that length.
    /// Always given, though [`Pipeline::Tf`] makes no use of it, so that the pipeline can be changed for a run.
    pub resize: Size,
    #[serde(default)]
    pub pipeline: Pipeline,
    #[serde(default)]
    pub crop: Crop,
    #[serde(default)]
    pub interpolation: Interpolation,
    #[serde(default)]
    pub color: ColorOrder,
    /// Subtracted from each channel, in 8-bit levels (0 to 255), in `color` order.
    pub mean: [f32; 3],
    /// Divides each channel, in 8-bit levels.
    pub std: [f32; 3],
}

/// Where the crop is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Crop {
    #[default]
    Centre,
}

/// The steps from a picture to the network's input, of 8-bit levels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pipeline {
    /// To cover `resize`, antialiased, then a crop of `size`: torchvision's `Resize` and `CenterCrop` with Pillow; where
    /// `resize` is not a square, timm's `ResizeKeepRatio`.
    #[default]
    Torch,
    /// A crop of `size / (size + 32)` of the shorter side, then to `size`, a square, not antialiased: the evaluation
    /// preprocessing of EfficientNet in TensorFlow.
    Tf,
}

/// Resampling filter. `Torch` stretches it to antialias, as Pillow does; `Tf` does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// Cubic convolution (Keys, 1981), with a = -0.5 (Catmull-Rom) in `Torch` and a = -0.75 in `Tf`.
    #[default]
    Bicubic,
    /// Triangle filter.
    Bilinear,
}

/// Channel order of the network's input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColorOrder {
    #[default]
    Rgb,
    Bgr,
}

#[derive(Debug, Error, PartialEq)]
pub enum SpecError {
    #[error("preprocess.size must be between 1 and {max}, not {0}", max = Spec::MAX_SIDE)]
    Size(Size),
    #[error(
        "preprocess.resize is {resize}, smaller than preprocess.size {size}: nothing to crop from"
    )]
    ResizeBelowSize { resize: Size, size: Size },
    #[error("preprocess.resize must be at most {max}, not {0}", max = Spec::MAX_SIDE)]
    Resize(Size),
    #[error(
        "preprocess.size is {0}, but the pipeline tf is defined for squares only; use the pipeline torch"
    )]
    TfNotSquare(Size),
    #[error("preprocess.mean[{0}] is not a finite number")]
    Mean(usize),
    #[error("preprocess.std[{0}] must be a finite number above 0")]
    Std(usize),
}

impl Spec {
    /// Largest side accepted: far above any network, far below what exhausts a board's memory.
    pub const MAX_SIDE: u32 = 4096;

    /// What most ImageNet networks trained in PyTorch expect; the guess for a model without a card.
    pub fn imagenet(size: impl Into<Size>) -> Self {
        let size = size.into();
        Spec {
            size,
            // The customary crop.
            resize: Spec::resize_for(size, 0.875),
            pipeline: Pipeline::Torch,
            crop: Crop::Centre,
            interpolation: Interpolation::Bicubic,
            color: ColorOrder::Rgb,
            mean: [0.485, 0.456, 0.406].map(|m| m * 255.0),
            std: [0.229, 0.224, 0.225].map(|s| s * 255.0),
        }
    }

    /// The `resize` whose crop of `size` keeps the part `crop_pct` of each side, rounded down as timm does.
    pub fn resize_for(size: impl Into<Size>, crop_pct: f64) -> Size {
        size.into().map(|side| (f64::from(side) / crop_pct) as u32)
    }

    /// The same crop for inputs of `size`.
    pub fn resized(self, size: Size) -> Self {
        let scale = |resize: u32, from: u32, to: u32| {
            (u64::from(resize) * u64::from(to) / u64::from(from)) as u32
        };
        Spec {
            resize: Size {
                width: scale(self.resize.width, self.size.width, size.width),
                height: scale(self.resize.height, self.size.height, size.height),
            },
            size,
            ..self
        }
    }

    pub fn validate(&self) -> Result<(), SpecError> {
        let allowed = |size: Size| size.longer() <= Self::MAX_SIDE;
        if self.size.pixels() == 0 || !allowed(self.size) {
            return Err(SpecError::Size(self.size));
        }
        if self.pipeline == Pipeline::Tf && !self.size.is_square() {
            return Err(SpecError::TfNotSquare(self.size));
        }
        if !self.resize.covers(self.size) {
            return Err(SpecError::ResizeBelowSize {
                resize: self.resize,
                size: self.size,
            });
        }
        if !allowed(self.resize) {
            return Err(SpecError::Resize(self.resize));
        }
        if let Some(i) = self.mean.iter().position(|m| !m.is_finite()) {
            return Err(SpecError::Mean(i));
        }
        if let Some(i) = self.std.iter().position(|s| !s.is_finite() || *s <= 0.0) {
            return Err(SpecError::Std(i));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imagenet_default_is_valid() {
        assert_eq!(Spec::imagenet(224).validate(), Ok(()));
        assert_eq!(Spec::imagenet(224).resize, Size::square(256));
        assert_eq!(Spec::imagenet(1).validate(), Ok(()));
    }

    #[test]
    fn each_bad_field_is_named() {
        struct Case {
            change: fn(&mut Spec),
            error: SpecError,
        }
        let cases = [
            Case {
                change: |s| s.size.height = 0,
                error: SpecError::Size(Size {
                    width: 224,
                    height: 0,
                }),
            },
            Case {
                change: |s| s.resize.width = 200,
                error: SpecError::ResizeBelowSize {
                    resize: Size {
                        width: 200,
                        height: 256,
                    },
                    size: Size::square(224),
                },
            },
            Case {
                change: |s| {
                    s.pipeline = Pipeline::Tf;
                    s.size.height = 100;
                },
                error: SpecError::TfNotSquare(Size {
                    width: 224,
                    height: 100,
                }),
            },
            Case {
                change: |s| s.resize = Size::square(5000),
                error: SpecError::Resize(Size::square(5000)),
            },
            Case {
                change: |s| s.mean[1] = f32::NAN,
                error: SpecError::Mean(1),
            },
            Case {
                change: |s| s.std[2] = 0.0,
                error: SpecError::Std(2),
            },
        ];
        for case in cases {
            let mut spec = Spec::imagenet(224);
            (case.change)(&mut spec);
            assert_eq!(spec.validate(), Err(case.error));
        }
    }
}
