//! The phantoms against their own known answers, in every way of scanning, and through DICOM.

use std::sync::LazyLock;

use hilum_dicom::{Limits, Refusal, Source, load, scan};
use hilum_phantom::{
    Anatomy, Disease, KnownAnswers, Lobe, PhantomOptions, ScannerOptions, Variant, write, write_anatomy,
};
use hilum_volume::{Geometry, LabelMap, PatientPoint, Volume};

static CHEST: LazyLock<Anatomy> = LazyLock::new(|| Anatomy::new(1, Disease::Covid));

/// The chest of all tests, built once, with its answers.
fn chest() -> (&'static Anatomy, &'static KnownAnswers) {
    (&CHEST, CHEST.known_answers())
}

fn options(variant: Variant, matrix: usize, slice_spacing_mm: f64) -> PhantomOptions {
    PhantomOptions { variant, matrix: Some(matrix), slice_spacing_mm: Some(slice_spacing_mm), ..Default::default() }
}

/// The fit variants on grids coarse enough for a test; thick slices stay thick.
fn fit_grids() -> Vec<(Variant, Geometry)> {
    let fit = Variant::all().iter().copied().filter(|v| v.is_fit());
    fit.map(|v| (v, options(v, 150, if v == Variant::ThickSlices { 5.0 } else { 2.5 }).geometry())).collect()
}

fn assert_near(what: &str, measured: f64, known: f64, tolerance: f64) {
    assert!((measured - known).abs() <= tolerance, "{what}: {measured:.3}, known {known:.3} ± {tolerance:.3}");
}

/// Number, middle of the voxels of a label within a box.
fn centroid(labels: &LabelMap, label: u8, [low, high]: [[f64; 3]; 2]) -> (usize, [f64; 3]) {
    let grid = labels.geometry();
    let [_, rows, columns] = grid.shape();
    let (mut count, mut sum) = (0, [0.0; 3]);
    for (i, _) in labels.labels().data().iter().enumerate().filter(|(_, l)| **l == label) {
        let p = grid.centre_of([i / (rows * columns), i / columns % rows, i % columns]).0;
        if (0..3).all(|a| p[a] >= low[a] - 0.1 && p[a] <= high[a] + 0.1) {
            count += 1;
            (0..3).for_each(|a| sum[a] += p[a]);
        }
    }
    (count, sum.map(|s| s / count.max(1) as f64))
}

#[test]
fn volumes_and_places_are_the_known_ones_in_every_geometry() {
    let (anatomy, known) = chest();
    for (variant, grid) in fit_grids() {
        let name = variant.name();
        let truth = anatomy.truth(&grid);
        let lobes_ml: Vec<f64> = Lobe::ALL.iter().map(|lobe| truth.lobes.volume_ml(lobe.label())).collect();
        // Centre sampling of a body many voxels wide errs by chance only: well under half a per cent here.
        let total = known.lung_volume_ml.total;
        assert_near(&format!("{name}, lungs"), lobes_ml.iter().sum(), total, 0.003 * total);
        let right = known.lung_volume_ml.right;
        assert_near(&format!("{name}, right lung"), lobes_ml[..3].iter().sum(), right, 0.004 * right);
        for (lobe, measured) in known.lobes.iter().zip(&lobes_ml) {
            let what = format!("{name}, {}", lobe.name.abbreviation());
            assert_near(&what, *measured, lobe.volume_ml, 0.008 * lobe.volume_ml);
        }
        let ground_glass = truth.lesions.volume_ml(11);
        assert_near(
            &format!("{name}, ground-glass"),
            ground_glass,
            known.ground_glass_ml,
            0.02 * known.ground_glass_ml,
        );
        let consolidation = truth.lesions.volume_ml(12);
        assert_near(
            &format!("{name}, consolidation"),
            consolidation,
            known.consolidation_ml,
            0.06 * known.consolidation_ml,
        );
        for lesion in &known.lesions {
            // No two lesions of one label have overlapping boxes but those of neighbouring ground-glass in the right lower
            // lobe; their middles are checked by the whole above.
            let alone = known.lesions.iter().all(|other| {
                other.id == lesion.id
                    || other.label != lesion.label
                    || (0..3).any(|a| {
                        other.bounds_lps_mm[0][a] > lesion.bounds_lps_mm[1][a]
                            || other.bounds_lps_mm[1][a] < lesion.bounds_lps_mm[0][a]
                    })
            });
            if alone {
                let (_, middle) = centroid(&truth.lesions, lesion.label, lesion.bounds_lps_mm);
                let away = PatientPoint(middle).distance_mm(PatientPoint(lesion.centroid_lps_mm));
                assert!(away < 0.8, "{name}, lesion {}: middle off by {away:.2} mm", lesion.id);
            }
        }
    }
}

