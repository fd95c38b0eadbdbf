//! A pointwise convolution whose output channels are shared among threads.

use super::{Epilogue, Factor, PackedMatrix, Panel, Pointwise, check, check_input};
use crate::ahead::part_of;
use crate::crew::{Crew, Shared};
use crate::element::Element;
use crate::rows::{Rows, RowsMut};

/// As [`pointwise`](super::pointwise), but each of the threads computes some of the output channels, for all pixels: so it
/// reads all of the input, and of the weights its own alone. The other way, by pixels, reads all weights on each thread.
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
    // No two parts have a panel in common, nor panels a column.
    let (data, out_stride) = (Shared(out.data.as_mut_ptr()), out.stride);
    crew.run(&|part, scratch| {
        let kernel = Pointwise {
            x,
            rows,
            w,
            panels: w.panels_of_part(part, parts, 0),
            gate: factor.gate,
            ahead: part_of(&factor.ahead, &(part..part + 1), parts),
            epilogue,
            out: data.at(0),
            out_stride,
            scratch,
        };
        E::pointwise(w.isa, kernel);
    });
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
}
