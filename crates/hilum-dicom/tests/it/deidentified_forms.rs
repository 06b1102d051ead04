//! De-identification over transfer syntaxes, and over what was derived from images.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::PathBuf;

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{DefaultDicomObject, InMemDicomObject};
use hilum_dicom::{
    Algorithm, BurnedIn, ColourPicture, DeidentificationKey, DeidentificationReport, Deidentified, DeidentifyOptions,
    Gravity, LabelSet, Limits, Measurement, MeasurementGroup, MeasurementReport, Outline, OutlineLayer, Presentation,
    ProfileOption, ReportDocument, ResultContext, SegmentationImage, Tracking, binary_segmentation, check_object,
    codes, colour_capture, deidentify, encapsulated_pdf, key_objects, measurement_report, presentation_state,
    reidentify,
};

use crate::results::{device, labels, moment, origin, parsed, segment, title};
use crate::support::{File, edited, series, source};

/// Text, a date and a UID that must not be found in anything given out.
const SECRETS: [&[u8]; 3] = [b"Geheim", b"19870605", b"1.2.3.4.5.6"];

/// Explicit VR Big Endian, retired.
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

fn run(
    files: &[File],
    profile: &[ProfileOption],
    key: &mut DeidentificationKey,
) -> (Vec<Deidentified>, DeidentificationReport) {
    let options = DeidentifyOptions { profile: profile.to_vec(), ..DeidentifyOptions::default() };
    let mut out = Vec::new();
    let report = deidentify(&source(files), &Limits::default(), &options, key, &mut |file| {
        out.push(file);
        Ok(())
    });
    (out, report.unwrap())
}

fn key() -> DeidentificationKey {
    DeidentificationKey::new([42; 32])
}

/// Identity at the top, in nested sequences of both kinds of length, and in private groups, one of them with a sequence.
fn identify(object: &mut InMemDicomObject) {
    let put = |object: &mut InMemDicomObject, tag, vr, value: &str| {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    };
    let person = || {
        let mut item = InMemDicomObject::new_empty();
        put(&mut item, tags::PATIENT_NAME, VR::PN, "Geheim^Anna");
        put(&mut item, tags::PATIENT_BIRTH_DATE, VR::DA, "19870605");
        put(&mut item, tags::PATIENT_COMMENTS, VR::LT, "Geheim");
        put(&mut item, tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, "1.2.3.4.5.6");
        put(&mut item, Tag(0x0031, 0x0010), VR::LO, "GEHEIM MAKER");
        put(&mut item, Tag(0x0031, 0x1001), VR::LO, "Geheim");
        item
    };
    put(object, tags::PATIENT_NAME, VR::PN, "Geheim^Anna");
    put(object, tags::PATIENT_ID, VR::LO, "Geheim-1");
    put(object, tags::PATIENT_BIRTH_DATE, VR::DA, "19870605");
    put(object, tags::INSTITUTION_NAME, VR::LO, "Klinik Geheim");
    put(object, tags::REFERRING_PHYSICIAN_NAME, VR::PN, "Geheim^Doctor");
    put(object, tags::SERIES_DESCRIPTION, VR::LO, "Thorax Geheim");
    put(object, Tag(0x0029, 0x0010), VR::LO, "GEHEIM MAKER");
    put(object, Tag(0x0029, 0x1010), VR::UN, "Geheim");
    for (tag, length) in [(Tag(0x0029, 0x1011), Length::UNDEFINED), (tags::ANATOMIC_REGION_SEQUENCE, Length::UNDEFINED)]
    {
        let mut item = person();
        item.put(DataElement::new(tags::REFERENCED_IMAGE_SEQUENCE, VR::SQ, DataSetSequence::from(vec![person()])));
        object.put(DataElement::new(tag, VR::SQ, DataSetSequence::new(vec![item], length)));
    }
    object.put(DataElement::new(tags::REQUEST_ATTRIBUTES_SEQUENCE, VR::SQ, DataSetSequence::from(vec![person()])));
}

