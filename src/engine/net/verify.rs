//! What must hold of a network before it is run.

use std::ops::Range;

use edge_classify_kernels::{Activation, Window};
use thiserror::Error;

use super::written::Written;
use super::{Kind, Layer, Net, Shape, Span, Weights};

#[derive(Debug, Error, PartialEq, Eq)]
#[error("layer '{layer}': {what}")]
pub struct NetError {
    layer: String,
    what: String,
}

impl NetError {
    pub(super) fn new(layer: &str, what: &str) -> NetError {
        NetError {
            layer: layer.to_owned(),
            what: what.to_owned(),
        }
    }
}

/// The largest height, width, kernel, stride or padding: products of two are added up, on 32-bit systems as well.
const LARGEST: usize = 1 << 14;

const MOST_CHANNELS: usize = 1 << 24;

/// Layers, and values between them: the time to place and to join them grows with their square. The largest networks of
/// the family have some hundreds.
const MOST_LAYERS: usize = 1 << 13;

/// Offsets of many values are added up; a 32-bit system has addresses for fewer.
const MOST_VALUES: usize = if usize::BITS > 32 { 1 << 31 } else { 1 << 29 };

pub(super) fn verify(net: &Net) -> Result<(), NetError> {
    let fault = NetError::new;
    for (count, what) in [(net.layers.len(), "layers"), (net.values.len(), "values")] {
        if count > MOST_LAYERS {
            let what =
                format!("{count} {what}, more than the {MOST_LAYERS} that a network may have");
            return Err(fault("", &what));
        }
    }
    for shape in &net.values {
        let Shape {
            height,
            width,
            channels,
        } = *shape;
        let len = height
            .checked_mul(width)
            .and_then(|n| n.checked_mul(channels));
        let fits = len.is_some_and(|len| (1..MOST_VALUES).contains(&len));
        if !fits || height > LARGEST || width > LARGEST || channels > MOST_CHANNELS {
            let what = format!("a value of {shape}: none may be empty, or so large");
            return Err(fault("", &what));
        }
    }
    let mut written = vec![Written::default(); net.values.len()];
    match written.get_mut(net.input) {
        Some(input) => input.add(0..net.values[net.input].channels),
        None => return Err(fault("", "the input is no value")),
    }
    for layer in &net.layers {
        let name = &layer.name;
        for span in layer.reads() {
            let range = channels(net, span).ok_or_else(|| fault(name, "reads no value"))?;
            if !written[span.value].covers(&range) {
                return Err(fault(name, "reads what has not been written"));
            }
            if span.value == layer.output.value {
                return Err(fault(name, "reads the value that it writes"));
            }
        }
        let output = layer.output;
        let range = channels(net, output).ok_or_else(|| fault(name, "writes no value"))?;
        if written[output.value].overlaps(&range) {
            return Err(fault(name, "writes what has been written"));
        }
        written[output.value].add(range);
        shapes(net, layer).map_err(|what| fault(name, what))?;
    }
    let range = channels(net, net.output).ok_or_else(|| fault("", "the output is no value"))?;
    let value = net.output.value;
    if !written[value].covers(&range) || net.values[value].pixels() != 1 {
        return Err(fault("", "the output is not a written vector"));
    }
    Ok(())
}

/// A span's channels, if there are such.
fn channels(net: &Net, span: Span) -> Option<Range<usize>> {
    let end = span.first.checked_add(span.channels)?;
    let known = net.values.get(span.value)?.channels;
    (span.channels > 0 && end <= known).then_some(span.first..end)
}

/// The spans are known to exist.
fn shapes(net: &Net, layer: &Layer) -> Result<(), &'static str> {
    let (input, output) = (net.shape(layer.input), net.shape(layer.output));
    let vector = |span: Span| {
        let shape = net.shape(span);
        shape.pixels() == 1 && shape.channels == input.channels
    };
    let like_output = |span: &Option<Span>| span.is_none_or(|span| net.shape(span) == output);
    let same_pixels = (input.height, input.width) == (output.height, output.width);
    let len = |sizes: &[usize]| sizes.iter().try_fold(1usize, |len, n| len.checked_mul(*n));
    let fits = |held: &Weights, sizes: &[usize]| len(sizes) == Some(held.len());
    let slides = |window: &Window| slides(window, input, output);
    let (good, what) = match &layer.kind {
        Kind::Pointwise {
            weights,
            bias,
            gate,
            residual,
        } => (
            same_pixels
                && fits(weights, &[output.channels, input.channels])
                && bias.len() == output.channels
                && gate.is_none_or(vector)
                && like_output(residual),
            "a pointwise convolution's sizes differ",
        ),
        Kind::Convolution {
            weights,
            bias,
            window,
            residual,
        } => {
            let kernel = [
                output.channels,
                input.channels,
                window.kernel_h,
                window.kernel_w,
            ];
            (
                slides(window)
                    && fits(weights, &kernel)
                    && bias.len() == output.channels
                    && input == net.values[layer.input.value]
                    && like_output(residual),
                "a convolution's sizes differ",
            )
        }
        Kind::Depthwise {
            weights,
            bias,
            window,
        } => (
            slides(window)
                && fits(weights, &[input.channels, window.kernel_h, window.kernel_w])
                && bias.len() == output.channels
                && input.channels == output.channels,
            "a depthwise convolution's sizes differ",
        ),
        Kind::Pool { window, .. } => (
            slides(window)
                && input.channels == output.channels
                && layer.activation == Activation::Identity,
            "a pool's sizes differ",
        ),
        Kind::Mean => (
            output.pixels() == 1
                && input.channels == output.channels
                && layer.activation == Activation::Identity,
            "a mean's sizes differ",
        ),
        Kind::Excite {
            squeeze,
            squeeze_bias,
            excite,
            excite_bias,
            ..
        } => {
            let sizes = [squeeze_bias.len(), input.channels];
            (
                input == output
                    && input.pixels() == 1
                    && !squeeze_bias.is_empty()
                    && fits(squeeze, &sizes)
                    && fits(excite, &sizes)
                    && excite_bias.len() == input.channels,
                "squeeze-and-excitation's sizes differ",
            )
        }
        Kind::Multiply { gate } => (input == output && vector(*gate), "a product's sizes differ"),
        Kind::Add { other } => (
            input == output && net.shape(*other) == output,
            "a sum's sizes differ",
        ),
        Kind::Affine { scale, shift } => (
            input == output && scale.len() == input.channels && shift.len() == input.channels,
            "an affine layer's sizes differ",
        ),
        Kind::Activate => (input == output, "an activation's sizes differ"),
        Kind::Shuffle { groups } => (
            input == output
                && (1..=input.channels).contains(groups)
                && input.channels % groups == 0
                && layer.activation == Activation::Identity,
            "a shuffle's sizes differ",
        ),
        Kind::Part { part, .. } => (
            part.output == output
                && layer
                    .reads()
                    .map(|span| net.shape(span))
                    .eq(part.inputs.iter().copied())
                && layer.activation == Activation::Identity,
            "a delegate's sizes differ",
        ),
    };
    if good { Ok(()) } else { Err(what) }
}

