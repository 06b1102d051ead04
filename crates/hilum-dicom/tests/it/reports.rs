//! Measurement reports come back as they were written, and damaged ones not at all.

use dicom_core::value::{DataSetSequence, Value};
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use hilum_dicom::{
    Algorithm, Code, CodingScheme, Concept, EarlierStudy, Evaluation, EvaluationValue, Evidence, FindingSite, LabelSet,
    Limits, Measurement, MeasurementGroup, MeasurementReport, ObjectReference, Observer, Quantity, Refusal,
    ReportDocument, ReportFlaw, ReportedAlgorithm, ReportedGroup, ReportedMeasurement, ResultContext, TimePoint,
    Tracking, binary_segmentation, codes, measurement_report, scan,
};

use crate::results::{device, labels, moment, origin, segment, title};
use crate::support::{File, edited, series, source, with, without};

const LOBE_SCORE: Code = Code::new("score", "99TEST", "Score of a lobe");
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

/// Two groups: one of a segment with two numbers, one of the study.
fn ours() -> (File, ReportDocument) {
    let origin = origin(&series());
    let (device, created) = (device(), moment("010203"));
    let context = ResultContext { origin: &origin, device: &device, created: &created };
    let labels = labels(&origin);
    let made =
        binary_segmentation(&context, &title(), &[(segment("a"), LabelSet { map: &labels, labels: &[1] })]).unwrap();
    let algorithm = Algorithm::new("net", "1.2", codes::ARTIFICIAL_INTELLIGENCE).unwrap();
    let (third, density) = (1.0 / 3.0, -700.0 - 1.0 / 3.0);
    let measured = vec![
        Measurement::new(codes::VOLUME, third, codes::MILLILITRE).unwrap(),
        Measurement::new(codes::ATTENUATION_COEFFICIENT, density, codes::HOUNSFIELD_UNIT)
            .unwrap()
            .with_derivation(codes::MEAN),
    ];
    let score = vec![Measurement::new(LOBE_SCORE, 4.0, codes::NO_UNITS).unwrap()];
    let group = |id, uid, finding, measured| {
        MeasurementGroup::new(Tracking::new(id, uid).unwrap(), finding, algorithm.clone(), measured).unwrap()
    };
    let report = MeasurementReport {
        procedure: codes::CT_OF_CHEST,
        groups: vec![
            group("lung", "1.2.3", codes::LUNG, measured)
                .with_category(codes::ANATOMICAL_STRUCTURE)
                .with_site(codes::RIGHT_LUNG)
                .with_region(made.segment(0).unwrap()),
            group("study", "1.2.4", codes::LUNG_CONSOLIDATION, score),
        ],
        comments: vec!["First line\nsecond line, für alle 폐".into()],
        schemes: vec![CodingScheme::new("99TEST", "Tests", "Hilum")],
        earlier: vec![],
    };
    let file = measurement_report(&context, &report).unwrap();

    let concept = Concept::from;
    let number = |of, value, unit: Code| ReportedMeasurement {
        concept: concept(of),
        quantity: Some(Quantity { value, unit: concept(unit) }),
        ..ReportedMeasurement::default()
    };
    let algorithm = Some(ReportedAlgorithm {
        name: Some("net".into()),
        version: Some("1.2".into()),
        family: Some(concept(codes::ARTIFICIAL_INTELLIGENCE)),
    });
    let images: Vec<String> = series()
        .iter()
        .map(|f| {
            let object = dicom_object::from_reader(&f[..]).unwrap();
            object.element(tags::SOP_INSTANCE_UID).unwrap().to_str().unwrap().trim_end_matches('\0').to_owned()
        })
        .collect();
    let image = |uid: &String| ObjectReference {
        sop_class_uid: CT.into(),
        sop_instance_uid: uid.clone(),
        ..ObjectReference::default()
    };
    let read = ReportDocument::read(file.bytes(), &Limits::default()).unwrap();
    let study_uid = read.study_uid.clone();
    let seg = made.file.sop_instance_uid();
    let mut evidence: Vec<Evidence> = images
        .iter()
        .map(|uid| (origin.series_uid(), CT, uid.as_str()))
        .chain([(made.file.series_uid(), made.file.sop_class_uid(), seg)])
        .map(|(series, class, uid)| Evidence {
            study_uid: study_uid.clone(),
            series_uid: series.into(),
            sop_class_uid: class.into(),
            sop_instance_uid: uid.into(),
        })
        .collect();
    evidence.sort_by(|a, b| (&a.series_uid, &a.sop_instance_uid).cmp(&(&b.series_uid, &b.sop_instance_uid)));
    let Some(Observer::Device { uid: device_uid @ Some(_), .. }) = read.observers.first() else {
        panic!("the device observes and has a UID: {:?}", read.observers)
    };
    let expected = ReportDocument {
        sop_class_uid: file.sop_class_uid().into(),
        sop_instance_uid: file.sop_instance_uid().into(),
        study_uid,
        series_uid: file.series_uid().into(),
        study_date: origin.identity().study_date.unwrap(),
        patient_key: scan(&source(&series()), &Limits::default()).unwrap().series()[0].patient_key.clone(),
        title: Concept { value: "126000".into(), scheme: "DCM".into(), meaning: "Imaging Measurement Report".into() },
        complete: true,
        verified: false,
        observers: vec![Observer::Device {
            uid: device_uid.clone(),
            name: Some("hilum".into()),
            manufacturer: Some("Hilum".into()),
            model: Some("hilum".into()),
            serial_number: Some("0".into()),
        }],
        procedures: vec![concept(codes::CT_OF_CHEST)],
        evidence,
        predecessors: vec![],
        image_library: images.iter().map(image).collect(),
        groups: vec![
            ReportedGroup {
                tracking_id: Some("lung".into()),
                tracking_uid: Some("1.2.3".into()),
                category: Some(concept(codes::ANATOMICAL_STRUCTURE)),
                finding: Some(concept(codes::LUNG)),
                sites: vec![FindingSite { site: concept(codes::RIGHT_LUNG), ..FindingSite::default() }],
                segments: vec![ObjectReference {
                    sop_class_uid: made.file.sop_class_uid().into(),
                    sop_instance_uid: seg.into(),
                    segments: vec![1],
                    frames: vec![],
                }],
                source_series_uids: vec![origin.series_uid().into()],
                algorithm: algorithm.clone(),
                measurements: vec![
                    number(codes::VOLUME, third, codes::MILLILITRE),
                    ReportedMeasurement {
                        derivation: Some(concept(codes::MEAN)),
                        ..number(codes::ATTENUATION_COEFFICIENT, density, codes::HOUNSFIELD_UNIT)
                    },
                ],
                ..ReportedGroup::default()
            },
            ReportedGroup {
                tracking_id: Some("study".into()),
                tracking_uid: Some("1.2.4".into()),
                finding: Some(concept(codes::LUNG_CONSOLIDATION)),
                algorithm,
                measurements: vec![number(LOBE_SCORE, 4.0, codes::NO_UNITS)],
                ..ReportedGroup::default()
            },
        ],
        evaluations: vec![Evaluation {
            concept: Concept { value: "121106".into(), scheme: "DCM".into(), meaning: "Comment".into() },
            value: EvaluationValue::Text("First line\r\nsecond line, für alle 폐".into()),
        }],
        unread_items: 0,
    };
    (file.into_bytes(), expected)
}

