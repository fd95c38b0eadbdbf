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
mod tests {
    use half::f16;

    use super::*;

    const ACTIVATIONS: [Activation; 6] = [
        Activation::Identity,
        Activation::Clamp {
            low: 0.0,
            high: 6.0,
        },
        Activation::HardSwish,
        Activation::HardSigmoid {
            alpha: 0.2,
            beta: 0.5,
        },
        Activation::Sigmoid,
        Activation::Swish,
    ];

    fn values<E: Element>(len: usize, seed: usize) -> Vec<E> {
        (0..len)
            .map(|i| E::from_f32(((i * 37 + seed * 101) % 157) as f32 * 0.05 - 4.0))
            .collect()
    }

    fn assert_near<E: Element>(got: E, expected: f32, what: &str) {
        let got = got.to_f32();
        assert!(
            (got - expected).abs() <= 16.0 * E::EPSILON * expected.abs().max(1.0),
            "{what}: {got}, not {expected}"
        );
    }

    #[test]
    fn values_are_activated_and_added() {
        are_activated_and_added::<f32>();
        are_activated_and_added::<f16>();
    }

    fn are_activated_and_added<E: Element>() {
        for isa in Isa::computing::<E>() {
            for len in (0..70).chain([1000]) {
                for activation in ACTIVATIONS {
                    let (a, b) = (values::<E>(len, 1), values::<E>(len, 2));
                    let (mut alone, mut sum, mut in_place) =
                        (a.clone(), vec![E::default(); len], a.clone());
                    activate(isa, &mut alone, activation);
                    add(isa, &a, &b, activation, &mut sum);
                    add_in_place(isa, &mut in_place, &b, activation);
                    assert_eq!(sum, in_place);
                    for i in 0..len {
                        let (a, b) = (a[i].to_f32(), b[i].to_f32());
                        assert_near(alone[i], activation.scalar(a), isa.name());
                        assert_near(sum[i], activation.scalar(a + b), isa.name());
                    }
                }
            }
        }
    }

    #[test]
    fn channels_are_multiplied_and_shifted() {
        are_multiplied_and_shifted::<f32>();
        are_multiplied_and_shifted::<f16>();
    }

    fn are_multiplied_and_shifted<E: Element>() {
        const ROWS: usize = 5;
        let nine = E::from_f32(9.0);
        for isa in Isa::computing::<E>() {
            for channels in 1..40 {
                for (activation, gap) in ACTIVATIONS.into_iter().zip([0, 1, 2, 0, 3, 7]) {
                    let (stride, out_stride) = (channels + gap, channels + 7 - gap);
                    let x = values::<E>(ROWS * stride, 1);
                    let (scale, shift) = (values::<E>(channels, 2), values::<E>(channels, 3));
                    let (mut gated, mut shifted) =
                        (vec![nine; ROWS * out_stride], vec![nine; ROWS * out_stride]);
                    let from = Rows { data: &x, stride };
                    multiply_channels(
                        isa,
                        from,
                        ROWS,
                        &scale,
                        activation,
                        RowsMut {
                            data: &mut gated,
                            stride: out_stride,
                        },
                    );
                    scale_shift(
                        isa,
                        from,
                        ROWS,
                        &scale,
                        &shift,
                        activation,
                        RowsMut {
                            data: &mut shifted,
                            stride: out_stride,
                        },
                    );
                    let (mut gated_there, mut shifted_there) = (x.clone(), x.clone());
                    let there = RowsMut {
                        data: &mut gated_there,
                        stride,
                    };
                    multiply_channels_in_place(isa, there, ROWS, &scale, activation);
                    let there = RowsMut {
                        data: &mut shifted_there,
                        stride,
                    };
                    scale_shift_in_place(isa, there, ROWS, &scale, &shift, activation);
                    for row in 0..ROWS {
                        for c in 0..out_stride.max(stride) {
                            let (i, o) = (row * stride + c, row * out_stride + c);
                            if c < channels {
                                assert_near(
                                    gated[o],
                                    activation.scalar(x[i].to_f32() * scale[c].to_f32()),
                                    isa.name(),
                                );
                                assert_near(
                                    shifted[o],
                                    activation.scalar(
                                        x[i].to_f32() * scale[c].to_f32() + shift[c].to_f32(),
                                    ),
                                    isa.name(),
                                );
                                assert_eq!(
                                    (gated_there[i], shifted_there[i]),
                                    (gated[o], shifted[o])
                                );
                            } else if c < out_stride {
                                assert_eq!((gated[o], shifted[o]), (nine, nine), "more is written");
                            } else {
                                assert_eq!(
                                    (gated_there[i], shifted_there[i]),
                                    (x[i], x[i]),
                                    "more is written"
                                );
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "3 + 3 values into 4")]
    fn lengths_that_differ_are_refused() {
        add(
            Isa::available()[0],
            &[0.0f32; 3],
            &[0.0; 3],
            Activation::Identity,
            &mut [0.0; 4],
        );
    }

    #[test]
    #[should_panic(expected = "2 rows of 8 channels")]
    fn rows_that_are_missing_are_refused() {
        let x = RowsMut {
            data: &mut [0.0; 15],
            stride: 8,
        };
        multiply_channels_in_place(Isa::available()[0], x, 2, &[1.0; 8], Activation::Identity);
    }
}
