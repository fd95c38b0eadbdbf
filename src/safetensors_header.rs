//! What a safetensors file says of itself, read without its tensors.

use std::io::{self, Read};

use safetensors::tensor::Metadata;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum HeaderError {
    #[error(transparent)]
    Read(#[from] io::Error),
    /// It begins as no safetensors file does.
    #[error("{0}")]
    Foreign(String),
    #[error("{0}")]
    Damaged(String),
}

/// The length of the header, before it.
const LEN: u64 = size_of::<u64>() as u64;

/// Longest header that the format allows.
const MOST: u64 = 100_000_000;

/// Where the tensors begin, and what the header says, if that accounts for all `len` bytes of the file.
pub fn read(file: &mut impl Read, len: u64) -> Result<(u64, Metadata), HeaderError> {
    let Some(rest) = len.checked_sub(LEN) else {
        return Err(HeaderError::Foreign(format!("it has {len} bytes")));
    };
    let mut header = [0; LEN as usize];
    file.read_exact(&mut header)?;
    let header = u64::from_le_bytes(header);
    if header > rest.min(MOST) {
        let problem = format!("it announces a header of {header} bytes, and {rest} follow");
        return Err(match header > MOST {
            true => HeaderError::Foreign(problem),
            false => HeaderError::Damaged(problem),
        });
    }
    let mut json = vec![0; header as usize];
    file.read_exact(&mut json)?;
    // Checks that the tensors follow each other without gaps, and that their sizes are those of their shapes.
    let metadata: Metadata =
        serde_json::from_slice(&json).map_err(|error| HeaderError::Damaged(error.to_string()))?;
    let (tensors, rest) = (metadata.data_len() as u64, rest - header);
    if tensors != rest {
        let problem = format!("its tensors have {tensors} bytes, and {rest} follow the header");
        return Err(HeaderError::Damaged(problem));
    }
    Ok((LEN + header, metadata))
}
