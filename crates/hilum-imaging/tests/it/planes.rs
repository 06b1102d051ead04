//! Reformatted planes and slabs: right place, right value, whatever the grid.

use crate::shapes::{centre, filled_by};
use hilum_imaging::projection::{PlaneGeometry, Projection, View, plane, plane_of_labels, plane_of_occupancy, slab};
use hilum_volume::{AxisOrder, Geometry, LabelMap, PatientPoint, PatientVector, Volume};

/// A ramp in patient space: any plane through it must show the same ramp.
fn ramp(p: PatientPoint) -> f64 {
    40.0 + 9.0 * p.0[0] - 7.0 * p.0[1] + 11.0 * p.0[2]
}

/// Axial, oblique and left-handed, sheared grids of about 36 mm, around the origin.
fn grids() -> [Geometry; 3] {
    let (c, s) = (0.3_f64.cos(), 0.3_f64.sin());
    let around_zero = |axes: [PatientVector; 3], spacing: [f64; 3]| {
        let shape = spacing.map(|s| (36.0 / s) as usize);
        let half = (0..3)
            .fold(PatientPoint([0.0; 3]), |p, a| p.plus(axes[a].times(-0.5 * (shape[a] - 1) as f64 * spacing[a])));
        Geometry::new(shape, half, axes, spacing).unwrap()
    };
    let unit = |v: [f64; 3]| PatientVector(v).times(1.0 / PatientVector(v).length_mm());
    let axial = [unit([0.0, 0.0, 1.0]), unit([0.0, 1.0, 0.0]), unit([1.0, 0.0, 0.0])];
    let oblique = [unit([0.0, s, -c]), unit([0.0, c, s]), unit([1.0, 0.0, 0.0])];
    let sheared = [unit([0.0, 0.25, 1.0]), unit([0.0, 1.0, 0.0]), unit([1.0, 0.0, 0.0])];
    [around_zero(axial, [2.0, 0.8, 0.9]), around_zero(oblique, [1.5, 1.0, 0.7]), around_zero(sheared, [2.0, 0.9, 0.9])]
}

const OUTSIDE: f32 = -5000.0;

#[test]
fn planes_show_the_patient_not_the_grid() {
    for grid in grids() {
        let volume = filled_by(&grid, 0_i16, |p| ramp(p).round() as i16);
        let mut outside = 0;
        for view in [View::Axial, View::Coronal, View::Sagittal] {
            let geometry = PlaneGeometry::through(&grid, view, PatientPoint([1.0, -2.0, 3.0]), 0.6);
            let found = plane(&volume, &geometry, OUTSIDE);
            let mut seen = 0;
            for y in 0..found.height() {
                for x in 0..found.width() {
                    let p = geometry.patient_from_pixel(x as f64, y as f64);
                    let at = grid.voxel_from_patient(p).0;
                    let depth = (0..3).map(|a| at[a].min(grid.shape()[a] as f64 - 1.0 - at[a])).fold(9.0, f64::min);
                    let value = f64::from(found.data[y * found.width() + x]);
                    if depth >= 0.0 {
                        seen += 1;
                        assert!((value - ramp(p)).abs() < 0.6, "{view:?} {p:?}: {value} is not {}", ramp(p));
                    } else if depth < -0.5 - 1e-6 {
                        outside += 1;
                        assert!(value == f64::from(OUTSIDE), "{view:?} {p:?}");
                    }
                }
            }
            assert!(seen > 1500, "{view:?}: {seen} pixels show the volume");
        }
        assert_eq!(outside > 0, grid != grids()[0], "oblique and sheared grids leave corners empty");
    }
}

#[test]
fn views_are_the_radiologists() {
    let grid = &grids()[0];
    let at = |view| PlaneGeometry::through(grid, view, PatientPoint([0.0; 3]), 1.0);
    let coronal = at(View::Coronal);
    let upper_left = coronal.patient_from_pixel(0.0, 0.0).0;
    assert!(upper_left[0] < 0.0 && upper_left[2] > 0.0, "the patient's right shoulder: {upper_left:?}");
    let axial = at(View::Axial).patient_from_pixel(0.0, 0.0).0;
    assert!(axial[0] < 0.0 && axial[1] < 0.0, "right, in front: {axial:?}");
    let sagittal = at(View::Sagittal).patient_from_pixel(0.0, 0.0).0;
    assert!(sagittal[1] < 0.0 && sagittal[2] > 0.0, "in front, at the head: {sagittal:?}");
    assert_eq!((coronal.width, coronal.height), (36, 36));
    for view in [View::Axial, View::Coronal, View::Sagittal] {
        let [right, down, through] = view.directions();
        assert_eq!(right.cross(down), through);
    }
}

