//! Where voxels lie in the patient: an affine map from `[slice, row, column]` to LPS millimetres.

use crate::{PatientPoint, PatientVector, VoxelIndex, VoxelPoint};

/// The sampling grid of a volume, without its voxels.
///
/// The three axes are unit vectors in LPS along which the slice, row and column index grow. They need not be orthogonal
/// (a tilted gantry shears the slice axis) and may be left-handed; they must be linearly independent. Positions refer to
/// voxel centres: `origin` is the centre of voxel `[0, 0, 0]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Geometry {
    shape: [usize; 3],
    origin: PatientPoint,
    axes: [PatientVector; 3],
    spacing_mm: [f64; 3],
}

/// Why a grid cannot exist.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// One side of the grid has no voxels.
    #[error("a grid needs at least one voxel along every axis, not {shape:?} (slices, rows, columns)")]
    Empty {
        /// Slices, rows, columns.
        shape: [usize; 3],
    },
    /// A spacing is not a positive finite number.
    #[error("voxel spacing must be positive and finite, not {spacing_mm:?} mm (slice, row, column)")]
    Spacing {
        /// Slice, row and column spacing.
        spacing_mm: [f64; 3],
    },
    /// The axes are not unit vectors or lie in one plane, or the origin is not finite.
    #[error("the axes of a grid must be three independent unit vectors and its origin finite")]
    Axes,
}

impl Geometry {
    /// A grid of `shape` `[slices, rows, columns]` whose voxel `[0, 0, 0]` is centred at `origin`.
    ///
    /// `axes` are normalised if their length is within 1 % of one.
    ///
    /// # Errors
    /// [`GeometryError`] if the shape is empty, a spacing is not positive, or the axes are not independent unit vectors.
    pub fn new(
        shape: [usize; 3],
        origin: PatientPoint,
        axes: [PatientVector; 3],
        spacing_mm: [f64; 3],
    ) -> Result<Self, GeometryError> {
        if shape.contains(&0) {
            return Err(GeometryError::Empty { shape });
        }
        if !spacing_mm.iter().all(|s| s.is_finite() && *s > 0.0) {
            return Err(GeometryError::Spacing { spacing_mm });
        }
        let finite = origin.0.iter().all(|v| v.is_finite());
        if !finite || !axes.iter().all(|a| (a.length_mm() - 1.0).abs() < 0.01) {
            return Err(GeometryError::Axes);
        }
        let axes = axes.map(|a| if (a.length_mm() - 1.0).abs() < 1e-12 { a } else { a.times(1.0 / a.length_mm()) });
        if axes[0].dot(axes[1].cross(axes[2])).abs() < 1e-3 {
            return Err(GeometryError::Axes);
        }
        Ok(Self { shape, origin, axes, spacing_mm })
    }

    /// An axial grid in the radiological convention: slices grow to the head (+z), rows to the back (+y), columns to the
    /// patient's left (+x).
    ///
    /// # Errors
    /// As [`Geometry::new`].
    pub fn axial(shape: [usize; 3], origin: PatientPoint, spacing_mm: [f64; 3]) -> Result<Self, GeometryError> {
        let axes = [PatientVector([0.0, 0.0, 1.0]), PatientVector([0.0, 1.0, 0.0]), PatientVector([1.0, 0.0, 0.0])];
        Self::new(shape, origin, axes, spacing_mm)
    }

    /// Slices, rows, columns.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Number of voxels.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Never true: an empty grid cannot be made. Present because `len` is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Centre of voxel `[0, 0, 0]`.
    #[must_use]
    pub fn origin(&self) -> PatientPoint {
        self.origin
    }

    /// Unit vectors along which the slice, row and column index grow.
    #[must_use]
    pub fn axes(&self) -> [PatientVector; 3] {
        self.axes
    }

    /// Distance between voxel centres along the slice, row and column axis.
    #[must_use]
    pub fn spacing_mm(&self) -> [f64; 3] {
        self.spacing_mm
    }

