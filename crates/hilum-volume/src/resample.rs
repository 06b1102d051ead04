//! Volumes on another grid. Every voxel of the result is looked up by its position in the patient, so any grid can be
//! brought onto any other: oblique, left-handed, sheared.

mod aligned;
mod separable;

use crate::{Geometry, LabelMap, Mask, Volume, VoxelPoint};
use rayon::prelude::*;

/// How a value between voxel centres is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    /// The nearest voxel's.
    Nearest,
    /// Linear between the eight voxels around; exact for values that change linearly.
    Linear,
    /// The mean over the extent of the target voxel: for coarser grids, where single samples would alias. Exact (every
    /// source voxel by the share of it inside) if the axes of the grids are parallel; otherwise the mean of linear
    /// samples no farther apart than the source's voxels.
    Area,
}

/// Values that can be averaged: CT numbers and their like.
pub trait Intensity: Copy + Send + Sync {
    /// The value as a real number.
    fn to_f32(self) -> f32;
    /// The nearest representable value.
    fn from_f32(value: f32) -> Self;
}

impl Intensity for i16 {
    fn to_f32(self) -> f32 {
        f32::from(self)
    }

    fn from_f32(value: f32) -> Self {
        value.round() as i16
    }
}

impl Intensity for u8 {
    fn to_f32(self) -> f32 {
        f32::from(self)
    }

    fn from_f32(value: f32) -> Self {
        value.round() as u8
    }
}

impl Intensity for f32 {
    fn to_f32(self) -> f32 {
        self
    }

    fn from_f32(value: f32) -> Self {
        value
    }
}

impl<T: Intensity> Volume<T> {
    /// The volume on the grid `onto`; `outside` where that reaches beyond this volume's outer faces.
    ///
    /// Between the outermost voxel centres and the outer faces, half a voxel, the outermost value is held. Integers are
    /// rounded to the nearest. Grids with parallel axes, in any order and direction, take a fast path, and so do grids that
    /// differ by the lean of the slice axis.
    #[must_use]
    pub fn resample(&self, onto: &Geometry, interpolation: Interpolation, outside: T) -> Self {
        if let Some(order) = parallel_order(self.geometry(), onto) {
            return if order == crate::AxisOrder::IDENTITY {
                separable::resample(self, onto, interpolation, outside)
            } else {
                separable::resample(&self.reordered(order), onto, interpolation, outside)
            };
        }
        // The mean over a voxel that leans against the source's is not separable; single samples are.
        if interpolation != Interpolation::Area && same_planes(self.geometry(), onto) {
            return separable::resample(self, onto, interpolation, outside);
        }
        let shape = self.shape();
        match interpolation {
            Interpolation::Nearest => nearest(self, onto, outside),
            Interpolation::Linear => by_position(self.geometry(), onto, outside, |at| {
                if is_inside(shape, at) { T::from_f32(linear(self, at)) } else { outside }
            }),
            Interpolation::Area => area(self, onto, outside),
        }
    }

    /// The volume on an orthogonal grid ([`Geometry::deskewed`]), linearly interpolated; a copy if it is orthogonal.
    ///
    /// A series acquired with a tilted gantry is sheared upright: its slices stay in their planes and are shifted within
    /// them, so nothing is interpolated from slice to slice.
    #[must_use]
    pub fn deskewed(&self, outside: T) -> Self {
        if self.geometry().is_orthogonal() {
            return self.clone();
        }
        self.resample(&self.geometry().deskewed(), Interpolation::Linear, outside)
    }
}

impl LabelMap {
    /// The labels on the grid `onto`, each voxel taking the label of the nearest; 0 outside. Creates no label.
    #[must_use]
    pub fn resample_nearest(&self, onto: &Geometry) -> Self {
        Self::new(nearest(self.labels(), onto, 0))
    }

