//! The inner loops: tiles of the result held in registers.

use super::operands::{Finish, Left, Panels, Right};
use crate::activation::Activation;
use crate::simd::{Kernel, Simd};

/// Computes `rows` rows of one panel's columns. The panel is `width` columns wide.
///
/// # Safety
/// `left` is valid for reading `rows` rows, `panels.data` for reading `width` values for each of a row's, and `right` for
/// reading and writing `rows` rows of `columns <= width` values. `width` is one of [`widths`].
#[inline(always)]
pub unsafe fn product<S: Simd>(
    simd: S,
    rows: usize,
    left: Left,
    panels: Panels,
    width: usize,
    right: Right,
    finish: Finish,
) {
    // SAFETY: by this function's contract.
    unsafe {
        if S::TILE_ROWS[1] > 0 && width == 2 * S::LANES {
            strip::<S, 2>(simd, rows, left, panels, right, finish);
        } else if S::Half::LANES < S::LANES && width == S::Half::LANES {
            strip::<S::Half, 1>(simd.half(), rows, left, panels, right, finish);
        } else {
            debug_assert_eq!(width, S::LANES);
            strip::<S, 1>(simd, rows, left, panels, right, finish);
        }
    }
}

/// The widths of panel that [`product`] takes, from the widest; zero for none.
#[inline(always)]
pub fn widths<S: Simd>() -> [usize; 3] {
    let two = if S::TILE_ROWS[1] > 0 { 2 * S::LANES } else { 0 };
    let half = if S::Half::LANES < S::LANES {
        S::Half::LANES
    } else {
        0
    };
    [two, S::LANES, half]
}

/// # Safety
/// As of [`product`], with a width of `N` vectors.
#[inline(always)]
unsafe fn strip<S: Simd, const N: usize>(
    simd: S,
    rows: usize,
    left: Left,
    panels: Panels,
    right: Right,
    finish: Finish,
) {
    let most = S::TILE_ROWS[N - 1];
    if rows == 0 || most == 0 {
        return;
    }
    // Tiles of about the same height, since a low one waits for its own sums: first the higher ones.
    let tiles = rows.div_ceil(most);
    let low = rows / tiles;
    let high_tiles = rows % tiles;
    let mut row = 0;
    // Each step of a tile fetches a part of the next panel's step.
    let fetch = N * S::LANES / tiles;
    let steps = left.segments * left.segment_len;
    let mut ahead = panels.next;
    for (height, tiles) in [(low + 1, high_tiles), (low, tiles - high_tiles)] {
        if tiles == 0 {
            continue;
        }
        // SAFETY: by this function's contract, as row + height * tiles <= rows.
        let (left, right) = unsafe { (left.below(row), right.below(row)) };
        let panel = panels.data;
        macro_rules! heights {
            ($($m:literal)*) => {
                match height {
                    $($m if $m <= most => simd.call(Tiles::<$m, N> { tiles, left, panel, ahead, fetch, right, finish }),)*
                    _ => unreachable!(),
                }
            };
        }
        heights!(1 2 3 4 5 6 7 8 9 10 11 12);
        row += height * tiles;
        ahead = ahead.wrapping_add(tiles * steps * fetch);
    }
}

/// Tiles of `M` rows and `N` vectors, one below the other. The fields are as in [`strip`].
struct Tiles<const M: usize, const N: usize> {
    tiles: usize,
    left: Left,
    panel: *const f32,
    /// What the first tile fetches into the cache, and how many values of it in each step.
    ahead: *const f32,
    fetch: usize,
    right: Right,
    finish: Finish,
}

impl<const M: usize, const N: usize> Kernel for Tiles<M, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        // SAFETY: made by `strip` alone, whose contract this is.
        let bias = unsafe { load_bias::<S, N>(simd, self.right) };
        for tile in 0..self.tiles {
            // SAFETY: as above.
            unsafe {
                let (mut left, right) = (self.left.below(tile * M), self.right.below(tile * M));
                left.data = opaque(left.data);
                if M == 1 {
                    single::<S, N>(simd, bias, left, self.panel, right, self.finish);
                } else {
                    let steps = left.segments * left.segment_len;
                    let ahead = self.ahead.wrapping_add(tile * steps * self.fetch);
                    let fetch = self.fetch;
                    several::<S, M, N>(
                        simd,
                        bias,
                        left,
                        self.panel,
                        (ahead, fetch),
                        right,
                        self.finish,
                    );
                }
                if let Some(function) = self.finish.function {
                    simd.call(Activate {
                        rows: M,
                        right,
                        function,
                    });
                }
            }
        }
    }
}

