//! What other networks than those of the family are made of, in our layers.

use tract_core::ops::cnn::SumPool;
use tract_core::ops::downsample::Downsample;
use tract_core::ops::einsum::EinSum;
use tract_core::ops::nn::leaky_relu;

use super::*;

fn reshape(at: usize, from: &[usize], to: &[usize]) -> AxisOp {
    let dims = |dims: &[usize]| dims.iter().map(|dim| dim.to_dim()).collect();
    AxisOp::Reshape(at, dims(from), dims(to))
}

#[test]
fn grouped_convolutions_are_convolutions_of_channel_ranges() {
    // Groups, inputs and outputs of each, kernel.
    for (groups, of, to, side) in [
        (2, 4, 4, 1),
        (2, 4, 5, 3),
        (3, 1, 2, 3),
        (3, 5, 16, 1),
        (4, 8, 17, 3),
        (6, 3, 8, 5),
        (7, 2, 3, 3),
        (32, 2, 2, 3),
    ] {
        let (mut b, x) = Builder::new();
        let x = b.conv(x, 1, groups * of, 1);
        let x = b.conv(x, side, groups * to, groups);
        let x = b.norm(x);
        let x = b.with(Max, x, 0.0);
        let kinds = b.lowered(x).unwrap();
        let kind = if side == 1 {
            "pointwise"
        } else {
            "convolution"
        };
        let convolutions = kinds[1..].iter().filter(|found| **found == kind).count();
        assert!(
            (1..=groups).contains(&convolutions) && groups % convolutions == 0,
            "{groups} of {of} to {to}: {kinds:?}"
        );
        // Nothing but copies of what they read besides.
        let copies = kinds[1..]
            .iter()
            .filter(|found| **found == "activate")
            .count();
        assert_eq!(1 + convolutions + copies, kinds.len(), "{kinds:?}");
    }
}

#[test]
fn shuffled_channels_are_a_layer() {
    for groups in [2, 3, 4, 6] {
        let (mut b, x) = Builder::new();
        let x = b.conv(x, 1, 12, 1);
        let each = 12 / groups;
        let x = b.wire(reshape(1, &[12], &[groups, each]), &[x]);
        let x = b.wire(AxisOp::Move(1, 2), &[x]);
        let x = b.wire(reshape(1, &[each, groups], &[12]), &[x]);
        let x = b.conv(x, 3, 12, 12);
        assert_eq!(
            b.lowered(x),
            Ok(vec!["pointwise", "shuffle", "depthwise"]),
            "{groups} groups"
        );
    }
}

#[test]
fn other_orders_of_channels_are_no_shuffles() {
    let (mut b, x) = Builder::new();
    let x = b.conv(x, 1, 12, 1);
    let x = b.wire(reshape(1, &[12], &[2, 2, 3]), &[x]);
    let x = b.wire(AxisOp::Move(1, 3), &[x]);
    let x = b.wire(AxisOp::Move(1, 2), &[x]);
    let x = b.wire(reshape(1, &[3, 2, 2], &[12]), &[x]);
    let x = b.conv(x, 3, 12, 12);
    assert_eq!(b.lowered(x), Ok(vec!["pointwise", "delegate", "depthwise"]));
}

fn product(b: &mut Builder, axes: &str, x: OutletId, weights: &[usize]) -> OutletId {
    let weights = b.values(weights);
    let axes: AxesMapping = axes.parse().unwrap();
    b.wire(EinSum::new(axes, DatumType::F32), &[x, weights])
}

#[test]
fn linear_layers_of_pictures_are_convolutions() {
    // Laid flat in the order of planes, of pixels, and not at all.
    let moves: [&[AxisOp]; 3] = [&[], &[AxisOp::Move(1, 3)], &[AxisOp::Move(2, 3)]];
    for moves in moves {
        let (mut b, x) = Builder::new();
        let mut x = b.conv(x, 3, 5, 1);
        for op in moves {
            x = b.wire(op.clone(), &[x]);
        }
        let shape = b.model.outlet_fact(x).unwrap().shape.clone();
        let x = b.wire(
            AxisOp::Reshape(1, shape[1..].into(), tvec!((5 * SIDE * SIDE).to_dim())),
            &[x],
        );
        let x = product(&mut b, "mk,nk->mn", x, &[7, 5 * SIDE * SIDE]);
        let bias = b.values(&[1, 7]);
        let x = b.two(Add, x, bias);
        assert_eq!(kinds(&b.net(x).unwrap()), ["convolution", "convolution"]);
    }
    let (mut b, x) = Builder::new();
    let x = b.conv(x, 3, 5, 1);
    let x = product(&mut b, "abcd,nbdc->an", x, &[7, 5, SIDE, SIDE]);
    assert_eq!(kinds(&b.net(x).unwrap()), ["convolution", "convolution"]);
}

