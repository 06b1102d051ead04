//! Each flaw: noted with what was done about it, or refused with a sentence.

use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use hilum_dicom::{CtSeriesDescription, Note, NoteKind, Refusal, Severity, ct_images};
use hilum_volume::{AxisOrder, Geometry, PatientPoint};

use crate::support::{File, axial, codes, edited, files, loaded, ramp, series, with, without};

fn text(values: &[&str]) -> PrimitiveValue {
    PrimitiveValue::Strs(values.iter().map(|v| (*v).to_owned()).collect())
}

fn each(files: &[File], change: impl Fn(&File) -> File) -> Vec<File> {
    files.iter().map(change).collect()
}

/// A hundred slices of 1 mm, so that shares of missing ones can be tried.
fn long() -> Vec<File> {
    let geometry = Geometry::axial([100, 4, 5], PatientPoint([0.0; 3]), [1.0, 0.7, 0.6]).unwrap();
    files(&ramp(geometry), &CtSeriesDescription::default())
}

fn dropped(mut files: Vec<File>, gone: impl Fn(usize) -> bool) -> Vec<File> {
    let mut index = 0;
    files.retain(|_| {
        index += 1;
        !gone(index - 1)
    });
    files
}

fn moved(file: &File, by: [f64; 3]) -> File {
    edited(file, |object| {
        let at = object.element(tags::IMAGE_POSITION_PATIENT).unwrap().to_multi_float64().unwrap();
        let at: Vec<String> = at.iter().zip(by).map(|(a, b)| format!("{:.4}", a + b)).collect();
        object.put(dicom_core::DataElement::new(tags::IMAGE_POSITION_PATIENT, VR::DS, PrimitiveValue::Strs(at.into())));
    })
}

fn renamed(file: &File, uid: &str) -> File {
    edited(file, |object| {
        object.put(dicom_core::DataElement::new(tags::SOP_INSTANCE_UID, VR::UI, PrimitiveValue::from(uid)));
    })
}

