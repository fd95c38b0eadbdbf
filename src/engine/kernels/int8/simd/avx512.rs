//! Integers of x86-64 processors with AVX-512 and its instructions for neural networks.

use std::arch::x86_64::*;

use edge_classify_kernels::{Avx512, Simd};

use super::{LevelKernel, LevelRange, Levels, ProductKernel, Products};

/// Whether the processor multiplies bytes, and moves some of a vector's. As all features of the vectors are asked for,
/// the f32 vectors' are among them.
pub fn has_levels() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
}

#[inline(always)]
fn mask(count: usize) -> __mmask16 {
    ((1u32 << count) - 1) as __mmask16
}

/// Where the sign of each level is.
#[inline(always)]
fn signs() -> __m128i {
    // SAFETY: part of the architecture's base.
    unsafe { _mm_set1_epi8(i8::MIN) }
}

// SAFETY: `call_levels` runs nothing where the processor lacks what is used here.
unsafe impl Levels for Avx512 {
    type I = __m512i;
    const FLIP: u8 = 0x80;
    const MOST_STORED: usize = 2;

    #[inline(always)]
    fn call_levels<K: LevelKernel>(self, kernel: K) -> K::Output {
        assert!(has_levels(), "a processor that multiplies bytes");
        // SAFETY: there are the features, here and in all that the kernel calls.
        unsafe { with_avx512(self, kernel) }
    }
    #[inline(always)]
    fn integers(self, value: i32) -> __m512i {
        unsafe { _mm512_set1_epi32(value) }
    }
    #[inline(always)]
    unsafe fn load_integers(self, from: *const i32) -> __m512i {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    fn add_integers(self, a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_add_epi32(a, b) }
    }
    #[inline(always)]
    fn to_floats(self, a: __m512i) -> __m512 {
        unsafe { _mm512_cvtepi32_ps(a) }
    }
    #[inline(always)]
    fn round(self, a: __m512) -> __m512i {
        // In the mode that is never changed: to the nearest, ties to even.
        unsafe { _mm512_cvtps_epi32(a) }
    }
    #[inline(always)]
    unsafe fn load_levels(self, from: *const u8, count: usize) -> __m512i {
        unsafe {
            let bytes = _mm_maskz_loadu_epi8(mask(count), from.cast());
            _mm512_cvtepi8_epi32(_mm_xor_si128(bytes, signs()))
        }
    }
    #[inline(always)]
    unsafe fn load_above<const N: usize>(
        self,
        from: *const u8,
        count: usize,
        zero_point: i8,
    ) -> [__m512i; N] {
        let offset = self.integers(-i32::from(zero_point) - 128);
        let mut above = [offset; N];
        for (i, above) in above.iter_mut().enumerate() {
            let count = count.saturating_sub(i * Self::LANES).min(Self::LANES);
            let from = from.wrapping_add(i * Self::LANES);
            // SAFETY: by this function's contract; nothing is read where no byte is left.
            let bytes = unsafe { _mm_maskz_loadu_epi8(mask(count), from.cast()) };
            *above = self.add_integers(unsafe { _mm512_cvtepu8_epi32(bytes) }, offset);
        }
        above
    }
    #[inline(always)]
    unsafe fn store_levels(self, to: *mut u8, count: usize, a: __m512i) {
        unsafe {
            let bytes = _mm_xor_si128(_mm512_cvtsepi32_epi8(a), signs());
            _mm_mask_storeu_epi8(to.cast(), mask(count), bytes);
        }
    }

    #[inline(always)]
    fn call_products<K: ProductKernel>(self, kernel: K) -> K::Output {
        Bytes.call(self, kernel)
    }
    #[inline(always)]
    unsafe fn store_rounded<const M: usize, const N: usize>(
        self,
        values: &[[__m512; N]; M],
        to: *mut u8,
        stride: usize,
        columns: usize,
        range: LevelRange,
    ) {
        debug_assert!(N <= 2);
        let all = values.as_flattened();
        let of = |i: usize| self.round(all[i.min(M * N - 1)]);
        // SAFETY: by this function's contract.
        unsafe {
            let zero_point = _mm512_set1_epi16(i16::from(range.zero_point) + 128);
            let low = _mm512_set1_epi8(range.low ^ i8::MIN);
            let high = _mm512_set1_epi8(range.high ^ i8::MIN);
            // The packing instructions take four lanes of each vector in turn.
            let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            for first in (0..M * N).step_by(4) {
                let words = _mm512_packs_epi32(of(first), of(first + 1));
                let more = _mm512_packs_epi32(of(first + 2), of(first + 3));
                let (words, more) = (
                    _mm512_adds_epi16(words, zero_point),
                    _mm512_adds_epi16(more, zero_point),
                );
                let bytes = _mm512_packus_epi16(words, more);
                let bytes = _mm512_min_epu8(_mm512_max_epu8(bytes, low), high);
                let bytes = _mm512_permutexvar_epi32(order, bytes);
                let row = to.add(first / N * stride);
                if N == 2 {
                    let mask = u32::MAX >> (32 - columns);
                    let halves = [
                        _mm512_castsi512_si256(bytes),
                        _mm512_extracti64x4_epi64::<1>(bytes),
                    ];
                    for (i, half) in halves.into_iter().enumerate().take(M - first / N) {
                        _mm256_mask_storeu_epi8(row.add(i * stride).cast(), mask, half);
                    }
                } else {
                    let quarters = [
                        _mm512_castsi512_si128(bytes),
                        _mm512_extracti32x4_epi32::<1>(bytes),
                        _mm512_extracti32x4_epi32::<2>(bytes),
                        _mm512_extracti32x4_epi32::<3>(bytes),
                    ];
                    for (i, quarter) in quarters.into_iter().enumerate().take(M - first) {
                        _mm_mask_storeu_epi8(row.add(i * stride).cast(), mask(columns), quarter);
                    }
                }
            }
        }
    }
}

