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
    let stride = outputs.len() * LANES;
    for (block, output) in outputs.iter_mut().enumerate() {
        let bias: [f32; LANES] = std::array::from_fn(|lane| job.bias[block * LANES + lane]);
        let mut sums = [bias; N];
        for tap in job.taps {
            let columns: [&[f32]; N] = std::array::from_fn(|n| &tap.input[(x + n) * job.column_step..][..tap.channels]);
            for (channel, weights) in tap.weights.chunks_exact(stride).take(tap.channels).enumerate() {
                let weights = &weights[block * LANES..][..LANES];
                for n in 0..N {
                    let value = columns[n][channel];
                    for lane in 0..LANES {
                        sums[n][lane] += value * weights[lane];
                    }
                }
            }
        }
        for n in 0..N {
            let voxel = &mut output[(x + n) * job.output_step..][..LANES];
            for lane in 0..LANES {
                voxel[lane] = job.activation.apply(sums[n][lane]);
            }
        }
    }
}