#[test]
fn flaws_are_worked_around_and_noted() {
    struct Case {
        name: &'static str,
        files: Vec<File>,
        notes: Vec<NoteKind>,
        slices: usize,
    }
    let good = series();
    let sagittal = files(
        &ramp(axial()).reordered(AxisOrder([(2, false), (0, false), (1, false)])),
        &CtSeriesDescription { seed: "other".into(), series_uid: Some("2.25.7".into()), ..Default::default() },
    );
    let localiser = with(&sagittal[0], tags::IMAGE_TYPE, VR::CS, text(&["ORIGINAL", "PRIMARY", "LOCALIZER"]));
    let same_series = |file: &File| with(file, tags::SERIES_INSTANCE_UID, VR::UI, uid_of(&good[0]).as_str());
    let added = |more: Vec<File>| good.iter().cloned().chain(more).collect::<Vec<_>>();
    let shifted_rescale = edited(&good[5], |object| {
        object.put(dicom_core::DataElement::new(tags::RESCALE_INTERCEPT, VR::DS, PrimitiveValue::from("-1000")));
    });
    let cases = [
        Case { name: "nothing wrong", files: good.clone(), notes: vec![], slices: 12 },
        Case {
            name: "one of 12 missing",
            files: dropped(good.clone(), |n| n == 4),
            notes: vec![NoteKind::MissingSlice { after_index: 3, count: 1 }],
            slices: 12,
        },
        Case {
            name: "nine of 100 missing, three of them in a row",
            files: dropped(long(), |n| [5, 20, 21, 22, 40, 60, 61, 80, 90].contains(&n)),
            notes: vec![
                NoteKind::MissingSlice { after_index: 4, count: 1 },
                NoteKind::MissingSlice { after_index: 19, count: 3 },
                NoteKind::MissingSlice { after_index: 39, count: 1 },
                NoteKind::MissingSlice { after_index: 59, count: 2 },
                NoteKind::MissingSlice { after_index: 79, count: 1 },
                NoteKind::MissingSlice { after_index: 89, count: 1 },
            ],
            slices: 100,
        },
        Case {
            name: "a file copied",
            files: added(vec![good[3].clone()]),
            notes: vec![NoteKind::DuplicateSlice { count: 1, identical: true }],
            slices: 12,
        },
        Case {
            name: "the same pixels under another UID",
            files: added(vec![renamed(&good[3], "2.25.99")]),
            notes: vec![NoteKind::DuplicateSlice { count: 1, identical: true }],
            slices: 12,
        },
        Case {
            name: "one position with other pixels",
            files: added(vec![moved(&renamed(&good[4], "2.25.99"), [0.0, 0.0, -2.0])]),
            notes: vec![NoteKind::DuplicateSlice { count: 1, identical: false }],
            slices: 12,
        },
        Case {
            name: "one slice 3 % off",
            files: good
                .iter()
                .enumerate()
                .map(|(n, f)| if n == 6 { moved(f, [0.0, 0.0, 0.06]) } else { f.clone() })
                .collect(),
            notes: vec![NoteKind::UnevenSpacing { percent: 3.0 }],
            slices: 12,
        },
        Case {
            name: "a localiser among the slices",
            files: added(vec![same_series(&localiser)]),
            notes: vec![NoteKind::LocaliserSkipped { count: 1 }],
            slices: 12,
        },
        Case {
            name: "a dose report without a place",
            files: added(vec![without(&renamed(&good[2], "2.25.98"), tags::IMAGE_POSITION_PATIENT)]),
            notes: vec![NoteKind::UnfitImageSkipped { count: 1 }],
            slices: 12,
        },
        Case {
            name: "a screenshot",
            files: added(vec![with(
                &renamed(&good[2], "2.25.98"),
                tags::SOP_CLASS_UID,
                VR::UI,
                uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
            )]),
            notes: vec![NoteKind::UnfitImageSkipped { count: 1 }],
            slices: 12,
        },
        Case {
            name: "a stray image of another orientation",
            files: added(vec![same_series(&sagittal[1])]),
            notes: vec![NoteKind::MixedOrientation { count: 1 }],
            slices: 12,
        },
        Case {
            name: "one slice with another rescaling",
            files: good
                .iter()
                .enumerate()
                .map(|(n, f)| if n == 5 { shifted_rescale.clone() } else { f.clone() })
                .collect(),
            notes: vec![NoteKind::InconsistentRescale],
            slices: 12,
        },
        Case {
            name: "a frame of reference per slice",
            files: good
                .iter()
                .enumerate()
                .map(|(n, f)| with(f, tags::FRAME_OF_REFERENCE_UID, VR::UI, format!("2.25.8{n}").as_str()))
                .collect(),
            notes: vec![NoteKind::InconsistentFrameOfReference { count: 12 }],
            slices: 12,
        },
        Case {
            name: "instance UIDs all the same",
            files: each(&good, |f| renamed(f, "2.25.5")),
            notes: vec![NoteKind::RepeatedInstanceUid],
            slices: 12,
        },
        Case {
            name: "thick slices",
            files: each(&good, |f| with(f, tags::SLICE_THICKNESS, VR::DS, "8")),
            notes: vec![NoteKind::ThickSlices { mm: 8.0 }],
            slices: 12,
        },
        Case {
            name: "thin slices far apart",
            files: each(&good, |f| with(f, tags::SLICE_THICKNESS, VR::DS, "1")),
            notes: vec![NoteKind::Gaps { thickness_mm: 1.0, spacing_mm: 2.0 }],
            slices: 12,
        },
        Case {
            name: "a slice cut within its pixels",
            files: good
                .iter()
                .enumerate()
                .map(|(n, f)| if n == 5 { f[..f.len() - 20].to_vec() } else { f.clone() })
                .collect(),
            notes: vec![NoteKind::UnreadableFile { count: 1 }, NoteKind::MissingSlice { after_index: 4, count: 1 }],
            slices: 12,
        },
        Case {
            name: "padding that stands for water",
            files: each(&good, |f| with(f, tags::PIXEL_PADDING_VALUE, VR::US, PrimitiveValue::from(1024u16))),
            notes: vec![NoteKind::PaddingIgnored],
            slices: 12,
        },
        Case {
            name: "units unspecified, as GDCM writes them",
            files: each(&good, |f| with(f, tags::RESCALE_TYPE, VR::LO, "US")),
            notes: vec![NoteKind::UnstatedUnits],
            slices: 12,
        },
        Case {
            name: "lossy compression in the past",
            files: each(&good, |f| with(f, tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "01")),
            notes: vec![NoteKind::LossyCompression],
            slices: 12,
        },
        Case {
            name: "instance numbers, times and locations that lie",
            files: each(&good, |f| {
                let f = with(f, tags::INSTANCE_NUMBER, VR::IS, "1");
                with(&f, tags::SLICE_LOCATION, VR::DS, "17")
            }),
            notes: vec![],
            slices: 12,
        },
    ];
    for case in cases {
        let series = loaded(&case.files).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let kinds: Vec<_> = series.notes.iter().map(|n| n.kind.clone()).collect();
        assert_eq!(kinds.len(), case.notes.len(), "{}: {kinds:?}", case.name);
        for (kind, expected) in kinds.iter().zip(&case.notes) {
            match (kind, expected) {
                (NoteKind::UnevenSpacing { percent: a }, NoteKind::UnevenSpacing { percent: b }) => {
                    assert!((a - b).abs() < 0.1, "{}: {a} %", case.name);
                }
                _ => assert_eq!(kind, expected, "{}", case.name),
            }
        }
        assert_eq!(series.volume.shape()[0], case.slices, "{}", case.name);
        let mut backwards = case.files.clone();
        backwards.reverse();
        assert_eq!(loaded(&backwards).unwrap(), series, "{}: file order matters", case.name);
    }
}

