//! Objects held against the standard: what is right is found right, and each kind of mistake is named.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::FileDicomObject;
use hilum_dicom::{
    CtSeriesDescription, Gravity, Limits, ListedValue, SkipReason, check_object, check_together, ct_images,
    list_elements,
};
use hilum_volume::{Geometry, PatientPoint, Volume};

type Object = FileDicomObject<dicom_object::InMemDicomObject>;

fn images() -> Vec<Vec<u8>> {
    let grid = Geometry::axial([3, 4, 5], PatientPoint([-10.0, -20.0, 30.0]), [2.0, 0.7, 0.6]).unwrap();
    let ct = Volume::filled(grid, -850i16);
    ct_images(&ct, &CtSeriesDescription::default()).map(|i| i.unwrap().bytes).collect()
}

fn changed(file: &[u8], change: impl Fn(&mut Object)) -> Vec<u8> {
    let mut object = dicom_object::from_reader(file).unwrap();
    change(&mut object);
    let mut bytes = Vec::new();
    object.write_all(&mut bytes).unwrap();
    bytes
}

/// In Implicit VR Little Endian, where every element may have more than 64 KiB.
fn changed_long(file: &[u8], change: impl Fn(&mut Object)) -> Vec<u8> {
    changed(file, |object| {
        object.update_meta(|meta| meta.transfer_syntax = dicom_dictionary_std::uids::IMPLICIT_VR_LITTLE_ENDIAN.into());
        change(object);
    })
}

fn problems(file: &[u8]) -> Vec<(Gravity, String)> {
    let checked = check_object(file, &Limits::default()).unwrap();
    checked.departures.into_iter().map(|d| (d.gravity, format!("{} {}", d.place, d.problem))).collect()
}

#[test]
fn our_own_images_are_right() {
    let checked: Vec<_> = images().iter().map(|f| check_object(f, &Limits::default()).unwrap()).collect();
    for object in &checked {
        assert_eq!(object.class, Some("CT Image"));
        assert!(object.departures.is_empty(), "{:?}", object.departures);
    }
    assert!(check_together(&checked).is_empty());
}

