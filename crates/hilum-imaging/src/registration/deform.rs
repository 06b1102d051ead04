//! The deformation on top of the affine map, and the check that it does not fold.

use super::affine::{AffineMap, in_lps};
use super::image::{Level, Pyramid};
use super::linear::{Cell, Map3, determinant, is_inside, solve3};
use crate::filter::gaussian_in_place;
use hilum_volume::{Geometry, PatientPoint, PatientVector, Volume};
use rayon::prelude::*;

/// Steps on the middle and on the finest level.
const STEPS: [(usize, usize); 2] = [(1, 12), (0, 10)];
/// Window in which evidence is put together, in voxels of the level.
const WINDOW_VOXELS: f64 = 1.8;
/// Smoothing of the whole deformation in each step, in voxels of the level.
const ELASTIC_VOXELS: f64 = 1.0;
/// How strongly each step is held back where there is little evidence, as a part of the mean evidence.
const DAMPING: f32 = 0.05;
/// Evidence that counts as none in the smoothing, as a part of the mean.
const LEAST_TRUST: f32 = 0.03;
/// Longest single step, in voxels.
const LONGEST_STEP: f32 = 0.7;
/// Texture beside surface, as in the affine map.
const TEXTURE_WEIGHT: f32 = 0.06;
const TEXTURE_OUTLIER: f32 = 1.5;

/// Window in which agreement before and after is compared, one standard deviation.
const GAIN_MM: f64 = 12.0;
/// The share of the disagreement up to which a deformation that mends it is taken back, and from which it is kept whole. Between
/// copies of one scan, where there is none, it mends .07 to .2; a breath of some millimetres, .6 to .8; two scans of different
/// noise will lie between.
const GAIN: [f32; 2] = [0.2, 0.4];

/// A displacement on top of the affine map: `prior = affine(current) + displacement(current)`, mm in the prior's space.
#[derive(Clone, Debug)]
pub(super) struct Deformation {
    grid: Geometry,
    voxel_of: Map3,
    /// Displacement along x, y, z.
    by: [Vec<f32>; 3],
}

/// A deformation and what was done to it.
pub(super) struct Deformed {
    pub(super) deformation: Deformation,
    /// Share of region voxels where it folded before it was reduced.
    pub(super) folded_share: f64,
    /// Whether it had to be reduced.
    pub(super) reduced: bool,
}

impl Deformation {
    fn none(grid: &Geometry) -> Self {
        let zero = vec![0.0; grid.len()];
        Self { voxel_of: Map3::voxel_of(grid), grid: grid.clone(), by: [zero.clone(), zero.clone(), zero] }
    }

    /// The displacement at a patient point given in single precision.
    pub(super) fn displacement(&self, p: [f32; 3]) -> [f32; 3] {
        let corners = Cell::around(self.grid.shape(), self.voxel_of.apply(p)).corners();
        std::array::from_fn(|a| corners.iter().map(|(at, w)| w * self.by[a][*at]).sum())
    }

    /// The displacement at a current point.
    pub(super) fn at(&self, current: PatientPoint) -> PatientVector {
        PatientVector(self.displacement(current.0.map(|v| v as f32)).map(f64::from))
    }

    /// The Jacobian determinant of affine map and displacement at a point.
    pub(super) fn determinant(&self, affine: &AffineMap, at: PatientPoint) -> f64 {
        let step = self.grid.spacing_mm()[0];
        let mut matrix = affine.matrix();
        for a in 0..3 {
            let moved = |by: f64| {
                let mut p = at;
                p.0[a] += by;
                self.at(p).0
            };
            let (before, after) = (moved(-step), moved(step));
            for (i, row) in matrix.iter_mut().enumerate() {
                row[a] += (after[i] - before[i]) / (2.0 * step);
            }
        }
        determinant(matrix)
    }

    fn onto(&self, grid: &Geometry) -> Self {
        let from = Map3::patient_from(grid);
        let [_, rows, columns] = grid.shape();
        let values: Vec<[f32; 3]> = (0..grid.len())
            .into_par_iter()
            .map(|i| {
                let index = [i / (rows * columns), i / columns % rows, i % columns].map(|v| v as f32);
                self.displacement(from.apply(index))
            })
            .collect();
        let by = std::array::from_fn(|a| values.iter().map(|v| v[a]).collect());
        Self { grid: grid.clone(), voxel_of: Map3::voxel_of(grid), by }
    }

    fn smooth(&mut self, voxels: f64) {
        let sigma_mm = voxels * self.grid.spacing_mm()[0];
        for by in &mut self.by {
            *by = smoothed(&self.grid, std::mem::take(by), sigma_mm);
        }
    }

