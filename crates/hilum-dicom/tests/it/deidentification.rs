//! Every attribute of the profile's table, its options, and the way back.

use std::collections::BTreeMap;

use dicom_core::dictionary::{DataDictionary, VirtualVr};
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::{FileDicomObject, InMemDicomObject};
use hilum_dicom::{
    DeidentificationKey, DeidentificationReport, Deidentified, DeidentifyOptions, Limits, ProfileOption, Source,
    deidentify, reidentify,
};

use crate::support::{File, edited, series, source, with};

const TABLE: &str = include_str!("../../src/deidentify/profile.tsv");

/// Text that must not be found in anything given out.
const SECRET: &str = "Geheim";

fn run(
    files: &[File],
    profile: &[ProfileOption],
    key: &mut DeidentificationKey,
) -> (Vec<Deidentified>, DeidentificationReport) {
    let options = DeidentifyOptions { profile: profile.to_vec(), ..Default::default() };
    run_with(&source(files), &options, key)
}

fn run_with(
    source: &Source,
    options: &DeidentifyOptions,
    key: &mut DeidentificationKey,
) -> (Vec<Deidentified>, DeidentificationReport) {
    let mut out = Vec::new();
    let report = deidentify(source, &Limits::default(), options, key, &mut |file| {
        out.push(file);
        Ok(())
    });
    (out, report.unwrap())
}

fn key() -> DeidentificationKey {
    DeidentificationKey::new([42; 32])
}

fn read(bytes: &[u8]) -> FileDicomObject<InMemDicomObject> {
    dicom_object::from_reader(bytes).unwrap()
}

fn vr_of(tag: Tag) -> Option<VR> {
    Some(match StandardDataDictionary.by_tag(tag)?.vr {
        VirtualVr::Exact(vr) => vr,
        VirtualVr::Xs => VR::US,
        _ => VR::OW,
    })
}

/// A value that can be told from what replaces it.
fn original(tag: Tag, vr: VR) -> PrimitiveValue {
    match vr {
        VR::UI => format!("1.2.3.{}.{}", tag.0, tag.1).into(),
        VR::DA => "19870605".into(),
        VR::DT => "19870605112233".into(),
        VR::TM => "112233".into(),
        VR::AS => "047Y".into(),
        VR::DS | VR::IS => "77".into(),
        VR::CS | VR::AE => "GEHEIM".into(),
        VR::FD => PrimitiveValue::from(7.5f64),
        VR::FL => PrimitiveValue::from(7.5f32),
        VR::UL | VR::SL | VR::OL => PrimitiveValue::from(77u32),
        VR::US | VR::SS => PrimitiveValue::from(77u16),
        VR::OB | VR::UN | VR::OW | VR::OF | VR::OD => PrimitiveValue::from(SECRET.as_bytes().to_vec()),
        _ => SECRET.into(),
    }
}

struct Row {
    tag: Tag,
    basic: &'static str,
    options: &'static str,
}

/// Rows that can stand in a file: not those of messages and directories, of which nothing is ever kept.
fn rows() -> Vec<Row> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    let row = |line: &'static str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let number = u32::from_str_radix(&fields[0].replace("xxxxxx", "023000").replace("xx", "02"), 16).unwrap();
        Row { tag: Tag((number >> 16) as u16, number as u16), basic: fields[1], options: fields[2] }
    };
    lines.map(row).filter(|row| row.tag.0 >= 8 && row.tag != tags::ENCAPSULATED_DOCUMENT).collect()
}

/// Not replaced by the test: they make the object what it is.
fn is_identity(tag: Tag) -> bool {
    [tags::SOP_INSTANCE_UID, tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID].contains(&tag)
}

