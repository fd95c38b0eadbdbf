//! Signatures of plans: Ed25519 (RFC 8032) of the whole file, 64 bytes in a file beside it, as `openssl pkeyutl -rawin`
//! writes and verifies them too.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ed25519_dalek::pkcs8::DecodePublicKey;
use ed25519_dalek::{SIGNATURE_LENGTH, Signature, VerifyingKey};
use thiserror::Error;

/// What the name of a plan is followed by.
const EXTENSION: &str = "sig";

/// A key in PEM is much shorter.
const MOST_OF_A_KEY: u64 = 64 << 10;

#[derive(Debug, Error)]
pub enum SignatureError {
    #[error("{path}: {source}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "{path}: not an Ed25519 public key in PEM, as 'openssl pkey -in KEY.pem -pubout' writes it of one that \
         'openssl genpkey -algorithm ed25519' made",
        path = path.display()
    )]
    NotAPublicKey { path: PathBuf },
    #[cfg(feature = "host")]
    #[error(
        "{path}: not an Ed25519 private key in PEM (PKCS#8, not encrypted), as 'openssl genpkey -algorithm ed25519' writes it",
        path = path.display()
    )]
    NotAPrivateKey { path: PathBuf },
    #[error(
        "{path}: not a plan, and only plans can be signed; make one with 'edge-classify compile --sign KEY.pem' of the full \
         build, or leave out --require-signature",
        path = path.display()
    )]
    NotAPlan { path: PathBuf },
    #[error(
        "{plan}: not signed: {signature}: {source}; copy the signature along with the plan, or sign it by 'edge-classify \
         compile --sign KEY.pem'",
        plan = plan.display(), signature = signature.display()
    )]
    Missing {
        plan: PathBuf,
        signature: PathBuf,
        source: io::Error,
    },
    #[error("{path}: not a signature, which has {SIGNATURE_LENGTH} bytes; copy or make it again", path = path.display())]
    NotASignature { path: PathBuf },
    #[error(
        "{plan}: {signature} is no signature of this file by {key}: plan or signature have been changed, or another key \
         signed it; do not use it unless you know why",
        plan = plan.display(), signature = signature.display(), key = key.display()
    )]
    Wrong {
        plan: PathBuf,
        signature: PathBuf,
        key: PathBuf,
    },
}

/// The file that has a plan's signature.
pub fn signature_file(plan: &Path) -> PathBuf {
    let mut name = plan.as_os_str().to_owned();
    name.push(".");
    name.push(EXTENSION);
    name.into()
}

/// The key that plans have to be signed by.
#[derive(Debug)]
pub struct PublicKey {
    path: PathBuf,
    key: VerifyingKey,
}

/// All of a file whose signature is right, in memory that nobody else can write to.
#[derive(Clone, PartialEq, Eq)]
pub struct Verified(Arc<[u8]>);

impl PublicKey {
    /// Reads a key in PEM.
    pub fn read(path: &Path) -> Result<PublicKey, SignatureError> {
        let key = VerifyingKey::from_public_key_pem(&text(path)?);
        Ok(PublicKey {
            path: path.to_owned(),
            key: key.map_err(|_| SignatureError::NotAPublicKey {
                path: path.to_owned(),
            })?,
        })
    }

    /// Reads a plan, and verifies the bytes that it returns: who changes the file afterwards changes nothing of what is run.
    /// An older plan that was signed once, put in the place of a newer one with its signature, is not noticed.
    pub fn verify(&self, plan: &Path) -> Result<Verified, SignatureError> {
        let read = |source| SignatureError::Read {
            path: plan.to_owned(),
            source,
        };
        // Of what is no regular file, opening some waits for ever.
        if !std::fs::metadata(plan).map_err(read)?.is_file() {
            return Err(SignatureError::NotAPlan {
                path: plan.to_owned(),
            });
        }
        let path = signature_file(plan);
        let found = bounded(&path, SIGNATURE_LENGTH as u64 + 1);
        let found = found.map_err(|source| SignatureError::Missing {
            plan: plan.to_owned(),
            signature: path.clone(),
            source,
        })?;
        let signature = Signature::from_slice(&found)
            .map_err(|_| SignatureError::NotASignature { path: path.clone() })?;
        let bytes = std::fs::read(plan).map_err(read)?;
        match self.key.verify_strict(&bytes, &signature) {
            Ok(()) => Ok(Verified(bytes.into())),
            Err(_) => Err(SignatureError::Wrong {
                plan: plan.to_owned(),
                signature: path,
                key: self.path.clone(),
            }),
        }
    }
}

