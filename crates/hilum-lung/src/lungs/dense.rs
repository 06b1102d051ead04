//! Dense lung: what a threshold on air leaves out.
//!
//! Vessels and small consolidations are notches and cavities of the aerated lung and are closed. A consolidation against
//! the chest wall is not: there the ribs tell how far the lung should reach. On rays from the middle of each lung's section
//! the gap between the last aerated voxel and the first rib is a few millimetres of pleura and muscle; where it is
//! much wider something dense lies between, and its mean density tells consolidation from pleural fluid. A network that was
//! taught consolidated lung, where there is one, adds what neither sees.

use super::body::BONE_HU;
use super::sides::{AERATED_HU, LEFT, NONE, RIGHT, flood};
use hilum_imaging::components::{self, Connectivity};
use hilum_imaging::{filter, morphology};
use hilum_volume::{Mask, Volume};

/// Notches narrower than twice this are vessels, hila and small consolidations.
const CLOSE_MM: f64 = 6.0;

/// Consolidated lung on the working grid; fat lies below, contrast and bone above.
const CONSOLIDATED_HU: std::ops::Range<i16> = -400..220;

/// Mean HU of pleural fluid without blood or contrast. Consolidation is denser (30 to 60, more with contrast), or less
/// dense where air remains in it. Chosen between the two, not tuned on patients.
const FLUID_HU: std::ops::Range<f32> = -8.0..24.0;

/// Fluid is even: within [`LOCAL_MM`] it varies by noise alone. Consolidation holds bronchi with air and vessels.
const FLUID_DEVIATION_HU: f32 = 40.0;

/// A gap whose mean is below this holds fat: under the diaphragm (with the tip of spleen or liver), beside the heart, within
/// the chest wall. Consolidation with so much air left in it is found by closing and by the network.
const FAT_BELOW_HU: f64 = -30.0;

/// Reach (standard deviation) of local mean and deviation.
const LOCAL_MM: f64 = 4.0;

/// A gap wider than the patient's usual one by this much holds more than pleura and muscle.
const EXTRA_GAP_MM: f64 = 8.0;

/// Wider gaps are not between lung and rib but between lung and something else.
const MAX_GAP_MM: f64 = 80.0;

/// Sections of a lung below this do not have a meaningful middle.
const MIN_SECTION_MM2: f64 = 1200.0;

/// Ribs are oblique: those within this height stand for the wall at one level.
const RIB_REACH_MM: f64 = 9.0;

/// Spine, aorta and most of the heart lie within this of the midline.
const BESIDE_SPINE_MM: f64 = 42.0;

/// Directions per section.
const RAYS: usize = 180;

/// What was added to the aerated lung.
pub(super) struct Added {
    /// Dense lung against the chest wall, ml, per side (right, left).
    pub(super) consolidated_ml: [f64; 2],
    /// Fluid-like density between lung and ribs, not counted as lung, ml, per side.
    pub(super) fluid_ml: [f64; 2],
}

/// Completes `labels` (aerated lung) by dense lung; `midline` is the column of the middle of the body.
pub(super) fn complete(
    ct: &Volume<i16>,
    body: &Mask,
    airways: Option<&Mask>,
    network: Option<&Volume<f32>>,
    midline: f64,
    labels: &mut Volume<u8>,
) -> Added {
    close_notches(ct, body, airways, labels);
    let added = fill_against_ribs(ct, body, airways, midline, labels);
    if let Some(network) = network {
        add_from_network(ct, body, airways, network, labels);
    }
    close_notches(ct, body, airways, labels);
    added
}

/// Closes each lung over vessels and small dense parts, and fills what it encloses.
fn close_notches(ct: &Volume<i16>, body: &Mask, airways: Option<&Mask>, labels: &mut Volume<u8>) {
    let closed: Vec<Mask> = [RIGHT, LEFT]
        .into_iter()
        .map(|side| {
            let lung = labels.map(|l| *l == side);
            if lung.count() == 0 { lung } else { enclosed(morphology::close(&lung, CLOSE_MM)) }
        })
        .collect();
    for (i, label) in labels.data_mut().iter_mut().enumerate() {
        let airway = airways.is_some_and(|a| a.data()[i]);
        if *label == NONE && body.data()[i] && !airway && ct.data()[i] < BONE_HU {
            *label = match (closed[0].data()[i], closed[1].data()[i]) {
                (true, false) => RIGHT,
                (false, true) => LEFT,
                _ => NONE,
            };
        }
    }
}

