//! Whatever befalls a plan on its way, it is the same network or an error.

mod damage;
mod edited;
mod self_test;

use edge_classify_int8::Quantization;
use edge_classify_kernels::{Activation, Window};
use proptest::prelude::*;

use super::*;
use crate::engine::Threads;
use crate::engine::net::{Kind, Layer, Net, Shape, Span, Weights};
use crate::engine::{Options, Precision};
use crate::report::{LayerReport, RangeReport};
use crate::session::{Program, Session};

fn small() -> Net {
    let shape = |side: usize, channels| Shape {
        height: side,
        width: side,
        channels,
    };
    let span = |value, channels| Span {
        value,
        first: 0,
        channels,
    };
    let floats = |len: usize| {
        (0..len)
            .map(|i| (i as f32 * 0.37).sin())
            .collect::<Vec<_>>()
    };
    let window = Window {
        height: 8,
        width: 8,
        kernel_h: 3,
        kernel_w: 3,
        stride_h: 2,
        stride_w: 2,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: 1,
        pad_left: 1,
        out_height: 4,
        out_width: 4,
    };
    let layer = |kind, activation, input, output| Layer {
        name: "a \"name\"\u{1f600}".to_owned(),
        kind,
        activation,
        input,
        output,
    };
    let relu = Activation::Clamp {
        low: 0.0,
        high: f32::INFINITY,
    };
    let layers = vec![
        layer(
            Kind::Convolution {
                weights: floats(5 * 3 * 9).into(),
                bias: floats(5).into(),
                window,
                residual: None,
            },
            relu,
            span(0, 3),
            span(1, 5),
        ),
        layer(Kind::Mean, Activation::Identity, span(1, 5), span(2, 5)),
        layer(
            Kind::Pointwise {
                weights: floats(20).into(),
                bias: floats(4).into(),
                gate: None,
                residual: None,
            },
            Activation::HardSigmoid {
                alpha: 0.2,
                beta: 1.0 / 3.0,
            },
            span(2, 5),
            span(3, 4),
        ),
        layer(
            Kind::Shuffle { groups: 2 },
            Activation::Identity,
            span(3, 4),
            span(4, 4),
        ),
    ];
    let values = vec![
        shape(8, 3),
        shape(4, 5),
        shape(1, 5),
        shape(1, 4),
        shape(1, 4),
    ];
    Net::new(values, layers, 0, span(4, 4)).unwrap()
}

/// The same, computed in levels as far as its classifier.
fn levels() -> Net {
    let net = small();
    let mut values = net.values().to_vec();
    values.push(values[0]);
    let mut layers = net.layers().to_vec();
    for (layer, rows) in layers.iter_mut().zip([5, 0, 4]) {
        if let Kind::Convolution { weights, .. } | Kind::Pointwise { weights, .. } = &mut layer.kind
        {
            let values = weights.values().unwrap();
            let levels = values.iter().map(|value| (value * 100.0) as i8).collect();
            *weights = Weights::quantized(levels, vec![0.01; rows]);
        }
    }
    let picture = Span {
        value: values.len() - 1,
        ..layers[0].input
    };
    let quantize = Layer {
        name: "quantize".to_owned(),
        kind: Kind::Activate,
        activation: Activation::Identity,
        input: layers[0].input,
        output: picture,
    };
    layers[0].input = picture;
    layers.insert(0, quantize);
    let scale = |scale, zero_point| Some(Quantization { scale, zero_point });
    let (conv, mean, picture) = (scale(0.03, -128), scale(0.02, -128), scale(0.01, 3));
    let quantizations = vec![None, conv, mean, None, None, picture];
    let net = Net::new(values, layers, 0, net.output()).unwrap();
    net.with_quantizations(quantizations).unwrap()
}

/// With weights of each precision.
fn all() -> [Net; 3] {
    let half = small().with_precision(Precision::Fp16);
    [small(), half, levels()]
}

fn belongings() -> Belongings {
    Belongings {
        card: Some("name = 'small'\n".to_owned()),
        labels: Some("one\ntwo\nthree\nfour\n".to_owned()),
        report: None,
    }
}

fn with_report() -> Belongings {
    let layer = LayerReport {
        name: "a \"name\"\u{1f600}".to_owned(),
        in_levels: true,
        signal_to_noise: Some(30.5),
        ..LayerReport::default()
    };
    Belongings {
        report: Some(Report {
            layers: vec![layer],
            ..Report::default()
        }),
        ..belongings()
    }
}

struct Written(tempfile::TempDir);

impl Written {
    fn new(bytes: &[u8]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("x.plan"), bytes).unwrap();
        Written(directory)
    }

    fn open(&self) -> Result<Plan, PlanError> {
        Plan::open(&self.0.path().join("x.plan"))
    }

    /// Everything that the plan says, and the logits of a picture.
    fn use_all(&self) -> Result<(Belongings, Vec<f32>), String> {
        let mut plan = self.open().map_err(|e| e.to_string())?;
        let report = plan.report().map_err(|e| e.to_string())?;
        let belongings = Belongings {
            report,
            ..plan.belongings()
        };
        let net = plan.net().map_err(|e| e.to_string())?;
        logits(net).map(|logits| (belongings, logits))
    }
}