fn fill(object: &mut InMemDicomObject) -> usize {
    let mut filled = 0;
    for row in rows().iter().filter(|row| !is_identity(row.tag)) {
        let Some(vr) = vr_of(row.tag) else { continue };
        if vr == VR::SQ {
            let mut item = InMemDicomObject::new_empty();
            item.put(DataElement::new(tags::PATIENT_COMMENTS, VR::LT, PrimitiveValue::from(SECRET)));
            item.put(DataElement::new(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, PrimitiveValue::from("1.2.3.4.5")));
            let items = DataSetSequence::new(vec![item], Length::UNDEFINED);
            object.put(DataElement::new(row.tag, VR::SQ, items));
        } else {
            object.put(DataElement::new(row.tag, vr, original(row.tag, vr)));
        }
        filled += 1;
    }
    filled
}

/// A CT image with every attribute of the table, at the top and inside a sequence that the table does not name.
fn full() -> File {
    edited(&series()[0], |object| {
        assert!(fill(object) > 620, "the dictionary knows nearly all of the table");
        let mut nested = InMemDicomObject::new_empty();
        fill(&mut nested);
        nested.put(DataElement::new(Tag(0x0029, 0x1010), VR::LO, PrimitiveValue::from(SECRET)));
        object.put(DataElement::new(tags::ANATOMIC_REGION_SEQUENCE, VR::SQ, DataSetSequence::from(vec![nested])));
        object.put(DataElement::new(Tag(0x0029, 0x0010), VR::LO, PrimitiveValue::from("SOME MAKER")));
        object.put(DataElement::new(Tag(0x0029, 0x1010), VR::LO, PrimitiveValue::from(SECRET)));
    })
}

/// Holds one attribute after the run against what the table says for these options.
fn check(row: &Row, vr: VR, chosen: &[&str], before: &InMemDicomObject, after: &InMemDicomObject) {
    let tag = row.tag;
    let new = after.get(tag);
    let old = before.get(tag).unwrap();
    let by_option: Vec<&str> = row
        .options
        .split_whitespace()
        .filter_map(|o| o.split_once('='))
        .filter(|(n, _)| chosen.contains(n))
        .map(|(_, a)| a)
        .collect();
    if by_option.contains(&"K") {
        assert!(vr == VR::SQ || new.unwrap().to_bytes().unwrap() == old.to_bytes().unwrap(), "{tag} is kept");
        return;
    }
    if by_option.contains(&"C") && [VR::DA, VR::DT, VR::TM].contains(&vr) {
        let new = new.unwrap().to_str().unwrap();
        if vr == VR::TM {
            assert_eq!(new, "112233", "{tag}");
        } else {
            assert!(
                &new[..8] < "19870605" && &new[..8] > "19770101" && new.ends_with(&old.to_str().unwrap()[8..]),
                "{tag} {new}"
            );
        }
        return;
    }
    // No word of SECRET is known, so cleaning falls back on the Basic Profile.
    match row.basic {
        "X" => assert!(new.is_none(), "{tag} is removed"),
        "Z" | "X/Z" => {
            let value = new.unwrap_or_else(|| panic!("{tag} stays")).to_bytes().unwrap_or_default();
            let pseudonym = tag == tags::PATIENT_NAME && value.starts_with(b"HILUM-");
            assert!(pseudonym || vr == VR::SQ || value.is_empty(), "{tag} is empty");
        }
        "U" => {
            let value = new.unwrap().to_str().unwrap();
            assert!(value.starts_with("2.25.") && value.len() <= 64, "{tag}: {value}");
        }
        "X/Z/U*" => {
            let items = new.unwrap().items().unwrap();
            let uid = items[0].element(tags::REFERENCED_SOP_INSTANCE_UID).unwrap().to_str().unwrap();
            assert!(uid.starts_with("2.25."), "{tag}");
        }
        "D" | "Z/D" | "X/D" | "X/Z/D" => {
            let new = new.unwrap_or_else(|| panic!("{tag} has a dummy"));
            match new.items() {
                Some(items) => assert_eq!(items.len(), 1, "{tag}"),
                None => {
                    let value = new.to_bytes().unwrap();
                    assert!(!value.is_empty() && value != old.to_bytes().unwrap(), "{tag} has another value");
                }
            }
        }
        other => panic!("{other}"),
    }
}