#[test]
fn results_of_others_have_no_errors_that_are_ours() {
    // highdicom and dcmqi write what dciodvfy accepts: whatever is called an error here would be a mistake of this check.
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/results");
    let (mut seen, mut wrong) = (0, Vec::new());
    for name in
        ["hd-binary", "hd-probability", "hd-labelmap", "hd-sr", "hd-sr3d", "dcmqi", "dcmqi-sr", "hd-binary-implicit"]
    {
        let file = std::fs::read(folder.join(format!("{name}.dcm"))).unwrap();
        let errors: Vec<_> = problems(&file).into_iter().filter(|(g, _)| *g == Gravity::Error).collect();
        if !errors.is_empty() {
            wrong.push(format!("{name}: {errors:?}"));
        }
        seen += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(seen, 8);
}

#[test]
fn each_mistake_is_named() {
    let text = |tag, vr, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
    type Change = Box<dyn Fn(&mut Object)>;
    let cases: Vec<(&str, Change)> = vec![
        (
            "KVP is missing",
            Box::new(|o| {
                o.remove_element(tags::KVP);
            }),
        ),
        (
            "ImagePositionPatient is missing",
            Box::new(|o| {
                o.remove_element(tags::IMAGE_POSITION_PATIENT);
            }),
        ),
        ("PatientSex is none of M, F, O", Box::new(move |o| drop(o.put(text(tags::PATIENT_SEX, VR::CS, "W"))))),
        ("Modality is not CT", Box::new(move |o| drop(o.put(text(tags::MODALITY, VR::CS, "MR"))))),
        ("StudyDate is no date", Box::new(move |o| drop(o.put(text(tags::STUDY_DATE, VR::DA, "20261345"))))),
        (
            "BitsStored is more than",
            Box::new(|o| drop(o.put(DataElement::new(tags::BITS_STORED, VR::US, PrimitiveValue::from(17u16))))),
        ),
        (
            "HighBit is not one less",
            Box::new(|o| drop(o.put(DataElement::new(tags::HIGH_BIT, VR::US, PrimitiveValue::from(3u16))))),
        ),
        (
            "PixelSpacing has 3 values, not 2",
            Box::new(move |o| drop(o.put(text(tags::PIXEL_SPACING, VR::DS, "1\\1\\1")))),
        ),
        (
            "not two unit vectors",
            Box::new(move |o| drop(o.put(text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\1\\0\\0")))),
        ),
        ("RescaleSlope is 0", Box::new(move |o| drop(o.put(text(tags::RESCALE_SLOPE, VR::DS, "0"))))),
        (
            "size, frames and bits need",
            Box::new(|o| drop(o.put(DataElement::new(tags::ROWS, VR::US, PrimitiveValue::from(400u16))))),
        ),
        (
            "is written as LO, not as CS",
            Box::new(move |o| drop(o.put(text(tags::BODY_PART_EXAMINED, VR::LO, "CHEST")))),
        ),
    ];
    let file = &images()[0];
    for (said, change) in cases {
        let found = problems(&changed(file, change));
        assert!(found.iter().any(|(g, p)| *g == Gravity::Error && p.contains(said)), "{said}: {found:?}");
        assert!(found.len() <= 3, "{said}: nothing else is the matter: {found:?}");
    }
    let mut executable = file.clone();
    executable[..2].copy_from_slice(b"MZ");
    assert!(problems(&executable).iter().any(|(_, p)| p.contains("executable")));
    let at = 132 + 12 + u32::from_le_bytes(file[140..144].try_into().unwrap()) as usize;
    let cut = &file[..file.len() - 10];
    assert!(problems(cut).iter().any(|(_, p)| p.contains("cut short")));
    assert!(check_object(&file[at..at + 20], &Limits::default()).is_err());
}

#[test]
fn what_objects_say_of_each_other_is_compared() {
    let files = images();
    let check = |files: &[Vec<u8>]| {
        let all: Vec<_> = files.iter().map(|f| check_object(f, &Limits::default()).unwrap()).collect();
        check_together(&all).into_iter().map(|d| format!("{} {}", d.place, d.problem)).collect::<Vec<_>>()
    };
    let put = |file: &[u8], tag, vr, value: &str| {
        changed(file, |o| drop(o.put(DataElement::new(tag, vr, PrimitiveValue::from(value)))))
    };
    let twice = [files.clone(), vec![files[0].clone()]].concat();
    assert!(check(&twice).iter().any(|p| p.contains("2 objects have this SOP Instance UID")));
    for (tag, vr, value, said) in [
        (tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3", "of several studies"),
        (tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.3", "2 frames of reference"),
        (tags::PATIENT_ID, VR::LO, "somebody else", "name the patient in 2 ways"),
        (tags::INSTANCE_NUMBER, VR::IS, "2", "Instance Numbers are there more than once"),
    ] {
        let mut other = files.clone();
        other[0] = put(&files[0], tag, vr, value);
        let found = check(&other);
        assert!(found.iter().any(|p| p.contains(said)), "{said}: {found:?}");
        assert!(!found.join(" ").contains("somebody"), "no values are told");
    }
}

/// Outlines of a CT have more numbers than an object may have elements; what their text takes has a limit of its own.
#[test]
fn millions_of_numbers_are_listed_within_their_memory() {
    const COUNT: usize = 1_200_000;
    let numbers: Vec<f32> = (0..COUNT).map(|n| n as f32 / 4.0).collect();
    let outlined = changed_long(&images()[0], |object| {
        object.put(DataElement::new(tags::GRAPHIC_DATA, VR::FL, PrimitiveValue::F32(numbers.as_slice().into())));
    });
    let listed = list_elements(&outlined, &Limits::default()).unwrap();
    let graphic = listed.iter().find(|e| e.keyword == "GraphicData").unwrap();
    let ListedValue::Values(values) = &graphic.value else { panic!("{:?}", graphic.vr) };
    assert_eq!(values.len(), COUNT);
    assert!(values.iter().zip(&numbers).all(|(text, number)| text.parse() == Ok(*number)));
    assert!(check_object(&outlined, &Limits::default()).is_ok());

    let scarce = Limits { max_listed_bytes: 100_000, ..Limits::default() };
    assert_eq!(list_elements(&outlined, &scarce), Err(SkipReason::TooLarge));
    let text = changed_long(&images()[0], |object| {
        object.put(DataElement::new(tags::IMAGE_COMMENTS, VR::LT, "a\\b ".repeat(40_000)));
    });
    assert_eq!(list_elements(&text, &scarce), Err(SkipReason::TooLarge));
    let listed = list_elements(&text, &Limits::default()).unwrap();
    let comments = listed.iter().find(|e| e.keyword == "ImageComments").unwrap();
    let ListedValue::Values(values) = &comments.value else { panic!("{:?}", comments.vr) };
    assert_eq!(values.len(), 1, "a backslash parts no values of a long text");
    assert_eq!(values.iter().next(), Some(values.joined()));
}
