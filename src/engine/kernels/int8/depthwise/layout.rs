//! Which kernels an instruction set has for square windows, and the order in which they read weights.

use edge_classify_kernels::Isa;

use super::groups::Groups;
#[cfg(target_arch = "aarch64")]
use super::neon::tall::{self, Tall};
use super::{Job, tiles};

/// The order of the weights of all channels.
#[derive(Debug, Clone, Copy)]
pub(super) enum Layout {
    Groups(Groups),
    #[cfg(target_arch = "aarch64")]
    Tall(Tall),
}

impl Layout {
    /// `None` if the instruction set has no kernels for such a window.
    pub fn of(isa: Isa, channels: usize, kernel: usize) -> Option<Layout> {
        #[cfg(target_arch = "aarch64")]
        if let (Isa::Neon(_), Some(tall)) = (isa, Tall::of(channels, kernel)) {
            return Some(Layout::Tall(tall));
        }
        Groups::of(isa, channels, kernel).map(Layout::Groups)
    }

    /// Of all weights.
    pub fn bytes(&self) -> usize {
        match self {
            Layout::Groups(groups) => groups.bytes(),
            #[cfg(target_arch = "aarch64")]
            Layout::Tall(tall) => tall.bytes(),
        }
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
        match self {
            Layout::Groups(groups) => groups.pack(weights, bias, multipliers, zero_point, to),
            #[cfg(target_arch = "aarch64")]
            Layout::Tall(tall) => tall.pack(weights, bias, multipliers, zero_point, to),
        }
    }

    /// Computes a job at a stride of 1 or 2 with packed weights.
    pub fn run(&self, job: Job, weights: &[u8]) {
        match (self, job.w.isa) {
            #[cfg(target_arch = "aarch64")]
            (Layout::Tall(layout), Isa::Neon(simd)) => tall::run(simd, *layout, job, weights),
            #[cfg(target_arch = "aarch64")]
            (Layout::Tall(_), _) => unreachable!("a layout of NEON alone"),
            (Layout::Groups(groups), _) => tiles::run(job, groups, weights),
        }
    }
}
