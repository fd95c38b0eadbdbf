//! How many threads one inference may use.

use std::num::NonZeroUsize;

/// Threads for one inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads(NonZeroUsize);

impl Threads {
    /// More than any board has; a larger number is a mistake.
    pub const MAX: usize = edge_classify_kernels::Team::MOST_PARTS;

    /// `None` for 0 or for more than [`Threads::MAX`].
    pub fn new(count: usize) -> Option<Self> {
        NonZeroUsize::new(count)
            .filter(|n| n.get() <= Self::MAX)
            .map(Threads)
    }

    /// As many as are `best` here, or else as there are cores of the fastest kind; but no more than this process may use: an
    /// inference is done when its slowest thread is, and one beyond a limit of the container waits for the others.
    pub fn auto(best: Option<Threads>) -> Self {
        let allowed = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let best = best
            .map(Threads::get)
            .or_else(|| fastest_cores(&capacities()));
        let count = best.map_or(allowed, |best| best.min(allowed));
        Threads::new(count.min(Self::MAX)).unwrap_or(Threads(NonZeroUsize::MIN))
    }

    pub fn get(self) -> usize {
        self.0.get()
    }
}

/// What Linux says of each core's speed, where they differ (Arm's `capacity-dmips-mhz`).
fn capacities() -> Vec<u32> {
    let cores = std::fs::read_dir("/sys/devices/system/cpu")
        .into_iter()
        .flatten();
    let capacity = |core: std::io::Result<std::fs::DirEntry>| {
        let file = core.ok()?.path().join("cpu_capacity");
        std::fs::read_to_string(file).ok()?.trim().parse().ok()
    };
    cores.filter_map(capacity).collect()
}

/// How many are about as fast as the fastest; `None` if nothing is known.
fn fastest_cores(capacities: &[u32]) -> Option<usize> {
    let fastest = *capacities.iter().max()?;
    // Cores of one kind may differ a little in their clocks.
    let as_fast = |capacity: &&u32| **capacity >= fastest - fastest / 10;
    Some(capacities.iter().filter(as_fast).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cores_of_the_fastest_kind_are_counted() {
        assert_eq!(fastest_cores(&[]), None);
        assert_eq!(fastest_cores(&[1024; 4]), Some(4));
        // A board with four small and two large cores; one with three kinds.
        assert_eq!(fastest_cores(&[446, 446, 446, 446, 1024, 1024]), Some(2));
        assert_eq!(fastest_cores(&[250, 250, 870, 870, 1024, 990]), Some(2));
    }

    #[test]
    fn no_more_than_are_allowed() {
        let allowed = std::thread::available_parallelism().unwrap();
        assert!(Threads::auto(None).0 <= allowed);
        assert!(Threads::auto(Threads::new(Threads::MAX)).0 <= allowed);
        assert_eq!(Threads::auto(Threads::new(1)).get(), 1);
    }
}
