//! What values are stored and computed in.

use std::fmt::Debug;

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::activation::{Exponential, OF_F16, OF_F32};
use super::compiled::Compiled;
use super::memory::Plain;
use super::simd::{Isa, Kernel};

/// f32, or half as many bytes with 11 bits of precision: f16 (IEEE 754 binary16).
pub trait Element: Compiled + Plain + Debug + Default + PartialEq + PartialOrd {
    /// From 1 to the next value.
    const EPSILON: f32;
    /// Rows that are added up in a sum of this type before the sum joins the others', which are of f32: bounds how far
    /// rounding adds up.
    const BATCH: usize;
    const EXPONENTIAL: Exponential;

    /// The nearest value.
    fn from_f32(value: f32) -> Self;
    fn to_f32(self) -> f32;
    /// [`Element::from_f32`] of many.
    ///
    /// # Panics
    /// If the lengths differ.
    fn narrow(from: &[f32], to: &mut [Self]);
    /// [`Element::to_f32`] of many.
    ///
    /// # Panics
    /// If the lengths differ.
    fn widen(from: &[Self], to: &mut [f32]);
    /// The values themselves, if they are f32.
    fn as_single(_values: &[Self]) -> Option<&[f32]> {
        None
    }
    /// As [`Element::as_single`], to be written.
    fn as_single_mut(_values: &mut [Self]) -> Option<&mut [f32]> {
        None
    }
    /// Whether the processor computes in this type with these instructions.
    fn computed_by(isa: Isa) -> bool;
    /// Runs `kernel` with the instructions' vectors.
    ///
    /// # Panics
    /// If they [compute](Element::computed_by) in another type alone.
    fn run<K: Kernel<Self>>(isa: Isa, kernel: K) -> K::Output;
    /// [`Element::run`] with wide vectors.
    fn run_wide<K: Kernel<Self>>(isa: Isa, kernel: K) -> K::Output;
}

impl Element for f32 {
    const EPSILON: f32 = f32::EPSILON;
    const BATCH: usize = 64;
    const EXPONENTIAL: Exponential = OF_F32;

    fn from_f32(value: f32) -> f32 {
        value
    }
    fn to_f32(self) -> f32 {
        self
    }
    fn narrow(from: &[f32], to: &mut [f32]) {
        to.copy_from_slice(from);
    }
    fn widen(from: &[f32], to: &mut [f32]) {
        to.copy_from_slice(from);
    }
    fn as_single(values: &[f32]) -> Option<&[f32]> {
        Some(values)
    }
    fn as_single_mut(values: &mut [f32]) -> Option<&mut [f32]> {
        Some(values)
    }
    fn computed_by(_: Isa) -> bool {
        true
    }
    #[inline]
    fn run<K: Kernel<f32>>(isa: Isa, kernel: K) -> K::Output {
        isa.run_single(kernel)
    }
    #[inline]
    fn run_wide<K: Kernel<f32>>(isa: Isa, kernel: K) -> K::Output {
        isa.run_single_wide(kernel)
    }
}

impl Element for f16 {
    const EPSILON: f32 = 1.0 / 1024.0;
    const BATCH: usize = 8;
    const EXPONENTIAL: Exponential = OF_F16;

    fn from_f32(value: f32) -> f16 {
        f16::from_f32(value)
    }
    fn to_f32(self) -> f32 {
        f16::to_f32(self)
    }
    fn narrow(from: &[f32], to: &mut [f16]) {
        to.convert_from_f32_slice(from);
    }
    fn widen(from: &[f16], to: &mut [f32]) {
        from.convert_to_f32_slice(to);
    }
    fn computed_by(isa: Isa) -> bool {
        isa.computes_half()
    }
    #[inline]
    fn run<K: Kernel<f16>>(isa: Isa, kernel: K) -> K::Output {
        isa.run_half(kernel)
    }
    #[inline]
    fn run_wide<K: Kernel<f16>>(isa: Isa, kernel: K) -> K::Output {
        isa.run_half_wide(kernel)
    }
}
