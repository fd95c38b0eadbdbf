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
}

/// Where tensors are.
pub trait Store: Send + Sync {
    /// Calls `take` with the values of a tensor, which has the length that it was said to have, in order and `at_once` at
    /// a time; they are read into `buffer`. Where that fails, or the tensor turns out to be damaged, what was taken is void.
    fn read(
        &self,
        index: usize,
        at_once: usize,
        buffer: &mut Vec<f32>,
        take: &mut dyn FnMut(&[f32]),
    ) -> Result<(), String>;
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
        }
        Ok(())
    }

    /// All values.
    pub fn values(&self) -> Result<Cow<'_, [f32]>, String> {
        match &self.values {
            Values::Here(values) => Ok(values.into()),
            Values::Stored { store, index } => {
                let mut values = Vec::new();
                store.read(*index, self.len, &mut values, &mut |_| ())?;
                Ok(values.into())
            }
        }
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
}
