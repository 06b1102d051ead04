//! Results say what they should, of whom they should, twice the same.

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::{DefaultDicomObject, InMemDicomObject};
use hilum_dicom::{
    Algorithm, Code, CodingScheme, Device, LabelSet, Limits, Measurement, MeasurementGroup, MeasurementReport, Moment,
    Origin, ResultContext, Segment, SegmentationImage, SegmentationTitle, Tracking, binary_segmentation, codes,
    label_map_segmentation, load, measurement_report, probability_segmentation, scan,
};
use hilum_volume::{AxisOrder, Geometry, LabelMap, PatientPoint, Volume};

use crate::support::{File, series, source, with};

pub(crate) fn origin(files: &[File]) -> Origin {
    let scan = scan(&source(files), &Limits::default()).unwrap();
    let series = load(&scan, &scan.series()[0].series_uid, &|_| ()).unwrap();
    Origin::of(&scan, &series).unwrap()
}

pub(crate) fn device() -> Device {
    Device::new("Hilum", "hilum", "0", &["1.0".into()]).unwrap()
}

pub(crate) fn moment(time: &str) -> Moment {
    Moment::new("20260102", time).unwrap()
}

pub(crate) fn segment(label: &str) -> Segment {
    let algorithm = Algorithm::new("test", "1", codes::ARTIFICIAL_INTELLIGENCE).unwrap();
    Segment::new(label, codes::ANATOMICAL_STRUCTURE, codes::LUNG, algorithm, [10, 200, 30]).unwrap()
}

pub(crate) fn title() -> SegmentationTitle {
    SegmentationTitle::new("LUNGS", "Lungs", 1).unwrap()
}

/// Label 1 at the first voxel of slice 2, label 2 at the last of slice 9.
pub(crate) fn labels(origin: &Origin) -> LabelMap {
    let mut labels = Volume::filled(origin.geometry().clone(), 0u8);
    labels[[2, 0, 0]] = 1;
    let [_, rows, columns] = labels.shape();
    labels[[9, rows - 1, columns - 1]] = 2;
    LabelMap::new(labels)
}

pub(crate) fn parsed(bytes: &[u8]) -> DefaultDicomObject {
    dicom_object::from_reader(bytes).unwrap()
}

fn text(object: &InMemDicomObject, tag: dicom_core::Tag) -> String {
    object.element(tag).unwrap().to_str().unwrap().trim_end_matches(['\0', ' ']).to_owned()
}

#[test]
fn bits_lie_where_the_labels_do_and_empty_frames_are_left_out() {
    let origin = origin(&series());
    let (device, created) = (device(), moment("010203"));
    let context = ResultContext { origin: &origin, device: &device, created: &created };
    let labels = labels(&origin);
    let set = |labels_of: &'static [u8]| LabelSet { map: &labels, labels: labels_of };
    let segments = [(segment("a"), set(&[1])), (segment("none"), set(&[7])), (segment("both"), set(&[1, 2]))];
    let made = binary_segmentation(&context, &title(), &segments).unwrap();
    assert_eq!((made.numbers.as_slice(), made.frames), (&[Some(1), None, Some(2)][..], 3));
    let object = parsed(made.file.bytes());
    assert_eq!(text(&object, tags::SEGMENTS_OVERLAP), "YES");
    // Frames of 30 bits follow each other without a gap: the first bit of frames 0 and 1, the last of frame 2.
    let bits = object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
    let set: Vec<usize> = (0..8 * bits.len()).filter(|n| bits[n / 8] >> (n % 8) & 1 == 1).collect();
    assert_eq!(set, [0, 30, 89]);
}

