//! The phantom chest as it is, however it is scanned, and spoilt.

use super::*;
use crate::lungs::{self, LungOptions};
use hilum_imaging::filter;
use hilum_phantom::{Anatomy, Disease, PhantomOptions, Variant};
use hilum_volume::{AxisOrder, Orientation};

/// The phantom scanned in this way at 160 × 160 and 3 mm, upright.
fn scanned(anatomy: &Anatomy, variant: Variant) -> Volume<i16> {
    let spacing = if variant == Variant::ThickSlices { 5.0 } else { 3.0 };
    let options =
        PhantomOptions { variant, matrix: Some(160), slice_spacing_mm: Some(spacing), ..PhantomOptions::default() };
    let ct = anatomy.scan(&options.geometry(), &options.scanner());
    let ct = if ct.geometry().is_orthogonal() { ct } else { ct.deskewed(-1024) };
    ct.reordered(AxisOrder::towards(ct.geometry(), Orientation::Axial))
}

/// Codes of the notes, those of severe ones with an exclamation mark.
fn codes(ct: &Volume<i16>) -> Vec<String> {
    let lungs = lungs::segment(ct, None, &LungOptions::default()).unwrap();
    let notes = ImageMeasures::of(ct, &lungs).notes();
    let mark = |note: &Note| if note.severity == Severity::Severe { "!" } else { "" };
    notes.iter().map(|note| format!("{}{}", note.code, mark(note))).collect()
}

fn part(ct: &Volume<i16>, from: f64, to: f64) -> Volume<i16> {
    let [slices, rows, columns] = ct.shape();
    let [from, to] = [from, to].map(|share| (share * slices as f64) as usize);
    ct.crop([from, 0, 0], [to - from, rows, columns]).unwrap()
}

fn smooth(ct: &Volume<i16>, sigma_mm: f64) -> Volume<i16> {
    filter::gaussian(&ct.map(|hu| f32::from(*hu)), sigma_mm).map(|hu| hu.round() as i16)
}

/// Sharpened at the scale of its pixels.
fn sharp(ct: &Volume<i16>, amount: f32) -> Volume<i16> {
    let soft = smooth(ct, ct.geometry().spacing_mm()[2]);
    let sharpened = |(hu, soft): (&i16, &i16)| {
        (f32::from(*hu) + amount * (f32::from(*hu) - f32::from(*soft))).clamp(-1024.0, 3071.0) as i16
    };
    Volume::new(ct.geometry().clone(), ct.data().iter().zip(soft.data()).map(sharpened).collect()).unwrap()
}

/// Something added to every voxel as a function of slice, and of millimetres to the back and the left of the middle.
fn painted(ct: &Volume<i16>, paint: impl Fn(usize, f64, f64) -> f64) -> Volume<i16> {
    let [_, rows, columns] = ct.shape();
    let [_, row_mm, column_mm] = ct.geometry().spacing_mm();
    let value = |(at, hu): (usize, &i16)| {
        let y_mm = ((at / columns % rows) as f64 - 0.5 * rows as f64) * row_mm;
        let x_mm = ((at % columns) as f64 - 0.5 * columns as f64) * column_mm;
        (f64::from(*hu) + paint(at / (rows * columns), y_mm, x_mm)).clamp(-1024.0, 3071.0) as i16
    };
    Volume::new(ct.geometry().clone(), ct.data().iter().enumerate().map(value).collect()).unwrap()
}

/// Rings of 5 mm that are up to this much too dense or too thin.
fn rings(ct: &Volume<i16>, up_to_hu: f64) -> Volume<i16> {
    painted(ct, |_, y, x| {
        let ring = (y.hypot(x) / 5.0) as u32;
        up_to_hu * (f64::from(ring.wrapping_mul(2_654_435_761) >> 16) / 32768.0 - 1.0)
    })
}

fn streaks(ct: &Volume<i16>) -> Volume<i16> {
    painted(ct, |slice, y, x| {
        let angle = y.atan2(x) + 0.05 * slice as f64;
        400.0 * (24.0 * angle).sin() * (30.0 / (30.0 + y.hypot(x))).sqrt()
    })
}

/// The mean of a picture and itself, moved to the back step by step.
fn smeared(ct: &Volume<i16>, over_mm: f64) -> Volume<i16> {
    let steps = (over_mm / ct.geometry().spacing_mm()[1]).round() as usize;
    let seen = |at: usize, step: usize| i32::from(ct.data()[at.saturating_sub(step * ct.shape()[2])]);
    let mean = |at: usize| ((0..=steps).map(|step| seen(at, step)).sum::<i32>() / (steps as i32 + 1)) as i16;
    Volume::new(ct.geometry().clone(), (0..ct.data().len()).map(mean).collect()).unwrap()
}

/// The same numbers in reverse along these axes, as if their directions were written down wrongly.
fn mirrored(ct: &Volume<i16>, axes: &[usize]) -> Volume<i16> {
    let mut order = AxisOrder::IDENTITY;
    axes.iter().for_each(|axis| order.0[*axis].1 = true);
    Volume::new(ct.geometry().clone(), ct.reordered(order).into_data()).unwrap()
}

#[test]
fn plain_scans_pass() {
    for (variant, disease) in [
        (Variant::Standard, Disease::Healthy),
        (Variant::Standard, Disease::LobarPneumonia),
        (Variant::Oblique, Disease::Covid),
        (Variant::LeftHanded, Disease::Covid),
        (Variant::TiltedGantry, Disease::Covid),
        (Variant::ThickSlices, Disease::Covid),
    ] {
        let ct = scanned(&Anatomy::new(1, disease), variant);
        assert_eq!(codes(&ct), [""; 0], "{} {}", variant.name(), disease.name());
    }
    let ct = scanned(&Anatomy::new(2, Disease::Covid), Variant::Standard);
    for (from, to) in [(0.0, 1.0), (0.0, 0.6), (0.4, 1.0), (0.25, 0.75)] {
        assert_eq!(codes(&part(&ct, from, to)), [""; 0], "{from} to {to} of the chest");
    }
    assert_eq!(codes(&painted(&ct, |_, _, _| 20.0)), [""; 0], "a little too dense");
}

