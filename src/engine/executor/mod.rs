//! A network packed for a processor, and the memory in which it runs.

mod ahead;
mod arena;
mod chain;
mod convert;
mod fuse;
mod int8;
mod observed;
mod pack;
mod piece;
mod source;
mod step;
mod sums;
mod team;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_classify_kernels::{Element, Isa, Lines, Memory, interleave, values_of, values_of_mut};

use super::EngineError;
use super::net::Net;
use arena::Place;
pub use observed::Observed;
use source::Input;
pub use source::Picture;
use step::{Scratch, Step};
pub use team::Team;

/// Weights in the order in which this processor's kernels read them, and where the values between the layers lie. Any
/// number of executors share one.
#[derive(Debug)]
pub struct Packed<E = f32> {
    isa: Isa,
    steps: Vec<Step<E>>,
    input: Place,
    output: Place,
    /// Height, width and channels of the picture.
    size: [usize; 3],
    /// Bytes for all values.
    arena_len: usize,
    /// Bytes that each part of the most demanding step needs besides.
    scratch_len: usize,
    /// Bytes of the sums of each channel that each part of a step adds up, at most.
    sums_len: usize,
    /// Multiply-adds that are worth a thread.
    grain: u64,
}

/// Which layers are computed together.
#[derive(Debug, Clone, Copy)]
enum Together {
    /// Those for which this many bytes of a cache are good; and means and the reading of the picture on the way.
    In(Option<usize>),
    /// None.
    Never,
}

/// What it takes to wake a thread is small beside these.
const GRAIN: u64 = 200_000;

impl<E: Element> Packed<E> {
    /// `cache`: bytes that one thread may fill of the cache that is its own, for layers to be computed together; without it
    /// each is by itself.
    ///
    /// # Errors
    /// If the instructions do not compute in this type, or weights that are stored elsewhere cannot be read.
    pub fn new(net: Net, isa: Isa, cache: Option<usize>) -> Result<Self, EngineError> {
        if !isa.computes::<E>() {
            return Err(cannot_compute::<E>(isa));
        }
        pack::pack(net, isa, Together::In(cache))
    }

    /// Every layer is by itself: also those that others would compute on their way, as means and the reading of the
    /// picture. For [`Executor::run_observed`].
    ///
    /// # Errors
    /// As [`Packed::new`].
    pub fn apart(net: Net, isa: Isa) -> Result<Self, EngineError> {
        if !isa.computes::<E>() {
            return Err(cannot_compute::<E>(isa));
        }
        pack::pack(net, isa, Together::Never)
    }

    /// Values in the picture.
    pub fn input_len(&self) -> usize {
        self.size.iter().product()
    }

    /// Bytes of the arena.
    pub fn arena_bytes(&self) -> usize {
        self.arena_len
    }

    /// Bytes that each thread needs besides.
    pub fn scratch_bytes(&self) -> usize {
        self.scratch_len
    }

    /// Which bytes of the arena each layer writes, by its index in the network. A mean that a depthwise convolution
    /// computes on the way has none of its own, nor have layers that are computed together with later ones.
    pub fn places(&self) -> BTreeMap<usize, Range<usize>> {
        let steps = self.steps.iter();
        let last = |step: &Step<E>| step.layers.last().copied();
        steps
            .filter_map(|step| Some((last(step)?, step.output.range(0))))
            .collect()
    }

    /// Layers that are computed together, by their indices.
    pub fn groups(&self) -> impl Iterator<Item = &[usize]> {
        self.steps.iter().map(|step| &step.layers[..])
    }
}

/// Runs a packed network, one picture at a time, in memory that it has from the start. Several threads share each layer
/// by the rows of its output, or by its channels.
pub struct Executor<E = f32> {
    packed: Arc<Packed<E>>,
    arena: Lines<u8>,
    scratch: Scratch,
    team: Arc<Team>,
}

const CACHE_LINE: usize = 64;

/// So many values, or more that fill their cache lines: what is behind them begins with one.
fn whole_lines<E>(values: usize) -> usize {
    let line = CACHE_LINE / size_of::<E>();
    values.checked_next_multiple_of(line).unwrap_or(usize::MAX)
}

impl<E: Element> Executor<E> {
    /// # Errors
    /// If there is not so much memory.
    pub fn new(packed: Arc<Packed<E>>, team: Arc<Team>) -> Result<Self, EngineError> {
        let times = |len: usize| len.saturating_mul(team.threads());
        let (values, sums) = (times(packed.scratch_len), times(packed.sums_len));
        let pieces = [packed.arena_len, values, sums];
        let mut memory = Memory::new(pieces).map_err(|_| too_large())?;
        Ok(Executor {
            arena: memory.take(packed.arena_len),
            scratch: Scratch {
                values: memory.take(values),
                sums: memory.take(sums),
            },
            team,
            packed,
        })
    }