#[test]
fn the_same_result_has_the_same_uid_at_any_hour_and_another_result_another() {
    let origin = origin(&series());
    let device = device();
    let labels = labels(&origin);
    let make = |time: &str, of: &'static [u8]| {
        let created = moment(time);
        let context = ResultContext { origin: &origin, device: &device, created: &created };
        binary_segmentation(&context, &title(), &[(segment("a"), LabelSet { map: &labels, labels: of })]).unwrap().file
    };
    assert_eq!(make("010203", &[1]), make("010203", &[1]));
    let (one, later, other) = (make("010203", &[1]), make("020304", &[1]), make("010203", &[2]));
    assert_eq!(one.sop_instance_uid(), later.sop_instance_uid());
    assert_ne!(one.bytes(), later.bytes());
    assert_ne!(one.sop_instance_uid(), other.sop_instance_uid());
    assert_eq!(one.series_uid(), other.series_uid());
}

#[test]
fn names_of_any_script_reach_the_result_in_utf8_and_no_debug_output() {
    let cases: [(&str, &[u8], &str); 7] = [
        ("ISO_IR 100", b"M\xFCller^Zo\xEB", "Müller^Zoë"),
        ("\\ISO 2022 IR 149", b"Hong^Gildong=\x1B$)C\xFB\xF3^\x1B$)C\xD1\xCE\xD4\xD7", "Hong^Gildong=洪^吉洞"),
        ("\\ISO 2022 IR 87", b"Yamada^Tarou=\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B", "Yamada^Tarou=山田^太郎"),
        // PS3.5 H.3.2: half-width katakana first, then kanji, then hiragana.
        (
            "ISO 2022 IR 13\\ISO 2022 IR 87",
            b"\xD4\xCF\xC0\xDE^\xC0\xDB\xB3=\x1B$B;3ED\x1B(J^\x1B$BB@O:\x1B(J=\x1B$B$d$^$@\x1B(J^\x1B$B$?$m$&\x1B(J",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
        ),
        // PS3.5 K.2.
        ("\\ISO 2022 IR 58", b"Zhang^XiaoDong=\x1B$)A\xD5\xC5^\x1B$)A\xD0\xA1\xB6\xAB", "Zhang^XiaoDong=张^小东"),
        ("GB18030", b"Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB", "Wang^XiaoDong=王^小东"),
        ("GBK", b"Wang^XiaoDong=\xCD\xF5^\xD0\xA1\x96\x7C", "Wang^XiaoDong=王^小東"),
    ];
    for (set, name, expected) in cases {
        let raw = |bytes: &[u8]| dicom_core::PrimitiveValue::U8(bytes.to_vec().into());
        let even = [name, &b" "[..name.len() % 2]].concat();
        let files: Vec<File> = series()
            .iter()
            .map(|f| with(&with(f, tags::SPECIFIC_CHARACTER_SET, VR::CS, set), tags::PATIENT_NAME, VR::PN, raw(&even)))
            .collect();
        let origin = origin(&files);
        let (device, created) = (device(), moment("010203"));
        let context = ResultContext { origin: &origin, device: &device, created: &created };
        let labels = labels(&origin);
        let sets = [(segment("a"), LabelSet { map: &labels, labels: &[1] })];
        let made = binary_segmentation(&context, &title(), &sets).unwrap();
        let object = parsed(made.file.bytes());
        assert_eq!(text(&object, tags::SPECIFIC_CHARACTER_SET), "ISO_IR 192");
        assert_eq!(text(&object, tags::PATIENT_NAME), expected, "{set}");
        let family = expected.split('^').next().unwrap();
        assert!(!format!("{context:?}").contains(family), "no patient in debug output");
    }
}

#[test]
fn a_segmentation_beside_its_images_is_no_damaged_file() {
    // Of one frame, and of several.
    for members in [&[1u8][..], &[1, 2]] {
        beside_its_images(members);
    }
}

