//! Tables on stdout.

use std::io::{self, Write};

/// A cell of which nothing is known.
pub const UNKNOWN: &str = "-";

/// Writes rows, the first of them titles, whose columns are as wide as their widest cells. The columns of `figures` go to
/// the right, words to the left; one of which nothing is known in any row is left out.
pub fn write<const N: usize>(
    table: &[[String; N]],
    figures: &[usize],
    out: &mut dyn Write,
) -> io::Result<()> {
    let width = |column: usize| table.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let any = |column: usize| table.iter().skip(1).any(|row| row[column] != UNKNOWN);
    let is_known: [bool; N] = std::array::from_fn(any);
    for row in table {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            if !is_known[column] {
                continue;
            }
            line += &match figures.contains(&column) {
                true => format!("{cell:>width$}  "),
                false => format!("{cell:<width$}  "),
            };
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_unknown_ones_left_out() {
        let table = [["NAME", "M", "TOP"], ["a", "10", "-"], ["bcdefg", "-", "-"]];
        let table = table.map(|row| row.map(str::to_owned));
        let mut out = Vec::new();
        write(&table, &[1], &mut out).unwrap();
        let expected = "NAME     M\na       10\nbcdefg   -\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
