//! Sixteen floats in registers, once per instruction set.
//!
//! Only `splat` and `load` are unsafe: they are the only ways to make a value, so whoever holds one has been promised
//! that this processor has the instructions, and everything else is safe.

use super::{Activation, LANES};

/// Sixteen floats that are computed with side by side.
///
/// The functions must be inlined into a function compiled for the instruction set (see [`Job`]), or each becomes a call.
pub(super) trait Lanes: Copy {
    /// # Safety
    /// This processor must have the instruction set of the implementation.
    unsafe fn splat(value: f32) -> Self;
    /// # Safety
    /// As for `splat`.
    unsafe fn load(from: &[f32; LANES]) -> Self;
    fn store(self, to: &mut [f32; LANES]);
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// `self * factor + sum`, rounded once where the processor can.
    fn mul_add(self, factor: Self, sum: Self) -> Self;
    /// `max(0, self)`; NaN stays NaN.
    fn positive_part(self) -> Self;
    /// `min(0, self)`; NaN stays NaN.
    fn negative_part(self) -> Self;
    /// The larger of each pair; NaN if either is.
    fn maximum(self, other: Self) -> Self;
}

/// Work written once for all instruction sets; [`KernelSet::run`](super::KernelSet::run) compiles it for each.
pub(super) trait Job {
    /// Must be `#[inline(always)]`.
    ///
    /// # Safety
    /// This processor must have the instruction set of `V`.
    unsafe fn run<V: Lanes>(self);
}

/// Applies an activation.
///
/// # Safety
/// As [`Lanes::splat`].
#[inline(always)]
pub(super) unsafe fn activate<V: Lanes>(value: V, activation: Activation) -> V {
    match activation {
        Activation::None => value,
        Activation::Relu => value.positive_part(),
        Activation::LeakyRelu(slope) => {
            // SAFETY: passed on to the caller.
            let slope = unsafe { V::splat(slope) };
            value.positive_part().add(value.negative_part().mul(slope))
        }
    }
}

/// Lanes without instructions of their own: what the compiler makes of plain Rust.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; LANES]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, op: impl Fn(f32, f32) -> f32) -> Self {
        let mut result = self.0;
        for lane in 0..LANES {
            result[lane] = op(result[lane], other.0[lane]);
        }
        Self(result)
    }
}

impl Lanes for Portable {
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; LANES])
    }
    #[inline(always)]
    unsafe fn load(from: &[f32; LANES]) -> Self {
        Self(*from)
    }
    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        *to = self.0;
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, sum: Self) -> Self {
        // Two roundings: a fused one would be a call into a library on processors without the instruction.
        self.mul(factor).add(sum)
    }
    #[inline(always)]
    fn positive_part(self) -> Self {
        self.zip(self, |a, _| if a < 0.0 { 0.0 } else { a })
    }
    #[inline(always)]
    fn negative_part(self) -> Self {
        self.zip(self, |a, _| if a > 0.0 { 0.0 } else { a })
    }
    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b || a.is_nan() { a } else { b })
    }
}