fn beside_its_images(members: &[u8]) {
    let origin = origin(&series());
    let (device, created) = (device(), moment("010203"));
    let context = ResultContext { origin: &origin, device: &device, created: &created };
    let labels = labels(&origin);
    let sets = [(segment("a"), LabelSet { map: &labels, labels: members })];
    let made = binary_segmentation(&context, &title(), &sets).unwrap();
    let files = series().into_iter().chain([made.file.bytes().to_vec()]);
    let files = files.enumerate().map(|(n, file)| (n.to_string(), std::sync::Arc::from(file))).collect();
    let scan = scan(&hilum_dicom::Source::Memory(files), &Limits::default()).unwrap();
    assert!(scan.skipped().is_empty(), "{:?}", scan.skipped());
    let ct = scan.series().iter().find(|s| s.modality == "CT").unwrap();
    assert!(load(&scan, &ct.series_uid, &|_| ()).unwrap().notes.is_empty());
}

#[test]
fn repeated_instance_uids_leave_frames_without_an_image_but_in_their_place() {
    let files: Vec<File> = series().iter().map(|f| with(f, tags::SOP_INSTANCE_UID, VR::UI, "2.25.1")).collect();
    let origin = origin(&files);
    assert!(!origin.names_every_image());
    let (device, created) = (device(), moment("010203"));
    let context = ResultContext { origin: &origin, device: &device, created: &created };
    let labels = labels(&origin);
    let sets = [(segment("a"), LabelSet { map: &labels, labels: &[1] })];
    let object = parsed(binary_segmentation(&context, &title(), &sets).unwrap().file.bytes());
    let frames = object.element(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).unwrap().items().unwrap();
    let derivation = frames[0].element(tags::DERIVATION_IMAGE_SEQUENCE).unwrap().items().unwrap();
    assert!(derivation.is_empty());
    let place = &frames[0].element(tags::PLANE_POSITION_SEQUENCE).unwrap().items().unwrap()[0];
    let position = place.element(tags::IMAGE_POSITION_PATIENT).unwrap().to_multi_float64().unwrap();
    assert_eq!(position, origin.geometry().centre_of([2, 0, 0]).0);
}

#[test]
fn label_maps_and_probabilities_keep_their_numbers() {
    let origin = origin(&series());
    let (device, created) = (device(), moment("010203"));
    let context = ResultContext { origin: &origin, device: &device, created: &created };
    let labels = labels(&origin);
    let described = [(2, segment("two")), (1, segment("one")), (5, segment("none"))];
    let made = label_map_segmentation(&context, &title(), &labels, &described).unwrap();
    assert_eq!(made.numbers, [Some(2), Some(1), None]);
    let object = parsed(made.file.bytes());
    assert_eq!(text(&object, tags::SOP_CLASS_UID), uids::LABEL_MAP_SEGMENTATION_STORAGE);
    let pixels = object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
    assert_eq!((pixels[0], pixels[59], pixels.iter().filter(|p| **p > 0).count()), (1, 2, 2));

    let probability = labels.labels().map(|l| f32::from(*l) / 2.0);
    let made = probability_segmentation(&context, &title(), &[(segment("p"), &probability)]).unwrap();
    let pixels = parsed(made.file.bytes()).element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
    assert_eq!((pixels[0], pixels[59]), (128, 255));
}

#[test]
fn what_would_be_invalid_is_not_made() {
    let origin = origin(&series());
    let (device, created) = (device(), moment("010203"));
    let context = ResultContext { origin: &origin, device: &device, created: &created };
    let labels = labels(&origin);
    let other_grid = Geometry::axial(origin.geometry().shape(), PatientPoint([0.0; 3]), [2.0, 0.7, 0.6]).unwrap();
    let elsewhere = LabelMap::new(Volume::filled(other_grid, 1u8));
    let of = |map, labels| [(segment("a"), LabelSet { map, labels })];
    assert!(binary_segmentation(&context, &title(), &of(&elsewhere, &[1])).is_err(), "another grid");
    assert!(binary_segmentation(&context, &title(), &of(&labels, &[9])).is_err(), "no voxel");
    assert!(binary_segmentation(&context, &title(), &[]).is_err(), "no segment");
    let one = |n| vec![(n, segment("a"))];
    assert!(label_map_segmentation(&context, &title(), &labels, &one(1)).is_err(), "label 2 is not described");
    let twice = [one(1), one(2), one(2)].concat();
    assert!(label_map_segmentation(&context, &title(), &labels, &twice).is_err(), "described twice");
    let beyond = labels.labels().map(|l| f32::from(*l));
    assert!(probability_segmentation(&context, &title(), &[(segment("p"), &beyond)]).is_err(), "above 1");
    assert!(SegmentationTitle::new("lower case", "x", 1).is_err());
    assert!(Device::new("Hilum", "hilum", "", &["1".into()]).is_err());
    assert!(Moment::new("2026-01-02", "010203").is_err());
}