/// The first file of a fixture.
fn fixture(path: &PathBuf) -> File {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut bytes = Vec::new();
    archive.by_index(0).unwrap().read_to_end(&mut bytes).unwrap();
    // dicom-rs does not read meta information without its length.
    if bytes[132..136] != [2, 0, 0, 0] {
        let mut end = 132;
        while bytes[end..end + 2] == [2, 0] {
            end += 8 + usize::from(u16::from_le_bytes([bytes[end + 6], bytes[end + 7]]));
        }
        let length = (end as u32 - 132).to_le_bytes();
        bytes.splice(132..132, [&[2, 0, 0, 0, b'U', b'L', 4, 0][..], &length].concat());
    }
    bytes
}

/// Transfer syntax and data set of a file, inflated.
fn opened(file: &[u8]) -> (String, Vec<u8>) {
    let length = u32::from_le_bytes(file[140..144].try_into().unwrap()) as usize;
    let (meta, content) = file[144..].split_at(length);
    let at = meta.windows(6).position(|w| w == [2, 0, 0x10, 0, b'U', b'I']).unwrap();
    let size = usize::from(u16::from_le_bytes([meta[at + 6], meta[at + 7]]));
    let syntax = String::from_utf8_lossy(&meta[at + 8..at + 8 + size]).trim_end_matches('\0').to_owned();
    if syntax != uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
        return (syntax, content.to_vec());
    }
    let mut inflated = Vec::new();
    flate2::read::DeflateDecoder::new(content).read_to_end(&mut inflated).unwrap();
    (syntax, inflated)
}

/// The same data set, deflated.
fn deflated(file: &File) -> File {
    let (_, content) = opened(file);
    let mut object = dicom_object::from_reader(&file[..]).unwrap();
    object.update_meta(|meta| meta.transfer_syntax = uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN.into());
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    object.meta().write(&mut bytes).unwrap();
    let mut packed = flate2::write::DeflateEncoder::new(bytes, flate2::Compression::default());
    packed.write_all(&content).unwrap();
    packed.finish().unwrap()
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window.eq_ignore_ascii_case(what))
}

#[test]
fn every_transfer_syntax_loses_identity_and_keeps_pixels_and_comes_back() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/syntax");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // A bare data set has no transfer syntax to keep, and deflated ones dicom-rs does not read here: they are made below.
    paths.retain(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.ends_with(".zip") && !name.starts_with("bare") && !name.starts_with("deflated")
    });
    paths.sort();
    let mut cases: Vec<(String, File)> = paths
        .iter()
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), edited(&fixture(path), |o| identify(o))))
        .collect();
    let explicit = cases.iter().find(|(name, _)| name == "explicit-u12").unwrap().1.clone();
    cases.push(("deflated".into(), deflated(&explicit)));
    let mut syntaxes = BTreeSet::new();
    for (name, file) in cases {
        let (syntax, before) = opened(&file);
        for secret in SECRETS {
            assert!(holds(&before, secret), "{name}: {}", String::from_utf8_lossy(secret));
        }
        let mut kept = key();
        let (out, report) = run(std::slice::from_ref(&file), &[], &mut kept);
        assert_eq!(out.len(), 1, "{name}: {:?}", report.left_out);
        let (after_syntax, after) = opened(&out[0].bytes);
        assert_eq!(after_syntax, syntax, "{name}");
        for secret in SECRETS {
            assert!(!holds(&after, secret), "{name}: {}", String::from_utf8_lossy(secret));
        }
        // The element of the pixels is the last, and stands in the original to the bit.
        let tag = if syntax == BIG_ENDIAN { [0x7F, 0xE0, 0, 0x10] } else { [0xE0, 0x7F, 0x10, 0] };
        let at = after.windows(4).position(|window| window == tag).unwrap();
        let pixels = &after[at..];
        let small_frame = 12 * 16;
        assert!(pixels.len() > small_frame && before.windows(pixels.len()).any(|w| w == pixels), "{name}");
        let back = reidentify(&out[0].bytes, &kept, &Limits::default()).unwrap();
        assert_eq!(opened(&back.bytes), (syntax.clone(), before), "{name}");
        syntaxes.insert(syntax);
    }
    let known = [
        uids::IMPLICIT_VR_LITTLE_ENDIAN,
        uids::EXPLICIT_VR_LITTLE_ENDIAN,
        BIG_ENDIAN,
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        uids::RLE_LOSSLESS,
        "1.2.840.10008.1.2.4.57",
        "1.2.840.10008.1.2.4.70",
        "1.2.840.10008.1.2.4.80",
        "1.2.840.10008.1.2.4.90",
    ];
    for uid in known {
        assert!(syntaxes.contains(uid), "{uid} of {syntaxes:?}");
    }
}

