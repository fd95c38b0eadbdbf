//! Instructions that multiply bytes: a processor may have some that others with the same vectors have not.

use edge_classify_kernels::Isa;

use super::{LevelKernel, Levels, run};

/// The largest depth of a step.
pub const MOST_DEPTH: usize = 8;

/// How bytes are multiplied and added to the sums of a processor's vectors.
///
/// # Safety
/// `SUM_ROWS` and `DEPTH` are no more than [`MOST_DEPTH`] and what kernels have tiles for; who makes one has found the
/// instructions.
pub unsafe trait Products<S: Levels>: Copy {
    /// Rows of the tile of sums, one to four vectors wide, that leaves registers for the operands of a matrix product;
    /// 0 where such a tile does not fit.
    const SUM_ROWS: [usize; 4];
    /// Weights of a column that are multiplied in a step, at most [`MOST_DEPTH`]. What is left over of a column is
    /// padded to one step more.
    const DEPTH: usize = 4;

    /// Where the weight `i` of `k` is for a column of a panel of `width`, which is a multiple of `LANES`.
    #[inline(always)]
    fn place(width: usize, _k: usize, column: usize, i: usize) -> usize {
        (i / 4 * width + column) * 4 + i % 4
    }

    /// Adds the products of so many steps to the sums of `M` rows and `N` vectors: row `r` of the stored bytes begins
    /// at `x + r * stride`.
    ///
    /// # Safety
    /// Each row is valid for reading `steps * DEPTH` bytes, and `weights` for `steps * DEPTH * N * LANES`. No weight is
    /// -128.
    unsafe fn add<const M: usize, const N: usize>(
        self,
        simd: S,
        sums: &mut [[S::I; N]; M],
        x: *const u8,
        stride: usize,
        weights: *const i8,
        steps: usize,
    );

    /// Runs a kernel in a function of its own, as [`Levels::call_levels`] does.
    #[inline(always)]
    fn call<K: ProductKernel>(self, simd: S, kernel: K) -> K::Output {
        simd.call_levels(Call(simd, self, kernel))
    }
}

/// A kernel that multiplies bytes, with its arguments.
pub trait ProductKernel {
    type Output;

    /// Must be `#[inline(always)]`, and so must be all it calls that uses `simd`.
    fn run<S: Levels, P: Products<S>>(self, simd: S, products: P) -> Self::Output;
}

struct Call<S, P, K>(S, P, K);

impl<S: Levels, P: Products<S>, K: ProductKernel> LevelKernel for Call<S, P, K> {
    type Output = K::Output;

    #[inline(always)]
    fn run<Same: Levels>(self, _: Same) -> K::Output {
        self.2.run(self.0, self.1)
    }
}

/// Chooses the instructions for a kernel.
struct Choose<K>(K);

impl<K: ProductKernel> LevelKernel for Choose<K> {
    type Output = K::Output;

    #[inline(always)]
    fn run<S: Levels>(self, simd: S) -> K::Output {
        simd.call_products(self.0)
    }
}

/// Runs `kernel` with an instruction set's vectors and the best of the processor's instructions for products.
pub fn run_products<K: ProductKernel>(isa: Isa, kernel: K) -> K::Output {
    run(isa, Choose(kernel))
}
