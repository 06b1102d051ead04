//! Three-dimensional pictures of volumes and labels by ray casting on the CPU.
//!
//! A [`Scene`] holds translucent or solid surfaces of labels and of thresholds, and optionally a transfer function for the
//! volume itself, all sampled on a grid coarse enough to render quickly. Rays run parallel from the viewer, front to back,
//! skip blocks of voxels in which nothing can be seen, and stop when nothing more can shine through (Levoy 1988,
//! DOI 10.1109/38.511; 1990, DOI 10.1145/78964.78965). Surfaces lie where the smoothed field crosses one half and are
//! shaded by its gradient.

mod field;
mod ray;

use crate::picture::Picture;
use field::{Blocks, Field};
use hilum_volume::{Geometry, LabelMap, PatientPoint, PatientVector, Volume};

/// How a surface looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surface {
    /// Its colour under full light.
    pub colour: [u8; 3],
    /// Opacity where it faces the viewer, 0 to 1. 1 is solid.
    pub opacity: f32,
    /// Opacity where it is seen edge on; more than `opacity` makes it look like glass.
    pub rim_opacity: f32,
    /// Standard deviation of the smoothing. Details much smaller vanish: keep it below a third of the radius of the
    /// smallest thing to be seen.
    pub smoothing_mm: f64,
}

impl Surface {
    /// A translucent skin that brightens towards its rim: for organs one looks into.
    #[must_use]
    pub fn glass(colour: [u8; 3]) -> Self {
        Self { colour, opacity: 0.13, rim_opacity: 0.7, smoothing_mm: 1.5 }
    }

    /// A solid body: for what is to be found inside.
    #[must_use]
    pub fn solid(colour: [u8; 3]) -> Self {
        Self { colour, opacity: 1.0, rim_opacity: 1.0, smoothing_mm: 0.8 }
    }
}

/// A set of labels that share one surface, and how it looks.
pub type LabelSurface<'a> = (&'a [u8], Surface);

/// One node of a transfer function; between nodes colour and opacity change linearly, beyond the outermost there is
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stop {
    /// The voxel value.
    pub value: i16,
    /// Colour at that value.
    pub colour: [u8; 3],
    /// Opacity gathered over 10 mm, 0 to 1.
    pub opacity: f32,
}

/// Where the viewer stands and how large the picture is. The projection is parallel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// Walk around the patient: 0 is in front, 90 at the patient's left, 180 behind.
    pub azimuth_deg: f64,
    /// Height: 0 is level, 90 above the head.
    pub elevation_deg: f64,
    /// Pixels from left to right.
    pub width: usize,
    /// Pixels from top to bottom.
    pub height: usize,
    /// Rays per pixel and side, 1 or 2. 2 smooths edges: it casts four rays where neighbouring pixels differ.
    pub supersampling: usize,
    /// Colours of the background, at the top and at the bottom.
    pub background: [[u8; 3]; 2],
}

impl Default for Camera {
    /// From the front, 600 × 600 pixels, on near black.
    fn default() -> Self {
        Self {
            azimuth_deg: 0.0,
            elevation_deg: 0.0,
            width: 600,
            height: 600,
            supersampling: 2,
            background: [[22, 26, 34], [8, 9, 12]],
        }
    }
}

/// Surfaces and a volume to look at, prepared once for any number of pictures.
#[derive(Clone, Debug)]
pub struct Scene {
    geometry: Geometry,
    surfaces: Vec<(Field, Surface)>,
    fog: Option<ray::Fog>,
    blocks: Blocks,
}

/// Most surfaces in a scene: a block's contents fit 32 bits, one of which is the volume's.
pub const MAX_SURFACES: usize = 31;

impl Scene {
    /// An empty scene for volumes on `geometry`, in voxels of about `detail_mm` (but not finer than the volumes').
    ///
    /// 1.3 mm suits a chest at 600 pixels.
    ///
    /// # Panics
    /// If `detail_mm` is not positive.
    #[must_use]
    pub fn new(geometry: &Geometry, detail_mm: f64) -> Self {
        assert!(detail_mm > 0.0, "voxels have a size");
        let working = geometry.isotropic_working_grid(detail_mm).shape();
        let shape = std::array::from_fn(|a| working[a].min(geometry.shape()[a]));
        let geometry = geometry.with_shape(shape).expect("no side is empty");
        let blocks = Blocks::new(shape);
        Self { geometry, surfaces: Vec::new(), fog: None, blocks }
    }

