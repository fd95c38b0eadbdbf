//! A pointwise convolution whose output channels are shared among threads.

use std::ops::Range;

use super::{Epilogue, Factor, PackedMatrix, Panel, Pointwise, check, check_input};
use crate::ahead::part_of;
use crate::crew::{Crew, Shared};
use crate::element::Element;
use crate::rows::{Rows, RowsMut};

/// As [`pointwise`](super::pointwise), but each of the threads computes some of the output channels, for all pixels but for
/// those at the ends of its share: so it reads all of the input, and of the weights its own alone. The other way, by pixels,
/// reads all weights on each thread.
///
/// # Panics
/// As [`pointwise`](super::pointwise); with a gate each part needs scratch.
pub fn pointwise_by_columns<E: Element>(
    x: Rows<E>,
    rows: usize,
    factor: &Factor<E>,
    epilogue: &Epilogue<E>,
    out: RowsMut<E>,
    crew: Crew<E>,
) {
    let w = factor.weights;
    check(rows, w.n, epilogue, &out);
    check_input(x, rows, w, factor.gate, crew.scratch_len());
    let parts = crew.parts();
    // Of fewer pixels, a gate may scale the pixels rather than the weights, which is rounded otherwise.
    let divides = factor.gate.is_none() || rows < w.n;
    // No two parts have a row of a panel in common, nor panels a column.
    let (data, out_stride) = (Shared(out.data.as_mut_ptr()), out.stride);
    crew.run(&|part, scratch| {
        let ahead = part_of(&factor.ahead, &(part..part + 1), parts);
        let mut share = w.share(part, parts, rows, divides);
        // The largest of them has most time to fetch.
        share.sort_by_key(|(panels, rows)| std::cmp::Reverse(panels.len() * rows.len()));
        for (index, (panels, rows)) in share.into_iter().enumerate() {
            if panels.is_empty() {
                break;
            }
            let epilogue = Epilogue {
                residual: epilogue.residual.map(|all| below(all, rows.start)),
                ..*epilogue
            };
            let kernel = Pointwise {
                x: below(x, rows.start),
                rows: rows.len(),
                w,
                panels: &w.panels[panels],
                gate: factor.gate,
                ahead: if index == 0 { ahead.clone() } else { 0..0 },
                epilogue: &epilogue,
                out: data.at(rows.start * out_stride),
                out_stride,
                scratch: &mut *scratch,
            };
            E::pointwise(w.isa, kernel);
        }
    });
}

/// The pixels from `row` on.
fn below<E>(pixels: Rows<E>, row: usize) -> Rows<E> {
    Rows {
        data: &pixels.data[row * pixels.stride..],
        stride: pixels.stride,
    }
}

impl<E> PackedMatrix<E> {
    /// The panels of a part: those that begin in its share of the columns. A last one of fewer than `least` columns stays with
    /// the one before.
    pub(crate) fn panels_of_part(&self, part: usize, parts: usize, least: usize) -> &[Panel] {
        let narrow = self.panels.last().is_some_and(|last| last.columns < least);
        let starts = &self.panels[..self.panels.len() - usize::from(narrow)];
        let first = |part: usize| {
            let column = self.n * part / parts;
            match starts.partition_point(|panel| panel.first < column) {
                end if part > 0 && end == starts.len() => self.panels.len(),
                first => first,
            }
        };
        &self.panels[first(part)..first(part + 1)]
    }

    /// What a part computes: some rows of a panel, all rows of those that follow, and some rows of one more. Each may be no
    /// panel. `divides`: whether a panel's rows are shared at all.
    fn share(
        &self,
        part: usize,
        parts: usize,
        rows: usize,
        divides: bool,
    ) -> [(Range<usize>, Range<usize>); 3] {
        let (first, above) = self.cut(part, parts, rows, divides);
        let (last, below) = self.cut(part + 1, parts, rows, divides);
        let end = last + usize::from(below > 0);
        if first == last {
            return [(first..end, above..below), (0..0, 0..0), (0..0, 0..0)];
        }
        let whole = first + usize::from(above > 0);
        [
            (first..whole, above..rows),
            (whole..last, 0..rows),
            (last..end, 0..below),
        ]
    }

    /// Where a part begins: at a panel, and which of its rows. No part is of one of them: it would be summed up in another
    /// order.
    fn cut(&self, part: usize, parts: usize, rows: usize, divides: bool) -> (usize, usize) {
        let all: usize = self.panels.iter().map(|panel| panel.width * rows).sum();
        let mut left = all / parts * part + all % parts * part / parts;
        for (index, panel) in self.panels.iter().enumerate() {
            if left < panel.width * rows {
                // To the nearest.
                let unit = if divides { rows.min(2) } else { rows };
                let row = (left / panel.width + unit / 2) / unit * unit;
                return match row + unit.min(2) > rows {
                    true => (index + 1, 0),
                    false => (index, row),
                };
            }
            left -= panel.width * rows;
        }
        (self.panels.len(), 0)
    }
}