/// Whether the window is for these pictures, and every step lies in the padded one.
fn slides(window: &Window, input: Shape, output: Shape) -> bool {
    let sizes = [
        window.kernel_h,
        window.kernel_w,
        window.stride_h,
        window.stride_w,
        window.dilation_h,
        window.dilation_w,
    ];
    let pads = [window.pad_top, window.pad_left];
    sizes.iter().all(|size| (1..=LARGEST).contains(size))
        && pads.iter().all(|pad| *pad <= LARGEST)
        && (window.height, window.width) == (input.height, input.width)
        && (window.out_height, window.out_width) == (output.height, output.width)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(channels: usize) -> Shape {
        Shape {
            height: 1,
            width: 1,
            channels,
        }
    }

    fn span(value: usize, first: usize, channels: usize) -> Span {
        Span {
            value,
            first,
            channels,
        }
    }

    fn copy(name: &str, input: Span, output: Span) -> Layer {
        Layer {
            name: name.to_owned(),
            kind: Kind::Activate,
            activation: Activation::Identity,
            input,
            output,
        }
    }

    #[test]
    fn networks_that_cannot_run_are_refused() {
        let values = || vec![shape(4), shape(4)];
        let whole = span(1, 0, 4);
        let good = vec![
            copy("a", span(0, 0, 2), span(1, 2, 2)),
            copy("b", span(0, 2, 2), span(1, 0, 2)),
        ];
        assert!(Net::new(values(), good.clone(), 0, whole).is_ok());
        for (layers, what) in [
            (vec![good[0].clone()], "the output is not a written vector"),
            (
                vec![copy("a", span(1, 0, 2), span(1, 2, 2))],
                "reads what has not been written",
            ),
            (
                vec![good[0].clone(), good[0].clone()],
                "writes what has been written",
            ),
            (
                vec![copy("a", span(0, 3, 2), span(1, 2, 2))],
                "reads no value",
            ),
            (
                vec![copy("a", span(0, 0, 2), span(2, 2, 2))],
                "writes no value",
            ),
            (
                vec![copy("a", span(0, 0, 2), span(0, 2, 2))],
                "reads the value that it writes",
            ),
            (
                vec![copy("a", span(0, 0, 3), span(1, 0, 4))],
                "an activation's sizes differ",
            ),
        ] {
            let error = Net::new(values(), layers, 0, whole).unwrap_err();
            assert_eq!(error.what, what);
        }
        let uneven = Layer {
            kind: Kind::Shuffle { groups: 3 },
            ..copy("a", span(0, 0, 4), whole)
        };
        let error = Net::new(values(), vec![uneven], 0, whole).unwrap_err();
        assert_eq!(error.what, "a shuffle's sizes differ");
        assert!(Net::new(values(), Vec::new(), 2, whole).is_err());
        assert!(Net::new(vec![shape(0), shape(4)], good, 0, whole).is_err());
    }

    #[test]
    fn sizes_that_no_address_reaches_are_refused() {
        let picture = |height, width, channels| Shape {
            height,
            width,
            channels,
        };
        let large = picture(LARGEST, LARGEST, 2);
        let mean = Layer {
            kind: Kind::Mean,
            ..copy("a", span(0, 0, 2), span(1, 0, 2))
        };
        let net = |large| Net::new(vec![large, shape(2)], vec![mean.clone()], 0, span(1, 0, 2));
        assert_eq!(net(large).is_ok(), usize::BITS > 32);
        assert!(net(picture(LARGEST, LARGEST, 1 << 8)).is_err());
        assert!(net(picture(2 * LARGEST, 1, 2)).is_err());
        assert!(net(picture(1, 1, 2 * MOST_CHANNELS)).is_err());
        assert!(net(picture(LARGEST, usize::MAX / LARGEST + 1, 2)).is_err());
    }

    #[test]
    fn many_values_of_many_channels_take_no_memory_to_check() {
        let wide = vec![shape(MOST_CHANNELS); MOST_LAYERS];
        let layer = copy("a", span(0, 0, 1), span(1, 0, 1));
        let net = |values| Net::new(values, vec![layer.clone()], 0, span(1, 0, 1));
        assert!(net(wide.clone()).is_ok());
        let error = net([wide, vec![shape(1)]].concat()).unwrap_err();
        assert!(error.what.contains("8193 values"), "{error}");
    }
}
