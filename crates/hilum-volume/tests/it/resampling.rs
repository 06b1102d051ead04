//! Values on other grids.

use crate::grids::{any_grid, numbered, ramp, ramp_at, turned};
use hilum_volume::{
    AxisOrder, Geometry, Interpolation, LabelMap, Mask, PatientPoint, PatientVector, Volume, VoxelIndex, VoxelPoint,
};
use proptest::prelude::*;

fn indices([slices, rows, columns]: [usize; 3]) -> impl Iterator<Item = VoxelIndex> {
    (0..slices).flat_map(move |s| (0..rows).flat_map(move |r| (0..columns).map(move |c| [s, r, c])))
}

/// The position of a voxel of `onto` in `from`, and how far inside the outermost centres of `from` it lies (in voxels).
fn depth(from: &Geometry, onto: &Geometry, index: VoxelIndex) -> f64 {
    let at = from.voxel_from_patient(onto.centre_of(index)).0;
    (0..3).map(|a| at[a].min(from.shape()[a] as f64 - 1.0 - at[a])).fold(f64::INFINITY, f64::min)
}

/// A grid that overlaps another: turned, stretched and moved by a few voxels.
fn near(grid: &Geometry, turn: [f64; 3], start: [f64; 3], scale: [f64; 3]) -> Geometry {
    let axes = if turn == [0.0; 3] { grid.axes() } else { turned(turn) };
    let spacing = std::array::from_fn(|a| grid.spacing_mm()[a] * scale[a]);
    Geometry::new([5, 6, 7], grid.patient_from_voxel(VoxelPoint(start)), axes, spacing).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_ramp_is_exact_between_the_centres(
        grid in any_grid(),
        parallel in any::<bool>(),
        turn in prop::array::uniform3(-3.0..3.0_f64),
        start in prop::array::uniform3(-2.0..3.0_f64),
        scale in prop::array::uniform3(0.2..2.0_f64),
    ) {
        let onto = near(&grid, if parallel { [0.0; 3] } else { turn }, start, scale);
        let found = ramp(&grid).resample(&onto, Interpolation::Linear, f32::NAN);
        for index in indices(onto.shape()) {
            let depth = depth(&grid, &onto, index);
            if depth >= 0.0 {
                let expected = ramp_at(onto.centre_of(index));
                prop_assert!((found[index] - expected).abs() < 2e-3, "{} is not {expected} at {index:?}", found[index]);
            }
            prop_assert!(depth >= -0.5 - 1e-5 || found[index].is_nan(), "a value outside");
            prop_assert!(depth <= -0.5 + 1e-5 || !found[index].is_nan(), "no value inside");
        }
    }

    #[test]
    fn onto_itself_in_any_order_nothing_changes(grid in any_grid()) {
        let volume = numbered(&grid);
        for order in AxisOrder::all().into_iter().step_by(5) {
            let reordered = volume.reordered(order);
            for method in [Interpolation::Nearest, Interpolation::Linear, Interpolation::Area] {
                let found = volume.resample(reordered.geometry(), method, -1);
                prop_assert_eq!(found.data(), reordered.data(), "{:?} {:?}", method, order);
            }
            let labels = LabelMap::new(volume.map(|v| (*v % 7) as u8));
            prop_assert_eq!(labels.resample_nearest(reordered.geometry()), labels.reordered(order));
            prop_assert_eq!(labels.resample_smooth(reordered.geometry()), labels.reordered(order));
        }
    }

    #[test]
    fn area_keeps_the_mean(grid in any_grid(), shape in prop::array::uniform3(1..9_usize)) {
        let volume = numbered(&grid).map(|v| f32::from(*v).sin());
        let onto = grid.with_shape(shape).unwrap();
        let found = volume.resample(&onto, Interpolation::Area, f32::NAN);
        let mean = |v: &Volume<f32>| v.data().iter().map(|x| f64::from(*x)).sum::<f64>() / v.data().len() as f64;
        prop_assert!((mean(&found) - mean(&volume)).abs() < 1e-5);
    }

    #[test]
    fn labels_masks_and_values_agree(
        grid in any_grid(),
        parallel in any::<bool>(),
        order in 0..48_usize,
        turn in prop::array::uniform3(-3.0..3.0_f64),
        start in prop::array::uniform3(-2.0..3.0_f64),
        scale in prop::array::uniform3(0.2..2.0_f64),
    ) {
        let mask = numbered(&grid).map(|v| v.wrapping_mul(73) % 5 < 2);
        let onto = near(&grid, if parallel { [0.0; 3] } else { turn }, start, scale).reordered(AxisOrder::all()[order]);
        let share = mask.map(|m| f32::from(u8::from(*m))).resample(&onto, Interpolation::Linear, 0.0);
        let nearest = mask.map(|m| i16::from(*m)).resample(&onto, Interpolation::Nearest, 0);
        let labels = LabelMap::new(mask.map(|m| if *m { 9 } else { 0 }));
        let (smooth, smooth_labels) = (mask.resample_smooth(&onto), labels.resample_smooth(&onto));
        prop_assert_eq!(smooth_labels.mask_of(9), smooth.clone());
        prop_assert_eq!(labels.resample_nearest(&onto).mask_of(9), mask.resample_nearest(&onto));
        prop_assert_eq!(mask.resample_nearest(&onto), nearest.map(|v| *v == 1));
        for (smooth, share) in smooth.data().iter().zip(share.data()).filter(|(_, s)| (*s - 0.5).abs() > 1e-4) {
            prop_assert_eq!(*smooth, *share > 0.5, "{}", share);
        }
    }

    #[test]
    fn labels_are_never_made_up(
        grid in any_grid(),
        turn in prop::array::uniform3(-3.0..3.0_f64),
        start in prop::array::uniform3(-2.0..3.0_f64),
        scale in prop::array::uniform3(0.2..2.0_f64),
    ) {
        let labels = LabelMap::new(numbered(&grid).map(|v| [3, 7, 12][*v as usize % 3]));
        let onto = near(&grid, turn, start, scale);
        for found in [labels.resample_nearest(&onto), labels.resample_smooth(&onto)] {
            for index in indices(onto.shape()) {
                let label = found.labels()[index];
                prop_assert!([0, 3, 7, 12].contains(&label));
                let depth = depth(&grid, &onto, index);
                if (depth + 0.5).abs() > 1e-5 {
                    prop_assert_eq!(label == 0, depth < -0.5);
                }
            }
        }
    }
}

