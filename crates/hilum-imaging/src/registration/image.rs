//! What is compared: surface and texture on axial working grids, fine to coarse.

use super::linear::{Map3, is_inside};
use super::{RegistrationOptions, Scan};
use crate::extent::{crop, crop_mask, grown, true_extent};
use crate::filter::gaussian_in_place;
use hilum_volume::{Geometry, Interpolation, Mask, PatientPoint, Volume};
use rayon::prelude::*;

/// How far a working grid reaches beyond the region.
const MARGIN_MM: f64 = 24.0;
/// Window of the local mean and deviation of intensity, one standard deviation.
const TEXTURE_MM: f64 = 12.0;
/// Local deviations below this are not magnified: noise of quiet parenchyma, in HU, averaged over a working voxel.
const LEAST_DEVIATION: f32 = 30.0;
/// Texture beyond this many deviations is cut off.
const TEXTURE_MAX: f32 = 3.0;
/// Voxels of the coarser grids, as multiples of the finest.
const LEVELS: [f64; 3] = [1.0, 2.0, 4.0];

/// One scan at one resolution, `[slice, row, column]` on an axial grid of cubes.
pub(super) struct Level {
    pub(super) grid: Geometry,
    /// Share of the region, smoothed.
    pub(super) surface: Vec<f32>,
    /// Share of the region, as it is.
    pub(super) region: Vec<f32>,
    /// Intensity less its local mean over its local deviation.
    pub(super) texture: Vec<f32>,
    /// How much the texture counts, 0 to 1.
    pub(super) trust: Vec<f32>,
    /// Whether the scan shows this voxel.
    pub(super) seen: Vec<bool>,
}

/// One scan at every resolution, the finest first.
pub(super) struct Pyramid {
    levels: Vec<Level>,
}

impl Pyramid {
    /// `None` if the region is empty.
    pub(super) fn new(scan: &Scan<'_>, options: &RegistrationOptions) -> Option<Self> {
        let bounds = true_extent(scan.region)?;
        let bounds = grown(bounds, [1; 3], scan.region.shape());
        let region = crop_mask(scan.region, bounds);
        let grid = working_grid(region.geometry(), options.working_mm);
        let share = shares(&region, &grid);
        let ignored = scan.ignored.map(|ignored| shares(&crop_mask(ignored, bounds), &grid));
        drop(region);
        let seen = seen(&grid, scan);
        let intensity = scan.intensity.map(|volume| {
            let [low, high] = options.intensity_range;
            let mut values = over(volume, &grid);
            values.data_mut().par_iter_mut().for_each(|v| *v = v.clamp(f32::from(low), f32::from(high)));
            values
        });
        let levels = LEVELS
            .iter()
            .map(|factor| Level::new(&share, ignored.as_ref(), intensity.as_ref(), &seen, options.working_mm * factor))
            .collect();
        Some(Self { levels })
    }

    pub(super) fn finest(&self) -> &Level {
        &self.levels[0]
    }

    /// Resolution `index`, 0 being the finest of three.
    pub(super) fn level(&self, index: usize) -> &Level {
        &self.levels[index]
    }

    /// The number of the coarsest.
    pub(super) fn coarsest(&self) -> usize {
        self.levels.len() - 1
    }
}

impl Level {
    fn new(
        share: &Volume<f32>,
        ignored: Option<&Volume<f32>>,
        intensity: Option<&Volume<f32>>,
        seen: &Volume<f32>,
        voxel_mm: f64,
    ) -> Self {
        let finest = share.geometry();
        let grid = if voxel_mm > finest.spacing_mm()[0] * 1.01 {
            finest.isotropic_working_grid(voxel_mm)
        } else {
            finest.clone()
        };
        let on = |volume: &Volume<f32>| {
            if grid == *finest { volume.clone() } else { volume.resample(&grid, Interpolation::Area, 0.0) }
        };
        let (region, seen) = (on(share), on(seen));
        // Smoothed over what is seen alone, so that the end of a scan is not a surface.
        let surface = ratio(&region, &seen, 0.8 * voxel_mm);
        let mut trust: Vec<f32> = region.data().iter().map(|s| if *s > 0.9 { 1.0 } else { 0.0 }).collect();
        if let Some(ignored) = ignored {
            for (t, i) in trust.iter_mut().zip(on(ignored).data()) {
                *t *= (1.0 - 4.0 * i).max(0.0);
            }
        }
        let texture = match intensity {
            Some(intensity) => texture(&on(intensity), &trust, TEXTURE_MM.max(2.0 * voxel_mm)),
            None => {
                trust.fill(0.0);
                vec![0.0; grid.len()]
            }
        };
        Self {
            surface,
            region: region.into_data(),
            texture,
            trust,
            seen: seen.data().iter().map(|s| *s > 0.99).collect(),
            grid,
        }
    }
}

