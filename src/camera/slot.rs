//! Hand-over of the newest frame from the capture thread to whoever classifies.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Dropped;

/// Holds at most one item; a newer one replaces it.
pub struct LatestSlot<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    latest: Option<T>,
    dropped: Dropped,
    closed: bool,
}

impl<T> LatestSlot<T> {
    pub fn new() -> Self {
        LatestSlot {
            state: Mutex::new(State {
                latest: None,
                dropped: Dropped::default(),
                closed: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// The state stays consistent between statements, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a newer item; the one it replaces counts as stale.
    pub fn put(&self, item: T) {
        let mut state = self.lock();
        if state.latest.replace(item).is_some() {
            state.dropped.stale += 1;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Takes the newest item, waiting up to `timeout` for one.
    pub fn take(&self, timeout: Duration) -> Option<T> {
        let (mut state, _) = self
            .changed
            .wait_timeout_while(self.lock(), timeout, |state| {
                state.latest.is_none() && !state.closed
            })
            .unwrap_or_else(PoisonError::into_inner);
        state.latest.take()
    }

    pub fn count_corrupt(&self) {
        self.lock().dropped.corrupt += 1;
    }

    pub fn dropped(&self) -> Dropped {
        self.lock().dropped
    }

    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Waits for `duration`, or until closed; tells whether closed.
    pub fn wait_closed(&self, duration: Duration) -> bool {
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), duration, |state| !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        state.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn newest_wins_and_drops_are_counted() {
        let slot = LatestSlot::new();
        for item in 0..5 {
            slot.put(item);
        }
        assert_eq!(slot.take(Duration::ZERO), Some(4));
        assert_eq!(slot.take(Duration::ZERO), None);
        slot.count_corrupt();
        assert_eq!(
            slot.dropped(),
            Dropped {
                stale: 4,
                corrupt: 1
            }
        );
    }

    #[test]
    fn waiting_ends_with_an_item_or_a_close() {
        let slot = Arc::new(LatestSlot::new());
        let other = Arc::clone(&slot);
        let taker = std::thread::spawn(move || (other.take(LONG), other.take(LONG)));
        slot.put(7);
        while slot.lock().latest.is_some() {
            std::thread::yield_now();
        }
        slot.close();
        assert_eq!(taker.join().unwrap(), (Some(7), None));
        assert!(slot.is_closed() && slot.wait_closed(LONG));
    }
}
