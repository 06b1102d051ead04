//! Where the pictures are taken: the lungs' place in the patient, and planes through it.

use hilum_findings::is_stored_from_foot;
use hilum_imaging::projection::{PlaneGeometry, View};
use hilum_volume::{Geometry, LabelMap, PatientPoint, PatientVector, VoxelPoint};
use rayon::prelude::*;

/// Room left around the lungs.
const MARGIN_MM: f64 = 12.0;
/// Pixels of a picture as wide as the lungs.
const WIDTH: f64 = 760.0;
/// No picture shows less per pixel; finer would only magnify.
const PIXEL_MIN_MM: f64 = 0.25;

/// The box around the lungs on the grid of the series, with the pixel size all pictures share.
pub(crate) struct Stage {
    grid: Geometry,
    /// First and one past the last slice, row and column that hold a label; all of the grid if none does.
    bounds: [[usize; 2]; 3],
    pixel_mm: f64,
}

impl Stage {
    /// Around all labels of `labels`.
    pub(crate) fn around(labels: &LabelMap) -> Self {
        let grid = labels.geometry().clone();
        let bounds = bounds(labels).unwrap_or_else(|| grid.shape().map(|n| [0, n]));
        let mut stage = Self { grid, bounds, pixel_mm: 1.0 };
        let [left, right] = stage.range_along(PatientVector([1.0, 0.0, 0.0]), PatientPoint([0.0; 3]));
        stage.pixel_mm = ((right - left + 2.0 * MARGIN_MM) / WIDTH).max(PIXEL_MIN_MM);
        stage
    }

    /// Number of slices.
    pub(crate) fn slices(&self) -> usize {
        self.grid.shape()[0]
    }

    /// Distance between slices.
    pub(crate) fn slice_spacing_mm(&self) -> f64 {
        self.grid.spacing_mm()[0]
    }

    /// The first and last slice that holds lung, counted from the foot end.
    pub(crate) fn lung_slices(&self) -> [usize; 2] {
        let [first, end] = self.bounds[0];
        if is_stored_from_foot(&self.grid) {
            [first, end - 1]
        } else {
            [self.slices() - end, self.slices() - 1 - first]
        }
    }

    /// The middle of the box.
    pub(crate) fn centre(&self) -> PatientPoint {
        self.grid.patient_from_voxel(VoxelPoint(self.bounds.map(|[first, end]| 0.5 * (first + end - 1) as f64)))
    }

    /// The middle of the right half of the box: about the middle of the right lung.
    pub(crate) fn beside_centre(&self) -> PatientPoint {
        let to_left = PatientVector([1.0, 0.0, 0.0]);
        let centre = self.centre();
        let [rightmost, _] = self.range_along(to_left, centre);
        centre.plus(to_left.times(0.5 * rightmost))
    }

    /// How the slices of the series lie in the patient: by the patient axis their own axis runs most along.
    pub(crate) fn slice_view(&self) -> View {
        let [x, y, z] = self.grid.axes()[0].0.map(f64::abs);
        match () {
            () if z + 1e-9 >= x.max(y) => View::Axial,
            () if y + 1e-9 >= x => View::Coronal,
            () => View::Sagittal,
        }
    }

    /// Slice `index`, counted from the foot end, in its own plane, so that no slice is mixed with its neighbours; turned
    /// the way radiologists look at it and clipped to the lungs.
    pub(crate) fn slice(&self, index: usize) -> PlaneGeometry {
        self.slice_with_pixel(index, self.pixel_mm)
    }

