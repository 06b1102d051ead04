//! AVX2 and AVX-512 kernels.
//!
//! A tile of `GROUP` channel blocks by `WIDTH` columns is held in registers while all taps are added to it. The same
//! loop is compiled for both instruction sets through [`Lanes`], sixteen floats in one AVX-512 register or two AVX
//! registers. AVX-512 tiles are at most 2 x 12 or 3 x 8 (24 of 32 registers), AVX2 tiles at most 1 x 6 (12 of 16).

use std::arch::x86_64::*;

use super::{Activation, LANES, RowJob};

/// Sixteen floats in registers.
///
/// # Safety
/// Every function needs the instruction set of its implementation; `load` and `store` need sixteen floats at the
/// pointer, aligned or not.
trait Lanes: Copy {
    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    /// `self * factor + sum`.
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self;
    /// `max(0, self)`; NaN stays NaN because x86 returns the second operand.
    unsafe fn positive_part(self) -> Self;
    /// `min(0, self)`; NaN stays NaN.
    unsafe fn negative_part(self) -> Self;
}

// SAFETY of all functions below: the trait hands the conditions of the intrinsics to its caller.
impl Lanes for __m512 {
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: see the trait.
        unsafe { _mm512_set1_ps(value) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: see the trait.
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: see the trait.
        unsafe { _mm512_storeu_ps(to, self) }
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: see the trait.
        unsafe { _mm512_mul_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: see the trait.
        unsafe { _mm512_add_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        // SAFETY: see the trait.
        unsafe { _mm512_fmadd_ps(self, factor, sum) }
    }
    #[inline(always)]
    unsafe fn positive_part(self) -> Self {
        // SAFETY: see the trait.
        unsafe { _mm512_max_ps(_mm512_setzero_ps(), self) }
    }
    #[inline(always)]
    unsafe fn negative_part(self) -> Self {
        // SAFETY: see the trait.
        unsafe { _mm512_min_ps(_mm512_setzero_ps(), self) }
    }
}

/// Lanes 0-7 and 8-15.
type Pair = [__m256; 2];

impl Lanes for Pair {
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: see the trait.
        unsafe { [_mm256_set1_ps(value); 2] }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: see the trait; the second half begins 8 floats later.
        unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as for `load`.
        unsafe {
            _mm256_storeu_ps(to, self[0]);
            _mm256_storeu_ps(to.add(8), self[1]);
        }
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: see the trait.
        unsafe { [_mm256_mul_ps(self[0], other[0]), _mm256_mul_ps(self[1], other[1])] }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: see the trait.
        unsafe { [_mm256_add_ps(self[0], other[0]), _mm256_add_ps(self[1], other[1])] }
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        // SAFETY: see the trait.
        unsafe { [_mm256_fmadd_ps(self[0], factor[0], sum[0]), _mm256_fmadd_ps(self[1], factor[1], sum[1])] }
    }
    #[inline(always)]
    unsafe fn positive_part(self) -> Self {
        // SAFETY: see the trait.
        unsafe { self.map(|half| _mm256_max_ps(_mm256_setzero_ps(), half)) }
    }
    #[inline(always)]
    unsafe fn negative_part(self) -> Self {
        // SAFETY: see the trait.
        unsafe { self.map(|half| _mm256_min_ps(_mm256_setzero_ps(), half)) }
    }
}

/// Adds all taps to `GROUP` x `WIDTH` sums in registers and stores them, from column `x` on. `STEP` is
/// [`RowJob::column_step`] where it is known when compiling, which spares an address register per column; 0 reads it.
///
/// # Safety
/// The instruction set of `V`; `x + WIDTH <= job.width`; `outputs.len() == GROUP`; and the lengths that
/// [`KernelSet::convolve_row`](super::KernelSet::convolve_row) checks for the whole row.
#[inline(always)]
unsafe fn tile<V: Lanes, const GROUP: usize, const WIDTH: usize, const STEP: usize>(
    job: &RowJob<'_>,
    x: usize,
    outputs: &mut [&mut [f32]],
) {
    let step = if STEP == 0 { job.column_step } else { STEP };
    // SAFETY: the bias holds GROUP * LANES floats. For every tap, column `x + t` is at most `job.width - 1`, so its
    // `channels` inputs lie within `tap.input`, and `weights` advances by GROUP * LANES floats per channel, at most to
    // the end of `tap.weights`. Every output slice holds LANES floats at every column.
    unsafe {
        let mut sums = [[V::splat(0.0); WIDTH]; GROUP];
        for g in 0..GROUP {
            let bias = V::load(job.bias.as_ptr().add(g * LANES));
            for t in 0..WIDTH {
                sums[g][t] = bias;
            }
        }
        for tap in job.taps {
            let mut input = tap.input.as_ptr().add(x * step);
            let mut weights = tap.weights.as_ptr();
            for _ in 0..tap.channels {
                let mut factors = [V::splat(0.0); GROUP];
                for g in 0..GROUP {
                    factors[g] = V::load(weights.add(g * LANES));
                }
                for t in 0..WIDTH {
                    let value = V::splat(*input.add(t * step));
                    for g in 0..GROUP {
                        sums[g][t] = value.mul_add(factors[g], sums[g][t]);
                    }
                }
                input = input.add(1);
                weights = weights.add(GROUP * LANES);
            }
        }
        for g in 0..GROUP {
            let output = outputs.get_unchecked_mut(g).as_mut_ptr();
            for t in 0..WIDTH {
                let sum = sums[g][t];
                let value = match job.activation {
                    Activation::None => sum,
                    Activation::Relu => sum.positive_part(),
                    Activation::LeakyRelu(slope) => sum.positive_part().add(sum.negative_part().mul(V::splat(slope))),
                };
                value.store(output.add((x + t) * job.output_step));
            }
        }
    }
}

type Tile = unsafe fn(&RowJob<'_>, usize, &mut [&mut [f32]]);

/// # Safety
/// AVX-512 F, and see [`tile`].
#[target_feature(enable = "avx512f")]
unsafe fn tile_avx512<const GROUP: usize, const WIDTH: usize, const STEP: usize>(
    job: &RowJob<'_>,
    x: usize,
    outputs: &mut [&mut [f32]],
) {
    // SAFETY: passed on to the caller.
    unsafe { tile::<__m512, GROUP, WIDTH, STEP>(job, x, outputs) }
}

/// # Safety
/// AVX2 and FMA, and see [`tile`].
#[target_feature(enable = "avx2,fma")]
unsafe fn tile_avx2<const GROUP: usize, const WIDTH: usize, const STEP: usize>(
    job: &RowJob<'_>,
    x: usize,
    outputs: &mut [&mut [f32]],
) {
    // SAFETY: passed on to the caller.
    unsafe { tile::<Pair, GROUP, WIDTH, STEP>(job, x, outputs) }
}

/// Tiles of width 1, 2, ... for one group size and step.
macro_rules! tiles {
    ($tile:ident, $group:literal, $step:expr; $($width:literal)*) => {
        &[$($tile::<$group, $width, { $step }> as Tile),*]
    };
}

/// The tiles of width 1, 2, ... for stride one, for stride two, and for any stride.
struct Widths {
    unit: &'static [Tile],
    double: &'static [Tile],
    any: &'static [Tile],
}

macro_rules! widths {
    ($tile:ident, $group:literal; $($width:literal)*) => {
        Widths {
            unit: tiles!($tile, $group, LANES; $($width)*),
            double: tiles!($tile, $group, 2 * LANES; $($width)*),
            any: tiles!($tile, $group, 0; 1 2 3 4),
        }
    };
}

static AVX512: [Widths; 3] = [
    widths!(tile_avx512, 1; 1 2 3 4 5 6 7 8 9 10 11 12),
    widths!(tile_avx512, 2; 1 2 3 4 5 6 7 8 9 10 11 12),
    widths!(tile_avx512, 3; 1 2 3 4 5 6 7 8),
];
static AVX2: [Widths; 1] = [widths!(tile_avx2, 1; 1 2 3 4 5 6)];

/// # Safety
/// AVX-512 F and the lengths checked by [`KernelSet::convolve_row`](super::KernelSet::convolve_row).
pub(super) unsafe fn convolve_row_avx512(job: &RowJob<'_>, outputs: &mut [&mut [f32]]) {
    // SAFETY: the tiles need what the caller promises.
    unsafe { convolve_row(&AVX512, job, outputs) }
}

/// # Safety
/// AVX2, FMA and the lengths checked by [`KernelSet::convolve_row`](super::KernelSet::convolve_row).
pub(super) unsafe fn convolve_row_avx2(job: &RowJob<'_>, outputs: &mut [&mut [f32]]) {
    // SAFETY: the tiles need what the caller promises.
    unsafe { convolve_row(&AVX2, job, outputs) }
}

/// Cuts the row into as few tiles as possible, as even as possible: a 256-wide row in tiles of 11 and 12 is faster
/// than in 21 tiles of 12 and a rest of 4.
///
/// # Safety
/// What the tiles of `table` need.
unsafe fn convolve_row(table: &[Widths], job: &RowJob<'_>, outputs: &mut [&mut [f32]]) {
    let widths = &table[outputs.len() - 1];
    let tiles = match job.column_step {
        LANES => widths.unit,
        step if step == 2 * LANES => widths.double,
        _ => widths.any,
    };
    let count = job.width.div_ceil(tiles.len());
    for i in 0..count {
        let (start, end) = (job.width * i / count, job.width * (i + 1) / count);
        // SAFETY: `end <= job.width`, the group was used to choose the table row, the rest is the caller's promise.
        unsafe { tiles[end - start - 1](job, start, outputs) }
    }
}