/// All objects of one study: images, then results on them.
struct Study {
    images: Vec<File>,
    segmentation: File,
    report: File,
    presentation: File,
    keys: File,
    picture: File,
    named_picture: File,
    document: File,
}

impl Study {
    fn all(&self) -> Vec<File> {
        let results = [
            &self.segmentation,
            &self.report,
            &self.presentation,
            &self.keys,
            &self.picture,
            &self.named_picture,
            &self.document,
        ];
        self.images.iter().chain(results).cloned().collect()
    }
}

fn study() -> Study {
    let images: Vec<File> = series()
        .iter()
        .map(|file| {
            edited(file, |object| {
                object.put(DataElement::new(tags::PATIENT_NAME, VR::PN, PrimitiveValue::from("Geheim^Anna")));
                object.put(DataElement::new(tags::PATIENT_ID, VR::LO, PrimitiveValue::from("Geheim-1")));
                object.put(DataElement::new(tags::PATIENT_BIRTH_DATE, VR::DA, PrimitiveValue::from("19870605")));
            })
        })
        .collect();
    let origin = origin(&images);
    let (device, created) = (device(), moment("010203"));
    let context = ResultContext { origin: &origin, device: &device, created: &created };
    let labels = labels(&origin);
    let tracking = || Tracking::new("Right lung of Geheim", &context.tracking_uid("right lung")).unwrap();
    let segments = [(segment("a").with_tracking(tracking()), LabelSet { map: &labels, labels: &[1] })];
    let segmentation = binary_segmentation(&context, &title(), &segments).unwrap();
    let algorithm = Algorithm::new("net", "1.2", codes::ARTIFICIAL_INTELLIGENCE).unwrap();
    let volume = vec![Measurement::new(codes::VOLUME, 3.25, codes::MILLILITRE).unwrap()];
    let group = MeasurementGroup::new(tracking(), codes::LUNG, algorithm, volume)
        .unwrap()
        .with_region(segmentation.segment(0).unwrap());
    let report = MeasurementReport {
        procedure: codes::CT_OF_CHEST,
        groups: vec![group],
        comments: vec!["Frau Geheim, lung volume low".into()],
        schemes: Vec::new(),
        earlier: Vec::new(),
    };
    let report = measurement_report(&context, &report).unwrap();
    let pdf = b"%PDF-1.4\n% Geheim\n%%EOF\n";
    let document = encapsulated_pdf(&context, "Report", pdf, BurnedIn::Nothing).unwrap();
    let picture = |burned_in, number| {
        let rgb = vec![7; 7 * 5 * 3];
        let picture = ColourPicture { caption: "Of Geheim", shape: [7, 5], rgb: &rgb, number, burned_in };
        colour_capture(&context, &picture).unwrap()
    };
    let (plain, named) = (picture(BurnedIn::Nothing, 1), picture(BurnedIn::Identity, 2));
    let others = [&segmentation.file, &plain, &document];
    let keys = key_objects(&context, codes::OF_INTEREST, "Slice of Geheim", &[2, 9], &others).unwrap();
    let outline = Outline { slice: 2, points: vec![[0.0, 0.0], [2.0, 0.0], [2.0, 2.0]], closed: true };
    let layer = OutlineLayer { name: "LUNG", description: "Lung", colour: [9, 9, 9], outlines: vec![outline] };
    let presentation =
        Presentation { label: "OUTLINES", description: "Outlines", window_hu: [-600.0, 1500.0], layers: vec![layer] };
    let presentation = presentation_state(&context, &presentation).unwrap();
    let bytes = |file: &hilum_dicom::ResultFile| file.bytes().to_vec();
    Study {
        segmentation: bytes(&segmentation.file),
        report: bytes(&report),
        presentation: bytes(&presentation),
        keys: bytes(&keys),
        picture: bytes(&plain),
        named_picture: bytes(&named),
        document: bytes(&document),
        images,
    }
}