#[test]
fn area_on_turned_grids_averages_too() {
    // Stripes of one voxel alias under point sampling; their mean over 4 × 4 × 4 voxels is 0.5.
    let grid = Geometry::axial([24, 24, 24], PatientPoint([0.0; 3]), [1.0; 3]).unwrap();
    let mut stripes = Volume::filled(grid, 0.0_f32);
    for index in indices([24; 3]) {
        stripes[index] = (index[2] % 2) as f32;
    }
    let axes = turned([0.02, 0.03, 0.01]);
    let onto = Geometry::new([3, 3, 3], PatientPoint([7.5; 3]), axes, [4.0; 3]).unwrap();
    let found = stripes.resample(&onto, Interpolation::Area, f32::NAN);
    assert!(found.data().iter().all(|v| (v - 0.5).abs() < 0.06), "{:?}", found.data());
}

#[test]
fn area_weighs_partly_covered_voxels() {
    let grid = Geometry::axial([1, 1, 3], PatientPoint([0.0; 3]), [1.0; 3]).unwrap();
    let volume = Volume::new(grid.clone(), vec![0.0_f32, 30.0, 90.0]).unwrap();
    let halves = volume.resample(&grid.with_shape([1, 1, 2]).unwrap(), Interpolation::Area, 0.0);
    assert_eq!(halves.data(), [10.0, 70.0]); // (0 + 30/2) / 1.5 and (30/2 + 90) / 1.5
    // Reaching beyond the last voxel: only what lies inside counts.
    let beyond = Geometry::axial([1, 1, 2], PatientPoint([2.0, 0.0, 0.0]), [1.0, 1.0, 2.0]).unwrap();
    assert_eq!(volume.resample(&beyond, Interpolation::Area, -5.0).data(), [70.0, -5.0]); // (30/2 + 90) / 1.5, none
}