/// An axial grid of cubes around a region's box, however that lies.
fn working_grid(region: &Geometry, voxel_mm: f64) -> Geometry {
    let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
    for corner in 0..8 {
        let index = std::array::from_fn(|a| if corner >> a & 1 == 1 { region.shape()[a] - 1 } else { 0 });
        let at = region.centre_of(index).0;
        for a in 0..3 {
            low[a] = low[a].min(at[a] - MARGIN_MM);
            high[a] = high[a].max(at[a] + MARGIN_MM);
        }
    }
    // Axial grids run along z, y, x.
    let count = |a: usize| ((high[a] - low[a]) / voxel_mm).ceil() as usize + 1;
    Geometry::axial([count(2), count(1), count(0)], PatientPoint(low), [voxel_mm; 3]).expect("a box has an extent")
}

/// The share of each voxel of `grid` that lies in the mask.
fn shares(mask: &Mask, grid: &Geometry) -> Volume<f32> {
    let mut share = mask
        .map(|inside| if *inside { 1000_i16 } else { 0 })
        .resample(grid, Interpolation::Area, 0)
        .map(|v| f32::from(*v) / 1000.0);
    share.data_mut().par_iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
    share
}

/// Mean intensity in each voxel of `grid`, taken from the part of the volume around it alone.
fn over(volume: &Volume<i16>, grid: &Geometry) -> Volume<f32> {
    let to_voxel = Map3::voxel_of(volume.geometry());
    let from = Map3::patient_from(grid);
    let (mut low, mut high) = ([f32::INFINITY; 3], [f32::NEG_INFINITY; 3]);
    for corner in 0..8 {
        let index = std::array::from_fn(|a| if corner >> a & 1 == 1 { (grid.shape()[a] - 1) as f32 } else { 0.0 });
        let at = to_voxel.apply(from.apply(index));
        for a in 0..3 {
            low[a] = low[a].min(at[a]);
            high[a] = high[a].max(at[a]);
        }
    }
    let bounds = std::array::from_fn(|a| {
        let last = volume.shape()[a] - 1;
        let first = (low[a] - 8.0).clamp(0.0, last as f32) as usize;
        [first, (high[a] + 8.0).clamp(first as f32, last as f32) as usize + 1]
    });
    crop(volume, bounds).resample(grid, Interpolation::Area, 0).map(|v| f32::from(*v))
}

/// 1 where both the region's and the intensities' scan show the voxel, else 0.
fn seen(grid: &Geometry, scan: &Scan<'_>) -> Volume<f32> {
    let from = Map3::patient_from(grid);
    let mut scans = vec![scan.region.geometry()];
    scans.extend(scan.intensity.map(|v| v.geometry()));
    let scans: Vec<(Map3, [usize; 3])> = scans.into_iter().map(|g| (Map3::voxel_of(g), g.shape())).collect();
    let [_, rows, columns] = grid.shape();
    let mut data = vec![0.0; grid.len()];
    data.par_chunks_mut(rows * columns).enumerate().for_each(|(s, slice)| {
        for (i, value) in slice.iter_mut().enumerate() {
            let p = from.apply([s as f32, (i / columns) as f32, (i % columns) as f32]);
            *value = f32::from(u8::from(scans.iter().all(|(map, shape)| is_inside(*shape, map.apply(p)))));
        }
    });
    Volume::new(grid.clone(), data).expect("one value per voxel")
}

/// `smooth(values · weights) / smooth(weights)`, 0 where nothing weighs.
fn ratio(values: &Volume<f32>, weights: &Volume<f32>, sigma_mm: f64) -> Vec<f32> {
    let mut sum = values.clone();
    sum.data_mut().iter_mut().zip(weights.data()).for_each(|(v, w)| *v *= w);
    let mut weight = weights.clone();
    gaussian_in_place(&mut sum, sigma_mm);
    gaussian_in_place(&mut weight, sigma_mm);
    sum.data().iter().zip(weight.data()).map(|(v, w)| if *w > 1e-3 { v / w } else { 0.0 }).collect()
}

/// Intensity less its local mean, over its local deviation; both within what is trusted, outside of which it is 0.
fn texture(intensity: &Volume<f32>, trust: &[f32], sigma_mm: f64) -> Vec<f32> {
    let grid = intensity.geometry();
    let weights = Volume::new(grid.clone(), trust.to_vec()).expect("one weight per voxel");
    let mean = ratio(intensity, &weights, sigma_mm);
    let mut difference = intensity.clone();
    difference.data_mut().iter_mut().zip(&mean).for_each(|(v, m)| *v -= m);
    let squares = difference.map(|d| d * d);
    let variance = ratio(&squares, &weights, sigma_mm);
    difference
        .data()
        .iter()
        .zip(&variance)
        .zip(trust)
        .map(
            |((d, v), t)| {
                if *t > 0.0 { (d / v.sqrt().max(LEAST_DEVIATION)).clamp(-TEXTURE_MAX, TEXTURE_MAX) } else { 0.0 }
            },
        )
        .collect()
}