#[test]
fn our_own_report_comes_back_whole() {
    let (file, expected) = ours();
    let read = ReportDocument::read(&file, &Limits::default()).unwrap();
    assert_eq!(read, expected);
    let group = &read.groups[0];
    assert_eq!(group.measurement(codes::VOLUME).unwrap().quantity.as_ref().unwrap().value, 1.0 / 3.0);
    assert_eq!(group.measurement(codes::NUMBER_OF_LESIONS), None);
    let seg = &group.segments[0].sop_instance_uid;
    assert_eq!(read.series_of(seg), expected.series_of(seg));
    assert!(read.series_of(seg).is_some() && read.series_of("1.2").is_none());
}

/// Calls `change` on the item at `path` of nested Content Sequences, counted from 0.
fn change_item(file: &File, path: &[usize], mut change: impl FnMut(&mut InMemDicomObject)) -> File {
    fn go(object: &mut InMemDicomObject, path: &[usize], change: &mut dyn FnMut(&mut InMemDicomObject)) {
        let Some((first, rest)) = path.split_first() else { return change(object) };
        object.update_value(tags::CONTENT_SEQUENCE, |value| {
            go(&mut value.items_mut().expect("a sequence")[*first], rest, change);
        });
    }
    edited(file, |object| go(object, path, &mut change))
}

