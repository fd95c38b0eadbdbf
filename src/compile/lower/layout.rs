//! Which of a tensor's axes are channels, height and width.

use tract_core::internal::*;

use crate::engine::net::Shape;

/// All other axes have the length 1. Without an axis, height or width are 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    pub channels: usize,
    pub height: Option<usize>,
    pub width: Option<usize>,
}

impl Layout {
    /// Of a tensor of that shape; `None` where another axis is longer than 1.
    pub fn shape(&self, dims: &[usize]) -> Option<Shape> {
        let known = |axis: usize| {
            axis == self.channels || Some(axis) == self.height || Some(axis) == self.width
        };
        let rest = dims.iter().enumerate().filter(|(axis, _)| !known(*axis));
        if rest.into_iter().any(|(_, dim)| *dim != 1) {
            return None;
        }
        let side = |axis: Option<usize>| axis.map_or(Some(1), |axis| dims.get(axis).copied());
        Some(Shape {
            height: side(self.height)?,
            width: side(self.width)?,
            channels: *dims.get(self.channels)?,
        })
    }

    /// With every axis where `to` says that it goes; `None` where the channels go nowhere.
    pub fn map(&self, to: impl Fn(usize) -> Option<usize>) -> Option<Layout> {
        Some(Layout {
            channels: to(self.channels)?,
            height: self.height.and_then(&to),
            width: self.width.and_then(&to),
        })
    }

    /// Of a tensor of which no more is known than its shape: a vector, a sequence of vectors or a picture of planes.
    pub fn usual(dims: &[usize]) -> Option<Layout> {
        let axes = 0..dims.len();
        let long: Vec<usize> = axes.clone().filter(|axis| dims[*axis] > 1).collect();
        let picture = |[channels, height, width]: [usize; 3]| Layout {
            channels,
            height: Some(height),
            width: Some(width),
        };
        match (&*long, dims) {
            (_, [1, _, _, _]) => Some(picture([1, 2, 3])),
            (&[channels, height, width], _) => Some(picture([channels, height, width])),
            (&[width, channels], _) => Some(Layout {
                channels,
                height: None,
                width: Some(width),
            }),
            (&[] | &[_], _) => Some(Layout {
                channels: long.first().copied().or(axes.last())?,
                height: None,
                width: None,
            }),
            _ => None,
        }
    }

    /// After axes have been added, removed, moved or grouped otherwise.
    pub fn change(&self, op: &AxisOp, dims: &[usize]) -> Option<Layout> {
        match op {
            AxisOp::Add(at) => self.map(|axis| Some(axis + usize::from(axis >= *at))),
            AxisOp::Rm(at) => {
                self.map(|axis| (axis != *at).then(|| axis - usize::from(axis > *at)))
            }
            AxisOp::Move(from, to) => self.map(|axis| {
                Some(if axis == *from {
                    *to
                } else if *from < axis && axis <= *to {
                    axis - 1
                } else if *to <= axis && axis < *from {
                    axis + 1
                } else {
                    axis
                })
            }),
            AxisOp::Reshape(at, from, to) => {
                let (from, to) = (concrete(from)?, concrete(to)?);
                let long = |dims: &[usize]| -> Vec<usize> {
                    let axes = 0..dims.len();
                    axes.filter(|axis| dims[*axis] > 1).collect()
                };
                let (old, new) = (long(&from), long(&to));
                // Only axes of length 1 come and go.
                let same =
                    old.len() == new.len() && old.iter().zip(&new).all(|(a, b)| from[*a] == to[*b]);
                if !same {
                    return None;
                }
                let moved = |axis: usize| {
                    if axis < *at {
                        return Some(axis);
                    }
                    if axis >= at + from.len() {
                        return Some(axis + to.len() - from.len());
                    }
                    let place = old.iter().position(|old| at + old == axis)?;
                    Some(at + new[place])
                };
                // One channel can be any axis of length 1.
                let one = dims.get(self.channels) == Some(&1);
                if one { None } else { self.map(moved) }
            }
        }
    }
}

/// A shape's numbers, if they are all numbers.
pub fn concrete(dims: &[TDim]) -> Option<Vec<usize>> {
    dims.iter().map(|dim| dim.to_usize().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHW: Layout = Layout {
        channels: 0,
        height: Some(1),
        width: Some(2),
    };

    fn reshape(at: usize, from: &[usize], to: &[usize]) -> AxisOp {
        let dims = |dims: &[usize]| dims.iter().map(|dim| dim.to_dim()).collect();
        AxisOp::Reshape(at, dims(from), dims(to))
    }

    #[test]
    fn axes_are_followed() {
        let nchw = CHW.change(&AxisOp::Add(0), &[8, 4, 5]).unwrap();
        assert_eq!(
            (nchw.channels, nchw.height, nchw.width),
            (1, Some(2), Some(3))
        );
        assert_eq!(nchw.change(&AxisOp::Rm(0), &[1, 8, 4, 5]), Some(CHW));
        assert_eq!(CHW.change(&AxisOp::Rm(0), &[1, 4, 5]), None);
        let hwc = CHW.change(&AxisOp::Move(0, 2), &[8, 4, 5]).unwrap();
        assert_eq!((hwc.channels, hwc.height, hwc.width), (2, Some(0), Some(1)));
        let flat = CHW
            .change(&reshape(0, &[8, 1, 1], &[1, 8]), &[8, 1, 1])
            .unwrap();
        assert_eq!((flat.channels, flat.height, flat.width), (1, None, None));
        assert_eq!(
            CHW.change(&reshape(0, &[8, 4, 5], &[160]), &[8, 4, 5]),
            None
        );
        assert_eq!(
            CHW.shape(&[8, 4, 5]),
            Some(Shape {
                height: 4,
                width: 5,
                channels: 8
            })
        );
        assert_eq!(flat.shape(&[2, 8]), None);
    }
}
