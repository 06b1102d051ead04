//! Planes through a volume: reformatted slices and thick-slab projections.

use hilum_volume::{Geometry, Intensity, LabelMap, PatientPoint, PatientVector, Volume, VoxelPoint};
use rayon::prelude::*;

/// A picture plane in patient space: a grid of square pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaneGeometry {
    /// Centre of the upper left pixel.
    pub origin: PatientPoint,
    /// Unit vector from a pixel to the one on its right.
    pub right: PatientVector,
    /// Unit vector from a pixel to the one below.
    pub down: PatientVector,
    /// Pixels from left to right.
    pub width: usize,
    /// Pixels from top to bottom.
    pub height: usize,
    /// Side of a pixel.
    pub pixel_mm: f64,
}

/// Pixels on a plane, row by row from the top.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane<T> {
    /// Where the pixels lie in the patient.
    pub geometry: PlaneGeometry,
    /// `height` rows of `width` pixels.
    pub data: Vec<T>,
}

/// The radiologist's three views, in patient space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// From the feet: the patient's right is on the left, front on top.
    Axial,
    /// From the front: the patient's right is on the left, head on top.
    Coronal,
    /// From the patient's left: front on the left, head on top.
    Sagittal,
}

/// How the values along a slab's thickness become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Projection {
    /// The greatest (MIP).
    Max,
    /// The least (MinIP).
    Min,
    /// The mean.
    Mean,
}

impl View {
    /// Directions of `right`, `down` and, away from the viewer, `through`.
    #[must_use]
    pub fn directions(self) -> [PatientVector; 3] {
        let unit = |x, y, z| PatientVector([x, y, z]);
        match self {
            Self::Axial => [unit(1.0, 0.0, 0.0), unit(0.0, 1.0, 0.0), unit(0.0, 0.0, 1.0)],
            Self::Coronal => [unit(1.0, 0.0, 0.0), unit(0.0, 0.0, -1.0), unit(0.0, 1.0, 0.0)],
            Self::Sagittal => [unit(0.0, 1.0, 0.0), unit(0.0, 0.0, -1.0), unit(-1.0, 0.0, 0.0)],
        }
    }
}

impl PlaneGeometry {
    /// The plane of `view` through `point` that shows the whole extent of `volume`.
    ///
    /// # Panics
    /// If `pixel_mm` is not positive.
    #[must_use]
    pub fn through(volume: &Geometry, view: View, point: PatientPoint, pixel_mm: f64) -> Self {
        assert!(pixel_mm.is_finite() && pixel_mm > 0.0, "pixels have a size");
        let [right, down, through] = view.directions();
        let (right_min, right_max) = range_along(volume, right);
        let (down_min, down_max) = range_along(volume, down);
        let count = |min: f64, max: f64| (((max - min) / pixel_mm).round() as usize).max(1);
        let (width, height) = (count(right_min, right_max), count(down_min, down_max));
        let start = |min: f64, max: f64, n: usize| 0.5 * (min + max) - 0.5 * (n - 1) as f64 * pixel_mm;
        let depth = PatientPoint([0.0; 3]);
        let origin = depth
            .plus(right.times(start(right_min, right_max, width)))
            .plus(down.times(start(down_min, down_max, height)))
            .plus(through.times(point.minus(depth).dot(through)));
        Self { origin, right, down, width, height, pixel_mm }
    }

    /// Unit vector away from the viewer, across the plane.
    #[must_use]
    pub fn through_direction(&self) -> PatientVector {
        let n = self.right.cross(self.down);
        n.times(1.0 / n.length_mm())
    }

    /// Patient position of a pixel position; pixel centres are integers, `x` counts to the right, `y` down.
    #[must_use]
    pub fn patient_from_pixel(&self, x: f64, y: f64) -> PatientPoint {
        self.origin.plus(self.right.times(x * self.pixel_mm)).plus(self.down.times(y * self.pixel_mm))
    }

