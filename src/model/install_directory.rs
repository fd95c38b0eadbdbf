//! A directory that models are installed in, by one program at a time.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Locked as long as this lives.
#[derive(Debug)]
pub struct InstallDirectory {
    path: PathBuf,
    _lock: File,
}

impl InstallDirectory {
    /// Makes the directory if need be, and waits until nobody else installs in it.
    pub fn open(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        let lock = File::open(path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                log::info!(
                    "{}: another program is installing a model; waiting",
                    path.display()
                );
                lock.lock()?;
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(InstallDirectory {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}
