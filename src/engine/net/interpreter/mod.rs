//! The definition of every layer, as slow as plain: what the executor is compared with.

mod int8;

use edge_classify_kernels::{Pool, Rows, RowsMut, Window};

use crate::net::{Kind, Layer, Net, Shape, Span, Weights};

/// Runs the network on an NHWC picture; returns every value.
pub fn interpret(net: &Net, input: &[f32]) -> Vec<Vec<f32>> {
    let mut values: Vec<Vec<f32>> = net
        .values
        .iter()
        .map(|shape| vec![0.0; shape.pixels() * shape.channels])
        .collect();
    values[net.input].copy_from_slice(input);
    for layer in &net.layers {
        let shape = net.shape(layer.output);
        if let Kind::Part { part, .. } = &layer.kind {
            let rows = |span: Span| Rows {
                data: &values[span.value][span.first..],
                stride: net.values[span.value].channels,
            };
            let inputs: Vec<Rows> = layer.reads().map(rows).collect();
            let mut output = vec![0.0; shape.pixels() * shape.channels];
            let out = RowsMut {
                data: &mut output,
                stride: shape.channels,
            };
            part.delegate.run(&inputs, out).unwrap();
            let stride = net.values[layer.output.value].channels;
            let pixels = values[layer.output.value].chunks_exact_mut(stride);
            for (pixel, from) in pixels.zip(output.chunks_exact(shape.channels)) {
                pixel[layer.output.range()].copy_from_slice(from);
            }
            continue;
        }
        let on_levels = |span: Span| net.quantization(span.value).is_some();
        let on_levels = on_levels(layer.input) || on_levels(layer.output);
        for y in 0..shape.height {
            for x in 0..shape.width {
                for c in 0..shape.channels {
                    let result = match on_levels {
                        _ if net.is_quantized() && matches!(layer.kind, Kind::Excite { .. }) => {
                            int8::excited(net, &values, layer, c)
                        }
                        true => int8::value_at(net, &values, layer, y, x, c),
                        false => layer
                            .activation
                            .scalar(value_at(net, &values, layer, y, x, c)),
                    };
                    let channels = net.values[layer.output.value].channels;
                    let at = (y * shape.width + x) * channels + layer.output.first + c;
                    values[layer.output.value][at] = result;
                }
            }
        }
    }
    values
}

fn read(net: &Net, values: &[Vec<f32>], span: Span, y: usize, x: usize, c: usize) -> f32 {
    let shape = net.values[span.value];
    values[span.value][(y * shape.width + x) * shape.channels + span.first + c]
}

/// The pixels that the window's taps see from an output pixel: tap, row, column.
fn seen(window: &Window, y: usize, x: usize) -> Vec<(usize, usize, usize)> {
    let mut seen = Vec::new();
    for i in 0..window.kernel_h {
        for j in 0..window.kernel_w {
            let row = (y * window.stride_h + i * window.dilation_h).checked_sub(window.pad_top);
            let column = (x * window.stride_w + j * window.dilation_w).checked_sub(window.pad_left);
            if let (Some(row), Some(column)) = (row, column)
                && row < window.height
                && column < window.width
            {
                seen.push((i * window.kernel_w + j, row, column));
            }
        }
    }
    seen
}

fn value_at(net: &Net, values: &[Vec<f32>], layer: &Layer, y: usize, x: usize, c: usize) -> f32 {
    let read =
        |span: Span, y: usize, x: usize, c: usize| f64::from(read(net, values, span, y, x, c));
    let input = layer.input;
    let Shape {
        height,
        width,
        channels,
    } = net.shape(input);
    let weight = |weights: &Weights, at: usize| f64::from(weights.values().unwrap()[at]);
    let result = match &layer.kind {
        Kind::Pointwise {
            weights,
            bias,
            gate,
            residual,
        } => {
            let product = |i: usize| {
                let gate = gate.map_or(1.0, |gate| read(gate, 0, 0, i));
                read(input, y, x, i) * gate * weight(weights, c * channels + i)
            };
            let sum: f64 = (0..channels).map(product).sum();
            sum + weight(bias, c) + residual.map_or(0.0, |residual| read(residual, y, x, c))
        }
        Kind::Convolution {
            weights,
            bias,
            window,
            residual,
        } => {
            let taps = window.kernel_h * window.kernel_w;
            let mut sum = weight(bias, c) + residual.map_or(0.0, |span| read(span, y, x, c));
            for (tap, row, column) in seen(window, y, x) {
                for i in 0..channels {
                    sum += read(input, row, column, i)
                        * weight(weights, (c * channels + i) * taps + tap);
                }
            }
            sum
        }
        Kind::Depthwise {
            weights,
            bias,
            window,
        } => {
            let taps = window.kernel_h * window.kernel_w;
            let seen = seen(window, y, x).into_iter();
            let product =
                |(tap, row, column)| read(input, row, column, c) * weight(weights, c * taps + tap);
            seen.map(product).sum::<f64>() + weight(bias, c)
        }
        Kind::Pool { pool, window } => {
            let seen = seen(window, y, x);
            let pixels = seen
                .iter()
                .map(|(_, row, column)| read(input, *row, *column, c));
            match pool {
                Pool::Max => pixels.fold(f64::NEG_INFINITY, f64::max),
                Pool::Average { count_padding } => {
                    let all = window.kernel_h * window.kernel_w;
                    let count = if *count_padding { all } else { seen.len() };
                    pixels.sum::<f64>() / count as f64
                }
            }
        }
        Kind::Mean => {
            let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
            let sum: f64 = pixels.map(|(y, x)| read(input, y, x, c)).sum();
            sum / (height * width) as f64
        }
        Kind::Excite {
            squeeze,
            squeeze_bias,
            squeeze_activation,
            excite,
            excite_bias,
        } => {
            let hidden = squeeze_bias.len();
            let value = |h: usize| {
                let products =
                    (0..channels).map(|i| read(input, 0, 0, i) * weight(squeeze, h * channels + i));
                let sum = products.sum::<f64>() + weight(squeeze_bias, h);
                f64::from(squeeze_activation.scalar(sum as f32))
            };
            let products = (0..hidden).map(|h| value(h) * weight(excite, c * hidden + h));
            products.sum::<f64>() + weight(excite_bias, c)
        }
        Kind::Multiply { gate } => read(input, y, x, c) * read(*gate, 0, 0, c),
        Kind::Add { other } => read(input, y, x, c) + read(*other, y, x, c),
        Kind::Affine { scale, shift } => read(input, y, x, c) * weight(scale, c) + weight(shift, c),
        Kind::Activate => read(input, y, x, c),
        Kind::Shuffle { groups } => {
            let each = channels / groups;
            read(input, y, x, c % groups * each + c / groups)
        }
        Kind::Part { .. } => unreachable!("is run as a whole"),
    };
    result as f32
}
