//! Faces are blanked on every grid, brains never; and what cannot be blanked is left out.

use dicom_core::{PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileDicomObject, InMemDicomObject};
use hilum_dicom::{
    DeidentificationKey, DeidentificationReport, Deidentified, DeidentifyOptions, Limits, PixelCoding, ProfileOption,
    Undefaceable, deidentify, reidentify,
};
use hilum_volume::{Geometry, PatientPoint};

use crate::head_phantom::{Part, Pose, description, grid, head};
use crate::support::{File, files, series, source, with, without};

const AXIAL: [[f64; 3]; 3] = [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]];

fn run(
    files: &[File],
    options: &DeidentifyOptions,
    key: &mut DeidentificationKey,
) -> (Vec<Deidentified>, DeidentificationReport) {
    let mut out = Vec::new();
    let report = deidentify(&source(files), &Limits::default(), options, key, &mut |file| {
        out.push(file);
        Ok(())
    });
    (out, report.unwrap())
}

fn deface() -> DeidentifyOptions {
    DeidentifyOptions { deface: true, ..DeidentifyOptions::default() }
}

fn key() -> DeidentificationKey {
    DeidentificationKey::new([42; 32])
}

fn read(bytes: &[u8]) -> FileDicomObject<InMemDicomObject> {
    dicom_object::from_reader(bytes).unwrap()
}

fn text(object: &InMemDicomObject, tag: Tag) -> String {
    object.element(tag).unwrap().to_str().unwrap().trim_matches([' ', '\0']).to_owned()
}

fn pixels(object: &InMemDicomObject) -> Vec<u16> {
    object.element(tags::PIXEL_DATA).unwrap().to_multi_int().unwrap()
}

/// What became of the parts of a head.
#[derive(Debug, Default)]
struct Outcome {
    brain: usize,
    vault: usize,
    brain_changed: usize,
    vault_changed: usize,
    face: usize,
    face_blanked: usize,
    /// Changed to something else than air, anywhere.
    wrong: usize,
}

impl Outcome {
    fn face_share(&self) -> f64 {
        self.face_blanked as f64 / self.face as f64
    }
}

/// Holds every pixel of the defaced images against the phantom, each image at the place that it says itself.
fn outcome(originals: &[File], made: &[Deidentified], geometry: &Geometry, pose: &Pose, air: u16) -> Outcome {
    assert_eq!(originals.len(), made.len());
    let mut outcome = Outcome::default();
    for file in made {
        let object = read(&file.bytes);
        let position = object.element(tags::IMAGE_POSITION_PATIENT).unwrap().to_multi_float64().unwrap();
        let slice = geometry.voxel_from_patient(PatientPoint([position[0], position[1], position[2]])).0[0];
        let before = pixels(&read(&originals[slice.round() as usize]));
        let columns = geometry.shape()[2];
        for (n, (old, new)) in before.iter().zip(pixels(&object)).enumerate() {
            let point = geometry.centre_of([slice.round() as usize, n / columns, n % columns]);
            let part = pose.part(point);
            outcome.brain += usize::from(part == Part::Brain);
            outcome.vault += usize::from(part == Part::Vault);
            outcome.brain_changed += usize::from(part == Part::Brain && *old != new);
            outcome.vault_changed += usize::from(part == Part::Vault && *old != new);
            outcome.wrong += usize::from(*old != new && new != air);
            // Its surface: air lies 8 mm before it.
            let before = PatientPoint([point.0[0], point.0[1] - 8.0, point.0[2]]);
            if part.is_face() && pose.part(before) == Part::Air {
                outcome.face += 1;
                outcome.face_blanked += usize::from(new == air);
            }
        }
    }
    outcome
}

