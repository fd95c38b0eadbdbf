//! Where each value lies in the memory that all share.

use std::ops::Range;

use edge_classify_kernels::{Plain, Rows, values_of};

use super::CACHE_LINE;
use crate::net::{Net, Shape, Span};

/// Pixels of a span in the arena.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// In bytes.
    pub offset: usize,
    /// Bytes of a value.
    pub size: usize,
    /// Values from one pixel to the next.
    pub stride: usize,
    pub pixels: usize,
    pub channels: usize,
}

impl Place {
    /// How many values lie from the first to the last.
    pub fn len(&self) -> usize {
        (self.pixels - 1) * self.stride + self.channels
    }

    /// Whether there is nothing between the pixels.
    pub fn dense(&self) -> bool {
        self.pixels == 1 || self.stride == self.channels
    }

    /// Its bytes in a slice that begins at `start` in the arena.
    pub fn range(&self, start: usize) -> Range<usize> {
        self.offset - start..self.offset - start + self.len() * self.size
    }
}

/// The arena on both sides of what is written.
pub struct Around<'a> {
    before: &'a [u8],
    after: &'a [u8],
    /// Where the second begins.
    start: usize,
}

impl<'a> Around<'a> {
    /// What is written, and the rest.
    pub fn split(arena: &'a mut [u8], output: Place) -> (&'a mut [u8], Self) {
        let Range { start, end } = output.range(0);
        let (before, rest) = arena.split_at_mut(start);
        let (data, after) = rest.split_at_mut(end - start);
        let around = Around {
            before,
            after,
            start: end,
        };
        (data, around)
    }

    /// # Panics
    /// If the values are of another size.
    pub fn values<E: Plain>(&self, place: Place) -> &'a [E] {
        assert!(size_of::<E>() == place.size, "values of another type");
        values_of(if place.offset < self.start {
            &self.before[place.range(0)]
        } else {
            &self.after[place.range(self.start)]
        })
    }

    /// # Panics
    /// As [`Around::values`].
    pub fn rows<E: Plain>(&self, place: Place) -> Rows<'a, E> {
        Rows {
            data: self.values(place),
            stride: place.stride,
        }
    }
}

/// Offsets of all values, and how many bytes the arena has.
#[derive(Debug, Clone)]
pub struct Arena {
    offsets: Vec<usize>,
    shapes: Vec<Shape>,
    /// Bytes of each one's elements.
    sizes: Vec<usize>,
    len: usize,
}

/// Bytes that memory can have addresses for.
const MOST: usize = isize::MAX as usize;

/// The first and the last step that has a value.
#[derive(Debug, Clone, Copy)]
struct Life {
    first: usize,
    last: usize,
}

impl Arena {
    /// `has_input`: whether the input is written before the first step. `steps` are the spans that each reads or writes,
    /// `element` the bytes of a value's elements that are no levels. Values that are never there together share memory: the
    /// largest are placed first, each as low as it fits. `None` if memory has no addresses for so many.
    pub fn plan(net: &Net, has_input: bool, steps: &[Vec<Span>], element: usize) -> Option<Arena> {
        let shapes = net.values().to_vec();
        let element = |value| match net.quantization(value) {
            Some(_) => 1,
            None => element,
        };
        let sizes: Vec<usize> = (0..shapes.len()).map(element).collect();
        let mut lives: Vec<Option<Life>> = vec![None; shapes.len()];
        let mut touch = |value: usize, step: usize| {
            let life = lives[value].get_or_insert(Life {
                first: step,
                last: step,
            });
            life.last = life.last.max(step);
            life.first = life.first.min(step);
        };
        if has_input {
            touch(net.input_value(), 0);
        }
        for (step, spans) in steps.iter().enumerate() {
            spans.iter().for_each(|span| touch(span.value, step));
        }
        touch(net.output().value, steps.len());
        // As every value is checked to have so few elements, neither this nor the sums below overflow.
        let size = |value: usize| {
            let len = shapes[value].pixels() * shapes[value].channels;
            (len * sizes[value]).next_multiple_of(CACHE_LINE)
        };
        let mut order: Vec<usize> = (0..shapes.len()).collect();
        order.sort_by_key(|value| std::cmp::Reverse(size(*value)));
        let mut offsets = vec![0; shapes.len()];
        let mut placed: Vec<usize> = Vec::new();
        let mut len = 0;
        for value in order {
            let Some(life) = lives[value] else { continue };
            // In the order of their offsets, those that are there at the same time.
            let mut offset = 0;
            for other in &placed {
                let Some(theirs) = lives[*other] else {
                    continue;
                };
                let apart = theirs.last < life.first || life.last < theirs.first;
                if apart || offsets[*other] + size(*other) <= offset {
                    continue;
                }
                if offset + size(value) <= offsets[*other] {
                    break;
                }
                offset = offsets[*other] + size(*other);
            }
            offsets[value] = offset;
            let at = placed.partition_point(|other| offsets[*other] < offset);
            placed.insert(at, value);
            len = len.max(offset + size(value));
            if len > MOST {
                return None;
            }
        }
        Some(Arena {
            offsets,
            shapes,
            sizes,
            len,
        })
    }

    /// Bytes in all.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn place(&self, span: Span) -> Place {
        let (shape, size) = (self.shapes[span.value], self.sizes[span.value]);
        Place {
            offset: self.offsets[span.value] + span.first * size,
            size,
            stride: shape.channels,
            pixels: shape.pixels(),
            channels: span.channels,
        }
    }
}
