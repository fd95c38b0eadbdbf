//! What the values of a network are like over many pictures.

use crate::engine::Observed;
use crate::engine::net::Net;

use super::histogram::Histogram;

/// Of one value.
#[derive(Debug, Clone)]
pub struct Statistics {
    pub histogram: Histogram,
    pub channels: Vec<Channel>,
}

/// Of one channel.
#[derive(Debug, Clone, Copy)]
pub struct Channel {
    pub low: f32,
    pub high: f32,
    sum: f64,
    count: u64,
    pictures: usize,
    /// The largest magnitude in each of the pictures where that is largest, in descending order.
    tops: [f32; TOPS],
}

const TOPS: usize = 8;
const TIMES: f32 = 30.0;
/// What is less than the largest by this is as good as 0.
const FURTHEST: f32 = 1000.0;

impl Channel {
    const NONE: Channel = Channel {
        low: f32::INFINITY,
        high: f32::NEG_INFINITY,
        sum: 0.0,
        count: 0,
        pictures: 0,
        tops: [0.0; TOPS],
    };

    /// 0 of a channel that has not been seen.
    pub fn mean(&self) -> f32 {
        (self.sum / self.count.max(1) as f64) as f32
    }

    /// The largest magnitude.
    pub fn largest(&self) -> f32 {
        self.tops[0]
    }

    /// The largest magnitude to be expected of [`TIMES`] as many pictures. What was near 0 in all of them but one is likely
    /// to go further: the tail of the pictures' largest is taken for a power law's, with the inverse of its index by Hill's
    /// estimate (A simple general approach to inference about the tail of a distribution, 1975).
    pub fn expected(&self) -> f32 {
        let tops = &self.tops[..TOPS.min(self.pictures)];
        let [first, between @ .., last] = tops else {
            return self.tops[0];
        };
        let least = last.max(first / FURTHEST).max(f32::MIN_POSITIVE);
        let logs = between.iter().chain([first]);
        let logs = logs.map(|top| (top.max(least) / least).ln());
        let index = logs.sum::<f32>() / (tops.len() - 1) as f32;
        first * TIMES.powf(index)
    }

    /// Takes in the values of one picture.
    fn see(&mut self, low: f32, high: f32, sum: f64, count: usize) {
        self.low = self.low.min(low);
        self.high = self.high.max(high);
        self.sum += sum;
        self.count += count as u64;
        self.pictures += 1;
        let largest = high.max(-low);
        let at = self.tops.partition_point(|top| *top >= largest);
        if at < TOPS {
            self.tops[at..].rotate_right(1);
            self.tops[at] = largest;
        }
    }
}

impl Statistics {
    /// Of nothing yet, for each value of a network.
    pub fn of_values(net: &Net) -> Vec<Statistics> {
        let values = net.values().iter();
        values
            .map(|shape| Statistics {
                histogram: Histogram::default(),
                channels: vec![Channel::NONE; shape.channels],
            })
            .collect()
    }

    /// Takes in what a layer wrote. `statistics` has one for each value.
    pub fn see(statistics: &mut [Statistics], net: &Net, observed: &Observed) {
        let span = net.layers()[observed.layer].output;
        let statistics = &mut statistics[span.value];
        let channels = &mut statistics.channels[span.range()];
        let pixels = observed.output.data.chunks(observed.output.stride);
        let mut seen = vec![(f32::INFINITY, f32::NEG_INFINITY, 0.0f64); span.channels];
        let mut count = 0;
        for pixel in pixels.map(|pixel| &pixel[..span.channels]) {
            statistics.histogram.add(pixel);
            for ((low, high, sum), value) in seen.iter_mut().zip(pixel) {
                *low = low.min(*value);
                *high = high.max(*value);
                *sum += f64::from(*value);
            }
            count += 1;
        }
        for (channel, (low, high, sum)) in channels.iter_mut().zip(seen) {
            channel.see(low, high, sum, count);
        }
    }

    /// What is seen of both together, with the channels of both.
    pub fn join(&mut self, other: &Statistics) {
        self.histogram.merge(&other.histogram);
        self.channels.extend_from_slice(&other.channels);
    }

    /// The least and the largest value; both 0 if none was seen.
    pub fn seen(&self) -> (f32, f32) {
        let channels = self.channels.iter();
        let (low, high) = channels.fold(
            (f32::INFINITY, f32::NEG_INFINITY),
            |(low, high), channel| (channel.low.min(low), channel.high.max(high)),
        );
        if low <= high { (low, high) } else { (0.0, 0.0) }
    }

    /// The least and the largest value, and 0 between them.
    pub fn range(&self) -> (f32, f32) {
        self.range_divided_by(&vec![1.0; self.channels.len()])
    }

    /// As [`Statistics::range`], if each channel is divided by its factor.
    pub fn range_divided_by(&self, factors: &[f32]) -> (f32, f32) {
        let channels = self.channels.iter().zip(factors);
        channels.fold((0.0, 0.0), |(low, high), (channel, factor)| {
            (
                (channel.low / factor).min(low),
                (channel.high / factor).max(high),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(largest: &[f32]) -> Channel {
        let mut channel = Channel::NONE;
        for largest in largest {
            channel.see(-largest, largest / 2.0, 0.0, 1);
        }
        channel
    }

    #[test]
    fn what_is_seldom_large_is_expected_to_be_larger() {
        let always = seen(&[2.0; 20]);
        assert_eq!((always.largest(), always.expected()), (2.0, 2.0));
        // Of a power law of index 1, thirty times the pictures go about thirty times as far.
        let law: Vec<f32> = (1..=20).map(|rank| 100.0 / rank as f32).collect();
        let expected = seen(&law).expected();
        assert!((1000.0..4000.0).contains(&expected), "{expected}");
        let once: Vec<f32> = (0..20).map(|at| if at == 7 { 2.0 } else { 0.01 }).collect();
        assert!(seen(&once).expected() > 2.0 * 2.0);
        assert_eq!(seen(&[0.0; 3]).expected(), 0.0);
        assert_eq!(seen(&[2.0; 3]).expected(), 2.0);
        assert_eq!(seen(&[2.0]).expected(), 2.0);
    }
}
