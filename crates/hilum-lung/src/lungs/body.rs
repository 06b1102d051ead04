//! The body without couch and clothes, and its midline.

use hilum_imaging::{components, morphology};
use hilum_volume::{Mask, Volume};

/// Between lung or air and soft tissue, fat included.
const TISSUE_HU: i16 = -350;

/// Couch shells, blankets and tubes are thinner than twice this, body walls thicker.
const THIN_MM: f64 = 2.6;

/// Cortical and most cancellous bone; also calcium, metal and dense contrast.
pub(super) const BONE_HU: i16 = 180;

/// The body with everything inside it: the largest block of tissue, the holes of each slice filled.
pub(super) fn body(ct: &Volume<i16>) -> Mask {
    let tissue = ct.map(|hu| *hu > TISSUE_HU);
    let block = components::largest(&morphology::open(&tissue, THIN_MM), 1);
    components::fill_holes_by_slice(&block)
}

/// Column that divides the bones of the body in two halves of equal number; the middle of the grid without bone.
pub(super) fn midline(ct: &Volume<i16>, body: &Mask) -> f64 {
    let columns = ct.shape()[2];
    let mut bone_in = vec![0usize; columns];
    for (i, (hu, inside)) in ct.data().iter().zip(body.data()).enumerate() {
        bone_in[i % columns] += usize::from(*inside && *hu > BONE_HU);
    }
    let half = bone_in.iter().sum::<usize>().div_ceil(2);
    let mut so_far = 0;
    for (column, n) in bone_in.iter().enumerate() {
        so_far += n;
        if half > 0 && so_far >= half {
            return column as f64;
        }
    }
    (columns - 1) as f64 / 2.0
}
