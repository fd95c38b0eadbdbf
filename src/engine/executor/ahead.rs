//! Which weights are fetched while earlier layers are computed.
//!
//! A layer of one pixel (a classifier, squeeze-and-excitation) takes as long as its weights take to come from memory, while
//! pointwise convolutions of many leave the memory idle. So these fetch the weights that follow, as late as there is time to.

use std::ops::Range;

use edge_classify_kernels::Element;

use super::piece::ByRows;
use super::step::{Run, Step};

/// Bytes that are fetched for so many multiply-adds: some each cycle, for which these take longer anyway.
/// A step of the largest tile has 384, in which a line is fetched.
const BYTES: u64 = 1;
const MULTIPLY_ADDS: u64 = 6;

/// Divides the weights among the pointwise layers before them.
pub fn plan<E: Element>(steps: &mut [Step<E>]) {
    // What has to be there before the layers that have been seen, and has no time yet.
    let mut later = 0..0;
    for step in steps.iter_mut().rev() {
        let convolves = matches!(step.run, Run::Pointwise { .. } | Run::Expansion { .. });
        if convolves && step.output.pixels > 1 {
            let most = step.cost * BYTES / MULTIPLY_ADDS;
            let start = later.end - later.len().min(most as usize);
            step.ahead = start..later.end;
            later.end = start;
        }
        if let Some(own) = step.run.addresses() {
            later = match later.is_empty() {
                true => own,
                false => join(own.clone(), later).unwrap_or(own),
            };
        }
    }
}

/// Both, if one begins where the other ends, but for what is left of a cache line.
pub fn join(a: Range<usize>, b: Range<usize>) -> Option<Range<usize>> {
    let apart = b.start.checked_sub(a.end)?;
    (apart < super::CACHE_LINE).then_some(a.start..b.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_adjacent_is_joined() {
        assert_eq!(join(64..100, 128..200), Some(64..200));
        assert_eq!(join(64..128, 128..200), Some(64..200));
        assert_eq!(join(64..128, 192..200), None);
        assert_eq!(join(128..200, 64..128), None);
    }
}
