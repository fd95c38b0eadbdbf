//! What can go wrong between us and the hub.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

#[derive(Debug, Error)]
pub enum HubError {
    #[error("'{0}' is not the address of a hub; expected https://HOST")]
    Address(String),
    #[error("the token of HF_TOKEN is not sent unencrypted; use an https address instead of {0}")]
    TokenInClear(String),
    #[error(
        "the address of a hub must not have a user and password in it; a token is given by HF_TOKEN"
    )]
    Credentials,
    #[error("HF_TOKEN holds characters that no token has; is there a line break or a space in it?")]
    Token,
    #[error("'{0}' is not the name of a repository; expected OWNER/NAME")]
    Repository(String),
    #[error("'{0}' is not a revision; expected a branch, a tag or a commit")]
    Revision(String),
    #[error("{url}: {error}{}", advice(error))]
    Request { url: String, error: ureq::Error },
    #[error(
        "{url}: no such repository or revision, or it is private (status {status}); check the name, or set HF_TOKEN"
    )]
    NotFound { url: String, status: u16 },
    #[error("{url}: the hub wants fewer requests from this address; try again later")]
    TooManyRequests { url: String },
    #[error("{url}: the hub answers with status {status}; try again later")]
    Status { url: String, status: u16 },
    #[error("{url}: the hub's answer cannot be read: {problem}")]
    Answer { url: String, problem: String },
    #[error(
        "{repository} has no {file} at revision {commit}; only repositories in the form of timm's can be pulled"
    )]
    NoFile {
        repository: String,
        file: String,
        commit: String,
    },
    #[error("{repository}: the hub has no checksum for {file}, so that it cannot be verified")]
    NoChecksum { repository: String, file: String },
    #[error(
        "{url}: the transfer ended after {received} of {size} bytes ({cause}); run the command again to go on from there"
    )]
    Interrupted {
        url: String,
        received: u64,
        size: u64,
        cause: String,
    },
    #[error(
        "{url}: SHA-256 is {found}, but the hub says {expected}; what was received has been removed. If it happens \
         again, something on the way changes the contents"
    )]
    Checksum {
        url: String,
        expected: String,
        found: String,
    },
    #[error("{path}: {source}", path = path.display())]
    File { path: PathBuf, source: io::Error },
}

/// What to do about a failure on the way.
fn advice(error: &ureq::Error) -> &'static str {
    use ureq::Error;
    let certificate = match error {
        Error::Tls(_) | Error::Rustls(_) => true,
        Error::Io(error) => error.kind() == io::ErrorKind::InvalidData,
        _ => false,
    };
    match error {
        _ if certificate => {
            "; trusted are the system's certificates (package ca-certificates) or those of SSL_CERT_FILE"
        }
        Error::HostNotFound | Error::ConnectionFailed | Error::Io(_) => {
            "; is this machine connected? A proxy is given by HTTPS_PROXY, another hub by HF_ENDPOINT"
        }
        _ => "",
    }
}
