//! Picture files, directories and globs as a source.

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
    paths: std::vec::IntoIter<PathBuf>,
    next: u64,
}

#[derive(Debug, Error)]
pub enum FilesError {
    #[error("{0}: no such file or directory, and as a pattern it matches nothing")]
    NoMatch(String),
    #[error("{pattern}: not a pattern: {source}")]
    Pattern {
        pattern: String,
        source: glob::PatternError,
    },
    #[error("no pictures (.jpg, .jpeg, .png, .webp) in {0}")]
    NoPictures(String),
}

impl Files {
    /// Expands paths to files, directories (recursively) and glob patterns.
    pub fn new(arguments: &[String]) -> Result<Self, FilesError> {
        let mut paths = Vec::new();
        for argument in arguments {
            let path = Path::new(argument);
            if path.is_dir() {
                pictures_below(path, &mut paths);
            } else if path.exists() {
                paths.push(path.to_owned());
            } else {
                expand(argument, &mut paths)?;
            }
        }
        if paths.is_empty() {
            return Err(FilesError::NoPictures(arguments.join(", ")));
        }
        Ok(Files {
            paths: paths.into_iter(),
            next: 0,
        })
    }
}

fn expand(pattern: &str, paths: &mut Vec<PathBuf>) -> Result<(), FilesError> {
    let matches = glob::glob(pattern).map_err(|source| FilesError::Pattern {
        pattern: pattern.to_owned(),
        source,
    })?;
    let mut any = false;
    for found in matches {
        any = true;
        // A directory that cannot be read is reported like an unreadable picture.
        let path = found.unwrap_or_else(|error| error.path().to_owned());
        if path.is_dir() {
            pictures_below(&path, paths);
        } else {
            paths.push(path);
        }
    }
    if any {
        Ok(())
    } else {
        Err(FilesError::NoMatch(pattern.to_owned()))
    }
}

fn pictures_below(directory: &Path, paths: &mut Vec<PathBuf>) {
    let is_picture = |path: &Path| {
        let extension = path.extension().and_then(OsStr::to_str);
        extension.is_some_and(|e| EXTENSIONS.iter().any(|known| e.eq_ignore_ascii_case(known)))
    };
    for entry in WalkDir::new(directory)
        .follow_links(true)
        .sort_by_file_name()
    {
        match entry {
            Ok(entry) if entry.file_type().is_file() && is_picture(entry.path()) => {
                paths.push(entry.into_path());
            }
            Ok(_) => {}
            Err(error) => paths.extend(error.path().map(Path::to_owned)),
        }
    }
}

impl Source for Files {
    fn next(&mut self, stop: &dyn Fn() -> bool) -> Option<Frame> {
        if stop() {
            return None;
        }
        let path = self.paths.next()?;
        let number = self.next;
        self.next += 1;
        Some(Frame {
            source: path.display().to_string(),
            number,
            content: Content::File(path),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(arguments: &[String]) -> Vec<String> {
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
        let at = |name: &str| root.path().join(name).display().to_string();
        assert_eq!(names(&[at("")]), ["a.png", "b.JPG", "c.webp"]);
        assert_eq!(names(&[at("*.p?g"), at("d.data")]), ["a.png", "d.data"]);
        assert_eq!(names(&[at("s*")]), ["c.webp"]);
        assert!(matches!(
            Files::new(&[at("none.jpg")]),
            Err(FilesError::NoMatch(_))
        ));
        assert!(matches!(
            Files::new(&[at("[")]),
            Err(FilesError::Pattern { .. })
        ));
        std::fs::create_dir(root.path().join("empty")).unwrap();
        assert!(matches!(
            Files::new(&[at("empty")]),
            Err(FilesError::NoPictures(_))
        ));
    }
}
