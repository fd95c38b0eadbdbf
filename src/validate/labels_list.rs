//! Lists of the true classes of a flat directory of pictures, in the forms ImageNet's come in.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{Classes, classes};
use crate::text::some;

#[derive(Debug, Error, PartialEq)]
pub enum ListError {
    #[error(
        "line {line}: '{class}' is neither a WordNet id, nor a label of the model, nor the index of a class"
    )]
    Class { line: usize, class: String },
    #[error(
        "line {line}: '{class}' is the label of several classes ({indices}); give WordNet ids, or lines of a file name \
         and an index"
    )]
    SharedLabel {
        line: usize,
        class: String,
        indices: String,
    },
    #[error("line {line}: expected one column or two, not '{text}'")]
    Columns { line: usize, text: String },
    #[error(
        "line {line}: '{class}' without a file name beside it could be an index from 0 or one of ImageNet's own \
         numbers, which are in another order; give WordNet ids, or lines of a file name and an index"
    )]
    BareNumber { line: usize, class: String },
    #[error("it has {entries} lines, but there are {pictures} pictures")]
    Count { entries: usize, pictures: usize },
    #[error("it is empty")]
    Empty,
    #[error("line {line}: {file} has been listed already")]
    Twice { line: usize, file: String },
    #[error("it does not have {}", some(missing))]
    Missing { missing: Vec<String> },
}

/// The class of each of `files`, which are names without directory, in order. Forms of the list:
/// - a column of WordNet ids or labels, in the order of the files;
/// - file name and class (WordNet id or index from 0), separated by white space, as Caffe's `val.txt`;
/// - `ImageId,PredictionString` as Kaggle's `LOC_val_solution.csv`, the class being the first word of the second.
pub(super) fn listed(
    text: &str,
    files: &[String],
    known: &Classes,
) -> Result<Vec<usize>, ListError> {
    let lines: Vec<(usize, &str)> = text
        .trim_start_matches('\u{feff}')
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty())
        .collect();
    let Some((_, first)) = lines.first() else {
        return Err(ListError::Empty);
    };
    if *first == "ImageId,PredictionString" {
        let rows = lines[1..].iter().map(|(line, text)| {
            let (file, boxes) = text.split_once(',').unwrap_or((text, ""));
            (*line, file, boxes.split(' ').next().unwrap_or_default())
        });
        return by_name(rows, files, known);
    }
    let words: Vec<Vec<&str>> = lines
        .iter()
        .map(|(_, text)| text.split_whitespace().collect())
        .collect();
    if words.iter().all(|words| words.len() == 2) && is_file(words[0][0], files) {
        let rows = lines.iter().zip(&words);
        return by_name(
            rows.map(|((line, _), words)| (*line, words[0], words[1])),
            files,
            known,
        );
    }
    // Labels may have spaces.
    let mut classes = Vec::new();
    for (line, text) in &lines {
        let (line, text) = (*line, *text);
        if text.parse::<usize>().is_ok() {
            let class = text.to_owned();
            return Err(ListError::BareNumber { line, class });
        }
        match known.by_name(text) {
            Some(class) => classes.push(class),
            None if known.sharing(text).is_some() => return Err(unknown(line, text, known)),
            None if text.split_whitespace().count() > 2 => {
                let text = text.to_owned();
                return Err(ListError::Columns { line, text });
            }
            None => return Err(unknown(line, text, known)),
        }
    }
    if classes.len() != files.len() {
        return Err(ListError::Count {
            entries: classes.len(),
            pictures: files.len(),
        });
    }
    Ok(classes)
}

fn unknown(line: usize, name: &str, known: &Classes) -> ListError {
    let class = name.to_owned();
    match known.sharing(name) {
        Some(sharing) => ListError::SharedLabel {
            line,
            class,
            indices: classes::indices(sharing),
        },
        None => ListError::Class { line, class },
    }
}

/// Without directory and extension, as Kaggle has it.
fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

fn is_file(name: &str, files: &[String]) -> bool {
    name.contains('.') || files.iter().any(|file| stem(file) == stem(name))
}

fn by_name<'a>(
    rows: impl Iterator<Item = (usize, &'a str, &'a str)>,
    files: &[String],
    known: &Classes,
) -> Result<Vec<usize>, ListError> {
    let mut listed = BTreeMap::new();
    for (line, file, name) in rows {
        let class = known.by_name(name).or_else(|| known.by_number(name));
        let class = class.ok_or_else(|| unknown(line, name, known))?;
        if listed.insert(stem(file), class).is_some() {
            let file = file.to_owned();
            return Err(ListError::Twice { line, file });
        }
    }
    let class_of = |file: &String| listed.get(stem(file)).copied().ok_or_else(|| file.clone());
    let (found, missing): (Vec<_>, Vec<_>) = files.iter().map(class_of).partition(Result::is_ok);
    if !missing.is_empty() {
        let missing = missing.into_iter().filter_map(Result::err).collect();
        return Err(ListError::Missing { missing });
    }
    Ok(found.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Vec<String> {
        ["v_1.JPEG", "v_2.JPEG", "v_3.JPEG"]
            .map(str::to_owned)
            .to_vec()
    }

    fn read(text: &str) -> Result<Vec<usize>, ListError> {
        listed(text, &files(), &Classes::imagenet_for_tests())
    }

    #[test]
    fn every_form_says_the_same() {
        for text in [
            "n01440764\nn01443537\nn15075141\n",
            "tench\ngoldfish\ntoilet paper\n",
            "v_3.JPEG 999\nv_1.JPEG 0\nv_2.JPEG 1\nv_4.JPEG 7\n",
            "val/v_1.JPEG n01440764\r\nval/v_2.JPEG n01443537\r\nval/v_3.JPEG n15075141\r\n",
            "ImageId,PredictionString\nv_2,n01443537 1 2 3 4 \nv_1,n01440764 1 2 3 4 n01440764 5 6 7 8 \nv_3,n15075141 1 2 3 4\n",
        ] {
            assert_eq!(read(text), Ok(vec![0, 1, 999]), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_trusted_is_refused() {
        for (text, says) in [
            ("490\n361\n171\n", "another order"),
            ("n01440764\nn01443537\n", "2 lines, but there are 3"),
            ("n01440764\nn99999999\nn15075141\n", "line 2: 'n99999999'"),
            ("v_1.JPEG 0\nv_2.JPEG 1000\nv_3.JPEG 1\n", "line 2: '1000'"),
            ("v_1.JPEG 0\nv_3.JPEG 1\n", "does not have v_2.JPEG"),
            (
                "v_1.JPEG 0\nv_2.JPEG 1\nv_1.JPEG 1\n",
                "line 3: v_1.JPEG has been",
            ),
            ("", "empty"),
            ("a b c d\n", "line 1: expected one column or two"),
            ("ImageId,PredictionString\nv_1\n", "line 2: ''"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn labels_of_several_classes_are_refused() {
        let classes = Classes::for_tests(&["rook", "sand crane", "sand crane"]);
        for text in [
            "rook\nsand crane\nrook\n",
            "ImageId,PredictionString\nv_1,rook\nv_2,rook\nv_3,rook\n",
        ] {
            let read = listed(text, &files(), &classes);
            assert_eq!(read.is_err(), text.contains("crane"), "{read:?}");
            if let Err(error) = read {
                assert!(
                    error
                        .to_string()
                        .starts_with("line 2: 'sand crane' is the label of several classes (1, 2)"),
                    "{error}"
                );
            }
        }
    }
}
