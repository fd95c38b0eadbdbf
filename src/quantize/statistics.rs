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
}

impl Channel {
    const NONE: Channel = Channel {
        low: f32::INFINITY,
        high: f32::NEG_INFINITY,
    };

    /// The largest magnitude.
    pub fn largest(&self) -> f32 {
        self.high.max(-self.low).max(0.0)
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
        for pixel in pixels.map(|pixel| &pixel[..span.channels]) {
            statistics.histogram.add(pixel);
            for (channel, value) in channels.iter_mut().zip(pixel) {
                channel.low = channel.low.min(*value);
                channel.high = channel.high.max(*value);
            }
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
        let channels = self.channels.iter();
        channels.fold((0.0, 0.0), |(low, high), channel| {
            (channel.low.min(low), channel.high.max(high))
        })
    }
}