const PRIVATE: Code = Code::new("po", "99TEST", "Percentage of opacity");

fn group(uid: &str, concept: Code, value: f64, unit: Code) -> MeasurementGroup {
    let algorithm = Algorithm::new("test", "1", codes::ARTIFICIAL_INTELLIGENCE).unwrap();
    let measurements = vec![Measurement::new(concept, value, unit).unwrap()];
    MeasurementGroup::new(Tracking::new("a", uid).unwrap(), codes::LUNG, algorithm, measurements).unwrap()
}

fn report(groups: Vec<MeasurementGroup>) -> MeasurementReport {
    MeasurementReport {
        procedure: codes::CT_OF_CHEST,
        groups,
        comments: vec!["A\tremark".into()],
        schemes: vec![],
        earlier: vec![],
    }
}

/// All items of a report, depth first.
fn walk(object: &InMemDicomObject, visit: &mut dyn FnMut(&InMemDicomObject)) {
    visit(object);
    for item in object.element(tags::CONTENT_SEQUENCE).ok().and_then(|e| e.items()).unwrap_or_default() {
        walk(item, visit);
    }
}

#[test]
fn a_report_gives_numbers_exactly_and_names_the_segment_they_were_measured_on() {
    let origin = origin(&series());
    let (device, created) = (device(), moment("010203"));
    let context = ResultContext { origin: &origin, device: &device, created: &created };
    let labels = labels(&origin);
    let sets = [7u8, 2].map(|l| (segment("a"), [l]));
    let sets: Vec<_> = sets.iter().map(|(s, l)| (s.clone(), LabelSet { map: &labels, labels: l })).collect();
    let made = binary_segmentation(&context, &title(), &sets).unwrap();
    assert_eq!((made.segment(0), made.segment(2)), (None, None), "without voxels there is no segment to refer to");
    let third = 1.0 / 3.0;
    let groups = vec![
        group("1.2.3", codes::VOLUME, third, codes::MILLILITRE).with_region(made.segment(1).unwrap()),
        group("1.2.4", codes::NUMBER_OF_LESIONS, 2.0, codes::NO_UNITS),
    ];
    let file = measurement_report(&context, &report(groups)).unwrap();
    let object = parsed(file.bytes());
    assert_eq!(text(&object, tags::SOP_CLASS_UID), uids::COMPREHENSIVE3_DSR_STORAGE);
    let (mut numbers, mut segments) = (Vec::new(), Vec::new());
    walk(&object, &mut |item| {
        if let Ok(value) = item.element(tags::MEASURED_VALUE_SEQUENCE) {
            let value = &value.items().unwrap()[0];
            let exact = value.element(tags::FLOATING_POINT_VALUE).ok().map(|v| v.to_float64().unwrap());
            numbers.push((text(value, tags::NUMERIC_VALUE), exact));
        }
        if let Ok(of) = item.element(tags::REFERENCED_SOP_SEQUENCE) {
            let of = &of.items().unwrap()[0];
            if let Ok(number) = of.element(tags::REFERENCED_SEGMENT_NUMBER) {
                segments.push((text(of, tags::REFERENCED_SOP_INSTANCE_UID), number.to_int::<u16>().unwrap()));
            }
        }
    });
    assert_eq!(numbers, [("0.33333333333333".to_owned(), Some(third)), ("2".to_owned(), None)]);
    assert_eq!(segments, [(made.file.sop_instance_uid().to_owned(), 1)]);
}

