//! Counting, against answers known by arithmetic, on grids of every kind.

use hilum_findings::{Findings, Lobe, MeasureError, Series, Side, component_labels, is_stored_from_foot, measure};
use hilum_imaging::components::{Connectivity, label};
use hilum_volume::{AxisOrder, Geometry, LabelMap, PatientPoint, PatientVector, Volume, VoxelPoint};

use crate::chest::{Chest, LUNG_HU, Opacity, chest, input};

/// Ground-glass of 4 × 10 × 12 mm at the right chest wall, behind and below (.48 ml); consolidation of 10 × 10 × 20 mm at
/// the left lung's inner side, across its lobes, in front of the centre (1.2 ml in the lower lobe, .8 ml in the upper).
const TWO: [Opacity; 2] = [
    Opacity { from: [10.0, 36.0, 24.0], to: [14.0, 46.0, 36.0], label: 11, hu: -600 },
    Opacity { from: [70.0, 14.0, 40.0], to: [80.0, 24.0, 60.0], label: 12, hu: 20 },
];
const SPACINGS: [[f64; 3]; 4] = [[2.0, 2.0, 2.0], [4.0, 2.0, 2.0], [2.0, 1.0, 2.0], [1.0, 2.0, 1.0]];

fn close(got: f64, expected: f64, what: &str) {
    assert!((got - expected).abs() < 1e-9 * expected.abs().max(1.0), "{what}: {got} instead of {expected}");
}

#[test]
fn volumes_are_those_of_the_boxes() {
    for spacing_mm in SPACINGS {
        let measured = chest(spacing_mm, &TWO).measured();
        close(measured.lung_ml(), 192.0, "lungs");
        close(measured.side_ml(Side::Right), 96.0, "right lung");
        for (lobe, ml) in Lobe::ALL.into_iter().zip([32.0, 32.0, 32.0, 44.8, 51.2]) {
            close(measured.ml(measured.lobes[lobe as usize].voxels), ml, lobe.name());
        }
        close(measured.lesion_ml(), 2.48, "opacities");
        close(measured.percent_of_lung(), 248.0 / 192.0, "PO");
        close(measured.percent_high_opacity(), 200.0 / 192.0, "PHO");
        close(measured.percent_of_side(Side::Left).unwrap(), 200.0 / 96.0, "left");
        close(measured.lobes[2].percent().unwrap(), 48.0 / 32.0, "RLL");
        close(measured.lobes[3].percent().unwrap(), 80.0 / 44.8, "LUL");
        close(measured.lobes[4].percent().unwrap(), 120.0 / 51.2, "LLL");
        close(measured.lobes[0].percent().unwrap(), 0.0, "RUL");
    }
}

#[test]
fn components_have_the_place_of_the_boxes() {
    for spacing_mm in SPACINGS {
        let measured = chest(spacing_mm, &TWO).measured();
        let findings = Findings::analysed(input(&measured, Series::default()));
        let [left, right] = &findings.lesions.components[..] else { panic!("two components") };
        assert_eq!((left.volume_ml, right.volume_ml), (2.0, 0.48));
        assert_eq!((left.lobe, right.lobe), (Lobe::LeftLower, Lobe::RightLower));
        assert_eq!(left.lobes, [Lobe::LeftUpper, Lobe::LeftLower]);
        assert_eq!((left.mean_hu, right.mean_hu), (20.0, -600.0));
        assert_eq!(left.centroid_lps_mm, [75.0, 19.0, 50.0]);
        assert_eq!(right.centroid_lps_mm, [12.0, 41.0, 30.0]);
        let at = |mm: f64| (mm / spacing_mm[0]) as usize;
        assert_eq!(left.slice_range, [at(40.0), at(60.0) - 1]);
        assert_eq!(right.slice_range, [at(24.0), at(36.0) - 1]);
    }
}

#[test]
fn every_slice_is_listed_from_the_foot() {
    let measured = chest([4.0, 2.0, 2.0], &TWO).measured();
    let findings = Findings::analysed(input(&measured, Series::default()));
    // 10 × 10 mm of consolidation and 4 × 10 mm of ground-glass in slices of 4 mm.
    let expected = |slice: usize| match slice {
        6..=8 => 0.16,
        10..=14 => 0.4,
        _ => 0.0,
    };
    assert_eq!(findings.lesions.slices.len(), 25);
    for (at, slice) in findings.lesions.slices.iter().enumerate() {
        assert_eq!((slice.index, slice.lesion_ml), (at, expected(at)));
        assert_eq!(slice.lung_ml, if (5..20).contains(&at) { 12.8 } else { 0.0 });
    }
}

