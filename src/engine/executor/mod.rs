//! A network packed for a processor, and the memory in which it runs.

mod arena;
mod chain;
mod fuse;
mod pack;
mod piece;
mod step;
mod team;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_classify_kernels::Isa;

use super::EngineError;
use super::net::Net;
use arena::Place;
use step::Step;
pub use team::Team;

/// Weights in the order in which this processor's kernels read them, and where the values between the layers lie. Any
/// number of executors share one.
#[derive(Debug)]
pub struct Packed {
    steps: Vec<Step>,
    input: Place,
    output: Place,
    /// Height, width and channels of the picture.
    size: [usize; 3],
    /// Floats for all values.
    arena_len: usize,
    /// Floats that each part of the most demanding step needs besides.
    scratch_len: usize,
    /// Multiply-adds that are worth a thread.
    grain: usize,
}

/// What it takes to wake a thread is small beside these.
const GRAIN: usize = 200_000;

impl Packed {
    /// `cache`: bytes that one thread may fill of the cache that is its own, for layers to be computed together; without it
    /// each is by itself.
    ///
    /// # Errors
    /// If weights that are stored elsewhere cannot be read.
    pub fn new(net: Net, isa: Isa, cache: Option<usize>) -> Result<Packed, EngineError> {
        pack::pack(net, isa, cache)
    }

    /// Floats in the picture.
    pub fn input_len(&self) -> usize {
        self.size.iter().product()
    }

    /// Bytes of the arena.
    pub fn arena_bytes(&self) -> usize {
        self.arena_len * size_of::<f32>()
    }

    /// Which bytes of the arena each layer writes, by its index in the network. A mean that a depthwise convolution
    /// computes on the way has none of its own, nor have layers that are computed by bands.
    pub fn places(&self) -> BTreeMap<usize, Range<usize>> {
        let bytes = |step: &Step| {
            let Range { start, end } = step.output.range(0);
            start * size_of::<f32>()..end * size_of::<f32>()
        };
        let steps = self.steps.iter();
        let last = |step: &Step| step.layers.last().copied();
        steps
            .filter_map(|step| Some((last(step)?, bytes(step))))
            .collect()
    }

    /// Layers that are computed together, by their indices.
    pub fn groups(&self) -> impl Iterator<Item = &[usize]> {
        self.steps.iter().map(|step| &step.layers[..])
    }

    /// Floats in the result.
    pub fn output_len(&self) -> usize {
        self.output.channels
    }
}

/// Runs a packed network, one picture at a time, in memory that it has from the start. Several threads share each layer
/// by the rows of its output.
pub struct Executor {
    packed: Arc<Packed>,
    /// With a little more, as its first cache line begins at `start`.
    arena: Vec<f32>,
    start: usize,
    scratch: Vec<f32>,
    team: Arc<Team>,
}

const CACHE_LINE: usize = 64;

impl Executor {
    pub fn new(packed: Arc<Packed>, team: Arc<Team>) -> Executor {
        let arena = vec![0.0; packed.arena_len + CACHE_LINE / size_of::<f32>()];
        let start = arena.as_ptr().align_offset(CACHE_LINE);
        Executor {
            // An allocator may say that it cannot tell.
            start: if start < CACHE_LINE { start } else { 0 },
            arena,
            scratch: vec![0.0; packed.scratch_len * team.threads()],
            team,
            packed,
        }
    }

    /// Another one with the same weights and threads.
    pub fn another(&self) -> Executor {
        Executor::new(self.packed.clone(), self.team.clone())
    }

    /// The result for a picture of f32 in planes (NCHW). It allocates nothing but what delegates do.
    ///
    /// # Panics
    /// If `planes` is not as long as [`Packed::input_len`].
    pub fn run(&mut self, planes: &[f32]) -> Result<&[f32], EngineError> {
        self.run_steps(planes, |step, run| run(step))
    }

    /// As [`Executor::run`], and tells the indices of layers that are computed together and what they took.
    pub fn run_timed(
        &mut self,
        planes: &[f32],
        took: &mut (dyn FnMut(&[usize], Duration) + Send),
    ) -> Result<&[f32], EngineError> {
        self.run_steps(planes, |step, run| {
            let start = Instant::now();
            run(step)?;
            took(&step.layers, start.elapsed());
            Ok(())
        })
    }

    /// Calls `each` with every step and the way to run it, until it fails.
    fn run_steps(
        &mut self,
        planes: &[f32],
        mut each: impl FnMut(&Step, &mut dyn FnMut(&Step) -> Done) -> Done + Send,
    ) -> Result<&[f32], EngineError> {
        let packed = &*self.packed;
        assert_eq!(planes.len(), packed.input_len(), "the picture's length");
        let arena = &mut self.arena[self.start..][..packed.arena_len];
        interleave(planes, packed.size[2], &mut arena[packed.input.range(0)]);
        let (scratch, team) = (&mut self.scratch, &self.team);
        packed.steps.iter().try_for_each(|step| {
            each(step, &mut |step| {
                let parts = (step.cost / packed.grain).clamp(1, team.threads());
                step.run(arena, scratch, parts, team)
            })
        })?;
        let arena = &self.arena[self.start..][..packed.arena_len];
        Ok(&arena[packed.output.range(0)])
    }
}

/// Whether a step could be run.
type Done = Result<(), EngineError>;

/// From planes to pixels.
fn interleave(planes: &[f32], channels: usize, pixels: &mut [f32]) {
    let area = planes.len() / channels;
    if let (3, Some((red, rest))) = (channels, planes.split_at_checked(area)) {
        let (green, blue) = rest.split_at(area);
        for (((pixel, r), g), b) in pixels.chunks_exact_mut(3).zip(red).zip(green).zip(blue) {
            pixel.copy_from_slice(&[*r, *g, *b]);
        }
        return;
    }
    for (c, plane) in planes.chunks_exact(area).enumerate() {
        for (pixel, value) in pixels.chunks_exact_mut(channels).zip(plane) {
            pixel[c] = *value;
        }
    }
}