#[test]
fn what_would_be_an_invalid_report_is_not_made() {
    let origin = origin(&series());
    let (device, created) = (device(), moment("010203"));
    let context = ResultContext { origin: &origin, device: &device, created: &created };
    let volume = |uid| group(uid, codes::VOLUME, 1.0, codes::MILLILITRE);
    assert!(measurement_report(&context, &report(vec![])).is_err(), "no group");
    assert!(measurement_report(&context, &report(vec![volume("1.2"), volume("1.2")])).is_err(), "one UID for two");
    let private = report(vec![group("1.2", PRIVATE, 1.0, codes::PERCENT)]);
    assert!(measurement_report(&context, &private).is_err(), "a private code nobody explains");
    let explained = MeasurementReport { schemes: vec![CodingScheme::new("99TEST", "Tests", "Hilum")], ..private };
    assert!(measurement_report(&context, &explained).is_ok());
    assert!(Measurement::new(codes::VOLUME, f64::NAN, codes::MILLILITRE).is_err());
    assert!(Measurement::new(codes::VOLUME, 1.0, codes::MEAN).is_err(), "not a unit");
    assert!(Tracking::new("a", "not a uid").is_err());
}

#[test]
fn a_segmentation_comes_back_voxel_by_voxel_on_a_grid_in_any_memory_order() {
    let origin = origin(&series());
    let (device, created) = (device(), moment("010203"));
    let context = ResultContext { origin: &origin, device: &device, created: &created };
    let labels = labels(&origin);
    let described = [(1, segment("one")), (2, segment("two"))];
    let sets = [[1u8], [2]];
    let binary: Vec<_> =
        described.iter().zip(&sets).map(|((_, s), l)| (s.clone(), LabelSet { map: &labels, labels: l })).collect();
    let probability = labels.labels().map(|l| f32::from(*l) / 3.0);
    let files = [
        binary_segmentation(&context, &title(), &binary).unwrap(),
        label_map_segmentation(&context, &title(), &labels, &described).unwrap(),
        probability_segmentation(&context, &title(), &[(segment("p"), &probability)]).unwrap(),
    ];
    for (form, made) in files.iter().enumerate() {
        let read = SegmentationImage::read(made.file.bytes(), &Limits::default()).unwrap();
        assert_eq!(read.source_series_uids, [origin.series_uid()]);
        for order in AxisOrder::all() {
            let there = labels.reordered(order);
            let back = read.label_map(there.geometry(), |s| Some(s.number as u8)).unwrap();
            // Of the probabilities 1/3 and 2/3 only the second is decided for.
            let expected = if form == 2 { LabelMap::new(there.labels().map(|l| u8::from(*l == 2))) } else { there };
            assert_eq!(back, expected, "form {form}, {order:?}");
        }
    }
    let read = SegmentationImage::read(files[0].file.bytes(), &Limits::default()).unwrap();
    assert_eq!(read.segments[0].property, ("39607008".to_owned(), "SCT".to_owned()));
    let shifted = Geometry::axial([12, 6, 5], PatientPoint([-20.3, -30.5, 100.25]), [2.0, 0.7, 0.6]).unwrap();
    assert!(read.mask(1, &shifted).is_err(), "half a pixel beside the grid");
    assert!(read.mask(9, origin.geometry()).is_err(), "no such segment");
    let whole = files[0].file.bytes();
    for cut in [0, 100, whole.len() / 2, whole.len() - 1] {
        assert!(SegmentationImage::read(&whole[..cut], &Limits::default()).is_err(), "cut at {cut}");
    }
    assert!(SegmentationImage::read(&series()[0], &Limits::default()).is_err(), "a CT image is no segmentation");
}
