//! Passes over values for which no other kernel had a place.

use super::{Activation, Element, Isa, Kernel, Rows, RowsMut, Simd};

/// Calls `$body` with `$activation` a constant, so that its loop holds nothing else.
macro_rules! specialise {
    ($activation:ident, $body:expr) => {
        match $activation {
            Activation::Identity => {
                let $activation = Activation::Identity;
                $body
            }
            Activation::Clamp { low, high } => {
                let $activation = Activation::Clamp { low, high };
                $body
            }
            Activation::HardSwish => {
                let $activation = Activation::HardSwish;
                $body
            }
            Activation::HardSigmoid { alpha, beta } => {
                let $activation = Activation::HardSigmoid { alpha, beta };
                $body
            }
            Activation::Sigmoid => {
                let $activation = Activation::Sigmoid;
                $body
            }
            Activation::Swish => {
                let $activation = Activation::Swish;
                $body
            }
        }
    };
}

/// `values[i] = activation(values[i])`
pub fn activate<E: Element>(isa: Isa, values: &mut [E], activation: Activation) {
    let (to, len) = (values.as_mut_ptr(), values.len());
    let kernel = Pass {
        operands: Unary(to),
        to,
        len,
        activation,
    };
    E::activate(isa, kernel);
}

/// `out[i] = activation(a[i] + b[i])`
///
/// # Panics
/// If the lengths differ.
pub fn add<E: Element>(isa: Isa, a: &[E], b: &[E], activation: Activation, out: &mut [E]) {
    assert!(
        a.len() == b.len() && a.len() == out.len(),
        "{} + {} values into {}",
        a.len(),
        b.len(),
        out.len()
    );
    let operands = Sum(a.as_ptr(), b.as_ptr());
    let kernel = Pass {
        operands,
        to: out.as_mut_ptr(),
        len: out.len(),
        activation,
    };
    E::add(isa, kernel);
}

/// `values[i] = activation(values[i] + other[i])`
///
/// # Panics
/// If the lengths differ.
pub fn add_in_place<E: Element>(isa: Isa, values: &mut [E], other: &[E], activation: Activation) {
    assert_eq!(values.len(), other.len(), "as many values to add");
    let (to, len) = (values.as_mut_ptr(), values.len());
    let kernel = Pass {
        operands: Sum(to, other.as_ptr()),
        to,
        len,
        activation,
    };
    E::add(isa, kernel);
}

/// What a pass over values computes from those at a place.
pub trait Operands<E: Element> {
    /// # Safety
    /// The operands are valid for reading `count` values at `i`, and `count <= LANES`.
    unsafe fn at<S: Simd<Element = E>>(&self, simd: S, i: usize, count: usize) -> S::V;
}

pub struct Unary<E>(*const E);
pub struct Sum<E>(*const E, *const E);

impl<E: Element> Operands<E> for Unary<E> {
    #[inline(always)]
    unsafe fn at<S: Simd<Element = E>>(&self, simd: S, i: usize, count: usize) -> S::V {
        // SAFETY: by this function's contract.
        unsafe { some(simd, self.0.add(i), count) }
    }
}

impl<E: Element> Operands<E> for Sum<E> {
    #[inline(always)]
    unsafe fn at<S: Simd<Element = E>>(&self, simd: S, i: usize, count: usize) -> S::V {
        // SAFETY: by this function's contract.
        unsafe {
            simd.add(
                some(simd, self.0.add(i), count),
                some(simd, self.1.add(i), count),
            )
        }
    }
}

/// # Safety
/// `from` is valid for reading `count` values, and `count <= LANES`.
#[inline(always)]
unsafe fn some<S: Simd>(simd: S, from: *const S::Element, count: usize) -> S::V {
    // SAFETY: by this function's contract.
    unsafe {
        if count == S::LANES {
            simd.load(from)
        } else {
            simd.load_first(from, count)
        }
    }
}

/// # Safety
/// `to` is valid for writing `count` values, and `count <= LANES`.
#[inline(always)]
unsafe fn put<S: Simd>(simd: S, to: *mut S::Element, count: usize, v: S::V) {
    // SAFETY: by this function's contract.
    unsafe {
        if count == S::LANES {
            simd.store(to, v)
        } else {
            simd.store_first(to, count, v)
        }
    }
}

/// Made by the functions above, with `len` values in `to` and in each operand.
pub struct Pass<E, O> {
    operands: O,
    to: *mut E,
    len: usize,
    activation: Activation,
}