    /// The labels on a finer grid with smooth borders: each voxel takes the label that holds most of the eight voxels
    /// around it, weighted linearly; equal shares go to the lower label. 0 outside. Creates no label.
    #[must_use]
    pub fn resample_smooth(&self, onto: &Geometry) -> Self {
        Self::new(by_majority(self.labels(), onto, 0))
    }
}

impl Mask {
    /// The mask on the grid `onto`, by nearest voxel; false outside.
    #[must_use]
    pub fn resample_nearest(&self, onto: &Geometry) -> Self {
        nearest(self, onto, false)
    }

    /// The mask on a finer grid with a smooth surface: true where its linear interpolation is above one half; false
    /// outside. The inverse of averaging a mask onto a coarser grid and cutting at one half.
    #[must_use]
    pub fn resample_smooth(&self, onto: &Geometry) -> Self {
        by_majority(self, onto, false)
    }
}

impl Geometry {
    /// The orthogonal grid that holds all of this one: its slices lie in the same planes at the same distances, columns
    /// run the same way, and its voxels coincide with this grid's in slice 0. Rows or columns are added at the sides for
    /// the slices that are shifted. An orthogonal grid is returned as it is.
    ///
    /// # Panics
    /// Never for a grid whose axes are independent, which [`Geometry::new`] makes sure of.
    #[must_use]
    pub fn deskewed(&self) -> Self {
        if self.is_orthogonal() {
            return self.clone();
        }
        let [slice, row, column] = self.axes();
        let row_across = row.plus(column.times(-row.dot(column)));
        let row_axis = row_across.times(1.0 / row_across.length_mm());
        let normal = row_axis.cross(column);
        let slice_axis = if normal.dot(slice) < 0.0 { normal.times(-1.0) } else { normal };
        let axes = [slice_axis, row_axis, column];
        let [slice_mm, row_mm, column_mm] = self.spacing_mm();
        let spacing_mm = [slice_mm * slice_axis.dot(slice), row_mm * row_axis.dot(row), column_mm];
        let mut low = [i64::MAX; 3];
        let mut high = [i64::MIN; 3];
        for corner in 0..8_u8 {
            let index = std::array::from_fn(|a| if corner >> a & 1 == 1 { self.shape()[a] - 1 } else { 0 });
            let offset = self.centre_of(index).minus(self.origin());
            for a in 0..3 {
                let steps = offset.dot(axes[a]) / spacing_mm[a];
                low[a] = low[a].min((steps + 1e-6).floor() as i64);
                high[a] = high[a].max((steps - 1e-6).ceil() as i64);
            }
        }
        let shape = std::array::from_fn(|a| (high[a] - low[a] + 1) as usize);
        let origin = (0..3).fold(self.origin(), |p, a| p.plus(axes[a].times(low[a] as f64 * spacing_mm[a])));
        Self::new(shape, origin, axes, spacing_mm).expect("orthogonal axes of a valid grid")
    }

    /// The same extent of space in voxels as near to cubes of `target_mm` as whole numbers of voxels allow. The axes
    /// stay, so resampling onto it takes the fast path.
    ///
    /// # Panics
    /// If `target_mm` is not positive.
    #[must_use]
    pub fn isotropic_working_grid(&self, target_mm: f64) -> Self {
        assert!(target_mm.is_finite() && target_mm > 0.0, "voxels have a size");
        let count = |a: usize| (self.shape()[a] as f64 * self.spacing_mm()[a] / target_mm).round().max(1.0) as usize;
        self.with_shape(std::array::from_fn(count)).expect("no side is empty")
    }
}

/// Cosine above which axes count as parallel: over 1000 voxels they part by less than a hundredth of one.
const PARALLEL: f64 = 1.0 - 5e-11;

