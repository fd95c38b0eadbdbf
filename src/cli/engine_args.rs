//! How a network is run, as commands are told.

use clap::Args;

use super::values::{ThreadCount, precision, threads};
use crate::board::{Board, UnknownBoard};
use crate::engine::{EngineError, Options, Precision, Threads};

#[derive(Debug, Args)]
#[group(skip)]
pub struct EngineArgs {
    /// Threads for one inference; auto: what is best on the board, or the fast cores that this process may use
    #[arg(long, value_name = "N|auto", default_value = "1", value_parser = threads)]
    threads: ThreadCount,

    /// Type in which to compute: f32, or fp16 where the processor has it [default: a plan's, or f32]
    #[arg(long, value_name = "f32|fp16", value_parser = precision)]
    precision: Option<Precision>,

    /// Compute each layer by itself, none together by bands of rows or by channels
    #[arg(long)]
    no_fuse: bool,

    #[command(flatten)]
    board: BoardArgs,
}

#[derive(Debug, Args)]
#[group(skip)]
pub struct BoardArgs {
    /// Board that this is, by the name of its file in boards/ [default: the one that the device tree names]
    #[arg(long, value_name = "NAME", value_parser = board)]
    board: Option<Board>,
}

fn board(name: &str) -> Result<Board, UnknownBoard> {
    Board::named(name)
}

impl BoardArgs {
    /// The board, if it is a known one.
    pub fn board(&self) -> Option<Board> {
        self.board.clone().or_else(Board::of_this_machine)
    }
}

impl EngineArgs {
    /// The board, if it is a known one.
    pub fn board(&self) -> Option<Board> {
        self.board.board()
    }

    /// # Errors
    /// If the processor has not what is asked for.
    pub fn options(&self) -> Result<Options, EngineError> {
        let board = self.board();
        let threads = match self.threads {
            ThreadCount::Auto => Threads::auto(board.as_ref().map(Board::threads)),
            ThreadCount::Of(threads) => threads,
        };
        let options = options(threads, board.as_ref())?;
        Ok(options.in_precision(self.precision)?.fusing(!self.no_fuse))
    }
}

/// What is best on this processor, with what is known of the board.
pub fn options(threads: Threads, board: Option<&Board>) -> Result<Options, EngineError> {
    let level_2 = board.map(|board| board.level_2(threads));
    Options::with_level_2(threads, level_2)
}
