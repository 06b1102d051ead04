//! Where in the lungs opacities lie: near the outer surface, behind the centre.
//!
//! The outer surface is found on a coarse upright grid. It is the chest wall and the diaphragm; the mediastinum, which is
//! what lies between the two lungs along the left-right direction, and the fissures are not part of it. Where only one
//! lung is met along that direction (in front of the heart), its inner side counts as outer surface. So do the first and
//! last slice of a scan that cuts the lung off.

use hilum_imaging::{components::fill_holes, distance::distance_mm};
use hilum_volume::{Geometry, LabelMap, Mask, PatientPoint, Volume, VoxelPoint};
use rayon::prelude::*;

use crate::clinical::PERIPHERAL_DEPTH_MM;
use crate::components::kind_index;
use crate::{Lobe, Side};

/// Spacing of the coarse grid. The depth of a voxel is wrong by at most about this much.
const COARSE_MM: f64 = 3.0;
/// Space around the lungs, so that there is an outside everywhere. Not a round number, so that coarse voxels do not fall
/// midway between fine ones, where the memory order of the axes would decide which is nearest.
const MARGIN_MM: f64 = 6.137;

/// Where in the lungs the opacities lie, in voxels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Placement {
    /// Voxels of opacity.
    pub lesion: u64,
    /// Of these, within the outer layer of the lung.
    pub peripheral: u64,
    /// Of these, behind the centre of mass of their lung.
    pub posterior: u64,
    /// Share of the lung itself that lies within the outer layer.
    pub peripheral_share_of_lung: f64,
}

/// Counts opacities by place; `centres` are the centres of mass of the right and left lung.
pub(crate) fn placement(lobes: &LabelMap, lesions: &LabelMap, centres: [Option<PatientPoint>; 2]) -> Placement {
    let layer = OuterLayer::new(lobes);
    let grid = lobes.geometry();
    let [slices, _, columns] = grid.shape();
    let counts = (0..slices)
        .into_par_iter()
        .map(|s| {
            let mut counts = [0_u64; 3];
            let voxels = lobes.labels().slice(s).iter().zip(lesions.labels().slice(s));
            for (at, (lobe, lesion)) in voxels.enumerate() {
                let (Some(lobe), Some(_)) = (Lobe::from_label(*lobe), kind_index(*lesion)) else { continue };
                let point = grid.centre_of([s, at / columns, at % columns]);
                let centre = centres[lobe.side() as usize];
                counts[0] += 1;
                counts[1] += u64::from(layer.contains(point));
                counts[2] += u64::from(centre.is_some_and(|centre| point.0[1] > centre.0[1]));
            }
            counts
        })
        .reduce(|| [0; 3], |a, b| std::array::from_fn(|i| a[i] + b[i]));
    let [lesion, peripheral, posterior] = counts;
    Placement { lesion, peripheral, posterior, peripheral_share_of_lung: layer.share_of_lung }
}

/// The part of the lungs next to their outer surface, on the coarse grid.
struct OuterLayer {
    mask: Mask,
    share_of_lung: f64,
}

impl OuterLayer {
    fn new(lobes: &LabelMap) -> Self {
        let sides = coarse_sides(lobes);
        let lung = fill_holes(&sides.map(|side| *side != 0));
        let outside = outside(&sides, &lung);
        let depth = distance_mm(&outside);
        // The surface runs half a voxel outside the centres of the outermost lung voxels.
        let limit = (PERIPHERAL_DEPTH_MM + 0.5 * COARSE_MM) as f32;
        let layer: Vec<bool> =
            lung.data().iter().zip(depth.data()).map(|(lung, depth)| *lung && *depth <= limit).collect();
        let mask = Mask::new(lung.geometry().clone(), layer).expect("one value per voxel");
        let share_of_lung = mask.count() as f64 / lung.count().max(1) as f64;
        Self { mask, share_of_lung }
    }

    fn contains(&self, point: PatientPoint) -> bool {
        nearest(self.mask.geometry(), point).is_some_and(|index| self.mask[index])
    }
}

/// 1 where the right lung is, 2 where the left one is, on a coarse upright grid around both.
fn coarse_sides(lobes: &LabelMap) -> Volume<u8> {
    let grid = lobes.geometry();
    let [slices, rows, columns] = grid.shape();
    let (low, high) = (0..slices)
        .into_par_iter()
        .map(|s| {
            let mut bounds = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
            for r in 0..rows {
                let row = &lobes.labels().slice(s)[r * columns..(r + 1) * columns];
                let is_lung = |label: &u8| Lobe::from_label(*label).is_some();
                let ends = [row.iter().position(is_lung), row.iter().rposition(is_lung)];
                for column in ends.into_iter().flatten() {
                    bounds = hull(bounds, (grid.centre_of([s, r, column]).0, grid.centre_of([s, r, column]).0));
                }
            }
            bounds
        })
        .reduce(|| ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]), hull);
    // LPS x, y, z become columns, rows, slices.
    let shape = [2, 1, 0].map(|axis| ((high[axis] - low[axis] + 2.0 * MARGIN_MM) / COARSE_MM).ceil() as usize + 1);
    let coarse = Geometry::axial(shape, PatientPoint(low.map(|v| v - MARGIN_MM)), [COARSE_MM; 3])
        .expect("the lungs have a finite extent");
    let plane = shape[1] * shape[2];
    let mut sides = vec![0_u8; coarse.len()];
    sides.par_chunks_mut(plane).enumerate().for_each(|(s, out)| {
        for (at, side) in out.iter_mut().enumerate() {
            let point = coarse.centre_of([s, at / shape[2], at % shape[2]]);
            let label = nearest(grid, point).map_or(0, |index| lobes.labels()[index]);
            *side = match Lobe::from_label(label).map(Lobe::side) {
                None => 0,
                Some(Side::Right) => 1,
                Some(Side::Left) => 2,
            };
        }
    });
    Volume::new(coarse, sides).expect("one side per voxel")
}

/// Everything that is neither lung nor between the two lungs.
fn outside(sides: &Volume<u8>, lung: &Mask) -> Mask {
    let columns = sides.shape()[2];
    let mut outside = lung.map(|lung| !lung);
    for (row, out) in sides.data().chunks(columns).zip(outside.data_mut().chunks_mut(columns)) {
        let first = |side: u8| row.iter().position(|s| *s == side);
        let last = |side: u8| row.iter().rposition(|s| *s == side);
        // LPS x grows to the patient's left, so the right lung comes first.
        if let (Some(right), Some(left)) = (last(1), first(2))
            && right < left
        {
            out[right + 1..left].fill(false);
        }
    }
    outside
}

type Bounds = ([f64; 3], [f64; 3]);

fn hull(a: Bounds, b: Bounds) -> Bounds {
    (std::array::from_fn(|i| a.0[i].min(b.0[i])), std::array::from_fn(|i| a.1[i].max(b.1[i])))
}

/// The voxel whose centre is nearest; `None` outside the grid.
fn nearest(grid: &Geometry, point: PatientPoint) -> Option<[usize; 3]> {
    let VoxelPoint(at) = grid.voxel_from_patient(point);
    let shape = grid.shape();
    let inside = (0..3).all(|a| at[a] >= -0.5 && at[a] < shape[a] as f64 - 0.5);
    inside.then(|| std::array::from_fn(|a| (at[a].round() as usize).min(shape[a] - 1)))
}