#[test]
fn lobes_tile_the_lungs_on_their_own_sides() {
    let (_, known) = chest();
    let sum: f64 = known.lobes.iter().map(|lobe| lobe.volume_ml).sum();
    assert_near("sum of the lobes", sum, known.lung_volume_ml.total, 0.01);
    let share = |i: usize| known.lobes[i].volume_ml / sum;
    // Shares of the lobes of healthy adults at full inspiration lie about 19, 9, 25, 24 and 23 %; these are of that kind.
    for (i, (low, high)) in
        [(0.15, 0.26), (0.06, 0.14), (0.18, 0.30), (0.20, 0.30), (0.18, 0.28)].into_iter().enumerate()
    {
        assert!((low..high).contains(&share(i)), "{}: {:.3}", known.lobes[i].name.abbreviation(), share(i));
    }
    let truth = CHEST.truth(&options(Variant::Small, 128, 3.0).geometry());
    let grid = truth.lobes.geometry();
    for (i, label) in truth.lobes.labels().data().iter().enumerate().filter(|(_, l)| **l > 0) {
        let x = grid.centre_of([0, 0, i % grid.shape()[2]]).0[0];
        assert!(if *label <= 3 { x < 20.0 } else { x > -12.0 }, "label {label} at x = {x}");
    }
}

#[test]
fn lesions_lie_in_their_lobes_and_nowhere_else() {
    let (anatomy, known) = chest();
    let truth = anatomy.truth(&options(Variant::Small, 128, 3.0).geometry());
    let voxel_ml = truth.lobes.geometry().voxel_volume_mm3() / 1000.0;
    for lobe in &known.lobes {
        let pairs = truth.lobes.labels().data().iter().zip(truth.lesions.labels().data());
        let measured = pairs.filter(|(l, lesion)| **l == lobe.label && **lesion > 0).count() as f64 * voxel_ml;
        let stated: f64 = known.lesions.iter().filter(|l| l.lobe == lobe.name).map(|l| l.volume_ml).sum();
        assert_near(lobe.name.abbreviation(), measured, stated, 0.06 * stated + 0.2);
    }
    let outside = truth.lobes.labels().data().iter().zip(truth.lesions.labels().data());
    assert_eq!(outside.filter(|(lobe, lesion)| **lobe == 0 && **lesion > 0).count(), 0);
    // Peripheral, behind and below, as the preset says: the larger lesions lie in the lower lobes, behind the middle.
    let lower: f64 = known
        .lesions
        .iter()
        .filter(|l| matches!(l.lobe, Lobe::RightLower | Lobe::LeftLower))
        .map(|l| l.volume_ml)
        .sum();
    assert!(lower > 0.6 * known.lesion_ml);
    assert!(known.lesions[0].centroid_lps_mm[1] > known.lung_centroid_lps_mm[1] + 30.0);
}

