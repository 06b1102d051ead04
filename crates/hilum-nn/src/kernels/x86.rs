//! AVX2 and AVX-512 lanes, and what is compiled for them.

use std::arch::x86_64::*;

use super::lanes::{Job, Lanes};
use super::tile::{Widths, convolve_row, tile, widths};
use super::{LANES, RowJob};

/// Sixteen floats in one AVX-512 register.
#[derive(Clone, Copy)]
struct Zmm(__m512);

// SAFETY of all functions below: `splat` and `load` hand the need for AVX-512 F to their caller, and a value exists only
// if it was met. Loads and stores need no alignment and move exactly the array they are given.
impl Lanes for Zmm {
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_set1_ps(value) })
    }
    #[inline(always)]
    unsafe fn load(from: &[f32; LANES]) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_loadu_ps(from.as_ptr()) })
    }
    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        // SAFETY: see above.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self.0) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_mul_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, sum: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, sum.0) })
    }
    // x86 returns the second operand if either is NaN.
    #[inline(always)]
    fn positive_part(self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_max_ps(_mm512_setzero_ps(), self.0) })
    }
    #[inline(always)]
    fn negative_part(self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_min_ps(_mm512_setzero_ps(), self.0) })
    }
    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            let larger = _mm512_max_ps(self.0, other.0);
            Self(_mm512_mask_mov_ps(larger, _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self.0, self.0), self.0))
        }
    }
}

/// Sixteen floats in two AVX registers: lanes 0-7 and 8-15.
#[derive(Clone, Copy)]
struct Ymm([__m256; 2]);

// SAFETY of all functions below: as for `Zmm`, with AVX2 and FMA; a half is eight of the sixteen floats.
impl Lanes for Ymm {
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: see above.
        Self(unsafe { [_mm256_set1_ps(value); 2] })
    }
    #[inline(always)]
    unsafe fn load(from: &[f32; LANES]) -> Self {
        // SAFETY: see above.
        Self(unsafe { [_mm256_loadu_ps(from.as_ptr()), _mm256_loadu_ps(from.as_ptr().add(8))] })
    }
    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        // SAFETY: see above.
        unsafe {
            _mm256_storeu_ps(to.as_mut_ptr(), self.0[0]);
            _mm256_storeu_ps(to.as_mut_ptr().add(8), self.0[1]);
        }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { [_mm256_add_ps(self.0[0], other.0[0]), _mm256_add_ps(self.0[1], other.0[1])] })
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { [_mm256_sub_ps(self.0[0], other.0[0]), _mm256_sub_ps(self.0[1], other.0[1])] })
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { [_mm256_mul_ps(self.0[0], other.0[0]), _mm256_mul_ps(self.0[1], other.0[1])] })
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, sum: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe {
            [_mm256_fmadd_ps(self.0[0], factor.0[0], sum.0[0]), _mm256_fmadd_ps(self.0[1], factor.0[1], sum.0[1])]
        })
    }
    // x86 returns the second operand if either is NaN.
    #[inline(always)]
    fn positive_part(self) -> Self {
        // SAFETY: see above.
        Self(unsafe { [_mm256_max_ps(_mm256_setzero_ps(), self.0[0]), _mm256_max_ps(_mm256_setzero_ps(), self.0[1])] })
    }
    #[inline(always)]
    fn negative_part(self) -> Self {
        // SAFETY: see above.
        Self(unsafe { [_mm256_min_ps(_mm256_setzero_ps(), self.0[0]), _mm256_min_ps(_mm256_setzero_ps(), self.0[1])] })
    }
    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            let mut result = self.0;
            for half in 0..2 {
                let larger = _mm256_max_ps(self.0[half], other.0[half]);
                let nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(self.0[half], self.0[half]);
                result[half] = _mm256_blendv_ps(larger, self.0[half], nan);
            }
            Self(result)
        }
    }
}

/// # Safety
/// AVX-512 F.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn run_avx512(job: impl Job) {
    // SAFETY: passed on to the caller.
    unsafe { job.run::<Zmm>() }
}

/// # Safety
/// AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run_avx2(job: impl Job) {
    // SAFETY: passed on to the caller.
    unsafe { job.run::<Ymm>() }
}

/// # Safety
/// AVX-512 F, and see [`tile`].
#[target_feature(enable = "avx512f")]
unsafe fn tile_avx512<const GROUP: usize, const WIDTH: usize, const STEP: usize>(
    job: &RowJob<'_>,
    x: usize,
    outputs: &mut [&mut [f32]],
) {
    // SAFETY: passed on to the caller.
    unsafe { tile::<Zmm, GROUP, WIDTH, STEP>(job, x, outputs) }
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
    unsafe { tile::<Ymm, GROUP, WIDTH, STEP>(job, x, outputs) }
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
