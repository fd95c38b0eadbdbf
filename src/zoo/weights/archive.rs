//! The zip archive of a PyTorch checkpoint, looked at before the reader does.

use std::fs::File;
use std::io::{BufReader, Read};

use zip::{CompressionMethod, ZipArchive};

/// Largest pickle: it describes tensors, and does not hold their values.
const MAX_PICKLE: u64 = 64 << 20;

/// The pickle of the archive, once every entry is known to take no more memory than it has in the file.
pub(super) fn pickle(file: &File) -> Result<Vec<u8>, String> {
    let damaged = |error: &dyn std::fmt::Display| format!("its zip archive is damaged ({error})");
    let file = file.try_clone().map_err(|error| damaged(&error))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| damaged(&error))?;
    let mut pickles = Vec::new();
    for index in 0..archive.len() {
        let entry = archive
            .by_index_raw(index)
            .map_err(|error| damaged(&error))?;
        let name = entry
            .name()
            .map_err(|error| damaged(&error))?
            .escape_debug()
            .to_string();
        if entry.encrypted() {
            return Err(format!("its entry {name} is encrypted"));
        }
        // PyTorch never compresses. A few compressed bytes could become gigabytes.
        if entry.compression() != CompressionMethod::Stored
            || entry.compressed_size() != entry.size()
        {
            return Err(format!(
                "its entry {name} is compressed, as PyTorch never does; save it again with PyTorch"
            ));
        }
        if name == "data.pkl" || name.ends_with("/data.pkl") {
            pickles.push((index, entry.size()));
        }
    }
    let [(index, size)] = pickles[..] else {
        return Err(format!(
            "it is a zip archive with {} data.pkl, and a checkpoint has one",
            pickles.len()
        ));
    };
    if size > MAX_PICKLE {
        return Err(format!("its data.pkl has {size} bytes, too many"));
    }
    let mut pickle = Vec::new();
    let entry = archive.by_index(index).map_err(|error| damaged(&error))?;
    entry
        .take(MAX_PICKLE)
        .read_to_end(&mut pickle)
        .map_err(|error| damaged(&error))?;
    Ok(pickle)
}
