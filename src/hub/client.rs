//! Requests to the hub. Its interface: <https://huggingface.co/docs/hub/api>.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use ureq::http::{Response, StatusCode, Uri, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::HubError;

/// As long as nothing comes at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// More than any description of a repository or network.
const MOST_TEXT: u64 = 16 << 20;

/// A hub that is spoken to over HTTPS, by way of the proxy that the environment names.
pub struct Hub {
    base: String,
    token: Option<String>,
    agent: Agent,
}

/// The files of a repository at one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub repository: String,
    pub commit: String,
    /// As the repository's own card has it.
    pub licence: Option<String>,
    files: BTreeMap<String, RemoteFile>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    pub url: String,
    /// In bytes.
    pub size: u64,
    /// In hexadecimal; the hub has it for large files alone.
    pub sha256: Option<String>,
}

impl Hub {
    pub const HUGGING_FACE: &str = "https://huggingface.co";

    /// `token` is sent to the hub itself only, not to where it redirects.
    pub fn new(base: &str, token: Option<String>) -> Result<Self, HubError> {
        let base = base.trim_end_matches('/').to_owned();
        let bad = || HubError::Address(base.clone());
        let uri: Uri = base.parse().map_err(|_| bad())?;
        let host = uri.host().ok_or_else(bad)?;
        if uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            return Err(HubError::Credentials);
        }
        if token
            .as_ref()
            .is_some_and(|token| !token.chars().all(|c| c.is_ascii_graphic()))
        {
            return Err(HubError::Token);
        }
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if token.is_none() || host == "localhost" || host == "127.0.0.1" => {}
            Some("http") => return Err(HubError::TokenInClear(base)),
            _ => return Err(bad()),
        }
        let agent = Agent::config_builder()
            .user_agent(concat!("edge-classify/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .tls_config(
                TlsConfig::builder()
                    .root_certs(RootCerts::PlatformVerifier)
                    .build(),
            )
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            .build()
            .new_agent();
        Ok(Hub { base, token, agent })
    }

    /// Looks a repository up at a branch, tag or commit.
    pub fn snapshot(&self, repository: &str, revision: &str) -> Result<Snapshot, HubError> {
        let named = repository.split_once('/');
        if !named.is_some_and(|(owner, name)| plain(owner) && plain(name)) {
            return Err(HubError::Repository(repository.to_owned()));
        }
        if !revision.split('/').all(plain) {
            return Err(HubError::Revision(revision.to_owned()));
        }
        // A revision is one segment of the path.
        let segment = revision.replace('/', "%2F");
        let url = format!(
            "{}/api/models/{repository}/revision/{segment}?blobs=true",
            self.base
        );
        let answer: RepositoryInfo = self.json(&url)?;
        let unreadable = |problem: &str| HubError::Answer {
            url: url.clone(),
            problem: problem.to_owned(),
        };
        if !plain(&answer.sha) {
            return Err(unreadable("no commit in it"));
        }
        // It becomes the name of a file.
        let is_digest = |lfs: &LargeFile| {
            lfs.sha256.len() == 64 && lfs.sha256.bytes().all(|b| b.is_ascii_hexdigit())
        };
        if !answer
            .siblings
            .iter()
            .filter_map(|file| file.lfs.as_ref())
            .all(is_digest)
        {
            return Err(unreadable("a checksum in it is not SHA-256"));
        }
        let licence = answer.card.and_then(|card| card.license).map(Licence::join);
        let files = answer.siblings.into_iter().map(|file| {
            let path = &file.name;
            let url = format!("{}/{repository}/resolve/{}/{path}", self.base, answer.sha);
            let size = file.lfs.as_ref().map(|lfs| lfs.size).or(file.size);
            let remote = RemoteFile {
                url,
                size: size.unwrap_or(0),
                sha256: file.lfs.map(|lfs| lfs.sha256.to_ascii_lowercase()),
            };
            (file.name, remote)
        });
        Ok(Snapshot {
            repository: repository.to_owned(),
            licence,
            files: files.collect(),
            commit: answer.sha.clone(),
        })
    }

    /// Fetches a short text.
    pub fn text(&self, file: &RemoteFile) -> Result<String, HubError> {
        let mut response = self.get(&file.url, None)?;
        checked(&file.url, response.status())?;
        let body = response.body_mut().with_config().limit(MOST_TEXT);
        body.read_to_string().map_err(|error| HubError::Request {
            url: file.url.clone(),
            error,
        })
    }

    fn json<T: for<'de> Deserialize<'de>>(&self, url: &str) -> Result<T, HubError> {
        let file = RemoteFile {
            url: url.to_owned(),
            size: 0,
            sha256: None,
        };
        let text = self.text(&file)?;
        serde_json::from_str(&text).map_err(|error| HubError::Answer {
            url: url.to_owned(),
            problem: error.to_string(),
        })
    }

    /// Sends a request, for what follows the first `from` bytes if any are given.
    pub(super) fn get(&self, url: &str, from: Option<u64>) -> Result<Response<Body>, HubError> {
        let mut request = self.agent.get(url);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(from) = from {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        request.call().map_err(|error| HubError::Request {
            url: url.to_owned(),
            error,
        })
    }
}

/// Whether a text is one segment of a path and nothing else.
fn plain(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.chars().all(allowed) && !text.trim_matches('.').is_empty()
}

/// Turns the status of a failure into an error.
pub(super) fn checked(url: &str, status: StatusCode) -> Result<(), HubError> {
    let url = || url.to_owned();
    match status.as_u16() {
        200..300 => Ok(()),
        // The hub does not tell a private repository from none.
        status @ (401 | 403 | 404) => Err(HubError::NotFound { url: url(), status }),
        429 => Err(HubError::TooManyRequests { url: url() }),
        status => Err(HubError::Status { url: url(), status }),
    }
}

impl Snapshot {
    pub fn file(&self, name: &str) -> Result<&RemoteFile, HubError> {
        self.files.get(name).ok_or_else(|| HubError::NoFile {
            repository: self.repository.clone(),
            file: name.to_owned(),
            commit: self.commit.clone(),
        })
    }
}

#[derive(Deserialize)]
struct RepositoryInfo {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
    #[serde(rename = "cardData")]
    card: Option<CardData>,
}

#[derive(Deserialize)]
struct Sibling {
    #[serde(rename = "rfilename")]
    name: String,
    size: Option<u64>,
    lfs: Option<LargeFile>,
}

/// Content that the repository holds by its checksum.
#[derive(Deserialize)]
struct LargeFile {
    sha256: String,
    size: u64,
}

#[derive(Deserialize)]
struct CardData {
    license: Option<Licence>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Licence {
    One(String),
    Several(Vec<String>),
}

impl Licence {
    fn join(self) -> String {
        match self {
            Licence::One(name) => name,
            Licence::Several(names) => names.join(" or "),
        }
    }
}