    /// Share of the region's voxels at which the map folds.
    fn folded_share(&self, affine: &AffineMap, level: &Level) -> f64 {
        let [_, rows, columns] = self.grid.shape();
        let folded: Vec<Option<bool>> = (0..self.grid.len())
            .into_par_iter()
            .map(|i| {
                let index = [i / (rows * columns), i / columns % rows, i % columns];
                (level.region[i] > 0.5).then(|| self.determinant(affine, self.grid.centre_of(index)) <= 0.0)
            })
            .collect();
        let region = folded.iter().flatten().count();
        folded.iter().flatten().filter(|f| **f).count() as f64 / region.max(1) as f64
    }
}

fn smoothed(grid: &Geometry, values: Vec<f32>, sigma_mm: f64) -> Vec<f32> {
    let mut volume = Volume::new(grid.clone(), values).expect("one value per voxel");
    gaussian_in_place(&mut volume, sigma_mm);
    volume.into_data()
}

/// Finds the deformation, on the finest grid of the current scan.
pub(super) fn fit(fixed: &Pyramid, moving: &Pyramid, affine: &AffineMap) -> Deformed {
    let mut found = Deformation::none(&fixed.level(STEPS[0].0).grid);
    for (level, steps) in STEPS {
        let (fixed, moving) = (fixed.level(level), moving.level(level));
        if found.grid != fixed.grid {
            found = found.onto(&fixed.grid);
        }
        for _ in 0..steps {
            step(&mut found, fixed, moving, affine);
        }
    }
    keep_what_helps(&mut found, affine, fixed.finest(), moving.finest());
    unfolded(found, affine, fixed.finest())
}

/// Takes the deformation back where the images do not agree clearly better for it than after the affine map: following noise
/// makes them agree a little better everywhere.
fn keep_what_helps(found: &mut Deformation, affine: &AffineMap, fixed: &Level, moving: &Level) {
    let none = Deformation::none(&fixed.grid);
    let disagreement =
        |deformation: &Deformation| smoothed(&fixed.grid, disagreement(deformation, fixed, moving, affine), GAIN_MM);
    let (before, after) = (disagreement(&none), disagreement(found));
    let [none, all] = GAIN;
    let keep = before.iter().zip(&after).map(|(before, after)| {
        let gain = 1.0 - after / before.max(1e-9);
        ((gain - none) / (all - none)).clamp(0.0, 1.0)
    });
    let keep = smoothed(&fixed.grid, keep.collect(), GAIN_MM);
    for by in &mut found.by {
        by.iter_mut().zip(&keep).for_each(|(v, keep)| *v *= keep);
    }
}

/// The weighted squared differences of surface and texture at every voxel.
fn disagreement(found: &Deformation, fixed: &Level, moving: &Level, affine: &AffineMap) -> Vec<f32> {
    let from = Map3::patient_from(&fixed.grid);
    let moved = Map3::sampled(|p| affine.apply(PatientPoint(p)).0);
    let to = Map3::voxel_of(&moving.grid);
    let [_, rows, columns] = fixed.grid.shape();
    let shape = moving.grid.shape();
    let of = |i: usize| {
        if !fixed.seen[i] || (fixed.surface[i] < 0.002 && fixed.trust[i] == 0.0) {
            return 0.0;
        }
        let p = from.apply([(i / (rows * columns)) as f32, (i / columns % rows) as f32, (i % columns) as f32]);
        let q = moved.apply(p);
        let at = to.apply(std::array::from_fn(|a| q[a] + found.by[a][i]));
        if !is_inside(shape, at) {
            return fixed.surface[i] * fixed.surface[i];
        }
        let cell = Cell::around(shape, at);
        if !moving.seen[cell.first] {
            return 0.0;
        }
        let mut sum = (fixed.surface[i] - cell.value(&moving.surface)).powi(2);
        let trust = fixed.trust[i] * cell.value(&moving.trust);
        if trust > 0.05 {
            let difference = fixed.texture[i] - cell.value(&moving.texture);
            sum += TEXTURE_WEIGHT * trust * difference * difference / (1.0 + (difference / TEXTURE_OUTLIER).powi(2));
        }
        sum
    };
    (0..fixed.grid.len()).into_par_iter().map(of).collect()
}

/// Smooths, then shrinks the deformation until it does not fold.
fn unfolded(mut found: Deformation, affine: &AffineMap, level: &Level) -> Deformed {
    let folded_share = found.folded_share(affine, level);
    let mut share = folded_share;
    let mut round = 0;
    while share > 0.0 {
        if round < 4 {
            found.smooth(1.5);
        } else {
            let keep = if round < 12 { 0.7 } else { 0.0 };
            found.by.iter_mut().flatten().for_each(|v| *v *= keep);
        }
        share = if round < 13 { found.folded_share(affine, level) } else { 0.0 };
        round += 1;
    }
    Deformed { deformation: found, folded_share, reduced: round > 0 }
}

