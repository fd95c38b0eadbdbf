//! Parts of a file, read where the system keeps them.

use std::fs::File;
use std::io;

use memmap2::{Mmap, MmapOptions};

/// Bytes of a file, mapped for as long as this lives.
#[derive(Debug)]
pub struct Mapped(Option<Mmap>);

impl Mapped {
    /// `len` bytes from `offset` on, all of which are read at once. Where `offset` is a multiple of a page, they begin with
    /// one; otherwise at the same distance from it.
    ///
    /// The file must not change meanwhile: it is one that is replaced by another of its name, never written in place. Bytes
    /// that somebody changes nevertheless may be others each time they are looked at. If the file becomes shorter, the
    /// system ends the program with SIGBUS: so it is mapped in parts, for no longer than these are needed.
    ///
    /// # Errors
    /// If the file ends before, or cannot be mapped.
    pub fn new(file: &File, offset: u64, len: usize) -> io::Result<Mapped> {
        let end = offset.checked_add(len as u64);
        if end.is_none_or(|end| end > file.metadata().map_or(0, |found| found.len())) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if len == 0 {
            return Ok(Mapped(None));
        }
        let mut options = MmapOptions::new();
        options.offset(offset).len(len).populate();
        // SAFETY: nobody writes to the file, as is said above.
        let map = unsafe { options.map(file) }?;
        Ok(Mapped(Some(map)))
    }

    pub fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn any_part_is_found_and_nothing_behind_the_end() {
        let path = std::env::temp_dir().join(format!("mapped-{}", std::process::id()));
        let bytes: Vec<u8> = (0..20_000_u32).map(|i| (i * 7 / 3) as u8).collect();
        File::create(&path).unwrap().write_all(&bytes).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        for (offset, len) in [
            (0, 20_000),
            (64, 100),
            (4095, 2),
            (8192, 0),
            (19_999, 1),
            (20_000, 0),
        ] {
            let mapped = Mapped::new(&file, offset as u64, len).unwrap();
            assert_eq!(mapped.bytes(), &bytes[offset..offset + len]);
        }
        for (offset, len) in [(0, 20_001), (20_001, 0), (u64::MAX, 1), (5, usize::MAX)] {
            assert!(Mapped::new(&file, offset, len).is_err());
        }
    }
}
