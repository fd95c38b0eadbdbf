//! Layers that are computed together, a band of rows of the last one at a time, so that what is between them stays in the
//! cache and is never all there.

use std::ops::Range;

use edge_classify_kernels::{Activation, Element, Rows, RowsMut};

use super::arena::Place;
use super::piece::{Piece, from};
use super::source::Source;
use super::step::Run;
use super::sums::Means;

/// Most layers of a chain.
pub const MOST: usize = 8;

/// With the normalisation of a picture before them.
const MOST_LINKS: usize = MOST + 1;

/// Layers of which each reads what the one before writes, and nobody else does.
#[derive(Debug)]
pub struct Chain<E> {
    links: Vec<Link<E>>,
    /// Rows of the last layer's output that are computed together.
    band: usize,
}

#[derive(Debug)]
pub struct Link<E> {
    pub run: Run<E>,
    pub activation: Activation,
    /// The output's.
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    /// Rows of the output that are there together, unless it is the last layer's.
    held: usize,
    /// Where they begin in the scratch.
    offset: usize,
}

impl<E: Element> Link<E> {
    pub fn new(run: Run<E>, activation: Activation, output: Place, height: usize) -> Self {
        Link {
            run,
            activation,
            height,
            width: output.pixels / height,
            channels: output.channels,
            held: 0,
            offset: 0,
        }
    }

    /// For a step of its own.
    pub fn into_run(self) -> (Run<E>, Activation) {
        (self.run, self.activation)
    }

    fn needs(&self, rows: &Range<usize>) -> Range<usize> {
        self.run
            .needs(rows)
            .expect("a chain is of layers that are computed by rows")
    }

    fn row_len(&self) -> usize {
        self.width * self.channels
    }
}

impl<E: Element> Chain<E> {
    /// # Panics
    /// If there are more than [`MOST`] and a normalisation, or one of them cannot be computed by rows.
    pub fn new(mut links: Vec<Link<E>>, band: usize) -> Self {
        assert!(
            links.len() <= MOST_LINKS,
            "a chain of {} layers",
            links.len()
        );
        let mut rows = band;
        for index in (1..links.len()).rev() {
            rows = most_needed(&links[index].run, rows);
            let before = &mut links[index - 1];
            rows = rows.min(before.height);
            before.held = rows;
        }
        let mut offset = 0;
        for link in &mut links {
            link.offset = offset;
            offset += link.held * link.row_len();
        }
        Chain { links, band }
    }

    pub fn links(&self) -> &[Link<E>] {
        &self.links
    }

    /// Whether it can begin with a picture.
    pub fn normalizes(&self) -> bool {
        matches!(self.links[0].run, Run::Normalize { .. })
    }

    /// Sums that the last layer adds up.
    pub fn means(&self) -> Option<&Means> {
        match &self.links.last()?.run {
            Run::Depthwise { means, .. } => means.as_ref(),
            _ => None,
        }
    }

    /// Elements of what is between the layers, and for their kernels.
    pub fn scratch_len(&self) -> usize {
        let kernels = self.links.iter();
        let kernels = kernels.map(|link| link.run.kernel_scratch_len(self.band * link.width));
        self.held_len() + kernels.max().unwrap_or(0)
    }

    /// Elements of what is between the layers.
    pub fn held_len(&self) -> usize {
        let held = self.links.iter();
        held.map(|link| link.held * link.row_len()).sum()
    }

    /// Computes some rows of the last layer's output, which `out` has. `x` is all of the first layer's input, or a picture;
    /// `values` has what else the layers read, and `sums` is for [`Chain::means`].
    pub fn run<'a>(
        &self,
        x: Source<E>,
        rows: Range<usize>,
        out: RowsMut<E>,
        values: &dyn Fn(Place) -> Rows<'a, E>,
        scratch: &mut [E],
        mut sums: Option<&mut [f32]>,
    ) where
        E: 'a,
    {
        let last = self.links.len() - 1;
        let first = usize::from(self.normalizes() && matches!(x, Source::Values(_)));
        // Of each layer's output, the rows that are there.
        let mut there: [Option<Range<usize>>; MOST_LINKS] = [const { None }; MOST_LINKS];
        let height = match first == last {
            true => rows.len().max(1),
            false => self.band,
        };
        for start in rows.clone().step_by(height) {
            let band = start..(start + height).min(rows.end);
            let mut needed = [const { 0..0 }; MOST_LINKS];
            needed[last] = band.clone();
            for index in (first..last).rev() {
                needed[index] = self.links[index + 1].needs(&needed[index + 1]);
            }
            for (index, link) in self.links.iter().enumerate().skip(first) {
                let (before, rest) = scratch.split_at_mut(link.offset);
                let (held, rest) = rest.split_at_mut(link.held * link.row_len());
                let after = self.held_len() - link.offset - held.len();
                let kernel = &mut rest[after..];
                let (x, held_rows) = if index == first {
                    (x, link.needs(&(0..link.height)))
                } else {
                    let from = &self.links[index - 1];
                    let x = Rows {
                        data: &before[from.offset..][..from.held * from.row_len()],
                        stride: from.channels,
                    };
                    let there = there[index - 1].clone().unwrap_or_default();
                    (Source::Values(x), there)
                };
                let (out, new) = if index == last {
                    let start = (band.start - rows.start) * link.width * out.stride;
                    let data = &mut out.data[start..];
                    let stride = out.stride;
                    (RowsMut { data, stride }, band.clone())
                } else {
                    let needed = &needed[index];
                    let kept = keep(&mut there[index], needed, held, link.row_len());
                    let new = kept..needed.end;
                    if new.is_empty() {
                        continue;
                    }
                    let data = &mut held[(new.start - needed.start) * link.row_len()..];
                    let stride = link.channels;
                    (RowsMut { data, stride }, new)
                };
                let residual = link.run.residual().map(values);
                let piece = Piece {
                    x,
                    held: held_rows,
                    residual: residual.map(|rows| from(rows, new.start * link.width)),
                    rows: new,
                    out,
                    gate: None,
                    ahead: 0..0,
                    sums: if index == last {
                        sums.as_deref_mut()
                    } else {
                        None
                    },
                    scratch: kernel,
                };
                link.run.compute(link.width, link.activation, piece);
            }
        }
    }
}

/// Moves the rows that are needed again to the front, and tells which is the first that is not there yet. `there` is said to
/// be all that is needed.
fn keep<E: Element>(
    there: &mut Option<Range<usize>>,
    needed: &Range<usize>,
    held: &mut [E],
    row_len: usize,
) -> usize {
    let old = there.replace(needed.clone());
    let Some(old) = old.filter(|old| needed.start < old.end) else {
        return needed.start;
    };
    if old.start == needed.start {
        return old.end.min(needed.end);
    }
    let again = (needed.start - old.start) * row_len..old.len() * row_len;
    held.copy_within(again, 0);
    old.end.min(needed.end)
}

/// At most so many rows of the input does it take for `rows` rows of the output.
fn most_needed<E>(run: &Run<E>, rows: usize) -> usize {
    match run {
        Run::Convolution { window, .. } | Run::Depthwise { window, .. } => {
            (rows - 1) * window.stride_h + (window.kernel_h - 1) * window.dilation_h + 1
        }
        _ => rows,
    }
}