fn logits(net: Net) -> Result<Vec<f32>, String> {
    // In f32 unless it is of levels, so that it is the same on every processor.
    let options = Options {
        precision: (!net.is_quantized()).then_some(Precision::F32),
        ..Options::new(Threads::new(1).unwrap()).unwrap()
    };
    let session = Session::with(Program::Net(net), &options);
    let mut session = session.map_err(|e| e.to_string())?;
    let input: Vec<f32> = (0..session.input_len()).map(|i| (i as f32).cos()).collect();
    session.run(&input).map_err(|e| e.to_string())
}

#[test]
fn a_plan_is_the_network_it_was_made_of() {
    for net in [small(), levels()] {
        let bytes = write(&net, belongings()).unwrap();
        assert_eq!(bytes, write(&net, belongings()).unwrap());
        let written = Written::new(&bytes);
        assert_eq!(written.open().unwrap().net().unwrap(), net);
        let (found, result) = written.use_all().unwrap();
        assert_eq!(found, belongings());
        assert_eq!(result, logits(net.clone()).unwrap());
        let reported = Written::new(&write(&net, with_report()).unwrap());
        assert_eq!(reported.open().unwrap().net().unwrap(), net);
        assert_eq!(reported.use_all().unwrap(), (with_report(), result));
    }
    let bare = Written::new(&write(&small(), Belongings::default()).unwrap());
    assert_eq!(bare.use_all().unwrap().0, Belongings::default());
}

#[test]
fn weights_of_fp16_take_half_and_are_the_nearest() {
    let [single, half, _] = all().map(|net| write(&net, belongings()).unwrap());
    let net = small();
    let parameters = net.layers().iter().map(|layer| layer.kind.parameters());
    let saved = single.len() as f64 - half.len() as f64;
    // The header and four tensors are filled up to lines, and numbers in it have fewer digits.
    let expected = 2.0 * parameters.sum::<usize>() as f64;
    assert!((saved - expected).abs() <= 5.0 * 64.0, "{saved} bytes");
    assert!(saved > 128.0, "{saved} bytes");
    let written = Written::new(&half);
    let net = written.open().unwrap().net().unwrap();
    assert_eq!(net.precision(), Precision::Fp16);
    let rounded = |net: &Net| match &net.layers()[0].kind {
        Kind::Convolution { weights, .. } => weights.values().unwrap().into_owned(),
        other => panic!("{other:?}"),
    };
    for (found, given) in rounded(&net).iter().zip(rounded(&small())) {
        assert_eq!(*found, half::f16::from_f32(given).to_f32());
    }
    // Sums of 27 products of at most 1.
    let expected = logits(small()).unwrap();
    for (found, expected) in logits(net).unwrap().iter().zip(expected) {
        assert!((found - expected).abs() < 1e-2, "{found}, not {expected}");
    }
}

#[test]
fn a_weight_beyond_fp16_is_refused() {
    let net = small();
    let (values, mut layers) = (net.values().to_vec(), net.layers().to_vec());
    if let Kind::Pointwise { bias, .. } = &mut layers[2].kind {
        *bias = vec![0.0, 65504.0, -65520.0, 0.0].into();
    }
    let net = Net::new(values, layers, 0, net.output()).unwrap();
    assert!(write(&net, belongings()).is_ok());
    let error = write(&net.with_precision(Precision::Fp16), belongings()).unwrap_err();
    assert!(
        error.contains("-65520") && error.contains("--precision f32"),
        "{error}"
    );
}

#[test]
fn a_cut_or_longer_file_is_refused() {
    all().iter().for_each(a_cut_or_longer_file_of_is_refused);
}

fn a_cut_or_longer_file_of_is_refused(net: &Net) {
    let bytes = write(net, with_report()).unwrap();
    for len in 0..bytes.len() {
        assert!(Written::new(&bytes[..len]).open().is_err(), "{len} bytes");
    }
    let longer = [&bytes[..], b"x"].concat();
    assert!(Written::new(&longer).open().is_err());
}

#[test]
fn errors_say_what_the_file_is() {
    let says = |bytes: &[u8], part: &str| {
        let Err(error) = Written::new(bytes).open().and_then(Plan::net) else {
            panic!("{part}: opened");
        };
        let text = error.to_string();
        assert!(
            text.contains("x.plan") && text.contains(part),
            "{part}: {text}"
        );
    };
    says(b"", "not a plan");
    says(b"\x08\x0aonnx and so on, at some length", "not a plan");
    let weights = safetensors::serialize::<String, safetensors::tensor::TensorView, _>([], None);
    says(&weights.unwrap(), "not a plan");
    let bytes = write(&small(), belongings()).unwrap();
    says(&bytes[..100], "announces a header");
    says(&bytes[..bytes.len() - 1], "its tensors have");
    // The envelope is JSON in JSON.
    let from = br#"\"version\":1"#;
    let at = bytes.windows(from.len()).position(|part| part == from);
    let mut newer = bytes.clone();
    newer[at.unwrap() + from.len() - 1] = b'7';
    says(&newer, "version 7");
    // Tensors of another type than the version's.
    newer[at.unwrap() + from.len() - 1] = b'2';
    says(&newer, "tensor 0, which is not there");
    let gone = Plan::open(std::path::Path::new("/nowhere/x.plan"));
    assert!(matches!(gone, Err(PlanError::Read { .. })));
    assert!(matches!(
        Plan::open(std::path::Path::new("/dev/zero")),
        Err(PlanError::NotAPlan { .. })
    ));
}

