//! How well two scans fit, without landmarks.

use super::affine::AffineMap;
use super::deform::Deformation;
use super::image::Level;
use super::linear::{Cell, Map3, is_inside};
use hilum_volume::PatientPoint;
use rayon::prelude::*;

/// How well two registered scans fit, measured on the working grid within what both show.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quality {
    /// Dice of the regions.
    pub dice: f64,
    /// The same after the affine map alone.
    pub dice_affine: f64,
    /// Mean distance of the surfaces, mm: the mean difference of smoothed regions along the surface over their slope there.
    pub surface_mm: f64,
    /// Correlation of the textures within both regions, −1 to 1; `None` if one scan has no intensities.
    pub correlation: Option<f64>,
    /// The same after the affine map alone.
    pub correlation_affine: Option<f64>,
    /// Share of the current region that the prior scan shows, 0 to 1.
    pub common_share_current: f64,
    /// Share of the prior region's volume that is met from the current one, 0 to 1.
    pub common_share_prior: f64,
    /// Share of the region's voxels at which the deformation folded before it was reduced.
    pub folded_share: f64,
    /// Whether the deformation was smoothed or shrunk because it folded; it then folds nowhere.
    pub deformation_reduced: bool,
    /// Mean length of the deformation within the region, mm.
    pub deformation_mm: f64,
}

/// Sums over voxels of the current region.
#[derive(Clone, Copy, Default)]
struct Sums {
    region: f64,
    region_common: f64,
    prior_common: f64,
    both: f64,
    surface: f64,
    surface_weight: f64,
    moved: f64,
    texture: [f64; 6],
}

pub(super) fn measure(fixed: &Level, moving: &Level, affine: &AffineMap, deformation: Option<&Deformation>) -> Quality {
    let from = Map3::patient_from(&fixed.grid);
    let moved = Map3::sampled(|p| affine.apply(PatientPoint(p)).0);
    let to = Map3::voxel_of(&moving.grid);
    let [slices, rows, columns] = fixed.grid.shape();
    let shape = moving.grid.shape();
    let per_mm = 1.0 / moving.grid.spacing_mm()[0] as f32;
    let expansion = affine.determinant();
    let of_slice = |s: usize| {
        let mut sums = Sums::default();
        for r in 0..rows {
            for c in 0..columns {
                let i = (s * rows + r) * columns + c;
                let region = f64::from(fixed.region[i]);
                sums.region += region;
                let p = from.apply([s as f32, r as f32, c as f32]);
                let by = deformation.map_or([0.0; 3], |d| d.displacement(p));
                let q = moved.apply(p);
                let at = to.apply(std::array::from_fn(|a| q[a] + by[a]));
                sums.moved += region * f64::from(by.iter().map(|v| v * v).sum::<f32>().sqrt());
                if !fixed.seen[i] {
                    continue;
                }
                if !is_inside(shape, at) {
                    sums.region_common += region;
                    continue;
                }
                let cell = Cell::around(shape, at);
                if !moving.seen[cell.first] {
                    continue;
                }
                let prior = f64::from(cell.value(&moving.region));
                sums.region_common += region;
                sums.prior_common += prior;
                sums.both += region.min(prior);
                if fixed.surface[i] > 0.25 && fixed.surface[i] < 0.75 {
                    let (surface, slope) = cell.value_and_slope(&moving.surface);
                    let steep = slope.iter().map(|v| v * v).sum::<f32>().sqrt() * per_mm;
                    // Half a surface's slope keeps flat places, where the other surface is far, from counting for nothing.
                    let least = 0.08 / fixed.grid.spacing_mm()[0] as f32;
                    sums.surface += f64::from((fixed.surface[i] - surface).abs() / steep.max(least));
                    sums.surface_weight += 1.0;
                }
                let trust = fixed.trust[i] * cell.value(&moving.trust);
                if trust > 0.5 {
                    let (x, y) = (f64::from(fixed.texture[i]), f64::from(cell.value(&moving.texture)));
                    for (sum, value) in sums.texture.iter_mut().zip([1.0, x, y, x * x, y * y, x * y]) {
                        *sum += value;
                    }
                }
            }
        }
        sums
    };
    let all: Vec<Sums> = (0..slices).into_par_iter().map(of_slice).collect();
    let sums = all.into_iter().fold(Sums::default(), |mut sum, add| {
        sum.region += add.region;
        sum.region_common += add.region_common;
        sum.prior_common += add.prior_common;
        sum.both += add.both;
        sum.surface += add.surface;
        sum.surface_weight += add.surface_weight;
        sum.moved += add.moved;
        sum.texture.iter_mut().zip(add.texture).for_each(|(s, a)| *s += a);
        sum
    });
    let voxels_prior: f64 = moving.region.iter().map(|v| f64::from(*v)).sum();
    let correlation = correlation(sums.texture);
    Quality {
        dice: 2.0 * sums.both / (sums.region_common + sums.prior_common).max(1e-9),
        dice_affine: 0.0,
        surface_mm: sums.surface / sums.surface_weight.max(1.0),
        correlation,
        correlation_affine: None,
        common_share_current: sums.region_common / sums.region.max(1e-9),
        // Voxels of the current grid stand for `expansion` times their volume in the prior scan.
        common_share_prior: (sums.prior_common * expansion / voxels_prior.max(1e-9)).min(1.0),
        folded_share: 0.0,
        deformation_reduced: false,
        deformation_mm: sums.moved / sums.region.max(1e-9),
    }
}

/// Pearson's correlation from sums of 1, x, y, x², y², xy; `None` of less than a hundred voxels or constants.
fn correlation([n, x, y, xx, yy, xy]: [f64; 6]) -> Option<f64> {
    if n < 100.0 {
        return None;
    }
    let (vx, vy) = (xx / n - (x / n).powi(2), yy / n - (y / n).powi(2));
    (vx > 1e-9 && vy > 1e-9).then(|| (xy / n - x / n * (y / n)) / (vx * vy).sqrt())
}
