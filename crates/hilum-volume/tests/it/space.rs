//! Voxel space to patient space and back.

use crate::grids::any_grid;
use hilum_volume::{Geometry, GeometryError, PatientPoint, PatientVector, VoxelPoint};
use proptest::prelude::*;

proptest! {
    #[test]
    fn voxel_to_patient_to_voxel(grid in any_grid(), at in prop::array::uniform3(-20.0..20.0_f64)) {
        let back = grid.voxel_from_patient(grid.patient_from_voxel(VoxelPoint(at)));
        for a in 0..3 {
            prop_assert!((back.0[a] - at[a]).abs() < 1e-8, "{back:?} is not {at:?}");
        }
    }

    #[test]
    fn other_shapes_keep_the_outer_faces(grid in any_grid(), shape in prop::array::uniform3(1..9_usize)) {
        let other = grid.with_shape(shape).unwrap();
        let corner = |g: &Geometry, far: bool| {
            g.patient_from_voxel(VoxelPoint(g.shape().map(|n| if far { n as f64 - 0.5 } else { -0.5 })))
        };
        for far in [false, true] {
            prop_assert!(corner(&grid, far).distance_mm(corner(&other, far)) < 1e-9);
        }
        prop_assert!((grid.len() as f64 * grid.voxel_volume_mm3() - other.len() as f64 * other.voxel_volume_mm3()).abs() < 1e-6);
    }

    #[test]
    fn a_deskewed_grid_is_orthogonal_and_holds_every_voxel(grid in any_grid()) {
        let upright = grid.deskewed();
        prop_assert!(upright.is_orthogonal());
        for corner in 0..8_u8 {
            let index = std::array::from_fn(|a| if corner >> a & 1 == 1 { grid.shape()[a] - 1 } else { 0 });
            let at = upright.voxel_from_patient(grid.centre_of(index));
            for a in 0..3 {
                prop_assert!(at.0[a] > -1e-5 && at.0[a] < upright.shape()[a] as f64 - 1.0 + 1e-5, "{at:?} in {upright:?}");
            }
        }
        // Slices stay in their planes; a voxel keeps its volume.
        prop_assert_eq!(upright.shape()[0], grid.shape()[0]);
        prop_assert!((upright.voxel_volume_mm3() - grid.voxel_volume_mm3()).abs() < 1e-6 * grid.voxel_volume_mm3());
        let shift = upright.voxel_from_patient(grid.origin()).0;
        for a in 0..3 {
            prop_assert!((shift[a] - shift[a].round()).abs() < 1e-6, "slice 0 lies between voxels: {shift:?}");
        }
    }
}

#[test]
fn impossible_grids_are_refused() {
    let axes = [PatientVector([0.0, 0.0, 1.0]), PatientVector([0.0, 1.0, 0.0]), PatientVector([1.0, 0.0, 0.0])];
    let origin = PatientPoint([0.0; 3]);
    let make = |shape, axes, spacing| Geometry::new(shape, origin, axes, spacing).unwrap_err();
    assert!(matches!(make([0, 1, 1], axes, [1.0; 3]), GeometryError::Empty { .. }));
    assert!(matches!(make([1; 3], axes, [1.0, 0.0, 1.0]), GeometryError::Spacing { .. }));
    assert!(matches!(make([1; 3], axes, [1.0, f64::NAN, 1.0]), GeometryError::Spacing { .. }));
    assert!(matches!(make([1; 3], [axes[0], axes[1], axes[1]], [1.0; 3]), GeometryError::Axes));
    assert!(matches!(make([1; 3], [axes[0].times(2.0), axes[1], axes[2]], [1.0; 3]), GeometryError::Axes));
}

#[test]
fn the_working_grid_is_nearly_isotropic() {
    let ct = Geometry::axial([131, 512, 512], PatientPoint([-170.0, -170.0, 0.0]), [2.0, 0.66, 0.66]).unwrap();
    let work = ct.isotropic_working_grid(1.5);
    assert_eq!(work.shape(), [175, 225, 225]);
    assert!(work.spacing_mm().iter().all(|s| (s - 1.5).abs() < 0.01), "{:?}", work.spacing_mm());
    let one = Geometry::axial([1; 3], PatientPoint([0.0; 3]), [5.0, 0.2, 0.2]).unwrap();
    assert_eq!(one.isotropic_working_grid(1.5).shape(), [3, 1, 1]);
}
