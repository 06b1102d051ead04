//! The gradient of a convolution by its weights: products of inputs and slopes, summed over all voxels.

use super::LANES;
use super::lanes::{Job, Lanes};

/// `sums[tap][channel][lane] = sum over voxels of input[voxel, tap, channel] * slope[voxel, lane]`.
///
/// Taps lie beside each other along a row. All sums stay in registers, so `TAPS * CHANNELS` is what the set of
/// instructions has room for.
pub(crate) struct WeightSums<'a, const TAPS: usize, const CHANNELS: usize> {
    /// Begins at the first channel of the voxel under the first output's first tap.
    pub(crate) input: &'a [f32],
    /// Floats from the input of one output row to that of the next.
    pub(crate) input_row: usize,
    /// Floats from the input of one output to that of the next in its row.
    pub(crate) column_step: usize,
    /// Begins at the first output.
    pub(crate) slope: &'a [f32],
    /// Floats from one row of slopes to the next.
    pub(crate) slope_row: usize,
    pub(crate) rows: usize,
    pub(crate) width: usize,
    pub(crate) sums: &'a mut [[[f32; LANES]; CHANNELS]; TAPS],
}

impl<const TAPS: usize, const CHANNELS: usize> Job for WeightSums<'_, TAPS, CHANNELS> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: the caller has the instruction set of `V`.
        let mut sums = [[unsafe { V::splat(0.0) }; CHANNELS]; TAPS];
        for row in 0..self.rows {
            let input = &self.input[row * self.input_row..];
            let slopes = &self.slope[row * self.slope_row..][..self.width * LANES];
            for (column, slope) in slopes.as_chunks::<LANES>().0.iter().enumerate() {
                // SAFETY: as above.
                let slope = unsafe { V::load(slope) };
                let window = &input[column * self.column_step..][..(TAPS - 1) * LANES + CHANNELS];
                for tap in 0..TAPS {
                    for channel in 0..CHANNELS {
                        // SAFETY: as above.
                        let value = unsafe { V::splat(window[tap * LANES + channel]) };
                        sums[tap][channel] = value.mul_add(slope, sums[tap][channel]);
                    }
                }
            }
        }
        for (sums, out) in sums.iter().zip(self.sums) {
            for (sum, out) in sums.iter().zip(out) {
                sum.store(out);
            }
        }
    }
}
