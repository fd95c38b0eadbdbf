//! Picture files, directories and globs as a source.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use thiserror::Error;
use walkdir::WalkDir;

use super::frame::Content;
use super::{Frame, Source};

/// Extensions looked for in directories. A file named by itself or by a glob is always tried.
const EXTENSIONS: [&str; 4] = ["jpg", "jpeg", "png", "webp"];

/// Picture files in the order given; within a directory, sorted by path.
#[derive(Debug)]
pub struct Files {
    entries: std::vec::IntoIter<Entry>,
    next: u64,
}

/// A picture, or an argument that led to none.
type Entry = Result<PathBuf, FilesError>;

#[derive(Debug, Error)]
pub enum FilesError {
    #[error("{0}: no such file or directory, and as a pattern it matches nothing")]
    NoMatch(String),
    #[error("{pattern}: not a pattern: {source}")]
    Pattern {
        pattern: String,
        source: glob::PatternError,
    },
    #[error("{0}: no pictures (.jpg, .jpeg, .png, .webp) in it")]
    NoPictures(String),
}

impl Files {
    /// Expands paths to files, directories (recursively) and glob patterns. An argument that leads
    /// to no picture is reported in its turn; it is an error if none leads to any.
    pub fn new(arguments: &[PathBuf]) -> Result<Self, FilesError> {
        let mut entries: Vec<Entry> = Vec::new();
        for argument in arguments {
            let before = entries.len();
            if argument.is_dir() {
                entries.extend(pictures_below(argument).map(Ok));
            } else if argument.try_exists().unwrap_or(true) {
                entries.push(Ok(argument.clone()));
            } else {
                match argument.to_str().map(expand) {
                    Some(Ok(paths)) => entries.extend(paths.into_iter().map(Ok)),
                    Some(Err(error)) => entries.push(Err(error)),
                    None => entries.push(Err(FilesError::NoMatch(argument.display().to_string()))),
                }
            }
            if entries.len() == before {
                entries.push(Err(FilesError::NoPictures(argument.display().to_string())));
            }
        }
        if !entries.iter().any(Result::is_ok)
            && let Some(Err(error)) = entries.pop()
        {
            return Err(error);
        }
        Ok(Files {
            entries: entries.into_iter(),
            next: 0,
        })
    }
}

fn expand(pattern: &str) -> Result<Vec<PathBuf>, FilesError> {
    let matches = glob::glob(pattern).map_err(|source| FilesError::Pattern {
        pattern: pattern.to_owned(),
        source,
    })?;
    // A recursive pattern matches directories and, again, what is in them.
    let mut seen = HashSet::new();
    let mut paths = Vec::new();
    let mut any = false;
    for found in matches {
        any = true;
        // A directory that cannot be read is reported like an unreadable picture.
        let path = found.unwrap_or_else(|error| error.path().to_owned());
        if path.is_dir() {
            paths.extend(pictures_below(&path).filter(|path| seen.insert(path.clone())));
        } else if seen.insert(path.clone()) {
            paths.push(path);
        }
    }
    if any {
        Ok(paths)
    } else {
        Err(FilesError::NoMatch(pattern.to_owned()))
    }
}

/// The pictures below a directory, sorted, and the directories there that cannot be read. What is hidden is passed over:
/// thumbnails, rubbish bins, what editors and copying programs leave.
pub fn pictures_below(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let is_picture = |path: &Path| {
        let extension = path.extension().and_then(OsStr::to_str);
        extension.is_some_and(|e| EXTENSIONS.iter().any(|known| e.eq_ignore_ascii_case(known)))
    };
    WalkDir::new(directory)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        // The directory itself was asked for.
        .filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.file_name()))
        .filter_map(move |entry| match entry {
            Ok(entry) => {
                (entry.file_type().is_file() && is_picture(entry.path())).then(|| entry.into_path())
            }
            // Not a dangling link to something else.
            Err(error) => {
                let hidden =
                    |path: &Path| error.depth() > 0 && path.file_name().is_some_and(is_hidden);
                error
                    .path()
                    .filter(|path| !hidden(path) && (is_picture(path) || path.is_dir()))
                    .map(Path::to_owned)
            }
        })
}

/// Whether a file or directory of this name is left out of listings.
pub fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

impl Source for Files {
    fn next(&mut self, stop: &dyn Fn() -> bool) -> Option<Frame> {
        if stop() {
            return None;
        }
        let entry = self.entries.next()?;
        let number = self.next;
        self.next += 1;
        Some(match entry {
            Ok(path) => Frame {
                source: path.display().to_string(),
                number,
                content: Content::File(path),
            },
            Err(error) => Frame {
                source: "--source".to_owned(),
                number,
                content: Content::None(error),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(arguments: &[PathBuf]) -> Vec<String> {
        let mut files = Files::new(arguments).unwrap();
        std::iter::from_fn(|| files.next(&|| false))
            .map(|frame| {
                let path = Path::new(&frame.source);
                path.file_name().unwrap().to_str().unwrap().to_owned()
            })
            .collect()
    }

    #[test]
    fn directories_globs_and_files_are_expanded() {
        let root = tempfile::tempdir().unwrap();
        for name in ["b.JPG", "a.png", "sub/c.webp", "sub/notes.txt", "d.data"] {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let at = |name: &str| root.path().join(name);
        assert_eq!(names(&[at("")]), ["a.png", "b.JPG", "c.webp"]);
        assert_eq!(names(&[at("*.p?g"), at("d.data")]), ["a.png", "d.data"]);
        assert_eq!(names(&[at("s*")]), ["c.webp"]);
        std::os::unix::fs::symlink("gone", at("sub/.#notes.txt")).unwrap();
        assert_eq!(names(&[at("**/*.webp"), at("sub")]), ["c.webp", "c.webp"]);
        let all = names(&[at("**")]);
        assert_eq!(
            all.iter().filter(|name| *name == "c.webp").count(),
            1,
            "{all:?}"
        );
        let mut some = Files::new(&[at("a.png"), at("none.jpg")]).unwrap();
        assert!(matches!(
            some.next(&|| false).unwrap().content,
            Content::File(_)
        ));
        assert!(matches!(
            some.next(&|| false).unwrap().content,
            Content::None(_)
        ));
        assert!(matches!(
            Files::new(&[at("none.jpg")]),
            Err(FilesError::NoMatch(_))
        ));
        assert!(matches!(
            Files::new(&[at("[")]),
            Err(FilesError::Pattern { .. })
        ));
        std::fs::create_dir(at("empty")).unwrap();
        assert!(matches!(
            Files::new(&[at("empty")]),
            Err(FilesError::NoPictures(_))
        ));
    }

    #[test]
    fn hidden_files_are_passed_over_unless_named() {
        let root = tempfile::tempdir().unwrap();
        let top = root.path().join(".pictures");
        for name in ["a.jpg", "._a.jpg", ".thumbs/b.jpg", "sub/.thumbs/c.jpg"] {
            let path = top.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink("gone", top.join("sub/.d.jpg")).unwrap();
        assert_eq!(names(std::slice::from_ref(&top)), ["a.jpg"]);
        assert_eq!(names(&[top.join("._a.jpg")]), ["._a.jpg"]);
        assert_eq!(names(&[top.join(".thumbs")]), ["b.jpg"]);
    }
}
