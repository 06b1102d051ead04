//! AVX512-BF16 and AVX512-VNNI kernels: the loop of `tile`, with words for floats.

use std::arch::x86_64::*;

use super::reduced::{Number, Quantiser, ReducedRow};
use super::{Activation, LANES};

/// Sixteen running sums of products of words.
///
/// # Safety
/// Every function needs the instruction set of its implementation.
trait Sums: Copy {
    /// Words of a voxel.
    const WORDS: usize;
    unsafe fn zero() -> Self;
    /// Adds the products of the numbers in one word, in every lane, with those in sixteen words.
    unsafe fn add_products(self, input: __m512i, weights: __m512i) -> Self;
    unsafe fn floats(self) -> __m512;
}

/// Of pairs of bfloat16.
#[derive(Clone, Copy)]
struct Bf16Sums(__m512);

impl Sums for Bf16Sums {
    const WORDS: usize = LANES / 2;
    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: see the trait.
        Self(unsafe { _mm512_setzero_ps() })
    }
    #[inline(always)]
    unsafe fn add_products(self, input: __m512i, weights: __m512i) -> Self {
        // SAFETY: see the trait; both types are 512 bits, of which every pattern is valid.
        unsafe {
            let input = std::mem::transmute::<__m512i, __m512bh>(input);
            let weights = std::mem::transmute::<__m512i, __m512bh>(weights);
            Self(_mm512_dpbf16_ps(self.0, input, weights))
        }
    }
    #[inline(always)]
    unsafe fn floats(self) -> __m512 {
        self.0
    }
}

/// Of fours of unsigned inputs and signed weights.
#[derive(Clone, Copy)]
struct Int8Sums(__m512i);

impl Sums for Int8Sums {
    const WORDS: usize = LANES / 4;
    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: see the trait.
        Self(unsafe { _mm512_setzero_si512() })
    }
    #[inline(always)]
    unsafe fn add_products(self, input: __m512i, weights: __m512i) -> Self {
        // SAFETY: see the trait.
        Self(unsafe { _mm512_dpbusd_epi32(self.0, input, weights) })
    }
    #[inline(always)]
    unsafe fn floats(self) -> __m512 {
        // SAFETY: see the trait.
        unsafe { _mm512_cvtepi32_ps(self.0) }
    }
}

/// As `tile` of the `f32` kernels. `UNIT` says that outputs are as far apart as inputs, one voxel.
///
/// # Safety
/// AVX-512 F and the instruction set of `S`; `x + WIDTH <= job.width`; `outputs.len() == GROUP`; and the lengths that
/// [`KernelSet::convolve_reduced`](super::KernelSet::convolve_reduced) checks for the whole row.
#[inline(always)]
unsafe fn tile<S: Sums, const GROUP: usize, const WIDTH: usize, const UNIT: bool>(
    job: &ReducedRow<'_>,
    x: usize,
    outputs: &mut [&mut [f32]],
) {
    let step = if UNIT { S::WORDS } else { job.column_step };
    // SAFETY: for every tap, column `x + t` is at most `job.width - 1`, so its `words` words lie within `tap.input`, and
    // `weights` advances by GROUP * LANES words for each, at most to the end of `tap.weights`. Scale and bias hold
    // GROUP * LANES floats, every output LANES floats at every column.
    unsafe {
        let mut sums = [[S::zero(); WIDTH]; GROUP];
        for tap in job.taps {
            let mut input = tap.input.as_ptr().add(x * step);
            let mut weights = tap.weights.as_ptr();
            for _ in 0..tap.words {
                let mut factors = [_mm512_setzero_si512(); GROUP];
                for g in 0..GROUP {
                    factors[g] = _mm512_loadu_si512(weights.add(g * LANES).cast());
                }
                for t in 0..WIDTH {
                    let word = _mm512_set1_epi32(*input.add(t * step) as i32);
                    for g in 0..GROUP {
                        sums[g][t] = sums[g][t].add_products(word, factors[g]);
                    }
                }
                input = input.add(1);
                weights = weights.add(GROUP * LANES);
            }
        }
        for g in 0..GROUP {
            let scale = _mm512_loadu_ps(job.scale.as_ptr().add(g * LANES));
            let bias = _mm512_loadu_ps(job.bias.as_ptr().add(g * LANES));
            let output = outputs.get_unchecked_mut(g).as_mut_ptr();
            for t in 0..WIDTH {
                let value = _mm512_fmadd_ps(sums[g][t].floats(), scale, bias);
                // x86 returns the second operand if either is NaN, so NaN stays NaN.
                let zero = _mm512_setzero_ps();
                let value = match job.activation {
                    Activation::None => value,
                    Activation::Relu => _mm512_max_ps(zero, value),
                    Activation::LeakyRelu(slope) => {
                        let negative = _mm512_mul_ps(_mm512_min_ps(zero, value), _mm512_set1_ps(slope));
                        _mm512_add_ps(_mm512_max_ps(zero, value), negative)
                    }
                };
                _mm512_storeu_ps(output.add((x + t) * LANES), value);
            }
        }
    }
}

