//! Prior volumes and labels on the current grid.

use super::Registration;
use super::linear::{Cell, Map3, is_inside};
use crate::extent::Bounds;
use hilum_volume::{Geometry, LabelMap, PatientPoint, Volume};
use rayon::prelude::*;

/// The labels of the eight voxels around a point that hold most of it.
fn most_of(labels: &[u8], corners: &[(usize, f32); 8]) -> u8 {
    let first = labels[corners[0].0];
    if corners.iter().all(|(at, _)| labels[*at] == first) {
        return first;
    }
    let mut best = (0.0, 0);
    for (at, _) in corners {
        let label = labels[*at];
        let share: f32 = corners.iter().filter(|(other, _)| labels[*other] == label).map(|(_, w)| w).sum();
        // The lower label wins a draw, whatever the order of the corners.
        if share > best.0 + 1e-6 || (share > best.0 - 1e-6 && label < best.1) {
            best = (share, label);
        }
    }
    best.1
}

impl Registration {
    /// Prior labels on the current grid `onto`: each voxel takes the label that holds most of the eight prior voxels around
    /// its point, 0 beyond the prior's grid and outside `within` (all of the grid if `None`).
    #[must_use]
    pub fn labels_on(&self, prior: &LabelMap, onto: &Geometry, within: Option<Bounds>) -> LabelMap {
        let shape = prior.geometry().shape();
        let labels = prior.labels().data();
        LabelMap::new(self.looked_up(prior.geometry(), onto, within, 0, |at| {
            if is_inside(shape, at) { most_of(labels, &Cell::around(shape, at).corners()) } else { 0 }
        }))
    }

    /// Prior intensities on the current grid `onto`, linearly interpolated; `outside` beyond the prior's grid and outside
    /// `within`. Intensities are not corrected for expansion.
    #[must_use]
    pub fn volume_on(&self, prior: &Volume<i16>, onto: &Geometry, within: Option<Bounds>, outside: i16) -> Volume<i16> {
        let shape = prior.shape();
        let values = prior.data();
        self.looked_up(prior.geometry(), onto, within, outside, |at| {
            if !is_inside(shape, at) {
                return outside;
            }
            let corners = Cell::around(shape, at).corners();
            corners.iter().map(|(at, w)| w * f32::from(values[*at])).sum::<f32>().round() as i16
        })
    }

    /// 1 in voxels of `onto` within `within` whose point the prior's grid holds, 0 in others.
    #[must_use]
    pub fn shown_on(&self, prior: &Geometry, onto: &Geometry, within: Option<Bounds>) -> LabelMap {
        let shape = prior.shape();
        LabelMap::new(self.looked_up(prior, onto, within, 0, |at| u8::from(is_inside(shape, at))))
    }

    fn looked_up<T: Copy + Send + Sync>(
        &self,
        prior: &Geometry,
        onto: &Geometry,
        within: Option<Bounds>,
        outside: T,
        value: impl Fn([f32; 3]) -> T + Sync,
    ) -> Volume<T> {
        let bounds = within.unwrap_or_else(|| onto.shape().map(|n| [0, n]));
        let from = Map3::patient_from(onto);
        let moved = Map3::sampled(|p| self.affine.apply(PatientPoint(p)).0);
        let to = Map3::voxel_of(prior);
        let [_, rows, columns] = onto.shape();
        let mut data = vec![outside; onto.len()];
        data.par_chunks_mut(rows * columns).enumerate().for_each(|(s, slice)| {
            if s < bounds[0][0] || s >= bounds[0][1] {
                return;
            }
            for r in bounds[1][0]..bounds[1][1] {
                for c in bounds[2][0]..bounds[2][1] {
                    let p = from.apply([s as f32, r as f32, c as f32]);
                    let mut q = moved.apply(p);
                    if let Some(deformation) = &self.deformation {
                        let by = deformation.displacement(p);
                        q = std::array::from_fn(|a| q[a] + by[a]);
                    }
                    slice[r * columns + c] = value(to.apply(q));
                }
            }
        });
        Volume::new(onto.clone(), data).expect("one value per voxel")
    }
}
