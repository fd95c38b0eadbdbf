//! Values that a layer holds.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// At hand, or somewhere else until they are packed: of a large network not all need be in memory twice.
#[derive(Clone)]
pub struct Weights {
    values: Values,
    len: usize,
}

#[derive(Clone)]
enum Values {
    Here(Vec<f32>),
    Stored { store: Arc<dyn Store>, index: usize },
    Quantized { levels: Levels, scales: Arc<[f32]> },
}

#[derive(Clone)]
enum Levels {
    Here(Arc<[i8]>),
    Stored { store: Arc<dyn Store>, index: usize },
}

/// Levels of weights: rows of as many, and what one is worth in each row.
#[derive(Debug, Clone)]
pub struct WeightLevels {
    pub levels: Arc<[i8]>,
    pub scales: Arc<[f32]>,
}

/// Where tensors are.
pub trait Store: Send + Sync {
    /// Calls `take` with the values of a tensor, which has the length that it was said to have, in order and `at_once` at
    /// a time. `buffer` is for those that do not lie anywhere as they are. Where that fails, or the tensor turns out to be damaged, what was taken is void.
    fn read(
        &self,
        index: usize,
        at_once: usize,
        buffer: &mut Vec<f32>,
        take: &mut dyn FnMut(&[f32]),
    ) -> Result<(), String>;

    /// All levels of a tensor that has such.
    fn levels(&self, index: usize) -> Result<Arc<[i8]>, String>;
}

/// Values that are read and packed at once, about: they stay in a cache of any processor.
const AT_ONCE: usize = 16 << 10;

/// Rows that are packed at once are a multiple of this: a cache line of what they are packed into.
const ROWS: usize = 16;

impl Weights {
    /// `len` values that `store` has as its tensor `index`.
    pub fn stored(store: Arc<dyn Store>, index: usize, len: usize) -> Weights {
        let values = Values::Stored { store, index };
        Weights { values, len }
    }

    /// Rows of levels, as many as there are scales: in row `r`, a level `q` is for the value `scales[r] * q`.
    ///
    /// # Panics
    /// Unless all rows have as many levels.
    pub fn quantized(levels: Vec<i8>, scales: Vec<f32>) -> Weights {
        let len = levels.len();
        Weights::of_levels(Levels::Here(levels.into()), len, scales)
    }

    /// As [`Weights::quantized`], of `len` levels that `store` has as its tensor `index`.
    ///
    /// # Panics
    /// Unless all rows have as many levels.
    pub fn stored_quantized(
        store: Arc<dyn Store>,
        index: usize,
        len: usize,
        scales: Vec<f32>,
    ) -> Weights {
        Weights::of_levels(Levels::Stored { store, index }, len, scales)
    }

    fn of_levels(levels: Levels, len: usize, scales: Vec<f32>) -> Weights {
        assert!(
            len == 0 || (!scales.is_empty() && len.is_multiple_of(scales.len())),
            "{len} levels in {} rows",
            scales.len()
        );
        let scales = scales.into();
        Weights {
            values: Values::Quantized { levels, scales },
            len,
        }
    }

    /// Scales of rows, if the values are levels.
    pub fn scales(&self) -> Option<&[f32]> {
        match &self.values {
            Values::Quantized { scales, .. } => Some(scales),
            _ => None,
        }
    }

