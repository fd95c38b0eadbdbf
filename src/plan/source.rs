//! Where a plan's bytes are.

use std::fs::File;
use std::io;
use std::sync::Arc;

use edge_classify_kernels::Mapped;

/// A file that has been opened, or a copy of all of it that nobody can change any more.
pub enum Source {
    /// It is mapped a tensor at a time, so that no more of it is there at once, and only while weights are packed.
    File(File),
    Bytes(Arc<[u8]>),
}

impl Source {
    /// Shows `len` bytes from `offset` on.
    ///
    /// # Errors
    /// If there are not so many.
    pub fn with<T>(&self, offset: u64, len: usize, take: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
        match self {
            Source::File(file) => Ok(take(Mapped::new(file, offset, len)?.bytes())),
            Source::Bytes(bytes) => {
                let rest = usize::try_from(offset).ok().and_then(|at| bytes.get(at..));
                let part = rest.and_then(|rest| rest.get(..len));
                part.map(take)
                    .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
            }
        }
    }
}
