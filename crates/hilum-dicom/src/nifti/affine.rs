//! The one place where LPS meets RAS.

use hilum_volume::{Geometry, GeometryError, PatientPoint, PatientVector};

/// The NIfTI affine of a grid: three rows `[x, y, z]` in RAS millimetres, four columns for `i` (our column), `j` (our
/// row), `k` (our slice) and the origin. Multiply with `(column, row, slice, 1)`.
///
/// ```
/// use hilum_dicom::nifti::to_nifti_ras;
/// use hilum_volume::{Geometry, PatientPoint};
///
/// let grid = Geometry::axial([10, 20, 30], PatientPoint([-100.0, -80.0, 5.0]), [2.0, 0.7, 0.6])?;
/// assert_eq!(to_nifti_ras(&grid)[0], [-0.6, 0.0, 0.0, 100.0]);
/// # Ok::<(), hilum_volume::GeometryError>(())
/// ```
#[must_use]
pub fn to_nifti_ras(geometry: &Geometry) -> [[f64; 4]; 3] {
    let [slice, row, column] = geometry.axes();
    let [ds, dr, dc] = geometry.spacing_mm();
    let columns = [column.times(dc).0, row.times(dr).0, slice.times(ds).0, geometry.origin().0];
    std::array::from_fn(|axis| {
        // Adding zero turns −0 into 0, which reads better in headers and compares equal byte for byte.
        columns.map(|c| if axis < 2 { -c[axis] } else { c[axis] } + 0.0)
    })
}

/// The grid of a NIfTI affine (rows `[x, y, z]` in RAS mm, columns `i, j, k, origin`) and of a shape
/// `[slices, rows, columns]`. The inverse of [`to_nifti_ras`].
///
/// # Errors
/// [`GeometryError`] if the affine is singular or not finite, or the shape is empty.
pub fn from_nifti_ras(affine: &[[f64; 4]; 3], shape: [usize; 3]) -> Result<Geometry, GeometryError> {
    let lps = |column: usize| [-affine[0][column], -affine[1][column], affine[2][column]];
    let steps = [2, 1, 0].map(|c| PatientVector(lps(c)));
    let spacing_mm = steps.map(PatientVector::length_mm);
    if !spacing_mm.iter().all(|s| s.is_finite() && *s > 0.0) {
        return Err(GeometryError::Spacing { spacing_mm });
    }
    let axes = std::array::from_fn(|a| steps[a].times(1.0 / spacing_mm[a]));
    Geometry::new(shape, PatientPoint(lps(3)), axes, spacing_mm)
}