#[test]
fn a_tensor_that_is_damaged_later_is_named_when_it_is_read() {
    let bytes = write(&small(), belongings()).unwrap();
    let written = Written::new(&bytes);
    let net = written.open().unwrap().net().unwrap();
    let mut damaged = bytes;
    // Its last value, before what fills the line.
    let last = damaged.len() - 64 + 15;
    damaged[last] ^= 1;
    std::fs::write(written.0.path().join("x.plan"), damaged).unwrap();
    let error = logits(net).unwrap_err();
    assert!(
        error.contains("x.plan: damaged") && error.contains("tensor 3"),
        "{error}"
    );
}

#[test]
fn a_damaged_report_is_noticed_by_those_who_read_it() {
    let mut bytes = write(&levels(), with_report()).unwrap();
    let expected = logits(levels()).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let plan = Written::new(&bytes).open().unwrap();
    let error = plan.report().unwrap_err().to_string();
    assert!(
        error.contains("x.plan: damaged") && error.contains("report"),
        "{error}"
    );
    assert_eq!(logits(plan.net().unwrap()).unwrap(), expected);
}

/// JSON knows no numbers that are none.
#[test]
fn what_was_measured_as_no_number_is_left_out() {
    let mut belongings = with_report();
    let report = belongings.report.as_mut().unwrap();
    report.layers[0].signal_to_noise = Some(f64::NEG_INFINITY);
    let tried = [("a", 1.5), ("b", f64::NAN)];
    report.ranges = vec![RangeReport {
        tried: tried.map(|(name, value)| (name.to_owned(), value)).into(),
        ..RangeReport::default()
    }];
    let written = Written::new(&write(&small(), belongings).unwrap());
    let found = written.open().unwrap().report().unwrap().unwrap();
    assert_eq!(found.layers[0].signal_to_noise, None);
    assert_eq!(found.ranges[0].tried, [("a".to_owned(), 1.5)]);
    let mut belongings = with_report();
    belongings.report.as_mut().unwrap().agreement.cosine[0] = f64::NAN;
    assert!(write(&small(), belongings).unwrap_err().contains("report"));
}

#[test]
fn a_tensor_that_is_read_in_parts_is_checked_as_a_whole() {
    let values = [3, 20_000].map(|channels| Shape {
        height: 1,
        width: 1,
        channels,
    });
    let span = |value: usize, channels| Span {
        value,
        first: 0,
        channels,
    };
    let layer = Layer {
        name: "wide".to_owned(),
        kind: Kind::Pointwise {
            weights: (0..60_000)
                .map(|i| (i as f32).sin())
                .collect::<Vec<_>>()
                .into(),
            bias: vec![0.5; 20_000].into(),
            gate: None,
            residual: None,
        },
        activation: Activation::Identity,
        input: span(0, 3),
        output: span(1, 20_000),
    };
    let net = Net::new(values.into(), vec![layer], 0, span(1, 20_000)).unwrap();
    let bytes = write(&net, Belongings::default()).unwrap();
    let file = Written::new(&bytes);
    assert_eq!(file.use_all().unwrap().1, logits(net).unwrap());
    let end = bytes.len() - 4 * 20_000_usize.next_multiple_of(16);
    for place in [end - 4 * 60_000, end - 4 * 30_000, end - 1] {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        let error = Written::new(&damaged).use_all().unwrap_err();
        assert!(error.contains("tensor 0"), "{place}: {error}");
    }
}

proptest! {
    /// Of metadata that is whole but says something else, none makes the program panic.
    #[test]
    fn other_numbers_are_errors_or_networks(
        of_levels: bool,
        place in 0..80_usize,
        number in any::<u32>(),
    ) {
        let net = if of_levels { levels() } else { small() };
        let bytes = write(&net, belongings()).unwrap();
        let other = edited::edited(&bytes, |contents| {
            replace(&mut contents["network"], &mut { place }, number);
        });
        let written = Written::new(&other);
        // Most are errors already here; the arena of others may be too large for a test.
        drop(written.open().map(Plan::net));
    }
}

/// Puts `number` in the place of the number that `left` others come before.
fn replace(value: &mut serde_json::Value, left: &mut usize, number: u32) {
    match value {
        serde_json::Value::Number(found) => {
            if *left == 0 {
                *found = number.into();
            }
            *left = left.wrapping_sub(1);
        }
        serde_json::Value::Array(items) => items
            .iter_mut()
            .for_each(|item| replace(item, left, number)),
        serde_json::Value::Object(items) => items
            .values_mut()
            .for_each(|item| replace(item, left, number)),
        _ => {}
    }
}
