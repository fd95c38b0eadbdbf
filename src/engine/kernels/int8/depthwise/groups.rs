//! The order in which kernels of quads read weights: in groups of as many channels as a vector has bytes.
//!
//! A quad of neighbouring pixels is multiplied by four weights of a kernel's row, shifted by as many places as the output is
//! from the quad's first pixel: for a row `a b c` and outputs 0 and 1, by `a b c 0` and `0 a b c`. A row of so many quads
//! as hold the kernel and one place more gives [`columns_of`] outputs.

use edge_classify_kernels::Isa;

use super::quads::{QuadKernel, Quads, run_quads};

/// Sizes of the square kernels that there are tiles for.
pub(super) const KERNELS: [usize; 5] = [3, 5, 7, 9, 11];

/// Larger kernels have their channels in whole vectors, as more kinds of tiles would have to be compiled.
const MOST_SHARED: usize = 5;

/// How the weights of square kernels are laid out. Each group has for all of its channels, in the order of [`Quads`]: biases
/// with the input's zero point folded in, multipliers, and weights for each kernel row, output column and quad.
#[derive(Debug, Clone, Copy)]
pub(super) struct Groups {
    shape: Shape,
    channels: usize,
    kernel: usize,
}

/// Channels that are computed together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    pub first: usize,
    pub count: usize,
    /// The first of them that the group before has, too.
    pub again: usize,
    /// Whether they are as many as a vector has bytes.
    pub is_whole: bool,
    /// Parts of a vector that each have all of these channels, of pixels of neighbouring tiles.
    pub sets: usize,
    /// Where its weights begin, in bytes.
    pub start: usize,
}

/// Of [`Quads`].
#[derive(Debug, Clone, Copy)]
struct Shape {
    bytes: usize,
    offset: i32,
    most_sets: usize,
    masked: bool,
}

impl QuadKernel for Shape {
    type Output = Shape;

    #[inline(always)]
    fn run<S: Quads>(self, _: S) -> Shape {
        Shape {
            bytes: S::BYTES,
            offset: S::OFFSET,
            most_sets: S::MOST_SETS,
            masked: S::MASKED_BYTES,
        }
    }
}

/// Quads of a row of pixels, for a kernel of this size.
pub(super) const fn quads_of(kernel: usize) -> usize {
    (kernel + 1).div_ceil(4)
}

/// Outputs that see nothing beyond the quads of a row, at a stride of 1.
pub(super) const fn columns_of(kernel: usize) -> usize {
    4 * quads_of(kernel) - kernel + 1
}

/// Where the channel at a place of a vector's bytes is: its quad, and its place there.
pub(super) fn place(byte: usize) -> (usize, usize) {
    (byte / 4 % 4, byte / 16 * 4 + byte % 4)
}

impl Groups {
    /// `None` if there are no tiles for such a kernel, or the instruction set has no quads.
    pub fn of(isa: Isa, channels: usize, kernel: usize) -> Option<Groups> {
        if !KERNELS.contains(&kernel) {
            return None;
        }
        let none = Shape {
            bytes: 0,
            offset: 0,
            most_sets: 0,
            masked: false,
        };
        let shape = run_quads(isa, none)?;
        Some(Groups {
            shape,
            channels,
            kernel,
        })
    }

    pub fn kernel(&self) -> usize {
        self.kernel
    }

    /// Of all weights.
    pub fn bytes(&self) -> usize {
        self.channels.div_ceil(self.shape.bytes) * self.group_bytes()
    }

    fn group_bytes(&self) -> usize {
        let weights = self.kernel * columns_of(self.kernel) * quads_of(self.kernel) * 4;
        (8 + weights) * self.shape.bytes
    }

    pub fn groups(&self) -> impl Iterator<Item = Group> + use<> {
        let Groups {
            shape,
            channels,
            kernel,
        } = *self;
        let group_bytes = self.group_bytes();
        (0..channels.div_ceil(shape.bytes)).map(move |group| {
            let first = group * shape.bytes;
            let left = channels - first;
            // Without masks, a last vector that is not whole begins earlier: some of its channels are computed again.
            let again = match shape.masked || channels < shape.bytes {
                true => 0,
                false => shape.bytes.saturating_sub(left),
            };
            let first = first - again;
            let count = shape.bytes.min(channels - first);
            let sets = match shape.bytes / count {
                4.. if kernel <= MOST_SHARED && shape.most_sets >= 4 => 4,
                2.. if kernel <= MOST_SHARED && shape.most_sets >= 2 => 2,
                _ => 1,
            };
            Group {
                first,
                count,
                again,
                is_whole: count == shape.bytes,
                sets,
                start: group * group_bytes,
            }
        })
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
        let (bytes, kernel) = (self.shape.bytes, self.kernel);
        let (columns, quads) = (columns_of(kernel), quads_of(kernel));
        // Of an input's byte for the padding.
        let zero = i32::from(zero_point) + self.shape.offset;
        for group in self.groups() {
            let to = &mut to[group.start..][..self.group_bytes()];
            for byte in 0..bytes {
                let c = byte % (bytes / group.sets);
                if c >= group.count {
                    continue;
                }
                let c = group.first + c;
                let weights = &weights[c * kernel * kernel..][..kernel * kernel];
                let (quad, lane) = place(byte);
                let word = |line: usize| (4 * line + quad) * bytes + 4 * lane;
                let all: i32 = weights.iter().map(|weight| i32::from(*weight)).sum();
                let folded = bias[c] - zero * all;
                to[word(0)..][..4].copy_from_slice(&folded.to_ne_bytes());
                to[word(1)..][..4].copy_from_slice(&multipliers[c].to_ne_bytes());
                for (i, row) in weights.chunks_exact(kernel).enumerate() {
                    for column in 0..columns {
                        for (j, weight) in row.iter().enumerate() {
                            let line = 2 + (i * columns + column) * quads + (column + j) / 4;
                            to[word(line) + (column + j) % 4] = *weight as u8;
                        }
                    }
                }
            }
        }
    }
}
