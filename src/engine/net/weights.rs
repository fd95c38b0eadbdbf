//! Values that a layer holds.

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
    /// Puts a tensor, which has the length that it was said to have, in `into`.
    fn read(&self, index: usize, into: &mut Vec<f32>) -> Result<(), String>;
}

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

    /// The values, in `buffer` where they are not at hand; an error says which file cannot be read, and why.
    pub fn read<'a>(&'a self, buffer: &'a mut Vec<f32>) -> Result<&'a [f32], String> {
        let values: &[f32] = match &self.values {
            Values::Here(values) => values,
            Values::Stored { store, index } => {
                store.read(*index, buffer)?;
                buffer
            }
        };
        if values.len() != self.len {
            let found = values.len();
            return Err(format!("{found} values where {} were said to be", self.len));
        }
        Ok(values)
    }

    /// The values for the caller to keep.
    pub fn to_vec(&self) -> Result<Vec<f32>, String> {
        let mut buffer = Vec::new();
        self.read(&mut buffer).map(<[f32]>::to_vec)
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
        matches!((self.to_vec(), other.to_vec()), (Ok(ours), Ok(theirs)) if ours == theirs)
    }
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} values", self.len)
    }
}