impl Verified {
    pub fn bytes(&self) -> Arc<[u8]> {
        self.0.clone()
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// The key that signs plans.
#[cfg(feature = "host")]
pub struct PrivateKey(ed25519_dalek::SigningKey);

#[cfg(feature = "host")]
impl PrivateKey {
    /// Reads a key in PEM.
    pub fn read(path: &Path) -> Result<PrivateKey, SignatureError> {
        use ed25519_dalek::pkcs8::DecodePrivateKey;
        let key = ed25519_dalek::SigningKey::from_pkcs8_pem(&text(path)?);
        let key = key.map_err(|_| SignatureError::NotAPrivateKey {
            path: path.to_owned(),
        })?;
        Ok(PrivateKey(key))
    }

    /// The signature of a plan's contents.
    pub fn sign(&self, plan: &[u8]) -> [u8; SIGNATURE_LENGTH] {
        use ed25519_dalek::Signer;
        self.0.sign(plan).to_bytes()
    }
}

fn text(path: &Path) -> Result<String, SignatureError> {
    let bytes = bounded(path, MOST_OF_A_KEY).map_err(|source| SignatureError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// At most so many bytes of a regular file.
fn bounded(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(all(test, feature = "host"))]
mod tests {
    use super::*;

    /// The first test of RFC 8032, 7.1, in the form of OpenSSL.
    const PRIVATE: &str = include_str!("../../tests/data/keys/private.pem");
    const PUBLIC: &str = include_str!("../../tests/data/keys/public.pem");
    const OTHER: &str = include_str!("../../tests/data/keys/other.pem");

    #[test]
    fn the_standards_example_is_signed_and_verified() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, contents: &[u8]| {
            let path = directory.path().join(name);
            std::fs::write(&path, contents).unwrap();
            path
        };
        let private = PrivateKey::read(&write("key.pem", PRIVATE.as_bytes())).unwrap();
        let key = PublicKey::read(&write("pub.pem", PUBLIC.as_bytes())).unwrap();
        let other = PublicKey::read(&write("other.pem", OTHER.as_bytes())).unwrap();
        let signature = private.sign(b"");
        assert_eq!(signature[..4], [0xe5, 0x56, 0x43, 0x00]);
        assert_eq!(signature[60..], [0x8e, 0x7a, 0x10, 0x0b]);
        let plan = write("x.plan", b"");
        let says = |key: &PublicKey, part: &str| {
            let error = key.verify(&plan).unwrap_err().to_string();
            assert!(
                error.contains("x.plan") && error.contains(part),
                "{part}: {error}"
            );
        };
        says(&key, "not signed");
        write("x.plan.sig", &signature[..63]);
        says(&key, "64 bytes");
        write("x.plan.sig", &[&signature[..], b"\n"].concat());
        says(&key, "64 bytes");
        write("x.plan.sig", &signature);
        assert_eq!(key.verify(&plan).unwrap().bytes()[..], *b"");
        says(&other, "other.pem");
        write("x.plan", b"x");
        says(&key, "no signature of this file");
        assert!(matches!(
            PublicKey::read(&write("no.pem", PRIVATE.as_bytes())),
            Err(SignatureError::NotAPublicKey { .. })
        ));
        assert!(matches!(
            PrivateKey::read(&write("no.pem", PUBLIC.as_bytes())),
            Err(SignatureError::NotAPrivateKey { .. })
        ));
    }
}
