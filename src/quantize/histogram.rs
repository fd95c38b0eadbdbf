//! How often values occur.

/// Counts of values in bins of one width, a power of two that doubles whenever a value is beyond the last bin: so the order
/// in which values come makes no difference.
#[derive(Debug, Clone)]
pub struct Histogram {
    bins: Vec<u64>,
    width: f32,
    zeros: u64,
    /// Whether there was a value that is no finite number.
    is_faulty: bool,
}

/// Bins on each side of 0.
const SIDE: usize = 2048;

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            bins: vec![0; 2 * SIDE],
            width: f32::from_bits(0x2f80_0000), // 2^-32
            zeros: 0,
            is_faulty: false,
        }
    }
}

impl Histogram {
    pub fn add(&mut self, values: &[f32]) {
        let largest = values
            .iter()
            .fold(0.0, |largest: f32, value| largest.max(value.abs()));
        if !largest.is_finite() || values.iter().any(|value| value.is_nan()) {
            self.is_faulty = true;
            return;
        }
        while largest >= self.width * (SIDE - 1) as f32 {
            self.double();
        }
        let inverse = 1.0 / self.width;
        for value in values {
            // Both are exact, as the width is a power of two.
            let place = value * inverse;
            let whole = place as i32;
            let floor = whole - i32::from(whole as f32 > place);
            self.bins[(floor + SIDE as i32) as usize] += 1;
            self.zeros += u64::from(*value == 0.0);
        }
    }

    /// The counts of both together.
    pub fn merge(&mut self, other: &Histogram) {
        let mut other = other.clone();
        while self.width < other.width {
            self.double();
        }
        while other.width < self.width {
            other.double();
        }
        for (bin, more) in self.bins.iter_mut().zip(&other.bins) {
            *bin += more;
        }
        self.zeros += other.zeros;
        self.is_faulty |= other.is_faulty;
    }

    fn double(&mut self) {
        let mut bins = vec![0; 2 * SIDE];
        for (bin, pair) in self.bins.chunks_exact(2).enumerate() {
            bins[SIDE / 2 + bin] = pair[0] + pair[1];
        }
        self.bins = bins;
        self.width *= 2.0;
    }

    pub fn is_faulty(&self) -> bool {
        self.is_faulty
    }

    pub fn count(&self) -> u64 {
        self.bins.iter().sum()
    }

    pub fn zeros(&self) -> u64 {
        self.zeros
    }

    /// Middles and counts of bins with values other than 0, from the lowest on.
    pub fn bins(&self) -> impl DoubleEndedIterator<Item = (f64, u64)> {
        let width = f64::from(self.width);
        let bins = self.bins.iter().enumerate();
        bins.filter_map(move |(bin, count)| {
            let count = count - if bin == SIDE { self.zeros } else { 0 };
            let middle = (bin as f64 - SIDE as f64 + 0.5) * width;
            (count > 0).then_some((middle, count))
        })
    }

    /// Counts in so many equal parts of what is between `low` and `high`, which are the least and the largest value.
    pub fn parts(&self, low: f32, high: f32, parts: usize) -> Vec<u64> {
        let mut counts = vec![0; parts];
        let (low, high) = (f64::from(low), f64::from(high));
        let mut add = |value: f64, count: u64| {
            let part = (value - low) / (high - low).max(f64::MIN_POSITIVE) * parts as f64;
            counts[(part as usize).min(parts - 1)] += count;
        };
        self.bins().for_each(|(middle, count)| add(middle, count));
        add(0.0, self.zeros);
        counts
    }

    /// The bounds between which all but the part `beyond` of values are, on each side, and 0 is.
    pub fn percentile(&self, beyond: f64) -> (f64, f64) {
        let allowed = (self.count() as f64 * beyond) as u64;
        let half = 0.5 * f64::from(self.width);
        let bound = |bins: &mut dyn Iterator<Item = (f64, u64)>| {
            let mut seen = 0;
            let mut inside = bins.skip_while(|(_, count)| {
                seen += count;
                seen <= allowed
            });
            inside.next().map_or(0.0, |(middle, _)| middle)
        };
        let low = bound(&mut self.bins()) - half;
        let high = bound(&mut self.bins().rev()) + half;
        (low.min(0.0), high.max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_order_of_values_makes_no_difference(
            values in prop::collection::vec(-1e4f32..1e4, 1..200),
            at in 0usize..200,
        ) {
            let (first, second) = values.split_at(at.min(values.len()));
            let mut forth = Histogram::default();
            forth.add(first);
            forth.add(second);
            let [mut back, mut other] = [Histogram::default(), Histogram::default()];
            back.add(second);
            other.add(first);
            back.merge(&other);
            prop_assert_eq!(forth.width, back.width);
            prop_assert_eq!(&forth.bins, &back.bins);
            prop_assert_eq!(forth.count(), values.len() as u64);
            let (low, high) = forth.percentile(0.0);
            for value in values {
                prop_assert!((low..=high).contains(&f64::from(value)));
            }
        }
    }

    #[test]
    fn parts_have_all_counts() {
        let mut histogram = Histogram::default();
        let values: Vec<f32> = (0..1000).map(|value| value as f32 / 100.0 - 2.0).collect();
        histogram.add(&values);
        histogram.add(&[0.0; 50]);
        let parts = histogram.parts(-2.0, 7.99, 10);
        assert_eq!(parts.iter().sum::<u64>(), 1050);
        for (part, count) in parts.into_iter().enumerate() {
            let expected = if part == 2 { 150 } else { 100 };
            assert!(count.abs_diff(expected) <= 2, "{part}: {count}");
        }
        let mut same = Histogram::default();
        same.add(&[3.0; 7]);
        assert_eq!(same.parts(3.0, 3.0, 4).iter().sum::<u64>(), 7);
        assert_eq!(Histogram::default().parts(0.0, 0.0, 4), [0; 4]);
    }

    #[test]
    fn percentiles_leave_out_so_many() {
        let mut histogram = Histogram::default();
        let values: Vec<f32> = (-100..=899).map(|value| value as f32).collect();
        histogram.add(&values);
        let (low, high) = histogram.percentile(0.01);
        assert!((low + 90.0).abs() <= 1.0, "{low}");
        assert!((high - 889.0).abs() <= 1.0, "{high}");
        histogram.add(&[f32::NAN]);
        assert!(histogram.is_faulty());
    }
}