/// All UIDs of instances, frames of reference and tracking in an object, with where they stand.
fn references(object: &InMemDicomObject, found: &mut Vec<(Tag, String)>) {
    for element in object {
        if let Some(items) = element.items() {
            items.iter().for_each(|item| references(item, found));
        } else if element.vr() == VR::UI && !element.header().tag.eq(&tags::SOP_INSTANCE_UID) {
            let value = element.to_str().unwrap();
            found.extend(value.split('\\').map(|uid| (element.header().tag, uid.trim_end_matches('\0').to_owned())));
        }
    }
}

fn uid(object: &InMemDicomObject, tag: Tag) -> String {
    object.element(tag).unwrap().to_str().unwrap().trim_end_matches(['\0', ' ']).to_owned()
}

fn by_class<'a>(out: &'a [DefaultDicomObject], class: &str) -> Vec<&'a DefaultDicomObject> {
    out.iter().filter(|object| uid(object, tags::SOP_CLASS_UID) == class).collect()
}

#[test]
fn results_of_a_study_stay_of_one_piece() {
    let study = study();
    let mut kept = key();
    let (files, report) = run(&study.all(), &[ProfileOption::CleanStructuredContent], &mut kept);
    // The document, which cannot be searched, and the picture that says it names the patient are left out.
    assert_eq!(files.len(), study.images.len() + 5, "{:?}", report.left_out);
    assert_eq!(report.left_out.values().sum::<usize>(), 2);
    assert_eq!((report.patients, report.studies), (1, 1));
    let out: Vec<DefaultDicomObject> = files.iter().map(|file| parsed(&file.bytes)).collect();
    for file in &files {
        let found = SECRETS.iter().find(|secret| holds(&file.bytes, secret));
        assert!(found.is_none(), "{:?}", found.map(|secret| String::from_utf8_lossy(secret)));
        let checked = check_object(&file.bytes, &Limits::default()).unwrap();
        let errors: Vec<_> = checked.departures.iter().filter(|d| d.gravity == Gravity::Error).collect();
        assert!(errors.is_empty(), "{:?}: {errors:#?}", checked.class);
    }

    // Every UID that an original holds has one successor, whatever object it stands in.
    let originals: Vec<DefaultDicomObject> = study.all().iter().map(|file| parsed(file)).collect();
    let images: BTreeSet<String> =
        by_class(&out, uids::CT_IMAGE_STORAGE).iter().map(|object| uid(object, tags::SOP_INSTANCE_UID)).collect();
    assert_eq!(images.len(), study.images.len());
    let frames: BTreeSet<String> = out
        .iter()
        .filter_map(|object| object.get(tags::FRAME_OF_REFERENCE_UID))
        .map(|element| element.to_str().unwrap().trim_end_matches('\0').to_owned())
        .collect();
    assert_eq!(frames.len(), 1, "images and segmentation lie in one frame of reference");
    let given: BTreeSet<String> = out.iter().map(|object| uid(object, tags::SOP_INSTANCE_UID)).collect();
    let old: BTreeSet<String> = originals.iter().map(|object| uid(object, tags::SOP_INSTANCE_UID)).collect();
    let mut left_out = BTreeSet::new();
    for object in &out {
        let mut found = Vec::new();
        references(object, &mut found);
        for (tag, uid) in found {
            assert!(!old.contains(&uid), "{tag} leads to an original");
            if tag == tags::REFERENCED_SOP_INSTANCE_UID && !given.contains(&uid) {
                left_out.insert(uid);
            }
        }
    }
    assert_eq!(left_out.len(), 1, "only the document that was left out is named and not there");

    // Segmentation and report can be read, and mean the same thing.
    let seg = by_class(&out, uids::SEGMENTATION_STORAGE)[0];
    let place = out.iter().position(|object| std::ptr::eq(object, seg)).unwrap();
    let read = SegmentationImage::read(&files[place].bytes, &Limits::default()).unwrap();
    assert_eq!(read.segments.len(), 1);
    let mut tracking = Vec::new();
    references(seg, &mut tracking);
    let tracking = tracking.into_iter().find(|(tag, _)| *tag == tags::TRACKING_UID).unwrap().1;
    let sr = out.iter().position(|o| uid(o, tags::SOP_CLASS_UID) == uids::COMPREHENSIVE3_DSR_STORAGE).unwrap();
    let document = ReportDocument::read(&files[sr].bytes, &Limits::default()).unwrap();
    assert_eq!(document.groups.len(), 1);
    let group = &document.groups[0];
    assert_eq!(group.tracking_uid.as_deref(), Some(&tracking[..]));
    assert_eq!(group.segments[0].sop_instance_uid, uid(seg, tags::SOP_INSTANCE_UID));
    assert_eq!(group.measurements[0].quantity.as_ref().unwrap().value, 3.25);
    let evidence: BTreeSet<String> = document.evidence.iter().map(|e| e.sop_instance_uid.clone()).collect();
    assert!(images.is_subset(&evidence));

    // Presentation state and key objects lead to the images that were given out.
    for class in [uids::GRAYSCALE_SOFTCOPY_PRESENTATION_STATE_STORAGE, uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE] {
        let mut found = Vec::new();
        references(by_class(&out, class)[0], &mut found);
        assert!(
            found.iter().any(|(tag, uid)| *tag == tags::REFERENCED_SOP_INSTANCE_UID && images.contains(uid)),
            "{class}"
        );
    }

    // And all of it comes back.
    let contents: BTreeSet<Vec<u8>> = study.all().iter().map(|file| opened(file).1).collect();
    for file in &files {
        let back = reidentify(&file.bytes, &kept, &Limits::default()).unwrap();
        assert!(contents.contains(&opened(&back.bytes).1));
    }
}

