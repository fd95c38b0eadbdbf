//! Threads that share one layer's work, and are ready for the next within microseconds.
//!
//! A layer takes some tens of microseconds, about as long as it takes to wake a thread that sleeps. So threads watch for
//! work for a while before they sleep; and whoever asks for work to be done does all of it that no other thread has begun,
//! so that one which comes late, or never, costs nothing. Otherwise each thread does the same parts of every layer: what a
//! thread has written, it reads from its own cache, while what is in another core's takes many times longer.

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a thread watches for work before it sleeps: longer than layers that one thread computes alone, shorter than
/// what is between two pictures.
const WATCH: Duration = Duration::from_micros(300);

/// Turns of watching after which a thread is late: a few microseconds.
const LATE: u32 = 100;

/// A fixed number of threads, the one that asks among them.
#[derive(Debug)]
pub struct Team {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Work is shared by one caller at a time.
    busy: Mutex<()>,
}

type Work<'a> = dyn Fn(usize) + Sync + 'a;

struct Shared {
    /// The work at hand: its number, and how many parts it has.
    state: Apart<AtomicU64>,
    /// Valid while parts of the work at hand are not done.
    work: UnsafeCell<*const Work<'static>>,
    /// The last work of which each part has been begun: below the number of the work at hand if it has not.
    begun: [Apart<AtomicU64>; Team::MOST_PARTS],
    done: Apart<AtomicUsize>,
    panicked: AtomicBool,
    stop: AtomicBool,
    sleepers: AtomicUsize,
    asleep: Mutex<()>,
    wake: Condvar,
}

// SAFETY: `work` is written where no part is being done, and read by threads that have begun one, which sharing `state`
// orders; what it points to is Sync.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

/// In cache lines of its own, of which some processors fetch pairs.
#[derive(Default)]
#[repr(align(128))]
struct Apart<T>(T);

/// A number of 48 bits: more works than there will be.
fn pack(number: u64, parts: usize) -> u64 {
    number << 16 | parts as u64
}

fn unpack(state: u64) -> (u64, usize) {
    (state >> 16, state as u16 as usize)
}

impl Team {
    /// Most parts of one work.
    pub const MOST_PARTS: usize = 64;

    /// So many threads in all.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn new(threads: usize) -> std::io::Result<Team> {
        let shared = Arc::new(Shared {
            state: Apart::default(),
            work: UnsafeCell::new(&|_: usize| ()),
            begun: [const { Apart(AtomicU64::new(0)) }; Self::MOST_PARTS],
            done: Apart::default(),
            panicked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            asleep: Mutex::new(()),
            wake: Condvar::new(),
        });
        let mut team = Team {
            shared,
            workers: Vec::new(),
            busy: Mutex::new(()),
        };
        for index in 1..threads {
            let shared = team.shared.clone();
            let builder = std::thread::Builder::new().name(format!("layers-{index}"));
            // Those that have begun end when the team is dropped.
            team.workers
                .push(builder.spawn(move || shared.serve(index))?);
        }
        Ok(team)
    }

    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `work` once for each of `0..parts`, and returns when all calls have: the first on this thread, and each of
    /// the others on the same one as in the work before unless that is late. Where another caller has the threads, all on
    /// this one. Allocates nothing.
    ///
    /// # Panics
    /// If there are more than [`Team::MOST_PARTS`] parts, or when a call panics, after all have returned.
    pub fn run(&self, parts: usize, work: &Work) {
        assert!(parts <= Self::MOST_PARTS, "work in {parts} parts");
        let alone = parts <= 1 || self.workers.is_empty();
        let Some(busy) = self.busy.try_lock().ok().filter(|_| !alone) else {
            (0..parts).for_each(work);
            return;
        };
        let shared = &*self.shared;
        shared.done.0.store(0, Ordering::Relaxed);
        let (number, _) = unpack(shared.state.0.load(Ordering::Relaxed));
        let number = number + 1;
        // Before others know of it: this thread's own one.
        shared.begun[0].0.store(number, Ordering::Relaxed);
        // SAFETY: no part of an earlier work is left, so no thread reads it; `busy` keeps other callers away. The longer
        // lifetime is not made use of: no thread calls it after the last part is done, which is waited for below.
        unsafe {
            *shared.work.get() = std::mem::transmute::<*const Work, *const Work<'static>>(work);
        }
        let state = pack(number, parts);
        shared.state.0.store(state, Ordering::SeqCst);
        if shared.sleepers.load(Ordering::SeqCst) > 0 {
            drop(lock(&shared.asleep));
            shared.wake.notify_all();
        }
        shared.call(0);
        while shared.do_a_part(0, state) {}
        let mut turns = 0_u32;
        while shared.done.0.load(Ordering::Acquire) < parts {
            turns = turns.saturating_add(1);
            pause(turns);
        }
        // Written where it has to be alone: others watch what lies beside it.
        let panicked = shared.panicked.load(Ordering::Relaxed);
        if panicked {
            shared.panicked.store(false, Ordering::Relaxed);
        }
        // Before a panic, which would leave it poisoned.
        drop(busy);
        if panicked {
            resume_unwind(Box::new("a part of a layer panicked"));
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        drop(lock(&self.shared.asleep));
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            // It catches what its parts panic with.
            drop(worker.join());
        }
    }
}