/// The mask with cavities filled, and with what is enclosed in at least two of the three planes through it.
///
/// One plane is not enough: the dome of the liver is ringed by lung in axial slices and the heart's apex in sagittal ones.
fn enclosed(lung: Mask) -> Mask {
    let [slices, rows, columns] = lung.shape();
    let mut votes = vec![0u8; lung.data().len()];
    let filled = components::fill_holes_by_slice(&lung);
    for (v, f) in votes.iter_mut().zip(filled.data()) {
        *v += u8::from(*f);
    }
    for order in [[(1, false), (0, false), (2, false)], [(2, false), (0, false), (1, false)]] {
        let order = hilum_volume::AxisOrder(order);
        let filled = components::fill_holes_by_slice(&lung.reordered(order)).reordered(order.inverse());
        for (v, f) in votes.iter_mut().zip(filled.data()) {
            *v += u8::from(*f);
        }
    }
    debug_assert_eq!(votes.len(), slices * rows * columns);
    let mut lung = lung;
    for (l, v) in lung.data_mut().iter_mut().zip(&votes) {
        *l |= *v >= 2;
    }
    components::fill_holes(&lung)
}

/// One ray of a section: where aerated lung ends and where bone begins, in mm from the middle.
struct Ray {
    slice: usize,
    angle: f64,
    middle: [f64; 2],
    lung_mm: f64,
    rib_mm: f64,
    posterior: bool,
}

/// Fills wide dense gaps between lung and ribs, where they are consolidation; measures those that are fluid.
fn fill_against_ribs(
    ct: &Volume<i16>,
    body: &Mask,
    airways: Option<&Mask>,
    midline: f64,
    labels: &mut Volume<u8>,
) -> Added {
    let bone = ribs(ct, body, labels);
    let mut added = Added { consolidated_ml: [0.0; 2], fluid_ml: [0.0; 2] };
    for (which, side) in [RIGHT, LEFT].into_iter().enumerate() {
        let rays = cast(labels, &bone, side, midline);
        let mut gaps: Vec<f64> = rays.iter().map(|r| r.rib_mm - r.lung_mm).filter(|g| *g < 15.0).collect();
        if gaps.len() < 50 {
            continue;
        }
        gaps.sort_by(f64::total_cmp);
        let usual = gaps[gaps.len() / 2];
        let gap = without_fat(ct, &gap_voxels(ct, labels, airways, &rays, usual, side));
        let (lung, fluid) = parted(ct, &gap);
        let solid = morphology::open(&lung, 2.2);
        added.fluid_ml[which] = morphology::open(&fluid, 2.2).volume_ml();
        added.consolidated_ml[which] = solid.volume_ml();
        for (label, s) in labels.data_mut().iter_mut().zip(solid.data()) {
            if *s && *label == NONE {
                *label = side;
            }
        }
    }
    added
}

/// The connected parts of the gap that are not fat as a whole.
fn without_fat(ct: &Volume<i16>, gap: &Mask) -> Mask {
    let parts = components::label(gap, Connectivity::Faces);
    let mut sums = vec![0.0; parts.items.len() + 1];
    for (id, hu) in parts.labels.data().iter().zip(ct.data()) {
        sums[*id as usize] += f64::from(*hu);
    }
    parts.mask_where(|part| sums[part.id as usize] / part.voxels as f64 >= FAT_BELOW_HU)
}

/// Parts the dense gap into consolidated lung and pleural fluid.
fn parted(ct: &Volume<i16>, gap: &Mask) -> (Mask, Mask) {
    let hu = ct.map(|hu| f32::from(*hu));
    let mean = filter::gaussian_within(&hu, gap, LOCAL_MM);
    let mean_square = filter::gaussian_within(&hu.map(|v| v * v), gap, LOCAL_MM);
    let is_fluid = |i: usize| {
        let variance = mean_square.data()[i] - mean.data()[i].powi(2);
        FLUID_HU.contains(&mean.data()[i]) && variance < FLUID_DEVIATION_HU.powi(2)
    };
    let pick = |fluid: bool| {
        let voxels = gap.data().iter().enumerate().map(|(i, g)| *g && is_fluid(i) == fluid).collect();
        Mask::new(gap.geometry().clone(), voxels).expect("same grid")
    };
    (pick(false), pick(true))
}

/// Bone outside the lungs, spread over the height of an intercostal space.
fn ribs(ct: &Volume<i16>, body: &Mask, labels: &Volume<u8>) -> Mask {
    let geometry = ct.geometry();
    let plane = geometry.shape()[1] * geometry.shape()[2];
    let is_bone = |i: usize| body.data()[i] && labels.data()[i] == NONE && ct.data()[i] > BONE_HU;
    let bone: Vec<bool> = (0..geometry.len()).map(is_bone).collect();
    let reach = (RIB_REACH_MM / geometry.spacing_mm()[0]).round() as usize;
    let mut spread = Mask::filled(geometry.clone(), false);
    for s in 0..geometry.shape()[0] {
        let out = spread.slice_mut(s);
        for t in s.saturating_sub(reach)..=(s + reach).min(geometry.shape()[0] - 1) {
            for (o, b) in out.iter_mut().zip(&bone[t * plane..(t + 1) * plane]) {
                *o |= b;
            }
        }
    }
    spread
}

