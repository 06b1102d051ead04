//! Growing and sharing out.

use crate::shapes::{centre, filled_by, grids, indices};
use hilum_imaging::components::Connectivity;
use hilum_imaging::region::{geodesic_dilate, grow, seeded_partition, seeded_partition_by};
use hilum_volume::{Geometry, LabelMap, Mask, PatientPoint, Volume};

#[test]
fn growing_stops_at_the_range_and_at_gaps() {
    let grid = &grids()[1];
    let middle = centre(grid);
    let other = PatientPoint([4.0, 4.0, 6.0]);
    let inside = |p: PatientPoint| p.distance_mm(middle) <= 8.0 || p.distance_mm(other) <= 3.0;
    let volume = filled_by(grid, 0_i16, |p| if inside(p) { 100 } else { -1000 });
    let seed = grid.shape().map(|n| n / 2);
    let found = grow(&volume, &[seed], 50..=150, Connectivity::Corners);
    assert_eq!(found, filled_by(grid, false, |p| p.distance_mm(middle) <= 8.0));
    assert_eq!(grow(&volume, &[[0, 0, 0]], 50..=150, Connectivity::Corners).count(), 0, "a seed out of range");
    assert_eq!(grow(&volume, &[], 50..=150, Connectivity::Corners).count(), 0);
}

#[test]
fn geodesic_steps_go_around_walls() {
    // A wall with a gap at the far end of row 8.
    let grid = Geometry::axial([1, 9, 9], PatientPoint([0.0; 3]), [1.0; 3]).unwrap();
    let mut within = Mask::filled(grid.clone(), true);
    (0..8).for_each(|r| within[[0, r, 4]] = false);
    let mut start = Mask::filled(grid, false);
    start[[0, 0, 3]] = true;
    assert!(!geodesic_dilate(&start, &within, 8)[[0, 7, 5]]);
    let steps = 9; // eight down to the gap, one through it and up
    assert!(geodesic_dilate(&start, &within, steps)[[0, 7, 5]]);
    assert_eq!(geodesic_dilate(&start, &within, 100), within);
    assert_eq!(geodesic_dilate(&start, &within, 0), start);
}

#[test]
fn two_touching_balls_are_split_at_their_neck() {
    for grid in &grids()[..2] {
        let middle = centre(grid);
        let (left, right) = (middle.plus(x(-8.0)), middle.plus(x(8.0)));
        let mask = filled_by(grid, false, |p| p.distance_mm(left) <= 9.0 || p.distance_mm(right) <= 9.0);
        let seeds = LabelMap::new(filled_by(grid, 0, |p| {
            u8::from(p.distance_mm(left) <= 2.0) + 2 * u8::from(p.distance_mm(right) <= 2.0)
        }));
        let parts = seeded_partition(&mask, &seeds);
        for i in indices(grid.shape()) {
            let p = grid.centre_of(i);
            let expected = match p.0[0] - middle.0[0] {
                _ if !mask[i] => 0,
                dx if dx < -1.0 => 1,
                dx if dx > 1.0 => 2,
                _ => continue, // the neck itself, within a voxel
            };
            assert_eq!(parts.labels()[i], expected, "{p:?}");
        }
    }
}

#[test]
fn seeds_meet_where_crossing_is_dear() {
    // A bar with a dear wall at three quarters of its length: both seeds stop there, although one is nearer.
    let grid = Geometry::axial([3, 3, 40], PatientPoint([0.0; 3]), [1.0; 3]).unwrap();
    let mask = Mask::filled(grid.clone(), true);
    let mut seeds = LabelMap::new(Volume::filled(grid, 0));
    seeds.labels_mut()[[1, 1, 0]] = 1;
    seeds.labels_mut()[[1, 1, 39]] = 2;
    let plain = seeded_partition(&mask, &seeds);
    assert_eq!((plain.labels()[[1, 1, 19]], plain.labels()[[1, 1, 20]]), (1, 2));
    let wall = |from: usize, to: usize| if from % 40 == 29 || to % 40 == 29 { 100.0 } else { 1.0 };
    let dear = seeded_partition_by(&mask, &seeds, wall);
    assert_eq!((dear.labels()[[1, 1, 28]], dear.labels()[[1, 1, 30]]), (1, 2));
}

#[test]
fn parts_without_a_seed_stay_background() {
    let grid = &grids()[2];
    let mask = filled_by(grid, false, |p| p.0[0] < 10.0 || p.0[0] > 30.0);
    let mut seeds = LabelMap::new(Volume::filled(grid.clone(), 0));
    seeds.labels_mut()[[0, 0, 0]] = 7;
    seeds.labels_mut()[[0, 0, 20]] = 9; // outside the mask: no seed
    let parts = seeded_partition(&mask, &seeds);
    assert_eq!(parts.mask_of(7), filled_by(grid, false, |p| p.0[0] < 10.0));
    assert_eq!(parts.mask_of(9).count(), 0);
}

fn x(mm: f64) -> hilum_volume::PatientVector {
    hilum_volume::PatientVector([mm, 0.0, 0.0])
}
