//! Addresses of what is read later.

use std::ops::Range;

/// Of the addresses, as many of `all` parts as `parts` are.
///
/// # Panics
/// If there are no parts.
pub fn part_of(addresses: &Range<usize>, parts: &Range<usize>, all: usize) -> Range<usize> {
    // No product of two addresses fits in one.
    let at = |part: usize| addresses.len() as u128 * part as u128 / all as u128;
    let place = |part| addresses.start + at(part) as usize;
    place(parts.start)..place(parts.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_all_between_them() {
        for addresses in [1000..4567, 3..usize::MAX] {
            let parts = [0..13, 13..40, 40..49].map(|part| part_of(&addresses, &part, 49));
            assert_eq!(parts[0].start, addresses.start);
            assert_eq!(parts[2].end, addresses.end);
            assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
        }
        assert!(part_of(&(0..0), &(3..5), 9).is_empty());
    }
}