    /// The plane moved by `mm` away from the viewer.
    #[must_use]
    pub fn moved(&self, mm: f64) -> Self {
        Self { origin: self.origin.plus(self.through_direction().times(mm)), ..self.clone() }
    }
}

impl<T> Plane<T> {
    /// Pixels from left to right.
    #[must_use]
    pub fn width(&self) -> usize {
        self.geometry.width
    }

    /// Pixels from top to bottom.
    #[must_use]
    pub fn height(&self) -> usize {
        self.geometry.height
    }

    /// Every pixel through `f`.
    #[must_use]
    pub fn map<U>(&self, f: impl FnMut(&T) -> U) -> Plane<U> {
        Plane { geometry: self.geometry.clone(), data: self.data.iter().map(f).collect() }
    }
}

/// Least and greatest coordinate of a volume's outer faces along a patient direction.
fn range_along(volume: &Geometry, direction: PatientVector) -> (f64, f64) {
    let zero = PatientPoint([0.0; 3]);
    (0..8_u8).fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), corner| {
        let at = std::array::from_fn(|a| if corner >> a & 1 == 1 { volume.shape()[a] as f64 - 0.5 } else { -0.5 });
        let v = volume.patient_from_voxel(VoxelPoint(at)).minus(zero).dot(direction);
        (min.min(v), max.max(v))
    })
}

/// The values of a volume on a plane, by linear interpolation; `outside` beyond the volume's outer faces.
#[must_use]
pub fn plane<T: Intensity>(volume: &Volume<T>, geometry: &PlaneGeometry, outside: f32) -> Plane<f32> {
    sampled(volume.geometry(), geometry, outside, |at| interpolate(volume, at))
}

/// The labels on a plane, by nearest voxel; 0 outside.
#[must_use]
pub fn plane_of_labels(labels: &LabelMap, geometry: &PlaneGeometry) -> Plane<u8> {
    sampled(labels.geometry(), geometry, 0, |at| labels.labels()[nearest(labels.geometry().shape(), at)])
}

/// The share of one label's mask on a plane, 0 to 1, by linear interpolation: its 0.5 line is a smooth outline.
#[must_use]
pub fn plane_of_occupancy(
    labels: &LabelMap,
    is_inside: impl Fn(u8) -> bool + Sync,
    geometry: &PlaneGeometry,
) -> Plane<f32> {
    let data = labels.labels();
    sampled(labels.geometry(), geometry, 0.0, |at| {
        weighted(data.shape(), at, |index| f32::from(u8::from(is_inside(data[index]))))
    })
}

/// A slab of `thickness_mm` centred on a plane, projected across it; rays wholly outside the volume give `outside`.
///
/// Parts of a ray outside the volume do not count. An infinite thickness takes in the whole volume. A slab of at least
/// eight voxels across one of the volume's axes is projected voxel by voxel before it is brought onto the plane; any other
/// is sampled along rays at most half the finest spacing apart.
#[must_use]
pub fn slab(
    volume: &Volume<i16>,
    geometry: &PlaneGeometry,
    thickness_mm: f64,
    projection: Projection,
    outside: f32,
) -> Plane<f32> {
    let through = geometry.through_direction();
    let here = geometry.origin.minus(PatientPoint([0.0; 3])).dot(through);
    let (near, far) = range_along(volume.geometry(), through);
    let (from, to) = ((near - here).max(-0.5 * thickness_mm), (far - here).min(0.5 * thickness_mm));
    if let Some((axis, range)) = voxels_across(volume.geometry(), geometry, [from, to]) {
        let mut flat = flattened(volume, axis, range, projection);
        // The projection has no depth: put it where the plane is.
        let depth = geometry.origin.minus(flat.geometry().origin()).dot(through);
        let moved = flat.geometry().origin().plus(through.times(depth));
        let grid = Geometry::new(flat.shape(), moved, flat.geometry().axes(), flat.geometry().spacing_mm());
        flat = Volume::new(grid.expect("a moved grid is a grid"), flat.into_data()).expect("the same voxels");
        return plane(&flat, geometry, outside);
    }
    let step_mm = 0.5 * volume.geometry().spacing_mm().into_iter().fold(f64::INFINITY, f64::min);
    let steps = (((to - from) / step_mm).ceil().max(0.0)) as usize + 1;
    let step_mm = if steps > 1 { (to - from) / (steps - 1) as f64 } else { 0.0 };
    let step = voxels_per(volume.geometry(), through.times(step_mm));
    let start = voxels_per(volume.geometry(), through.times(from));
    let shape = volume.shape();
    per_pixel(volume.geometry(), geometry, outside, |at| {
        let mut at = VoxelPoint(std::array::from_fn(|a| at.0[a] + start[a]));
        let mut tally = Tally::default();
        for _ in 0..steps {
            if is_inside(shape, at) {
                tally.add(interpolate(volume, at), projection);
            }
            at = VoxelPoint(std::array::from_fn(|a| at.0[a] + step[a]));
        }
        tally.value(projection).unwrap_or(outside)
    })
}

