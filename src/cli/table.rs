//! Tables on stdout.

use std::io::{self, Write};

/// Writes rows whose columns are as wide as their widest cells. The columns of `figures` go to the right, words to the
/// left.
pub fn write<const N: usize>(
    table: &[[String; N]],
    figures: &[usize],
    out: &mut dyn Write,
) -> io::Result<()> {
    let width = |column: usize| table.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for row in table {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            line += &match figures.contains(&column) {
                true => format!("{cell:>width$}  "),
                false => format!("{cell:<width$}  "),
            };
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
