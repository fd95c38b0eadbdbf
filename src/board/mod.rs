//! Boards, as data: `boards/*.toml`. What holds for one of them stands there alone.

use std::path::PathBuf;

use serde::Deserialize;
use thiserror::Error;

use crate::engine::{Precision, Threads};

macro_rules! bundled {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("../../boards/", $name, ".toml")))),*]
    };
}

/// The files by their names.
const BUNDLED: [(&str, &str); 7] = bundled!(
    "jetson_nano"
    "jetson_orin_nano"
    "jetson_xavier_nx"
    "raspberry_pi_3"
    "raspberry_pi_4"
    "raspberry_pi_5"
    "raspberry_pi_zero_2_w"
);

/// What is known of a kind of board, and what is best there.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// That of its file, in `boards/`, without `.toml`.
    #[serde(skip)]
    pub file: &'static str,
    pub name: String,
    /// How the device tree's model begins, one of them.
    models: Vec<String>,
    /// Rust's name of what the program is built for.
    pub target: String,
    /// The oldest there is for the board on which that program starts.
    pub system: System,
    /// For one inference.
    threads: usize,
    /// Of each kind, the fastest last.
    pub cores: Vec<Cores>,
    /// Where the firmware tells whether it throttles, as Raspberry Pi's does.
    pub throttled: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    pub name: String,
    pub glibc: String,
}

/// Cores of one kind.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cores {
    pub kind: String,
    pub count: usize,
    /// Of those that `doctor` lists.
    pub features: Vec<String>,
    pub level_2: Cache,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    pub kb: usize,
    /// So many cores.
    pub shared_by: usize,
}

#[derive(Debug, Error)]
#[error("no board named '{name}'; there are: {}", BUNDLED.map(|(file, _)| file).join(", "))]
pub struct UnknownBoard {
    name: String,
}

impl Board {
    /// All that are known.
    pub fn all() -> impl Iterator<Item = Board> {
        BUNDLED.into_iter().map(|(file, text)| {
            let board = toml::from_str(text);
            Board {
                file,
                ..board.expect("a test reads all of them")
            }
        })
    }

    /// The one with this file name.
    pub fn named(name: &str) -> Result<Board, UnknownBoard> {
        let unknown = || UnknownBoard {
            name: name.to_owned(),
        };
        Board::all()
            .find(|board| board.file == name)
            .ok_or_else(unknown)
    }

    /// The one on which this program runs, if it is known.
    pub fn of_this_machine() -> Option<Board> {
        Board::of_model(&model()?)
    }

    fn of_model(model: &str) -> Option<Board> {
        let is = |board: &Board| board.models.iter().any(|start| model.starts_with(start));
        Board::all().find(is)
    }

    /// The cores that inferences run on.
    fn fastest(&self) -> &Cores {
        self.cores.last().expect("a test asks for some")
    }

    /// What is best here for one inference.
    pub fn threads(&self) -> Threads {
        Threads::new(self.threads).expect("a test asks for some")
    }

    /// What is best here of what is right to 10 bits.
    pub fn precision(&self) -> Precision {
        let has_fp16 = self.fastest().features.iter().any(|name| name == "fp16");
        if has_fp16 {
            Precision::Fp16
        } else {
            Precision::F32
        }
    }

    /// Bytes of the level 2 cache for each of so many threads.
    pub fn level_2(&self, threads: Threads) -> usize {
        let Cache { kb, shared_by } = self.fastest().level_2;
        (kb << 10) / threads.get().min(shared_by)
    }
}

/// What the device tree says that this machine is; there is none on a PC.
pub fn model() -> Option<String> {
    let model = std::fs::read_to_string("/proc/device-tree/model").ok()?;
    Some(model.trim_matches('\0').trim().to_owned())
}

#[cfg(test)]
mod tests;