fn uid_of(file: &File) -> String {
    let object = dicom_object::from_reader(&file[..]).unwrap();
    object.element(tags::SERIES_INSTANCE_UID).unwrap().to_str().unwrap().trim_end_matches('\0').to_owned()
}

#[test]
fn missing_slices_are_interpolated_and_have_no_instance() {
    let whole = ramp(axial());
    let series = loaded(&dropped(series(), |n| n == 4 || n == 0)).unwrap();
    // The first slice is not known to be missing: the series just starts later.
    assert_eq!(series.volume.shape()[0], 11);
    let instances: Vec<_> = series.instances.iter().map(|i| i.slice_index).collect();
    assert_eq!(instances, [0, 1, 2, 4, 5, 6, 7, 8, 9, 10]);
    for (n, hu) in series.volume.slice(3).iter().enumerate() {
        let mean = (f32::from(whole.slice(3)[n]) + f32::from(whole.slice(5)[n])) / 2.0;
        assert!((f32::from(*hu) - mean).abs() <= 0.5, "voxel {n}: {hu} is not {mean}");
    }
    assert_eq!(series.volume.slice(4), whole.slice(5));
}

#[test]
fn padding_becomes_air_and_nothing_else_changes() {
    let mut volume = ramp(axial());
    volume.data_mut()[..10].fill(-2000);
    let description = CtSeriesDescription {
        coding: hilum_dicom::PixelCoding::Signed16,
        rescale_intercept: 0.0,
        ..Default::default()
    };
    let files = files(&volume, &description);
    let padded = each(&files, |f| with(f, tags::PIXEL_PADDING_VALUE, VR::SS, PrimitiveValue::from(-2000i16)));
    let series = loaded(&padded).unwrap();
    assert!(series.volume.data()[..10].iter().all(|hu| *hu == -1024));
    assert_eq!(series.volume.data()[10..], volume.data()[10..]);
    assert_eq!(loaded(&files).unwrap().volume.data(), volume.data(), "without padding the values stay");
}

#[test]
fn rescaling_is_per_slice() {
    let good = series();
    let other = with(&good[5], tags::RESCALE_INTERCEPT, VR::DS, "-1000");
    let changed: Vec<_> =
        good.iter().enumerate().map(|(n, f)| if n == 5 { other.clone() } else { f.clone() }).collect();
    let (before, after) = (loaded(&good).unwrap().volume, loaded(&changed).unwrap().volume);
    assert!(before.slice(5).iter().zip(after.slice(5)).all(|(a, b)| a + 24 == *b));
    assert_eq!(before.slice(4), after.slice(4));
}

