//! How far quantization has come.

/// What is being done, and how much of the whole is done: in about as long as it takes to run the network once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub what: &'static str,
    pub done: u64,
    pub all: u64,
}

/// Tells somebody who waits.
pub struct Work<'a> {
    tell: &'a mut dyn FnMut(Progress),
    now: Progress,
}

impl<'a> Work<'a> {
    pub fn new(tell: &'a mut dyn FnMut(Progress)) -> Self {
        let now = Progress {
            what: "starting",
            done: 0,
            all: 1,
        };
        Work { tell, now }
    }

    /// So much is to be done, from the start.
    pub fn expect(&mut self, all: u64) {
        (self.now.done, self.now.all) = (0, all.max(1));
    }

    pub fn start(&mut self, what: &'static str) {
        self.now.what = what;
        (self.tell)(self.now);
    }

    pub fn advance(&mut self, by: u64) {
        self.now.done = (self.now.done + by).min(self.now.all);
        (self.tell)(self.now);
    }
}
