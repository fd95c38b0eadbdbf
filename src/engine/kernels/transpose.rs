//! From rows to columns, as weights are packed.

use super::element::Element;

/// Side of the squares that are turned in registers.
const SIDE: usize = 4;

/// Writes rows of `len` values as columns: `to[i * stride + first + r] = rows[r * len + i]`.
///
/// # Panics
/// If `to` is too short.
pub fn write_columns<E: Element>(
    rows: &[f32],
    len: usize,
    to: &mut [E],
    stride: usize,
    first: usize,
) {
    if len == 0 {
        return;
    }
    let count = rows.len() / len;
    let (squares, whole) = (count / SIDE * SIDE, len / SIDE * SIDE);
    for i in (0..whole).step_by(SIDE) {
        for r in (0..squares).step_by(SIDE) {
            let square: [&[f32]; SIDE] =
                std::array::from_fn(|row| &rows[(r + row) * len + i..][..SIDE]);
            for step in 0..SIDE {
                let line: [E; SIDE] = std::array::from_fn(|row| E::from_f32(square[row][step]));
                to[(i + step) * stride + first + r..][..SIDE].copy_from_slice(&line);
            }
        }
    }
    // What is right of the squares, and below.
    for (r, row) in rows.chunks_exact(len).enumerate() {
        let rest = if r < squares { whole } else { 0 };
        for (i, value) in row.iter().enumerate().skip(rest) {
            to[i * stride + first + r] = E::from_f32(*value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_value_is_in_its_place_and_nothing_else_is_written(
            count in 0usize..20, len in 0usize..20, first in 0usize..5, more in 0usize..5,
        ) {
            let rows: Vec<f32> = (1..=count * len).map(|i| i as f32).collect();
            let stride = first + count + more;
            let mut to = vec![0.0_f32; len * stride];
            write_columns(&rows, len, &mut to, stride, first);
            for (at, found) in to.iter().enumerate() {
                let (i, column) = (at / stride, at % stride);
                let row = column.checked_sub(first).filter(|row| *row < count);
                prop_assert_eq!(*found, row.map_or(0.0, |row| rows[row * len + i]));
            }
        }
    }
}