/// Values on their way to one.
#[derive(Clone, Copy, Default)]
struct Tally {
    value: f64,
    count: u32,
}

impl Tally {
    fn add(&mut self, value: f32, projection: Projection) {
        let v = f64::from(value);
        self.value = match projection {
            _ if self.count == 0 => v,
            Projection::Max => self.value.max(v),
            Projection::Min => self.value.min(v),
            Projection::Mean => self.value + v,
        };
        self.count += 1;
    }

    fn value(self, projection: Projection) -> Option<f32> {
        let value = match projection {
            Projection::Mean => self.value / f64::from(self.count.max(1)),
            Projection::Max | Projection::Min => self.value,
        };
        (self.count > 0).then_some(value as f32)
    }
}

/// Fewest voxels across a slab that is projected voxel by voxel: below, parts of voxels at its faces would matter.
const FEWEST_ACROSS: usize = 8;

/// If the rays run along one of the volume's axes, that axis and the voxels whose centres lie between two depths.
fn voxels_across(
    volume: &Geometry,
    geometry: &PlaneGeometry,
    depths_mm: [f64; 2],
) -> Option<(usize, std::ops::Range<usize>)> {
    let through = geometry.through_direction();
    let axis = (0..3).find(|a| volume.axes()[*a].dot(through).abs() > 1.0 - 1e-9)?;
    if !volume.is_orthogonal() {
        return None;
    }
    let at = |mm: f64| volume.voxel_from_patient(geometry.origin.plus(through.times(mm))).0[axis];
    let (a, b) = (at(depths_mm[0]), at(depths_mm[1]));
    let first = (a.min(b) - 1e-6).ceil().max(0.0) as usize;
    let beyond = ((a.max(b) + 1e-6).floor() + 1.0).clamp(0.0, volume.shape()[axis] as f64) as usize;
    (beyond >= first + FEWEST_ACROSS).then_some((axis, first..beyond))
}

/// The volume projected along one of its axes: one voxel along that axis.
fn flattened(volume: &Volume<i16>, axis: usize, range: std::ops::Range<usize>, projection: Projection) -> Volume<f32> {
    let mut shape = volume.shape();
    shape[axis] = 1;
    let geometry = volume.geometry().crop([0; 3], shape).expect("a part of the grid");
    let [_, rows, columns] = volume.shape();
    let mut data = vec![0.0_f32; geometry.len()];
    let finished = |tally: Tally| tally.value(projection).unwrap_or(0.0);
    data.par_chunks_mut(shape[2]).enumerate().for_each(|(line, out)| {
        let (s, r) = (line / shape[1], line % shape[1]);
        let row = |s: usize, r: usize| &volume.data()[(s * rows + r) * columns..(s * rows + r + 1) * columns];
        if axis == 2 {
            let mut tally = Tally::default();
            row(s, r)[range.clone()].iter().for_each(|v| tally.add(f32::from(*v), projection));
            out[0] = finished(tally);
            return;
        }
        let mut tallies = vec![Tally::default(); columns];
        for i in range.clone() {
            let source = if axis == 0 { row(i, r) } else { row(s, i) };
            for (tally, v) in tallies.iter_mut().zip(source) {
                tally.add(f32::from(*v), projection);
            }
        }
        out.iter_mut().zip(tallies).for_each(|(o, t)| *o = finished(t));
    });
    Volume::new(geometry, data).expect("one value per line of voxels")
}