#[test]
fn without_options_reports_lose_their_content_and_stay_valid() {
    let study = study();
    let mut kept = key();
    let (files, _) = run(&study.all(), &[], &mut kept);
    assert_eq!(files.len(), study.images.len() + 5);
    for file in &files {
        let checked = check_object(&file.bytes, &Limits::default()).unwrap();
        let errors: Vec<_> = checked.departures.iter().filter(|d| d.gravity == Gravity::Error).collect();
        // A selection of key objects whose content is taken out selects nothing, which its template does not foresee.
        assert!(errors.is_empty(), "{:?}: {errors:#?}", checked.class);
        assert!(!holds(&file.bytes, b"Geheim"), "{:?}", checked.class);
        let object = parsed(&file.bytes);
        if let Some(content) = object.get(tags::CONTENT_SEQUENCE) {
            assert_eq!(content.items().unwrap().len(), 1, "{:?}", checked.class);
        }
        let back = reidentify(&file.bytes, &kept, &Limits::default()).unwrap();
        assert!(study.all().iter().any(|original| opened(original).1 == opened(&back.bytes).1));
    }
    // A presentation state keeps what its images are and loses what was drawn on them.
    let file =
        files.iter().find(|file| holds(&file.bytes, uids::GRAYSCALE_SOFTCOPY_PRESENTATION_STATE_STORAGE.as_bytes()));
    let object = parsed(&file.unwrap().bytes);
    let annotations = object.element(tags::GRAPHIC_ANNOTATION_SEQUENCE).unwrap().items().unwrap();
    let layers = object.element(tags::GRAPHIC_LAYER_SEQUENCE).unwrap().items().unwrap();
    assert_eq!(annotations.len(), 1);
    assert_eq!(uid(&annotations[0], tags::GRAPHIC_LAYER), uid(&layers[0], tags::GRAPHIC_LAYER));
    let drawn = annotations[0].element(tags::GRAPHIC_OBJECT_SEQUENCE).unwrap().items().unwrap();
    assert_eq!(uid(&drawn[0], tags::GRAPHIC_TYPE), "POINT");
}

#[test]
fn pictures_that_may_name_the_patient_are_left_out_until_they_are_allowed_and_documents_always() {
    let study = study();
    let files = [study.picture.clone(), study.named_picture.clone(), study.document.clone()];
    let (out, report) = run(&files, &[], &mut key());
    assert_eq!((out.len(), report.left_out.len()), (1, 2), "{:?}", report.left_out);
    let allowed = DeidentifyOptions { keep_burnt_in: true, keep_faces: true, ..DeidentifyOptions::default() };
    let mut given = 0;
    let report = deidentify(&source(&files), &Limits::default(), &allowed, &mut key(), &mut |_| {
        given += 1;
        Ok(())
    });
    let report = report.unwrap();
    assert_eq!((given, report.left_out.len()), (2, 1), "the document stays out");
    assert!(report.warnings.iter().any(|warning| warning.contains("burnt into")));
}