#[test]
fn pointwise_convolutions_of_shuffled_channels_need_no_shuffle() {
    for (groups, each) in [(2, 6), (3, 4), (4, 3)] {
        let (mut b, x) = Builder::new();
        let x = b.conv(x, 3, 12, 1);
        let x = b.wire(reshape(1, &[12], &[groups, each]), &[x]);
        let x = b.wire(AxisOp::Move(1, 2), &[x]);
        let x = product(&mut b, "abcde,nbc->ande", x, &[7, each, groups]);
        let kinds = b.lowered(x);
        assert_eq!(kinds, Ok(vec!["convolution", "pointwise"]), "{groups}");
    }
}

#[test]
fn pools_of_one_pixel_are_nothing() {
    let (mut b, x) = Builder::new();
    let x = b.conv(x, 3, 8, 1);
    let pool = MaxPool {
        pool_spec: Builder::pool_spec(1, 0, 8, 8),
        with_index_outputs: None,
    };
    let x = b.wire(pool, &[x]);
    let x = b.conv(x, 3, 8, 1);
    assert_eq!(b.lowered(x), Ok(vec!["convolution", "convolution"]));
}

#[test]
fn linear_layers_of_vectors_are_pointwise() {
    let (mut b, x) = Builder::new();
    let x = b.conv(x, 3, 5, 1);
    let x = b.mean(x);
    let x = b.wire(reshape(1, &[5, 1, 1], &[5]), &[x]);
    let x = product(&mut b, "mk,kn->mn", x, &[5, 9]);
    let bias = b.values(&[1, 9]);
    let x = b.two(Add, x, bias);
    let kinds = kinds(&b.net(x).unwrap());
    assert_eq!(kinds, ["convolution", "mean", "pointwise"]);
}

#[test]
fn strides_go_back_to_their_convolution() {
    let skip = |axis: usize, stride: isize| Downsample {
        axis,
        stride,
        modulo: 0,
    };
    let (mut b, x) = Builder::new();
    let x = b.wire(skip(2, 2), &[x]);
    let x = b.wire(skip(3, 3), &[x]);
    let x = b.conv(x, 1, 9, 1);
    let x = b.with(Max, x, 0.0);
    let sum = Reduce {
        axes: tvec!(2, 3),
        reducer: Reducer::Sum,
    };
    let x = b.wire(sum, &[x]);
    let net = b.net(x).unwrap();
    assert_eq!(kinds(&net)[0], "convolution");
    let window = net.layers()[0].kind.window().unwrap();
    assert_eq!((window.stride_h, window.stride_w), (2, 3));
    assert_eq!((window.out_height, window.out_width), (3, 2));
}

#[test]
fn sums_of_pointwise_convolutions_are_one() {
    // Of slices in either order, and of what has been concatenated.
    for (first, second) in [((0, 4), (4, 10)), ((4, 10), (0, 4))] {
        let (mut b, x) = Builder::new();
        let x = b.conv(x, 3, 10, 1);
        let terms = [first, second].map(|(start, end)| {
            let part = b.slice(x, start, end);
            b.conv(part, 1, 6, 1)
        });
        let x = b.two(Add, terms[0], terms[1]);
        assert_eq!(b.lowered(x), Ok(vec!["convolution", "pointwise"]));
    }
    let (mut b, x) = Builder::new();
    let x = b.conv(x, 3, 4, 1);
    let terms = [1, 3].map(|side| {
        let part = b.conv(x, side, 6, 1);
        let part = b.with(Max, part, 0.0);
        b.conv(part, 1, 5, 1)
    });
    let x = b.two(Add, terms[0], terms[1]);
    let mut kinds = b.lowered(x).unwrap();
    kinds[1..3].sort_unstable();
    assert_eq!(
        kinds,
        ["convolution", "convolution", "pointwise", "pointwise"]
    );
}

#[test]
fn a_concatenation_that_grows_is_not_copied() {
    // Of the one before and a part, or of all parts.
    for nested in [true, false] {
        let (mut b, x) = Builder::new();
        let mut x = b.conv(x, 3, 8, 1);
        let mut all = vec![x];
        for _ in 0..3 {
            let y = b.norm(x);
            let y = b.with(Max, y, 0.0);
            let y = b.conv(y, 3, 4, 1);
            all.push(y);
            let parts = if nested { vec![x, y] } else { all.clone() };
            x = b.wire(TypedConcat { axis: 1 }, &parts);
        }
        let kinds = b.lowered(x).unwrap();
        assert_eq!(kinds.iter().filter(|kind| **kind == "affine").count(), 3);
        assert_eq!(kinds.len(), 7, "{kinds:?}");
    }
}

#[test]
fn leaky_rectifiers_are_sums() {
    let (mut b, x) = Builder::new();
    let x = b.conv(x, 3, 8, 1);
    let x = b.wire(leaky_relu(0.1), &[x]);
    let kinds = b.lowered(x).unwrap();
    assert!(!kinds.contains(&"delegate"), "{kinds:?}");
}

#[test]
fn means_may_count_their_padding() {
    for count_include_pad in [false, true] {
        let (mut b, x) = Builder::new();
        let pool = SumPool {
            pool_spec: Builder::pool_spec(3, 1, 3, 3),
            count_include_pad,
            normalize: true,
        };
        let x = b.wire(pool, &[x]);
        assert_eq!(b.lowered(x), Ok(vec!["pool"]));
    }
}