/// What is reported, but for the order of the slices' axes.
fn reported(chest: &Chest) -> Findings {
    Findings::analysed(input(&chest.measured(), Series::default()))
}

#[test]
fn no_axis_order_changes_a_digit() {
    let original = chest([4.0, 2.0, 2.0], &TWO);
    let expected = reported(&original);
    for order in AxisOrder::all() {
        let stored = original.reordered(order);
        let got = reported(&stored);
        assert_eq!(got.anatomy, expected.anatomy, "{order:?}");
        assert_eq!(got.scores, expected.scores, "{order:?}");
        assert_eq!(got.hu_histogram, expected.hu_histogram, "{order:?}");
        assert_eq!(got.lesions.distribution, expected.lesions.distribution, "{order:?}");
        assert_eq!(got.lesions.lobes, expected.lesions.lobes, "{order:?}");
        let places = |f: &Findings| f.lesions.components.iter().map(|c| (c.id, c.centroid_lps_mm)).collect::<Vec<_>>();
        assert_eq!(places(&got), places(&expected), "{order:?}");
        if order.0[0].0 == 0 {
            // Axial slices, stored from the foot or from the head, rows and columns in any way.
            assert_eq!(got.lesions, expected.lesions, "{order:?}");
            assert_eq!(is_stored_from_foot(stored.ct.geometry()), !order.0[0].1);
        }
    }
}

#[test]
fn oblique_sheared_and_left_handed_grids_measure_the_same() {
    let original = chest([4.0, 2.0, 2.0], &TWO);
    let expected = original.measured();
    let (sin, cos) = 20.0_f64.to_radians().sin_cos();
    let z = PatientVector([0.0, 0.0, 1.0]);
    let (y, x) = (PatientVector([0.0, 1.0, 0.0]), PatientVector([1.0, 0.0, 0.0]));
    let tilted = PatientVector([0.0, cos, sin]);
    let cases = [
        ("oblique", [PatientVector([0.0, -sin, cos]), tilted, x], 1.0),
        ("left-handed", [z, y, PatientVector([-1.0, 0.0, 0.0])], 1.0),
        ("tilted gantry", [z, tilted, x], cos),
    ];
    for (name, axes, volume) in cases {
        let measured = original.placed(PatientPoint([-100.0, 30.0, 700.0]), axes).measured();
        assert_eq!(measured.lobes, expected.lobes, "{name}");
        assert_eq!(measured.slices, expected.slices, "{name}");
        close(measured.lung_ml(), volume * expected.lung_ml(), name);
        close(measured.percent_of_lung(), expected.percent_of_lung(), name);
        // The centre of the consolidation is voxel [12, 9, 37] and a half, in whatever direction the axes run.
        let at = hilum_volume::VoxelPoint([12.0, 9.0, 37.0]);
        let grid = Geometry::new([25, 30, 60], PatientPoint([-100.0, 30.0, 700.0]), axes, [4.0, 2.0, 2.0]).unwrap();
        let distance = grid.patient_from_voxel(at).distance_mm(measured.components[0].centroid);
        assert!(distance < 1e-9, "{name}: {distance} mm off");
    }
}

#[test]
fn slices_that_grow_to_the_foot_are_turned_round() {
    let original = chest([4.0, 2.0, 2.0], &TWO);
    let turned = original.reordered(AxisOrder([(0, true), (1, false), (2, false)]));
    let probabilities: Vec<f32> = (0..25).map(|slice| slice as f32 / 25.0).collect();
    let measured = measure(&turned.ct, &turned.lobes, &turned.lesions, Some(&probabilities)).unwrap();
    let findings = Findings::analysed(input(&measured, Series::default()));
    // The last slice stored is the one at the foot, and brings its own probability along.
    assert_eq!(findings.lesions.slices[0].probability, Some(0.96));
    assert_eq!(findings.lesions.slices[24].probability, Some(0.0));
    assert_eq!(findings.lesions.components[0].slice_range, [10, 14]);
}

