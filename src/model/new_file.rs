//! A file that takes its name once it is whole.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::hex;

/// Written under a temporary name in the directory where it will be; removed unless [`NewFile::keep`] is reached.
pub struct NewFile {
    temporary: NamedTempFile,
    directory: PathBuf,
    digest: Sha256,
}

impl NewFile {
    /// What a program left in the directory that was killed meanwhile goes.
    pub fn create(directory: &Path) -> io::Result<Self> {
        remove_abandoned(directory);
        let temporary = tempfile::Builder::new()
            .prefix(PREFIX)
            // For others to read, too, as far as the umask lets them.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(directory)?;
        Ok(NewFile {
            temporary,
            directory: directory.to_owned(),
            digest: Sha256::new(),
        })
    }

    /// SHA-256 of what has been written, in hexadecimal.
    pub fn sha256(&self) -> String {
        hex(&self.digest.clone().finalize())
    }

    /// Puts the contents on the disk, still under the temporary name.
    pub fn sync(&self) -> io::Result<()> {
        self.temporary.as_file().sync_all()
    }

    /// Gives the file its name, replacing what had it.
    pub fn keep(self, name: &OsStr) -> io::Result<()> {
        self.sync()?;
        self.temporary.persist(self.directory.join(name))?;
        // The name, too, must outlast a power cut.
        File::open(&self.directory)?.sync_all()
    }
}

const PREFIX: &str = ".new-";

/// So long after its last change, nobody writes to a temporary file any more.
const ABANDONED: Duration = Duration::from_secs(3600);

fn remove_abandoned(directory: &Path) {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries {
        let is_ours = entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes());
        let age = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        if is_ours && age().is_some_and(|age| age > ABANDONED) {
            log::warn!(
                "{}: left by a program that was killed; removed",
                entry.path().display()
            );
            drop(std::fs::remove_file(entry.path()));
        }
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.temporary.as_file_mut().write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.as_file_mut().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appears_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.onnx");
        std::fs::write(&path, "old").unwrap();
        let entries = || std::fs::read_dir(directory.path()).unwrap().count();

        let mut abandoned = NewFile::create(directory.path()).unwrap();
        abandoned.write_all(b"half").unwrap();
        assert_eq!(entries(), 2);
        drop(abandoned);
        assert_eq!(entries(), 1);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");

        let mut file = NewFile::create(directory.path()).unwrap();
        file.write_all(b"abc").unwrap();
        assert!(file.sha256().starts_with("ba7816bf"));
        file.keep(OsStr::new("model.onnx")).unwrap();
        assert_eq!(entries(), 1);
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
        let hour = std::time::SystemTime::now() - 2 * ABANDONED;
        let killed = directory.path().join(".new-123456");
        let live = directory.path().join(".new-654321");
        File::create(&killed).unwrap().set_modified(hour).unwrap();
        File::create(&live).unwrap();
        drop(NewFile::create(directory.path()).unwrap());
        assert!(!killed.exists() && live.exists());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o600, 0o600);
    }
}
