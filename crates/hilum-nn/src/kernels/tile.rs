//! The loop that all convolutions spend their time in, written once for all instruction sets.
//!
//! A tile of `GROUP` channel blocks by `WIDTH` columns is held in registers while all taps are added to it. How large it
//! may be depends on the registers: AVX-512 tiles are at most 2 x 12 or 3 x 8 (24 of 32 registers of 16 floats), AVX2
//! tiles 1 x 6 (12 of 16 registers of 8), NEON tiles 1 x 6 (24 of 32 registers of 4).

use super::lanes::{Lanes, activate};
use super::{LANES, RowJob};

/// Adds all taps to `GROUP` x `WIDTH` sums in registers and stores them, from column `x` on. `STEP` is
/// [`RowJob::column_step`] where it is known when compiling, which spares an address register per column; 0 reads it.
///
/// # Safety
/// The instruction set of `V`; `x + WIDTH <= job.width`; `outputs.len() == GROUP`; and the lengths that
/// [`KernelSet::convolve_row`](super::KernelSet::convolve_row) checks for the whole row.
#[inline(always)]
pub(super) unsafe fn tile<V: Lanes, const GROUP: usize, const WIDTH: usize, const STEP: usize>(
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
            let bias = V::load(&*job.bias.as_ptr().add(g * LANES).cast());
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
                    factors[g] = V::load(&*weights.add(g * LANES).cast());
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
                let place = output.add((x + t) * job.output_step).cast::<[f32; LANES]>();
                activate(sums[g][t], job.activation).store(&mut *place);
            }
        }
    }
}

/// A tile compiled for one instruction set and size.
pub(super) type Tile = unsafe fn(&RowJob<'_>, usize, &mut [&mut [f32]]);

/// The tiles of width 1, 2, ... for stride one, for stride two, and for any stride.
pub(super) struct Widths {
    pub(super) unit: &'static [Tile],
    pub(super) double: &'static [Tile],
    pub(super) any: &'static [Tile],
}

/// [`Widths`] of `$tile::<group, width, step>` for one group size.
macro_rules! widths {
    ($tile:ident, $group:literal; $($width:literal)*) => {
        $crate::kernels::tile::Widths {
            unit: &[$($tile::<$group, $width, { LANES }> as $crate::kernels::tile::Tile),*],
            double: &[$($tile::<$group, $width, { 2 * LANES }> as $crate::kernels::tile::Tile),*],
            any: &[$tile::<$group, 1, 0>, $tile::<$group, 2, 0>, $tile::<$group, 3, 0>, $tile::<$group, 4, 0>],
        }
    };
}
pub(super) use widths;

/// Cuts the row into as few tiles as possible, as even as possible: a 256-wide row in tiles of 11 and 12 is faster
/// than in 21 tiles of 12 and a rest of 4.
///
/// # Safety
/// What the tiles of `table` need, whose entry `n` is for groups of `n + 1` blocks; and the lengths that
/// [`KernelSet::convolve_row`](super::KernelSet::convolve_row) checks.
pub(super) unsafe fn convolve_row(table: &[Widths], job: &RowJob<'_>, outputs: &mut [&mut [f32]]) {
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