/// A tile of `M` rows.
///
/// # Safety
/// As of [`strip`] with as many rows.
#[inline(always)]
unsafe fn several<S: Simd, const M: usize, const N: usize>(
    simd: S,
    bias: [S::V; N],
    left: Left,
    mut panel: *const f32,
    (mut ahead, fetch): (*const f32, usize),
    right: Right,
    finish: Finish,
) {
    // SAFETY: by this function's contract.
    unsafe {
        let mut sums = [bias; M];
        for segment in 0..left.segments {
            let x = opaque(left.data.add(segment * left.segment_stride));
            if S::LANE_PRODUCTS {
                let mut rows = [x; M];
                for (row, at) in rows.iter_mut().enumerate() {
                    *at = opaque(x.add(row * left.stride));
                }
                for _ in 0..left.segment_len / 4 {
                    let mut values = [simd.splat(0.0); M];
                    for (at, value) in rows.iter_mut().zip(&mut values) {
                        *value = simd.load(*at);
                        *at = at.add(4);
                    }
                    // The weights are loaded a step ahead, for processors that execute in order.
                    let step = N * S::LANES;
                    let first = load_columns::<S, N>(simd, panel);
                    let second = load_columns::<S, N>(simd, panel.add(step));
                    add_lane::<S, M, N, 0>(simd, &mut sums, &values, first);
                    let third = load_columns::<S, N>(simd, panel.add(2 * step));
                    add_lane::<S, M, N, 1>(simd, &mut sums, &values, second);
                    let fourth = load_columns::<S, N>(simd, panel.add(3 * step));
                    add_lane::<S, M, N, 2>(simd, &mut sums, &values, third);
                    add_lane::<S, M, N, 3>(simd, &mut sums, &values, fourth);
                    panel = panel.add(4 * step);
                }
                for _ in 0..left.segment_len % 4 {
                    let mut values = [simd.splat(0.0); M];
                    for (at, value) in rows.iter_mut().zip(&mut values) {
                        *value = simd.splat(**at);
                        *at = at.add(1);
                    }
                    let weights = load_columns::<S, N>(simd, panel);
                    add_lane::<S, M, N, 0>(simd, &mut sums, &values, weights);
                    panel = panel.add(N * S::LANES);
                }
            } else {
                for k in 0..left.segment_len {
                    let weights = load_columns::<S, N>(simd, panel);
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let value = simd.splat(*x.add(row * left.stride + k));
                        for (sum, weight) in sums.iter_mut().zip(weights) {
                            *sum = simd.mul_add(weight, value, *sum);
                        }
                    }
                    panel = panel.add(N * S::LANES);
                    simd.fetch(ahead);
                    ahead = ahead.wrapping_add(fetch);
                }
            }
        }
        store(simd, sums, right, finish);
    }
}

/// How many values the weights of a tile of one row, which are used once, are fetched ahead.
const AHEAD: usize = 1024;

/// A tile of one row: several sums for each column, so that none waits for itself.
///
/// # Safety
/// As of [`strip`] with one row.
#[inline(always)]
unsafe fn single<S: Simd, const N: usize>(
    simd: S,
    bias: [S::V; N],
    left: Left,
    mut panel: *const f32,
    right: Right,
    finish: Finish,
) {
    // SAFETY: by this function's contract.
    unsafe {
        let mut sums = [[simd.splat(0.0); N]; 4];
        sums[0] = bias;
        for segment in 0..left.segments {
            let x = left.data.add(segment * left.segment_stride);
            let step = N * S::LANES;
            for k in 0..left.segment_len / 4 {
                let x = x.add(4 * k);
                if S::LANE_PRODUCTS {
                    let value = [simd.load(x)];
                    let [first, second, third, fourth] = sums.each_mut().map(std::array::from_mut);
                    add_lane::<S, 1, N, 0>(simd, first, &value, load_columns::<S, N>(simd, panel));
                    add_lane::<S, 1, N, 1>(
                        simd,
                        second,
                        &value,
                        load_columns::<S, N>(simd, panel.add(step)),
                    );
                    add_lane::<S, 1, N, 2>(
                        simd,
                        third,
                        &value,
                        load_columns::<S, N>(simd, panel.add(2 * step)),
                    );
                    add_lane::<S, 1, N, 3>(
                        simd,
                        fourth,
                        &value,
                        load_columns::<S, N>(simd, panel.add(3 * step)),
                    );
                } else {
                    for (i, sums) in sums.iter_mut().enumerate() {
                        add_one::<S, N>(simd, sums, x.add(i), panel.add(i * step));
                        for vector in 0..N {
                            simd.fetch(panel.wrapping_add(AHEAD + i * step + vector * S::LANES));
                        }
                    }
                }
                panel = panel.add(4 * step);
            }
            for k in left.segment_len / 4 * 4..left.segment_len {
                add_one::<S, N>(simd, &mut sums[0], x.add(k), panel);
                panel = panel.add(step);
            }
        }
        let [mut total, rest @ ..] = sums;
        for sums in rest {
            for (total, sum) in total.iter_mut().zip(sums) {
                *total = simd.add(*total, sum);
            }
        }
        store(simd, [total], right, finish);
    }
}