#[test]
fn density_compartments_have_their_stated_ends() {
    // Each case is one HU for all of the lung; expected: hyperinflated, normal, poor, none, LAA-950, well-aerated.
    let cases: [(i16, [u8; 6]); 13] = [
        (-1024, [1, 0, 0, 0, 1, 0]),
        (-951, [1, 0, 0, 0, 1, 0]),
        (-950, [1, 0, 0, 0, 0, 1]),
        (-901, [1, 0, 0, 0, 0, 1]),
        (-900, [0, 1, 0, 0, 0, 1]),
        (-701, [0, 1, 0, 0, 0, 1]),
        (-700, [0, 1, 0, 0, 0, 0]),
        (-501, [0, 1, 0, 0, 0, 0]),
        (-500, [0, 0, 1, 0, 0, 0]),
        (-101, [0, 0, 1, 0, 0, 0]),
        (-100, [0, 0, 0, 1, 0, 0]),
        (3000, [0, 0, 0, 1, 0, 0]),
        (i16::MIN, [1, 0, 0, 0, 1, 0]),
    ];
    for (hu, expected) in cases {
        let mut chest = chest([4.0, 2.0, 2.0], &[]);
        chest.ct.data_mut().fill(hu);
        let a = reported(&chest).anatomy.aeration;
        let got = [
            a.hyperinflated_percent,
            a.normal_percent,
            a.poor_percent,
            a.none_percent,
            a.emphysema_laa_950_percent,
            a.well_aerated_percent,
        ];
        assert_eq!(got, expected.map(|share| Some(100.0 * f64::from(share))), "{hu} HU");
    }
}

#[test]
fn high_opacity_begins_at_minus_200() {
    for (hu, percent) in [(-201, 0.0), (-200, 100.0), (-199, 100.0)] {
        let whole_lobe = Opacity { from: [10.0, 10.0, 20.0], to: [50.0, 50.0, 40.0], label: 11, hu };
        let measured = chest([4.0, 2.0, 2.0], &[whole_lobe]).measured();
        assert_eq!(measured.lobes[2].percent_high(), Some(percent), "{hu} HU");
    }
}

#[test]
fn the_histogram_holds_every_voxel() {
    let findings = reported(&chest([4.0, 2.0, 2.0], &TWO));
    let histogram = findings.hu_histogram;
    assert_eq!(histogram.lung.iter().sum::<u64>(), 12_000, "192 ml of 16 mm³");
    assert_eq!(histogram.lesion.iter().sum::<u64>(), 155, "2.48 ml of 16 mm³");
    let bin = |hu: i16| ((i32::from(hu) - histogram.first_bin_hu.unwrap()) / histogram.bin_width_hu.unwrap()) as usize;
    assert_eq!(histogram.lung[bin(LUNG_HU)], 12_000 - 155);
    assert_eq!((histogram.lesion[bin(-600)], histogram.lesion[bin(20)]), (30, 125));
}

#[test]
fn components_are_those_of_an_independent_labelling() {
    // Random opacities in lungs that touch: components must not cross from one to the other.
    let grid = Geometry::axial([7, 11, 13], PatientPoint([0.0; 3]), [3.0, 1.0, 1.0]).unwrap();
    let mut state = 12_345_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1_u32 << 31)
    };
    for density in [0.02, 0.08, 0.15, 0.3, 0.6] {
        for _ in 0..20 {
            let mut lobes = Volume::filled(grid.clone(), 0_u8);
            let mut lesions = Volume::filled(grid.clone(), 0_u8);
            for at in 0..grid.len() {
                // Sides change at random along a row, and some voxels are no lung.
                lobes.data_mut()[at] = if random() < 0.1 { 0 } else { 1 + (random() * 5.0) as u8 };
                lesions.data_mut()[at] = if random() < density { 11 + (random() * 3.0) as u8 } else { 0 };
            }
            let ct = Volume::filled(grid.clone(), -500_i16);
            let (lobes, lesions) = (LabelMap::new(lobes), LabelMap::new(lesions));
            let measured = measure(&ct, &lobes, &lesions, None).unwrap();
            let mut got: Vec<u64> = measured.components.iter().map(|c| c.voxels).collect();
            let mut expected: Vec<u64> = Vec::new();
            for side in [1..=3_u8, 4..=5] {
                let data = lobes.labels().data().iter().zip(lesions.labels().data());
                let mask = data.map(|(lobe, lesion)| side.contains(lobe) && *lesion != 0).collect();
                let mask = Volume::new(grid.clone(), mask).unwrap();
                expected.extend(label(&mask, Connectivity::Corners).items.iter().map(|item| item.voxels as u64));
            }
            // The map of components numbers them as they are listed.
            let numbered = component_labels(&lobes, &lesions, 255);
            for (id, counts) in (1..=255).zip(&measured.components) {
                assert_eq!(numbered.mask_of(id).count() as u64, counts.voxels);
                let mut sums = [0.0; 3];
                for at in (0..grid.len()).filter(|at| numbered.labels().data()[*at] == id) {
                    let index = [at / 143, at / 13 % 11, at % 13];
                    (0..3).for_each(|a| sums[a] += index[a] as f64 / counts.voxels as f64);
                }
                assert!(grid.patient_from_voxel(VoxelPoint(sums)).distance_mm(counts.centroid) < 1e-9);
            }
            assert!(component_labels(&lobes, &lesions, 2).labels().data().iter().all(|id| *id <= 2));
            got.sort_unstable();
            expected.sort_unstable();
            assert_eq!(got, expected);
        }
    }
}

