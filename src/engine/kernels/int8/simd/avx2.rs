//! Integers of x86-64 processors with AVX2.

use std::arch::x86_64::*;

use edge_classify_kernels::{Avx2, Simd};

use super::aside::Aside;
use super::{LevelKernel, LevelRange, Levels, ProductKernel, Products};

const LANES: usize = Avx2::LANES;

/// Where the sign of each level is.
#[inline(always)]
fn signs() -> __m128i {
    // SAFETY: part of the architecture's base.
    unsafe { _mm_set1_epi8(i8::MIN) }
}

// SAFETY: an `Avx2` proves the features, here and below.
unsafe impl Levels for Avx2 {
    type I = __m256i;
    const FLIP: u8 = 0x80;
    const MOST_STORED: usize = 2;

    #[inline(always)]
    fn call_levels<K: LevelKernel>(self, kernel: K) -> K::Output {
        unsafe { with_avx2(self, kernel) }
    }
    #[inline(always)]
    fn integers(self, value: i32) -> __m256i {
        unsafe { _mm256_set1_epi32(value) }
    }
    #[inline(always)]
    unsafe fn load_integers(self, from: *const i32) -> __m256i {
        unsafe { _mm256_loadu_si256(from.cast()) }
    }
    #[inline(always)]
    fn add_integers(self, a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_add_epi32(a, b) }
    }
    #[inline(always)]
    fn to_floats(self, a: __m256i) -> __m256 {
        unsafe { _mm256_cvtepi32_ps(a) }
    }
    #[inline(always)]
    fn round(self, a: __m256) -> __m256i {
        // In the mode that is never changed: to the nearest, ties to even.
        unsafe { _mm256_cvtps_epi32(a) }
    }
    #[inline(always)]
    unsafe fn load_levels(self, from: *const u8, count: usize) -> __m256i {
        let mut bytes = [0; LANES];
        unsafe {
            let from = match count {
                LANES => from,
                _ => {
                    bytes[..count].copy_from_slice(std::slice::from_raw_parts(from, count));
                    bytes.as_ptr()
                }
            };
            let bytes = _mm_loadl_epi64(from.cast());
            _mm256_cvtepi8_epi32(_mm_xor_si128(bytes, signs()))
        }
    }
    #[inline(always)]
    unsafe fn store_levels(self, to: *mut u8, count: usize, a: __m256i) {
        unsafe {
            let (first, second) = (_mm256_castsi256_si128(a), _mm256_extracti128_si256::<1>(a));
            let words = _mm_packs_epi32(first, second);
            let levels = _mm_xor_si128(_mm_packs_epi16(words, words), signs());
            if count == LANES {
                _mm_storel_epi64(to.cast(), levels);
            } else {
                let bytes = _mm_cvtsi128_si64(levels).to_le_bytes();
                std::slice::from_raw_parts_mut(to, count).copy_from_slice(&bytes[..count]);
            }
        }
    }

    #[inline(always)]
    fn call_products<K: ProductKernel>(self, kernel: K) -> K::Output {
        Words.call(self, kernel)
    }
    #[inline(always)]
    unsafe fn store_rounded<const M: usize, const N: usize>(
        self,
        values: &[[__m256; N]; M],
        to: *mut u8,
        stride: usize,
        columns: usize,
        range: LevelRange,
    ) {
        let mut aside = Aside::<M>::new();
        // SAFETY: by this function's contract.
        unsafe {
            if columns == N * LANES {
                return store_whole(values, to, stride, range);
            }
            store_whole(values, aside.start(), Aside::<M>::STRIDE, range);
            aside.copy(to, stride, columns);
        }
    }
}

/// In words, as products of bytes are added with saturation here: those with even numbers, then the others.
#[derive(Clone, Copy)]
struct Words;

// SAFETY: as above.
unsafe impl Products<Avx2> for Words {
    const SUM_ROWS: [usize; 4] = [6, 4, 0, 0];

    #[inline(always)]
    unsafe fn add<const M: usize, const N: usize>(
        self,
        _: Avx2,
        sums: &mut [[__m256i; N]; M],
        x: *const u8,
        stride: usize,
        weights: *const i8,
        steps: usize,
    ) {
        // SAFETY: by this function's contract.
        unsafe {
            let even_bytes = _mm256_set1_epi16(0xff);
            let (mut x, mut weights) = (x, weights);
            for _ in 0..steps {
                let mut columns = [[_mm256_setzero_si256(); 2]; N];
                for (i, column) in columns.iter_mut().enumerate() {
                    let bytes = _mm256_loadu_si256(weights.add(i * 4 * LANES).cast());
                    let even = _mm256_slli_epi16::<8>(bytes);
                    *column = [even, bytes].map(|words| _mm256_srai_epi16::<8>(words));
                }
                for (row, sums) in sums.iter_mut().enumerate() {
                    let from = x.add(row * stride).cast::<i32>();
                    let bytes = _mm256_set1_epi32(from.read_unaligned());
                    let even = _mm256_and_si256(bytes, even_bytes);
                    let odd = _mm256_srli_epi16::<8>(bytes);
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(even, column[0]));
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(odd, column[1]));
                    }
                }
                x = x.add(4);
                weights = weights.add(N * 4 * LANES);
            }
        }
    }
}

/// # Safety
/// In a kernel that [`Levels::call_levels`] runs, and as of [`Levels::store_rounded`] for all columns.
#[inline(always)]
unsafe fn store_whole<const M: usize, const N: usize>(
    values: &[[__m256; N]; M],
    to: *mut u8,
    stride: usize,
    range: LevelRange,
) {
    debug_assert!(N <= 2);
    let all = values.as_flattened();
    // SAFETY: by this function's contract.
    unsafe {
        let zero_point = _mm256_set1_epi16(i16::from(range.zero_point) + 128);
        let low = _mm256_set1_epi8(range.low ^ i8::MIN);
        let high = _mm256_set1_epi8(range.high ^ i8::MIN);
        // The packing instructions take four lanes of each vector in turn.
        let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        for first in (0..M * N).step_by(4) {
            let of = |i: usize| _mm256_cvtps_epi32(all[(first + i).min(M * N - 1)]);
            let words = _mm256_packs_epi32(of(0), of(1));
            let more = _mm256_packs_epi32(of(2), of(3));
            let bytes = _mm256_packus_epi16(
                _mm256_adds_epi16(words, zero_point),
                _mm256_adds_epi16(more, zero_point),
            );
            let bytes = _mm256_min_epu8(_mm256_max_epu8(bytes, low), high);
            let bytes = _mm256_permutevar8x32_epi32(bytes, order);
            let halves = [
                _mm256_castsi256_si128(bytes),
                _mm256_extracti128_si256::<1>(bytes),
            ];
            for (i, half) in halves.into_iter().enumerate() {
                let row = (first + 2 * i) / N;
                let to = to.wrapping_add(row * stride);
                if N == 2 && row < M {
                    _mm_storeu_si128(to.cast(), half);
                }
                if N == 1 && row < M {
                    _mm_storel_epi64(to.cast(), half);
                }
                if N == 1 && row + 1 < M {
                    let second = _mm_unpackhi_epi64(half, half);
                    _mm_storel_epi64(to.wrapping_add(stride).cast(), second);
                }
            }
        }
    }
}

#[inline(never)]
#[target_feature(enable = "avx2,fma")]
unsafe fn with_avx2<K: LevelKernel>(simd: Avx2, kernel: K) -> K::Output {
    kernel.run(simd)
}
