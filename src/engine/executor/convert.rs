//! Between f32, which delegates take and give, and the type of the values inside.

use std::borrow::Cow;

use edge_classify_kernels::{Element, Rows, RowsMut};

use crate::net::Delegate;

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
