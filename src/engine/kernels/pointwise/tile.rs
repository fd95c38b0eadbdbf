//! The inner loops: tiles of the result held in registers.

use super::aside::Aside;
use super::finish::{Activate, Finish, load_bias, store};
use super::operands::{Left, Panels, Prefetch, Right};
use super::single::single;
use crate::element::Element;
use crate::simd::{Kernel, Simd};

/// Computes `rows` rows of one panel's columns. The panel is `width` columns wide.
///
/// # Safety
/// `left` is valid for reading `rows` rows, `panels.data` for reading `width` values for each of a row's, and `right` for
/// reading and writing `rows` rows of `columns <= width` values. `width` is one of [`next_width`].
#[inline(always)]
pub unsafe fn product<S: Simd>(
    simd: S,
    rows: usize,
    left: Left<S::Element>,
    panels: Panels<S::Element>,
    width: usize,
    right: Right<S::Element>,
    finish: Finish,
) {
    // SAFETY: by this function's contract.
    unsafe {
        if S::TILE_ROWS[3] > 0 && width == 4 * S::LANES {
            strip::<S, 4>(simd, rows, left, panels, right, finish);
        } else if S::TILE_ROWS[2] > 0 && width == 3 * S::LANES {
            strip::<S, 3>(simd, rows, left, panels, right, finish);
        } else if S::TILE_ROWS[1] > 0 && width == 2 * S::LANES {
            strip::<S, 2>(simd, rows, left, panels, right, finish);
        } else if S::Half::LANES < S::LANES && width == S::Half::LANES {
            strip::<S::Half, 1>(simd.half(), rows, left, panels, right, finish);
        } else {
            debug_assert_eq!(width, S::LANES);
            strip::<S, 1>(simd, rows, left, panels, right, finish);
        }
    }
}

/// Steps of the tiles of so many rows and columns, each of which takes `k`.
pub fn steps<S: Simd>(rows: usize, width: usize, k: usize) -> usize {
    let most = S::TILE_ROWS[width.div_ceil(S::LANES) - 1];
    rows.div_ceil(most) * k
}

/// The width of the first of the panels that cover `left` columns in the least time: narrow ones load more for a product, and
/// one of half a vector takes as long as one of a vector.
#[inline(always)]
pub fn next_width<S: Simd>(left: usize) -> usize {
    let half = if S::Half::LANES < S::LANES {
        S::Half::LANES
    } else {
        0
    };
    if S::TILE_ROWS[3] > 0 {
        let vectors = match left.div_ceil(S::LANES) {
            vectors @ 0..=4 => vectors,
            5 => 3,
            vectors if vectors % 3 == 0 => 3,
            _ => 4,
        };
        vectors * S::LANES
    } else if S::TILE_ROWS[1] > 0 && left > S::LANES {
        2 * S::LANES
    } else if left > half {
        S::LANES
    } else {
        half
    }
}

/// # Safety
/// As of [`product`], with a width of `N` vectors.
#[inline(always)]
unsafe fn strip<S: Simd, const N: usize>(
    simd: S,
    rows: usize,
    left: Left<S::Element>,
    panels: Panels<S::Element>,
    right: Right<S::Element>,
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
    // Each step of a tile fetches a part of the next panel's step: rounded up, so the first tiles may fetch all of it.
    let mut next = Prefetch {
        at: panels.next,
        bytes: (N * S::LANES * size_of::<S::Element>()).div_ceil(tiles),
    };
    let mut ahead = panels.ahead;
    let steps = left.segments * left.segment_len;
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
                    $($m if const { $m <= S::TILE_ROWS[N - 1] } => simd.call(Tiles::<_, $m, N> { tiles, left, panel, next, ahead, right, finish }),)*
                    _ => unreachable!(),
                }
            };
        }
        heights!(1 2 3 4 5 6 7 8 9 10 11 12);
        row += height * tiles;
        (next, ahead) = (next.after(tiles * steps), ahead.after(tiles * steps));
    }
}

/// Tiles of `M` rows and `N` vectors, one below the other. The fields are as in [`strip`].
struct Tiles<E, const M: usize, const N: usize> {
    tiles: usize,
    left: Left<E>,
    panel: *const E,
    next: Prefetch<E>,
    ahead: Prefetch<E>,
    right: Right<E>,
    finish: Finish,
}

/// Tiles to which a function is applied at once: few enough that they stay in the level 1 cache.
const TOGETHER: usize = 4;