#[test]
fn every_attribute_of_the_table_is_treated_as_it_says_at_the_top_and_nested() {
    use ProfileOption as O;
    let sets: [(&[O], &[&str]); 8] = [
        (&[], &[]),
        (&[O::RetainUids], &["uids"]),
        (&[O::RetainDeviceIdentity], &["device"]),
        (&[O::RetainInstitutionIdentity], &["institution"]),
        (&[O::RetainPatientCharacteristics], &["patient"]),
        (&[O::RetainFullDates], &["full"]),
        (&[O::RetainModifiedDates], &["modified"]),
        (&[O::CleanDescriptors, O::CleanStructuredContent, O::RetainSafePrivate], &["descriptors", "safe"]),
    ];
    let file = full();
    let before = read(&file);
    for (options, names) in sets {
        let (out, report) = run(std::slice::from_ref(&file), options, &mut key());
        assert_eq!(out.len(), 1, "{names:?}: {report:?}");
        let after = read(&out[0].bytes);
        let nested = |object: &InMemDicomObject| {
            object.element(tags::ANATOMIC_REGION_SEQUENCE).unwrap().items().unwrap()[0].clone()
        };
        let mut checked = 0;
        for row in rows().iter().filter(|row| !is_identity(row.tag)) {
            let Some(vr) = vr_of(row.tag) else {
                assert!(after.get(row.tag).is_none());
                continue;
            };
            // The object says itself how dates were treated, and content that is walked is looked at below.
            let walked = row.options.contains("structured") && names.contains(&"descriptors");
            if row.tag == tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED || walked {
                continue;
            }
            check(row, vr, names, &before, &after);
            check(row, vr, names, &nested(&before), &nested(&after));
            checked += 1;
        }
        assert!(checked > 615, "{checked}");
        assert!(after.iter().chain(nested(&after).iter()).all(|element| element.header().tag.0 % 2 == 0), "private");
        let codes: Vec<String> = after
            .element(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE)
            .unwrap()
            .items()
            .unwrap()
            .iter()
            .map(|item| item.element(tags::CODE_VALUE).unwrap().to_str().unwrap().into_owned())
            .collect();
        let mut expected: Vec<&str> = options.iter().map(|o| o.code().0).collect();
        expected.push("113100");
        expected.sort_unstable();
        assert_eq!(codes, expected);
        assert_eq!(after.element(tags::PATIENT_IDENTITY_REMOVED).unwrap().to_str().unwrap(), "YES");
        let text = serde_json::to_string(&report).unwrap();
        assert!(!text.contains(SECRET) && !text.contains("19870605"), "the report has no original values");
        if options.is_empty() {
            let shows = |what: &[u8]| out[0].bytes.windows(what.len()).any(|w| w.eq_ignore_ascii_case(what));
            assert!(!shows(SECRET.as_bytes()) && !shows(b"19870605") && !shows(b"1.2.3.4.5"));
        }
        assert_eq!(after.meta().media_storage_sop_instance_uid.trim_end_matches('\0'), out[0].sop_instance_uid);
        assert_eq!(
            after.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap(),
            before.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap()
        );
    }
}

#[test]
fn the_key_brings_back_the_originals_to_the_byte_and_runs_are_equal() {
    let mut files = series();
    files[0] = full();
    let (mut first, mut second) = (key(), key());
    let options = [ProfileOption::RetainModifiedDates];
    let (out, report) = run(&files, &options, &mut first);
    assert_eq!((out.len(), report.patients), (files.len(), 2), "{report:?}");
    assert_eq!(run(&files, &options, &mut second).0, out);
    assert_eq!(first.to_json(), second.to_json());
    let other = run(&files, &options, &mut DeidentificationKey::new([43; 32])).0;
    assert_ne!(other[0].sop_instance_uid, out[0].sop_instance_uid);
    let kept = DeidentificationKey::from_json(&first.to_json()).unwrap();
    // The data set begins after the group length and what it counts.
    let dataset = |bytes: &[u8]| {
        let length = u32::from_le_bytes(bytes[140..144].try_into().unwrap()) as usize;
        bytes[144 + length..].to_vec()
    };
    let mut by_name: BTreeMap<String, File> = BTreeMap::new();
    by_name.extend(files.iter().enumerate().map(|(n, file)| (n.to_string(), file.clone())));
    for (made, original) in out.iter().zip(by_name.values()) {
        let back = reidentify(&made.bytes, &kept, &Limits::default()).unwrap();
        assert_eq!(dataset(&back.bytes), dataset(original));
    }
    assert!(reidentify(&files[1], &kept, &Limits::default()).is_err(), "an original is not known by its new UID");
    assert!(reidentify(&out[1].bytes, &key(), &Limits::default()).is_err(), "another key");
}