    /// The levels, if the values are such.
    pub fn levels(&self) -> Result<Option<WeightLevels>, String> {
        let Values::Quantized { levels, scales } = &self.values else {
            return Ok(None);
        };
        let levels = match levels {
            Levels::Here(levels) => levels.clone(),
            Levels::Stored { store, index } => store.levels(*index)?,
        };
        let scales = scales.clone();
        Ok(Some(WeightLevels { levels, scales }))
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Calls `take` with some rows of `len` values after others, and the index of the first of them. `buffer` is for those
    /// that are not at hand. An error says which file cannot be read, and why; what was taken is void then.
    pub fn read_rows(
        &self,
        len: usize,
        buffer: &mut Vec<f32>,
        mut take: impl FnMut(usize, &[f32]),
    ) -> Result<(), String> {
        match &self.values {
            Values::Here(values) => take(0, values),
            Values::Stored { store, index } => {
                let len = len.max(1);
                let rows = (AT_ONCE / len).next_multiple_of(ROWS).max(ROWS);
                let mut first = 0;
                store.read(*index, rows * len, buffer, &mut |values| {
                    take(first, values);
                    first += values.len() / len;
                })?;
            }
            Values::Quantized { .. } => take(0, &self.values()?),
        }
        Ok(())
    }

    /// All values.
    pub fn values(&self) -> Result<Cow<'_, [f32]>, String> {
        match &self.values {
            Values::Here(values) => Ok(values.into()),
            Values::Stored { store, index } => {
                let mut values = Vec::new();
                let take = &mut |all: &[f32]| values.extend_from_slice(all);
                store.read(*index, self.len, &mut Vec::new(), take)?;
                Ok(values.into())
            }
            Values::Quantized { .. } => {
                let levels = self.levels()?.expect("the values are levels");
                Ok(levels.values().into())
            }
        }
    }
}

impl WeightLevels {
    /// What the levels are for.
    pub fn values(&self) -> Vec<f32> {
        let len = self.levels.len() / self.scales.len().max(1);
        let rows = self.levels.chunks(len.max(1)).zip(self.scales.iter());
        rows.flat_map(|(row, scale)| row.iter().map(move |level| f32::from(*level) * scale))
            .collect()
    }
}

impl From<Vec<f32>> for Weights {
    fn from(values: Vec<f32>) -> Self {
        Weights {
            len: values.len(),
            values: Values::Here(values),
        }
    }
}

impl PartialEq for Weights {
    fn eq(&self, other: &Self) -> bool {
        matches!((self.values(), other.values()), (Ok(ours), Ok(theirs)) if ours == theirs)
    }
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} values", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tensors of counted values.
    struct Counted;

    impl Store for Counted {
        fn read(
            &self,
            index: usize,
            at_once: usize,
            buffer: &mut Vec<f32>,
            take: &mut dyn FnMut(&[f32]),
        ) -> Result<(), String> {
            let values: Vec<f32> = (0..index).map(|value| value as f32).collect();
            for part in values.chunks(at_once) {
                *buffer = part.to_vec();
                take(buffer);
            }
            Ok(())
        }

        fn levels(&self, index: usize) -> Result<Arc<[i8]>, String> {
            Ok((0..index).map(|level| level as i8).collect())
        }
    }

    #[test]
    fn rows_come_whole_and_in_order() {
        for (rows, len) in [
            (1, 1),
            (100, 1),
            (70_000, 1),
            (7, 5000),
            (100, 1280),
            (33, 40_000),
        ] {
            let weights = Weights::stored(Arc::new(Counted), rows * len, rows * len);
            let expected = weights.values().unwrap().into_owned();
            assert_eq!(expected.len(), rows * len);
            for weights in [weights, expected.clone().into()] {
                let mut found = Vec::new();
                let take = |first, values: &[f32]| {
                    assert_eq!(first * len, found.len());
                    assert!(values.len().is_multiple_of(len));
                    found.extend_from_slice(values);
                };
                weights.read_rows(len, &mut Vec::new(), take).unwrap();
                assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn levels_are_worth_their_rows_scale() {
        let stored = Weights::stored_quantized(Arc::new(Counted), 6, 6, vec![0.5, 2.0]);
        let here = Weights::quantized(vec![0, 1, 2, 3, 4, 5], vec![0.5, 2.0]);
        for weights in [stored, here] {
            assert_eq!(weights.len(), 6);
            assert_eq!(weights.scales(), Some(&[0.5, 2.0][..]));
            assert_eq!(*weights.values().unwrap(), [0.0, 0.5, 1.0, 6.0, 8.0, 10.0]);
            let levels = weights.levels().unwrap().unwrap();
            assert_eq!(levels.levels[..], [0, 1, 2, 3, 4, 5]);
        }
        let plain = Weights::from(vec![1.0]);
        assert!(plain.scales().is_none() && plain.levels().unwrap().is_none());
    }
}
