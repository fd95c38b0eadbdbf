//! Where two models agree, and where they do not.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::{Report, Results};
use crate::model::Labels;

/// What two models say of the same pictures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Classified by both.
    pub pictures: usize,
    /// Pictures with the same likeliest class.
    pub agree: usize,
    pub agree_percent: f64,
    /// Mean share of the five likeliest classes that both have, in percent.
    pub top5_overlap_percent: f64,
    /// Pictures that one of them alone gets right, where classes are known.
    pub only_first_right: usize,
    pub only_second_right: usize,
    /// Absent for pictures without classes.
    pub reports: Option<[Report; 2]>,
    pub disagreements: Vec<Disagreement>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Disagreement {
    pub path: String,
    /// Label of the true class.
    pub class: Option<String>,
    /// The likeliest class of each model.
    pub first: Guess,
    pub second: Guess,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Guess {
    pub index: usize,
    pub label: String,
    pub score: f32,
}

impl Comparison {
    /// Compares what both have; `labels` are those of the models.
    pub fn new(first: &Results, second: &Results, labels: &Labels) -> Self {
        let mut comparison = Comparison {
            pictures: 0,
            agree: 0,
            agree_percent: 0.0,
            top5_overlap_percent: 0.0,
            only_first_right: 0,
            only_second_right: 0,
            reports: None,
            disagreements: Vec::new(),
        };
        let mut overlap = 0.0;
        let others: BTreeMap<_, _> = second.rows.iter().map(|row| (&row.path, row)).collect();
        let both = first
            .rows
            .iter()
            .filter_map(|a| Some((a, *others.get(&a.path)?)));
        for (a, b) in both {
            let (Ok(top_a), Ok(top_b)) = (&a.top, &b.top) else {
                continue;
            };
            let (Some(best_a), Some(best_b)) = (top_a.first(), top_b.first()) else {
                continue;
            };
            comparison.pictures += 1;
            let shared = top_a
                .iter()
                .filter(|(index, _)| top_b.iter().any(|(other, _)| other == index));
            overlap += shared.count() as f64 / top_a.len().max(top_b.len()) as f64;
            let right = [best_a.0, best_b.0].map(|index| a.class == Some(index));
            comparison.only_first_right += usize::from(right == [true, false]);
            comparison.only_second_right += usize::from(right == [false, true]);
            if best_a.0 == best_b.0 {
                comparison.agree += 1;
                continue;
            }
            let guess = |(index, score): (usize, f32)| Guess {
                index,
                label: labels.get(index).to_owned(),
                score,
            };
            comparison.disagreements.push(Disagreement {
                path: a.path.clone(),
                class: a.class.map(|class| labels.get(class).to_owned()),
                first: guess(*best_a),
                second: guess(*best_b),
            });
        }
        let pictures = comparison.pictures.max(1) as f64;
        comparison.agree_percent = 100.0 * comparison.agree as f64 / pictures;
        comparison.top5_overlap_percent = 100.0 * overlap / pictures;
        if first.rows.iter().any(|row| row.class.is_some()) {
            comparison.reports = Some([Report::new(first), Report::new(second)]);
        }
        comparison
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if let Some([first, second]) = &self.reports {
            write!(f, "{first}\n{second}\n")?;
            writeln!(
                f,
                "right     {} only by the first, {} only by the second",
                self.only_first_right, self.only_second_right
            )?;
        }
        let (agree, pictures, percent) = (self.agree, self.pictures, self.agree_percent);
        writeln!(
            f,
            "agree     {percent:.3} % ({agree} of {pictures} pictures)"
        )?;
        writeln!(f, "top-5     {:.3} % in common", self.top5_overlap_percent)?;
        for Disagreement {
            path,
            class,
            first,
            second,
        } in &self.disagreements
        {
            let class = class
                .as_ref()
                .map_or_else(String::new, |class| format!("  (is {class})"));
            let guess = |guess: &Guess| format!("{} {:.1}%", guess.label, guess.score * 100.0);
            writeln!(f, "{path}: {}  |  {}{class}", guess(first), guess(second))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::{results, row};
    use super::*;

    #[test]
    fn agreement_overlap_and_discord_are_counted() {
        let labels = Labels::numbered(9);
        let first = results(vec![
            row("a.jpg", Some(1), &[1, 2, 3, 4]),
            row("b.jpg", Some(2), &[2, 1, 3, 4]),
            row("c.jpg", Some(5), &[3, 1]),
        ]);
        let second = results(vec![
            row("a.jpg", Some(1), &[1, 2, 5, 6]),
            row("b.jpg", Some(2), &[1, 2, 3, 4]),
            row("c.jpg", Some(5), &[4, 3]),
        ]);
        let comparison = Comparison::new(&first, &second, &labels);
        assert_eq!((comparison.pictures, comparison.agree), (3, 1));
        assert_eq!(
            (comparison.only_first_right, comparison.only_second_right),
            (1, 0)
        );
        assert!((comparison.top5_overlap_percent - 100.0 * (0.5 + 1.0 + 0.5) / 3.0).abs() < 1e-9);
        let paths: Vec<_> = comparison
            .disagreements
            .iter()
            .map(|d| d.path.as_str())
            .collect();
        assert_eq!(paths, ["b.jpg", "c.jpg"]);
        let text = comparison.to_string();
        for part in [
            "33.333 % (1 of 3",
            "b.jpg: class 2 50.0%  |  class 1 50.0%  (is class 2)",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let unlabelled = results(vec![row("a.jpg", None, &[1, 2])]);
        let same = Comparison::new(&unlabelled, &unlabelled, &labels);
        assert_eq!(
            (same.agree_percent, same.top5_overlap_percent),
            (100.0, 100.0)
        );
        assert_eq!(same.reports, None);
        assert!(same.disagreements.is_empty());
    }
}