/// The same pointer, about which the compiler knows nothing. Otherwise it computes the address of each row from that of the
/// row before, in every step of the loop.
#[inline(always)]
fn opaque(pointer: *const f32) -> *const f32 {
    #[cfg(all(any(target_arch = "aarch64", target_arch = "x86_64"), not(miri)))]
    #[allow(
        clippy::pointers_in_nomem_asm_block,
        reason = "it is not followed there"
    )]
    let pointer = {
        let mut same = pointer;
        // SAFETY: no instructions.
        unsafe {
            std::arch::asm!("/* {0} */", inout(reg) same, options(pure, nomem, nostack, preserves_flags))
        };
        same
    };
    pointer
}

/// # Safety
/// `x` is valid for reading, and `panel` for reading `N` vectors.
#[inline(always)]
unsafe fn add_one<S: Simd, const N: usize>(
    simd: S,
    sums: &mut [S::V; N],
    x: *const f32,
    panel: *const f32,
) {
    // SAFETY: by this function's contract.
    let (value, weights) = unsafe { (simd.splat(*x), load_columns::<S, N>(simd, panel)) };
    for (sum, weight) in sums.iter_mut().zip(weights) {
        *sum = simd.mul_add(weight, value, *sum);
    }
}

#[inline(always)]
fn add_lane<S: Simd, const M: usize, const N: usize, const LANE: i32>(
    simd: S,
    sums: &mut [[S::V; N]; M],
    values: &[S::V; M],
    weights: [S::V; N],
) {
    for (sums, value) in sums.iter_mut().zip(values) {
        for (sum, weight) in sums.iter_mut().zip(weights) {
            *sum = simd.mul_add_lane::<LANE>(weight, *value, *sum);
        }
    }
}

/// # Safety
/// `from` is valid for reading `N` vectors.
#[inline(always)]
unsafe fn load_columns<S: Simd, const N: usize>(simd: S, from: *const f32) -> [S::V; N] {
    let mut columns = [simd.splat(0.0); N];
    for (i, column) in columns.iter_mut().enumerate() {
        // SAFETY: by this function's contract.
        *column = unsafe { simd.load(from.add(i * S::LANES)) };
    }
    columns
}

/// # Safety
/// `right.bias` is null or valid for reading `right.columns` values.
#[inline(always)]
unsafe fn load_bias<S: Simd, const N: usize>(simd: S, right: Right) -> [S::V; N] {
    let mut sums = [simd.splat(0.0); N];
    if !right.bias.is_null() {
        for (i, sum) in sums.iter_mut().enumerate() {
            let count = columns_of::<S>(right.columns, i);
            // SAFETY: by this function's contract.
            *sum = unsafe { simd.load_first(right.bias.wrapping_add(i * S::LANES), count) };
        }
    }
    sums
}

/// How many of `columns` are in the `i`-th vector.
#[inline(always)]
fn columns_of<S: Simd>(columns: usize, i: usize) -> usize {
    columns.saturating_sub(i * S::LANES).min(S::LANES)
}

/// # Safety
/// `right` is valid for reading and writing `M` rows.
#[inline(always)]
unsafe fn store<S: Simd, const M: usize, const N: usize>(
    simd: S,
    mut sums: [[S::V; N]; M],
    right: Right,
    finish: Finish,
) {
    let whole = right.columns == N * S::LANES;
    // SAFETY: by this function's contract; a vector without columns is not touched.
    unsafe {
        if !right.residual.is_null() {
            for (row, sums) in sums.iter_mut().enumerate() {
                let from = right.residual.add(row * right.residual_stride);
                for (i, sum) in sums.iter_mut().enumerate() {
                    let from = from.wrapping_add(i * S::LANES);
                    let addend = if whole {
                        simd.load(from)
                    } else {
                        simd.load_first(from, columns_of::<S>(right.columns, i))
                    };
                    *sum = simd.add(*sum, addend);
                }
            }
        }
        if let Some((low, high)) = finish.bounds {
            let (low, high) = (simd.splat(low), simd.splat(high));
            for sum in sums.as_flattened_mut() {
                *sum = simd.min(simd.max(*sum, low), high);
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            let to = right.data.add(row * right.stride);
            for (i, sum) in sums.iter().enumerate() {
                let to = to.wrapping_add(i * S::LANES);
                if whole {
                    simd.store(to, *sum);
                } else {
                    simd.store_first(to, columns_of::<S>(right.columns, i), *sum);
                }
            }
        }
    }
}

/// Applies a function to `rows` rows, for reading and writing which `right` is valid.
struct Activate {
    rows: usize,
    right: Right,
    function: Activation,
}

impl Kernel for Activate {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Activate {
            rows,
            right,
            function,
        } = self;
        for row in 0..rows {
            let mut column = 0;
            while column < right.columns {
                let count = (right.columns - column).min(S::LANES);
                // SAFETY: by the fields' contract.
                unsafe {
                    let at = right.data.add(row * right.stride + column);
                    if count == S::LANES {
                        simd.store(at, function.apply(simd, simd.load(at)));
                    } else {
                        simd.store_first(
                            at,
                            count,
                            function.apply(simd, simd.load_first(at, count)),
                        );
                    }
                }
                column += S::LANES;
            }
        }
    }
}
