//! Axes that are grouped and moved in several steps: shuffles of channels, and pictures laid flat.

use tract_core::internal::*;

use super::graph::{Node, Op};
use super::layout::{Layout, concrete};
use super::product::View;
use super::read::{Known, Reader, Tracked};

/// A tensor with all values of a tracked one in an order that no layout says.
#[derive(Debug, Clone)]
pub(super) struct Moved {
    pub source: Tracked,
    /// For each value, its index among the source's.
    order: Arc<Tensor>,
}

impl Reader<'_> {
    /// What an operation on axes makes of a tensor; an error where that is neither ours nor on the way to it.
    pub fn change_axes(&mut self, node: &TypedNode, op: &AxisOp) -> Result<Known, String> {
        let moved = match self.known(node.inputs[0]) {
            Some(Known::Moved(moved)) => moved.clone(),
            _ => {
                let x = self.input(node, 0)?;
                if let Some(layout) = x.layout.change(op, &x.dims) {
                    return self.output(node, x.id, layout).map(Known::Ours);
                }
                let len = x.dims.iter().product::<usize>();
                let order = (0..len as i64).collect::<Vec<_>>();
                let order = Tensor::from_shape(&x.dims, &order).map_err(|e| e.to_string())?;
                Moved {
                    source: x,
                    order: order.into_arc_tensor(),
                }
            }
        };
        let mut order = moved.order.into_tensor();
        op.change_tensor(&mut order, false)
            .map_err(|e| e.to_string())?;
        let moved = Moved {
            order: order.into_arc_tensor(),
            ..moved
        };
        Ok(match self.shuffled(node, &moved) {
            Some(tracked) => Known::Ours(tracked),
            None => Known::Moved(moved),
        })
    }

    /// Where the tensor has the source's shape again and every pixel the same channels, those of a shuffle.
    fn shuffled(&mut self, node: &TypedNode, moved: &Moved) -> Option<Tracked> {
        let Moved { source, order } = moved;
        let dims = concrete(&node.outputs[0].fact.shape)?;
        let Layout { channels, .. } = source.layout;
        if dims != source.dims {
            return None;
        }
        let count = dims[channels];
        let stride = dims[channels + 1..].iter().product::<usize>();
        let order = order.try_as_plain_ram().ok()?;
        let order = order.as_slice::<i64>().ok()?;
        // The second channel was the first of the second column of groups.
        let each = *order.get(stride)? as usize / stride;
        let groups = count.checked_div(each)?;
        if groups * each != count {
            return None;
        }
        let same = order.iter().enumerate().all(|(at, from)| {
            let c = at / stride % count;
            let shuffled = c % groups * each + c / groups;
            *from as usize == at - c * stride + shuffled * stride
        });
        if !same {
            return None;
        }
        let shape = self.shape(source.id);
        let op = Op::Shuffle { groups };
        let id = self
            .graph
            .add(Node::new(&node.name, op, vec![source.id], shape));
        Some(Tracked {
            id,
            layout: source.layout,
            dims,
        })
    }
}

impl Moved {
    /// Where all values lie along one axis: which that is, and the index of each among channels, rows and columns.
    pub fn flat(&self) -> Option<(usize, Vec<usize>)> {
        let long = |axis: &usize| self.order.shape()[*axis] > 1;
        let axis = (0..self.order.rank()).find(long)?;
        if self.order.shape()[axis] != self.order.len() {
            return None;
        }
        let Tracked { dims, layout, .. } = &self.source;
        let stride = |axis: usize| dims[axis + 1..].iter().product::<usize>();
        let along =
            |axis: Option<usize>, at: usize| axis.map_or(0, |axis| at / stride(axis) % dims[axis]);
        let size = |axis: Option<usize>| axis.map_or(1, |axis| dims[axis]);
        let (height, width) = (size(layout.height), size(layout.width));
        let order = self.order.try_as_plain_ram().ok()?;
        let order = order.as_slice::<i64>().ok()?.iter().map(|at| {
            let at = *at as usize;
            let c = along(Some(layout.channels), at);
            (c * height + along(layout.height, at)) * width + along(layout.width, at)
        });
        Some((axis, order.collect()))
    }

    /// What each axis is of the picture, where every one is rows, columns, or some of the channels.
    pub fn view(&self) -> Option<View> {
        let Tracked { dims, layout, .. } = &self.source;
        let order = self.order.try_as_plain_ram().ok()?;
        let order = order.as_slice::<i64>().ok()?;
        let shape = self.order.shape();
        let inner = |axis: usize| shape[axis + 1..].iter().product::<usize>();
        let steps: Vec<usize> = (0..shape.len())
            .map(|axis| {
                order
                    .get(inner(axis))
                    .filter(|_| shape[axis] > 1)
                    .map_or(0, |at| *at as usize)
            })
            .collect();
        let along = |at: usize| {
            let places = (0..shape.len()).map(|axis| at / inner(axis) % shape[axis] * steps[axis]);
            places.sum::<usize>()
        };
        if !order
            .iter()
            .enumerate()
            .all(|(at, from)| *from as usize == along(at))
        {
            return None;
        }
        let stride = |axis: usize| dims[axis + 1..].iter().product::<usize>();
        let same = |axis: usize, of: Option<usize>| {
            of.is_some_and(|of| {
                dims[of] > 1 && (shape[axis], steps[axis]) == (dims[of], stride(of))
            })
        };
        let long = || (0..shape.len()).filter(|axis| shape[*axis] > 1);
        let height = long().find(|axis| same(*axis, layout.height));
        let width = long().find(|axis| Some(*axis) != height && same(*axis, layout.width));
        let step = stride(layout.channels);
        let rest = long().filter(|axis| ![height, width].contains(&Some(*axis)));
        let channels = rest.map(|axis| {
            let all = steps[axis] * shape[axis];
            let fits = steps[axis].is_multiple_of(step) && all <= dims[layout.channels] * step;
            fits.then(|| (axis, steps[axis] / step))
        });
        Some(View {
            channels: channels.collect::<Option<_>>()?,
            height,
            width,
        })
    }

    pub fn dims(&self) -> &[usize] {
        self.order.shape()
    }
}
