//! Models as files: the card that describes one, its labels, how they are installed and found.

mod card;
mod install_directory;
mod labels;
mod library;
pub mod metadata;
mod new_file;
mod package;

pub use card::{CardError, ModelCard, Scores, Weights, hex};
pub use install_directory::InstallDirectory;
pub use labels::{Labels, LabelsError};
pub use library::{FindError, Installed, Library};
pub use new_file::NewFile;
pub use package::{Package, PackageError};
