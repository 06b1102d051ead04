//! Reordering of axes without interpolation: the voxels move in memory, never in the patient.

use crate::{Geometry, LabelMap, PatientVector, Volume, VoxelPoint};
use rayon::prelude::*;

/// Which source axis becomes each axis, and whether it is reversed: `(source axis, reversed)` for the new slice, row and
/// column axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AxisOrder(pub [(usize, bool); 3]);

/// A named target orientation: the patient direction in which slices, rows and columns grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orientation {
    /// Slices to the head, rows to the back, columns to the patient's left: how axial CT is shown.
    Axial,
}

impl AxisOrder {
    /// The order that leaves everything in place.
    pub const IDENTITY: Self = Self([(0, false), (1, false), (2, false)]);

    /// All 48 orders: six permutations with eight combinations of reversal.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let permutations = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        permutations
            .iter()
            .flat_map(|p| (0..8u8).map(move |bits| Self(std::array::from_fn(|a| (p[a], bits >> a & 1 == 1)))))
            .collect()
    }

    /// The order that brings `geometry` closest to `orientation`: each patient direction is given the axis that runs most
    /// along it.
    ///
    /// The choice depends on the axes in the patient alone, not on the order in which they are stored, also where an
    /// oblique grid is equally close in several orders.
    #[must_use]
    pub fn towards(geometry: &Geometry, orientation: Orientation) -> Self {
        let Orientation::Axial = orientation;
        let targets = [PatientVector([0.0, 0.0, 1.0]), PatientVector([0.0, 1.0, 0.0]), PatientVector([1.0, 0.0, 0.0])];
        let directions = |order: &Self| {
            order.0.map(|(a, reversed)| if reversed { geometry.axes()[a].times(-1.0) } else { geometry.axes()[a] })
        };
        // In billionths, so that rounding does not decide between equals; the components of the axes then do.
        let rounded = |v: f64| (v * 1e9).round() as i64;
        let closeness = |order: &Self| {
            let axes = directions(order);
            let sum: f64 = (0..3).map(|a| axes[a].dot(targets[a])).sum();
            (rounded(sum), axes.map(|axis| axis.0.map(rounded)))
        };
        Self::all().into_iter().max_by_key(closeness).unwrap_or(Self::IDENTITY)
    }

    /// The order that undoes this one.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let mut inverse = Self::IDENTITY;
        for (new, (old, reversed)) in self.0.iter().enumerate() {
            inverse.0[*old] = (new, *reversed);
        }
        inverse
    }
}

impl Geometry {
    /// The same voxels counted along reordered axes.
    #[must_use]
    pub fn reordered(&self, order: AxisOrder) -> Self {
        let mut corner = [0.0; 3];
        for (axis, reversed) in order.0 {
            if reversed {
                corner[axis] = (self.shape()[axis] - 1) as f64;
            }
        }
        let axes = order.0.map(|(a, reversed)| if reversed { self.axes()[a].times(-1.0) } else { self.axes()[a] });
        let shape = order.0.map(|(a, _)| self.shape()[a]);
        let spacing_mm = order.0.map(|(a, _)| self.spacing_mm()[a]);
        Self::new(shape, self.patient_from_voxel(VoxelPoint(corner)), axes, spacing_mm)
            .expect("reordered axes of a valid grid are valid")
    }
}

impl<T: Copy + Send + Sync> Volume<T> {
    /// The same voxels in another memory order; every voxel keeps its patient position.
    #[must_use]
    pub fn reordered(&self, order: AxisOrder) -> Self {
        if order == AxisOrder::IDENTITY {
            return self.clone();
        }
        let geometry = self.geometry().reordered(order);
        let source = self.shape();
        let stride = [source[1] * source[2], source[2], 1];
        let step = order.0.map(|(a, reversed)| if reversed { -(stride[a] as isize) } else { stride[a] as isize });
        let start: isize = order
            .0
            .iter()
            .filter(|(_, reversed)| *reversed)
            .map(|(a, _)| ((source[*a] - 1) * stride[*a]) as isize)
            .sum();
        let [_, rows, columns] = geometry.shape();
        let mut data = vec![self.data()[0]; geometry.len()];
        data.par_chunks_mut(rows * columns).enumerate().for_each(|(s, slice)| {
            for (r, row) in slice.chunks_mut(columns).enumerate() {
                let line = start + s as isize * step[0] + r as isize * step[1];
                for (c, value) in row.iter_mut().enumerate() {
                    *value = self.data()[(line + c as isize * step[2]) as usize];
                }
            }
        });
        Self::new(geometry, data).expect("reordering keeps the number of voxels")
    }
}

impl LabelMap {
    /// The same labels in another memory order; every voxel keeps its patient position.
    #[must_use]
    pub fn reordered(&self, order: AxisOrder) -> Self {
        Self::new(self.labels().reordered(order))
    }
}
