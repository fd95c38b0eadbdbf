//! What no layer computes, between layers of ours.

use tract_core::ops::math::{erf, square, tanh};
use tract_core::ops::nn::{Softmax, SoftmaxKind};

use super::*;
use crate::engine::net::{Kind, Part};

fn parts(net: &Net) -> Vec<&Part> {
    let parts = net.layers().iter().filter_map(|layer| match &layer.kind {
        Kind::Part { part, .. } => Some(&**part),
        _ => None,
    });
    parts.collect()
}

/// Over channels, as exporters spell it out.
fn layer_norm(b: &mut Builder, x: OutletId) -> OutletId {
    let channels = b.model.outlet_fact(x).unwrap().shape[1].to_usize().unwrap();
    let mean = |b: &mut Builder, x: OutletId| {
        let sum = Reduce {
            axes: tvec!(1),
            reducer: Reducer::Sum,
        };
        let sum = b.wire(sum, &[x]);
        b.with(Mul, sum, 1.0 / channels as f32)
    };
    let average = mean(b, x);
    let centred = b.two(Sub, x, average);
    let squared = b.wire(square(), &[centred]);
    let variance = mean(b, squared);
    let variance = b.with(Add, variance, 1e-5);
    let deviation = b.wire(tract_core::ops::math::sqrt(), &[variance]);
    let x = b.two(Div, centred, deviation);
    b.norm(x)
}

fn gelu(b: &mut Builder, x: OutletId) -> OutletId {
    let y = b.with(Mul, x, std::f32::consts::FRAC_1_SQRT_2);
    let y = b.wire(erf(), &[y]);
    let y = b.with(Add, y, 1.0);
    let y = b.two(Mul, x, y);
    b.with(Mul, y, 0.5)
}

#[test]
fn one_is_a_layer_between_ours_with_its_reason() {
    let (mut b, x) = Builder::new();
    let x = b.conv(x, 3, 8, 1);
    let x = b.wire(tanh(), &[x]);
    let x = b.conv(x, 3, 8, 1);
    let mean = b.mean(x);
    let net = b.net(mean).unwrap();
    assert_eq!(
        kinds(&net),
        ["convolution", "delegate", "convolution", "mean"]
    );
    let parts = parts(&net);
    assert_eq!(parts[0].nodes.len(), 1);
    assert!(
        parts[0].nodes[0].ends_with("(Tanh)"),
        "{:?}",
        parts[0].nodes
    );
    let reason = &parts[0].reason;
    assert!(
        reason.ends_with("no layer computes this function"),
        "{reason}"
    );
}

#[test]
fn those_that_follow_each_other_are_one() {
    let (mut b, x) = Builder::new();
    let mut x = b.conv(x, 3, 8, 1);
    for _ in 0..2 {
        x = b.wire(tanh(), &[x]);
        // A layer could do this alone.
        x = b.with(Max, x, 0.0);
    }
    let x = b.wire(tanh(), &[x]);
    let x = b.conv(x, 1, 8, 1);
    assert_eq!(
        b.lowered(x),
        Ok(vec!["convolution", "delegate", "pointwise"])
    );
}

