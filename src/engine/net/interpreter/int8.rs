//! The definition of layers on levels: exact sums, and what [`Requantization`] says of them.

use edge_classify_int8::{Quantization, Requantization, exact_scalar};
use edge_classify_kernels::Pool;

use super::{read, seen};
use crate::net::{Kind, Layer, Net, Span, WeightLevels, Weights};

/// A value of the layer's output, whose input or output is of levels: the one that its level is for.
pub fn value_at(
    net: &Net,
    values: &[Vec<f32>],
    layer: &Layer,
    y: usize,
    x: usize,
    c: usize,
) -> f32 {
    let output = net.quantization(layer.output.value);
    let Some(input) = net.quantization(layer.input.value) else {
        let value = read(net, values, layer.input, y, x, c);
        return rounded(output, |output| output.level(value), value);
    };
    // How far a level is above its zero point.
    let above = |span: Span, y, x, c| -> i64 {
        let quantization = net.quantization(span.value).unwrap();
        let level = quantization.level(read(net, values, span, y, x, c));
        i64::from(level) - i64::from(quantization.zero_point)
    };
    let own = |y, x, c| above(layer.input, y, x, c);
    let shape = net.shape(layer.input);
    let requantization = |residual: Option<Span>| Requantization {
        input,
        output,
        residual: residual.map(|span| net.quantization(span.value).unwrap()),
        activation: layer.activation,
    };
    let finish = |weights: &WeightLevels, bias: &Weights, sum: i64, residual: Option<Span>| {
        let requantization = requantization(residual);
        let scale = weights.scales[c];
        let sum = sum + i64::from(requantization.bias(bias.values().unwrap()[c], scale));
        let residual = residual.map(|span| {
            let zero_point = i64::from(net.quantization(span.value).unwrap().zero_point);
            (above(span, y, x, c) + zero_point) as i8
        });
        let (sum, multiplier) = (sum as i32, requantization.multiplier(scale));
        match output {
            Some(output) => output.value(requantization.level(sum, multiplier, residual)),
            None => requantization.value(sum, multiplier, residual),
        }
    };
    let levels = |weights: &Weights| weights.levels().unwrap().unwrap();
    match &layer.kind {
        Kind::Pointwise {
            weights,
            bias,
            residual,
            ..
        } => {
            let weights = levels(weights);
            let channels = shape.channels;
            let products =
                (0..channels).map(|i| own(y, x, i) * i64::from(weights.levels[c * channels + i]));
            finish(&weights, bias, products.sum(), *residual)
        }
        Kind::Convolution {
            weights,
            bias,
            window,
            residual,
        } => {
            let weights = levels(weights);
            let taps = window.kernel_h * window.kernel_w;
            let mut sum = 0;
            for (tap, row, column) in seen(window, y, x) {
                for i in 0..shape.channels {
                    let weight = weights.levels[(c * shape.channels + i) * taps + tap];
                    sum += own(row, column, i) * i64::from(weight);
                }
            }
            finish(&weights, bias, sum, *residual)
        }
        Kind::Depthwise {
            weights,
            bias,
            window,
        } => {
            let weights = levels(weights);
            let taps = window.kernel_h * window.kernel_w;
            let products = seen(window, y, x).into_iter().map(|(tap, row, column)| {
                own(row, column, c) * i64::from(weights.levels[c * taps + tap])
            });
            finish(&weights, bias, products.sum(), None)
        }
        Kind::Pool { pool, window } => {
            let seen = seen(window, y, x);
            let pixels = seen.iter().map(|(_, row, column)| own(*row, *column, c));
            match pool {
                Pool::Max => pixels.max().unwrap() as f32 * input.scale,
                Pool::Average { count_padding } => {
                    let all = window.kernel_h * window.kernel_w;
                    let count = if *count_padding { all } else { seen.len() };
                    mean(pixels.sum(), count, input, output)
                }
            }
        }
        Kind::Mean => {
            let pixels = (0..shape.height).flat_map(|y| (0..shape.width).map(move |x| (y, x)));
            let sum = pixels.map(|(y, x)| own(y, x, c)).sum();
            mean(sum, shape.pixels(), input, output)
        }
        Kind::Multiply { gate } => {
            let gate = read(net, values, *gate, 0, 0, c);
            let scale = f64::from(input.scale) / f64::from(output.unwrap().scale);
            let multiplier = gate * scale as f32;
            // Its activation is a clamp, if anything.
            let t = own(y, x, c) as f32 * multiplier;
            let (low, high) = requantization(None).bounds();
            let level = nearest(output.unwrap(), t).max(low).min(high);
            output.unwrap().value(level)
        }
        Kind::Add { other } => {
            let terms = [layer.input, *other];
            let whole = requantization(None);
            let unit = match whole.is_linear() {
                true => f64::from(output.unwrap().scale),
                false => 1.0,
            };
            let [a, b] = terms.map(|span| {
                let scale = f64::from(net.quantization(span.value).unwrap().scale);
                above(span, y, x, c) as f32 * (scale / unit) as f32
            });
            let mut t = a + b;
            if !whole.is_linear() {
                t = exact_scalar(layer.activation, t) * whole.inverse_scale();
            }
            let (low, high) = whole.bounds();
            let level = nearest(output.unwrap(), t).max(low).min(high);
            output.unwrap().value(level)
        }
        Kind::Activate => {
            // As of a weight of 1.
            let whole = requantization(None);
            let sum = own(y, x, c) as i32;
            match output {
                Some(output) => output.value(whole.level(sum, whole.multiplier(1.0), None)),
                None => sum as f32 * input.scale,
            }
        }
        Kind::Shuffle { groups } => {
            let each = shape.channels / groups;
            own(y, x, c % groups * each + c / groups) as f32 * input.scale
        }
        Kind::Excite { .. } | Kind::Affine { .. } | Kind::Part { .. } => {
            unreachable!("not computed on levels")
        }
    }
}