impl<E: Element, const M: usize, const N: usize> Kernel<E> for Tiles<E, M, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = E>>(self, simd: S) {
        // SAFETY: made by `strip` alone, whose contract this is.
        let bias = unsafe { load_bias::<S, N>(simd, self.right) };
        let direct = S::MASKED || self.right.columns == N * S::LANES;
        let mut aside = (!direct).then(Aside::<E, M, N>::new);
        let later = self.finish.later::<S>();
        for tile in 0..self.tiles {
            // SAFETY: as above.
            unsafe {
                let (mut left, mut right) = (self.left.below(tile * M), self.right.below(tile * M));
                left.data = opaque(left.data);
                let below = right;
                if let Some(aside) = &mut aside {
                    right = aside.begin::<S>(right);
                }
                if M == 1 {
                    single::<S, N>(simd, bias, left, self.panel, right, self.finish);
                } else {
                    let steps = tile * left.segments * left.segment_len;
                    let fetch = [self.next.after(steps), self.ahead.after(steps)];
                    several::<S, M, N>(simd, bias, left, self.panel, fetch, right, self.finish);
                }
                if let Some(aside) = &aside {
                    aside.end(below);
                }
                if let Some(function) = later
                    && (tile % TOGETHER == TOGETHER - 1 || tile == self.tiles - 1)
                {
                    let first = tile - tile % TOGETHER;
                    simd.call(Activate::<E, N> {
                        rows: (tile + 1 - first) * M,
                        right: self.right.below(first * M),
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
    left: Left<S::Element>,
    mut panel: *const S::Element,
    [mut next, mut ahead]: [Prefetch<S::Element>; 2],
    right: Right<S::Element>,
    finish: Finish,
) {
    // SAFETY: by this function's contract.
    unsafe {
        let mut sums = [bias; M];
        // One without values in place of none: a loop that runs at least once begins with the sums in place.
        let segment_len = if left.segments > 0 {
            left.segment_len
        } else {
            0
        };
        let mut start = left.data;
        let mut segment = 0;
        loop {
            let x = opaque(start);
            if S::LANE_PRODUCTS {
                let width = N * S::LANES;
                let mut rows = [x; M];
                for row in 1..M {
                    rows[row] = opaque(rows[row - 1].add(left.stride));
                }
                if !simd.eight_steps(&mut sums, &mut rows, &mut panel, segment_len / 8) {
                    for _ in 0..segment_len / 8 {
                        lane_steps::<S, M, N>(simd, &mut sums, &mut rows, panel);
                        if S::PRODUCT_LANES == 4 {
                            let panel = panel.add(4 * width);
                            lane_steps::<S, M, N>(simd, &mut sums, &mut rows, panel);
                        }
                        panel = panel.add(8 * width);
                    }
                }
                if S::PRODUCT_LANES == 4 && segment_len % 8 >= 4 {
                    lane_steps::<S, M, N>(simd, &mut sums, &mut rows, panel);
                    panel = panel.add(4 * width);
                }
                for _ in 0..segment_len % S::PRODUCT_LANES {
                    let mut values = [simd.splat(0.0); M];
                    for (at, value) in rows.iter_mut().zip(&mut values) {
                        *value = simd.broadcast(**at);
                        *at = at.add(1);
                    }
                    let weights = load_columns::<S, N>(simd, panel);
                    add_lane::<S, M, N, 0>(simd, &mut sums, &values, weights);
                    panel = panel.add(N * S::LANES);
                }
            } else {
                let mut bases = [x; 4];
                for (base, row) in bases.iter_mut().zip((0..M).step_by(ROWS_OF_BASE)) {
                    *base = opaque(x.add(row * left.stride));
                }
                for _ in 0..segment_len / STEPS {
                    for step in 0..STEPS {
                        let weights = panel.add(step * N * S::LANES);
                        broadcast_step::<S, M, N>(
                            simd,
                            &mut sums,
                            &bases,
                            left.stride,
                            step,
                            weights,
                        );
                        simd.prefetch(next.after(step).at);
                        simd.prefetch_ahead(ahead.after(step).at);
                    }
                    bases = bases.map(|base| opaque(base.wrapping_add(STEPS)));
                    panel = panel.add(STEPS * N * S::LANES);
                    (next, ahead) = (next.after(STEPS), ahead.after(STEPS));
                }
                for step in 0..segment_len % STEPS {
                    broadcast_step::<S, M, N>(simd, &mut sums, &bases, left.stride, step, panel);
                    panel = panel.add(N * S::LANES);
                    (next, ahead) = (next.after(1), ahead.after(1));
                }
            }
            segment += 1;
            if segment >= left.segments {
                break;
            }
            start = left.segment(segment);
        }
        store(simd, sums, right, finish);
    }
}

/// Rows whose addresses x86-64 tells from one pointer and their distance. With a pointer for each there would not be registers
/// enough, and with one for all each row's is computed, by units that multiply-adds could use.
const ROWS_OF_BASE: usize = 3;

/// Steps written out: it takes a few instructions to move all pointers on.
const STEPS: usize = 4;

/// Adds a product to each of the sums: of the rows' values at `at`, from where `bases` says that every third of them begins.
///
/// # Safety
/// The rows are valid for reading there, and `weights` for reading `N` vectors.
#[inline(always)]
unsafe fn broadcast_step<S: Simd, const M: usize, const N: usize>(
    simd: S,
    sums: &mut [[S::V; N]; M],
    bases: &[*const S::Element; 4],
    stride: usize,
    at: usize,
    weights: *const S::Element,
) {
    // SAFETY: by this function's contract.
    unsafe {
        let weights = load_columns::<S, N>(simd, weights);
        for (row, sums) in sums.iter_mut().enumerate() {
            let base = bases[row / ROWS_OF_BASE];
            let value = simd.broadcast(*base.add(row % ROWS_OF_BASE * stride + at));
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum = simd.mul_add(weight, value, *sum);
            }
        }
    }
}

/// Adds as many products to each sum as there are lanes to take them of.
///
/// # Safety
/// Each of `rows` is valid for reading a vector of `PRODUCT_LANES` values, and `panel` for reading `PRODUCT_LANES * N`
/// vectors.
#[inline(always)]
unsafe fn lane_steps<S: Simd, const M: usize, const N: usize>(
    simd: S,
    sums: &mut [[S::V; N]; M],
    rows: &mut [*const S::Element; M],
    panel: *const S::Element,
) {
    debug_assert_eq!(S::PRODUCT_LANES, S::LANES);
    let mut values = [simd.splat(0.0); M];
    // SAFETY: by this function's contract.
    unsafe {
        for (at, value) in rows.iter_mut().zip(&mut values) {
            *value = simd.load(*at);
            *at = opaque(at.add(S::PRODUCT_LANES));
        }
        macro_rules! pairs {
            ($($first:literal)*) => {
                $(if $first < S::PRODUCT_LANES * N {
                    two_columns::<S, M, N, $first>(simd, sums, &values, panel);
                })*
            };
        }
        pairs!(0 2 4 6 8 10 12 14 16 18 20 22 24 26 28 30);
    }
}

/// Adds a product to the sums of two columns. Of the vectors of weights for all lanes, loads those from `FIRST` on: there
/// are registers for no more.
///
/// # Safety
/// `panel` is valid for reading `PRODUCT_LANES * N` vectors.
#[inline(always)]
unsafe fn two_columns<S: Simd, const M: usize, const N: usize, const FIRST: usize>(
    simd: S,
    sums: &mut [[S::V; N]; M],
    values: &[S::V; M],
    panel: *const S::Element,
) {
    // SAFETY: by this function's contract.
    let weights = unsafe { load_columns::<S, 2>(simd, panel.add(FIRST * S::LANES)) };
    for (sums, value) in sums.iter_mut().zip(values) {
        for (at, weight) in (FIRST..).zip(weights) {
            let sum = &mut sums[at % N];
            *sum = match at / N {
                0 => simd.mul_add_lane::<0>(weight, *value, *sum),
                1 => simd.mul_add_lane::<1>(weight, *value, *sum),
                2 => simd.mul_add_lane::<2>(weight, *value, *sum),
                3 => simd.mul_add_lane::<3>(weight, *value, *sum),
                4 => simd.mul_add_lane::<4>(weight, *value, *sum),
                5 => simd.mul_add_lane::<5>(weight, *value, *sum),
                6 => simd.mul_add_lane::<6>(weight, *value, *sum),
                _ => simd.mul_add_lane::<7>(weight, *value, *sum),
            };
        }
    }
    loads_stay();
}

/// The compiler moves no load from after this place to before it: it would run out of registers for what it loads.
#[inline(always)]
fn loads_stay() {
    // SAFETY: no instructions.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!("", options(nostack, preserves_flags))
    };
}

/// The same pointer, about which the compiler knows nothing. Otherwise it computes the address of each row from that of the
/// row before, in every step of the loop.
#[inline(always)]
pub(crate) fn opaque<E>(pointer: *const E) -> *const E {
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

#[inline(always)]
pub(super) fn add_lane<S: Simd, const M: usize, const N: usize, const LANE: i32>(
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
pub(super) unsafe fn load_columns<S: Simd, const N: usize>(
    simd: S,
    from: *const S::Element,
) -> [S::V; N] {
    let mut columns = [simd.splat(0.0); N];
    for (i, column) in columns.iter_mut().enumerate() {
        // SAFETY: by this function's contract.
        *column = unsafe { simd.load(from.add(i * S::LANES)) };
    }
    columns
}
