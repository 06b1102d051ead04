//! From a body in space to voxels: point spread, slice profile, noise.
//!
//! The point spread of the reconstruction and the width of a pixel are taken into the anatomy's own edges; the slice
//! profile is sampled. Noise is correlated within a slice as filtered back projection leaves it (band-pass, a grain of about
//! two pixels), stronger deep in the body and behind the shoulders, where it also runs in horizontal streaks.

use crate::anatomy::{Anatomy, BLUR_LIMIT};
use crate::random::Random;
use crate::shape::ramp;
use glam::Vec3;
use hilum_volume::{Geometry, LabelMap, PatientVector, Volume};
use rayon::prelude::*;

/// How the scanner sees.
#[derive(Clone, Debug, PartialEq)]
pub struct ScannerOptions {
    /// Makes the noise; another seed gives other noise of the same kind.
    pub seed: u64,
    /// Standard deviation of the noise in soft tissue in the middle of the chest, HU, for slices 1.25 mm thick. 0 for none.
    pub noise_hu: f32,
    /// Full width at half maximum of the in-plane point spread, mm.
    pub point_spread_mm: f64,
    /// Thickness of the slices, mm; `None`: as thick as they lie apart.
    pub slice_thickness_mm: Option<f64>,
}

impl Default for ScannerOptions {
    /// A chest CT with a standard kernel: 22 HU, 0.9 mm.
    fn default() -> Self {
        Self { seed: 1, noise_hu: 22.0, point_spread_mm: 0.9, slice_thickness_mm: None }
    }
}

/// What is true at every voxel's centre.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// 1–5: RUL RML RLL LUL LLL, lesions included; what counts as lung is said at [`Anatomy::lobe`].
    pub lobes: LabelMap,
    /// 11 ground-glass, 12 consolidation.
    pub lesions: LabelMap,
}

impl Truth {
    /// Lobes and lesions in one map: a lesion's label where there is one, else the lobe's.
    #[must_use]
    pub fn into_labels(self) -> LabelMap {
        let mut labels = self.lobes;
        let lesions = self.lesions.labels().data();
        for (label, lesion) in labels.labels_mut().data_mut().iter_mut().zip(lesions) {
            if *lesion > 0 {
                *label = *lesion;
            }
        }
        labels
    }
}

/// Something that has an HU everywhere.
pub(crate) trait Body: Sync {
    /// HU at a point (LPS, mm), seen through a point spread of half width `blur` mm.
    fn hu(&self, p: Vec3, blur: f32) -> f32;
    /// Distance outside the skin, mm, to first order.
    fn skin_distance(&self, p: Vec3) -> f32;
}

impl Body for Anatomy {
    fn hu(&self, p: Vec3, blur: f32) -> f32 {
        self.hu(p, blur)
    }

    fn skin_distance(&self, p: Vec3) -> f32 {
        self.body_distance(p)
    }
}

impl Anatomy {
    /// Scans the chest onto a grid of any orientation: HU from −1024 to 3071.
    ///
    /// Index order `[slice, row, column]`; the same arguments always give the same voxels. In pixels above about 3 mm small
    /// vessels and bronchi are sharper than they should be, since the point spread is limited.
    #[must_use]
    pub fn scan(&self, grid: &Geometry, scanner: &ScannerOptions) -> Volume<i16> {
        scan(self, grid, scanner)
    }

    /// The lobe and the lesion at every voxel's centre.
    #[must_use]
    pub fn truth(&self, grid: &Geometry) -> Truth {
        let [_, rows, columns] = grid.shape();
        let mut lobes = vec![0; grid.len()];
        let mut lesions = vec![0; grid.len()];
        let area = rows * columns;
        lobes.par_chunks_mut(area).zip(lesions.par_chunks_mut(area)).enumerate().for_each(
            |(slice, (lobes, lesions))| {
                let line = Line::new(grid);
                for row in 0..rows {
                    for column in 0..columns {
                        let p = line.at(slice, row, column);
                        if let Some(lobe) = self.lobe_at(p) {
                            let at = row * columns + column;
                            lobes[at] = lobe.label();
                            lesions[at] = self.lesion_at(p, lobe).map_or(0, |i| self.lesions[i].kind.label());
                        }
                    }
                }
            },
        );
        let map = |labels| LabelMap::new(Volume::new(grid.clone(), labels).expect("one label for every voxel"));
        Truth { lobes: map(lobes), lesions: map(lesions) }
    }

    /// [`Anatomy::scan`] and [`Anatomy::truth`] at once.
    #[must_use]
    pub fn sample(&self, grid: &Geometry, scanner: &ScannerOptions) -> (Volume<i16>, Truth) {
        (self.scan(grid, scanner), self.truth(grid))
    }
}

/// The grid's voxel centres in single precision.
struct Line {
    origin: Vec3,
    steps: [Vec3; 3],
}

impl Line {
    fn new(grid: &Geometry) -> Self {
        let steps: [Vec3; 3] = std::array::from_fn(|a| to_vec3(grid.axes()[a].times(grid.spacing_mm()[a])));
        Self { origin: Vec3::from_array(grid.origin().0.map(|v| v as f32)), steps }
    }

    #[inline]
    fn at(&self, slice: usize, row: usize, column: usize) -> Vec3 {
        self.origin + self.steps[0] * slice as f32 + self.steps[1] * row as f32 + self.steps[2] * column as f32
    }
}