/// A gate of squeeze-and-excitation, as it is computed between layers of levels.
pub fn excited(net: &Net, values: &[Vec<f32>], layer: &Layer, c: usize) -> f32 {
    let Kind::Excite {
        squeeze,
        squeeze_bias,
        squeeze_activation,
        excite,
        excite_bias,
    } = &layer.kind
    else {
        unreachable!("is called for nothing else");
    };
    let all = |weights: &Weights| weights.values().unwrap().into_owned();
    let x: Vec<f32> = (0..layer.input.channels)
        .map(|i| read(net, values, layer.input, 0, 0, i))
        .collect();
    let (weights, bias) = (all(squeeze), all(squeeze_bias));
    let rows = weights.chunks(x.len()).zip(&bias);
    let hidden = rows.map(|(row, bias)| exact_scalar(*squeeze_activation, dot(row, &x) + bias));
    let hidden: Vec<f32> = hidden.collect();
    let row = &all(excite)[c * hidden.len()..][..hidden.len()];
    exact_scalar(layer.activation, dot(row, &hidden) + all(excite_bias)[c])
}

/// In four sums, each of every fourth product.
fn dot(weights: &[f32], x: &[f32]) -> f32 {
    let mut sums = [0.0; 4];
    for (i, (weight, x)) in weights.iter().zip(x).enumerate() {
        sums[i % 4] += weight * x;
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3])
}

fn mean(sum: i64, pixels: usize, input: Quantization, output: Option<Quantization>) -> f32 {
    let t = sum as f32 * input.mean_multiplier(pixels, output);
    rounded(output, |output| nearest(output, t), t)
}

/// The level for so many units of the scale.
fn nearest(output: Quantization, t: f32) -> i8 {
    (t.round_ties_even() + f32::from(output.zero_point)) as i8
}

/// What the level is for, or the value itself where there are none.
fn rounded(output: Option<Quantization>, level: impl Fn(Quantization) -> i8, value: f32) -> f32 {
    output.map_or(value, |output| output.value(level(output)))
}