/// Evidence at one voxel: the upper triangle of its normal matrix and its right-hand side.
type Evidence = [f32; 9];

fn step(found: &mut Deformation, fixed: &Level, moving: &Level, affine: &AffineMap) {
    let grid = fixed.grid.clone();
    let voxel_mm = grid.spacing_mm()[0];
    let evidence = evidence(found, fixed, moving, affine);
    let sums: Vec<Vec<f32>> = (0..9)
        .map(|k| smoothed(&grid, evidence.par_iter().map(|e| e[k]).collect(), WINDOW_VOXELS * voxel_mm))
        .collect();
    drop(evidence);
    // Mean evidence where there is any: the measure of little and much.
    let trace = |i: usize| sums[0][i] + sums[3][i] + sums[5][i];
    let (mut total, mut count) = (0.0_f64, 0_u64);
    for i in 0..grid.len() {
        if fixed.region[i] > 0.5 {
            total += f64::from(trace(i));
            count += 1;
        }
    }
    let typical = (total / count.max(1) as f64) as f32 / 3.0 + 1e-12;
    let longest = LONGEST_STEP * voxel_mm as f32;
    let steps: Vec<([f32; 3], f32)> = (0..grid.len())
        .into_par_iter()
        .map(|i| {
            let hold = DAMPING * typical;
            let m = [sums[0][i] + hold, sums[1][i], sums[2][i], sums[3][i] + hold, sums[4][i], sums[5][i] + hold];
            let mut v = solve3(m, [sums[6][i], sums[7][i], sums[8][i]]);
            let length = v.iter().map(|c| c * c).sum::<f32>().sqrt();
            if length > longest {
                v = v.map(|c| c * longest / length);
            }
            let trust = trace(i) / 3.0;
            (v, trust / (trust + typical) + LEAST_TRUST)
        })
        .collect();
    let sigma_mm = ELASTIC_VOXELS * voxel_mm;
    let weight = smoothed(&grid, steps.iter().map(|(_, w)| *w).collect(), sigma_mm);
    for a in 0..3 {
        let weighted = found.by[a].par_iter().zip(&steps).map(|(u, (v, w))| (u + v[a]) * w).collect();
        let sum = smoothed(&grid, weighted, sigma_mm);
        found.by[a].par_iter_mut().zip(&sum).zip(&weight).for_each(|((u, s), w)| *u = s / w);
    }
}

fn evidence(found: &Deformation, fixed: &Level, moving: &Level, affine: &AffineMap) -> Vec<Evidence> {
    let from = Map3::patient_from(&fixed.grid);
    let moved = Map3::sampled(|p| affine.apply(PatientPoint(p)).0);
    let to = Map3::voxel_of(&moving.grid);
    let [_, rows, columns] = fixed.grid.shape();
    let shape = moving.grid.shape();
    let per_mm = 1.0 / moving.grid.spacing_mm()[0] as f32;
    (0..fixed.grid.len())
        .into_par_iter()
        .map(|i| {
            let mut evidence = [0.0; 9];
            if !fixed.seen[i] || (fixed.surface[i] < 0.002 && fixed.trust[i] == 0.0) {
                return evidence;
            }
            let p = from.apply([(i / (rows * columns)) as f32, (i / columns % rows) as f32, (i % columns) as f32]);
            let q = moved.apply(p);
            let at = to.apply(std::array::from_fn(|a| q[a] + found.by[a][i]));
            if !is_inside(shape, at) {
                return evidence;
            }
            let cell = Cell::around(shape, at);
            if !moving.seen[cell.first] {
                return evidence;
            }
            let (surface, slope) = cell.value_and_slope(&moving.surface);
            add(&mut evidence, fixed.surface[i] - surface, in_lps(slope, per_mm), 1.0);
            if fixed.trust[i] > 0.0 {
                let trust = fixed.trust[i] * cell.value(&moving.trust);
                if trust > 0.05 {
                    let (texture, slope) = cell.value_and_slope(&moving.texture);
                    let difference = fixed.texture[i] - texture;
                    let quiet = 1.0 / (1.0 + (difference / TEXTURE_OUTLIER).powi(2));
                    add(&mut evidence, difference, in_lps(slope, per_mm), TEXTURE_WEIGHT * trust * quiet * quiet);
                }
            }
            evidence
        })
        .collect()
}

fn add(evidence: &mut Evidence, difference: f32, [x, y, z]: [f32; 3], weight: f32) {
    let products = [x * x, x * y, x * z, y * y, y * z, z * z, x * difference, y * difference, z * difference];
    for (sum, product) in evidence.iter_mut().zip(products) {
        *sum += weight * product;
    }
}
