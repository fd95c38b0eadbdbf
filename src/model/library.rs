//! Finding a model by path or by name.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{CardError, Labels, LabelsError, ModelCard};
use crate::nearest::nearest;
use crate::plan::{self, Plan, PlanError, PublicKey, SignatureError, Verified};

/// Extensions of model files that can be run.
const MODEL_EXTENSIONS: [&str; 2] = [plan::EXTENSION, "onnx"];
const CARD_EXTENSION: &str = "toml";

/// The directories searched for models, in order.
#[derive(Debug, Clone)]
pub struct Library {
    directories: Vec<PathBuf>,
}

/// A model found on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Installed {
    pub name: String,
    /// The model file.
    pub file: PathBuf,
    /// Its card, where there is one.
    pub card: Option<ModelCard>,
    /// Where the card is; what it names is relative to this.
    directory: PathBuf,
    /// The text of the labels that a plan brings.
    own_labels: Option<String>,
    /// All of the plan, if its signature had to be verified.
    verified: Option<Verified>,
}

#[derive(Debug, Error)]
pub enum FindError {
    #[error("{path}: not a model file; expected .plan, .onnx, or the .toml card of one", path = path.display())]
    NotAModel { path: PathBuf },
    #[error(
        "{card} describes {described}, not {file}; correct its field 'file', or rename it",
        card = card.display(), described = described.display(), file = file.display()
    )]
    OtherCard {
        card: PathBuf,
        described: PathBuf,
        file: PathBuf,
    },
    #[error(
        "{path}: its model file {file} is missing",
        path = path.display(), file = file.display()
    )]
    FileOfCard { path: PathBuf, file: PathBuf },
    #[error("{}", describe_unknown(name, searched, present, nearest.as_deref()))]
    Unknown {
        name: String,
        searched: Vec<PathBuf>,
        present: Vec<String>,
        nearest: Option<String>,
    },
    #[error(transparent)]
    Card(#[from] CardError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

fn describe_unknown(
    name: &str,
    searched: &[PathBuf],
    present: &[String],
    nearest: Option<&str>,
) -> String {
    let is_path = Path::new(name).components().count() > 1;
    let mut text = format!(
        "no model {} '{name}'",
        if is_path { "file" } else { "named" }
    );
    if let Some(nearest) = nearest {
        text += &format!("; did you mean '{nearest}'?");
    }
    text += "\nsearched:";
    for directory in searched {
        let absent = if directory.is_dir() { "" } else { " (absent)" };
        text += &format!("\n  {}{absent}", directory.display());
    }
    if present.is_empty() {
        text += "\nno models are there; give the path of a model file, or set EDGE_CLASSIFY_MODELS";
    } else {
        text += &format!("\nthere: {}", present.join(", "));
    }
    text
}

impl Library {
    pub fn new(directories: Vec<PathBuf>) -> Self {
        Library { directories }
    }

    /// `models` beside the working directory, `$EDGE_CLASSIFY_MODELS` (a list separated as `PATH`
    /// is), the user's data directory, the system's.
    pub fn from_environment() -> Self {
        let mut directories = vec![PathBuf::from("models")];
        if let Some(list) = std::env::var_os("EDGE_CLASSIFY_MODELS") {
            directories
                .extend(std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()));
        }
        directories.extend(Self::user_directory());
        directories.push(PathBuf::from("/var/lib/edge-classify/models"));
        Library { directories }
    }

    /// The models of the user who runs the program.
    pub fn user_directory() -> Option<PathBuf> {
        let data_home = std::env::var_os("XDG_DATA_HOME")
            .filter(|home| !home.is_empty())
            .map(PathBuf::from)
            .or_else(|| std::env::home_dir().map(|home| home.join(".local/share")));
        data_home.map(|home| home.join("edge-classify/models"))
    }

    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// Every model in the directories, by name; where two have one name, the one that
    /// [`Library::find`] takes. Unreadable cards come as errors.
    pub fn list(&self) -> BTreeMap<String, Result<Installed, FindError>> {
        let mut models = BTreeMap::new();
        for directory in &self.directories {
            for name in names_in(directory) {
                if !models.contains_key(&name) {
                    let found = find_in(directory, &name, None).transpose();
                    models.extend(found.map(|found| (name, found)));
                }
            }
        }
        models
    }

    /// A model by path (a model file or a card) or by name.
    pub fn find(&self, name_or_path: &str) -> Result<Installed, FindError> {
        self.find_signed(name_or_path, None)
    }

    /// The same; what the key has not signed is an error. Nothing else of the file is read before that is known.
    pub fn find_signed(
        &self,
        name_or_path: &str,
        key: Option<&PublicKey>,
    ) -> Result<Installed, FindError> {
        let path = Path::new(name_or_path);
        if path.is_file() {
            return open(path, key);
        }
        // `NAME.onnx` is also looked for in the directories; in a path, in its own alone.
        let has_extension = extension_is(path, CARD_EXTENSION)
            || MODEL_EXTENSIONS.iter().any(|e| extension_is(path, e));
        let file_name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        let name = if has_extension { stem } else { file_name };
        if path.components().count() > 1 {
            let own = Library::new(vec![path.with_file_name("")]);
            return Err(own.unknown(name_or_path, name));
        }
        for directory in &self.directories {
            if let Some(found) = find_in(directory, name, key)? {
                return Ok(found);
            }
        }
        Err(self.unknown(name_or_path, name))
    }

    fn unknown(&self, given: &str, name: &str) -> FindError {
        let present: Vec<String> = self.list().into_keys().collect();
        let nearest = nearest(name, &present).into_iter().next();
        FindError::Unknown {
            name: given.to_owned(),
            searched: self.directories.clone(),
            present,
            nearest,
        }
    }
}

