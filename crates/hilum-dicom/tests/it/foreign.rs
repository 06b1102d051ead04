//! Results that others wrote come back voxel by voxel and number by number: highdicom, dcmqi, and forms of them that
//! other programs are known to write. `tests/data/results/make.py` makes the files and says which is which.

use std::path::PathBuf;

use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use hilum_dicom::{
    AnatomicRegion, Concept, Evaluation, EvaluationValue, FindingSite, Limits, ObjectReference, Observer, Quantity,
    Refusal, Region, RegionPoints, ReportDocument, ReportedAlgorithm, ReportedGroup, ReportedMeasurement,
    SegmentationForm, SegmentationImage,
};
use hilum_volume::{AxisOrder, Geometry, PatientPoint, PatientVector, Volume};

use crate::support::{File, edited, with, without};

fn file(name: &str) -> File {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/results/{name}.dcm"));
    std::fs::read(path).unwrap()
}

/// The grid of the CT: upright, or turned by 25 degrees about (1, 2, 3) (Rodrigues).
fn grid(oblique: bool, shape: [usize; 3]) -> Geometry {
    let (sin, cos) = if oblique { 25f64.to_radians().sin_cos() } else { (0.0, 1.0) };
    let k = [1.0, 2.0, 3.0].map(|v: f64| v / 14f64.sqrt());
    let turned = |unit: usize| {
        let e = [0, 1, 2].map(|n| f64::from(u8::from(n == unit)));
        let cross = [k[1] * e[2] - k[2] * e[1], k[2] * e[0] - k[0] * e[2], k[0] * e[1] - k[1] * e[0]];
        PatientVector([0, 1, 2].map(|n| e[n] * cos + cross[n] * sin + k[n] * k[unit] * (1.0 - cos)))
    };
    let axes = [turned(2), turned(1), turned(0)];
    Geometry::new(shape, PatientPoint([-10.0, -20.0, 30.0]), axes, [2.5, 0.8, 0.7]).unwrap()
}

/// The number of every voxel, as make.py says.
fn numbers(grid: Geometry) -> Volume<u8> {
    let [slices, rows, columns] = grid.shape();
    let number = |s: usize, r: usize, c: usize| if s == 0 { 10 } else { ((7 * s + 3 * r + 5 * c + s * r) % 11) as u8 };
    let mut data = Vec::new();
    for s in 0..slices {
        for r in 0..rows {
            data.extend((0..columns).map(|c| number(s, r, c)));
        }
    }
    Volume::new(grid, data).unwrap()
}

const SMALL: [usize; 3] = [6, 7, 10];
const WIDE: [usize; 3] = [3, 32, 36];

struct Case {
    name: &'static str,
    oblique: bool,
    shape: [usize; 3],
    form: SegmentationForm,
    /// The number of the second segment, if there is one.
    second: Option<u16>,
}

const fn case(name: &'static str, form: SegmentationForm) -> Case {
    let second = match form {
        SegmentationForm::Binary | SegmentationForm::LabelMap => Some(2),
        _ => None,
    };
    Case { name, oblique: false, shape: SMALL, form, second }
}

const fn oblique(name: &'static str, form: SegmentationForm) -> Case {
    Case { oblique: true, ..case(name, form) }
}

const fn wide(name: &'static str, form: SegmentationForm) -> Case {
    Case { shape: WIDE, ..case(name, form) }
}

