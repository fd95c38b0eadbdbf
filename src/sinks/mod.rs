//! Where results go.

mod jsonl;
mod record;
mod text;

use std::io;

pub use jsonl::JsonLines;
pub use record::{Latency, Prediction, Record, milliseconds};
pub use text::Text;

/// Takes results one by one. Each is flushed before `emit` returns.
pub trait Sink {
    fn emit(&mut self, record: &Record) -> io::Result<()>;
}