/// The order of `from`'s axes in which each runs along the same line, and the same way, as that of `onto`.
fn parallel_order(from: &Geometry, onto: &Geometry) -> Option<crate::AxisOrder> {
    let mut order = crate::AxisOrder::IDENTITY;
    for (a, axis) in onto.axes().into_iter().enumerate() {
        let cosine = |b: usize| from.axes()[b].dot(axis);
        let source = (0..3).find(|b| cosine(*b).abs() > PARALLEL)?;
        order.0[a] = (source, cosine(source) < 0.0);
    }
    Some(order)
}

/// Whether rows and columns of both grids run the same way, so that they differ by a shear of the slice axis alone.
fn same_planes(from: &Geometry, onto: &Geometry) -> bool {
    (1..3).all(|a| from.axes()[a].dot(onto.axes()[a]) > PARALLEL)
}

/// The affine map from indices of `onto` to positions in `from`.
struct Steps {
    origin: [f64; 3],
    /// Displacement per slice, row and column of `onto`.
    by: [[f64; 3]; 3],
}

impl Steps {
    fn between(from: &Geometry, onto: &Geometry) -> Self {
        let origin = from.voxel_from_patient(onto.origin()).0;
        let step = |a: usize| {
            let there = from.voxel_from_patient(onto.origin().plus(onto.axes()[a].times(onto.spacing_mm()[a]))).0;
            std::array::from_fn(|b| there[b] - origin[b])
        };
        Self { origin, by: [step(0), step(1), step(2)] }
    }

    fn at(&self, s: f64, r: f64, c: f64) -> VoxelPoint {
        VoxelPoint(std::array::from_fn(|a| self.origin[a] + self.by[0][a] * s + self.by[1][a] * r + self.by[2][a] * c))
    }
}

/// `value` of the source position of every voxel of `onto`.
fn by_position<T: Copy + Send + Sync>(
    from: &Geometry,
    onto: &Geometry,
    fill: T,
    value: impl Fn(VoxelPoint) -> T + Sync,
) -> Volume<T> {
    let steps = Steps::between(from, onto);
    let [_, rows, columns] = onto.shape();
    let mut data = vec![fill; onto.len()];
    data.par_chunks_mut(columns).enumerate().for_each(|(line, out)| {
        let (s, r) = ((line / rows) as f64, (line % rows) as f64);
        for (c, v) in out.iter_mut().enumerate() {
            *v = value(steps.at(s, r, c as f64));
        }
    });
    Volume::new(onto.clone(), data).expect("one value per voxel")
}

/// Rounding slack of positions in voxels, so that points meant to lie on a face or midway do.
const SLACK: f64 = 1e-6;

fn is_inside(shape: [usize; 3], at: VoxelPoint) -> bool {
    (0..3).all(|a| at.0[a] >= -0.5 - SLACK && at.0[a] <= shape[a] as f64 - 0.5 + SLACK)
}

/// The nearest index; midway the upper one.
fn nearest_index(n: usize, at: f64) -> usize {
    ((at + 0.5 + SLACK).max(0.0) as usize).min(n - 1)
}

fn nearest<T: Copy + Send + Sync>(volume: &Volume<T>, onto: &Geometry, outside: T) -> Volume<T> {
    if let Some(order) = parallel_order(volume.geometry(), onto) {
        return aligned::nearest(&aligned::ordered(volume, order), onto, outside);
    }
    let shape = volume.shape();
    by_position(volume.geometry(), onto, outside, |at| {
        if !is_inside(shape, at) {
            return outside;
        }
        volume[std::array::from_fn(|a| nearest_index(shape[a], at.0[a]))]
    })
}

/// The eight voxels around a position inside the grid, by index along each axis, and the weight of the upper ones.
fn around(shape: [usize; 3], at: VoxelPoint) -> ([usize; 3], [usize; 3], [f32; 3]) {
    let mut low = [0; 3];
    let mut high = [0; 3];
    let mut share = [0.0; 3];
    for a in 0..3 {
        let p = at.0[a].clamp(0.0, (shape[a] - 1) as f64);
        low[a] = p as usize;
        high[a] = (low[a] + 1).min(shape[a] - 1);
        share[a] = (p - low[a] as f64) as f32;
    }
    (low, high, share)
}