/// A displacement in voxels.
pub(crate) fn voxels_per(volume: &Geometry, by: PatientVector) -> [f64; 3] {
    let zero = volume.voxel_from_patient(volume.origin());
    let there = volume.voxel_from_patient(volume.origin().plus(by));
    std::array::from_fn(|a| there.0[a] - zero.0[a])
}

/// Whether a position lies within the outer faces of the grid.
pub(crate) fn is_inside(shape: [usize; 3], at: VoxelPoint) -> bool {
    (0..3).all(|a| at.0[a] >= -0.5 && at.0[a] <= shape[a] as f64 - 0.5)
}

fn sampled<T: Copy + Send + Sync>(
    volume: &Geometry,
    geometry: &PlaneGeometry,
    outside: T,
    value: impl Fn(VoxelPoint) -> T + Sync,
) -> Plane<T> {
    let shape = volume.shape();
    per_pixel(volume, geometry, outside, |at| if is_inside(shape, at) { value(at) } else { outside })
}

/// `value` at the voxel position of every pixel's centre.
fn per_pixel<T: Copy + Send + Sync>(
    volume: &Geometry,
    geometry: &PlaneGeometry,
    fill: T,
    value: impl Fn(VoxelPoint) -> T + Sync,
) -> Plane<T> {
    let origin = volume.voxel_from_patient(geometry.origin);
    let right = voxels_per(volume, geometry.right.times(geometry.pixel_mm));
    let down = voxels_per(volume, geometry.down.times(geometry.pixel_mm));
    let mut data = vec![fill; geometry.width * geometry.height];
    if geometry.width > 0 {
        data.par_chunks_mut(geometry.width).enumerate().for_each(|(y, row)| {
            for (x, pixel) in row.iter_mut().enumerate() {
                let at = std::array::from_fn(|a| origin.0[a] + right[a] * x as f64 + down[a] * y as f64);
                *pixel = value(VoxelPoint(at));
            }
        });
    }
    Plane { geometry: geometry.clone(), data }
}

fn nearest(shape: [usize; 3], at: VoxelPoint) -> [usize; 3] {
    std::array::from_fn(|a| (at.0[a].round().max(0.0) as usize).min(shape[a] - 1))
}

fn interpolate<T: Intensity>(volume: &Volume<T>, at: VoxelPoint) -> f32 {
    weighted(volume.shape(), at, |index| volume[index].to_f32())
}

/// Linear interpolation between the eight voxels around a position; beyond the outermost centres theirs is taken.
fn weighted(shape: [usize; 3], at: VoxelPoint, value: impl Fn([usize; 3]) -> f32) -> f32 {
    let mut low = [0; 3];
    let mut high = [0; 3];
    let mut share = [0.0_f32; 3];
    for a in 0..3 {
        let p = at.0[a].clamp(0.0, (shape[a] - 1) as f64);
        low[a] = p as usize;
        high[a] = (low[a] + 1).min(shape[a] - 1);
        share[a] = (p - low[a] as f64) as f32;
    }
    let mix = |a: f32, b: f32, t: f32| a + t * (b - a);
    let line = |s: usize, r: usize| mix(value([s, r, low[2]]), value([s, r, high[2]]), share[2]);
    let face = |s: usize| mix(line(s, low[1]), line(s, high[1]), share[1]);
    mix(face(low[0]), face(high[0]), share[0])
}
