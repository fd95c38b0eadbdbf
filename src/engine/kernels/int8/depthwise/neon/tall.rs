//! 3x3 and 5x5 kernels on 64-bit ARM, whose quads are four rows of a kernel's column: a quad of the input serves all
//! outputs beside each other that see its column, with other weights for each of them, and at a stride of 1 two rows of
//! outputs. Where the kernel has five rows, what is left is in quads of four columns of a row, of which an output sees
//! two.
//!
//! Channels are computed in blocks of four, as many as a vector has sums of: all weights of a block stay in registers
//! for some rows of outputs.

mod seen;
mod strips;

use edge_classify_kernels::Neon;

use super::{Dot, Multiply, Pairs};
use crate::depthwise::Job;
use crate::simd::neon::Bounds;
use strips::{FUNCTION, Strips};

/// Sizes of kernels that this is for.
const KERNELS: [usize; 2] = [3, 5];

/// Channels of a vector of bytes, which are loaded and turned together.
const CHANNELS: usize = 16;

/// Channels of a vector of sums.
const BLOCK: usize = 4;

/// Rows, or columns, of a quad.
const QUAD: usize = 4;

/// The order of weights: each block has its biases with the input's zero point folded in, its multipliers, and for each
/// of two rows of outputs that see the same quads those of the columns, and those of the row that is left: two for each
/// place that an output's first column may have in the first of its quads.
#[derive(Debug, Clone, Copy)]
pub struct Tall {
    kernel: usize,
    channels: usize,
}

impl Tall {
    /// `None` if this is not for such a kernel, or there are fewer than [`CHANNELS`].
    pub fn of(channels: usize, kernel: usize) -> Option<Tall> {
        (KERNELS.contains(&kernel) && channels >= CHANNELS).then_some(Tall { kernel, channels })
    }

    /// Of all weights.
    pub fn bytes(&self) -> usize {
        self.channels.div_ceil(CHANNELS) * (CHANNELS / BLOCK) * block_bytes(self.kernel)
    }

    /// The first channel of each group: a last one that is not whole begins earlier, and computes some channels again.
    fn firsts(self) -> impl Iterator<Item = usize> {
        (0..self.channels)
            .step_by(CHANNELS)
            .map(move |first| first.min(self.channels - CHANNELS))
    }

    /// `weights`: channels x kernel x kernel; `bias` and `multipliers`: one for each channel, or more.
    pub fn pack(
        &self,
        weights: &[i8],
        bias: &[i32],
        multipliers: &[f32],
        zero_point: i8,
        to: &mut [u8],
    ) {
        let Tall { kernel, .. } = *self;
        let blocks = self
            .firsts()
            .flat_map(|first| (first..first + CHANNELS).step_by(BLOCK));
        for (first, to) in blocks.zip(to.chunks_exact_mut(block_bytes(kernel))) {
            for lane in 0..BLOCK {
                let c = first + lane;
                let weights = &weights[c * kernel * kernel..][..kernel * kernel];
                let all: i32 = weights.iter().map(|weight| i32::from(*weight)).sum();
                let folded = bias[c] - i32::from(zero_point) * all;
                let mut words = to
                    .chunks_exact_mut(CHANNELS)
                    .map(|vector| &mut vector[lane * 4..][..4]);
                let mut put = |word: [u8; 4]| {
                    let to = words.next().expect("so many vectors");
                    to.copy_from_slice(&word);
                };
                put(folded.to_ne_bytes());
                put(multipliers[c].to_ne_bytes());
                let at = |i: usize, j: usize| weights[i * kernel + j] as u8;
                for row in [Row::Upper, Row::Lower] {
                    for j in 0..kernel {
                        put(std::array::from_fn(|i| match row.tap(kernel, i) {
                            Some(i) => at(i, j),
                            None => 0,
                        }));
                    }
                    if kernel <= QUAD {
                        continue;
                    }
                    for (place, quad) in (0..QUAD).flat_map(|place| [(place, 0), (place, 1)]) {
                        put(std::array::from_fn(|e| {
                            match (QUAD * quad + e).checked_sub(place) {
                                Some(j) if j < kernel => at(row.left(kernel), j),
                                _ => 0,
                            }
                        }));
                    }
                }
            }
        }
    }
}

/// Which of two rows of outputs that see the same quads.
#[derive(Clone, Copy, PartialEq)]
enum Row {
    Upper,
    Lower,
}

impl Row {
    /// The kernel's row for a row of the quad.
    fn tap(self, kernel: usize, i: usize) -> Option<usize> {
        match self {
            Row::Upper => Some(i + first_of_quad(kernel)).filter(|i| *i < kernel),
            Row::Lower => (i + first_of_quad(kernel)).checked_sub(1),
        }
    }

    /// The kernel's row that is not in quads of rows, if it has five.
    fn left(self, kernel: usize) -> usize {
        match self {
            Row::Upper => 0,
            Row::Lower => kernel - 1,
        }
    }
}

/// The row of the upper output's kernel that is the first of a quad.
const fn first_of_quad(kernel: usize) -> usize {
    kernel.saturating_sub(QUAD)
}

/// Vectors of a row's weights.
const fn row_vectors(kernel: usize) -> usize {
    kernel + if kernel > QUAD { 2 * QUAD } else { 0 }
}

const fn block_bytes(kernel: usize) -> usize {
    (2 + 2 * row_vectors(kernel)) * CHANNELS
}

/// Computes a job at a stride of 1 or 2 with packed weights.
pub fn run(simd: Neon, layout: Tall, job: Job, weights: &[u8]) {
    match Dot::new(simd) {
        Some(dot) => run_with(dot, layout, job, weights),
        None => run_with(Pairs::new(simd), layout, job, weights),
    }
}

fn run_with<S: Multiply>(simd: S, layout: Tall, job: Job, weights: &[u8]) {
    let end = match job.w.requantization.is_linear() {
        true => Bounds::of(job.w.range()),
        false => FUNCTION,
    };
    macro_rules! call_to {
        ($kernel:literal, $stride:literal, $end:expr) => {
            Strips::<_, $kernel, $stride, { $end }> {
                simd,
                layout,
                job,
                weights,
            }
            .run()
        };
    }
    macro_rules! call {
        ($kernel:literal, $stride:literal) => {
            match end {
                FUNCTION => call_to!($kernel, $stride, FUNCTION),
                Bounds::RECTIFIED => call_to!($kernel, $stride, Bounds::RECTIFIED),
                _ => call_to!($kernel, $stride, Bounds::ANY),
            }
        };
    }
    match (layout.kernel, job.window.stride_h) {
        (3, 1) => call!(3, 1),
        (3, _) => call!(3, 2),
        (_, 1) => call!(5, 1),
        _ => call!(5, 2),
    }
}
