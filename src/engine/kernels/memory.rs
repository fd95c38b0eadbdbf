//! Memory for weights, and for the values between layers.
//!
//! Tens of megabytes that are written once: got from the system page by page as they are touched, they take about as long
//! as all of reading and packing. So they are asked for at once, in large pages where the system has them.

use std::fmt;
use std::io;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

use half::f16;
use memmap2::{Advice, MmapMut};

/// A cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

/// Bytes in a cache line.
pub const LINE: usize = 64;

/// In a large page, of most systems.
const LARGE_PAGE: usize = 2 << 20;

/// What memory holds.
///
/// # Safety
/// Any bits are a value, and there are no others than its own: slices of values are made of aligned bytes.
pub unsafe trait Plain: Copy + Send + Sync + 'static {}

// SAFETY: here and below, all bits are its own.
unsafe impl Plain for f32 {}
unsafe impl Plain for f16 {}
unsafe impl Plain for i32 {}
unsafe impl Plain for i8 {}
unsafe impl Plain for u8 {}

/// Memory to be taken in pieces; it lasts as long as any of them.
pub struct Memory {
    /// The map, the offset in it of what is free, and where that ends.
    free: Option<(Arc<MmapMut>, NonNull<u8>, usize, usize)>,
}

/// Values, zero at first, from the beginning of a cache line on.
pub struct Lines<E = f32> {
    start: NonNull<E>,
    len: usize,
    /// Frees them.
    _owner: Owner,
}

enum Owner {
    Alone { _lines: Vec<Line> },
    Shared { _map: Arc<MmapMut> },
}

// SAFETY: no two have the same values, and what frees them can be sent and shared.
unsafe impl<E: Plain> Send for Lines<E> {}
// SAFETY: as above.
unsafe impl<E: Plain> Sync for Lines<E> {}

impl Memory {
    /// For pieces of so many bytes.
    ///
    /// # Errors
    /// If there is not so much memory, or it is beyond the addresses of a 32-bit system.
    pub fn new(pieces: impl IntoIterator<Item = usize>) -> io::Result<Memory> {
        let mut pieces = pieces.into_iter();
        let len = pieces.try_fold(0_usize, |len, piece| {
            len.checked_add(piece.checked_next_multiple_of(LINE)?)
        });
        // Only what lies in whole large pages can be in one.
        let slack = |len| if len < LARGE_PAGE { 0 } else { LARGE_PAGE };
        let whole = len.and_then(|len| len.checked_add(slack(len)));
        let (Some(len), Some(whole)) = (len, whole) else {
            return Err(io::ErrorKind::OutOfMemory.into());
        };
        if len == 0 {
            return Ok(Memory::none());
        }
        let mut map = MmapMut::map_anon(whole)?;
        let start = map.as_mut_ptr();
        let offset = match whole - len {
            0 => 0,
            slack => start.align_offset(LARGE_PAGE).min(slack),
        };
        // A system without them goes on with small ones.
        #[cfg(target_os = "linux")]
        let _ = map.advise_range(Advice::HugePage, offset, len);
        let start = NonNull::new(start).expect("what is mapped is not null");
        Ok(Memory {
            free: Some((Arc::new(map), start, offset, offset + len)),
        })
    }

    /// With no room: every piece gets memory of its own.
    pub fn none() -> Memory {
        Memory { free: None }
    }

    /// The next piece, of so many values; of its own memory if there is no room for it.
    pub fn take<E: Plain>(&mut self, len: usize) -> Lines<E> {
        let size = (len * size_of::<E>()).next_multiple_of(LINE);
        let Some((map, start, offset, end)) = &mut self.free else {
            return Lines::alone(len);
        };
        if size == 0 || *end - *offset < size {
            return Lines::alone(len);
        }
        // All of it is going to be written; a system that cannot do this waits until it is.
        #[cfg(target_os = "linux")]
        let _ = map.advise_range(Advice::PopulateWrite, *offset, size);
        // SAFETY: the piece ends before the map does. It begins at a multiple of a cache line, as the map and all pieces
        // before do.
        let piece = unsafe { start.add(*offset) }.cast();
        *offset += size;
        Lines {
            start: piece,
            len,
            _owner: Owner::Shared { _map: map.clone() },
        }
    }
}