    /// Another one with the same weights and threads.
    pub fn another(&self) -> Result<Self, EngineError> {
        Executor::new(self.packed.clone(), self.team.clone())
    }

    /// The result for a picture of f32 in planes (NCHW). It allocates nothing but what delegates do.
    ///
    /// # Panics
    /// If `planes` is not as long as [`Packed::input_len`].
    pub fn run(&mut self, planes: &[f32]) -> Result<&[E], EngineError> {
        self.run_steps(Input::Planes(planes), |step, arena, run| run(step, arena))
    }

    /// Whether [`Executor::run_picture`] can be called.
    pub fn takes_pictures(&self) -> bool {
        self.packed.steps.first().is_some_and(Step::reads)
    }

    /// As [`Executor::run`], for a picture that is normalised as the first layer reads it.
    ///
    /// # Panics
    /// If the first layer cannot, or the picture is smaller than the network's input.
    pub fn run_picture(&mut self, picture: Picture) -> Result<&[E], EngineError> {
        self.run_steps(Input::Picture(picture), |step, arena, run| run(step, arena))
    }

    /// As [`Executor::run`], and tells the indices of layers that are computed together and what they took.
    pub fn run_timed(
        &mut self,
        planes: &[f32],
        took: &mut (dyn FnMut(&[usize], Duration) + Send),
    ) -> Result<&[E], EngineError> {
        self.run_steps(Input::Planes(planes), |step, arena, run| {
            let start = Instant::now();
            run(step, arena)?;
            took(&step.layers, start.elapsed());
            Ok(())
        })
    }

    /// As [`Executor::run`], and shows after each layer what it has read and written. What it has written may be changed:
    /// later layers read it as it is then.
    ///
    /// # Panics
    /// If layers are not [apart](Packed::apart).
    pub fn run_observed(
        &mut self,
        planes: &[f32],
        observe: &mut (dyn FnMut(Observed<E>) + Send),
    ) -> Result<&[E], EngineError> {
        self.run_steps(Input::Planes(planes), |step, arena, run| {
            run(step, arena)?;
            observe(Observed::new(step, arena));
            Ok(())
        })
    }

    /// Calls `each` with every step, the arena and the way to run it there, until it fails.
    fn run_steps(
        &mut self,
        input: Input,
        mut each: impl FnMut(&Step<E>, &mut [u8], &mut RunStep<E>) -> Done + Send,
    ) -> Result<&[E], EngineError> {
        let packed = &*self.packed;
        let mut levels = None;
        let first = packed.steps.first();
        let input = input.to_levels(packed.isa, first.and_then(Step::input_levels), &mut levels);
        let arena = self.arena.values_mut();
        if let Input::Planes(planes) = input {
            assert_eq!(planes.len(), packed.input_len(), "the picture's length");
        }
        let reads = packed.steps.first().is_some_and(Step::reads);
        let mut read = match input {
            Input::Planes(planes) if !reads => {
                let pixels: &mut [E] = values_of_mut(&mut arena[packed.input.range(0)]);
                interleave(packed.isa, planes, packed.size[2], 0, pixels);
                None
            }
            input => Some(input),
        };
        let (scratch, team) = (&mut self.scratch, &self.team);
        packed.steps.iter().try_for_each(|step| {
            each(step, arena, &mut |step, arena| {
                let parts = (step.cost / packed.grain).clamp(1, team.threads() as u64);
                step.run(read.take(), arena, scratch, parts as usize, team)
            })
        })?;
        Ok(values_of(&self.arena.values()[packed.output.range(0)]))
    }
}

fn too_large() -> EngineError {
    EngineError::Prepare(
        "there is not enough memory for the values between its layers; \
         try a smaller picture or fewer threads"
            .to_owned(),
    )
}

fn cannot_compute<E>(isa: Isa) -> EngineError {
    let (isa, size) = (isa.name(), 8 * size_of::<E>());
    EngineError::Prepare(format!("{isa} does not compute in values of {size} bits"))
}

/// Runs a step in the arena.
type RunStep<'a, E> = dyn FnMut(&Step<E>, &mut [u8]) -> Done + 'a;

/// Whether a step could be run.
type Done = Result<(), EngineError>;
