//! Dark streaks: tissue that is thinner than fat though it holds no air.

use hilum_imaging::morphology;
use hilum_volume::{Mask, Volume};

/// Between fat, −120 to −80 HU, and what holds air.
const THINNER_THAN_FAT_HU: std::ops::Range<i16> = -600..-170;
/// What is less dense is air or lung.
const AIR_BELOW_HU: i16 = -600;
/// Distance from air, lung and skin from which no edge reaches in.
const AWAY_MM: f64 = 6.0;
/// Tissue that must be seen.
const TISSUE_MIN_ML: f64 = 500.0;

/// The share of tissue, away from lung and skin, that is thinner than fat. `ct`, `body` and `labels` lie on the working grid.
pub(crate) fn measure(ct: &Volume<i16>, body: &Mask, labels: &Volume<u8>) -> Option<f64> {
    let mut tissue = body.clone();
    for ((inside, hu), label) in tissue.data_mut().iter_mut().zip(ct.data()).zip(labels.data()) {
        *inside &= *hu > AIR_BELOW_HU && *label == 0;
    }
    let [_, row_mm, column_mm] = ct.geometry().spacing_mm();
    let steps = [0, (AWAY_MM / row_mm).ceil() as usize, (AWAY_MM / column_mm).ceil() as usize];
    let tissue = morphology::erode_box(&tissue, steps);
    let all = tissue.count();
    let thin = tissue.data().iter().zip(ct.data()).filter(|(t, hu)| **t && THINNER_THAN_FAT_HU.contains(hu)).count();
    let enough = all as f64 * ct.geometry().voxel_volume_mm3() / 1000.0 >= TISSUE_MIN_ML;
    enough.then(|| thin as f64 / all as f64)
}