#[test]
fn those_with_convolutions_between_are_several() {
    let (mut b, x) = Builder::new();
    let mut x = b.conv(x, 3, 8, 1);
    for _ in 0..2 {
        x = b.wire(tanh(), &[x]);
        x = b.conv(x, 3, 8, 8);
    }
    let kinds = b.lowered(x).unwrap();
    let expected = [
        "convolution",
        "delegate",
        "depthwise",
        "delegate",
        "depthwise",
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn branches_may_begin_with_one_and_end_in_one() {
    let (mut b, x) = Builder::new();
    let x = b.conv(x, 3, 8, 1);
    let x = b.wire(tanh(), &[x]);
    let left = b.conv(x, 3, 8, 8);
    let left = b.wire(tanh(), &[left]);
    let right = b.conv(x, 3, 8, 1);
    let x = b.two(Mul, left, right);
    let x = b.wire(tanh(), &[x]);
    let x = b.conv(x, 1, 8, 1);
    let mean = b.mean(x);
    let net = b.net(mean).unwrap();
    let parts = parts(&net);
    // The one that is read twice, and all that ends in the product's, which reads two.
    assert_eq!(parts.len(), 2, "{:?}", kinds(&net));
    assert_eq!(parts[1].inputs.len(), 2);
    assert_eq!(parts[1].nodes.len(), 3, "{:?}", parts[1].nodes);
}

#[test]
fn one_that_two_need_is_computed_once() {
    let (mut b, x) = Builder::new();
    let x = b.conv(x, 3, 8, 1);
    let shared = b.wire(tanh(), &[x]);
    let left = b.wire(erf(), &[shared]);
    let right = b.wire(square(), &[shared]);
    let branches = [left, right].map(|x| b.conv(x, 3, 8, 1));
    let x = b.wire(TypedConcat { axis: 1 }, &branches);
    let mean = b.mean(x);
    let net = b.net(mean).unwrap();
    let parts = parts(&net);
    let nodes: usize = parts.iter().map(|part| part.nodes.len()).sum();
    assert_eq!((parts.len(), nodes), (3, 3), "{:?}", kinds(&net));
}

#[test]
fn one_writes_its_part_of_a_concatenation() {
    let (mut b, x) = Builder::new();
    let x = b.conv(x, 3, 8, 1);
    let parts = [1, 3].map(|side| {
        let x = b.conv(x, side, 5, 1);
        b.wire(tanh(), &[x])
    });
    let x = b.wire(TypedConcat { axis: 1 }, &parts);
    let x = b.conv(x, 1, 8, 1);
    let kinds = b.lowered(x).unwrap();
    assert!(!kinds.contains(&"activate"), "{kinds:?}");
}

#[test]
fn normalisation_of_each_pixel_is_one() {
    let (mut b, x) = Builder::new();
    let x = b.conv(x, 3, 8, 1);
    let x = layer_norm(&mut b, x);
    let x = b.conv(x, 1, 16, 1);
    let x = gelu(&mut b, x);
    let x = b.conv(x, 1, 8, 1);
    let kinds = b.lowered(x).unwrap();
    let expected = [
        "convolution",
        "delegate",
        "pointwise",
        "delegate",
        "pointwise",
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn products_of_pictures_are_found_out_late() {
    let (mut b, x) = Builder::new();
    let x = b.conv(x, 3, 8, 1);
    let y = b.conv(x, 1, 8, 1);
    let x = b.two(Mul, x, y);
    let x = b.conv(x, 3, 8, 1);
    let mean = b.mean(x);
    let net = b.net(mean).unwrap();
    let parts = parts(&net);
    assert_eq!(parts.len(), 1);
    assert!(
        parts[0].reason.ends_with("multiplies two pictures"),
        "{:?}",
        parts[0]
    );
}

#[test]
fn an_output_may_be_one() {
    let (mut b, x) = Builder::new();
    let x = b.conv(x, 3, 8, 1);
    let x = b.mean(x);
    let softmax = Softmax {
        axes: tvec!(1),
        quant_output_dt: None,
        kind: SoftmaxKind::default(),
    };
    let x = b.wire(softmax, &[x]);
    let net = b.net(x).unwrap();
    assert_eq!(kinds(&net), ["convolution", "mean", "delegate"]);
}

#[test]
fn a_network_that_is_mostly_theirs_is_refused() {
    let (mut b, x) = Builder::new();
    let x = b.conv(x, 1, 4, 1);
    // Its weights depend on the picture.
    let axes: AxesMapping = "abcd,aefd->abef".parse().unwrap();
    let op = tract_core::ops::einsum::EinSum::new(axes, DatumType::F32);
    let x = b.wire(op, &[x, x]);
    let sum = Reduce {
        axes: tvec!(2, 3),
        reducer: Reducer::Sum,
    };
    let x = b.wire(sum, &[x]);
    let error = b.net(x).unwrap_err();
    assert!(error.contains("neither factor is constant"), "{error}");
    assert!(error.ends_with("% of the multiply-adds"), "{error}");
}
