//! Trained weights from the Hugging Face hub: which files a repository has, and their transfer.

mod client;
mod download;
mod error;
mod timm_config;

pub use client::{Hub, RemoteFile, Snapshot};
pub use error::HubError;
pub use timm_config::{ConfigError, TimmConfig};
