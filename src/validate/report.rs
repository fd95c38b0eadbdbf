//! Precision of a model over a set of pictures.

use std::fmt;

use serde::Serialize;

use super::{Proportion, Results, Shard};

/// Precision at 1 and at 5 over the labelled pictures that could be read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub model: String,
    /// Classified, and of a known class.
    pub pictures: usize,
    /// Not classified, and left out of the precision.
    pub unreadable: usize,
    #[serde(rename = "prec@1")]
    pub precision_at_1: Proportion,
    #[serde(rename = "prec@5")]
    pub precision_at_5: Proportion,
    pub shard: Option<Shard>,
    /// Whether all pictures had their turn.
    pub complete: bool,
}

impl Report {
    pub fn new(results: &Results) -> Self {
        let (mut pictures, mut unreadable, mut first, mut among) = (0, 0, 0, 0);
        for row in &results.rows {
            let (Ok(top), Some(class)) = (&row.top, row.class) else {
                unreadable += usize::from(row.top.is_err());
                continue;
            };
            pictures += 1;
            first += usize::from(top.first().is_some_and(|(index, _)| *index == class));
            among += usize::from(top.iter().any(|(index, _)| *index == class));
        }
        Report {
            model: results.header.model.clone(),
            pictures,
            unreadable,
            precision_at_1: Proportion::new(first, pictures),
            precision_at_5: Proportion::new(among, pictures),
            shard: results.header.shard,
            complete: results.header.complete,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let partial = if self.complete {
            ""
        } else {
            " (PARTIAL: interrupted)"
        };
        writeln!(f, "model     {}{partial}", self.model)?;
        if let Some(Shard { index, count }) = self.shard {
            writeln!(f, "shard     {index}/{count}")?;
        }
        writeln!(
            f,
            "pictures  {}, and {} unreadable",
            self.pictures, self.unreadable
        )?;
        for (name, precision) in [
            ("prec@1", self.precision_at_1),
            ("prec@5", self.precision_at_5),
        ] {
            let Proportion {
                right,
                percent,
                low,
                high,
            } = precision;
            writeln!(
                f,
                "{name}    {percent:.3} %, 95% interval {low:.3} to {high:.3} ({right} right)"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Row;
    use super::super::results::tests::{results, row};
    use super::*;

    #[test]
    fn counts_and_leaves_out_what_was_not_read() {
        let unreadable = Row {
            top: Err("damaged".to_owned()),
            ..row("d.jpg", Some(1), &[])
        };
        let report = Report::new(&results(vec![
            row("a.jpg", Some(1), &[1, 2]),
            row("b.jpg", Some(2), &[1, 2]),
            row("c.jpg", Some(3), &[1, 2]),
            unreadable,
            row("e.jpg", None, &[1, 2]),
        ]));
        assert_eq!((report.pictures, report.unreadable), (3, 1));
        assert_eq!(
            (report.precision_at_1.right, report.precision_at_5.right),
            (1, 2)
        );
        let text = report.to_string();
        for part in ["tiny", "3, and 1 unreadable", "33.333 %", "66.667 %"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