#[test]
fn slabs_of_a_ramp() {
    // Along the rays of a coronal slab the ramp falls by 7 a mm: its mean is the middle, its extremes half the thickness off.
    for grid in grids() {
        let volume = filled_by(&grid, 0_i16, |p| ramp(p).round() as i16);
        let geometry = PlaneGeometry {
            width: 6,
            height: 6,
            ..PlaneGeometry::through(&grid, View::Coronal, PatientPoint([0.0; 3]), 1.0)
        };
        let geometry = PlaneGeometry { origin: PatientPoint([-3.0, 0.0, 3.0]), ..geometry };
        for (projection, off) in [(Projection::Mean, 0.0), (Projection::Max, 35.0), (Projection::Min, -35.0)] {
            let found = slab(&volume, &geometry, 10.0, projection, OUTSIDE);
            for (i, value) in found.data.iter().enumerate() {
                let expected = ramp(geometry.patient_from_pixel((i % 6) as f64, (i / 6) as f64)) + off;
                // Half a voxel of the rows at most is lost at each face.
                assert!((f64::from(*value) - expected).abs() < 4.0, "{projection:?}: {value} is not {expected}");
            }
        }
        let nothing = slab(&volume, &geometry.moved(500.0), 10.0, Projection::Max, OUTSIDE);
        assert!(nothing.data.iter().all(|v| *v == OUTSIDE));
    }
}

#[test]
fn the_whole_slab_is_the_same_in_all_48_orders() {
    let grid = &grids()[0];
    let volume = filled_by(grid, 0_i16, |p| (900.0 * (p.0[0] * 0.7).sin() * (p.0[1] + 0.3 * p.0[2]).cos()) as i16);
    for view in [View::Axial, View::Coronal, View::Sagittal] {
        let geometry = PlaneGeometry::through(grid, view, PatientPoint([0.0; 3]), 0.9);
        for projection in [Projection::Max, Projection::Min, Projection::Mean] {
            let of = |v: &Volume<i16>| slab(v, &geometry, f64::INFINITY, projection, OUTSIDE);
            let expected = of(&volume);
            for order in AxisOrder::all() {
                let found = of(&volume.reordered(order));
                let worst = found.data.iter().zip(&expected.data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst < 0.01, "{view:?} {projection:?} {order:?}: {worst}");
            }
        }
    }
}

#[test]
fn the_slab_by_voxels_agrees_with_the_slab_by_rays() {
    // The same anatomy on a grid turned by a hair more than counts as along an axis.
    let grid = &grids()[0];
    let hair = 1e-4_f64;
    let turn = |v: PatientVector| {
        let [x, y, z] = v.0;
        PatientVector([x * hair.cos() - y * hair.sin(), x * hair.sin() + y * hair.cos(), z])
    };
    let turned = Geometry::new(grid.shape(), grid.origin(), grid.axes().map(turn), grid.spacing_mm()).unwrap();
    let anatomy = |p: PatientPoint| if p.distance_mm(PatientPoint([0.0; 3])) < 9.0 { 300_i16 } else { -800 };
    let geometry = PlaneGeometry::through(grid, View::Coronal, PatientPoint([0.0; 3]), 0.9);
    for projection in [Projection::Max, Projection::Min, Projection::Mean] {
        let of = |g: &Geometry| slab(&filled_by(g, 0, anatomy), &geometry, 14.0, projection, OUTSIDE);
        let (a, b) = (of(grid), of(&turned));
        let differing = a.data.iter().zip(&b.data).filter(|(a, b)| (*a - *b).abs() > 120.0).count();
        assert!(differing * 20 < a.data.len(), "{projection:?}: {differing} of {}", a.data.len());
    }
}

#[test]
fn labels_and_their_share_on_a_plane() {
    let grid = &grids()[0];
    let middle = centre(grid);
    let labels = LabelMap::new(filled_by(grid, 0, |p| if p.distance_mm(middle) < 10.0 { 4 } else { 0 }));
    let geometry = PlaneGeometry::through(grid, View::Sagittal, middle, 0.5);
    let found = plane_of_labels(&labels, &geometry);
    let share = plane_of_occupancy(&labels, |l| l == 4, &geometry);
    for (i, (label, share)) in found.data.iter().zip(&share.data).enumerate() {
        let p = geometry.patient_from_pixel((i % found.width()) as f64, (i / found.width()) as f64);
        let d = p.distance_mm(middle);
        assert!((8.0..12.0).contains(&d) || (*label == 4) == (d < 10.0), "{label} at {d} mm");
        assert!((7.0..13.0).contains(&d) || *share == f32::from(u8::from(d < 10.0)), "{share} at {d} mm");
        assert!((0.0..=1.0).contains(share));
    }
}