#[test]
fn what_cannot_be_made_safe_is_left_out_until_it_is_allowed() {
    let file = series()[3].clone();
    let burnt = with(&file, tags::BURNED_IN_ANNOTATION, VR::CS, "YES");
    let screen = with(
        &file,
        tags::IMAGE_TYPE,
        VR::CS,
        PrimitiveValue::Strs(["DERIVED".to_owned(), "SECONDARY".to_owned()].as_slice().into()),
    );
    let head = with(&file, tags::STUDY_DESCRIPTION, VR::LO, "CT brain native");
    let cut = file[..file.len() - 3].to_vec();
    let text = b"Patient Geheim was here".to_vec();
    let mut allowed = DeidentifyOptions { keep_burnt_in: true, keep_faces: true, ..Default::default() };
    for (file, kept) in [(&burnt, true), (&screen, true), (&head, true), (&cut, false), (&text, false)] {
        let (out, report) = run(std::slice::from_ref(file), &[], &mut key());
        assert_eq!((out.len(), report.left_out.values().sum::<usize>()), (0, 1));
        let (out, _) = run_with(&source(std::slice::from_ref(file)), &allowed, &mut key());
        assert_eq!(out.len() == 1, kept);
    }
    let (out, report) = run(&[file.clone(), file.clone()], &[], &mut key());
    assert_eq!((out.len(), report.left_out.len()), (1, 1), "the same object twice");
    allowed.profile = vec![ProfileOption::RetainFullDates, ProfileOption::RetainModifiedDates];
    let both = deidentify(&source(&[file]), &Limits::default(), &allowed, &mut key(), &mut |_| Ok(()));
    assert!(both.is_err(), "dates cannot both stay and move");
}

#[test]
fn objects_that_share_a_uid_get_one_each_and_come_back() {
    let mut files = series();
    let uid = |file: &File| read(file).element(tags::SOP_INSTANCE_UID).unwrap().to_str().unwrap().into_owned();
    let (first, second) = (uid(&files[0]), uid(&files[1]));
    assert_eq!(first.len(), second.len(), "so that one can be written over the other");
    let place =
        |file: &File| (0..file.len()).filter(|at| file[*at..].starts_with(second.as_bytes())).collect::<Vec<_>>();
    for at in place(&files[1]) {
        files[1][at..at + second.len()].copy_from_slice(first.as_bytes());
    }
    files.truncate(2);
    files.push(files[0].clone());
    let mut kept = key();
    let (out, report) = run(&files, &[], &mut kept);
    assert_eq!((out.len(), report.left_out.values().sum::<usize>()), (2, 1), "{report:?}");
    assert_ne!(out[0].sop_instance_uid, out[1].sop_instance_uid);
    assert_eq!(
        read(&out[1].bytes).meta().media_storage_sop_instance_uid.trim_end_matches('\0'),
        out[1].sop_instance_uid
    );
    for (made, original) in out.iter().zip(&files) {
        let back = reidentify(&made.bytes, &kept, &Limits::default()).unwrap();
        assert_eq!(uid(&back.bytes), first);
        let pixels = |file: &File| read(file).element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
        assert_eq!(pixels(&back.bytes), pixels(original));
    }
    assert_eq!(run(&files, &[ProfileOption::RetainUids], &mut key()).0.len(), 1);
}
