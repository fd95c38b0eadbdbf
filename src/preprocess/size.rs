//! Width and height of a picture.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Width and height in pixels. Written as the side of a square, `224`, or with the width first, `192x48`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

/// A size in a model card.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected pixels, as 224 or \"192x48\"")]
enum Written {
    Side(u32),
    Sides(String),
}

impl Size {
    pub const fn square(side: u32) -> Self {
        Size {
            width: side,
            height: side,
        }
    }

    pub fn is_square(self) -> bool {
        self.width == self.height
    }

    pub fn longer(self) -> u32 {
        self.width.max(self.height)
    }

    pub fn pixels(self) -> usize {
        self.width as usize * self.height as usize
    }

    /// As the shapes of tensors have them.
    pub fn height_and_width(self) -> (usize, usize) {
        (self.height as usize, self.width as usize)
    }

    /// What does not fit becomes the largest, which no one accepts.
    pub fn from_height_and_width((height, width): (usize, usize)) -> Self {
        let side = |side| u32::try_from(side).unwrap_or(u32::MAX);
        Size {
            width: side(width),
            height: side(height),
        }
    }

    /// Whether a picture of `other` fits in.
    pub fn covers(self, other: Size) -> bool {
        self.width >= other.width && self.height >= other.height
    }

    /// Each side through `change`.
    pub fn map(self, change: impl Fn(u32) -> u32) -> Self {
        Size {
            width: change(self.width),
            height: change(self.height),
        }
    }
}

impl From<u32> for Size {
    fn from(side: u32) -> Self {
        Size::square(side)
    }
}

/// With both sides, also of a square.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (width, height) = text.split_once(['x', 'X']).unwrap_or((text, text));
        match (width.parse(), height.parse()) {
            (Ok(width), Ok(height)) => Ok(Size { width, height }),
            _ => Err(format!("'{text}' is not a size such as 224 or 192x48")),
        }
    }
}

impl From<Size> for Written {
    fn from(size: Size) -> Self {
        match size.is_square() {
            true => Written::Side(size.width),
            false => Written::Sides(size.to_string()),
        }
    }
}

impl TryFrom<Written> for Size {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Side(side) => Ok(Size::square(side)),
            Written::Sides(text) => text.parse(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_way_through_text() {
        let wide = Size {
            width: 192,
            height: 48,
        };
        for (size, written) in [(Size::square(224), "224"), (wide, "\"192x48\"")] {
            assert_eq!(serde_json::to_string(&size).unwrap(), written);
            assert_eq!(serde_json::from_str::<Size>(written).unwrap(), size);
            assert_eq!(size.to_string().parse(), Ok(size));
        }
        for (written, says) in [
            ("\"big\"", "'big' is not a size"),
            ("\"1x2x3\"", "'1x2x3'"),
            ("-3", "224 or \"192x48\""),
            ("[1, 2]", "224 or \"192x48\""),
        ] {
            let error = serde_json::from_str::<Size>(written).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