    /// Volume of one voxel in cubic millimetres; right for sheared grids too.
    #[must_use]
    pub fn voxel_volume_mm3(&self) -> f64 {
        self.spacing_mm.iter().product::<f64>() * self.handedness().abs()
    }

    /// Triple product of the column, row and slice axes: +1 for a right-handed orthogonal grid, −1 for a left-handed
    /// one, between for a sheared one.
    #[must_use]
    pub fn handedness(&self) -> f64 {
        self.axes[2].dot(self.axes[1].cross(self.axes[0]))
    }

    /// Whether the axes stand at right angles, to one part in ten thousand.
    #[must_use]
    pub fn is_orthogonal(&self) -> bool {
        (0..3).all(|a| self.axes[a].dot(self.axes[(a + 1) % 3]).abs() < 1e-4)
    }

    /// Position of index in `data`, the column running fastest.
    #[must_use]
    pub fn offset(&self, [slice, row, column]: VoxelIndex) -> usize {
        (slice * self.shape[1] + row) * self.shape[2] + column
    }

    /// The patient position of a voxel-space position.
    #[must_use]
    pub fn patient_from_voxel(&self, at: VoxelPoint) -> PatientPoint {
        (0..3).fold(self.origin, |p, a| p.plus(self.axes[a].times(self.spacing_mm[a] * at.0[a])))
    }

    /// The patient position of a voxel's centre.
    #[must_use]
    pub fn centre_of(&self, index: VoxelIndex) -> PatientPoint {
        self.patient_from_voxel(VoxelPoint(index.map(|i| i as f64)))
    }

    /// The voxel-space position of a patient point; outside the grid the indices are negative or beyond the shape.
    #[must_use]
    pub fn voxel_from_patient(&self, point: PatientPoint) -> VoxelPoint {
        let d = point.minus(self.origin);
        let [s, r, c] = self.axes;
        let det = s.dot(r.cross(c));
        let along = [d.dot(r.cross(c)) / det, s.dot(d.cross(c)) / det, s.dot(r.cross(d)) / det];
        VoxelPoint(std::array::from_fn(|a| along[a] / self.spacing_mm[a]))
    }

    /// Whether the grids are the same but for rounding: equal shape, and every voxel within a thousandth of the finest
    /// spacing of its namesake, also the directions along axes of one voxel.
    #[must_use]
    pub fn coincides_with(&self, other: &Self) -> bool {
        let tolerance_mm = 1e-3 * self.spacing_mm.iter().copied().fold(f64::INFINITY, f64::min);
        let close = |index: VoxelIndex| self.centre_of(index).distance_mm(other.centre_of(index)) < tolerance_mm;
        let end = |a: usize| std::array::from_fn(|b| if a == b { self.shape[b].max(2) - 1 } else { 0 });
        self.shape == other.shape && close([0; 3]) && (0..3).all(|a| close(end(a)))
    }

    /// The same extent of space in another number of voxels: the outer faces of the grid stay where they are.
    ///
    /// # Errors
    /// As [`Geometry::new`].
    pub fn with_shape(&self, shape: [usize; 3]) -> Result<Self, GeometryError> {
        if shape.contains(&0) {
            return Err(GeometryError::Empty { shape });
        }
        let spacing_mm: [f64; 3] = std::array::from_fn(|a| self.spacing_mm[a] * self.shape[a] as f64 / shape[a] as f64);
        let centre = VoxelPoint(std::array::from_fn(|a| 0.5 * (spacing_mm[a] / self.spacing_mm[a] - 1.0)));
        Self::new(shape, self.patient_from_voxel(centre), self.axes, spacing_mm)
    }

    /// The part of the grid that starts at `start` and has `shape` voxels.
    ///
    /// # Errors
    /// [`GeometryError::Empty`] if the box is empty or reaches outside.
    pub fn crop(&self, start: VoxelIndex, shape: [usize; 3]) -> Result<Self, GeometryError> {
        if shape.contains(&0) || (0..3).any(|a| start[a] + shape[a] > self.shape[a]) {
            return Err(GeometryError::Empty { shape });
        }
        Self::new(shape, self.centre_of(start), self.axes, self.spacing_mm)
    }
}
