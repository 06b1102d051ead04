//! Points and vectors, kept apart by type: patient space in millimetres, voxel space in fractional indices.

/// A point in patient space, LPS, millimetres: `[x, y, z]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PatientPoint(pub [f64; 3]);

/// A displacement in patient space, LPS, millimetres: `[x, y, z]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PatientVector(pub [f64; 3]);

/// A position in voxel space, `[slice, row, column]`, in voxels; integers are voxel centres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VoxelPoint(pub [f64; 3]);

/// The index of one voxel, `[slice, row, column]`.
pub type VoxelIndex = [usize; 3];

impl PatientPoint {
    /// The displacement from `other` to `self`.
    #[must_use]
    pub fn minus(self, other: Self) -> PatientVector {
        PatientVector(std::array::from_fn(|a| self.0[a] - other.0[a]))
    }

    /// The point displaced by `by`.
    #[must_use]
    pub fn plus(self, by: PatientVector) -> Self {
        Self(std::array::from_fn(|a| self.0[a] + by.0[a]))
    }

    /// Distance to `other` in millimetres.
    #[must_use]
    pub fn distance_mm(self, other: Self) -> f64 {
        self.minus(other).length_mm()
    }
}

impl PatientVector {
    /// Euclidean length in millimetres.
    #[must_use]
    pub fn length_mm(self) -> f64 {
        self.dot(self).sqrt()
    }

    /// Scalar product.
    #[must_use]
    pub fn dot(self, other: Self) -> f64 {
        (0..3).map(|a| self.0[a] * other.0[a]).sum()
    }

    /// Vector product.
    #[must_use]
    pub fn cross(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        Self([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])
    }

    /// The sum of two vectors.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|a| self.0[a] + other.0[a]))
    }

    /// The vector multiplied by `factor`.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self(self.0.map(|v| v * factor))
    }
}
