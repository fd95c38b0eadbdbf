//! What a model said of every picture, as a file; and the parts of a divided run put together.
//!
//! The file is CSV (RFC 4180) after one comment line that says in JSON what was run.

use std::collections::BTreeMap;
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

#[derive(Debug, Error, PartialEq)]
pub enum MergeError {
    #[error("{path}: the run did not come to its end; run this shard again", path = path.display())]
    Incomplete { path: PathBuf },
    #[error("{path}: is not a shard, but a whole run", path = path.display())]
    NotAShard { path: PathBuf },
    #[error(
        "{path} and {other} do not belong together: their {what} differ",
        path = path.display(), other = other.display()
    )]
    Mixed {
        path: PathBuf,
        other: PathBuf,
        what: &'static str,
    },
    #[error(
        "{path} and {other} are both shard {index} of {count}",
        path = path.display(), other = other.display()
    )]
    Twice {
        path: PathBuf,
        other: PathBuf,
        index: usize,
        count: usize,
    },
    #[error("missing: {}", missing.iter().map(|index| format!("shard {index}/{count}")).collect::<Vec<_>>().join(", "))]
    Missing { missing: Vec<usize>, count: usize },
    #[error(
        "{found} predictions, but the set has {pictures} pictures; a file was changed or cut short"
    )]
    Count { found: usize, pictures: usize },
    #[error("no files to merge")]
    Nothing,
}

impl Shard {
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
            .is_some_and(|shard| shard.index == 0 || shard.index > shard.count)
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

/// Puts all shards of one run together, as if it had not been divided.
pub fn merge(shards: Vec<(PathBuf, Results)>) -> Result<Results, MergeError> {
    let Some((first_path, first)) = shards.first() else {
        return Err(MergeError::Nothing);
    };
    let (first_path, first) = (first_path.clone(), first.header.clone());
    let mut by_index: BTreeMap<usize, (PathBuf, Vec<Row>)> = BTreeMap::new();
    for (path, Results { header, rows }) in shards {
        let mixed = |what| MergeError::Mixed {
            path: first_path.clone(),
            other: path.clone(),
            what,
        };
        let Some(Shard { index, count }) = header.shard else {
            return Err(MergeError::NotAShard { path });
        };
        if !header.complete {
            return Err(MergeError::Incomplete { path });
        }
        if header.sha256 != first.sha256 || header.model != first.model {
            return Err(mixed("models"));
        }
        if header.preprocess != first.preprocess {
            return Err(mixed("preprocessing"));
        }
        if header.dataset != first.dataset || header.pictures != first.pictures {
            return Err(mixed("pictures"));
        }
        if first.shard.is_some_and(|shard| shard.count != count) {
            return Err(mixed("numbers of shards"));
        }
        if let Some((other, _)) = by_index.get(&index) {
            return Err(MergeError::Twice {
                path: other.clone(),
                other: path,
                index,
                count,
            });
        }
        by_index.insert(index, (path, rows));
    }
    let count = first.shard.map_or(0, |shard| shard.count);
    let missing: Vec<_> = (1..=count)
        .filter(|index| !by_index.contains_key(index))
        .collect();
    if !missing.is_empty() {
        return Err(MergeError::Missing { missing, count });
    }
    let mut rows: Vec<Row> = by_index.into_values().flat_map(|(_, rows)| rows).collect();
    rows.sort_by(|a, b| a.path.cmp(&b.path));
    rows.dedup_by(|a, b| a.path == b.path);
    if rows.len() != first.pictures {
        return Err(MergeError::Count {
            found: rows.len(),
            pictures: first.pictures,
        });
    }
    let header = Header {
        shard: None,
        ..first
    };
    Ok(Results { header, rows })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn results(rows: Vec<Row>) -> Results {
        Results {
            header: Header {
                model: "tiny".to_owned(),
                sha256: "aa".to_owned(),
                preprocess: Spec::imagenet(32),
                pictures: rows.len(),
                dataset: "dd".to_owned(),
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

    fn whole() -> Results {
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

    fn shards(count: usize) -> Vec<(PathBuf, Results)> {
        let whole = whole();
        let part = |index| {
            let shard = Shard { index, count };
            let rows = whole
                .rows
                .iter()
                .enumerate()
                .filter(|(place, _)| shard.holds(*place));
            let header = Header {
                shard: Some(shard),
                ..whole.header.clone()
            };
            let rows = rows.map(|(_, row)| row.clone()).collect();
            (
                PathBuf::from(format!("{index}.csv")),
                Results { header, rows },
            )
        };
        // Whatever order they come in.
        (1..=count).rev().map(part).collect()
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
    fn shards_make_the_whole() {
        for count in 1..=5 {
            assert_eq!(merge(shards(count)).unwrap(), whole(), "{count}");
        }
    }

    #[test]
    fn shards_that_do_not_belong_together_are_refused() {
        struct Case {
            change: fn(&mut Vec<(PathBuf, Results)>),
            says: &'static str,
        }
        let cases = [
            Case {
                change: |s| drop(s.remove(1)),
                says: "shard 2/3",
            },
            Case {
                change: |s| s.push(s[0].clone()),
                says: "both shard 3 of 3",
            },
            Case {
                change: |s| s[1].1.header.sha256.clear(),
                says: "models",
            },
            Case {
                change: |s| s[1].1.header.model.clear(),
                says: "models",
            },
            Case {
                change: |s| s[2].1.header.preprocess.resize += 1,
                says: "preprocessing",
            },
            Case {
                change: |s| s[2].1.header.dataset.clear(),
                says: "pictures",
            },
            Case {
                change: |s| s[0].1.header.complete = false,
                says: "3.csv: the run did not",
            },
            Case {
                change: |s| s[0].1.header.shard = None,
                says: "3.csv: is not a shard",
            },
            Case {
                change: |s| *s = [&shards(3)[..2], &shards(2)[..1]].concat(),
                says: "numbers of shards",
            },
            Case {
                change: |s| drop(s[0].1.rows.pop()),
                says: "2 predictions, but the set has 3",
            },
            Case {
                change: Vec::clear,
                says: "no files",
            },
        ];
        for case in cases {
            let mut shards = shards(3);
            (case.change)(&mut shards);
            let error = merge(shards).unwrap_err().to_string();
            assert!(error.contains(case.says), "{}: {error}", case.says);
        }
    }
}
