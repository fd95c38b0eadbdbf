//! What must hold of a network of which some values are levels.

use edge_classify_int8::{MOST_SUMMED, Quantization, Requantization};
use edge_classify_kernels::{Activation, Pool, Window};

use super::verify::NetError;
use super::{Kind, Layer, Net, Span, Weights};

/// The network itself is known to be sound.
pub(super) fn verify(net: &Net) -> Result<(), NetError> {
    if net.quantizations.len() != net.values.len() {
        return Err(NetError::new(
            "",
            "not every value is said to be of levels or not",
        ));
    }
    let pixels = net.values.iter().zip(&net.quantizations);
    let mut pixels = pixels.filter_map(|(shape, levels)| levels.map(|_| shape.pixels()));
    if pixels.any(|pixels| pixels > MOST_SUMMED) {
        return Err(NetError::new(
            "",
            "a value of levels has too many pixels to be summed up",
        ));
    }
    let mut quantizations = net.quantizations.iter().flatten();
    if !quantizations.all(Quantization::is_sound) {
        return Err(NetError::new(
            "",
            "a scale is not a positive number of moderate size",
        ));
    }
    if [net.input, net.output.value]
        .iter()
        .any(|value| net.quantization(*value).is_some())
    {
        return Err(NetError::new("", "the input or the output is of levels"));
    }
    for layer in &net.layers {
        let fault = |what| NetError::new(&layer.name, what);
        match net.quantization(layer.input.value) {
            Some(_) => in_integers(net, layer).map_err(fault)?,
            None => in_floats(net, layer).map_err(fault)?,
        }
    }
    Ok(())
}

fn is_quantized(net: &Net, span: Span) -> bool {
    net.quantization(span.value).is_some()
}

/// Only an activation, or none, makes levels of f32.
fn in_floats(net: &Net, layer: &Layer) -> Result<(), &'static str> {
    if layer.reads().any(|span| is_quantized(net, span)) {
        return Err("reads levels and f32");
    }
    let quantizes =
        matches!(layer.kind, Kind::Activate) && layer.activation == Activation::Identity;
    match is_quantized(net, layer.output) && !quantizes {
        true => Err("computes in f32, and writes levels"),
        false => Ok(()),
    }
}

fn in_integers(net: &Net, layer: &Layer) -> Result<(), &'static str> {
    let quantization = |span: Span| net.quantization(span.value);
    let to_levels = is_quantized(net, layer.output);
    let outputs = layer.output.channels;
    let by_rows = |weights: &Weights| {
        weights
            .scales()
            .is_some_and(|scales| scales.len() == outputs && scales.iter().all(|s| is_sound(*s)))
    };
    let levels = |span: &Option<Span>| span.is_none_or(|span| is_quantized(net, span));
    // What is not multiplied by weights, whose sums are looked at when they are packed, is only scaled.
    let ratio = |span: Span| match (quantization(span), quantization(layer.output)) {
        (Some(from), Some(to)) => from.scale / to.scale < MOST_RATIO,
        _ => true,
    };
    if layer.kind.parameters() == 0 && !layer.reads().all(ratio) {
        return Err("the scale of the output is too small for that of the input");
    }
    if let Some(input) = quantization(layer.input) {
        let whole = Requantization {
            input,
            output: quantization(layer.output),
            residual: match layer.kind {
                Kind::Add { other } => quantization(other),
                _ => None,
            },
            activation: layer.activation,
        };
        let unweighted = to_levels && matches!(layer.kind, Kind::Add { .. } | Kind::Activate);
        if !whole.is_sound() || (unweighted && !whole.fits_unweighted()) {
            return Err("what its activation gives is too large to be computed with");
        }
    }
    let (good, what) = match &layer.kind {
        Kind::Pointwise {
            weights,
            gate,
            residual,
            ..
        } => (
            by_rows(weights) && gate.is_none() && levels(residual),
            "a pointwise convolution of levels has weights of levels, a residual of such, and no gate",
        ),
        Kind::Convolution {
            weights, residual, ..
        } => (
            by_rows(weights) && levels(residual),
            "a convolution of levels has weights of levels, and a residual of such",
        ),
        Kind::Depthwise { weights, .. } => (
            by_rows(weights) && to_levels,
            "a depthwise convolution of levels has weights of levels, and writes such",
        ),
        Kind::Pool { window, .. } if window.kernel_h * window.kernel_w > MOST_SUMMED => {
            (false, "a pool of levels has a window of moderate size")
        }
        Kind::Pool { window, .. } if !sees(window) => {
            (false, "a pool of levels sees some pixel from everywhere")
        }
        Kind::Pool {
            pool: Pool::Max, ..
        }
        | Kind::Shuffle { .. } => (
            quantization(layer.input) == quantization(layer.output),
            "a maximum of levels, or a shuffle, has the same quantization on both sides",
        ),
        Kind::Pool { .. } => (to_levels, "a pool of levels writes levels"),
        Kind::Mean => (true, ""),
        Kind::Activate => (
            to_levels || layer.activation == Activation::Identity,
            "an activation of levels writes such",
        ),
        Kind::Add { other } => (
            to_levels && is_quantized(net, *other),
            "a sum with levels is of levels, and writes such",
        ),
        Kind::Multiply { gate } => (
            to_levels && !is_quantized(net, *gate) && is_linear(layer.activation),
            "a product of levels is with f32, has bounds for an activation, and writes levels",
        ),
        Kind::Excite { .. } | Kind::Affine { .. } | Kind::Part { .. } => {
            (false, "is not computed on levels")
        }
    };
    if good { Ok(()) } else { Err(what) }
}