#[test]
fn one_voxel_and_one_slice() {
    let one = Volume::filled(Geometry::axial([1; 3], PatientPoint([5.0; 3]), [2.0; 3]).unwrap(), 42_i16);
    let fine = one.geometry().with_shape([4, 4, 4]).unwrap();
    for method in [Interpolation::Nearest, Interpolation::Linear, Interpolation::Area] {
        assert!(one.resample(&fine, method, 0).data().iter().all(|v| *v == 42), "{method:?}");
    }
    let slice = Geometry::axial([1, 4, 4], PatientPoint([0.0; 3]), [5.0, 1.0, 1.0]).unwrap();
    let onto = Geometry::axial([3, 4, 4], PatientPoint([0.0, 0.0, -4.0]), [4.0, 1.0, 1.0]).unwrap();
    let found = numbered(&slice).resample(&onto, Interpolation::Linear, -1);
    assert!(found.slice(0).iter().chain(found.slice(2)).all(|v| *v == -1), "4 mm off a 5 mm slice lies outside");
    assert_eq!(found.slice(1), numbered(&slice).data());
}

#[test]
fn smooth_refinement_rounds_a_sphere_that_nearest_leaves_in_steps() {
    let radius = |g: &Geometry, i: VoxelIndex| g.centre_of(i).distance_mm(PatientPoint([19.0; 3]));
    let coarse = Geometry::axial([20; 3], PatientPoint([0.0; 3]), [2.0; 3]).unwrap();
    let fine = coarse.with_shape([80; 3]).unwrap();
    let sphere = |g: &Geometry| {
        let mut mask = Mask::filled(g.clone(), false);
        indices(g.shape()).for_each(|i| mask[i] = radius(g, i) <= 14.0);
        mask
    };
    let differing = |mask: &Mask| mask.data().iter().zip(sphere(&fine).data()).filter(|(a, b)| a != b).count();
    let (smooth, nearest) = (sphere(&coarse).resample_smooth(&fine), sphere(&coarse).resample_nearest(&fine));
    assert!(differing(&smooth) * 10 < differing(&nearest) * 9, "{} {}", differing(&smooth), differing(&nearest));
    assert!((smooth.volume_ml() / sphere(&fine).volume_ml() - 1.0).abs() < 0.03);
}

/// A gantry tilted by about 17°: each slice lies 0.9 mm farther along the rows than the one before.
fn tilted() -> Geometry {
    let lean = PatientVector([0.0, 0.3, 1.0]);
    let axes = [lean.times(1.0 / lean.length_mm()), PatientVector([0.0, 1.0, 0.0]), PatientVector([1.0, 0.0, 0.0])];
    Geometry::new([12, 30, 10], PatientPoint([-5.0, 10.0, 3.0]), axes, [3.0 * lean.length_mm(), 0.8, 0.9]).unwrap()
}

#[test]
fn a_tilted_gantry_is_sheared_upright_and_labels_back() {
    let grid = tilted();
    let upright = ramp(&grid).deskewed(f32::NAN);
    assert_eq!(upright.shape()[0], 12);
    assert!((upright.geometry().spacing_mm()[0] - 3.0).abs() < 1e-12);
    for index in indices(upright.shape()) {
        let depth = depth(&grid, upright.geometry(), index);
        let expected = ramp_at(upright.geometry().centre_of(index));
        assert!(depth < 0.0 || (upright[index] - expected).abs() < 1e-3, "{index:?}");
        assert!(depth >= -0.5 - 1e-5 || upright[index].is_nan());
    }
    // A block drawn on the upright grid comes back to within half a voxel along the rows, the only axis that is sheared.
    let block = |p: PatientPoint| p.0[1] > 15.0 && p.0[1] < 27.0 && p.0[2] > 8.0 && p.0[2] < 30.0;
    let mut drawn = LabelMap::new(Volume::filled(upright.geometry().clone(), 0));
    indices(upright.shape())
        .filter(|i| block(upright.geometry().centre_of(*i)))
        .for_each(|i| drawn.labels_mut()[i] = 5);
    let back = drawn.resample_nearest(&grid);
    for index in indices(grid.shape()) {
        let at = grid.centre_of(index);
        if [15.0, 27.0].iter().all(|edge| (at.0[1] - edge).abs() > 0.41) {
            assert_eq!(back.labels()[index] == 5, block(at), "{index:?}");
        }
    }
}
