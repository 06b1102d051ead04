//! Rows of voxels scaled, measured and compared: what is bound by memory rather than arithmetic.

use super::lanes::{Job, Lanes, activate};
use super::{Activation, LANES};

type Voxel = [f32; LANES];

/// `activation(x * factor + offset)` for every voxel of a row.
pub(crate) struct ScaleRow<'a> {
    pub(crate) row: &'a mut [f32],
    pub(crate) factor: &'a Voxel,
    pub(crate) offset: &'a Voxel,
    pub(crate) activation: Activation,
}

impl Job for ScaleRow<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: the caller has the instruction set of `V`.
        let [factor, offset] = unsafe { [V::load(self.factor), V::load(self.offset)] };
        for voxel in self.row.as_chunks_mut::<LANES>().0 {
            // SAFETY: as above.
            let scaled = unsafe { activate(V::load(voxel).mul_add(factor, offset), self.activation) };
            scaled.store(voxel);
        }
    }
}

/// Mean and sum of squared deviations of a row, per lane.
pub(crate) struct MeasureRow<'a> {
    pub(crate) row: &'a [f32],
    pub(crate) mean: &'a mut Voxel,
    pub(crate) squares: &'a mut Voxel,
}

impl Job for MeasureRow<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let (voxels, _) = self.row.as_chunks::<LANES>();
        // SAFETY: the caller has the instruction set of `V`.
        let (zero, share) = unsafe { (V::splat(0.0), V::splat(1.0 / voxels.len() as f32)) };
        let mut sum = zero;
        for voxel in voxels {
            // SAFETY: as above.
            sum = sum.add(unsafe { V::load(voxel) });
        }
        let mean = sum.mul(share);
        let mut squares = zero;
        for voxel in voxels {
            // SAFETY: as above.
            let deviation = unsafe { V::load(voxel) }.sub(mean);
            squares = deviation.mul_add(deviation, squares);
        }
        mean.store(self.mean);
        squares.store(self.squares);
    }
}

/// The larger of every voxel and each of the `step` voxels of `source` that lie over it; NaN if any is.
pub(crate) struct MaximumRow<'a> {
    pub(crate) row: &'a mut [f32],
    pub(crate) source: &'a [f32],
    pub(crate) step: usize,
}

impl Job for MaximumRow<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let (voxels, _) = self.source.as_chunks::<LANES>();
        for (target, voxels) in self.row.as_chunks_mut::<LANES>().0.iter_mut().zip(voxels.chunks_exact(self.step)) {
            // SAFETY: the caller has the instruction set of `V`.
            let mut largest = unsafe { V::load(target) };
            for voxel in voxels {
                // SAFETY: as above.
                largest = largest.maximum(unsafe { V::load(voxel) });
            }
            largest.store(target);
        }
    }
}
