//! Which models are trusted, as commands are told.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::model::Installed;
use crate::plan::PublicKey;

#[derive(Debug, Args)]
#[group(skip)]
pub struct TrustArgs {
    /// Refuse the model unless it is a plan that this Ed25519 key signed: its signature is beside it, NAME.plan.sig
    #[arg(long, value_name = "PUB.pem")]
    require_signature: Option<PathBuf>,
}

impl TrustArgs {
    pub fn requires_signature(&self) -> bool {
        self.require_signature.is_some()
    }

    /// Looks a model up, and verifies its signature before anything else of it is read.
    pub fn find_model(&self, name: &str) -> Result<Installed> {
        let key = self.require_signature.as_deref().map(PublicKey::read);
        super::find_signed_model(name, key.transpose()?.as_ref())
    }
}
