//! Factors of the input's channels, applied to pixels or to weights, whichever are fewer.

use crate::simd::Simd;

/// Multiplies each value by its factor.
#[inline(always)]
pub fn scale_row<S: Simd>(
    simd: S,
    row: &[S::Element],
    factors: &[S::Element],
    scaled: &mut [S::Element],
) {
    let len = row.len();
    assert!(factors.len() >= len && scaled.len() >= len);
    let (row, factors, scaled) = (row.as_ptr(), factors.as_ptr(), scaled.as_mut_ptr());
    let mut i = 0;
    // SAFETY: the three have `len` values.
    unsafe {
        while i + 4 * S::LANES <= len {
            for at in [i, i + S::LANES, i + 2 * S::LANES, i + 3 * S::LANES] {
                let v = simd.mul(simd.load(row.add(at)), simd.load(factors.add(at)));
                simd.store(scaled.add(at), v);
            }
            i += 4 * S::LANES;
        }
        while i < len {
            let count = S::LANES.min(len - i);
            if count == S::LANES {
                let v = simd.mul(simd.load(row.add(i)), simd.load(factors.add(i)));
                simd.store(scaled.add(i), v);
            } else {
                let v = simd.mul(
                    simd.load_first(row.add(i), count),
                    simd.load_first(factors.add(i), count),
                );
                simd.store_first(scaled.add(i), count, v);
            }
            i += S::LANES;
        }
    }
}

/// Multiplies each run of `width` weights by its factor.
#[inline(always)]
pub fn scale_panel<S: Simd>(
    simd: S,
    weights: &[S::Element],
    factors: &[S::Element],
    width: usize,
    scaled: &mut [S::Element],
) {
    for ((from, to), factor) in weights
        .chunks_exact(width)
        .zip(scaled.chunks_exact_mut(width))
        .zip(factors)
    {
        let factor = simd.broadcast(*factor);
        for (from, to) in from.chunks(S::LANES).zip(to.chunks_mut(S::LANES)) {
            // SAFETY: both have so many values.
            unsafe {
                if from.len() == S::LANES {
                    simd.store(to.as_mut_ptr(), simd.mul(simd.load(from.as_ptr()), factor));
                } else {
                    let v = simd.mul(simd.load_first(from.as_ptr(), from.len()), factor);
                    simd.store_first(to.as_mut_ptr(), from.len(), v);
                }
            }
        }
    }
}