#[test]
fn faces_go_and_brains_stay_on_every_grid() {
    let oblique = [[-2.0, 3.0, 6.0], [3.0, 6.0, -2.0], [6.0, -2.0, 3.0]];
    let tilted = [[0.0, 0.2588190451, 0.9659258263], AXIAL[1], AXIAL[2]];
    let coronal = [[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]];
    let sagittal = [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]];
    let cases = [
        ("axial", "CT", AXIAL, [3.0, 2.0, 2.0]),
        ("axial, 5 mm", "CT", AXIAL, [5.0, 1.5, 1.5]),
        ("feet last", "CT", [[0.0, 0.0, -1.0], AXIAL[1], AXIAL[2]], [3.0, 2.0, 2.5]),
        ("oblique", "CT", oblique, [3.0, 2.5, 2.0]),
        ("left-handed", "CT", [AXIAL[0], AXIAL[1], [-1.0, 0.0, 0.0]], [3.0, 2.0, 2.0]),
        ("tilted gantry", "CT", tilted, [3.0, 2.0, 2.0]),
        ("sagittal", "MR", sagittal, [2.0, 2.0, 2.0]),
        ("coronal", "MR", coronal, [4.0, 2.0, 2.0]),
        ("axial", "MR", AXIAL, [5.0, 2.0, 2.0]),
        ("oblique", "MR", oblique, [3.0, 2.5, 2.0]),
    ];
    for (name, modality, axes, spacing_mm) in cases {
        let geometry = grid(axes, spacing_mm);
        let originals = files(&head(geometry.clone(), &Pose::default(), modality), &description(modality));
        let (made, report) = run(&originals, &deface(), &mut key());
        assert_eq!(report.defaced, originals.len(), "{name} {modality}: {:?}", report.left_out);
        let air = if modality == "MR" { 0 } else { 24 };
        let outcome = outcome(&originals, &made, &geometry, &Pose::default(), air);
        println!("{name} {modality}: {:.4} of {} face voxels, {outcome:?}", outcome.face_share(), outcome.face);
        assert!(outcome.brain > 50_000 && outcome.vault > 8_000, "{name} {modality}: {outcome:?}");
        assert_eq!((outcome.brain_changed, outcome.vault_changed, outcome.wrong), (0, 0, 0), "{name} {modality}");
        assert!(outcome.face > 500 && outcome.face_share() > 0.97, "{name} {modality}: {outcome:?}");
    }
}

#[test]
fn a_head_that_is_bent_or_turned_is_defaced_rightly_or_left_out() {
    let geometry = grid(AXIAL, [4.0, 3.0, 3.0]);
    let poses = (-5..=5).flat_map(|n| {
        let degrees = 8.0 * f64::from(n);
        let middle = [12.0, -7.0, 4.0].map(|mm| mm * f64::from(n) / 5.0);
        [
            Pose { bent: degrees, middle, ..Pose::default() },
            Pose { turned: degrees, middle, ..Pose::default() },
            Pose { leant: degrees, middle, ..Pose::default() },
        ]
    });
    let (mut defaced, mut left_out) = (0, 0);
    for pose in poses {
        let originals = files(&head(geometry.clone(), &pose, "CT"), &description("CT"));
        let (made, report) = run(&originals, &deface(), &mut key());
        if made.is_empty() {
            println!("{pose:?}: {:?}", report.left_out);
            left_out += 1;
            let farthest = [pose.bent, pose.turned, pose.leant].map(f64::abs).into_iter().fold(0.0, f64::max);
            assert!(farthest >= 8.0, "{pose:?}: {:?}", report.left_out);
            continue;
        }
        defaced += 1;
        let outcome = outcome(&originals, &made, &geometry, &pose, 24);
        println!("{pose:?}: {:.4} {outcome:?}", outcome.face_share());
        assert_eq!((outcome.brain_changed, outcome.wrong), (0, 0), "{pose:?}");
        // Of a head that leans, the rim above one eye comes as low as the eyes.
        assert!(outcome.vault_changed * 1000 <= outcome.vault, "{pose:?}: {outcome:?}");
        assert!(outcome.face_share() > 0.97, "{pose:?}: {outcome:?}");
    }
    assert!(defaced >= 7 && left_out >= 15, "{defaced} defaced, {left_out} left out");
}

/// A small series of a head: 4 mm everywhere.
fn small(modality: &str) -> Vec<File> {
    files(&head(grid(AXIAL, [4.0; 3]), &Pose::default(), modality), &description(modality))
}