    /// As [`Stage::slice`], with another pixel size.
    pub(crate) fn slice_with_pixel(&self, index: usize, pixel_mm: f64) -> PlaneGeometry {
        let stored = if is_stored_from_foot(&self.grid) { index } else { self.slices() - 1 - index };
        let [to_right, to_below, _] = self.slice_view().directions();
        let axes = self.grid.axes();
        let across = if axes[2].dot(to_right).abs() >= axes[1].dot(to_right).abs() { 2 } else { 1 };
        let half = 0.5 * pixel_mm;
        let mut corner = [stored as f64; 3];
        // The direction along a stored axis, and how many pixels it takes.
        let mut along = |axis: usize, towards: PatientVector| {
            let spacing = self.grid.spacing_mm()[axis];
            let [first, end] = self.bounds[axis];
            let low = (first as f64 - 0.5 - MARGIN_MM / spacing).max(-0.5);
            let high = (end as f64 - 0.5 + MARGIN_MM / spacing).min(self.grid.shape()[axis] as f64 - 0.5);
            let forward = axes[axis].dot(towards) >= 0.0;
            corner[axis] = if forward { low + half / spacing } else { high - half / spacing };
            let pixels = (((high - low) * spacing / pixel_mm).floor() as usize).max(1);
            (if forward { axes[axis] } else { axes[axis].times(-1.0) }, pixels)
        };
        let (right, width) = along(across, to_right);
        let (down, height) = along(3 - across, to_below);
        let origin = self.grid.patient_from_voxel(VoxelPoint(corner));
        PlaneGeometry { origin, right, down, width, height, pixel_mm }
    }

    /// Least and greatest extent of the box along a direction, from `zero`.
    fn range_along(&self, direction: PatientVector, zero: PatientPoint) -> [f64; 2] {
        (0..8_u8).fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], corner| {
            let at = std::array::from_fn(|a| self.bounds[a][usize::from(corner >> a & 1)] as f64 - 0.5);
            let d = self.grid.patient_from_voxel(VoxelPoint(at)).minus(zero).dot(direction);
            [low.min(d), high.max(d)]
        })
    }

    /// The plane of `view` through `point`, along the patient's axes, clipped to the lungs.
    pub(crate) fn through(&self, view: View, point: PatientPoint) -> PlaneGeometry {
        self.through_with_pixel(view, point, self.pixel_mm)
    }

    /// As [`Stage::through`], with another pixel size.
    pub(crate) fn through_with_pixel(&self, view: View, point: PatientPoint, pixel_mm: f64) -> PlaneGeometry {
        let whole = PlaneGeometry::through(&self.grid, view, point, pixel_mm);
        let range = [whole.right, whole.down].map(|direction| self.range_along(direction, whole.origin));
        let span = |[from, to]: [f64; 2], n: usize| {
            let first = (((from - MARGIN_MM) / pixel_mm).floor().max(0.0) as usize).min(n - 1);
            let last = (((to + MARGIN_MM) / pixel_mm).ceil().max(0.0) as usize).min(n - 1);
            (first, last.saturating_sub(first) + 1)
        };
        let ((x, width), (y, height)) = (span(range[0], whole.width), span(range[1], whole.height));
        PlaneGeometry { origin: whole.patient_from_pixel(x as f64, y as f64), width, height, ..whole }
    }

    /// The pixel size of the pictures.
    pub(crate) fn pixel_mm(&self) -> f64 {
        self.pixel_mm
    }
}

/// First and one past the last index along each stored axis where a label is set.
fn bounds(labels: &LabelMap) -> Option<[[usize; 2]; 3]> {
    let [slices, rows, columns] = labels.geometry().shape();
    let nothing = [[usize::MAX, 0]; 3];
    let join =
        |a: [[usize; 2]; 3], b: [[usize; 2]; 3]| std::array::from_fn(|i| [a[i][0].min(b[i][0]), a[i][1].max(b[i][1])]);
    let found = (0..slices)
        .into_par_iter()
        .map(|s| {
            let mut of_slice = nothing;
            for (r, line) in labels.labels().slice(s).chunks_exact(columns).enumerate().take(rows) {
                let Some(first) = line.iter().position(|l| *l != 0) else { continue };
                let last = line.iter().rposition(|l| *l != 0).unwrap_or(first);
                of_slice = join(of_slice, [[s, s + 1], [r, r + 1], [first, last + 1]]);
            }
            of_slice
        })
        .reduce(|| nothing, join);
    (found[0][0] < found[0][1]).then_some(found)
}
