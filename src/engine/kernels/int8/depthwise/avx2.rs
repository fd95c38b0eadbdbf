//! Quads of x86-64 processors with AVX2.

use std::arch::x86_64::*;

use edge_classify_kernels::Avx2;

use super::quads::Quads;
use crate::simd::{LevelRange, Levels};

const BYTES: usize = <Avx2 as Quads>::BYTES;

// SAFETY: an `Avx2` proves the features, here and below.
unsafe impl Quads for Avx2 {
    type Levels = Avx2;
    type Bytes = __m256i;
    const OFFSET: i32 = 0;
    const ROWS: usize = 1;
    const MOST_SETS: usize = 1;
    const MASKED_BYTES: bool = false;

    #[inline(always)]
    fn levels(self) -> Avx2 {
        self
    }
    #[inline(always)]
    fn bytes(self, byte: u8) -> __m256i {
        unsafe { _mm256_set1_epi8(byte as i8) }
    }
    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8) -> __m256i {
        unsafe { _mm256_loadu_si256(from.cast()) }
    }
    #[inline(always)]
    unsafe fn load_parts<const SETS: usize>(
        self,
        from: *const u8,
        _: usize,
        count: usize,
    ) -> __m256i {
        let mut bytes = [0; BYTES];
        unsafe {
            bytes[..count].copy_from_slice(std::slice::from_raw_parts(from, count));
            self.load_bytes(bytes.as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8, v: __m256i) {
        unsafe { _mm256_storeu_si256(to.cast(), v) }
    }
    #[inline(always)]
    unsafe fn store_parts<const SETS: usize>(
        self,
        to: *mut u8,
        _: usize,
        count: usize,
        parts: usize,
        v: __m256i,
    ) {
        if parts == 0 {
            return;
        }
        let mut bytes = [0; BYTES];
        unsafe {
            self.store_bytes(bytes.as_mut_ptr(), v);
            std::slice::from_raw_parts_mut(to, count).copy_from_slice(&bytes[..count]);
        }
    }
    #[inline(always)]
    fn keep(self, v: __m256i, count: usize) -> __m256i {
        match count {
            BYTES.. => v,
            _ => self.bytes(Self::FLIP),
        }
    }
    #[inline(always)]
    fn quads(self, [a, b, c, d]: [__m256i; 4]) -> [__m256i; 4] {
        unsafe {
            let (low, high) = (_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b));
            let (low_2, high_2) = (_mm256_unpacklo_epi8(c, d), _mm256_unpackhi_epi8(c, d));
            let stored = [
                _mm256_unpacklo_epi16(low, low_2),
                _mm256_unpackhi_epi16(low, low_2),
                _mm256_unpacklo_epi16(high, high_2),
                _mm256_unpackhi_epi16(high, high_2),
            ];
            stored.map(|quad| _mm256_xor_si256(quad, self.bytes(Self::FLIP)))
        }
    }
    /// The instruction adds two products of a byte without a sign and one with it, in 16 bits: of magnitudes of at most 128
    /// and 127, which do not overflow.
    #[inline(always)]
    unsafe fn dot(self, sum: __m256i, quad: __m256i, weights: *const i8) -> __m256i {
        unsafe {
            let weights = _mm256_load_si256(weights.cast());
            let signed = _mm256_sign_epi8(weights, quad);
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(quad), signed);
            _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }
    #[inline(always)]
    unsafe fn store_integers(self, to: *mut i32, v: __m256i) {
        unsafe { _mm256_storeu_si256(to.cast(), v) }
    }
    #[inline(always)]
    fn pack(self, t: [__m256; 4], range: LevelRange) -> __m256i {
        let LevelRange {
            zero_point,
            low,
            high,
        } = range;
        let stored = |level: i8| self.bytes(level as u8 ^ Self::FLIP);
        unsafe {
            // Each step keeps to the bounds of its type, as far as a level's bounds can tell.
            let zero = _mm256_set1_epi16(i16::from(zero_point) + 128);
            let [a, b, c, d] = t.map(|t| self.round(t));
            let words = |a, b| _mm256_adds_epi16(_mm256_packs_epi32(a, b), zero);
            let bytes = _mm256_packus_epi16(words(a, b), words(c, d));
            _mm256_min_epu8(_mm256_max_epu8(bytes, stored(low)), stored(high))
        }
    }
}