/// Rays to the side and to the back from the middle of every section of one lung.
fn cast(labels: &Volume<u8>, bone: &Mask, side: u8, midline: f64) -> Vec<Ray> {
    let [slices, rows, columns] = labels.shape();
    let [_, row_mm, column_mm] = labels.geometry().spacing_mm();
    let step = 0.7 * row_mm.min(column_mm);
    let outward = if side == RIGHT { -1.0 } else { 1.0 };
    let mut rays = Vec::new();
    for slice in 0..slices {
        let section = labels.slice(slice);
        let (mut n, mut sum) = (0usize, [0.0f64; 2]);
        for (i, _) in section.iter().enumerate().filter(|(_, l)| **l == side) {
            n += 1;
            sum[0] += (i / columns) as f64 * row_mm;
            sum[1] += (i % columns) as f64 * column_mm;
        }
        if (n as f64) * row_mm * column_mm < MIN_SECTION_MM2 {
            continue;
        }
        let middle = sum.map(|v| v / n as f64);
        // 0 points to the side, positive to the back. In front lie heart and fat, towards the middle the mediastinum.
        let fan = (0..RAYS).map(|ray| (middle, (ray as f64 / RAYS as f64 * 135.0 - 25.0).to_radians()));
        // A consolidation behind moves the middle forward and aside; rays straight to the back still meet all of it.
        let aside = |column: &usize| outward * (*column as f64 - midline) * column_mm > BESIDE_SPINE_MM;
        let straight = (0..columns).filter(aside).filter_map(|column| {
            let first = (0..rows).find(|row| section[row * columns + column] == side)?;
            Some(([first as f64 * row_mm, column as f64 * column_mm], std::f64::consts::FRAC_PI_2))
        });
        for (middle, angle) in fan.chain(straight) {
            let direction = [angle.sin(), outward * angle.cos()];
            let (mut lung_mm, mut rib_mm) = (None, None);
            for k in 0.. {
                let r = k as f64 * step;
                let row = ((middle[0] + direction[0] * r) / row_mm).round();
                let column = ((middle[1] + direction[1] * r) / column_mm).round();
                if row < 0.0 || column < 0.0 || row >= rows as f64 || column >= columns as f64 {
                    break;
                }
                let at = row as usize * columns + column as usize;
                if section[at] == side {
                    lung_mm = Some(r);
                    rib_mm = None;
                } else if rib_mm.is_none() && bone.slice(slice)[at] {
                    rib_mm = Some(r);
                }
            }
            if let (Some(lung_mm), Some(rib_mm)) = (lung_mm, rib_mm) {
                let posterior = angle > 40f64.to_radians();
                rays.push(Ray { slice, angle, middle, lung_mm, rib_mm, posterior });
            }
        }
    }
    rays
}

/// The dense voxels of gaps wider than usual.
///
/// Beside the liver and spleen a ray to the side runs through the organ before it meets a rib; there a gap counts only if
/// aerated lung of the side lies deeper (further to the feet) in the same place, which it never does below the diaphragm.
fn gap_voxels(
    ct: &Volume<i16>,
    labels: &Volume<u8>,
    airways: Option<&Mask>,
    rays: &[Ray],
    usual_mm: f64,
    side: u8,
) -> Mask {
    let [_, rows, columns] = labels.shape();
    let [_, row_mm, column_mm] = labels.geometry().spacing_mm();
    let outward = if side == RIGHT { -1.0 } else { 1.0 };
    let deepest = deepest_lung(labels, side);
    let step = 0.5 * row_mm.min(column_mm);
    let mut gap = Mask::filled(labels.geometry().clone(), false);
    for ray in rays {
        let width = ray.rib_mm - ray.lung_mm;
        if width < usual_mm + EXTRA_GAP_MM || width > MAX_GAP_MM {
            continue;
        }
        let direction = [ray.angle.sin(), outward * ray.angle.cos()];
        let end = ray.rib_mm - usual_mm;
        let mut r = ray.lung_mm;
        while r < end {
            let row = ((ray.middle[0] + direction[0] * r) / row_mm).round() as usize;
            let column = ((ray.middle[1] + direction[1] * r) / column_mm).round() as usize;
            r += step;
            if row >= rows || column >= columns {
                break;
            }
            let index = [ray.slice, row, column];
            let airway = airways.is_some_and(|a| a[index]);
            let below = deepest[row * columns + column].is_some_and(|s| s < ray.slice);
            if labels[index] == NONE && !airway && (ray.posterior || below) && CONSOLIDATED_HU.contains(&ct[index]) {
                gap[index] = true;
            }
        }
    }
    // Rays fan out: the voxels between them are closed over.
    let closed = morphology::close(&gap, 1.5 * row_mm.max(column_mm));
    let data = closed
        .data()
        .iter()
        .enumerate()
        .map(|(i, g)| *g && labels.data()[i] == NONE && CONSOLIDATED_HU.contains(&ct.data()[i]))
        .collect();
    Mask::new(labels.geometry().clone(), data).expect("same grid")
}

