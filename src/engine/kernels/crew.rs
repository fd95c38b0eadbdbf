//! One layer's work in parts, for threads that write to the same output.

use super::element::Element;
use super::team::Team;

/// Threads that share a layer, with scratch for each part of it.
pub struct Crew<'a, E = f32> {
    team: Option<&'a Team>,
    parts: usize,
    scratch: &'a mut [E],
}

impl<'a, E: Element> Crew<'a, E> {
    /// So many parts, which share the scratch equally.
    ///
    /// # Panics
    /// If there are no parts, or more than [`Team::MOST_PARTS`].
    pub fn new(team: &'a Team, parts: usize, scratch: &'a mut [E]) -> Crew<'a, E> {
        assert!(
            (1..=Team::MOST_PARTS).contains(&parts),
            "a layer of {parts} parts"
        );
        Crew {
            team: Some(team),
            parts,
            scratch,
        }
    }

    /// The caller alone.
    pub fn alone(scratch: &'a mut [E]) -> Crew<'a, E> {
        Crew {
            team: None,
            parts: 1,
            scratch,
        }
    }

    pub fn parts(&self) -> usize {
        self.parts
    }

    /// Values for each part.
    pub fn scratch_len(&self) -> usize {
        self.scratch.len() / self.parts
    }

    /// Calls `work` once with each part's number and scratch.
    pub(crate) fn run(self, work: &(dyn Fn(usize, &mut [E]) + Sync)) {
        let len = self.scratch_len();
        split(self.team, self.scratch, len, self.parts, work);
    }

    /// Writes `values` in as many pieces of whole `grain` values as there are parts, or fewer: calls `work` once with each
    /// piece and the index of its first value.
    pub(crate) fn fill(
        &self,
        values: &mut [E],
        grain: usize,
        work: &(dyn Fn(usize, &mut [E]) + Sync),
    ) {
        let len = values
            .len()
            .div_ceil(self.parts)
            .next_multiple_of(grain)
            .max(1);
        let pieces = values.len().div_ceil(len);
        split(self.team, values, len, pieces, &|piece, values| {
            work(piece * len, values)
        });
    }
}

/// Calls `work` once with each of `pieces` pieces of so many values, of which the last may have fewer.
fn split<E: Element>(
    team: Option<&Team>,
    values: &mut [E],
    len: usize,
    pieces: usize,
    work: &(dyn Fn(usize, &mut [E]) + Sync),
) {
    let (all, shared) = (values.len(), Shared(values.as_mut_ptr()));
    let piece = |piece: usize| {
        let first = (piece * len).min(all);
        // SAFETY: within the values, which are borrowed until all pieces are done; pieces do not overlap, and each is done
        // once.
        let own = unsafe { std::slice::from_raw_parts_mut(shared.at(first), len.min(all - first)) };
        work(piece, own);
    };
    match team {
        Some(team) => team.run(pieces, &piece),
        None => (0..pieces).for_each(piece),
    }
}

/// Where the output begins, of which each thread writes what is its own.
pub(crate) struct Shared<E>(pub *mut E);

// SAFETY: it only points; whoever writes there has to see to it that no other thread uses the same values.
unsafe impl<E: Send> Sync for Shared<E> {}

impl<E> Shared<E> {
    pub fn at(&self, index: usize) -> *mut E {
        self.0.wrapping_add(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_written_once() {
        let team = Team::new(3).unwrap();
        for (len, grain, parts) in [(0, 4, 3), (1, 4, 3), (63, 4, 2), (64, 64, 3), (1000, 64, 7)] {
            let mut values = vec![0.0_f32; len];
            Crew::new(&team, parts, &mut []).fill(&mut values, grain, &|first, piece| {
                assert_eq!(first % grain, 0);
                for (i, value) in piece.iter_mut().enumerate() {
                    *value += (first + i) as f32 + 1.0;
                }
            });
            let expected: Vec<f32> = (1..=len).map(|i| i as f32).collect();
            assert_eq!(values, expected);
        }
    }

    #[test]
    fn every_part_has_scratch_of_its_own() {
        let team = Team::new(2).unwrap();
        let mut scratch = [0.0_f32; 17];
        let crew = Crew::new(&team, 5, &mut scratch);
        assert_eq!((crew.parts(), crew.scratch_len()), (5, 3));
        crew.run(&|part, scratch| scratch.fill(part as f32));
        let expected = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 0, 0].map(|v| v as f32);
        assert_eq!(scratch, expected);
    }
}
