//! Values that a quantizer has rounded: which layers have their levels.

use tract_core::ops::element_wise::ElementWiseOp;

use edge_classify_int8::Quantization;
use edge_classify_kernels::Activation;

use super::*;
use crate::compile::fake_quantize::FakeQuantize;
use crate::engine::net::Kind;

fn levels(scale: f32, zero_point: i8) -> Quantization {
    Quantization { scale, zero_point }
}

const FINE: f32 = 1.0 / 32.0;

impl Builder {
    fn round(&mut self, x: OutletId, levels: Quantization) -> OutletId {
        self.wire(ElementWiseOp(Box::new(FakeQuantize(levels)), None), &[x])
    }

    /// A convolution whose weights are levels from -127 to 127.
    fn conv_of_levels(
        &mut self,
        x: OutletId,
        side: usize,
        outputs: usize,
        group: usize,
    ) -> OutletId {
        let inputs = self.model.outlet_fact(x).unwrap().shape[1]
            .to_usize()
            .unwrap();
        let shape = [outputs, inputs / group, side, side];
        let row = shape[1..].iter().product::<usize>();
        let values: Vec<f32> = (0..outputs * row)
            .map(|i| {
                let scale = 0.001 * (1 + i / row) as f32;
                let level = if i % row == 0 {
                    127
                } else {
                    (i * 41 % 251) as i32 - 125
                };
                level as f32 * scale
            })
            .collect();
        let kernel = self.constant(Tensor::from_shape(&shape, &values).unwrap());
        self.conv_with(x, kernel, group)
    }

    /// Lowers what ends in a mean without levels. The mean is like tract's, which rounds more often, but for a few levels.
    fn lowered_in_levels(mut self, x: OutletId, near: f32) -> Net {
        let mean = self.mean(x);
        self.model.select_output_outlets(&[mean]).unwrap();
        let model = self.model.into_decluttered().unwrap();
        let net = lower(&model).unwrap();
        let one = Threads::new(1).unwrap();
        let mut ours = Session::new(Program::Net(net.clone()), one).unwrap();
        let mut theirs =
            Session::new(Program::Graph(Graph::new(model, "of a comparison")), one).unwrap();
        let picture: Vec<f32> = (0..ours.input_len())
            .map(|i| (i * 29 % 31) as f32 / 16.0 - 1.0)
            .collect();
        let (ours, theirs) = (ours.run(&picture).unwrap(), theirs.run(&picture).unwrap());
        for (a, b) in ours.iter().zip(&theirs) {
            assert!((a - b).abs() <= near, "{ours:?} {theirs:?}");
        }
        net
    }
}

/// Kinds of layers, with what their results are rounded to.
fn results(net: &Net) -> Vec<(&'static str, Option<Quantization>)> {
    let layers = net.layers().iter();
    layers
        .map(|layer| (layer.kind.name(), net.quantization(layer.output.value)))
        .collect()
}

#[test]
fn levels_are_those_of_the_layer_before() {
    let (a, b, c) = (levels(FINE, 0), levels(FINE, -100), levels(2.0 * FINE, 7));
    let (mut builder, x) = Builder::new();
    let x = builder.round(x, a);
    let x = builder.conv_of_levels(x, 3, 8, 1);
    let x = builder.round(x, b);
    let short = x;
    let x = builder.conv_of_levels(x, 3, 8, 8);
    let x = builder.wire(tract_core::ops::nn::hard_swish(), &[x]);
    let x = builder.round(x, a);
    let x = builder.conv_of_levels(x, 1, 8, 1);
    // Of a sum, only the levels of the result are left: nothing of it is beyond the others'.
    let x = builder.round(x, levels(8.0 * FINE, 0));
    let x = builder.two(Add, short, x);
    let x = builder.round(x, c);
    let net = builder.lowered_in_levels(x, 2.0 * FINE);
    let expected = vec![
        ("activate", Some(a)),
        ("convolution", Some(b)),
        ("depthwise", Some(a)),
        ("pointwise", Some(c)),
        ("mean", None),
    ];
    assert_eq!(results(&net), expected);
    for layer in net.layers() {
        let scales = match &layer.kind {
            Kind::Pointwise { weights, .. } | Kind::Depthwise { weights, .. } => weights.scales(),
            _ => continue,
        };
        let scales = scales.unwrap().iter().zip(1..);
        for (scale, row) in scales {
            assert!(
                (scale - 0.001 * row as f32).abs() < 1e-6 * row as f32,
                "{scale}"
            );
        }
    }
}