#[test]
fn a_healthy_chest_has_no_lesion() {
    let healthy = Anatomy::new(3, Disease::Healthy);
    let truth = healthy.truth(&options(Variant::Small, 64, 6.0).geometry());
    assert!(truth.lesions.labels().data().iter().all(|l| *l == 0));
    assert!(truth.lobes.labels().data().iter().any(|l| *l > 0));
}

#[test]
fn hounsfield_units_are_those_of_tissue() {
    let (anatomy, known) = chest();
    let o = options(Variant::Small, 192, 2.0);
    let (hu, truth) = anatomy.sample(&o.geometry(), &o.scanner());
    let mean = |labels: &LabelMap, label: u8| {
        let pairs = hu.data().iter().zip(labels.labels().data()).filter(|(_, l)| **l == label);
        let (sum, count) = pairs.fold((0.0, 0.0), |(s, n), (hu, _)| (s + f64::from(*hu), n + 1.0));
        sum / count
    };
    // The point spread carries the chest wall into the outermost voxels of a lobe: a few HU up.
    for lobe in &known.lobes {
        assert_near(lobe.name.abbreviation(), mean(&truth.lobes, lobe.label), lobe.mean_hu + 6.0, 12.0);
    }
    assert!((-650.0..-520.0).contains(&mean(&truth.lesions, 11)), "{}", mean(&truth.lesions, 11));
    assert!((-120.0..60.0).contains(&mean(&truth.lesions, 12)), "{}", mean(&truth.lesions, 12));
}

#[test]
fn noise_has_the_level_asked_for() {
    let liver = PatientPoint([-100.0, -20.0, -130.0]);
    let grid = Geometry::axial([8, 40, 40], liver, [1.25, 0.742, 0.742]).expect("a grid");
    let sd = |volume: &Volume<i16>| {
        let n = volume.data().len() as f64;
        let mean = volume.data().iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        (volume.data().iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n).sqrt()
    };
    let noisy = sd(&CHEST.scan(&grid, &ScannerOptions::default()));
    let clean = sd(&CHEST.scan(&grid, &ScannerOptions { noise_hu: 0.0, ..Default::default() }));
    let noise = (noisy * noisy - clean * clean).sqrt();
    // 22 HU deep in the body, half of it at the skin; the liver lies between.
    assert!((14.0..24.0).contains(&noise), "{noise:.1} HU");
    assert!(clean < 9.0, "texture of the liver: {clean:.1} HU");
}

#[test]
fn the_bead_marks_the_right_front_in_every_geometry() {
    let (anatomy, known) = chest();
    let bead = PatientPoint(known.landmarks[0].lps_mm);
    assert!(known.landmarks[0].name.starts_with("bead") && bead.0[0] < -40.0 && bead.0[1] < -60.0);
    for (variant, grid) in fit_grids() {
        // Only the voxels about the bead and its mirror image are scanned.
        let look = |at: PatientPoint| {
            let middle = grid.voxel_from_patient(at).0.map(|v| v.round() as usize);
            let part = grid.crop(middle, [1, 1, 1]).expect("the bead is in the field of view");
            anatomy.scan(&part, &ScannerOptions { noise_hu: 0.0, ..Default::default() }).data()[0]
        };
        let mirrored = PatientPoint([-bead.0[0], bead.0[1], bead.0[2]]);
        let name = variant.name();
        assert!(look(bead) > 100, "{name}: {}", look(bead));
        assert!(look(mirrored) < 100 && look(mirrored) < look(bead) - 200, "{name}: {}", look(mirrored));
    }
}

#[test]
fn the_same_options_give_the_same_bytes() {
    let o = options(Variant::Oblique, 40, 12.0);
    let again = Anatomy::new(1, Disease::Covid);
    let (first, second) = (CHEST.scan(&o.geometry(), &o.scanner()), again.scan(&o.geometry(), &o.scanner()));
    assert!(first == second, "two builds of one person differ");
    let other = Anatomy::new(2, Disease::Covid).scan(&o.geometry(), &o.scanner());
    assert!(first != other, "two persons are the same");
}