impl Shared {
    /// Begins a part that nobody has begun, the thread's own one before others, and does it. False if there is none. `state`
    /// has been the work at hand.
    fn do_a_part(&self, thread: usize, state: u64) -> bool {
        let (number, parts) = unpack(state);
        let begin = |part: &usize| {
            let begun = &self.begun[*part].0;
            let last = begun.load(Ordering::Relaxed);
            // Of a work that is over, all parts have been begun: none of it is begun again, however late this thread is.
            last < number
                && begun
                    .compare_exchange(last, number, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
        };
        let mut own_first = (0..parts).map(|part| (thread + part) % parts);
        let Some(part) = own_first.find(begin) else {
            return false;
        };
        self.call(part);
        true
    }

    /// Does a part that has been begun.
    fn call(&self, part: usize) {
        // SAFETY: a part has been begun and is not done: the caller waits for it, and what it shares is valid until then.
        let work = unsafe { &**self.work.get() };
        if catch_unwind(AssertUnwindSafe(|| work(part))).is_err() {
            self.panicked.store(true, Ordering::Relaxed);
        }
        self.done.0.fetch_add(1, Ordering::Release);
    }

    /// Does parts as they come, until the team is dropped.
    fn serve(&self, thread: usize) {
        let mut idle = Instant::now();
        let mut turns = 0_u32;
        // The last work that has been seen, since how many turns, and the last of which no part is left.
        let (mut seen, mut since, mut over) = (0, 0_u32, 0);
        while !self.stop.load(Ordering::Relaxed) {
            let state = self.state.0.load(Ordering::SeqCst);
            if state != seen {
                (seen, since) = (state, 0);
            }
            let (_, parts) = unpack(state);
            // One that has no part of its own leaves theirs to the others at first.
            if state != over && (thread < parts || since > LATE) {
                if self.do_a_part(thread, state) {
                    turns = 0;
                    continue;
                }
                over = state;
            }
            since = since.saturating_add(1);
            if turns == 0 {
                idle = Instant::now();
            }
            turns = turns.saturating_add(1);
            pause(turns);
            if turns.is_multiple_of(64) && idle.elapsed() > WATCH {
                self.sleep();
                turns = 0;
            }
        }
    }

    fn sleep(&self) {
        let mut guard = lock(&self.asleep);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        // Whoever brings work after this look sees a sleeper, and waits for the lock to wake it.
        loop {
            let (number, parts) = unpack(self.state.0.load(Ordering::SeqCst));
            let mut begun = self.begun[..parts].iter();
            let open = begun.any(|begun| begun.0.load(Ordering::Relaxed) < number);
            if open || self.stop.load(Ordering::SeqCst) {
                break;
            }
            guard = self
                .wake
                .wait(guard)
                .unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What is locked is no data.
fn lock(mutex: &Mutex<()>) -> std::sync::MutexGuard<'_, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits a moment; now and then lets another thread of this processor run, which may be the one that is waited for.
fn pause(turns: u32) {
    if turns.is_multiple_of(32) {
        std::thread::yield_now();
    } else {
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(team: &Team, parts: usize) -> Vec<usize> {
        let counts: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
        team.run(parts, &|part| {
            counts[part].fetch_add(1, Ordering::Relaxed);
        });
        counts.into_iter().map(AtomicUsize::into_inner).collect()
    }

    #[test]
    fn every_part_is_done_once() {
        for threads in 1..6 {
            let team = Team::new(threads).unwrap();
            assert_eq!(team.threads(), threads);
            for round in 0..3000 {
                let parts = round % 9;
                assert_eq!(counts(&team, parts), vec![1; parts]);
                // Long enough for some to fall asleep.
                if round % 500 == 0 {
                    std::thread::sleep(2 * WATCH);
                }
            }
        }
    }

    #[test]
    fn what_parts_write_is_there_afterwards() {
        let team = Team::new(3).unwrap();
        for round in 0..2000_usize {
            let places: [Mutex<usize>; 7] = Default::default();
            team.run(7, &|part| *places[part].lock().unwrap() = part * round);
            for (part, place) in places.into_iter().enumerate() {
                assert_eq!(place.into_inner().unwrap(), part * round);
            }
        }
    }

    #[test]
    fn several_callers_do_not_wait_for_each_other() {
        let team = Team::new(3).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for round in 0..1000 {
                        let parts = 1 + round % 5;
                        assert_eq!(counts(&team, parts), vec![1; parts]);
                    }
                });
            }
        });
        // Nor a part for its own caller.
        team.run(2, &|_| assert_eq!(counts(&team, 3), [1; 3]));
    }

    #[test]
    fn a_panic_comes_to_the_caller_and_ends_nothing_else() {
        let team = Team::new(2).unwrap();
        for bad in 0..2 {
            let result = catch_unwind(AssertUnwindSafe(|| {
                team.run(2, &|part| assert!(part != bad, "on purpose"));
            }));
            assert!(result.is_err());
            assert!(!team.busy.is_poisoned());
            assert_eq!(counts(&team, 4), [1; 4]);
        }
    }
}