#[test]
fn opacities_outside_the_lungs_do_not_count() {
    let outside = Opacity { from: [50.0, 20.0, 40.0], to: [70.0, 30.0, 48.0], label: 12, hu: 30 };
    let measured = chest([4.0, 2.0, 2.0], &[outside]).measured();
    assert_eq!((measured.lesion_voxels(), measured.components.len()), (0, 0));
    assert_eq!(measured.lesion_outside_lung, 100);
}

#[test]
fn what_cannot_be_measured_is_an_error() {
    let Chest { ct, lobes, lesions } = chest([4.0, 2.0, 2.0], &TWO);
    let elsewhere = Geometry::axial([25, 30, 60], PatientPoint([0.0; 3]), [4.0, 2.0, 2.0]).unwrap();
    let moved = LabelMap::new(Volume::filled(elsewhere, 1));
    assert_eq!(measure(&ct, &moved, &lesions, None), Err(MeasureError::Grid { what: "lobes" }));
    assert_eq!(measure(&ct, &lobes, &moved, None), Err(MeasureError::Grid { what: "lesions" }));
    let short = [0.5; 24];
    let expected = MeasureError::Probabilities { expected: 25, actual: 24 };
    assert_eq!(measure(&ct, &lobes, &lesions, Some(&short)), Err(expected));
    let no_lung = LabelMap::new(Volume::filled(ct.geometry().clone(), 0));
    assert_eq!(measure(&ct, &no_lung, &lesions, None), Err(MeasureError::NoLung));
}

#[test]
fn the_outer_layer_is_that_of_the_boxes() {
    // Lungs of 40 × 40 × 60 mm whose surface is all sides but the inner one: the core is 25 × 10 × 30 mm.
    let share = 1.0 - (25.0 * 10.0 * 30.0) / (40.0 * 40.0 * 60.0);
    for spacing_mm in SPACINGS {
        let placement = chest(spacing_mm, &TWO).measured().placement;
        // The coarse grid of 3 mm places the surface of so small a box to about a millimetre.
        assert!(
            (placement.peripheral_share_of_lung - share).abs() < 0.05,
            "{} instead of {share}",
            placement.peripheral_share_of_lung
        );
    }
    // 10 × 8 × 16 mm in the middle of the lung, and the same at its inner side.
    let at_x = |x: f64| Opacity { from: [x, 26.0, 44.0], to: [x + 10.0, 34.0, 60.0], label: 11, hu: -600 };
    for (x, peripheral) in [(10.0, true), (36.0, false), (40.0, false), (100.0, true), (70.0, false)] {
        let placement = chest([2.0; 3], &[at_x(x)]).measured().placement;
        let expected = if peripheral { placement.lesion } else { 0 };
        assert_eq!(placement.peripheral, expected, "x from {x} mm");
    }
}

#[test]
fn behind_is_towards_the_back() {
    for (y, posterior) in [(12.0, 0), (40.0, 80)] {
        let opacity = Opacity { from: [20.0, y, 40.0], to: [30.0, y + 8.0, 56.0], label: 11, hu: -600 };
        assert_eq!(chest([4.0, 2.0, 2.0], &[opacity]).measured().placement.posterior, posterior, "y from {y} mm");
    }
}