fn code_item(value: &str) -> InMemDicomObject {
    let text = |tag, vr, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
    InMemDicomObject::from_element_iter([
        text(tags::CODE_VALUE, VR::SH, value),
        text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, "99TEST"),
        text(tags::CODE_MEANING, VR::LO, value),
    ])
}

fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, VR::SQ, Value::from(DataSetSequence::new(items, Length::UNDEFINED)))
}

/// Where the groups stand, and in the first of them the segment, the volume and its mean density.
fn places(file: &File) -> (Vec<usize>, usize, usize) {
    let object = dicom_object::from_reader(&file[..]).unwrap();
    let kind = |item: &InMemDicomObject| item.element(tags::VALUE_TYPE).unwrap().to_str().unwrap().trim().to_owned();
    let children = |item: &InMemDicomObject| item.element(tags::CONTENT_SEQUENCE).unwrap().items().unwrap().to_vec();
    let name = |item: &InMemDicomObject| {
        let name = item.element(tags::CONCEPT_NAME_CODE_SEQUENCE).unwrap().items().unwrap()[0].clone();
        name.element(tags::CODE_VALUE).unwrap().to_str().unwrap().trim().to_owned()
    };
    let groups = children(&object).iter().position(|i| name(i) == "126010").unwrap();
    let first = children(&children(&children(&object)[groups])[0]);
    let segment = first.iter().position(|i| kind(i) == "IMAGE").unwrap();
    let number = first.iter().position(|i| kind(i) == "NUM").unwrap();
    (vec![groups, 0], segment, number)
}

/// Which item of a group is its first code: the category.
fn first_code(file: &File, group: &[usize]) -> usize {
    let mut found = 0;
    change_item(file, group, |item| {
        let items = item.element(tags::CONTENT_SEQUENCE).unwrap().items().unwrap();
        let kind = |i: &InMemDicomObject| i.element(tags::VALUE_TYPE).unwrap().to_str().unwrap().trim() == "CODE";
        found = items.iter().position(kind).unwrap();
    });
    found
}

fn flaw(file: &File) -> ReportFlaw {
    match ReportDocument::read(file, &Limits::default()) {
        Err(Refusal::Report(flaw)) => flaw,
        other => panic!("{other:?}"),
    }
}

#[test]
fn time_points_uncertainties_and_judgements_come_back() {
    let (_, before) = ours();
    let earlier = EarlierStudy::of_report(&before, Some("20251203")).unwrap();
    assert_eq!((earlier.tracking_uid("lung"), earlier.tracking_uid("nothing")), (Some("1.2.3"), None));
    let segment = earlier.segment("lung").unwrap().clone();
    let origin = origin(&series());
    let (device, created) = (device(), moment("010203"));
    let context = ResultContext { origin: &origin, device: &device, created: &created };
    let algorithm = Algorithm::new("net", "1.2", codes::ARTIFICIAL_INTELLIGENCE).unwrap();
    let group = |order, value| {
        let volume = Measurement::new(codes::VOLUME, value, codes::MILLILITRE).unwrap();
        let tracking = Tracking::new("lung", "1.2.3").unwrap();
        MeasurementGroup::new(tracking, codes::LUNG, algorithm.clone(), vec![volume])
            .unwrap()
            .with_time_point(TimePoint::new("visit", order).unwrap().with_days_from_baseline(7))
    };
    let change = Measurement::new(codes::DIFFERENCE_IN_SIZE, -2.5, codes::MILLILITRE).unwrap();
    let now = group(2, 3.0)
        .with_measurements(vec![change.with_uncertainty(0.5).unwrap()])
        .with_evaluation(codes::QUALITATIVE_DIFFERENCE, codes::DECREASE_IN_SIZE)
        .with_comment("seen\ntwice".into());
    let report = |groups| MeasurementReport {
        procedure: codes::CT_OF_CHEST,
        groups,
        comments: vec![],
        schemes: vec![],
        earlier: vec![earlier.clone()],
    };
    let file = measurement_report(&context, &report(vec![now, group(1, 5.5).with_region(segment)])).unwrap();
    let read = ReportDocument::read(file.bytes(), &Limits::default()).unwrap();
    assert_eq!(read.unread_items, 0);
    let [now, then] = &read.groups[..] else { panic!("{:?}", read.groups) };
    assert_eq!(now.contexts, [(Concept::from(codes::TIME_POINT), "visit".to_owned())]);
    assert_eq!(now.circumstance(codes::TIME_POINT_ORDER).unwrap().value, 2.0);
    let days = &now.circumstances[1];
    assert_eq!((days.0.value.as_str(), days.1.value, days.1.unit.value.as_str()), ("128740", 7.0, "d"));
    let change = now.measurement(codes::DIFFERENCE_IN_SIZE).unwrap();
    let half = Quantity { value: 0.5, unit: Concept::from(codes::MILLILITRE) };
    assert_eq!(change.uncertainty, [Some(half.clone()), Some(half)]);
    let judged = |value| (Concept::from(codes::QUALITATIVE_DIFFERENCE), EvaluationValue::Code(Concept::from(value)));
    let evaluations: Vec<_> = now.evaluations.iter().map(|e| (e.concept.clone(), e.value.clone())).collect();
    assert_eq!(evaluations[0], judged(codes::DECREASE_IN_SIZE));
    assert_eq!(evaluations[1].1, EvaluationValue::Text("seen\r\ntwice".into()));
    assert_eq!(then.segments, before.groups[0].segments);
    assert_eq!(read.predecessors[0].sop_instance_uid, before.sop_instance_uid);

    let twice = measurement_report(&context, &report(vec![group(2, 1.0), group(2, 2.0)]));
    assert!(twice.is_err(), "one thing measured twice at one time point");
    let private = group(1, 1.0).with_evaluation(codes::QUALITATIVE_DIFFERENCE, LOBE_SCORE);
    assert!(measurement_report(&context, &report(vec![private])).is_err(), "a private judgement is explained");
    let infinite = Measurement::new(codes::VOLUME, 1.0, codes::MILLILITRE).unwrap().with_uncertainty(f64::INFINITY);
    assert!(infinite.is_err());
    let mut elsewhere = before.clone();
    elsewhere.image_library.clear();
    assert_eq!(EarlierStudy::of_report(&elsewhere, None), None, "a report that names no images is of no known study");
}

