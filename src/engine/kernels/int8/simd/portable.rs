//! Integers for any processor.

use edge_classify_kernels::{Portable, Simd};

use super::{LevelKernel, LevelRange, Levels, ProductKernel, Products};

const LANES: usize = Portable::LANES;

// SAFETY: needs no features.
unsafe impl Levels for Portable {
    type I = [i32; LANES];
    const FLIP: u8 = 0;
    const MOST_STORED: usize = 1;

    #[inline(always)]
    fn call_levels<K: LevelKernel>(self, kernel: K) -> K::Output {
        with_portable(self, kernel)
    }
    #[inline(always)]
    fn integers(self, value: i32) -> Self::I {
        [value; LANES]
    }
    #[inline(always)]
    unsafe fn load_integers(self, from: *const i32) -> Self::I {
        // SAFETY: by this function's contract; an array of i32 has the alignment of i32.
        unsafe { from.cast::<Self::I>().read() }
    }
    #[inline(always)]
    fn add_integers(self, a: Self::I, b: Self::I) -> Self::I {
        std::array::from_fn(|i| a[i].wrapping_add(b[i]))
    }
    #[inline(always)]
    fn to_floats(self, a: Self::I) -> Self::V {
        a.map(|a| a as f32)
    }
    #[inline(always)]
    fn round(self, a: Self::V) -> Self::I {
        a.map(|a| a.round_ties_even() as i32)
    }
    #[inline(always)]
    unsafe fn load_levels(self, from: *const u8, count: usize) -> Self::I {
        let mut levels = [0; LANES];
        // SAFETY: by this function's contract.
        let bytes = unsafe { std::slice::from_raw_parts(from, count) };
        for (level, byte) in levels.iter_mut().zip(bytes) {
            *level = i32::from((byte ^ Self::FLIP) as i8);
        }
        levels
    }
    #[inline(always)]
    unsafe fn store_levels(self, to: *mut u8, count: usize, a: Self::I) {
        // SAFETY: by this function's contract.
        let bytes = unsafe { std::slice::from_raw_parts_mut(to, count) };
        for (byte, level) in bytes.iter_mut().zip(a) {
            let level = level.clamp(i32::from(i8::MIN), i32::from(i8::MAX)) as i8;
            *byte = level as u8 ^ Self::FLIP;
        }
    }

    #[inline(always)]
    fn call_products<K: ProductKernel>(self, kernel: K) -> K::Output {
        Scalars.call(self, kernel)
    }
    #[inline(always)]
    unsafe fn store_rounded<const M: usize, const N: usize>(
        self,
        values: &[[Self::V; N]; M],
        to: *mut u8,
        stride: usize,
        columns: usize,
        range: LevelRange,
    ) {
        let [zero_point, low, high] = [range.zero_point, range.low, range.high].map(i32::from);
        for (row, values) in values.iter().enumerate() {
            for (i, values) in values.iter().enumerate() {
                let count = columns.saturating_sub(i * LANES).min(LANES);
                let levels = self.round(*values);
                let levels = levels.map(|level| (level + zero_point).max(low).min(high));
                // SAFETY: by this function's contract; where no column is left, nothing is stored.
                unsafe {
                    self.store_levels(to.wrapping_add(row * stride + i * LANES), count, levels)
                };
            }
        }
    }
}

/// One product after the other.
#[derive(Clone, Copy)]
struct Scalars;

// SAFETY: as above.
unsafe impl Products<Portable> for Scalars {
    const SUM_ROWS: [usize; 4] = [4, 0, 0, 0];

    #[inline(always)]
    unsafe fn add<const M: usize, const N: usize>(
        self,
        _: Portable,
        sums: &mut [[[i32; LANES]; N]; M],
        x: *const u8,
        stride: usize,
        weights: *const i8,
        steps: usize,
    ) {
        for step in 0..steps {
            for n in 0..N {
                // SAFETY: by this function's contract, here and below.
                let weights = unsafe { weights.add((step * N + n) * 4 * LANES) };
                let weights = unsafe { weights.cast::<[[i8; 4]; LANES]>().read() };
                for (row, sums) in sums.iter_mut().enumerate() {
                    let levels = unsafe { x.add(row * stride + 4 * step).cast::<[i8; 4]>().read() };
                    for (sum, weights) in sums[n].iter_mut().zip(weights) {
                        for (level, weight) in levels.into_iter().zip(weights) {
                            *sum += i32::from(level) * i32::from(weight);
                        }
                    }
                }
            }
        }
    }
}

#[inline(never)]
fn with_portable<K: LevelKernel>(simd: Portable, kernel: K) -> K::Output {
    kernel.run(simd)
}
