//! Convolutions of every channel by itself: all sixteen lanes move together, nothing is summed across them.

use super::lanes::{Job, Lanes, activate};
use super::{Activation, LANES};

/// One row of outputs of one block: `bias + sum over taps of input * weight`, then the activation.
pub(crate) struct DepthwiseRow<'a> {
    /// For each kernel position its inputs, from the voxel under the first output on, and its weights.
    pub(crate) taps: &'a [(&'a [f32], &'a [f32; LANES])],
    /// Floats from the input of one output to that of the next.
    pub(crate) column_step: usize,
    pub(crate) bias: &'a [f32; LANES],
    pub(crate) activation: Activation,
    /// Exactly the row.
    pub(crate) output: &'a mut [f32],
}

impl Job for DepthwiseRow<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: the caller has the instruction set of `V`.
        let bias = unsafe { V::load(self.bias) };
        for (x, output) in self.output.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            let mut sum = bias;
            for &(input, weights) in self.taps {
                let voxel = input[x * self.column_step..].first_chunk().expect("rows are as long as their taps read");
                // SAFETY: as above.
                sum = unsafe { V::load(voxel).mul_add(V::load(weights), sum) };
            }
            // SAFETY: as above.
            unsafe { activate(sum, self.activation) }.store(output);
        }
    }
}