#[test]
fn spoilt_scans_are_told() {
    let ct = scanned(&Anatomy::new(1, Disease::Covid), Variant::Standard);
    let whole = |ct: &Volume<i16>, axes: &[usize]| codes(&mirrored(ct, axes));
    assert_eq!(codes(&smooth(&ct, 5.0)), ["blurred-images!"]);
    assert_eq!(codes(&smooth(&ct, 1.5)), ["blurred-images"]);
    assert_eq!(codes(&smeared(&ct, 15.0)), ["blurred-images!"]);
    assert!(codes(&sharp(&ct, 2.0)).contains(&"sharpened-images!".to_string()), "{:?}", codes(&sharp(&ct, 2.0)));
    assert!(codes(&rings(&ct, 250.0)).contains(&"ring-artefacts!".to_string()), "{:?}", codes(&rings(&ct, 250.0)));
    assert!(codes(&streaks(&ct)).contains(&"streak-artefacts!".to_string()), "{:?}", codes(&streaks(&ct)));
    for (axes, expected) in [
        (&[1][..], "orientation-implausible!"),
        (&[0], "orientation-implausible!"),
        (&[0, 1], "orientation-implausible!"),
        (&[1, 2], "orientation-implausible!"),
        (&[2], "orientation-implausible"),
    ] {
        assert_eq!(whole(&ct, axes), [expected], "axes {axes:?} exchanged");
    }
}

#[test]
fn landmarks_must_agree() {
    let usual = Landmarks {
        bone_behind_mm: 200.0,
        bone_in_front_mm: 0.0,
        airways_above_mm: Some(60.0),
        base_bulge_mm: 10.0,
        apex_bulge_mm: 50.0,
        heart_to_left_mm: Some(20.0),
        aorta_to_left_mm: Some(8.0),
        liver_to_right: Some(0.2),
    };
    let mirror =
        Landmarks { heart_to_left_mm: Some(-20.0), aorta_to_left_mm: Some(-8.0), liver_to_right: Some(-0.2), ..usual };
    let upside_down = Landmarks { airways_above_mm: Some(-60.0), base_bulge_mm: -50.0, apex_bulge_mm: -10.0, ..usual };
    let cases = [
        ("as usual", usual, true, None),
        (
            "spine in front",
            Landmarks { bone_behind_mm: 0.0, bone_in_front_mm: 200.0, ..usual },
            true,
            Some(Severity::Severe),
        ),
        ("dense vessels in front too", Landmarks { bone_in_front_mm: 100.0, ..usual }, true, None),
        ("a short stretch", Landmarks { bone_behind_mm: 0.0, bone_in_front_mm: 40.0, ..usual }, true, None),
        ("upside down", upside_down, true, Some(Severity::Severe)),
        ("only the airways", Landmarks { airways_above_mm: Some(-60.0), ..usual }, true, None),
        ("no airways", Landmarks { airways_above_mm: None, ..upside_down }, true, None),
        ("sides exchanged", mirror, true, Some(Severity::Warning)),
        ("sides exchanged, lungs cut", mirror, false, None),
        ("liver as usual", Landmarks { liver_to_right: Some(0.1), ..mirror }, true, None),
        ("liver not in the scan", Landmarks { liver_to_right: None, ..mirror }, true, None),
        ("nothing seen", Landmarks::default(), true, None),
    ];
    for (name, landmarks, lungs_whole, expected) in cases {
        assert_eq!(landmarks.orientation_note(lungs_whole).map(|note| note.severity), expected, "{name}");
    }
}

#[test]
fn limits_and_words() {
    let edges = |blur_mm, dip_hu| ImageMeasures { edges: Some(Edges { blur_mm, dip_hu }), ..ImageMeasures::default() };
    let measures = ImageMeasures::default;
    let cases = [
        (measures(), None),
        (edges([0.6, 0.7], 10.0), None),
        (edges([1.6, 1.2], 10.0), Some(("blurred-images", Severity::Warning, "very soft kernel"))),
        (edges([3.0, 3.0], 10.0), Some(("blurred-images", Severity::Severe, "very soft kernel"))),
        (edges([0.7, 8.0], 10.0), Some(("blurred-images", Severity::Severe, "along one direction"))),
        (edges([0.3, 0.3], 70.0), Some(("sharpened-images", Severity::Warning, "dips by 70 HU"))),
        (edges([0.3, 0.3], 150.0), Some(("sharpened-images", Severity::Severe, "dips by 150 HU"))),
        (ImageMeasures { rings: Some(0.01), thin_tissue: Some(0.002), ..measures() }, None),
        (ImageMeasures { rings: Some(0.5), ..measures() }, Some(("ring-artefacts", Severity::Severe, "50 %"))),
        (ImageMeasures { thin_tissue: Some(0.04), ..measures() }, Some(("streak-artefacts", Severity::Warning, "4 %"))),
    ];
    for (measures, expected) in cases {
        let notes = measures.notes();
        assert_eq!(notes.len(), usize::from(expected.is_some()), "{measures:?}");
        if let Some((code, severity, words)) = expected {
            assert_eq!((notes[0].code.as_str(), notes[0].severity), (code, severity), "{measures:?}");
            assert!(notes[0].text.contains(words), "{}", notes[0].text);
        }
    }
}