#[test]
fn refusals_say_why_in_one_sentence() {
    struct Case {
        name: &'static str,
        files: Vec<File>,
        message: &'static str,
    }
    let good = series();
    let all = |tag, vr, value: PrimitiveValue| each(&good, |f| with(f, tag, vr, value.clone()));
    let grey = ramp(axial()).map(|hu| (hu + 1000) / 10);
    let half: Vec<File> = good
        .iter()
        .enumerate()
        .map(|(n, f)| {
            if n % 2 == 0 {
                f.clone()
            } else {
                with(f, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, text(&["1", "0", "0", "0", "0", "-1"]))
            }
        })
        .collect();
    let second_patient: Vec<File> = files(
        &ramp(axial()),
        &CtSeriesDescription { seed: "b".into(), patient_id: "OTHER".into(), ..Default::default() },
    );
    let spread = |n: usize| if n > 6 { [0.0, 0.0, 0.6 * n as f64] } else { [0.0; 3] };
    let cases = [
        Case { name: "empty", files: vec![], message: "there are no files in the input" },
        Case {
            name: "text",
            files: vec![b"Dear colleague, thank you".to_vec()],
            message: "there are no DICOM images in the input: not a DICOM file",
        },
        Case {
            name: "truncated",
            files: vec![good[0][..700].to_vec()],
            message: "there are no DICOM images in the input: the file is cut short",
        },
        Case {
            name: "all truncated in their pixels",
            files: each(&good, |f| f[..f.len() - 20].to_vec()),
            message: "there are no DICOM images in the input: the file is cut short",
        },
        Case {
            name: "one slice",
            files: vec![good[0].clone()],
            message: "the series has only one slice: a volume needs at least two",
        },
        Case { name: "MR", files: all(tags::MODALITY, VR::CS, "MR".into()), message: "the series is not CT but MR" },
        Case {
            name: "a name where the modality should be",
            files: all(tags::MODALITY, VR::CS, "DOE JOHN".into()),
            message: "the series is not CT but of unknown modality",
        },
        Case {
            name: "localisers alone",
            files: all(tags::IMAGE_TYPE, VR::CS, text(&["ORIGINAL", "PRIMARY", "LOCALIZER"])),
            message: "the series holds only localisers (scout views), no slices",
        },
        Case {
            name: "secondary capture",
            files: all(tags::SOP_CLASS_UID, VR::UI, uids::SECONDARY_CAPTURE_IMAGE_STORAGE.into()),
            message: "the images are not in Hounsfield units: they are secondary captures, pictures of the screen",
        },
        Case {
            name: "another unit",
            files: all(tags::RESCALE_TYPE, VR::LO, "Z_EFF".into()),
            message: "the images are not in Hounsfield units: they name another unit",
        },
        Case {
            name: "no rescaling",
            files: each(&good, |f| without(f, tags::RESCALE_INTERCEPT)),
            message: "the images are not in Hounsfield units: they do not say how stored numbers become HU",
        },
        Case {
            name: "windowed to grey values",
            files: files(&grey, &CtSeriesDescription::default()),
            message: "the images are not in Hounsfield units: no voxel is as dark as air, so the grey values have been changed",
        },
        Case {
            name: "eight bits",
            files: each(&good, |f| {
                let f = with(f, tags::BITS_STORED, VR::US, PrimitiveValue::from(8u16));
                with(&f, tags::HIGH_BIT, VR::US, PrimitiveValue::from(7u16))
            }),
            message: "the images are not in Hounsfield units: their grey levels are too few to reach from air to bone",
        },
        Case {
            name: "a third missing",
            files: dropped(good.clone(), |n| n % 3 == 1),
            message: "a third of the slices are missing (4 of 12)",
        },
        Case {
            name: "twelve of 100 missing",
            files: dropped(long(), |n| n % 8 == 1 && n < 96),
            message: "12 % of the slices are missing (12 of 100)",
        },
        Case {
            name: "ten in a row missing",
            files: dropped(long(), |n| (40..50).contains(&n)),
            message: "10 neighbouring slices are missing, a gap of 11 mm",
        },
        Case {
            name: "uneven",
            files: good.iter().enumerate().map(|(n, f)| moved(f, spread(n))).collect(),
            message: "the distances between slices are uneven: from 2.00 to 6.20 mm",
        },
        Case {
            name: "a slice moved sideways",
            files: good
                .iter()
                .enumerate()
                .map(|(n, f)| moved(f, [if n == 4 { 15.0 } else { 0.0 }, 0.0, 0.0]))
                .collect(),
            message: "the slices are not in one line: they are shifted sideways by up to 15.0 mm",
        },
        Case {
            name: "two orientations",
            files: half,
            message: "the series mixes images of different orientation or size (6 and 6)",
        },
        Case {
            name: "two passes in one series",
            files: good
                .iter()
                .enumerate()
                .flat_map(|(n, f)| {
                    [f.clone(), with(&renamed(f, &format!("2.25.7{n}")), tags::RESCALE_INTERCEPT, VR::DS, "-1000")]
                })
                .collect(),
            message: "12 positions were imaged more than once with different pixels: the series holds several passes",
        },
        Case {
            name: "no position",
            files: each(&good, |f| without(f, tags::IMAGE_POSITION_PATIENT)),
            message: "the images do not say where they lie in the patient",
        },
        Case {
            name: "no pixel spacing",
            files: each(&good, |f| without(f, tags::PIXEL_SPACING)),
            message: "the images do not say how large their pixels are",
        },
        Case {
            name: "an orientation that is none",
            files: all(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, text(&["1", "0", "0", "1", "0", "0"])),
            message: "the images do not say how they are turned in the patient in a way that makes sense",
        },
        Case {
            name: "two patients",
            files: good.iter().cloned().chain(second_patient).collect(),
            message: "the input holds images of 2 patients: choose one series with --series",
        },
    ];
    for case in cases {
        let refusal = loaded(&case.files).expect_err(case.name);
        assert_eq!(refusal.to_string(), case.message, "{}", case.name);
    }
}