impl<E: Plain> Lines<E> {
    fn alone(len: usize) -> Lines<E> {
        let mut lines = vec![Line([0; LINE]); (len * size_of::<E>()).div_ceil(LINE)];
        let start = NonNull::new(lines.as_mut_ptr()).expect("a vector's pointer is not null");
        Lines {
            start: start.cast(),
            len,
            _owner: Owner::Alone { _lines: lines },
        }
    }

    /// Where they are.
    pub fn addresses(&self) -> Range<usize> {
        let start = self.start.as_ptr().addr();
        start..start + self.len * size_of::<E>()
    }

    #[inline(always)]
    pub fn values(&self) -> &[E] {
        // SAFETY: so many values lie there, whose bytes were zero at first, and nobody else has them.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    #[inline(always)]
    pub fn values_mut(&mut self) -> &mut [E] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

/// Bytes as values of another type.
///
/// # Panics
/// If they do not begin where such a value may, or end within one.
#[inline(always)]
pub fn values_of<E: Plain>(bytes: &[u8]) -> &[E] {
    // SAFETY: any bits are a value.
    let (before, values, after) = unsafe { bytes.align_to() };
    assert!(before.is_empty() && after.is_empty(), "no whole values");
    values
}

/// As [`values_of`], to be written.
///
/// # Panics
/// As [`values_of`].
#[inline(always)]
pub fn values_of_mut<E: Plain>(bytes: &mut [u8]) -> &mut [E] {
    // SAFETY: as above, and all bits of a value are bytes.
    let (before, values, after) = unsafe { bytes.align_to_mut() };
    assert!(before.is_empty() && after.is_empty(), "no whole values");
    values
}

impl<E> fmt::Debug for Lines<E> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} values", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begins_a_line(lines: &Lines) -> bool {
        lines.values().as_ptr().align_offset(align_of::<Line>()) == 0
    }

    #[test]
    fn pieces_are_zeros_and_their_own() {
        // Small pages, and large ones.
        for factor in [1, 10_000] {
            let lens = [1, 16, 17, 0, 50, 100].map(|len| len * factor);
            let mut memory = Memory::new(lens.map(|len| 4 * len)).unwrap();
            // One more than there is room for.
            let mut pieces: Vec<Lines> = lens.iter().map(|len| memory.take(*len)).collect();
            pieces.push(memory.take(33));
            drop(memory);
            for (i, piece) in pieces.iter_mut().enumerate() {
                assert!(begins_a_line(piece));
                assert!(piece.values().iter().all(|value| *value == 0.0));
                piece.values_mut().fill(i as f32 + 1.0);
            }
            drop(pieces.remove(0));
            for (i, (piece, len)) in pieces.iter().zip(&lens[1..]).enumerate() {
                assert_eq!(piece.values().len(), *len);
                assert!(piece.values().iter().all(|value| *value == i as f32 + 2.0));
            }
        }
    }

    #[test]
    fn without_room_every_piece_is_there_too() {
        let pieces = [
            Memory::none(),
            Memory::new([]).unwrap(),
            Memory::new([64]).unwrap(),
        ];
        for mut memory in pieces {
            for len in [0, 5, 1000, 3] {
                let piece: Lines = memory.take(len);
                assert!(begins_a_line(&piece));
                assert_eq!(piece.values(), vec![0.0; len]);
            }
        }
    }

    #[test]
    fn more_than_there_is_is_an_error() {
        for pieces in [[usize::MAX, 0], [usize::MAX - 64, 100], [usize::MAX / 2, 1]] {
            assert!(Memory::new(pieces).is_err());
        }
    }
}