#[test]
fn levels_from_zero_on_are_a_rectifier() {
    let (a, rectified) = (levels(FINE, 0), levels(FINE, -128));
    let clamp = Activation::Clamp {
        low: 0.0,
        high: 255.0 * FINE,
    };
    let (mut b, x) = Builder::new();
    let x = b.round(x, a);
    let x = b.conv_of_levels(x, 1, 4, 1);
    let x = b.round(x, rectified);
    // Of f32, as no layer of levels does that.
    let k = b.values(&[1, 4, 1, 1]);
    let x = b.two(Mul, x, k);
    let net = b.lowered_in_levels(x, FINE);
    let pointwise = &net.layers()[1];
    assert_eq!(
        (pointwise.kind.name(), pointwise.activation),
        ("pointwise", clamp)
    );
    // After a function they are what it gives.
    let (mut b, x) = Builder::new();
    let x = b.round(x, a);
    let x = b.conv_of_levels(x, 1, 4, 1);
    let x = b.wire(sigmoid(), &[x]);
    let x = b.round(x, levels(1.0 / 256.0, -128));
    let x = b.conv_of_levels(x, 1, 4, 1);
    let x = b.round(x, a);
    let net = b.lowered_in_levels(x, FINE);
    assert_eq!(net.layers()[1].activation, Activation::Sigmoid);
}

#[test]
fn parts_of_a_concatenation_have_its_levels() {
    let (a, b, whole) = (levels(FINE, 0), levels(2.0 * FINE, 3), levels(FINE, 9));
    let (mut builder, x) = Builder::new();
    let x = builder.round(x, a);
    let parts = [1, 3].map(|side| {
        let x = builder.conv_of_levels(x, side, 4, 1);
        builder.round(x, b)
    });
    let x = builder.wire(TypedConcat { axis: 1 }, &parts);
    let x = builder.round(x, whole);
    let x = builder.conv_of_levels(x, 1, 8, 1);
    let x = builder.round(x, a);
    let net = builder.lowered_in_levels(x, 2.0 * FINE);
    let mut found = results(&net);
    found.sort_by_key(|(kind, _)| *kind);
    let expected = vec![
        ("activate", Some(a)),
        ("convolution", Some(whole)),
        ("mean", None),
        ("pointwise", Some(whole)),
        ("pointwise", Some(a)),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_part_that_others_read_keeps_its_levels() {
    let (a, part, whole) = (levels(FINE, 0), levels(FINE / 8.0, 3), levels(FINE, 9));
    let (mut b, x) = Builder::new();
    let x = b.round(x, a);
    let first = b.conv_of_levels(x, 1, 4, 1);
    let first = b.round(first, part);
    let second = b.conv_of_levels(first, 3, 4, 1);
    let second = b.round(second, a);
    let x = b.wire(TypedConcat { axis: 1 }, &[first, second]);
    let x = b.round(x, whole);
    let x = b.conv_of_levels(x, 1, 8, 1);
    let x = b.round(x, a);
    let net = b.lowered_in_levels(x, 2.0 * FINE);
    let found = results(&net);
    assert!(found.contains(&("pointwise", Some(part))), "{found:?}");
    assert!(found.contains(&("activate", Some(whole))), "{found:?}");
}

#[test]
fn what_has_no_levels_stays_in_float() {
    let a = levels(FINE, 0);
    let (mut b, x) = Builder::new();
    let x = b.round(x, a);
    let x = b.conv_of_levels(x, 1, 8, 1);
    let x = b.conv_of_levels(x, 3, 8, 8);
    let x = b.round(x, a);
    let x = b.conv_of_levels(x, 1, 8, 1);
    let net = b.lowered_in_levels(x, FINE);
    let computed = |kind: &str, at: usize| {
        let mut layers = net
            .layers()
            .iter()
            .filter(|layer| layer.kind.name() == kind);
        let layer = layers.nth(at).unwrap();
        net.quantization(layer.input.value).is_some()
    };
    assert!(computed("pointwise", 0) && computed("pointwise", 1));
    assert!(!computed("depthwise", 0));
}

#[test]
fn maxima_have_the_levels_of_what_they_are_of() {
    let (a, b) = (levels(FINE, 0), levels(FINE, -100));
    for (inner, outer) in [
        (Some(a), Some(a)),
        (None, Some(a)),
        (Some(a), Some(b)),
        (Some(a), None),
    ] {
        let (mut builder, x) = Builder::new();
        let x = builder.round(x, b);
        let mut x = builder.conv_of_levels(x, 3, 8, 1);
        if let Some(levels) = inner {
            x = builder.round(x, levels);
        }
        let pool = MaxPool {
            pool_spec: Builder::pool_spec(3, 1, 8, 8),
            with_index_outputs: None,
        };
        let mut x = builder.wire(pool, &[x]);
        if let Some(levels) = outer {
            x = builder.round(x, levels);
        }
        let net = builder.lowered_in_levels(x, FINE);
        let found = results(&net);
        assert_eq!(found[1..3], [("convolution", Some(a)), ("pool", Some(a))]);
        let requantized = found.contains(&("activate", Some(b)));
        assert!(outer != Some(b) || requantized, "{found:?}");
    }
}
