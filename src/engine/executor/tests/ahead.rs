//! What is fetched while layers are computed.

use super::*;
use crate::executor::piece::ByRows;
use crate::executor::step::Run;

/// A convolution of 14 x 14 pixels, and a classifier after the mean of it.
fn classifier(channels: usize, classes: usize) -> Net {
    let mut maker = Maker::new(1);
    let shape = |channels| Shape {
        height: 14,
        width: 14,
        channels,
    };
    let picture = maker.value(shape(64));
    let features = maker.value(shape(channels));
    let mean = maker.vector_like(features);
    let logits = maker.vector_like(Span {
        channels: classes,
        ..features
    });
    maker.fill(features, picture);
    maker.layer(Kind::Mean, features, mean, Activation::Identity);
    maker.fill(logits, mean);
    Net::new(maker.values, maker.layers, 0, logits).unwrap()
}

#[test]
fn a_convolution_fetches_the_classifier_that_follows() {
    for isa in Isa::available() {
        for (channels, classes, all) in [(256, 100, true), (64, 8000, false)] {
            let packed = Packed::<f32>::new(classifier(channels, classes), isa, None).unwrap();
            let weights = packed.steps.last().unwrap().run.addresses().unwrap();
            let ahead = packed.steps[0].ahead.clone();
            assert_eq!(ahead.end, weights.end);
            assert_eq!(ahead == weights, all, "as much as there is time for");
            assert!(!ahead.is_empty() && weights.start <= ahead.start);
            let fetches = packed.steps.iter().filter(|step| !step.ahead.is_empty());
            assert_eq!(fetches.count(), 1);
            assert!(matches!(packed.steps[0].run, Run::Pointwise { .. }));
        }
    }
}