fn linear<T: Intensity>(volume: &Volume<T>, at: VoxelPoint) -> f32 {
    let (low, high, share) = around(volume.shape(), at);
    let mix = |a: f32, b: f32, t: f32| if t == 0.0 { a } else { a + t * (b - a) };
    let line = |s: usize, r: usize| mix(volume[[s, r, low[2]]].to_f32(), volume[[s, r, high[2]]].to_f32(), share[2]);
    let face = |s: usize| mix(line(s, low[1]), line(s, high[1]), share[1]);
    mix(face(low[0]), face(high[0]), share[0])
}

/// Mean of linear samples spread over each target voxel; samples outside the source do not count.
fn area<T: Intensity>(volume: &Volume<T>, onto: &Geometry, outside: T) -> Volume<T> {
    let shape = volume.shape();
    let steps = Steps::between(volume.geometry(), onto);
    // Along each target axis, as many samples as source voxels are crossed, at least one.
    let counts = steps.by.map(|by| by.iter().map(|v| v.abs()).sum::<f64>().ceil().max(1.0) as usize);
    let spread = |n: usize| (0..n).map(move |i| (i as f64 + 0.5) / n as f64 - 0.5);
    let offsets: Vec<[f64; 3]> = spread(counts[0])
        .flat_map(|s| spread(counts[1]).flat_map(move |r| spread(counts[2]).map(move |c| [s, r, c])))
        .map(|[s, r, c]| std::array::from_fn(|a| steps.by[0][a] * s + steps.by[1][a] * r + steps.by[2][a] * c))
        .collect();
    by_position(volume.geometry(), onto, outside, |centre| {
        let (mut sum, mut count) = (0.0_f64, 0_usize);
        for offset in &offsets {
            let at = VoxelPoint(std::array::from_fn(|a| centre.0[a] + offset[a]));
            if is_inside(shape, at) {
                sum += f64::from(linear(volume, at));
                count += 1;
            }
        }
        if count == 0 { outside } else { T::from_f32((sum / count as f64) as f32) }
    })
}

/// The value with the greatest linear weight among the eight voxels around; of equals the least.
fn by_majority<T: Copy + Ord + Send + Sync>(volume: &Volume<T>, onto: &Geometry, outside: T) -> Volume<T> {
    if let Some(order) = parallel_order(volume.geometry(), onto) {
        return aligned::by_majority(&aligned::ordered(volume, order), onto, outside);
    }
    let shape = volume.shape();
    by_position(volume.geometry(), onto, outside, |at| {
        if !is_inside(shape, at) {
            return outside;
        }
        let (low, high, share) = around(shape, at);
        majority(share, |bits| volume[std::array::from_fn(|a| if bits >> a & 1 == 1 { high[a] } else { low[a] })])
    })
}

/// The value with the greatest weight among the corners of a cell; bit `a` of a corner's number says whether it is the
/// upper one along axis `a`, whose weight is `share[a]`.
fn majority<T: Copy + Ord>(share: [f32; 3], value: impl Fn(usize) -> T) -> T {
    let values: [T; 8] = std::array::from_fn(value);
    let mut best = values[0];
    if values.iter().all(|v| *v == best) {
        return best;
    }
    let weights: [f32; 8] = std::array::from_fn(|bits| {
        (0..3).map(|a| if bits >> a & 1 == 1 { share[a] } else { 1.0 - share[a] }).product()
    });
    let mut best_weight = -1.0_f32;
    for value in &values {
        let weight: f32 = values.iter().zip(&weights).filter(|(v, _)| *v == value).map(|(_, w)| w).sum();
        if weight > best_weight + 1e-6 || (weight > best_weight - 1e-6 && *value < best) {
            (best, best_weight) = (*value, weight);
        }
    }
    best
}