    /// Adds a surface for each set of labels. Sets without voxels add nothing.
    ///
    /// # Panics
    /// If there are more than [`MAX_SURFACES`], or the labels lie on another grid than the scene was made for.
    pub fn add_labels(&mut self, labels: &LabelMap, sets: &[LabelSurface]) {
        self.assert_same_space(labels.geometry());
        assert!(sets.len() <= MAX_SURFACES, "a scene holds at most {MAX_SURFACES} surfaces");
        let wanted: Vec<&[u8]> = sets.iter().map(|(set, _)| *set).collect();
        let counted = field::occupancies(labels, &wanted, &self.geometry);
        for (occupancy, (_, surface)) in counted.into_iter().zip(sets) {
            if let Some(field) = occupancy.and_then(|o| Field::smoothed(o, self.geometry.shape(), surface.smoothing_mm))
            {
                self.add(field, *surface);
            }
        }
    }

    /// Adds the surface at which a volume crosses `value`, the greater values inside; such as bone in CT.
    ///
    /// # Panics
    /// As [`Scene::add_labels`].
    pub fn add_threshold(&mut self, volume: &Volume<i16>, value: i16, surface: Surface) {
        self.assert_same_space(volume.geometry());
        let coarse = field::downsampled(volume, &self.geometry);
        // Over ±200 units the field rises from 0 to 1: steep enough to be sharp, gentle enough for its gradient.
        let share = coarse.map(|v| ((f32::from(*v) - f32::from(value)) / 400.0 + 0.5).clamp(0.0, 1.0));
        if let Some(field) = Field::smoothed(field::Part::whole(share), self.geometry.shape(), surface.smoothing_mm) {
            self.add(field, surface);
        }
    }

    /// Shows the volume itself through a transfer function.
    ///
    /// # Panics
    /// If there are no stops, their values do not increase, or the volume lies on another grid.
    pub fn set_volume(&mut self, volume: &Volume<i16>, stops: &[Stop]) {
        self.assert_same_space(volume.geometry());
        assert!(!stops.is_empty() && stops.is_sorted_by(|a, b| a.value < b.value), "stops have increasing values");
        let fog = ray::Fog::new(field::downsampled(volume, &self.geometry), stops);
        self.blocks.mark_volume(&fog);
        self.fog = Some(fog);
    }

    /// The scene as `camera` sees it; the content fills the picture.
    #[must_use]
    pub fn picture(&self, camera: &Camera) -> Picture {
        let [right, down, away] = directions(camera);
        let (centre, radii) = self.bounds_along([right, down, away]);
        let margin = 1.04;
        let mm_per_pixel = (2.0 * margin * radii[0] / camera.width.max(1) as f64)
            .max(2.0 * margin * radii[1] / camera.height.max(1) as f64)
            .max(1e-3);
        ray::cast(self, camera, [right, down, away], centre, mm_per_pixel, radii[2])
    }

    fn add(&mut self, field: Field, surface: Surface) {
        assert!(self.surfaces.len() < MAX_SURFACES, "a scene holds at most {MAX_SURFACES} surfaces");
        self.blocks.mark_surface(self.surfaces.len(), &field);
        self.surfaces.push((field, surface));
    }

    fn assert_same_space(&self, other: &Geometry) {
        let same = other.with_shape(self.geometry.shape()).is_ok_and(|g| g.coincides_with(&self.geometry));
        assert!(same, "the scene was made for another grid");
    }

