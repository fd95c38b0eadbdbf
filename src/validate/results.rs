//! What a model said of every picture, as a file.
//!
//! The file is CSV (RFC 4180) after one comment line that says in JSON what was run.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::preprocess::Spec;

/// Classes kept of each picture.
pub const TOP: usize = 5;

/// The predictions of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Results {
    pub header: Header,
    /// In the order of their paths.
    pub rows: Vec<Row>,
}

/// What was run on what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    pub model: String,
    /// Of the model file, in hexadecimal.
    pub sha256: String,
    pub preprocess: Spec,
    /// Pictures of the whole set.
    pub pictures: usize,
    /// SHA-256 of their paths and classes.
    pub dataset: String,
    pub shard: Option<Shard>,
    /// Whether the run came to its end.
    pub complete: bool,
}

/// A part of a set: every `count`-th picture, beginning with the `index`-th.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shard {
    /// From 1 on.
    pub index: usize,
    pub count: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// As [`Sample::path`](super::Sample::path).
    pub path: String,
    pub class: Option<usize>,
    /// Index and score of the likeliest classes, best first; or why there are none.
    pub top: Result<Vec<(usize, f32)>, String>,
}

#[derive(Debug, Error)]
pub enum ResultsError {
    #[error("{path}: {source}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{path}: not a file of predictions: {problem}", path = path.display())]
    Format { path: PathBuf, problem: String },
}

impl Shard {
    /// The most parts that a set can have.
    pub const MOST: usize = 100_000;

    /// `None` unless 1 ≤ `index` ≤ `count` ≤ [`Shard::MOST`].
    pub fn new(index: usize, count: usize) -> Option<Self> {
        ((1..=count).contains(&index) && count <= Self::MOST).then_some(Shard { index, count })
    }

    /// Whether it holds the picture at this place of the whole set.
    pub fn holds(&self, place: usize) -> bool {
        place % self.count == self.index - 1
    }
}

impl Results {
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "# {}", serde_json::to_string(&self.header)?)?;
        let mut csv = csv::Writer::from_writer(out);
        let mut names = vec!["path".to_owned(), "class".to_owned(), "error".to_owned()];
        for place in 1..=TOP {
            names.extend([format!("class{place}"), format!("score{place}")]);
        }
        csv.write_record(&names)?;
        for row in &self.rows {
            let class = row
                .class
                .map_or_else(String::new, |class| class.to_string());
            let error = row.top.as_ref().err().cloned().unwrap_or_default();
            let mut fields = vec![row.path.clone(), class, error];
            for (index, score) in row.top.iter().flatten() {
                fields.extend([index.to_string(), score.to_string()]);
            }
            fields.resize(names.len(), String::new());
            csv.write_record(&fields)?;
        }
        csv.flush()
    }

    /// Pictures of which nothing was found out.
    pub fn unreadable(&self) -> usize {
        self.rows.iter().filter(|row| row.top.is_err()).count()
    }

    pub fn read(path: &Path) -> Result<Self, ResultsError> {
        let failed = |source| ResultsError::Read {
            path: path.to_owned(),
            source,
        };
        let bad = |problem: String| ResultsError::Format {
            path: path.to_owned(),
            problem,
        };
        let mut file = BufReader::new(std::fs::File::open(path).map_err(failed)?);
        let mut first = Vec::new();
        // Any file may be given: not more than a header can have.
        io::Read::take(&mut file, 1 << 20)
            .read_until(b'\n', &mut first)
            .map_err(failed)?;
        let header = first
            .strip_prefix(b"# ")
            .ok_or_else(|| bad("no header".to_owned()))?;
        let header: Header = serde_json::from_slice(header).map_err(|e| bad(e.to_string()))?;
        if header
            .shard
            .is_some_and(|Shard { index, count }| Shard::new(index, count).is_none())
        {
            return Err(bad("its shard has an impossible number".to_owned()));
        }
        let mut rows = Vec::new();
        for (place, record) in csv::Reader::from_reader(file).records().enumerate() {
            let record = record.map_err(|e| bad(e.to_string()))?;
            let row =
                row(&record).ok_or_else(|| bad(format!("row {} cannot be read", place + 1)))?;
            rows.push(row);
        }
        Ok(Results { header, rows })
    }
}

fn row(record: &csv::StringRecord) -> Option<Row> {
    let class = match record.get(1)? {
        "" => None,
        class => Some(class.parse().ok()?),
    };
    let top = match record.get(2)? {
        "" => {
            let fields: Vec<&str> = record
                .iter()
                .skip(3)
                .take_while(|field| !field.is_empty())
                .collect();
            let pairs = fields.chunks(2).map(|pair| match pair {
                [index, score] => Some((index.parse().ok()?, score.parse().ok()?)),
                _ => None,
            });
            Ok(pairs.collect::<Option<Vec<_>>>()?)
        }
        error => Err(error.to_owned()),
    };
    Some(Row {
        path: record.get(0)?.to_owned(),
        class,
        top,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::digest;
    use super::*;

    pub(crate) fn results(rows: Vec<Row>) -> Results {
        Results {
            header: Header {
                model: "tiny".to_owned(),
                sha256: "aa".to_owned(),
                preprocess: Spec::imagenet(32),
                pictures: rows.len(),
                dataset: digest(rows.iter().map(|row| (row.path.as_str(), row.class))),
                shard: None,
                complete: true,
            },
            rows,
        }
    }

    pub(crate) fn row(path: &str, class: Option<usize>, top: &[usize]) -> Row {
        let scores = top.iter().zip([0.5, 0.25, 0.1, 0.05, 0.01]);
        Row {
            path: path.to_owned(),
            class,
            top: Ok(scores.map(|(index, score)| (*index, score)).collect()),
        }
    }

    pub(crate) fn whole() -> Results {
        let unreadable = Row {
            top: Err("not a \"picture\",\nbut text".to_owned()),
            ..row("c,d.jpg", Some(3), &[])
        };
        results(vec![
            row("a.jpg", Some(1), &[1, 2, 3, 4, 5]),
            row("b.jpg", None, &[2, 1]),
            unreadable,
        ])
    }

    #[test]
    fn a_file_gives_back_what_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("predictions.csv");
        let mut bytes = Vec::new();
        whole().write(&mut bytes).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Results::read(&path).unwrap(), whole());
        for bad in [
            &b""[..],
            b"path,class\n",
            b"# {}\n",
            b"# \xff\n",
            &bytes[..bytes.len() - 40],
        ] {
            std::fs::write(&path, bad).unwrap();
            let error = Results::read(&path).unwrap_err().to_string();
            assert!(error.contains("predictions.csv"), "{error}");
        }
    }

    #[test]
    fn shards_of_impossible_numbers_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("predictions.csv");
        for (index, count) in [
            (0, 1),
            (2, 1),
            (1, 0),
            (1, Shard::MOST + 1),
            (1, usize::MAX),
        ] {
            let mut part = whole();
            part.header.shard = Some(Shard { index, count });
            let mut bytes = Vec::new();
            part.write(&mut bytes).unwrap();
            std::fs::write(&path, &bytes).unwrap();
            let error = Results::read(&path).unwrap_err().to_string();
            assert!(error.contains("impossible number"), "{error}");
        }
    }
}