#[test]
fn a_number_that_cannot_be_trusted_refuses_the_report_and_names_the_item() {
    let (file, _) = ours();
    let (group, segment, number) = places(&file);
    let at = |child: usize| [&group[..], &[child]].concat();
    let here = |child: usize| format!("1.{}.{}.{}", group[0] + 1, group[1] + 1, child + 1);
    let measured = |change: &dyn Fn(&mut InMemDicomObject)| {
        change_item(&file, &at(number), |item| {
            item.update_value(tags::MEASURED_VALUE_SEQUENCE, |value| change(&mut value.items_mut().unwrap()[0]));
        })
    };
    for text in ["", "one", "1,5", "NaN", "inf", "1\\2", "0x10"] {
        let file = measured(&|value| {
            value.put(DataElement::new(tags::NUMERIC_VALUE, VR::DS, PrimitiveValue::from(text)));
        });
        assert_eq!(flaw(&file), ReportFlaw::NotANumber(here(number)), "{text:?}");
    }
    let double = |number: f64| {
        measured(&|value| {
            value.put(DataElement::new(tags::FLOATING_POINT_VALUE, VR::FD, PrimitiveValue::from(number)));
        })
    };
    assert_eq!(flaw(&double(f64::NAN)), ReportFlaw::NotANumber(here(number)));
    assert_eq!(flaw(&double(0.34)), ReportFlaw::TwoNumbers(here(number)));
    let single = measured(&|value| {
        value.put(DataElement::new(tags::FLOATING_POINT_VALUE, VR::FL, PrimitiveValue::from(0.333_333_34f32)));
    });
    assert_eq!(flaw(&single), ReportFlaw::NotANumber(here(number)), "another representation");
    let emptied = |tag| change_item(&file, &at(number), |item| drop(item.put(sequence(tag, vec![]))));
    assert_eq!(flaw(&emptied(tags::MEASURED_VALUE_SEQUENCE)), ReportFlaw::NoValue(here(number)));
    assert_eq!(flaw(&emptied(tags::CONCEPT_NAME_CODE_SEQUENCE)), ReportFlaw::Unnamed(here(number)));
    let no_unit = measured(&|value| {
        value.remove_element(tags::MEASUREMENT_UNITS_CODE_SEQUENCE);
    });
    assert_eq!(flaw(&no_unit), ReportFlaw::NoUnit(here(number)));
    let empty_unit = measured(&|value| drop(value.put(sequence(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, vec![]))));
    assert_eq!(flaw(&empty_unit), ReportFlaw::NoUnit(here(number)));
    let no_sequence = measured(&|value| {
        value.put(DataElement::new(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, VR::LO, PrimitiveValue::from("mL")));
    });
    assert_eq!(flaw(&no_sequence), ReportFlaw::Damaged, "a text where a sequence belongs");

    let referring = |change: &dyn Fn(&mut InMemDicomObject)| {
        change_item(&file, &at(segment), |item| {
            item.update_value(tags::REFERENCED_SOP_SEQUENCE, |value| change(&mut value.items_mut().unwrap()[0]));
        })
    };
    for (vr, number) in [(VR::US, PrimitiveValue::from(0u16)), (VR::IS, PrimitiveValue::from("1"))] {
        let file = referring(&|object| {
            object.put(DataElement::new(tags::REFERENCED_SEGMENT_NUMBER, vr, number.clone()));
        });
        assert_eq!(flaw(&file), ReportFlaw::BadReference(here(segment)), "{vr:?}");
    }
    let nowhere = referring(&|object| {
        object.remove_element(tags::REFERENCED_SOP_INSTANCE_UID);
    });
    assert_eq!(flaw(&nowhere), ReportFlaw::BadReference(here(segment)));
    let code = first_code(&file, &group);
    let no_code = change_item(&file, &at(code), |item| drop(item.put(sequence(tags::CONCEPT_CODE_SEQUENCE, vec![]))));
    assert_eq!(flaw(&no_code), ReportFlaw::NoValue(here(code)), "an empty code sequence");
    let nobody = change_item(&file, &at(code), |item| {
        item.put(sequence(tags::CONCEPT_CODE_SEQUENCE, vec![InMemDicomObject::new_empty()]));
    });
    assert_eq!(flaw(&nobody), ReportFlaw::NoValue(here(code)), "an empty code");
}