#[test]
fn defaced_images_say_so_and_do_not_come_back() {
    let mut originals = small("CT");
    originals = originals.iter().map(|file| with(file, tags::SMALLEST_IMAGE_PIXEL_VALUE, VR::US, 3u16)).collect();
    let mut kept = key();
    let (made, report) = run(&originals, &deface(), &mut kept);
    assert_eq!((made.len(), report.defaced, report.left_out.len()), (originals.len(), originals.len(), 0));
    assert!(report.warnings[0].starts_with("Faces were blanked"));
    for file in &made {
        let object = read(&file.bytes);
        assert_eq!(object.meta().transfer_syntax(), "1.2.840.10008.1.2.1");
        assert_eq!(text(&object, tags::IMAGE_TYPE), "DERIVED\\PRIMARY\\AXIAL");
        assert_eq!(text(&object, tags::RECOGNIZABLE_VISUAL_FEATURES), "NO");
        assert!(text(&object, tags::DERIVATION_DESCRIPTION).starts_with("Face blanked with air by Hilum"));
        assert!(object.get(tags::SMALLEST_IMAGE_PIXEL_VALUE).is_none());
        assert_eq!(text(&object, tags::RESCALE_INTERCEPT), "-1024");
        let codes = object.element(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE).unwrap().items().unwrap();
        let codes: Vec<String> = codes.iter().map(|code| text(code, tags::CODE_VALUE)).collect();
        assert_eq!(codes, ["113100", "113102"]);
        let refused = reidentify(&file.bytes, &kept, &Limits::default()).unwrap_err().to_string();
        assert!(refused.contains("face was blanked"), "{refused}");
    }
    assert_eq!(kept.instances(), 0, "none can be brought back");
    let again = DeidentificationKey::from_json(&kept.to_json()).unwrap();
    assert!(reidentify(&made[0].bytes, &again, &Limits::default()).is_err());
    assert_eq!(run(&originals, &deface(), &mut key()).0, made, "equal runs give equal bytes");

    // The same key, another run: whole images come back, the defaced ones of before do not become originals.
    let faces = DeidentifyOptions { keep_faces: true, ..DeidentifyOptions::default() };
    let (whole, report) = run(&originals, &faces, &mut kept);
    assert_eq!(report.defaced, 0);
    assert!(reidentify(&whole[0].bytes, &kept, &Limits::default()).is_ok());
    assert!(reidentify(&made[0].bytes, &kept, &Limits::default()).is_err());
}

#[test]
fn air_is_written_in_the_numbers_of_the_images() {
    let volume = head(grid(AXIAL, [4.0; 3]), &Pose::default(), "CT");
    let ct = description("CT");
    let cases = [
        (
            hilum_dicom::CtSeriesDescription { coding: PixelCoding::Signed16, rescale_intercept: 0.0, ..ct.clone() },
            -1000i16,
        ),
        (hilum_dicom::CtSeriesDescription { rescale_slope: 2.0, rescale_intercept: -2000.0, ..ct.clone() }, 500),
        (hilum_dicom::CtSeriesDescription { coding: PixelCoding::Unsigned16, rescale_intercept: -1000.0, ..ct }, 0),
    ];
    for (described, air) in cases {
        let originals = files(&volume, &described);
        let (made, report) = run(&originals, &deface(), &mut key());
        assert_eq!(report.defaced, originals.len(), "{:?}", report.left_out);
        let outcome = outcome(&originals, &made, volume.geometry(), &Pose::default(), air as u16);
        assert_eq!((outcome.brain_changed, outcome.wrong), (0, 0), "{air}");
        assert!(outcome.face_share() > 0.95, "{air}: {outcome:?}");
    }
    // MR with negative numbers: its lowest.
    let mr = head(grid(AXIAL, [4.0; 3]), &Pose::default(), "MR").map(|signal| signal - 40);
    let described = hilum_dicom::CtSeriesDescription { coding: PixelCoding::Signed16, ..description("MR") };
    let originals = files(&mr, &described);
    let (made, _) = run(&originals, &deface(), &mut key());
    let lowest = *mr.data().iter().min().unwrap();
    let outcome = outcome(&originals, &made, mr.geometry(), &Pose::default(), lowest as u16);
    assert_eq!((outcome.brain_changed, outcome.wrong), (0, 0));
    assert!(outcome.face_share() > 0.95, "{outcome:?}");
}