fn to_vec3(v: PatientVector) -> Vec3 {
    Vec3::from_array(v.0.map(|c| c as f32))
}

/// Scans any body onto a grid.
pub(crate) fn scan(body: &dyn Body, grid: &Geometry, scanner: &ScannerOptions) -> Volume<i16> {
    let [_, rows, columns] = grid.shape();
    let spacing = grid.spacing_mm();
    let axes = grid.axes();
    let normal = axes[1].cross(axes[2]);
    let normal = normal.times(1.0 / normal.length_mm());
    let apart = spacing[0] * axes[0].dot(normal).abs();
    let thickness = scanner.slice_thickness_mm.unwrap_or(apart);
    // The parabolic kernel that has the variance of the point spread and of the pixel together.
    let sigma2 = (scanner.point_spread_mm / 2.355).powi(2) + spacing[1] * spacing[2] / 12.0;
    let blur = ((5.0 * sigma2).sqrt() as f32).min(BLUR_LIMIT);
    let layers = ((thickness / 1.3).ceil() as usize).max(1);
    let layer = |i: usize| {
        let t = ((i as f64 + 0.5) / layers as f64 - 0.5) * thickness;
        to_vec3(normal.times(t))
    };
    let offsets: Vec<Vec3> = (0..layers).map(layer).collect();
    let dose = (1.25 / thickness).sqrt() * (0.74 / spacing[2]).sqrt().min(1.0);
    let level = scanner.noise_hu * (dose as f32).clamp(0.35, 1.6);
    let noise = Noise::new(scanner.seed);
    let mut hu = vec![0i16; grid.len()];
    hu.par_chunks_mut(rows * columns).enumerate().for_each(|(slice, hu)| {
        let line = Line::new(grid);
        let grain = noise.of_slice(slice);
        for row in 0..rows {
            for column in 0..columns {
                let p = line.at(slice, row, column);
                let sum: f32 = offsets.iter().map(|o| body.hu(p + *o, blur)).sum();
                let mut value = sum / layers as f32;
                if level > 0.0 {
                    value += level * grain.at(row, column, p, body.skin_distance(p));
                }
                hu[row * columns + column] = value.round().clamp(-1024.0, 3071.0) as i16;
            }
        }
    });
    Volume::new(grid.clone(), hu).expect("one value for every voxel")
}

const TILE: usize = 512;

/// Correlated noise of standard deviation 1, in two kinds.
struct Noise {
    seed: u64,
    grain: Vec<f32>,
    streaks: Vec<f32>,
}

/// The noise of one slice: two shifted looks at a tile, so that no two slices share a pattern.
struct SliceNoise<'a> {
    noise: &'a Noise,
    shifts: [[usize; 2]; 3],
}

impl Noise {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, 0x0153);
        let white: Vec<f32> = (0..TILE * TILE).map(|_| random.normal()).collect();
        let soft = smooth(&smooth(&white, 1, 1), TILE, 1);
        let wide = smooth(&smooth(&soft, 1, 4), TILE, 4);
        // Filtered back projection removes the lowest frequencies.
        let grain = soft.iter().zip(&wide).map(|(s, w)| s - 0.8 * w).collect();
        let long = smooth(&smooth(&white, 1, 14), 1, 14);
        Self { seed, grain: unit(grain), streaks: unit(smooth(&long, TILE, 1)) }
    }

    fn of_slice(&self, slice: usize) -> SliceNoise<'_> {
        let mut random = Random::new(self.seed, 0x511c_e000 + slice as u64);
        let mut shift = || [random.next() as usize % TILE, random.next() as usize % TILE];
        SliceNoise { noise: self, shifts: [shift(), shift(), shift()] }
    }
}

impl SliceNoise<'_> {
    #[inline]
    fn at(&self, row: usize, column: usize, p: Vec3, skin: f32) -> f32 {
        let look = |tile: &[f32], [r, c]: [usize; 2]| tile[(row + r) % TILE * TILE + (column + c) % TILE];
        let [a, b, c] = self.shifts;
        let grain = &self.noise.grain;
        let fine = (look(grain, a) + look(grain, b)) * 0.707;
        let shoulders = ramp(p.z, 75.0, 130.0);
        let deep = ramp(-skin, -30.0, 90.0);
        let level = 0.5 + 0.5 * deep + 0.45 * shoulders * deep;
        level * (fine + 0.5 * shoulders * look(&self.noise.streaks, c))
    }
}

/// A box mean of half width `reach` along one direction of the tile, which repeats.
fn smooth(tile: &[f32], stride: usize, reach: usize) -> Vec<f32> {
    let line = stride * TILE;
    (0..tile.len())
        .map(|i| {
            let start = i - i % line + i % stride;
            let step = i / stride % TILE;
            let sum: f32 = (0..=2 * reach).map(|k| tile[start + (step + TILE + k - reach) % TILE * stride]).sum();
            sum / (2 * reach + 1) as f32
        })
        .collect()
}

/// Scaled to standard deviation 1.
fn unit(mut tile: Vec<f32>) -> Vec<f32> {
    let mean = tile.iter().sum::<f32>() / tile.len() as f32;
    let variance = tile.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / tile.len() as f32;
    let scale = variance.sqrt().recip();
    tile.iter_mut().for_each(|v| *v = (*v - mean) * scale);
    tile
}