#[test]
fn a_number_left_out_for_a_reason_and_a_note_without_a_place_do_not_stop_the_rest() {
    let (file, mut expected) = ours();
    let (group, _, number) = places(&file);
    let without_number = change_item(&file, &[&group[..], &[number]].concat(), |item| {
        item.put(sequence(tags::MEASURED_VALUE_SEQUENCE, vec![]));
        item.put(sequence(tags::NUMERIC_VALUE_QUALIFIER_CODE_SEQUENCE, vec![code_item("failed")]));
    });
    let volume = &mut expected.groups[0].measurements[0];
    volume.quantity = None;
    volume.qualifier = Some(Concept { value: "failed".into(), scheme: "99TEST".into(), meaning: "failed".into() });
    assert_eq!(ReportDocument::read(&without_number, &Limits::default()).unwrap(), expected);

    let waveform = change_item(&without_number, &group, |item| {
        item.update_value(tags::CONTENT_SEQUENCE, |value| {
            let mut other = value.items_mut().unwrap()[0].clone();
            other.put(DataElement::new(tags::VALUE_TYPE, VR::CS, PrimitiveValue::from("WAVEFORM")));
            value.items_mut().unwrap().push(other);
        });
    });
    expected.unread_items = 1;
    assert_eq!(ReportDocument::read(&waveform, &Limits::default()).unwrap(), expected);
}

#[test]
fn what_is_no_measurement_report_says_so() {
    let (file, _) = ours();
    assert_eq!(flaw(&series()[0]), ReportFlaw::AnotherClass);
    assert_eq!(flaw(&vec![]), ReportFlaw::NotDicom);
    assert_eq!(flaw(&with(&file, tags::SOP_INSTANCE_UID, VR::UI, "none")), ReportFlaw::NoIdentity);
    let untitled = without(&without(&file, tags::CONCEPT_NAME_CODE_SEQUENCE), tags::CONTENT_TEMPLATE_SEQUENCE);
    assert_eq!(flaw(&untitled), ReportFlaw::AnotherTemplate);
    let nothing = without(&file, tags::CONTENT_SEQUENCE);
    let read = ReportDocument::read(&nothing, &Limits::default()).unwrap();
    assert_eq!((read.groups.len(), read.observers.len()), (0, 0));
}

