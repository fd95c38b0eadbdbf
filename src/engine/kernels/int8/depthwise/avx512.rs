//! Quads of x86-64 processors with AVX-512 and its instructions for neural networks.

use std::arch::x86_64::*;

use edge_classify_kernels::Avx512;

use super::quads::Quads;
use crate::simd::{LevelRange, Levels};

/// The first `count` of 64.
#[inline(always)]
fn mask(count: usize) -> __mmask64 {
    match count {
        64.. => !0,
        _ => (1 << count) - 1,
    }
}

// SAFETY: run where `Levels` runs kernels, with the same features.
unsafe impl Quads for Avx512 {
    type Levels = Avx512;
    type Bytes = __m512i;
    const OFFSET: i32 = 128;
    const ROWS: usize = 2;
    const MOST_SETS: usize = 4;
    const MASKED_BYTES: bool = true;

    #[inline(always)]
    fn levels(self) -> Avx512 {
        self
    }
    #[inline(always)]
    fn bytes(self, byte: u8) -> __m512i {
        unsafe { _mm512_set1_epi8(byte as i8) }
    }
    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8) -> __m512i {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    unsafe fn load_parts<const SETS: usize>(
        self,
        from: *const u8,
        apart: usize,
        count: usize,
    ) -> __m512i {
        unsafe {
            let at = |set: usize| from.wrapping_add(set * apart).cast();
            let mask = mask(count);
            match SETS {
                1 => _mm512_maskz_loadu_epi8(mask, at(0)),
                2 => {
                    let part = |set| _mm256_maskz_loadu_epi8(mask as __mmask32, at(set));
                    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(part(0)), part(1))
                }
                _ => {
                    let part = |set| _mm_maskz_loadu_epi8(mask as __mmask16, at(set));
                    let v = _mm512_castsi128_si512(part(0));
                    let v = _mm512_inserti32x4::<1>(v, part(1));
                    let v = _mm512_inserti32x4::<2>(v, part(2));
                    _mm512_inserti32x4::<3>(v, part(3))
                }
            }
        }
    }
    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8, v: __m512i) {
        unsafe { _mm512_storeu_si512(to.cast(), v) }
    }
    #[inline(always)]
    unsafe fn store_parts<const SETS: usize>(
        self,
        to: *mut u8,
        apart: usize,
        count: usize,
        parts: usize,
        v: __m512i,
    ) {
        unsafe {
            for set in 0..SETS {
                if set >= parts {
                    break;
                }
                let to = to.wrapping_add(set * apart).cast();
                let mask = mask(count);
                match (SETS, set) {
                    (1, _) => _mm512_mask_storeu_epi8(to, mask, v),
                    (2, 0) => {
                        let part = _mm512_castsi512_si256(v);
                        _mm256_mask_storeu_epi8(to, mask as __mmask32, part);
                    }
                    (2, _) => {
                        let part = _mm512_extracti64x4_epi64::<1>(v);
                        _mm256_mask_storeu_epi8(to, mask as __mmask32, part);
                    }
                    _ => {
                        let part = match set {
                            0 => _mm512_castsi512_si128(v),
                            1 => _mm512_extracti32x4_epi32::<1>(v),
                            2 => _mm512_extracti32x4_epi32::<2>(v),
                            _ => _mm512_extracti32x4_epi32::<3>(v),
                        };
                        _mm_mask_storeu_epi8(to, mask as __mmask16, part);
                    }
                }
            }
        }
    }
    #[inline(always)]
    fn keep(self, v: __m512i, count: usize) -> __m512i {
        unsafe { _mm512_maskz_mov_epi8(mask(count), v) }
    }
    #[inline(always)]
    fn quads(self, [a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
        unsafe {
            let (low, high) = (_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b));
            let (low_2, high_2) = (_mm512_unpacklo_epi8(c, d), _mm512_unpackhi_epi8(c, d));
            [
                _mm512_unpacklo_epi16(low, low_2),
                _mm512_unpackhi_epi16(low, low_2),
                _mm512_unpacklo_epi16(high, high_2),
                _mm512_unpackhi_epi16(high, high_2),
            ]
        }
    }
    #[inline(always)]
    unsafe fn dot(self, sum: __m512i, quad: __m512i, weights: *const i8) -> __m512i {
        unsafe { _mm512_dpbusd_epi32(sum, quad, _mm512_load_si512(weights.cast())) }
    }
    #[inline(always)]
    unsafe fn store_integers(self, to: *mut i32, v: __m512i) {
        unsafe { _mm512_storeu_si512(to.cast(), v) }
    }
    #[inline(always)]
    fn pack(self, t: [__m512; 4], range: LevelRange) -> __m512i {
        let LevelRange {
            zero_point,
            low,
            high,
        } = range;
        let stored = |level: i8| self.bytes(level as u8 ^ Self::FLIP);
        unsafe {
            // Each step keeps to the bounds of its type, as far as a level's bounds can tell.
            let zero = _mm512_set1_epi16(i16::from(zero_point) + 128);
            let [a, b, c, d] = t.map(|t| self.round(t));
            let words = |a, b| _mm512_adds_epi16(_mm512_packs_epi32(a, b), zero);
            let bytes = _mm512_packus_epi16(words(a, b), words(c, d));
            _mm512_min_epu8(_mm512_max_epu8(bytes, stored(low)), stored(high))
        }
    }
}