/// For each place of a slice, the lowest slice with lung of this side within about 10 mm.
fn deepest_lung(labels: &Volume<u8>, side: u8) -> Vec<Option<usize>> {
    let [slices, rows, columns] = labels.shape();
    let spacing = labels.geometry().spacing_mm();
    let reach = [(10.0 / spacing[1]) as usize, (10.0 / spacing[2]) as usize];
    let mut own = vec![None; rows * columns];
    for slice in (0..slices).rev() {
        for (lowest, label) in own.iter_mut().zip(labels.slice(slice)) {
            if *label == side {
                *lowest = Some(slice);
            }
        }
    }
    let lower = |a: Option<usize>, b: Option<usize>| match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    let mut along = own.clone();
    for (i, out) in along.iter_mut().enumerate() {
        let (row, column) = (i / columns, i % columns);
        for c in column.saturating_sub(reach[1])..=(column + reach[1]).min(columns - 1) {
            *out = lower(*out, own[row * columns + c]);
        }
    }
    let mut deepest = along.clone();
    for (i, out) in deepest.iter_mut().enumerate() {
        let (row, column) = (i / columns, i % columns);
        for r in row.saturating_sub(reach[0])..=(row + reach[0]).min(rows - 1) {
            *out = lower(*out, along[r * columns + column]);
        }
    }
    deepest
}

/// Adds dense voxels that the network calls lung and that hang together with a lung.
///
/// Where no aerated lung lies deeper the network is not believed: below the dome of the diaphragm it takes spleen and fat
/// for consolidated lung.
fn add_from_network(
    ct: &Volume<i16>,
    body: &Mask,
    airways: Option<&Mask>,
    network: &Volume<f32>,
    labels: &mut Volume<u8>,
) {
    let deepest = [RIGHT, LEFT].map(|side| deepest_lung(labels, side));
    let plane = labels.shape()[1] * labels.shape()[2];
    let above_lung = |i: usize| deepest.iter().any(|d| d[i % plane].is_some_and(|lowest| lowest < i / plane));
    let wanted = |i: usize| {
        let airway = airways.is_some_and(|a| a.data()[i]);
        let dense = CONSOLIDATED_HU.contains(&ct.data()[i]) && above_lung(i);
        let kind = ct.data()[i] < AERATED_HU || dense;
        labels.data()[i] == NONE && body.data()[i] && !airway && kind && network.data()[i] > 0.5
    };
    let voxels = (0..labels.data().len()).map(wanted).collect();
    let dense = morphology::open(&Mask::new(labels.geometry().clone(), voxels).expect("same grid"), 2.2);
    let seeds = morphology::dilate(&labels.map(|l| *l != NONE), 2.0);
    let attached = components::touching(&dense, &seeds, Connectivity::Faces);
    let mut within = seeds;
    for (w, a) in within.data_mut().iter_mut().zip(attached.data()) {
        *w |= a;
    }
    let before = labels.clone();
    flood(labels, &within, |_| 1);
    // The seeds were widened so that a thin rim does not part the pieces; the rim itself is not lung.
    for (i, label) in labels.data_mut().iter_mut().enumerate() {
        if before.data()[i] == NONE && !attached.data()[i] {
            *label = NONE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hilum_volume::{Geometry, PatientPoint};

    #[test]
    fn fat_with_the_tip_of_an_organ_is_no_lung() {
        let grid = Geometry::axial([10, 20, 40], PatientPoint([0.0; 3]), [1.5; 3]).unwrap();
        let mut ct = Volume::filled(grid.clone(), -100_i16);
        let mut gap = Mask::filled(grid, false);
        for s in 2..8 {
            for r in 4..16 {
                for c in 2..38 {
                    gap[[s, r, c]] = !(18..22).contains(&c); // two parts
                    if !(6..=20).contains(&c) {
                        ct[[s, r, c]] = 40; // all of the right part, a quarter of the left one
                    }
                }
            }
        }
        let kept = without_fat(&ct, &gap);
        assert!(!kept[[4, 10, 4]] && !kept[[4, 10, 12]], "fat and the organ within it");
        assert!(kept[[4, 10, 30]], "dense lung");
        assert_eq!(kept.count(), 6 * 12 * 16);
    }
}