#[test]
fn two_patients_can_be_loaded_apart() {
    let one = CtSeriesDescription::default();
    let two = CtSeriesDescription { seed: "b".into(), patient_id: "OTHER".into(), ..Default::default() };
    let volume = ramp(axial());
    let both: Vec<File> = [&one, &two].iter().flat_map(|d| files(&volume, d)).collect();
    let scan = hilum_dicom::scan(&crate::support::source(&both), &Default::default()).unwrap();
    assert_eq!((scan.patients(), scan.series().len()), (2, 2));
    assert_ne!(scan.series()[0].patient_key, scan.series()[1].patient_key);
    for summary in scan.series() {
        let series = hilum_dicom::load(&scan, &summary.series_uid, &|_| ()).unwrap();
        assert_eq!(series.volume, volume);
        assert!(!format!("{:?}{:?}", series.summary, series.notes).contains("OTHER"), "the identity must not leave");
    }
    assert_eq!(hilum_dicom::load(&scan, "2.25.404", &|_| ()).unwrap_err(), Refusal::NoSuchSeries);
}

#[test]
fn a_summary_tells_enough_to_choose_by() {
    let description = CtSeriesDescription { convolution_kernel: "B60f".into(), ..Default::default() };
    let scan =
        hilum_dicom::scan(&crate::support::source(&files(&ramp(axial()), &description)), &Default::default()).unwrap();
    let s = &scan.series()[0];
    assert_eq!((s.images, s.localisers, s.rows_columns), (12, 0, [6, 5]));
    assert_eq!(
        (s.pixel_spacing_mm, s.slice_thickness_mm, s.slice_spacing_mm),
        (Some([0.7, 0.6]), Some(2.0), Some(2.0))
    );
    assert_eq!((s.coverage_mm, s.orientation), (22.0, Some(hilum_dicom::PlaneOrientation::Axial)));
    assert_eq!((&*s.convolution_kernel, &*s.body_part_examined, &*s.modality), ("B60f", "CHEST", "CT"));
    assert_eq!((&*s.acquisition_date, &*s.manufacturer, s.contrast), ("20200101", "Hilum", false));
    assert_eq!(s.image_type, ["DERIVED", "PRIMARY", "AXIAL"]);
}

#[test]
fn notes_have_stable_codes_and_severities() {
    let note = Note::new(NoteKind::MissingSlice { after_index: 41, count: 1 });
    assert_eq!((note.code(), note.severity.as_str()), ("missing-slice", "warning"));
    assert_eq!(note.text, "1 slice is missing after slice 41: filled by interpolation between the neighbours.");
    assert!(Severity::Info < Severity::Warning && Severity::Warning < Severity::Severe);
    assert_eq!(codes(&loaded(&series()).unwrap()), [""; 0]);
}

#[test]
fn the_writer_is_deterministic_and_names_follow_slices() {
    let (volume, description) = (ramp(axial()), CtSeriesDescription::default());
    let once: Vec<_> = ct_images(&volume, &description).map(Result::unwrap).collect();
    let again: Vec<_> = ct_images(&volume, &description).map(Result::unwrap).collect();
    assert_eq!(once, again);
    let folder = tempfile::tempdir().unwrap();
    let paths = hilum_dicom::write_ct_series(&volume, &description, folder.path()).unwrap();
    assert_eq!(std::fs::read(&paths[3]).unwrap(), once[3].bytes);
    let bad = CtSeriesDescription { rescale_slope: 0.0, ..Default::default() };
    assert!(ct_images(&volume, &bad).next().unwrap().is_err());
}
