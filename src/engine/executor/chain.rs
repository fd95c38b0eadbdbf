//! Layers that are computed together, a band of rows of the last one at a time, so that what is between them stays in the
//! cache and is never all there.

use std::ops::Range;

use edge_classify_kernels::{Activation, Rows, RowsMut};

use super::ahead;
use super::arena::{Around, Place};
use super::piece::{ByRows, Held, Piece};
use super::source::Source;
use super::sums::Means;
use super::whole_lines;

/// Most layers of a chain.
pub const MOST: usize = 8;

/// With the reading of the network's input before them.
const MOST_LINKS: usize = MOST + 1;

/// Layers of which each reads what the one before writes, and nobody else does.
#[derive(Debug)]
pub struct Chain<R> {
    links: Vec<Link<R>>,
    /// Rows of the last layer's output that are computed together.
    band: usize,
}

#[derive(Debug)]
pub struct Link<R> {
    pub run: R,
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

impl<R: ByRows> Link<R> {
    pub fn new(run: R, activation: Activation, output: Place, height: usize) -> Self {
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

    /// The same, of a layer that is told as another type.
    pub fn map<T>(self, change: impl FnOnce(R) -> T) -> Link<T> {
        let Link {
            run,
            activation,
            height,
            width,
            channels,
            held,
            offset,
        } = self;
        Link {
            run: change(run),
            activation,
            height,
            width,
            channels,
            held,
            offset,
        }
    }

    /// For a step of its own.
    pub fn into_run(self) -> (R, Activation) {
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

impl<R: ByRows> Chain<R> {
    /// # Panics
    /// If there are more than [`MOST`] and a reading, or one of them cannot be computed by rows.
    pub fn new(mut links: Vec<Link<R>>, band: usize) -> Self {
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
            offset += whole_lines::<R::Value>(link.held * link.row_len());
        }
        Chain { links, band }
    }

    pub fn links(&self) -> &[Link<R>] {
        &self.links
    }

    /// Whether it begins with the network's input.
    pub fn reads(&self) -> bool {
        self.links[0].run.reads()
    }

    /// Sums that the last layer adds up.
    pub fn means(&self) -> Option<&Means> {
        self.links.last()?.run.means()
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
        held.map(|link| whole_lines::<R::Value>(link.held * link.row_len()))
            .sum()
    }

    /// Where the layers' weights are.
    pub fn addresses(&self) -> Option<Range<usize>> {
        let links = self.links.iter().filter_map(|link| link.run.addresses());
        links.map(Some).reduce(|a, b| ahead::join(a?, b?))?
    }

    /// Computes some rows of the last layer's output, which `out` has. `x` is all of the first layer's input, or the
    /// network's; `around` has what else the layers read, and `sums` is for [`Chain::means`].
    pub fn run(
        &self,
        x: Source<R::Value>,
        rows: Range<usize>,
        out: RowsMut<R::Value>,
        around: &Around,
        scratch: &mut [R::Value],
        mut sums: Option<&mut [R::Sum]>,
    ) {
        let last = self.links.len() - 1;
        let (between, kernel) = scratch.split_at_mut(self.held_len());
        let of_input = self.links[0].needs(&(0..self.links[0].height));
        let of_input = Held::all(of_input.end);
        let mut there = [const { There::none() }; MOST_LINKS];
        for start in rows.clone().step_by(self.band) {
            let mut new = [const { 0..0 }; MOST_LINKS];
            new[last] = start..(start + self.band).min(rows.end);
            for index in (0..last).rev() {
                if !new[index + 1].is_empty() {
                    let needed = self.links[index + 1].needs(&new[index + 1]);
                    new[index] = there[index].make(needed, self.links[index].held);
                }
            }
            for index in 0..=last {
                let link = &self.links[index];
                let (before, own) = between.split_at_mut(link.offset);
                let (x, held) = match index == 0 {
                    true => (x, of_input.clone()),
                    false => {
                        let from = &self.links[index - 1];
                        let x = Rows {
                            data: &before[from.offset..][..from.held * from.row_len()],
                            stride: from.channels,
                        };
                        (Source::Values(x), there[index - 1].held(from.held))
                    }
                };
                let new = new[index].clone();
                let (line, lines) = match index == last {
                    true => (new.start - rows.start, usize::MAX),
                    false => (there[index].line(new.start, link.held), link.held),
                };
                // Up to the ring's end, and from its beginning on.
                let turn = new.end.min(new.start.saturating_add(lines - line));
                for (rows, line) in [(new.start..turn, line), (turn..new.end, 0)] {
                    if rows.is_empty() {
                        continue;
                    }
                    let out = match index == last {
                        true => RowsMut {
                            data: &mut out.data[line * link.width * out.stride..],
                            stride: out.stride,
                        },
                        false => RowsMut {
                            data: &mut own[line * link.row_len()..][..rows.len() * link.row_len()],
                            stride: link.channels,
                        },
                    };
                    let piece = Piece {
                        x,
                        held: held.clone(),
                        rows,
                        out,
                        around,
                        ahead: 0..0,
                        sums: sums.as_deref_mut().filter(|_| index == last),
                        scratch: &mut *kernel,
                    };
                    link.run.compute(link.width, link.activation, piece);
                }
            }
        }
    }
}

/// Which rows of a layer's output are there, in a ring: a new row takes the place of the oldest.
#[derive(Clone)]
struct There {
    rows: Range<usize>,
    /// The row `y` is at `y + shift`, modulo the ring's length.
    shift: usize,
}

impl There {
    const fn none() -> Self {
        There {
            rows: 0..0,
            shift: 0,
        }
    }

    /// Which of the rows that are needed now, and none before them later, are not there yet. They are said to be there.
    fn make(&mut self, needed: Range<usize>, lines: usize) -> Range<usize> {
        let old = std::mem::replace(&mut self.rows, needed.clone());
        if old.end > needed.start {
            return old.end.min(needed.end)..needed.end;
        }
        // None is kept. These end with the ring, so that the next ones begin with it.
        self.shift = lines - needed.end % lines;
        needed
    }

    fn line(&self, y: usize, lines: usize) -> usize {
        (y + self.shift) % lines
    }

    fn held(&self, lines: usize) -> Held {
        Held {
            rows: self.rows.clone(),
            lines,
            first: self.line(self.rows.start, lines),
        }
    }
}

/// At most so many rows of the input does it take for `rows` rows of the output.
fn most_needed<R: ByRows>(run: &R, rows: usize) -> usize {
    run.window().map_or(rows, |window| window.most_seen(rows))
}