#[test]
fn fit_variants_load_as_they_were_scanned() {
    let cases =
        [(Variant::Oblique, 0), (Variant::LeftHanded, 0), (Variant::TiltedGantry, 0), (Variant::MissingSlice, 1)];
    for (variant, absent) in cases {
        let o = options(variant, 48, 6.0);
        let folder = tempfile::tempdir().expect("a folder");
        let written = write_anatomy(folder.path(), &CHEST, &o).expect("the folder can be written to");
        assert_eq!(written.files + absent, o.geometry().shape()[0], "{}", variant.name());
        let found = scan(&Source::from(folder.path()), &Limits::default()).expect("DICOM images");
        let series = load(&found, &found.series()[0].series_uid, &|_| ()).expect("a series");
        let voxels: usize = series.volume.shape().iter().product();
        assert!(voxels >= o.geometry().len() - 2 * absent * 48 * 48, "{}", variant.name());
        // What lies at a place is what was scanned there, however the axes of the volume run.
        let scanned = CHEST.scan(&o.geometry(), &o.scanner());
        let place = o.geometry().centre_of([4, 20, 30]);
        let at = series.volume.geometry().voxel_from_patient(place).0;
        if variant != Variant::TiltedGantry {
            let index = at.map(|v| v.round() as usize);
            assert!(at.iter().zip(&index).all(|(v, i)| (v - *i as f64).abs() < 1e-3), "{}: {at:?}", variant.name());
            assert_eq!(series.volume[index], scanned[[4, 20, 30]], "{}", variant.name());
        }
        let answers = std::fs::read(folder.path().join("answers.json")).expect("answers beside the images");
        let answers: KnownAnswers = serde_json::from_slice(&answers).expect("answers of our own kind");
        assert_eq!(&answers, chest().1, "{}: the answers belong to the body, not to the grid", variant.name());
    }
}

#[test]
fn unfit_variants_are_refused() {
    let refusal = |variant: Variant| {
        let folder = tempfile::tempdir().expect("a folder");
        let o = options(variant, 32, 10.0);
        let written = match variant {
            Variant::Head | Variant::Knee | Variant::TwoPatients => write(folder.path(), &o),
            _ => write_anatomy(folder.path(), &CHEST, &o),
        };
        assert!(written.expect("the folder can be written to").files > 0);
        let found = scan(&Source::from(folder.path()), &Limits::default())?;
        found.require_one_patient()?;
        load(&found, &found.series()[0].series_uid, &|_| ()).map(|_| ())
    };
    let refused = |variant: Variant| refusal(variant).expect_err(variant.name());
    assert!(matches!(refused(Variant::OneSlice), Refusal::OneSlice));
    assert!(matches!(refused(Variant::Localiser), Refusal::LocaliserOnly));
    assert!(matches!(refused(Variant::Mr), Refusal::NotCt { .. }));
    assert!(matches!(refused(Variant::TwoPatients), Refusal::SeveralPatients { patients: 2 }));
    let captures = refused(Variant::SecondaryCapture);
    assert!(matches!(captures, Refusal::NotHounsfield(_) | Refusal::Missing(_)), "{captures}");
    let third = refused(Variant::ThirdMissing);
    assert!(matches!(third, Refusal::MissingSlices { .. } | Refusal::UnevenSpacing { .. }), "{third}");
    // Heads and knees are sound CT series; that they are not chests is for the reader of chests to see.
    for variant in [Variant::Head, Variant::Knee] {
        assert_eq!(refusal(variant), Ok(()), "{}", variant.name());
    }
}

#[test]
fn names_are_found_again() {
    for variant in Variant::all() {
        assert_eq!(Variant::from_name(variant.name()), Some(*variant));
    }
    for disease in Disease::all() {
        assert_eq!(Disease::from_name(disease.name()), Some(*disease));
    }
    assert_eq!(Variant::from_name("foot"), None);
}