#[test]
fn what_cannot_be_defaced_is_left_out_with_its_reason() {
    let whole = small("CT");
    let volume = head(grid(AXIAL, [4.0; 3]), &Pose::default(), "CT");
    let [slices, rows, columns] = volume.shape();
    let part = |start: [usize; 3], shape: [usize; 3]| files(&volume.crop(start, shape).unwrap(), &description("CT"));
    let all = |tag, vr, value: &str| whole.iter().map(|file| with(file, tag, vr, value)).collect::<Vec<_>>();
    let missing = whole.iter().enumerate().filter(|(n, _)| *n != 30).map(|(_, file)| file.clone()).collect();
    let mut twice = whole.clone();
    twice.push(with(&whole[30], tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.4"));
    let enhanced = "1.2.840.10008.5.1.4.1.1.2.1";
    let localiser = PrimitiveValue::Strs(["ORIGINAL", "PRIMARY", "LOCALIZER"].map(str::to_owned).as_slice().into());
    let pet: Vec<File> = all(tags::MODALITY, VR::CS, "PT");
    let ball = volume.map(|_| 0).geometry().clone();
    let mut no_head = hilum_volume::Volume::filled(ball, -1000i16);
    no_head.data_mut()[..5000].fill(0);
    // The grid reaches from z = −160: the nose is at −52, the vertex at 90.
    let cases: [(&str, Vec<File>, Undefaceable); 14] = [
        ("one slice", whole[30..31].to_vec(), Undefaceable::OneSlice),
        ("slice missing", missing, Undefaceable::NoGrid),
        ("two images at one place", twice, Undefaceable::NoGrid),
        ("no vertex", part([0, 0, 0], [slices - 14, rows, columns]), Undefaceable::HeadCut),
        ("upper head alone", part([45, 0, 0], [slices - 45, rows, columns]), Undefaceable::HeadCut),
        ("from the eyes up", part([36, 0, 0], [slices - 36, rows, columns]), Undefaceable::FaceCut),
        ("tip of the nose cut", part([0, 10, 0], [slices, rows - 10, columns]), Undefaceable::FaceCut),
        ("occiput cut", part([0, 0, 0], [slices, rows - 12, columns]), Undefaceable::HeadCut),
        ("inverted grey", all(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1"), Undefaceable::Photometric),
        ("PET", pet, Undefaceable::Kind),
        ("enhanced", all(tags::SOP_CLASS_UID, VR::UI, enhanced), Undefaceable::Kind),
        (
            "localisers",
            whole.iter().map(|f| with(f, tags::IMAGE_TYPE, VR::CS, localiser.clone())).collect(),
            Undefaceable::Localiser,
        ),
        ("no place", whole.iter().map(|f| without(f, tags::IMAGE_POSITION_PATIENT)).collect(), Undefaceable::NoPlace),
        ("no head", files(&no_head, &description("CT")), Undefaceable::HeadCut),
    ];
    for (name, files, reason) in cases {
        let (made, report) = run(&files, &deface(), &mut key());
        assert_eq!(made.len(), 0, "{name}");
        let reasons: Vec<&String> = report.left_out.keys().collect();
        assert!(reasons.len() == 1 && reasons[0].ends_with(&reason.to_string()), "{name}: {reasons:?}");
    }
    // A localiser among the slices stays behind alone.
    let mut mixed = whole.clone();
    let scout = with(&whole[0], tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.5");
    mixed.push(with(&scout, tags::IMAGE_TYPE, VR::CS, localiser));
    let (made, report) = run(&mixed, &deface(), &mut key());
    assert_eq!((made.len(), report.left_out.len()), (whole.len(), 1), "{:?}", report.left_out);
    // Without the flag heads stay out as a whole; with what contradicts it nothing is done.
    let (made, report) = run(&whole, &DeidentifyOptions::default(), &mut key());
    assert!(made.is_empty() && report.left_out.values().sum::<usize>() == whole.len());
    let contradictions = [
        DeidentifyOptions { keep_faces: true, ..deface() },
        DeidentifyOptions { profile: vec![ProfileOption::RetainUids], ..deface() },
    ];
    for options in contradictions {
        let refused =
            deidentify(&source(&whole), &Limits::default(), &options, &mut key(), &mut |_| panic!("given out"));
        assert!(refused.is_err());
    }
}

#[test]
fn other_series_are_untouched_and_not_called_defaced() {
    let chest = series();
    let plain = run(&chest, &DeidentifyOptions::default(), &mut key());
    let defaced = run(&chest, &deface(), &mut key());
    assert_eq!(plain.0, defaced.0);
    assert_eq!(defaced.1.defaced, 0);
    // Beside a head, too; and one that says itself that somebody can be recognised is a head.
    let mut both = small("CT");
    let heads = both.len();
    both.extend(chest.iter().cloned());
    let (made, report) = run(&both, &deface(), &mut key());
    assert_eq!((report.defaced, made.len()), (heads, heads + chest.len()));
    for file in &made {
        let is_head = read(&file.bytes).get(tags::RECOGNIZABLE_VISUAL_FEATURES).is_some();
        assert_eq!(is_head, !plain.0.contains(file));
    }
    let says_so = with(&chest[0], tags::RECOGNIZABLE_VISUAL_FEATURES, VR::CS, "YES");
    assert!(run(std::slice::from_ref(&says_so), &DeidentifyOptions::default(), &mut key()).0.is_empty());
    assert!(run(&[says_so], &deface(), &mut key()).0.is_empty());
}
