//! Reordering: voxels move in memory, never in the patient.

use crate::grids::{any_grid, numbered, turned};
use hilum_volume::{AxisOrder, Geometry, LabelMap, Orientation, PatientPoint, Volume, VoxelIndex};
use proptest::prelude::*;

/// Where each number of a [`numbered`] volume lies in the patient.
fn places(volume: &Volume<i16>) -> Vec<PatientPoint> {
    let [slices, rows, columns] = volume.shape();
    let mut places = vec![PatientPoint([f64::NAN; 3]); volume.data().len()];
    for s in 0..slices {
        for r in 0..rows {
            for c in 0..columns {
                let index: VoxelIndex = [s, r, c];
                places[volume[index] as usize] = volume.geometry().centre_of(index);
            }
        }
    }
    places
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_48_orders_keep_every_voxel_in_its_place(grid in any_grid()) {
        let volume = numbered(&grid);
        let before = places(&volume);
        for order in AxisOrder::all() {
            let moved = volume.reordered(order);
            for (a, b) in before.iter().zip(places(&moved)) {
                prop_assert!(a.distance_mm(b) < 1e-9, "{order:?}: {a:?} went to {b:?}");
            }
            let back = moved.reordered(order.inverse());
            prop_assert_eq!(back.data(), volume.data());
            prop_assert!(back.geometry().coincides_with(&grid));
            prop_assert_eq!(moved.geometry().coincides_with(&grid), order == AxisOrder::IDENTITY);
        }
    }

    #[test]
    fn axial_order_does_not_depend_on_the_order_of_storage(grid in any_grid()) {
        let volume = numbered(&grid);
        let axial = |v: &Volume<i16>| v.reordered(AxisOrder::towards(v.geometry(), Orientation::Axial));
        let expected = axial(&volume);
        for order in AxisOrder::all() {
            let found = axial(&volume.reordered(order));
            prop_assert_eq!(found.data(), expected.data(), "{:?}", order);
        }
    }
}

#[test]
fn there_are_48_different_orders() {
    let mut all: Vec<_> = AxisOrder::all().iter().map(|o| o.0).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 48);
}

#[test]
fn a_grid_turned_by_45_degrees_has_one_axial_order() {
    // Rows and columns are equally close to back and left: the tie must fall the same way from every storage order.
    let axes = turned([0.0, 0.0, std::f64::consts::FRAC_PI_4]);
    let grid = Geometry::new([2, 3, 4], PatientPoint([1.0, 2.0, 3.0]), axes, [2.0, 1.0, 1.0]).unwrap();
    let volume = numbered(&grid);
    let axial = |v: &Volume<i16>| v.reordered(AxisOrder::towards(v.geometry(), Orientation::Axial));
    for order in AxisOrder::all() {
        assert_eq!(axial(&volume.reordered(order)).data(), axial(&volume).data(), "{order:?}");
    }
}

#[test]
fn labels_follow_their_volume() {
    let grid = Geometry::axial([2, 3, 4], PatientPoint([0.0; 3]), [3.0, 1.0, 1.0]).unwrap();
    let labels = LabelMap::new(numbered(&grid).map(|v| *v as u8));
    let order = AxisOrder([(2, true), (0, false), (1, true)]);
    assert_eq!(labels.reordered(order).labels().data()[0], 4 * 2 + 3);
    assert_eq!(labels.reordered(order).reordered(order.inverse()), labels);
}

#[test]
fn crop_and_paste_back() {
    let grid = Geometry::axial([4, 5, 6], PatientPoint([10.0, 20.0, 30.0]), [3.0, 1.0, 2.0]).unwrap();
    let volume = numbered(&grid);
    let part = volume.crop([1, 2, 3], [2, 3, 1]).unwrap();
    assert_eq!(part.shape(), [2, 3, 1]);
    assert_eq!(part[[1, 2, 0]], volume[[2, 4, 3]]);
    assert_eq!(part.geometry().centre_of([1, 2, 0]), grid.centre_of([2, 4, 3]));
    let mut blank = Volume::filled(grid, -1);
    blank.paste([1, 2, 3], &part).unwrap();
    assert_eq!(blank.data().iter().filter(|v| **v >= 0).count(), 6);
    assert_eq!(blank[[2, 4, 3]], volume[[2, 4, 3]]);
    assert!(blank.paste([3, 2, 3], &part).is_err(), "it would reach outside");
    assert!(volume.crop([0, 0, 6], [1, 1, 1]).is_err());
}
