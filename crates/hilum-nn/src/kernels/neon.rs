//! NEON lanes, and what is compiled for them.

use std::arch::aarch64::*;

use super::lanes::{Job, Lanes};
use super::tile::{Widths, convolve_row, tile, widths};
use super::{LANES, RowJob};

/// Sixteen floats in four registers, in order.
#[derive(Clone, Copy)]
struct Quads([float32x4_t; 4]);

/// The same instruction on all four registers.
macro_rules! each {
    ($instruction:ident, $($operand:expr),+) => {
        // SAFETY: a value exists only if its maker was promised NEON.
        Quads(unsafe { [each!(@ $instruction 0 $($operand),+), each!(@ $instruction 1 $($operand),+),
                        each!(@ $instruction 2 $($operand),+), each!(@ $instruction 3 $($operand),+)] })
    };
    (@ $instruction:ident $quad:literal $($operand:expr),+) => { $instruction($($operand.0[$quad]),+) };
}

impl Lanes for Quads {
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: NEON is promised by the caller.
        Self(unsafe { [vdupq_n_f32(value); 4] })
    }
    #[inline(always)]
    unsafe fn load(from: &[f32; LANES]) -> Self {
        let from = from.as_ptr();
        // SAFETY: NEON is promised by the caller; four times four of the sixteen floats.
        Self(unsafe { [vld1q_f32(from), vld1q_f32(from.add(4)), vld1q_f32(from.add(8)), vld1q_f32(from.add(12))] })
    }
    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        for (quad, to) in self.0.into_iter().zip(to.as_chunks_mut::<4>().0) {
            // SAFETY: a value exists only if its maker was promised NEON; `to` holds four floats.
            unsafe { vst1q_f32(to.as_mut_ptr(), quad) }
        }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        each!(vaddq_f32, self, other)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        each!(vsubq_f32, self, other)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        each!(vmulq_f32, self, other)
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, sum: Self) -> Self {
        each!(vfmaq_f32, sum, self, factor)
    }
    // NEON's maximum and minimum are NaN if either operand is.
    #[inline(always)]
    fn positive_part(self) -> Self {
        // SAFETY: a value exists only if its maker was promised NEON.
        let zero = unsafe { Self::splat(0.0) };
        each!(vmaxq_f32, zero, self)
    }
    #[inline(always)]
    fn negative_part(self) -> Self {
        // SAFETY: as above.
        let zero = unsafe { Self::splat(0.0) };
        each!(vminq_f32, zero, self)
    }
    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        each!(vmaxq_f32, self, other)
    }
}

/// # Safety
/// NEON.
#[target_feature(enable = "neon")]
pub(super) unsafe fn run_neon(job: impl Job) {
    // SAFETY: passed on to the caller.
    unsafe { job.run::<Quads>() }
}

/// # Safety
/// NEON, and see [`tile`].
#[target_feature(enable = "neon")]
unsafe fn tile_neon<const GROUP: usize, const WIDTH: usize, const STEP: usize>(
    job: &RowJob<'_>,
    x: usize,
    outputs: &mut [&mut [f32]],
) {
    // SAFETY: passed on to the caller.
    unsafe { tile::<Quads, GROUP, WIDTH, STEP>(job, x, outputs) }
}

static NEON: [Widths; 1] = [widths!(tile_neon, 1; 1 2 3 4 5 6)];

/// # Safety
/// NEON and the lengths checked by [`KernelSet::convolve_row`](super::KernelSet::convolve_row).
pub(super) unsafe fn convolve_row_neon(job: &RowJob<'_>, outputs: &mut [&mut [f32]]) {
    // SAFETY: the tiles need what the caller promises.
    unsafe { convolve_row(&NEON, job, outputs) }
}
