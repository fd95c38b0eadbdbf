//! The parts of a divided run put together.

use std::collections::BTreeMap;
use std::path::PathBuf;

use thiserror::Error;

use super::{Header, Results, Row, Shard, digest};
use crate::text::{SHOWN, some_of};

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
    #[error("missing: {}", some_of(first, *missing))]
    Missing {
        missing: usize,
        /// The first of them.
        first: Vec<String>,
    },
    #[error(
        "{found} predictions, but the set has {pictures} pictures; a file was changed or cut short"
    )]
    Count { found: usize, pictures: usize },
    #[error(
        "{path}: {picture} does not belong to shard {index} of {count}; the file was changed",
        path = path.display()
    )]
    Misplaced {
        path: PathBuf,
        picture: String,
        index: usize,
        count: usize,
    },
    #[error(
        "the paths or classes of the predictions are not those of the run's pictures; a file was changed"
    )]
    Changed,
    #[error("no files to merge")]
    Nothing,
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
    if by_index.len() < count {
        let missing = (1..=count).filter(|index| !by_index.contains_key(index));
        return Err(MergeError::Missing {
            missing: count - by_index.len(),
            first: missing
                .take(SHOWN)
                .map(|index| format!("shard {index}/{count}"))
                .collect(),
        });
    }
    let rows = in_order(by_index, count, first.pictures)?;
    if digest(rows.iter().map(|row| (row.path.as_str(), row.class))) != first.dataset {
        return Err(MergeError::Changed);
    }
    let header = Header {
        shard: None,
        ..first
    };
    Ok(Results { header, rows })
}

/// All rows in the order of their paths, each found to be in the shard that holds its place.
fn in_order(
    shards: BTreeMap<usize, (PathBuf, Vec<Row>)>,
    count: usize,
    pictures: usize,
) -> Result<Vec<Row>, MergeError> {
    let mut files = BTreeMap::new();
    let mut rows: Vec<(usize, Row)> = Vec::new();
    for (index, (path, part)) in shards {
        files.insert(index, path);
        rows.extend(part.into_iter().map(|row| (index, row)));
    }
    if rows.len() != pictures {
        return Err(MergeError::Count {
            found: rows.len(),
            pictures,
        });
    }
    rows.sort_by(|(_, a), (_, b)| a.path.cmp(&b.path));
    for (place, (index, row)) in rows.iter().enumerate() {
        let index = *index;
        if !(Shard { index, count }).holds(place) {
            return Err(MergeError::Misplaced {
                path: files.remove(&index).unwrap_or_default(),
                picture: row.path.clone(),
                index,
                count,
            });
        }
    }
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::whole;
    use super::*;

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
                says: "missing: shard 2/3",
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
                change: |s| s[2].1.header.preprocess.resize.width += 1,
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
                change: |s| {
                    let again = s[1].1.rows.clone();
                    s[0].1.rows.extend(again);
                },
                says: "4 predictions, but the set has 3",
            },
            Case {
                change: |s| {
                    let rows = std::mem::take(&mut s[0].1.rows);
                    s[0].1.rows = std::mem::replace(&mut s[1].1.rows, rows);
                },
                says: "3.csv: b.jpg does not belong to shard 3 of 3",
            },
            Case {
                change: |s| s[0].1.rows = s[1].1.rows.clone(),
                says: "paths or classes",
            },
            Case {
                change: |s| s[0].1.rows[0].class = Some(4),
                says: "paths or classes",
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

    #[test]
    fn of_many_missing_shards_a_few_are_named() {
        let mut part = whole();
        let count = Shard::MOST;
        part.header.shard = Some(Shard { index: 2, count });
        let error = merge(vec![(PathBuf::from("2.csv"), part)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "missing: shard 1/100000, shard 3/100000, shard 4/100000, shard 5/100000, shard 6/100000 and 99994 more"
        );
    }
}
