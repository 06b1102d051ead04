//! Portable kernels without `unsafe`: the reference for the vector kernels, and what runs where there are none.

use super::{LANES, RowJob};

/// See [`KernelSet::convolve_row`](super::KernelSet::convolve_row).
pub(super) fn convolve_row(job: &RowJob<'_>, outputs: &mut [&mut [f32]]) {
    let mut x = 0;
    while x + 2 <= job.width {
        convolve_columns::<2>(job, x, outputs);
        x += 2;
    }
    if x < job.width {
        convolve_columns::<1>(job, x, outputs);
    }
}

/// `N` neighbouring columns at once, so that the compiler has independent sums to interleave.
fn convolve_columns<const N: usize>(job: &RowJob<'_>, x: usize, outputs: &mut [&mut [f32]]) {
    let blocks = outputs.len();
    for (block, output) in outputs.iter_mut().enumerate() {
        // Whole arrays of lanes, whose length the compiler knows, become vector instructions.
        let mut sums = [job.bias.as_chunks::<LANES>().0[block]; N];
        for tap in job.taps {
            let columns: [&[f32]; N] = std::array::from_fn(|n| &tap.input[(x + n) * job.column_step..][..tap.channels]);
            let weights = tap.weights.as_chunks::<LANES>().0.iter().skip(block).step_by(blocks);
            for (channel, weights) in weights.take(tap.channels).enumerate() {
                for n in 0..N {
                    sums[n] = add_scaled(sums[n], weights, columns[n][channel]);
                }
            }
        }
        for n in 0..N {
            output[(x + n) * job.output_step..][..LANES].copy_from_slice(&sums[n].map(|sum| job.activation.apply(sum)));
        }
    }
}

#[inline(always)]
fn add_scaled(mut sums: [f32; LANES], weights: &[f32; LANES], factor: f32) -> [f32; LANES] {
    for lane in 0..LANES {
        sums[lane] += factor * weights[lane];
    }
    sums
}
