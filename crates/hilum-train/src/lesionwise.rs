//! Lesions counted one by one.

use hilum_imaging::components::{self, Components, Connectivity};
use hilum_volume::Mask;
use serde::{Deserialize, Serialize};

/// Lesions smaller than this are not counted, neither of the truth nor of the prediction: the least that findings list.
pub(crate) const LEAST_ML: f64 = 0.1;
/// A lesion of the truth is found if this share of its voxels is predicted, and a predicted one is a false alarm if less of it is
/// true (Commowick et al. 2018, doi:10.1038/s41598-018-31911-7).
pub(crate) const FOUND_FROM_SHARE: f64 = 0.1;

/// Lesions of a patient: connected parts (by faces, edges or corners) of at least 0.1 ml.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LesionCounts {
    /// Scans they were counted in.
    pub scans: usize,
    /// Lesions of the truth.
    pub truth: usize,
    /// Those of them of which at least a tenth of the voxels is predicted.
    pub found: usize,
    /// Predicted lesions of which less than a tenth is true.
    pub false_alarms: usize,
}

impl LesionCounts {
    /// Adds one scan.
    pub(crate) fn add(&mut self, predicted: &Mask, truth: &Mask) {
        let parts = |mask: &Mask| components::label(mask, Connectivity::Corners);
        let true_shares = shares(&parts(truth), predicted);
        let predicted_shares = shares(&parts(predicted), truth);
        self.scans += 1;
        self.truth += true_shares.len();
        self.found += true_shares.iter().filter(|share| **share >= FOUND_FROM_SHARE).count();
        self.false_alarms += predicted_shares.iter().filter(|share| **share < FOUND_FROM_SHARE).count();
    }

    /// Share of the lesions found; `None` where there is none.
    #[must_use]
    pub fn sensitivity(&self) -> Option<f64> {
        (self.truth > 0).then(|| self.found as f64 / self.truth as f64)
    }
}

/// Of every part that is large enough, the share that lies in `mask`.
fn shares(parts: &Components, mask: &Mask) -> Vec<f64> {
    let mut within = vec![0usize; parts.items.len() + 1];
    for (id, inside) in parts.labels.data().iter().zip(mask.data()) {
        within[*id as usize] += usize::from(*inside);
    }
    let voxel_ml = mask.geometry().voxel_volume_mm3() / 1000.0;
    let large = parts.items.iter().filter(|part| part.voxels as f64 * voxel_ml >= LEAST_ML);
    large.map(|part| within[part.id as usize] as f64 / part.voxels as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hilum_volume::{Geometry, PatientPoint};

    #[test]
    fn lesions_are_found_missed_and_made_up() {
        // Voxels of 8 mm³: 13 of them are 0.104 ml.
        let grid = Geometry::axial([4, 20, 40], PatientPoint([0.0; 3]), [2.0; 3]).unwrap();
        let boxes = |list: &[([usize; 3], [usize; 3])]| {
            let mut mask = Mask::filled(grid.clone(), false);
            for (from, to) in list {
                for s in from[0]..to[0] {
                    for r in from[1]..to[1] {
                        (from[2]..to[2]).for_each(|c| mask[[s, r, c]] = true);
                    }
                }
            }
            mask
        };
        // A large one, one of 27 voxels, a speck of 12, and two that touch by a corner: one.
        let truth = boxes(&[
            ([0, 0, 0], [4, 5, 10]),
            ([0, 10, 0], [3, 13, 3]),
            ([0, 10, 20], [3, 12, 22]),
            ([0, 0, 20], [2, 4, 24]),
            ([2, 4, 24], [4, 8, 28]),
        ]);
        // A fifth of the large one; a touch of the second; a corner of the pair; two where nothing is, one of them a speck.
        let predicted = boxes(&[
            ([0, 0, 0], [4, 1, 10]),
            ([0, 10, 0], [1, 11, 2]),
            ([0, 0, 20], [2, 2, 24]),
            ([0, 15, 30], [4, 20, 35]),
            ([0, 15, 0], [1, 17, 2]),
        ]);
        let mut counts = LesionCounts::default();
        counts.add(&predicted, &truth);
        assert_eq!(counts, LesionCounts { scans: 1, truth: 3, found: 2, false_alarms: 1 });
        assert_eq!(counts.sensitivity(), Some(2.0 / 3.0));
    }
}
