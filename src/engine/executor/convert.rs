//! Between f32, which comes in and goes out, and the type of the values inside.

use std::borrow::Cow;

use edge_classify_kernels::{Element, Rows, RowsMut};

use crate::net::Delegate;

/// From planes to pixels.
pub fn interleave<E: Element>(planes: &[f32], channels: usize, pixels: &mut [E]) {
    /// Pixels that are gone through together.
    const BLOCK: usize = 64;
    let area = planes.len() / channels;
    let Some(planes) = E::of_single(planes) else {
        let blocks = pixels.chunks_mut(BLOCK * channels);
        for (block, pixels) in blocks.enumerate() {
            let len = pixels.len() / channels;
            let mut narrowed = [E::default(); 3 * BLOCK];
            // As many channels at a time as there is room for: three at least.
            for first in (0..channels).step_by(3) {
                let some = first..channels.min(first + 3);
                for (channel, narrowed) in some.clone().zip(narrowed.chunks_mut(len)) {
                    let from = &planes[channel * area + block * BLOCK..][..len];
                    E::narrow(from, narrowed);
                }
                weave(&narrowed[..len * some.len()], len, first, channels, pixels);
            }
        }
        return;
    };
    weave(planes, area, 0, channels, pixels);
}

/// Planes of `area` values to pixels' channels from `first` on.
fn weave<E: Element>(planes: &[E], area: usize, first: usize, channels: usize, pixels: &mut [E]) {
    if let (3, Some((red, rest))) = (channels, planes.split_at_checked(area)) {
        let (green, blue) = rest.split_at(area);
        for (((pixel, r), g), b) in pixels.chunks_exact_mut(3).zip(red).zip(green).zip(blue) {
            pixel.copy_from_slice(&[*r, *g, *b]);
        }
        return;
    }
    for (c, plane) in planes.chunks_exact(area).enumerate() {
        for (pixel, value) in pixels.chunks_exact_mut(channels).zip(plane) {
            pixel[first + c] = *value;
        }
    }
}

/// Runs a delegate, which takes and gives f32.
pub fn run_delegate<E: Element>(
    delegate: &dyn Delegate,
    inputs: &[Rows<E>],
    output: RowsMut<E>,
) -> Result<(), String> {
    let data: Vec<Cow<[f32]>> = inputs.iter().map(|rows| widened(rows.data)).collect();
    let rows = data.iter().zip(inputs);
    let rows: Vec<Rows> = rows
        .map(|(data, rows)| Rows {
            data,
            stride: rows.stride,
        })
        .collect();
    let stride = output.stride;
    if let Some(data) = E::as_single_mut(output.data) {
        return delegate.run(&rows, RowsMut { data, stride });
    }
    // With what is between the pixels, which it leaves as it is.
    let mut data = widened(output.data).into_owned();
    let written = RowsMut {
        data: &mut data,
        stride,
    };
    delegate.run(&rows, written)?;
    E::narrow(&data, output.data);
    Ok(())
}

fn widened<E: Element>(values: &[E]) -> Cow<'_, [f32]> {
    match E::as_single(values) {
        Some(values) => Cow::Borrowed(values),
        None => {
            let mut wide = vec![0.0; values.len()];
            E::widen(values, &mut wide);
            Cow::Owned(wide)
        }
    }
}