/// Sums of four products of bytes.
#[derive(Clone, Copy)]
struct Bytes;

// SAFETY: as above.
unsafe impl Products<Avx512> for Bytes {
    const SUM_ROWS: [usize; 4] = [12, 12, 0, 0];

    #[inline(always)]
    unsafe fn add<const M: usize, const N: usize>(
        self,
        simd: Avx512,
        sums: &mut [[__m512i; N]; M],
        x: *const u8,
        stride: usize,
        mut weights: *const i8,
        steps: usize,
    ) {
        let mut bases = [x; 4];
        for (i, base) in bases.iter_mut().enumerate().take(M.div_ceil(ROWS_OF_BASE)) {
            *base = opaque(x.wrapping_add(i * ROWS_OF_BASE * stride));
        }
        // A sum waits for the one before it: where there are few, those of each step are kept by themselves.
        let mut chains = [[[simd.integers(0); N]; M]; STEPS];
        // SAFETY: by this function's contract.
        unsafe {
            for _ in 0..steps / STEPS {
                for (step, chain) in chains.iter_mut().enumerate() {
                    let sums = if M * N <= FEW { chain } else { &mut *sums };
                    let weights = weights.add(step * N * STEP_BYTES);
                    add_step(sums, &bases, stride, 4 * step, weights);
                }
                bases = bases.map(|base| opaque(base.wrapping_add(4 * STEPS)));
                weights = weights.add(STEPS * N * STEP_BYTES);
            }
            if M * N <= FEW {
                for chain in &chains {
                    for (sum, other) in sums.as_flattened_mut().iter_mut().zip(chain.as_flattened())
                    {
                        *sum = simd.add_integers(*sum, *other);
                    }
                }
            }
            for step in 0..steps % STEPS {
                add_step(sums, &bases, stride, 4 * step, weights);
                weights = weights.add(N * STEP_BYTES);
            }
        }
    }
}

/// Rows whose addresses are told from one pointer and their distance: there are no registers for a pointer to each.
const ROWS_OF_BASE: usize = 3;

/// Steps written out: it takes a few instructions to move all pointers on.
const STEPS: usize = 4;

/// So many sums, and those of `STEPS` steps fit the registers.
const FEW: usize = 4;

/// Of a step's weights for a vector of sums.
const STEP_BYTES: usize = 64;

/// The same pointer, about which the compiler knows nothing. Otherwise it computes the address of each row from that of
/// the row before, in every step of a loop.
#[inline(always)]
fn opaque(pointer: *const u8) -> *const u8 {
    let mut same = pointer;
    #[allow(
        clippy::pointers_in_nomem_asm_block,
        reason = "it is not followed there"
    )]
    // SAFETY: no instructions.
    unsafe {
        std::arch::asm!("/* {0} */", inout(reg) same, options(pure, nomem, nostack, preserves_flags))
    };
    same
}

/// Adds four products to each of the sums: of the rows' bytes at `at`, from where `bases` says that every third of them
/// begins.
///
/// # Safety
/// In a kernel that [`Levels::call_levels`] runs. The rows are valid for reading four bytes there, and `weights` for
/// `N` vectors.
#[inline(always)]
unsafe fn add_step<const M: usize, const N: usize>(
    sums: &mut [[__m512i; N]; M],
    bases: &[*const u8; 4],
    stride: usize,
    at: usize,
    weights: *const i8,
) {
    // SAFETY: by this function's contract.
    unsafe {
        let mut columns = [_mm512_setzero_si512(); N];
        for (i, column) in columns.iter_mut().enumerate() {
            *column = _mm512_loadu_si512(weights.add(i * STEP_BYTES).cast());
        }
        for (row, sums) in sums.iter_mut().enumerate() {
            let from = bases[row / ROWS_OF_BASE].add(row % ROWS_OF_BASE * stride + at);
            let levels = _mm512_set1_epi32(from.cast::<i32>().read_unaligned());
            for (sum, column) in sums.iter_mut().zip(columns) {
                *sum = _mm512_dpbusd_epi32(*sum, levels, column);
            }
        }
    }
}

#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma")]
unsafe fn with_avx512<K: LevelKernel>(simd: Avx512, kernel: K) -> K::Output {
    kernel.run(simd)
}
