//! Which channels of a value have been written.

use std::ops::Range;

/// Ranges in their order, none of which touch: as many as layers write apart, however many channels there are.
#[derive(Debug, Clone, Default)]
pub(super) struct Written(Vec<Range<usize>>);

impl Written {
    /// Whether all of the range has been written.
    pub fn covers(&self, range: &Range<usize>) -> bool {
        let at = self.0.partition_point(|known| known.end < range.end);
        self.0
            .get(at)
            .is_some_and(|known| known.start <= range.start && range.end <= known.end)
    }

    /// Whether some of the range has been written.
    pub fn overlaps(&self, range: &Range<usize>) -> bool {
        let at = self.0.partition_point(|known| known.end <= range.start);
        self.0.get(at).is_some_and(|known| known.start < range.end)
    }

    /// Adds a range that overlaps none.
    pub fn add(&mut self, range: Range<usize>) {
        let at = self.0.partition_point(|known| known.end < range.start);
        let mut whole = range;
        while let Some(known) = self.0.get(at).filter(|known| known.start <= whole.end) {
            whole = whole.start.min(known.start)..whole.end.max(known.end);
            self.0.remove(at);
        }
        self.0.insert(at, whole);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// As if every channel were noted.
        #[test]
        fn ranges_are_what_channels_are(ranges in prop::collection::vec((0..40_usize, 1..9_usize), 0..30)) {
            let mut written = Written::default();
            let mut channels = [false; 48];
            for (first, len) in ranges {
                let range = first..first + len;
                let noted = &mut channels[range.clone()];
                prop_assert_eq!(written.overlaps(&range), noted.contains(&true));
                prop_assert_eq!(written.covers(&range), !noted.contains(&false));
                if !noted.contains(&true) {
                    noted.fill(true);
                    written.add(range);
                }
                prop_assert!(written.0.windows(2).all(|pair| pair[0].end < pair[1].start));
            }
        }
    }
}
