//! Transfer of one large file: resumable, verified.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use ureq::http::{StatusCode, header};

use super::client::checked;
use super::{Hub, HubError, RemoteFile};
use crate::model::hex;

/// A local file that is being filled.
struct Target<'a> {
    file: File,
    path: &'a Path,
    len: u64,
}

impl Hub {
    /// Downloads `remote` to `path` and compares its checksum. What an interrupted run left there is the beginning;
    /// a connection that breaks is made anew as long as each brings the file further. `progress` is told the bytes
    /// received so far. Nobody else may write to `path` meanwhile.
    pub fn download(
        &self,
        remote: &RemoteFile,
        path: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), HubError> {
        let mut target = Target::open(path)?;
        if target.len > remote.size {
            target.restart()?;
        }
        progress(target.len);
        let mut may_restart = true;
        while target.len < remote.size {
            let before = target.len;
            let result = self.receive(remote, &mut target, progress);
            if let Err(HubError::File { .. }) = result {
                // As a rule, the disk is full; nobody is helped by its staying so.
                drop(std::fs::remove_file(path));
                return result;
            }
            // A server that cannot go on where we are may still give the whole.
            if result.is_ok() && target.len == 0 && std::mem::take(&mut may_restart) {
                continue;
            }
            if target.len <= before {
                return Err(result.err().unwrap_or_else(|| HubError::Interrupted {
                    url: remote.url.clone(),
                    received: target.len,
                    size: remote.size,
                    cause: "it cannot be continued".to_owned(),
                }));
            }
            if let Err(error) = result
                && target.len < remote.size
            {
                log::warn!("{error}; trying again");
            }
        }
        target.verify(remote)
    }

    /// One request for what is missing.
    fn receive(
        &self,
        remote: &RemoteFile,
        target: &mut Target,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), HubError> {
        let from = (target.len > 0).then_some(target.len);
        let response = self.get(&remote.url, from)?;
        let status = response.status();
        let continues = status == StatusCode::PARTIAL_CONTENT && {
            let range = response.headers().get(header::CONTENT_RANGE);
            let expected = format!("bytes {}-", target.len);
            range.is_some_and(|range| range.as_bytes().starts_with(expected.as_bytes()))
        };
        if status != StatusCode::RANGE_NOT_SATISFIABLE {
            checked(&remote.url, status)?;
        }
        if !continues {
            target.restart()?;
        }
        if status == StatusCode::PARTIAL_CONTENT && !continues || !status.is_success() {
            // Not what was asked for; the next request is for the whole.
            return Ok(());
        }
        let mut body = response
            .into_body()
            .into_with_config()
            .limit(u64::MAX)
            .reader();
        let mut buffer = vec![0; 64 << 10];
        while target.len < remote.size {
            let interrupted = |cause: String, received| HubError::Interrupted {
                url: remote.url.clone(),
                received,
                size: remote.size,
                cause,
            };
            let read = match body.read(&mut buffer) {
                Ok(0) => return Err(interrupted("connection closed".to_owned(), target.len)),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(interrupted(error.to_string(), target.len)),
            };
            target.append(&buffer[..read])?;
            progress(target.len);
        }
        Ok(())
    }
}

impl<'a> Target<'a> {
    fn open(path: &'a Path) -> Result<Self, HubError> {
        let failed = |source| HubError::File {
            path: path.to_owned(),
            source,
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(failed)?;
        let len = file.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok(Target { file, path, len })
    }

    fn failed(&self, source: io::Error) -> HubError {
        HubError::File {
            path: self.path.to_owned(),
            source,
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), HubError> {
        self.file.write_all(bytes).map_err(|e| self.failed(e))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn restart(&mut self) -> Result<(), HubError> {
        self.len = 0;
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .map_err(|e| self.failed(e))
    }

    /// Compares size and checksum; a file that is not the right one is removed.
    fn verify(mut self, remote: &RemoteFile) -> Result<(), HubError> {
        let mut digest = Sha256::new();
        self.file
            .rewind()
            .and_then(|()| io::copy(&mut self.file, &mut digest))
            .map_err(|e| self.failed(e))?;
        let found = hex(&digest.finalize());
        let expected = remote.sha256.clone().unwrap_or_default();
        if found == expected {
            return Ok(());
        }
        drop(std::fs::remove_file(self.path));
        Err(HubError::Checksum {
            url: remote.url.clone(),
            expected,
            found,
        })
    }
}