/// Levels that are scaled by less are far from the bounds of an integer.
const MOST_RATIO: f32 = (1 << 20) as f32;

/// Whether there is a pixel of the picture under the window wherever it is.
fn sees(window: &Window) -> bool {
    let mut rows = 0..window.out_height;
    let mut columns = 0..window.out_width;
    rows.all(|y| !window.taps_of_row(y).is_empty())
        && columns.all(|x| !window.taps_of_column(x).is_empty())
}

fn is_sound(scale: f32) -> bool {
    let zero_point = 0;
    Quantization { scale, zero_point }.is_sound()
}

fn is_linear(activation: Activation) -> bool {
    matches!(activation, Activation::Identity | Activation::Clamp { .. })
}

#[cfg(test)]
mod tests {
    use super::super::Shape;
    use super::*;

    const HERE: Option<Quantization> = Some(Quantization {
        scale: 0.1,
        zero_point: 3,
    });

    fn span(value: usize) -> Span {
        Span {
            value,
            first: 0,
            channels: 4,
        }
    }

    fn layer(kind: Kind, input: usize, output: usize) -> Layer {
        Layer {
            name: "layer".to_owned(),
            kind,
            activation: Activation::Identity,
            input: span(input),
            output: span(output),
        }
    }

    /// From f32 to levels, through a layer, and back to f32.
    fn check(kind: Kind, quantizations: [Option<Quantization>; 4]) -> Result<Net, NetError> {
        let shape = Shape {
            height: 1,
            width: 1,
            channels: 4,
        };
        let layers = vec![
            layer(Kind::Activate, 0, 1),
            layer(kind, 1, 2),
            layer(Kind::Activate, 2, 3),
        ];
        let net = Net::new(vec![shape; 4], layers, 0, span(3)).unwrap();
        net.with_quantizations(quantizations.to_vec())
    }

    #[test]
    fn layers_that_are_not_computed_on_levels_are_refused() {
        let weights = |scales| Weights::quantized(vec![1; 16], vec![0.5; scales]);
        let pointwise = |weights| Kind::Pointwise {
            weights,
            bias: vec![0.0; 4].into(),
            gate: None,
            residual: None,
        };
        let between = [None, HERE, HERE, None];
        assert!(check(pointwise(weights(4)), between).is_ok());
        assert!(check(pointwise(weights(4)), [None, HERE, None, None]).is_ok());
        let affine = Kind::Affine {
            scale: vec![1.0; 4].into(),
            shift: vec![1.0; 4].into(),
        };
        let scale = |scale| {
            Some(Quantization {
                scale,
                zero_point: 0,
            })
        };
        for (kind, quantizations, what) in [
            (pointwise(weights(2)), between, "has weights of levels"),
            (
                pointwise(vec![1.0; 16].into()),
                between,
                "has weights of levels",
            ),
            (
                pointwise(weights(4)),
                [None, None, HERE, None],
                "writes levels",
            ),
            (
                pointwise(weights(4)),
                [None, HERE, HERE, HERE],
                "input or the output",
            ),
            (
                pointwise(weights(4)),
                [None, scale(0.0), HERE, None],
                "positive number",
            ),
            (
                pointwise(weights(4)),
                [None, scale(f32::NAN), HERE, None],
                "positive number",
            ),
            (affine, between, "not computed on levels"),
            (Kind::Add { other: span(0) }, between, "is of levels"),
            (Kind::Multiply { gate: span(1) }, between, "is with f32"),
            (
                Kind::Shuffle { groups: 2 },
                [None, HERE, scale(0.2), None],
                "the same quantization",
            ),
            (
                Kind::Activate,
                [None, HERE, scale(1e-8), None],
                "is too small",
            ),
        ] {
            let error = check(kind, quantizations).unwrap_err().to_string();
            assert!(error.contains(what), "{what}: {error}");
        }
        let net = check(Kind::Activate, between).unwrap();
        assert!(net.with_quantizations(vec![None; 3]).is_err());
    }
}
