//! Models as files: the card that describes one, its labels, and where installed ones are found.

mod card;
mod labels;
mod library;

pub use card::{CardError, ModelCard, Weights, hex};
pub use labels::{Labels, LabelsError};
pub use library::{FindError, Installed, Library};