fn extension_is(path: &Path, extension: &str) -> bool {
    path.extension() == Some(OsStr::new(extension))
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let known = extension_is(&path, CARD_EXTENSION)
                || MODEL_EXTENSIONS.iter().any(|e| extension_is(&path, e));
            known.then(|| path.file_stem()?.to_str().map(str::to_owned))?
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

fn find_in(
    directory: &Path,
    name: &str,
    key: Option<&PublicKey>,
) -> Result<Option<Installed>, FindError> {
    // Built by hand because a dot in the name is not an extension.
    let with = |extension: &str| directory.join(format!("{name}.{extension}"));
    // A plan was made of the others, to be taken in their place.
    [plan::EXTENSION, CARD_EXTENSION, "onnx"]
        .map(with)
        .into_iter()
        .find(|path| path.is_file())
        .map(|path| open(&path, key))
        .transpose()
}

/// Opens a card or a model file. A model file takes the card beside it that names it.
fn open(path: &Path, key: Option<&PublicKey>) -> Result<Installed, FindError> {
    if let Some(key) = key {
        // A card, and what it describes, can be changed each by itself.
        if !extension_is(path, plan::EXTENSION) {
            let path = path.to_owned();
            return Err(SignatureError::NotAPlan { path }.into());
        }
        return open_plan(path, Some(key.verify(path)?));
    }
    if extension_is(path, CARD_EXTENSION) {
        let card = ModelCard::read(path)?;
        let file = path.with_file_name("").join(&card.file);
        if !file.is_file() {
            return Err(FindError::FileOfCard {
                path: path.to_owned(),
                file,
            });
        }
        return Ok(Installed {
            name: card.name.clone(),
            file,
            card: Some(card),
            directory: path.with_file_name(""),
            own_labels: None,
            verified: None,
        });
    }
    if extension_is(path, plan::EXTENSION) {
        return open_plan(path, None);
    }
    if !MODEL_EXTENSIONS.iter().any(|e| extension_is(path, e)) {
        return Err(FindError::NotAModel {
            path: path.to_owned(),
        });
    }
    let beside = path.with_extension(CARD_EXTENSION);
    let card = if beside.is_file() {
        let card = ModelCard::read(&beside)?;
        let described = path.with_file_name("").join(&card.file);
        // Never run with another model's preprocessing, nor silently without its own.
        if described.canonicalize().ok() != path.canonicalize().ok() {
            return Err(FindError::OtherCard {
                card: beside,
                described,
                file: path.to_owned(),
            });
        }
        Some(card)
    } else {
        None
    };
    let stem = path.file_stem().unwrap_or_default();
    Ok(Installed {
        name: card.as_ref().map_or_else(
            || stem.to_string_lossy().into_owned(),
            |card| card.name.clone(),
        ),
        file: path.to_owned(),
        card,
        directory: path.with_file_name(""),
        own_labels: None,
        verified: None,
    })
}

/// Opens a plan, which has its card and labels in itself.
fn open_plan(path: &Path, verified: Option<Verified>) -> Result<Installed, FindError> {
    let inside = plan_of(path, verified.as_ref())?.belongings();
    let changed = |path: &Path| {
        std::fs::metadata(path)
            .and_then(|found| found.modified())
            .ok()
    };
    let beside = path.with_extension(CARD_EXTENSION);
    if changed(&beside) > changed(path) {
        log::warn!(
            "{} is newer than {}: if the model has changed, compile it again",
            beside.display(),
            path.display()
        );
    }
    let card = inside.card.map(|card| ModelCard::parse(&card, path));
    let card = card.transpose()?;
    let stem = path.file_stem().unwrap_or_default();
    Ok(Installed {
        name: match &card {
            Some(card) => card.name.clone(),
            None => stem.to_string_lossy().into_owned(),
        },
        file: path.to_owned(),
        card,
        directory: path.with_file_name(""),
        own_labels: inside.labels,
        verified,
    })
}

fn plan_of(path: &Path, verified: Option<&Verified>) -> Result<Plan, PlanError> {
    match verified {
        Some(verified) => Plan::read(path, verified.bytes()),
        None => Plan::open(path),
    }
}

impl Installed {
    /// A card or a model file, wherever it is.
    pub fn open(path: &Path) -> Result<Self, FindError> {
        open(path, None)
    }

    /// The plan that the file is: of the bytes whose signature was verified, if one had to be.
    pub fn plan(&self) -> Result<Plan, PlanError> {
        plan_of(&self.file, self.verified.as_ref())
    }

    /// Whether the file is a plan.
    pub fn is_plan(&self) -> bool {
        extension_is(&self.file, plan::EXTENSION)
    }

    /// The labels of its own, if it has any, for a network of so many classes.
    pub fn labels(&self, classes: usize) -> Result<Option<Labels>, LabelsError> {
        let own = self.own_labels.as_ref();
        let own = own.map(|text| Labels::parse(text, classes, &self.file));
        let file = || self.labels_file().map(|file| Labels::read(&file, classes));
        own.or_else(file).transpose()
    }

    pub fn has_labels(&self) -> bool {
        self.own_labels.is_some() || self.labels_file().is_some()
    }

    /// The labels file named by the card, as a path that can be opened.
    pub fn labels_file(&self) -> Option<PathBuf> {
        let labels = self.card.as_ref()?.labels.as_ref()?;
        Some(self.directory.join(labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(name: &str, file: &str) -> String {
        format!(
            "name = '{name}'\nfile = '{file}'\nlabels = 'labels.txt'\n[preprocess]\nsize = 32\n\
             resize = 32\nmean = [0.0, 0.0, 0.0]\nstd = [1.0, 1.0, 1.0]\n"
        )
    }

    fn library() -> (tempfile::TempDir, Library) {
        let root = tempfile::tempdir().unwrap();
        let (first, second) = (root.path().join("first"), root.path().join("second"));
        std::fs::create_dir_all(&first).unwrap();
        std::fs::create_dir_all(&second).unwrap();
        let write = |path: PathBuf, text: &str| std::fs::write(path, text).unwrap();
        write(first.join("mobilenetv2_100.onnx"), "");
        write(
            first.join("mobilenetv2_100.toml"),
            &card("mobilenetv2_100", "mobilenetv2_100.onnx"),
        );
        write(second.join("mobilenetv2_100.onnx"), "");
        write(second.join("bare.onnx"), "");
        write(second.join("dangling.toml"), &card("dangling", "gone.onnx"));
        write(second.join("notes.txt"), "");
        let library = Library::new(vec![first, root.path().join("absent"), second]);
        (root, library)
    }

    #[test]
    fn earlier_directories_win() {
        let (root, library) = library();
        let found = library.find("mobilenetv2_100").unwrap();
        assert!(found.file.starts_with(root.path().join("first")));
        assert_eq!(
            found.labels_file(),
            Some(root.path().join("first/labels.txt"))
        );
    }

    #[test]
    fn paths_are_taken_as_they_are() {
        let (root, library) = library();
        let bare = root.path().join("second/bare.onnx");
        let found = library.find(bare.to_str().unwrap()).unwrap();
        assert_eq!((found.name.as_str(), &found.card), ("bare", &None));
        let toml = root.path().join("first/mobilenetv2_100.toml");
        assert!(library.find(toml.to_str().unwrap()).unwrap().card.is_some());
        let gone = root.path().join("second/gone.onnx");
        let text = library
            .find(gone.to_str().unwrap())
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("second/gone.onnx'") && text.contains("there: bare"),
            "{text}"
        );
        let near = root.path().join("second/bar.onnx");
        let text = library
            .find(near.to_str().unwrap())
            .unwrap_err()
            .to_string();
        assert!(text.contains("did you mean 'bare'?"), "{text}");
        assert_eq!(library.find("bare.onnx").unwrap().name, "bare");
        let notes = root.path().join("second/notes.txt");
        assert!(matches!(
            library.find(notes.to_str().unwrap()),
            Err(FindError::NotAModel { .. })
        ));
    }

    #[test]
    fn unknown_names_are_answered_with_the_nearest() {
        let (root, library) = library();
        let text = library.find("mobilnetv2-100").unwrap_err().to_string();
        assert!(text.contains("did you mean 'mobilenetv2_100'?"), "{text}");
        assert!(
            text.contains("there: bare, dangling, mobilenetv2_100"),
            "{text}"
        );
        let absent = root.path().join("absent").display().to_string();
        assert!(text.contains(&format!("{absent} (absent)")), "{text}");
        let text = library.find("zzz").unwrap_err().to_string();
        assert!(!text.contains("did you mean"), "{text}");
    }

    #[test]
    fn a_card_is_for_the_model_it_names() {
        let (root, library) = library();
        let at = |path: &str| root.path().join(path);
        std::fs::create_dir(at("second/weights")).unwrap();
        std::fs::write(at("second/weights/deep.onnx"), "").unwrap();
        std::fs::write(at("second/deep.toml"), card("deep", "weights/deep.onnx")).unwrap();
        let deep = library.find("deep").unwrap();
        assert_eq!(deep.file, at("second/weights/deep.onnx"));
        assert_eq!(deep.labels_file(), Some(at("second/labels.txt")));
        std::fs::write(at("second/bare.toml"), card("bare", "./bare.onnx")).unwrap();
        let bare = at("second/bare.onnx");
        assert!(library.find(bare.to_str().unwrap()).unwrap().card.is_some());
        std::fs::write(at("second/bare.toml"), card("bare", "other.onnx")).unwrap();
        assert!(matches!(
            library.find(bare.to_str().unwrap()),
            Err(FindError::OtherCard { .. })
        ));
    }

    #[test]
    fn list_reports_broken_models() {
        let (_root, library) = library();
        let models = library.list();
        assert_eq!(models.len(), 3);
        assert!(matches!(
            models["dangling"],
            Err(FindError::FileOfCard { .. })
        ));
        assert!(models["bare"].is_ok());
    }
}