fn check(case: &Case) {
    let Case { name, form, .. } = *case;
    let read = SegmentationImage::read(&file(name), &Limits::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(read.form, form, "{name}");
    let numbers = numbers(grid(case.oblique, case.shape));
    let grid = numbers.geometry();
    let lung = ("39607008".to_owned(), "SCT".to_owned());
    let mass = ("4147007".to_owned(), "SCT".to_owned());
    assert_eq!(read.segments[0].property, lung, "{name}");
    assert_eq!(read.segments[0].number, 1, "{name}");
    assert_eq!(read.segments.len(), 1 + usize::from(case.second.is_some()), "{name}");
    let first = match form {
        SegmentationForm::Probability | SegmentationForm::Occupancy => {
            let share = read.fractions(1, grid).unwrap();
            // 25 v of 250 stand for v / 10.
            assert_eq!(share, numbers.map(|v| f32::from(25 * *v) / 250.0), "{name}");
            numbers.map(|v| *v >= 5)
        }
        _ => numbers.map(|v| *v < 3),
    };
    assert_eq!(read.mask(1, grid).unwrap(), first, "{name}");
    if let Some(number) = case.second {
        let from = if form == SegmentationForm::LabelMap { 3 } else { 2 };
        let second = numbers.map(|v| (from..5).contains(v));
        assert_eq!(read.mask(number, grid).unwrap(), second, "{name}");
        assert_eq!(read.fractions(number, grid).unwrap(), second.map(|m| f32::from(u8::from(*m))), "{name}");
        assert_eq!((read.segments[1].number, &read.segments[1].property), (number, &mass), "{name}");
        // On the same voxels counted in another order.
        let there = AxisOrder::all().into_iter().nth(29).unwrap();
        let turned = second.reordered(there);
        assert_eq!(read.mask(number, turned.geometry()).unwrap(), turned, "{name}");
    }
}

#[test]
fn segmentations_of_highdicom_come_back_voxel_by_voxel() {
    use SegmentationForm::{Binary, LabelMap, Occupancy, Probability};
    for case in [
        case("hd-binary", Binary),
        case("hd-binary-implicit", Binary),
        oblique("hd-binary-oblique", Binary),
        case("hd-binary-all-frames", Binary),
        wide("hd-binary-jpeg2000", Binary),
        case("hd-probability", Probability),
        case("hd-occupancy", Occupancy),
        case("hd-fractional-rle", Probability),
        case("hd-fractional-jpegls", Probability),
        wide("hd-fractional-jpeg2000", Probability),
        case("hd-labelmap", LabelMap),
        oblique("hd-labelmap-oblique", LabelMap),
        case("hd-labelmap-rle", LabelMap),
        case("hd-labelmap-jpegls", LabelMap),
        wide("hd-labelmap-jpeg2000", LabelMap),
    ] {
        check(&case);
    }
}

#[test]
fn segmentations_of_dcmqi_come_back_voxel_by_voxel() {
    use SegmentationForm::{Binary, LabelMap};
    for case in [
        case("dcmqi", Binary),
        oblique("dcmqi-oblique", Binary),
        case("dcmqi-deflated", Binary),
        case("dcmqi-all-frames", Binary),
        case("dcmqi-labelmap", LabelMap),
    ] {
        check(&case);
        let read = SegmentationImage::read(&file(case.name), &Limits::default()).unwrap();
        let right = vec![("24028007".to_owned(), "SCT".to_owned())];
        let lung = ("39607008".to_owned(), "SCT".to_owned());
        let [first, second] = &read.segments[..] else { panic!("two segments") };
        assert_eq!((&first.label[..], &second.label[..]), ("Lung", "Mass"), "{}", case.name);
        assert_eq!((&first.modifiers, &first.regions), (&right, &vec![]), "{}", case.name);
        let region = AnatomicRegion { region: lung, modifiers: right };
        assert_eq!((&second.modifiers, &second.regions), (&vec![], &vec![region]), "{}", case.name);
    }
}

#[test]
fn segmentations_in_other_forms_come_back_voxel_by_voxel() {
    use SegmentationForm::{Binary, LabelMap};
    for case in [
        case("deflated", Binary),
        case("binary-deflated-frames", Binary),
        case("labelmap-deflated-frames", LabelMap),
        case("binary-fragments", Binary),
        case("labelmap-fragments", LabelMap),
        Case { second: Some(300), ..case("labelmap-16", LabelMap) },
        case("no-sources", Binary),
    ] {
        check(&case);
    }
}

fn refusal(file: &File) -> &'static str {
    match SegmentationImage::read(file, &Limits::default()) {
        Err(Refusal::NotSegmentation(why)) => why,
        Err(Refusal::TooLarge { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_missing_or_contradicts_itself_is_said() {
    let binary = file("hd-binary");
    let packed = file("hd-fractional-rle");
    let number = |file: &File, tag, value: u16| with(file, tag, VR::US, PrimitiveValue::from(value));
    for (file, why) in [
        (file("no-spacing"), "it does not say where its frames lie"),
        (without(&binary, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE), "it does not say where its frames lie"),
        (with(&binary, tags::NUMBER_OF_FRAMES, VR::IS, "3"), "it does not say where its frames lie"),
        (without(&binary, tags::SEGMENTATION_TYPE), "it does not say what its pixels mean"),
        (with(&binary, tags::SEGMENTATION_TYPE, VR::CS, "LABELMAP"), "it does not say what its pixels mean"),
        (without(&binary, tags::SEGMENT_SEQUENCE), "a frame shows a segment that is not described"),
        (without(&binary, tags::ROWS), "it does not say its size"),
        (number(&binary, tags::ROWS, 5000), "the number of rows or columns"),
        (number(&binary, tags::ROWS, 4000), "it is cut short"),
        (number(&binary, tags::BITS_ALLOCATED, 12), "its pixels have neither 1, 8 nor 16 bits"),
        (number(&binary, tags::SAMPLES_PER_PIXEL, 3), "its pixels are coloured"),
        (
            without(&file("hd-probability"), tags::MAXIMUM_FRACTIONAL_VALUE),
            "it does not say which number stands for the whole of a pixel",
        ),
        (
            number(&file("hd-probability"), tags::MAXIMUM_FRACTIONAL_VALUE, 200),
            "a fraction exceeds the number that stands for the whole of a pixel",
        ),
        (number(&packed, tags::ROWS, 8), "a frame cannot be unpacked"),
        (number(&file("hd-labelmap-jpegls"), tags::ROWS, 8), "a frame cannot be unpacked"),
        (number(&file("hd-labelmap-jpeg2000"), tags::COLUMNS, 8), "a frame cannot be unpacked"),
        (number(&file("labelmap-deflated-frames"), tags::ROWS, 8), "a frame cannot be unpacked"),
    ] {
        assert_eq!(refusal(&file), why);
    }
    let at = packed.windows(19).position(|w| w == b"1.2.840.10008.1.2.5").unwrap();
    let mut other = packed.clone();
    other[at + 18] = b'9';
    assert_eq!(refusal(&other), "it is packed in a way that is not read");
}

#[test]
fn pixels_that_are_not_voxels_of_the_grid_are_refused() {
    let read = |file: &File| SegmentationImage::read(file, &Limits::default()).unwrap();
    let coarse =
        Geometry::new([6, 7, 10], PatientPoint([-10.0, -20.0, 30.0]), grid(false, SMALL).axes(), [2.5, 1.6, 1.4])
            .unwrap();
    assert!(read(&file("hd-binary")).mask(1, &coarse).is_err(), "half the spacing");
    let fine =
        Geometry::new([6, 14, 20], PatientPoint([-10.0, -20.0, 30.0]), grid(false, SMALL).axes(), [2.5, 0.4, 0.35])
            .unwrap();
    assert!(read(&file("hd-binary")).mask(1, &fine).is_err(), "every second voxel would be left out");
    let stretched = Geometry::new(
        [6, 9, 13],
        PatientPoint([-10.0, -20.0, 30.0]),
        grid(false, SMALL).axes(),
        // The last row and column lie on voxels again, one further than they should.
        [2.5, 0.8 * 6.0 / 7.0, 0.7 * 9.0 / 10.0],
    )
    .unwrap();
    assert!(read(&file("hd-binary")).mask(1, &stretched).is_err(), "only the corners are voxels");
    assert!(read(&file("hd-binary-oblique")).mask(1, &grid(false, SMALL)).is_err(), "another direction");
    // All pixels at one place.
    let flat = edited(&file("hd-binary"), |object| {
        object.update_value(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, |groups| {
            groups.items_mut().unwrap()[0].update_value(tags::PIXEL_MEASURES_SEQUENCE, |measures| {
                measures.items_mut().unwrap()[0].put(dicom_core::DataElement::new(
                    tags::PIXEL_SPACING,
                    VR::DS,
                    PrimitiveValue::from("0\\0"),
                ));
            });
        });
    });
    assert!(read(&flat).mask(1, &grid(false, SMALL)).is_err(), "no spacing");
}

#[test]
fn cut_and_changed_segmentations_are_survived() {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut below = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % n as u64) as usize
    };
    // Changed counts may ask for much; a test has less to give.
    let limits = Limits { max_voxels: 1 << 20, ..Limits::default() };
    let upright = grid(false, SMALL);
    let survives = |file: &[u8]| {
        if let Ok(read) = SegmentationImage::read(file, &limits) {
            for segment in &read.segments {
                let _ = read.mask(segment.number, &upright);
                let _ = read.fractions(segment.number, &upright);
            }
        }
    };
    for name in ["hd-binary", "hd-labelmap-rle", "hd-labelmap-jpegls", "hd-binary-jpeg2000", "dcmqi-deflated"] {
        let whole = file(name);
        for length in (0..whole.len()).step_by(41) {
            survives(&whole[..length]);
        }
        for _ in 0..300 {
            let mut changed = whole.clone();
            for _ in 0..1 + below(4) {
                let at = 132 + below(changed.len() - 132);
                changed[at] = [0xFF, 0, below(256) as u8, changed[at] ^ (1 << below(8))][below(4)];
            }
            survives(&changed);
        }
    }
}

fn concept(value: &str, scheme: &str, meaning: &str) -> Concept {
    Concept { value: value.into(), scheme: scheme.into(), meaning: meaning.into() }
}

fn lung() -> Concept {
    concept("39607008", "SCT", "Lung")
}

fn measured(of: Concept, value: f64, unit: Concept) -> ReportedMeasurement {
    ReportedMeasurement { concept: of, quantity: Some(Quantity { value, unit }), ..ReportedMeasurement::default() }
}

fn text_of(file: &File, tag: dicom_core::Tag) -> String {
    let object = dicom_object::from_reader(&file[..]).unwrap();
    object.element(tag).unwrap().to_str().unwrap().trim_end_matches(['\0', ' ']).to_owned()
}

/// The images of the CT in order, from the evidence of a report.
fn ct_images(read: &ReportDocument) -> Vec<ObjectReference> {
    let ct = read.evidence.iter().filter(|e| e.sop_class_uid == "1.2.840.10008.5.1.4.1.1.2");
    ct.map(|e| ObjectReference {
        sop_class_uid: e.sop_class_uid.clone(),
        sop_instance_uid: e.sop_instance_uid.clone(),
        ..ObjectReference::default()
    })
    .collect()
}

#[test]
fn reports_of_highdicom_come_back_number_by_number() {
    let seg = file("hd-binary");
    let (density, hu) =
        (concept("112031", "DCM", "Attenuation Coefficient"), concept("[hnsf'U]", "UCUM", "Hounsfield unit"));
    let mass = concept("4147007", "SCT", "Mass");
    let site = FindingSite {
        site: lung(),
        laterality: Some(concept("24028007", "SCT", "Right")),
        topography: Some(concept("261183002", "SCT", "Upper")),
    };
    let net = Some(ReportedAlgorithm { name: Some("net".into()), version: Some("1.0".into()), family: None });
    let method = Some(concept("126410", "DCM", "SUV body weight calculation method"));
    let judged = vec![Evaluation {
        concept: concept("246112005", "SCT", "Severity"),
        value: EvaluationValue::Code(concept("255604002", "SCT", "Mild")),
    }];
    let length = measured(concept("103339001", "SCT", "Long Axis"), 12.5, concept("mm", "UCUM", "mm"));
    let tracked = |n: usize| ReportedGroup {
        tracking_id: Some(format!("track {n}")),
        tracking_uid: Some(format!("1.2.3.{n}")),
        ..ReportedGroup::default()
    };
    for (name, in_space) in [("hd-sr3d", true), ("hd-sr", false), ("hd-sr-enhanced", false)] {
        let read = ReportDocument::read(&file(name), &Limits::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let images = ct_images(&read);
        assert_eq!(images.len(), 6, "{name}");
        assert_eq!(read.evidence.len(), 7, "{name}");
        let ct_series = text_of(&seg, tags::FRAME_OF_REFERENCE_UID);
        let frame_of_reference_uid = ct_series.clone();
        let source_series = read.series_of(&images[0].sop_instance_uid).unwrap().to_owned();
        let mut groups = vec![
            ReportedGroup {
                category: Some(concept("49755003", "SCT", "Morphologically Abnormal Structure")),
                finding: Some(mass.clone()),
                sites: vec![site.clone()],
                segments: vec![ObjectReference {
                    sop_class_uid: text_of(&seg, tags::SOP_CLASS_UID),
                    sop_instance_uid: text_of(&seg, tags::SOP_INSTANCE_UID),
                    segments: vec![1],
                    frames: vec![],
                }],
                source_series_uids: vec![source_series],
                method: method.clone(),
                algorithm: net.clone(),
                contexts: vec![(concept("C67447", "NCIt", "Activity Session"), "first".into())],
                measurements: vec![
                    measured(concept("118565006", "SCT", "Volume"), 1.0 / 3.0, concept("mL", "UCUM", "milliliter")),
                    ReportedMeasurement {
                        qualifier: Some(concept("114009", "DCM", "Value out of range")),
                        derivation: Some(concept("373098007", "SCT", "Mean")),
                        method: method.clone(),
                        sites: vec![site.clone()],
                        algorithm: net.clone(),
                        ..measured(density.clone(), -612.25, hu.clone())
                    },
                ],
                evaluations: judged.clone(),
                ..tracked(0)
            },
            ReportedGroup {
                finding: Some(mass.clone()),
                regions: vec![Region {
                    graphic: "POLYLINE".into(),
                    points: RegionPoints::OnImage {
                        image: Some(images[2].clone()),
                        points: vec![[1.5, 2.5], [6.5, 2.5], [6.5, 5.5], [1.5, 2.5]],
                    },
                }],
                measurements: vec![length.clone()],
                ..tracked(1)
            },
        ];
        if in_space {
            groups.push(ReportedGroup {
                finding: Some(mass.clone()),
                regions: vec![Region {
                    graphic: "POLYGON".into(),
                    points: RegionPoints::InSpace {
                        frame_of_reference_uid,
                        points: vec![[0.0, 0.0, 35.0], [1.5, 0.0, 35.0], [1.5, 2.0, 35.0], [0.0, 0.0, 35.0]],
                    },
                }],
                measurements: vec![length.clone()],
                ..tracked(2)
            });
        }
        groups.push(ReportedGroup {
            finding: Some(lung()),
            source_images: vec![images[0].clone()],
            evaluations: judged.clone(),
            ..tracked(3)
        });
        assert_eq!(read.groups, groups, "{name}");
        assert_eq!(read.image_library, images[..2], "{name}");
        assert_eq!(
            read.observers,
            [
                Observer::Person { name: Some("Reader^One".into()) },
                Observer::Device {
                    uid: Some("1.2.3.9".into()),
                    name: None,
                    manufacturer: Some("maker".into()),
                    model: Some("model".into()),
                    serial_number: None,
                },
            ],
            "{name}"
        );
        assert_eq!(read.procedures, [concept("169069000", "SCT", "CT of chest")], "{name}");
        assert_eq!((read.complete, read.verified, read.unread_items), (true, false, 0), "{name}");
    }
}

#[test]
fn a_report_of_dcmqi_comes_back_number_by_number() {
    let seg = file("dcmqi");
    let read = ReportDocument::read(&file("dcmqi-sr"), &Limits::default()).unwrap();
    let (density, hu) =
        (concept("112031", "DCM", "Attenuation Coefficient"), concept("[hnsf'U]", "UCUM", "Hounsfield unit"));
    let volume = concept("118565006", "SCT", "Volume");
    let images = ct_images(&read);
    let group = |n: u16| ReportedGroup {
        tracking_id: Some(format!("group {n}")),
        tracking_uid: Some(format!("1.2.3.4.{n}")),
        finding: Some(lung()),
        segments: vec![ObjectReference {
            sop_class_uid: text_of(&seg, tags::SOP_CLASS_UID),
            sop_instance_uid: text_of(&seg, tags::SOP_INSTANCE_UID),
            segments: vec![n],
            frames: vec![],
        }],
        source_series_uids: vec![read.series_of(&images[0].sop_instance_uid).unwrap().into()],
        contexts: vec![
            (concept("C67447", "NCIt", "Activity Session"), "1".into()),
            (concept("C2348792", "UMLS", "Time Point"), "1".into()),
        ],
        ..ReportedGroup::default()
    };
    let derived = |value, derivation| ReportedMeasurement {
        derivation: Some(derivation),
        ..measured(density.clone(), value, hu.clone())
    };
    let expected = [
        ReportedGroup {
            sites: vec![FindingSite {
                site: lung(),
                laterality: Some(concept("24028007", "SCT", "Right")),
                topography: None,
            }],
            measurements: vec![
                derived(37.3289, concept("373098007", "SCT", "Mean")),
                measured(volume, 70361.9, concept("mm3", "UCUM", "cubic millimeter")),
            ],
            ..group(1)
        },
        ReportedGroup {
            method: Some(concept("126401", "DCM", "Method")),
            measurements: vec![ReportedMeasurement {
                algorithm: Some(ReportedAlgorithm {
                    name: Some("net".into()),
                    version: Some("4.6".into()),
                    family: None,
                }),
                modifiers: vec![(concept("A.13", "99TEST", "Preprocessing"), concept("A.14", "99TEST", "Filter"))],
                ..derived(-778.0, concept("255605001", "SCT", "Minimum"))
            }],
            evaluations: [
                EvaluationValue::Text("Bad".into()),
                EvaluationValue::Code(concept("124", "99TEST", "Absent")),
            ]
            .map(|value| Evaluation { concept: concept("123", "99TEST", "Quality"), value })
            .to_vec(),
            ..group(2)
        },
    ];
    assert_eq!(read.groups, expected);
    assert_eq!(images.len(), 6);
    assert_eq!(read.image_library, images);
    assert_eq!(read.observers, [Observer::Person { name: Some("Reader1".into()) }]);
    // A property of a number (HAS PROPERTIES) has no place in what is read.
    assert_eq!((read.complete, read.verified, read.unread_items), (true, true, 1));
}