fn too_large(file: &File, limits: &Limits) -> &'static str {
    match ReportDocument::read(file, limits) {
        Err(Refusal::TooLarge { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

/// An image library a thousand levels deep, with lengths or delimiters.
fn nested(file: &File, defined: bool) -> File {
    let file = without(file, tags::CONTENT_SEQUENCE);
    // Explicit VR Little Endian: a container named Image Library Group that holds another one.
    let short = |group: u16, element: u16, vr: &[u8; 2], value: &[u8]| {
        [&group.to_le_bytes()[..], &element.to_le_bytes(), vr, &(value.len() as u16).to_le_bytes(), value].concat()
    };
    let long = |group: u16, element: u16, value: &[u8]| {
        let length = if defined { value.len() as u32 + 8 } else { u32::MAX };
        let mut bytes = [&group.to_le_bytes()[..], &element.to_le_bytes(), b"SQ\0\0", &length.to_le_bytes()].concat();
        let length = if defined { value.len() as u32 } else { u32::MAX };
        bytes.extend([0xFE, 0xFF, 0x00, 0xE0]);
        bytes.extend(length.to_le_bytes());
        bytes.extend(value);
        if !defined {
            bytes.extend([0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0, 0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
        }
        bytes
    };
    let name = [
        short(0x0008, 0x0100, b"SH", b"111028"),
        short(0x0008, 0x0102, b"SH", b"DCM "),
        short(0x0008, 0x0104, b"LO", b"Image Library "),
    ]
    .concat();
    let mut content = Vec::new();
    for _ in 0..1000 {
        let mut item = [
            short(0x0040, 0xA010, b"CS", b"CONTAINS"),
            short(0x0040, 0xA040, b"CS", b"CONTAINER "),
            long(0x0040, 0xA043, &name),
        ]
        .concat();
        item.extend(&content);
        content = long(0x0040, 0xA730, &item);
    }
    [file, content].concat()
}

/// The file as Deflated Explicit VR Little Endian (PS3.5 A.5).
fn deflated(file: &File) -> File {
    use std::io::Write;
    let syntax = b"\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0";
    let at = file.windows(syntax.len()).position(|w| w == syntax).unwrap();
    let set = file.windows(4).position(|w| w == b"\x08\0\x05\0" || w == b"\x08\0\x12\0").unwrap();
    let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&file[set..]).unwrap();
    let other = b"\x02\0\x10\0UI\x16\x001.2.840.10008.1.2.1.99";
    [&file[..at], &other[..], &file[at + syntax.len()..set], &packed.finish().unwrap()].concat()
}

#[test]
fn nesting_items_and_text_have_limits() {
    let (file, _) = ours();
    for defined in [false, true] {
        too_large(&nested(&file, defined), &Limits::default());
        // A caller may raise the limit; 64 levels are walked before it is met.
        let deeper = Limits { max_sequence_depth: 64, ..Limits::default() };
        too_large(&nested(&file, defined), &deeper);
    }
    let few = Limits { max_content_items: 20, ..Limits::default() };
    assert_eq!(too_large(&file, &few), "the number of content items");
    let short = Limits { max_text_bytes: 30, ..Limits::default() };
    assert_eq!(too_large(&file, &short), "the length of a text");
    let whole = file.len() as u64;
    let small = |bytes| Limits { max_report_bytes: bytes, ..Limits::default() };
    assert_eq!(too_large(&file, &small(100)), "the file");
    assert_eq!(too_large(&file, &Limits { max_file_bytes: 100, ..Limits::default() }), "the file");
    let packed = deflated(&file);
    assert!((packed.len() as u64) < whole / 3);
    assert_eq!(too_large(&packed, &small(whole / 2)), "the file", "inflated");
    let inflated = ReportDocument::read(&packed, &small(whole)).unwrap();
    assert_eq!(inflated, ReportDocument::read(&file, &small(whole)).unwrap());
}

#[test]
fn cut_and_changed_reports_are_survived() {
    let (file, expected) = ours();
    for length in (0..file.len()).step_by(13) {
        if let Ok(read) = ReportDocument::read(&file[..length], &Limits::default()) {
            assert_ne!(read, expected, "cut at {length}");
        }
    }
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut below = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % n as u64) as usize
    };
    for _ in 0..3000 {
        let mut changed = file.clone();
        for _ in 0..1 + below(4) {
            let at = 132 + below(changed.len() - 132);
            changed[at] = [0xFF, 0, below(256) as u8, changed[at] ^ (1 << below(8))][below(4)];
        }
        let _ = ReportDocument::read(&changed, &Limits::default());
    }
}