    /// Centre and half extents, in mm along three directions, of everything to be seen.
    fn bounds_along(&self, directions: [PatientVector; 3]) -> (PatientPoint, [f64; 3]) {
        let shape = self.geometry.shape();
        let whole = [[0, shape[0]], [0, shape[1]], [0, shape[2]]];
        let boxes: Vec<_> = if self.fog.is_some() || self.surfaces.is_empty() {
            vec![whole]
        } else {
            self.surfaces.iter().map(|(field, _)| field.seen).collect()
        };
        let zero = PatientPoint([0.0; 3]);
        let mut low = [f64::INFINITY; 3];
        let mut high = [f64::NEG_INFINITY; 3];
        for bounds in boxes {
            for corner in 0..8_u8 {
                let at = std::array::from_fn(|a| bounds[a][usize::from(corner >> a & 1)] as f64 - 0.5);
                let point = self.geometry.patient_from_voxel(hilum_volume::VoxelPoint(at)).minus(zero);
                for a in 0..3 {
                    low[a] = low[a].min(point.dot(directions[a]));
                    high[a] = high[a].max(point.dot(directions[a]));
                }
            }
        }
        let centre = (0..3).fold(zero, |p, a| p.plus(directions[a].times(0.5 * (low[a] + high[a]))));
        (centre, std::array::from_fn(|a| 0.5 * (high[a] - low[a])))
    }
}

/// A volume seen through a transfer function, with surfaces of labels, in one call. See [`Scene`].
///
/// # Panics
/// As [`Scene::set_volume`] and [`Scene::add_labels`].
#[must_use]
pub fn volume(
    ct: &Volume<i16>,
    stops: &[Stop],
    labels: Option<(&LabelMap, &[LabelSurface])>,
    camera: &Camera,
) -> Picture {
    let mut scene = Scene::new(ct.geometry(), 1.3);
    scene.set_volume(ct, stops);
    if let Some((labels, sets)) = labels {
        scene.add_labels(labels, sets);
    }
    scene.picture(camera)
}

/// Unit vectors to the right and down in the picture and away from the viewer.
fn directions(camera: &Camera) -> [PatientVector; 3] {
    let (azimuth, elevation) = (camera.azimuth_deg.to_radians(), camera.elevation_deg.to_radians());
    // In front of the patient (−y) the viewer looks along +y and has the patient's left (+x) on his right.
    let level = PatientVector([-azimuth.sin(), azimuth.cos(), 0.0]);
    let right = PatientVector([azimuth.cos(), azimuth.sin(), 0.0]);
    let away = level.times(elevation.cos()).plus(PatientVector([0.0, 0.0, -elevation.sin()]));
    let down = away.cross(right);
    [right, down, away]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Skipping is for speed alone: every picture is the same as if nothing had been skipped, wherever a surface lies
    /// between the steps of a ray and the borders of blocks.
    #[test]
    fn nothing_is_lost_by_skipping() {
        let grid = Geometry::axial([48; 3], PatientPoint([0.0; 3]), [1.5; 3]).unwrap();
        let inside = |i: usize| {
            let [s, r, c] = [i / (48 * 48), i / 48 % 48, i % 48].map(|v| v as f64);
            r + 0.13 * c + 0.07 * s > 18.0 && r < 41.0 && (c - 24.0).hypot(s - 24.0) < 20.0
        };
        let labels = Volume::new(grid.clone(), (0..48 * 48 * 48).map(|i| u8::from(inside(i))).collect()).unwrap();
        let mut scene = Scene::new(&grid, 1.5);
        scene.add_labels(&LabelMap::new(labels), &[(&[1], Surface::solid([80, 160, 220]))]);
        let mut whole = scene.clone();
        whole.blocks.mark_all();
        for azimuth in [0.0, 7.0, 180.0, 201.0] {
            let camera = Camera { width: 90, height: 90, azimuth_deg: azimuth, ..Camera::default() };
            let (skipped, all) = (scene.picture(&camera), whole.picture(&camera));
            let differ = |(a, b): &(&[u8; 3], &[u8; 3])| (0..3).any(|i| a[i].abs_diff(b[i]) > 8);
            let count = skipped.pixels().iter().zip(all.pixels()).filter(differ).count();
            assert_eq!(count, 0, "pixels that differ at {azimuth}");
        }
    }
}