type Tile = unsafe fn(&ReducedRow<'_>, usize, &mut [&mut [f32]]);

/// # Safety
/// AVX-512 F and BF16, and see [`tile`].
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn tile_bf16<const GROUP: usize, const WIDTH: usize, const UNIT: bool>(
    job: &ReducedRow<'_>,
    x: usize,
    outputs: &mut [&mut [f32]],
) {
    // SAFETY: passed on to the caller.
    unsafe { tile::<Bf16Sums, GROUP, WIDTH, UNIT>(job, x, outputs) }
}

/// # Safety
/// AVX-512 F and VNNI, and see [`tile`].
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn tile_int8<const GROUP: usize, const WIDTH: usize, const UNIT: bool>(
    job: &ReducedRow<'_>,
    x: usize,
    outputs: &mut [&mut [f32]],
) {
    // SAFETY: passed on to the caller.
    unsafe { tile::<Int8Sums, GROUP, WIDTH, UNIT>(job, x, outputs) }
}

/// The tiles of width 1, 2, ... for one group size: of stride one, and of any. Beyond eight columns of two blocks the
/// compiler, which loads all inputs of a turn first, runs out of registers and halves the speed.
macro_rules! widths {
    ($tile:ident, $group:literal) => {
        (
            &[
                $tile::<$group, 1, true>,
                $tile::<$group, 2, true>,
                $tile::<$group, 3, true>,
                $tile::<$group, 4, true>,
                $tile::<$group, 5, true>,
                $tile::<$group, 6, true>,
                $tile::<$group, 7, true>,
                $tile::<$group, 8, true>,
            ],
            &[
                $tile::<$group, 1, false>,
                $tile::<$group, 2, false>,
                $tile::<$group, 3, false>,
                $tile::<$group, 4, false>,
            ],
        )
    };
}

type Widths = (&'static [Tile], &'static [Tile]);
static BF16: [Widths; 2] = [widths!(tile_bf16, 1), widths!(tile_bf16, 2)];
static INT8: [Widths; 2] = [widths!(tile_int8, 1), widths!(tile_int8, 2)];

/// # Safety
/// AVX-512 F, the instructions for the row's numbers, at most two outputs, and the lengths checked by
/// [`KernelSet::convolve_reduced`](super::KernelSet::convolve_reduced).
pub(super) unsafe fn convolve_row(job: &ReducedRow<'_>, outputs: &mut [&mut [f32]]) {
    let (unit, any) = match job.number {
        Number::Bf16 => BF16[outputs.len() - 1],
        Number::Int8 => INT8[outputs.len() - 1],
    };
    let tiles = if job.column_step == job.number.words() { unit } else { any };
    let count = job.width.div_ceil(tiles.len());
    for i in 0..count {
        let (start, end) = (job.width * i / count, job.width * (i + 1) / count);
        // SAFETY: `end <= job.width`, the group was used to choose the tiles, the rest is the caller's promise.
        unsafe { tiles[end - start - 1](job, start, outputs) }
    }
}

/// Whole voxels of `f32` to words.
///
/// # Safety
/// AVX-512 F, for bfloat16 also AVX512-BF16; `output` holds the words of every voxel of `input`.
pub(super) unsafe fn quantise(quantiser: Quantiser, input: &[f32], output: &mut [u32]) {
    // SAFETY: passed on to the caller.
    unsafe {
        match quantiser.number {
            Number::Bf16 => quantise_bf16(input, output),
            Number::Int8 => quantise_int8(quantiser, input, output),
        }
    }
}

/// # Safety
/// AVX-512 F and BF16; eight words for every voxel.
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn quantise_bf16(input: &[f32], output: &mut [u32]) {
    for (voxel, words) in input.as_chunks::<LANES>().0.iter().zip(output.as_chunks_mut::<8>().0) {
        // SAFETY: sixteen floats are read and sixteen times 16 bits written, the size of both arrays.
        unsafe {
            let narrow = _mm512_cvtneps_pbh(_mm512_loadu_ps(voxel.as_ptr()));
            _mm256_storeu_si256(words.as_mut_ptr().cast(), std::mem::transmute::<__m256bh, __m256i>(narrow));
        }
    }
}

/// # Safety
/// AVX-512 F; four words for every voxel.
#[target_feature(enable = "avx512f")]
unsafe fn quantise_int8(quantiser: Quantiser, input: &[f32], output: &mut [u32]) {
    let (factor, zero) = (_mm512_set1_ps(quantiser.factor), _mm512_set1_ps(f32::from(quantiser.zero)));
    let (low, high) = (_mm512_setzero_ps(), _mm512_set1_ps(255.0));
    for (voxel, words) in input.as_chunks::<LANES>().0.iter().zip(output.as_chunks_mut::<4>().0) {
        // SAFETY: sixteen floats are read and sixteen bytes written, the size of both arrays.
        unsafe {
            // Two roundings, as in the portable twin: every byte is the same.
            let scaled = _mm512_add_ps(_mm512_mul_ps(_mm512_loadu_ps(voxel.as_ptr()), factor), zero);
            // The maximum is its second operand if the first is NaN, so NaN becomes 0.
            let clamped = _mm512_min_ps(_mm512_max_ps(scaled, low), high);
            let bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(clamped));
            _mm_storeu_si128(words.as_mut_ptr().cast(), bytes);
        }
    }
}