impl<E: Element, O: Operands<E>> Kernel<E> for Pass<E, O> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = E>>(self, simd: S) {
        let Pass {
            operands,
            to,
            len,
            activation,
        } = self;
        let whole = len - len % S::LANES;
        specialise!(activation, {
            // SAFETY: the places are below `len`.
            unsafe {
                let mut i = 0;
                while i < whole {
                    simd.store(
                        to.add(i),
                        activation.apply(simd, operands.at(simd, i, S::LANES)),
                    );
                    i += S::LANES;
                }
                if whole < len {
                    let v = operands.at(simd, whole, len - whole);
                    simd.store_first(to.add(whole), len - whole, activation.apply(simd, v));
                }
            }
        });
    }
}

/// `out[r, c] = activation(x[r, c] * gate[c])` for the first `rows` pixels and as many channels as `gate` has: how
/// squeeze-excite scales its input.
///
/// # Panics
/// If there are fewer pixels.
pub fn multiply_channels<E: Element>(
    isa: Isa,
    x: Rows<E>,
    rows: usize,
    gate: &[E],
    activation: Activation,
    out: RowsMut<E>,
) {
    x.check(rows, gate.len());
    out.check(rows, gate.len());
    let (from, to) = (
        (x.data.as_ptr(), x.stride),
        (out.data.as_mut_ptr(), out.stride),
    );
    let kernel = PerChannel {
        from,
        to,
        rows,
        scale: gate,
        shift: None,
        activation,
    };
    E::per_channel(isa, kernel);
}

/// [`multiply_channels`] onto its input.
///
/// # Panics
/// If there are fewer pixels.
pub fn multiply_channels_in_place<E: Element>(
    isa: Isa,
    x: RowsMut<E>,
    rows: usize,
    gate: &[E],
    activation: Activation,
) {
    x.check(rows, gate.len());
    let to = (x.data.as_mut_ptr(), x.stride);
    let kernel = PerChannel {
        from: (to.0, to.1),
        to,
        rows,
        scale: gate,
        shift: None,
        activation,
    };
    E::per_channel(isa, kernel);
}

/// `out[r, c] = activation(x[r, c] * scale[c] + shift[c])` for the first `rows` pixels: batch normalisation that is not
/// part of a convolution's weights.
///
/// # Panics
/// If there are fewer pixels, or the lengths of `scale` and `shift` differ.
pub fn scale_shift<E: Element>(
    isa: Isa,
    x: Rows<E>,
    rows: usize,
    scale: &[E],
    shift: &[E],
    activation: Activation,
    out: RowsMut<E>,
) {
    assert_eq!(scale.len(), shift.len(), "a shift for each channel");
    x.check(rows, scale.len());
    out.check(rows, scale.len());
    let (from, to) = (
        (x.data.as_ptr(), x.stride),
        (out.data.as_mut_ptr(), out.stride),
    );
    let kernel = PerChannel {
        from,
        to,
        rows,
        scale,
        shift: Some(shift),
        activation,
    };
    E::per_channel(isa, kernel);
}

/// [`scale_shift`] onto its input.
///
/// # Panics
/// As [`scale_shift`].
pub fn scale_shift_in_place<E: Element>(
    isa: Isa,
    x: RowsMut<E>,
    rows: usize,
    scale: &[E],
    shift: &[E],
    activation: Activation,
) {
    assert_eq!(scale.len(), shift.len(), "a shift for each channel");
    x.check(rows, scale.len());
    let to = (x.data.as_mut_ptr(), x.stride);
    let kernel = PerChannel {
        from: (to.0, to.1),
        to,
        rows,
        scale,
        shift: Some(shift),
        activation,
    };
    E::per_channel(isa, kernel);
}

/// Made by the functions above: both ends have `rows` pixels of as many channels as `scale` and `shift` have.
pub struct PerChannel<'a, E> {
    from: (*const E, usize),
    to: (*mut E, usize),
    rows: usize,
    scale: &'a [E],
    shift: Option<&'a [E]>,
    activation: Activation,
}

impl<E: Element> Kernel<E> for PerChannel<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = E>>(self, simd: S) {
        let PerChannel {
            from,
            to,
            rows,
            scale,
            shift,
            activation,
        } = self;
        let channels = scale.len();
        specialise!(activation, {
            for row in 0..rows {
                let mut c = 0;
                while c < channels {
                    let count = S::LANES.min(channels - c);
                    // SAFETY: pixel `row` has `count` values from `c` on at both ends, as have `scale` and `shift`.
                    unsafe {
                        let v = some(simd, from.0.add(row * from.1 + c), count);
                        let by = some(simd, scale.as_ptr().add(c), count);
                        let v = match shift {
                            Some(shift) => {
                                simd.mul_add(v, by, some(simd, shift.as_ptr().add(c), count))
                            }
                            None => simd.mul(v, by),
                        };
                        put(
                            simd,
                            to.0.add(row * to.1 + c),
                            count,
                            activation.apply(simd, v),
                        );
                    }
                    c += S::LANES;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests;
