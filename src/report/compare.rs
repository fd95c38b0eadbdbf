//! How far the answers of a network in int8 are from those in float.

use super::{Agreement, Difference};

/// Differences that are kept.
const WORST: usize = 12;

/// Likeliest classes that are looked at.
const TOP: usize = 5;

/// What a network says of a photograph: a value for each class.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    pub logits: &'a [f32],
    pub probabilities: &'a [f32],
}

/// Of two networks, photograph by photograph.
#[derive(Debug, Default)]
pub struct Comparison {
    seen: Vec<Seen>,
}

#[derive(Debug)]
struct Seen {
    /// Class and its probability.
    float: (usize, f64),
    int8: (usize, f64),
    top5_overlap: f64,
    cosine: f64,
}

impl Seen {
    fn agrees(&self) -> bool {
        self.float.0 == self.int8.0
    }
}

impl Comparison {
    /// Takes in what the network in float, and what that in int8, says of the next photograph.
    pub fn add(&mut self, float: Answer, int8: Answer) {
        let tops = [float, int8].map(|answer| likeliest(answer.logits));
        let best = |answer: Answer, top: &[usize]| {
            let class = top.first().copied().unwrap_or_default();
            let probability = answer.probabilities.get(class).copied();
            (class, probability.map_or(0.0, f64::from))
        };
        let [of_float, of_int8] = &tops;
        let shared = of_float.iter().filter(|class| of_int8.contains(class));
        self.seen.push(Seen {
            float: best(float, of_float),
            int8: best(int8, of_int8),
            top5_overlap: shared.count() as f64 / of_float.len().max(1) as f64,
            cosine: cosine(float.logits, int8.logits),
        });
    }

    pub fn agreement(&self) -> Agreement {
        let pictures = self.seen.len();
        let mean = |of: fn(&Seen) -> f64| {
            let sum: f64 = self.seen.iter().map(of).sum();
            sum / pictures.max(1) as f64
        };
        let cosines = self.seen.iter().map(|seen| seen.cosine);
        Agreement {
            pictures,
            same_class: self.seen.iter().filter(|seen| seen.agrees()).count(),
            top5_overlap: mean(|seen| seen.top5_overlap),
            cosine: match pictures {
                0 => [0.0; 2],
                _ => [
                    mean(|seen| seen.cosine),
                    cosines.fold(f64::INFINITY, f64::min),
                ],
            },
        }
    }

    /// The photographs that the two see most differently: of those with different classes, and then of the others, the ones
    /// with the least cosine. `picture` tells the file name and the thumbnail of the photograph that came so many places
    /// after the first.
    pub fn worst(&self, picture: impl Fn(usize) -> (String, String)) -> Vec<Difference> {
        let mut order: Vec<usize> = (0..self.seen.len()).collect();
        order.sort_by(|a, b| {
            let (a, b) = (&self.seen[*a], &self.seen[*b]);
            let by_class = a.agrees().cmp(&b.agrees());
            by_class.then(a.cosine.total_cmp(&b.cosine))
        });
        let worst = order.into_iter().take(WORST).map(|index| {
            let (file, thumbnail) = picture(index);
            let seen = &self.seen[index];
            Difference {
                file,
                thumbnail,
                float: seen.float,
                int8: seen.int8,
                cosine: seen.cosine,
            }
        });
        worst.collect()
    }
}

/// The classes with the largest logits, of equal ones the first.
fn likeliest(logits: &[f32]) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..logits.len()).collect();
    classes.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
    classes.truncate(TOP);
    classes
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let pairs = a.iter().zip(b);
        pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let (squares_a, squares_b) = (dot(a, a), dot(b, b));
    match squares_a * squares_b > 0.0 {
        true => dot(a, b) / (squares_a * squares_b).sqrt(),
        // Both nothing, or one of them.
        false => f64::from(squares_a == squares_b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(pairs: &[[&[f32]; 2]]) -> Comparison {
        let mut comparison = Comparison::default();
        for [float, int8] in pairs {
            let answer = |logits| Answer {
                logits,
                probabilities: logits,
            };
            comparison.add(answer(*float), answer(*int8));
        }
        comparison
    }

    #[test]
    fn agreement_is_counted() {
        let none = comparison(&[]).agreement();
        assert_eq!(none, Agreement::default());
        let found = comparison(&[
            // Six classes, of which each leaves another out of its five.
            [
                &[6.0, 5.0, 4.0, 3.0, 2.0, 1.0],
                &[6.0, 5.0, 4.0, 3.0, 1.0, 2.0],
            ],
            [&[1.0, 0.0], &[0.0, 1.0]],
            [&[3.0, 0.0], &[5.0, 0.0]],
        ])
        .agreement();
        assert_eq!((found.pictures, found.same_class), (3, 2));
        assert!((found.top5_overlap - (0.8 + 1.0 + 1.0) / 3.0).abs() < 1e-12);
        let first = 90.0 / 91.0;
        assert!((found.cosine[0] - (first + 0.0 + 1.0) / 3.0).abs() < 1e-12);
        assert_eq!(found.cosine[1], 0.0);
    }

    #[test]
    fn other_classes_come_first_then_the_least_cosine() {
        let comparison = comparison(&[
            [&[9.0, 0.0], &[9.0, 0.0]],
            [&[9.0, 0.0], &[9.0, 8.0]],
            [&[1.0, 0.9], &[0.9, 1.0]],
            [&[1.0, 0.0], &[0.0, 0.75]],
        ]);
        let picture = |index: usize| (format!("{index}.jpg"), String::new());
        let worst = comparison.worst(picture);
        let files: Vec<&str> = worst.iter().map(|worst| worst.file.as_str()).collect();
        assert_eq!(files, ["3.jpg", "2.jpg", "1.jpg", "0.jpg"]);
        assert_eq!((worst[0].float, worst[0].int8), ((0, 1.0), (1, 0.75)));
        let many = vec![[&[1.0_f32][..], &[1.0]]; 40];
        assert_eq!(super::tests::comparison(&many).worst(picture).len(), WORST);
    }
}
