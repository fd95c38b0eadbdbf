//! Arithmetic of channels and repeats, as `timm` and `geffnet` have it, so that their weights fit.

use super::{BlockDef, DepthRounding};

/// Channels scaled by `width`: rounded half up to a multiple of `divisor`, at least `divisor`, never below 0.9 of the
/// exact value. (MobileNetV2 reference code, `_make_divisible`.)
pub(super) fn round_channels(channels: f64, divisor: usize) -> usize {
    let step = divisor as f64;
    let rounded = (((channels + step / 2.0) as usize) / divisor * divisor).max(divisor);
    if (rounded as f64) < 0.9 * channels {
        rounded + divisor
    } else {
        rounded
    }
}

/// Repeats of a stage's blocks scaled together, handed out from the last block to the first.
pub(super) fn scale_repeats(blocks: &[BlockDef], depth: f64, rounding: DepthRounding) -> Vec<u32> {
    let mut left: u32 = blocks.iter().map(|block| block.repeats).sum();
    let scaled = f64::from(left) * depth;
    let mut left_scaled = match rounding {
        DepthRounding::Up => scaled.ceil(),
        DepthRounding::Nearest => scaled.round_ties_even().max(1.0),
    };
    let mut repeats: Vec<u32> = Vec::new();
    for block in blocks.iter().rev() {
        let share = (f64::from(block.repeats) / f64::from(left) * left_scaled)
            .round_ties_even()
            .max(1.0);
        repeats.push(share as u32);
        left -= block.repeats;
        left_scaled -= share;
    }
    repeats.reverse();
    repeats
}

/// Channels split evenly, the remainder to the first.
pub(super) fn split(channels: usize, parts: usize) -> impl Iterator<Item = usize> {
    let (even, rest) = (channels / parts, channels % parts);
    (0..parts).map(move |part| if part == 0 { even + rest } else { even })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_round_as_in_the_reference() {
        let cases = [
            (24.0 * 1.1, 24),
            (40.0 * 0.5, 24),
            (16.0 * 0.5, 8),
            (1.0, 8),
            (92.0, 96),
            (8.0 * 1.4, 16),
        ];
        for (exact, rounded) in cases {
            assert_eq!(round_channels(exact, 8), rounded, "{exact}");
        }
        assert_eq!(round_channels(7.5, 1), 8);
    }

    #[test]
    fn repeats_are_handed_out_from_the_end() {
        let stage = |text: &str| -> Vec<BlockDef> {
            text.split(' ')
                .map(|block| block.parse().unwrap())
                .collect()
        };
        let blocks = stage("cn_r1_k1_s1_c8 cn_r3_k1_s1_c8");
        assert_eq!(scale_repeats(&blocks, 1.0, DepthRounding::Up), [1, 3]);
        assert_eq!(scale_repeats(&blocks, 1.2, DepthRounding::Up), [1, 4]);
        assert_eq!(scale_repeats(&blocks, 1.2, DepthRounding::Nearest), [1, 4]);
        assert_eq!(scale_repeats(&blocks, 1.1, DepthRounding::Nearest), [1, 3]);
        assert_eq!(scale_repeats(&blocks, 0.01, DepthRounding::Nearest), [1, 1]);
    }

    #[test]
    fn channels_split_with_the_remainder_first() {
        assert_eq!(split(20, 3).collect::<Vec<_>>(), [8, 6, 6]);
    }
}
