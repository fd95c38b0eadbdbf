//! Writing that a signal ends as an error does, so that what is cleaned up after an error is then, too.

use std::io::{self, Write};

use crate::daemon::Stop;

pub struct Stoppable<'a> {
    pub out: &'a mut dyn Write,
    pub stop: &'a Stop,
}

impl Write for Stoppable<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stop.requested() {
            // Not `Interrupted`, which means to try again.
            return Err(io::Error::other("ended by a signal"));
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
