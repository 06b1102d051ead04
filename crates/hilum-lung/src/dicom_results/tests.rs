//! Results of a phantom's own truth: what is written is what is known.

use std::collections::BTreeSet;
use std::sync::Arc;

use hilum_dicom::{
    Concept, CtSeriesDescription, Device, EvaluationValue, Gravity, Limits, ListedValue, Moment, Origin,
    ReportDocument, ReportedGroup, SegmentationImage, Source, check_object, ct_images, list_elements, load, scan,
};
use hilum_findings::{FindingsInput, FollowUp, KindMethod, LesionFate, Software, measure};
use hilum_phantom::{Anatomy, Disease, PhantomOptions, Variant};

use super::*;
use crate::{FollowUpMaps, ReadStudy, ReportedStudy, Study, StudyFacts};

/// A phantom's series with its truth as the finding.
struct Case {
    origin: Origin,
    volume: Volume<i16>,
    findings: Findings,
    lobes: LabelMap,
    labels: LabelMap,
}

fn case(variant: Variant, disease: Disease) -> Case {
    case_of(variant, &Anatomy::new(1, disease), &CtSeriesDescription::default(), <[u8]>::to_vec)
}

/// A case whose files were changed on the way.
fn case_of(
    variant: Variant,
    anatomy: &Anatomy,
    description: &CtSeriesDescription,
    change: impl Fn(&[u8]) -> Vec<u8>,
) -> Case {
    let options =
        PhantomOptions { variant, matrix: Some(80), slice_spacing_mm: Some(7.0), ..PhantomOptions::default() };
    let (hu, _) = anatomy.sample(&options.geometry(), &options.scanner());
    let images = ct_images(&hu, description);
    let files = images.map(|i| i.unwrap()).map(|i| (i.slice.to_string(), Arc::from(change(&i.bytes)))).collect();
    let scan = scan(&Source::Memory(files), &Limits::default()).unwrap();
    let series = load(&scan, &scan.series()[0].series_uid, &|_| ()).unwrap();
    let origin = Origin::of(&scan, &series).unwrap();
    let study = Study::from_dicom(series, None);
    let truth = anatomy.truth(study.volume.geometry());
    let measured = measure(&study.volume, &truth.lobes, &truth.lesions, None).unwrap();
    let findings = Findings::analysed(FindingsInput {
        product: "test".into(),
        software: Software { name: "hilum".into(), version: "0.1.0".into(), commit: None },
        models: vec![],
        series: study.series.clone(),
        measurements: &measured,
        kind_method: KindMethod::Network,
        kind_method_text: "Known.".into(),
        lesion_interval: None,
        slice_probability_text: String::new(),
        fissures: vec![],
        quality_notes: vec![],
        partial_lungs: None,
        out_of_distribution: Default::default(),
        classification: Default::default(),
        not_known: vec![],
    });
    let lobes = truth.lobes.clone();
    Case { origin, volume: study.volume, findings, lobes, labels: truth.into_labels() }
}

fn results(case: &Case, form: SegmentationForm) -> DicomResults {
    results_after(case, form, &[], None)
}

fn results_after(
    case: &Case,
    form: SegmentationForm,
    earlier: &[EarlierStudy],
    change: Option<&LabelMap>,
) -> DicomResults {
    let device = Device::new("Hilum", "hilum", "0", &["0.1.0".into()]).unwrap();
    let created = Moment::new("20260102", "030405").unwrap();
    let context = ResultContext { origin: &case.origin, device: &device, created: &created };
    let picture = ("A picture.".to_owned(), [2, 3], vec![7u8; 18]);
    let input = DicomInput {
        lesion_probability: None,
        earlier,
        change,
        findings: &case.findings,
        labels: &case.labels,
        lobes: &case.lobes,
        form,
        given: Given::default(),
        pdf: Some(b"%PDF-1.7"),
        first_page: Some(([2, 3], &[9; 18])),
        report_names_patient: true,
        pictures: &[picture],
    };
    dicom_results(&context, &input).unwrap()
}

fn names(results: &DicomResults) -> Vec<&str> {
    results.files.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_diseased_chest_has_every_result_however_it_was_scanned() {
    for variant in [Variant::Small, Variant::Oblique, Variant::LeftHanded, Variant::TiltedGantry] {
        let case = case(variant, Disease::Covid);
        let results = results(&case, SegmentationForm::Binary);
        let expected = [
            "segmentation.dcm",
            "lesions.dcm",
            "measurements.dcm",
            "outlines.dcm",
            "report.dcm",
            "summary.dcm",
            "picture-1.dcm",
            "key-images.dcm",
        ];
        assert_eq!(names(&results), expected, "{}", variant.name());
        assert!(results.notes.is_empty());
        let uids: BTreeSet<&str> = results.files.iter().map(|(_, f)| f.sop_instance_uid()).collect();
        assert_eq!(uids.len(), expected.len(), "every object has a UID of its own");
        if let Some(folder) = std::env::var_os("HILUM_RESULTS") {
            // For reading with other programs.
            let folder = std::path::Path::new(&folder).join(variant.name());
            std::fs::create_dir_all(&folder).unwrap();
            for (name, file) in &results.files {
                std::fs::write(folder.join(name), file.bytes()).unwrap();
            }
        }
    }
}

#[test]
fn a_healthy_chest_has_no_lesions_and_nothing_to_refer_to_in_them() {
    let case = case(Variant::Small, Disease::Healthy);
    let results = results(&case, SegmentationForm::Binary);
    assert!(!names(&results).contains(&"lesions.dcm"));
    assert!(names(&results).contains(&"measurements.dcm"));
}

#[test]
fn a_label_map_and_probabilities_come_beside_the_binary_form() {
    let case = case(Variant::Small, Disease::Covid);
    let plain = results(&case, SegmentationForm::Binary);
    let results = results(&case, SegmentationForm::LabelMap);
    let of = |name: &str| results.files.iter().find(|(n, _)| n == name).map(|(_, file)| file);
    let label_map = of("labelmap.dcm").expect("it was asked for");
    assert_eq!(label_map.sop_class_uid(), "1.2.840.10008.5.1.4.1.1.66.7");
    let read = hilum_dicom::SegmentationImage::read(label_map.bytes(), &Limits::default()).unwrap();
    let labels = read.label_map(case.labels.geometry(), |s| Some(s.number as u8)).unwrap();
    assert_eq!(labels, case.labels);
    // What others refer to is the binary form, whatever lies beside it.
    let same = |name: &str| {
        plain.files.iter().find(|(n, _)| n == name).map(|(_, f)| f.bytes()) == of(name).map(ResultFile::bytes)
    };
    assert!(same("segmentation.dcm") && same("lesions.dcm") && same("measurements.dcm"));
    assert_eq!(results.files.len(), plain.files.len() + 1);

    // The network's probability, here known: one eighth steps on a grid of its own, half as fine.
    let grid = case.labels.geometry();
    let shape = grid.shape().map(|n| n.div_ceil(2));
    let spacing = grid.spacing_mm().map(|mm| 2.0 * mm);
    let coarse = hilum_volume::Geometry::new(shape, grid.origin(), grid.axes(), spacing).unwrap();
    let mut probability = Volume::filled(coarse, 0u8);
    probability.data_mut().iter_mut().enumerate().for_each(|(n, p)| *p = 51 * (n % 6) as u8);
    let file = probability_file(&case, &probability);
    let read = hilum_dicom::SegmentationImage::read(file.bytes(), &Limits::default()).unwrap();
    assert_eq!(read.form, hilum_dicom::SegmentationForm::Probability);
    let fractions = read.fractions(1, grid).unwrap();
    for [s, r, c] in [[0, 0, 2], [4, 6, 8], [2, 2, 10]] {
        let known = f32::from(probability[[s / 2, r / 2, c / 2]]) / 255.0;
        assert!((fractions[[s, r, c]] - known).abs() < 0.5 / 255.0, "{} is {known}", fractions[[s, r, c]]);
    }
}

fn probability_file(case: &Case, probability: &Volume<u8>) -> ResultFile {
    let device = Device::new("Hilum", "hilum", "0", &["0.1.0".into()]).unwrap();
    let created = Moment::new("20260102", "030405").unwrap();
    let context = ResultContext { origin: &case.origin, device: &device, created: &created };
    let input = DicomInput {
        findings: &case.findings,
        labels: &case.labels,
        lobes: &case.lobes,
        lesion_probability: Some(probability),
        earlier: &[],
        change: None,
        given: Given::default(),
        form: SegmentationForm::Fractional,
        pdf: None,
        first_page: None,
        report_names_patient: true,
        pictures: &[],
    };
    let results = dicom_results(&context, &input).unwrap();
    results.files.into_iter().find(|(name, _)| name == "probability.dcm").expect("it was asked for").1
}

/// The patient at `date`, lesions grown by `growth` along each axis.
fn visit(date: &str, growth: f32) -> Case {
    let description = CtSeriesDescription { seed: date.into(), date: date.into(), ..CtSeriesDescription::default() };
    let anatomy =
        if growth > 0.0 { Anatomy::with_growth(1, Disease::Covid, growth) } else { Anatomy::new(1, Disease::Healthy) };
    case_of(Variant::Small, &anatomy, &description, <[u8]>::to_vec)
}

fn read_study(case: &Case) -> ReadStudy {
    ReadStudy {
        findings: case.findings.clone(),
        labels: case.labels.clone(),
        lobes: case.lobes.clone(),
        ct: Some(case.volume.clone()),
        facts: StudyFacts { date: case.origin.identity().study_date, ..StudyFacts::default() },
    }
}

/// The case with its follow-up, and the maps.
fn followed(mut case: Case, earlier: &[&Case]) -> (Case, FollowUpMaps) {
    let result = crate::follow_up(&read_study(&case), earlier.iter().map(|c| read_study(c)).collect(), vec![]);
    case.findings = case.findings.with_follow_up(result.follow_up);
    (case, result.maps.expect("the phantoms fit"))
}

fn file<'a>(results: &'a DicomResults, name: &str) -> &'a [u8] {
    results.files.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("there is {name}")).1.bytes()
}

fn report_of(results: &DicomResults) -> ReportDocument {
    ReportDocument::read(file(results, "measurements.dcm"), &Limits::default()).unwrap()
}

fn at_order(report: &ReportDocument, order: f64) -> Vec<&ReportedGroup> {
    let is_at = |g: &&ReportedGroup| g.circumstance(codes::TIME_POINT_ORDER).is_some_and(|o| o.value == order);
    report.groups.iter().filter(is_at).collect()
}

fn value(group: &ReportedGroup, concept: Code) -> f64 {
    group.measurement(concept).and_then(|m| m.quantity.as_ref()).unwrap_or_else(|| panic!("{concept:?}")).value
}

fn judged(group: &ReportedGroup, concept: Code) -> Vec<Concept> {
    let named = group.evaluations.iter().filter(|e| e.concept.is(concept));
    named.filter_map(|e| if let EvaluationValue::Code(code) = &e.value { Some(code.clone()) } else { None }).collect()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9 * b.abs().max(1.0)
}

#[test]
fn a_report_says_what_was_before_and_follows_lesions_through_three_studies() {
    let first = visit("20260901", 1.0);
    let first_results = results(&first, SegmentationForm::Binary);
    let first_report = report_of(&first_results);
    let (second, maps) = followed(visit("20261001", 1.25), &[&first]);
    let earlier = EarlierStudy::of_report(&first_report, Some("20260901")).unwrap();
    let results = results_after(&second, SegmentationForm::Binary, &[earlier], Some(&maps.change));
    for (name, file) in &results.files {
        let checked = check_object(file.bytes(), &Limits::default());
        assert!(
            checked.as_ref().is_ok_and(|c| !c.departures.iter().any(|d| d.gravity == Gravity::Error)),
            "{name}: {checked:?}"
        );
    }
    let report = report_of(&results);
    assert_eq!(report.unread_items, 0);

    // The earlier images and segmentations are named, with their study.
    let of_first = report.evidence.iter().filter(|e| e.study_uid == first.origin.study_uid());
    let (images, others): (Vec<_>, Vec<_>) = of_first.partition(|e| e.series_uid == first.origin.series_uid());
    assert_eq!(images.len(), first.volume.shape()[0]);
    assert_eq!(others.len(), 2, "segmentation and lesions: {others:?}");
    assert_eq!(report.image_library.len(), first.volume.shape()[0] + second.volume.shape()[0]);
    let predecessors: Vec<_> = report.predecessors.iter().map(|p| p.sop_instance_uid.as_str()).collect();
    assert_eq!(predecessors, [first_report.sop_instance_uid.as_str()]);

    // Lobe by lobe.
    let (before, now) = (at_order(&report, 1.0), at_order(&report, 2.0));
    assert_eq!(before.len() + now.len(), report.groups.len(), "every group says its time point");
    let comparison = second.findings.follow_up.as_ref().and_then(|f| f.comparison.as_ref()).unwrap();
    for region in &comparison.regions {
        let what = match &region.name[..] {
            "lungs" => "Both lungs".to_owned(),
            "right" | "left" => capital(&format!("{} lung", region.name)),
            lobe => capital(Lobe::ALL.into_iter().find(|l| l.abbreviation() == lobe).unwrap().name()),
        };
        let find = |groups: &[&ReportedGroup]| {
            let found = groups.iter().find(|g| g.tracking_id.as_deref() == Some(&what));
            (*found.unwrap_or_else(|| panic!("{what}"))).clone()
        };
        let (then, today) = (find(&before), find(&now));
        assert_eq!(then.tracking_uid, today.tracking_uid, "{what}");
        let of_first = first_report.groups.iter().find(|g| g.tracking_id.as_deref() == Some(&what)).unwrap();
        assert_eq!(then.tracking_uid, of_first.tracking_uid, "{what}");
        // The whole is rounded, and so are the five lobes that a region is put together from.
        let near = |a: f64, b: f64| (a - b).abs() < 0.0031;
        assert!(near(value(&then, own::OPACITY_VOLUME), region.earlier_ml), "{what}");
        assert!(near(value(&today, own::OPACITY_VOLUME), region.ml), "{what}");
        assert!(close(value(&today, own::OPACITY_CHANGE), region.change_ml), "{what}");
        let change = today.measurement(own::OPACITY_CHANGE).unwrap();
        let [lower, upper] = change.uncertainty.clone().map(|u| u.unwrap().value);
        assert!(close(lower, region.uncertainty_ml) && close(upper, region.uncertainty_ml), "{what}");
        if region.name != "lungs" {
            assert_eq!(then.segments, of_first.segments, "{what} before is the segment that was measured then");
        }
    }
    let both = now.iter().find(|g| g.tracking_id.as_deref() == Some("Both lungs")).unwrap();
    assert!(judged(both, own::OPACITY_TREND)[0].is(codes::INCREASED));
    let offset = |group: &ReportedGroup| group.circumstances.iter().find(|(n, _)| n.value == "128740").unwrap().1.value;
    assert_eq!((offset(before[0]), offset(now[0])), (0.0, 30.0), "days from the first study");

    // Lesion by lesion.
    let lesions = SegmentationImage::read(file(&results, "lesions.dcm"), &Limits::default()).unwrap();
    for family in &comparison.lesions {
        assert!(matches!(family.fate, LesionFate::Persisting | LesionFate::Merged), "{family:?}");
        let named = |id: usize| Some(format!("Lesion {id}"));
        let today = now.iter().find(|g| g.tracking_id == named(family.ids[0])).unwrap();
        let then = before.iter().find(|g| g.tracking_uid == today.tracking_uid).unwrap();
        let of_first = first_report.groups.iter().find(|g| g.tracking_id == named(family.earlier_ids[0])).unwrap();
        assert_eq!(today.tracking_uid, of_first.tracking_uid, "the same lesion has the same UID");
        let segment = &lesions.segments[usize::from(today.segments[0].segments[0]) - 1];
        assert_eq!(segment.tracking_uid, today.tracking_uid);
        assert!(close(value(then, codes::VOLUME), family.earlier_ml) && close(value(today, codes::VOLUME), family.ml));
        let sizes = today.measurements.iter().filter(|m| m.concept.is(codes::DIFFERENCE_IN_SIZE));
        let sizes: Vec<_> =
            sizes.map(|m| m.quantity.as_ref().unwrap()).map(|q| (q.value, q.unit.value.as_str())).collect();
        assert_eq!(sizes, [(family.change_ml, "mL"), (family.change_percent.unwrap(), "%")]);
        assert!(judged(today, codes::QUALITATIVE_DIFFERENCE).len() == 1, "{today:?}");
        assert_eq!(judged(today, own::FATE).iter().any(|f| f.is(own::MERGED)), family.fate == LesionFate::Merged);
    }
    // The change map as a segmentation.
    let change = SegmentationImage::read(file(&results, "change.dcm"), &Limits::default()).unwrap();
    let read = change.label_map(maps.change.geometry(), |s| {
        ["New opacity", "Persisting opacity", "Resolved opacity"]
            .iter()
            .position(|l| *l == s.label)
            .map(|n| n as u8 + 1)
    });
    assert_eq!(read.unwrap(), maps.change);

    // A third study, all healed: the second's report hands the UIDs on, and knows its own images from the first's.
    let (third, _) = followed(visit("20261101", 0.0), &[&second, &first]);
    let second_study = EarlierStudy::of_report(&report, Some("20261001")).unwrap();
    assert_eq!(second_study.series_uid(), second.origin.series_uid());
    let third_report = report_of(&results_after(
        &third,
        SegmentationForm::Binary,
        &[EarlierStudy::of(&first.origin), second_study],
        None,
    ));
    let gone = at_order(&third_report, 3.0);
    let gone: Vec<_> = gone
        .iter()
        .filter(|g| judged(g, codes::QUALITATIVE_DIFFERENCE).iter().any(|c| c.is(codes::RESOLVED)))
        .collect();
    assert_eq!(gone.len(), comparison.lesions.len());
    for group in gone {
        assert_eq!(value(group, codes::VOLUME), 0.0);
        let uid = &group.tracking_uid;
        assert!(first_report.groups.iter().any(|g| g.tracking_uid == *uid), "followed since the first study");
    }
    assert_eq!(at_order(&third_report, 1.0).len(), 1, "of the oldest study the whole alone");
    let studies: BTreeSet<_> = third_report.evidence.iter().map(|e| e.study_uid.as_str()).collect();
    assert_eq!(studies.len(), 3);
}

#[test]
fn a_study_of_which_there_is_a_report_alone_gives_its_numbers_and_identifiers() {
    let first = visit("20260901", 1.0);
    let first_report = report_of(&results(&first, SegmentationForm::Binary));
    assert_eq!(first_report.study_date, "20260901");
    let mut numbers = numbers_of_report(&first_report, Some("20260901"), Some("20261001")).unwrap();
    let earlier = EarlierStudy::of_report(&first_report, Some("20260901")).unwrap();
    numbers.series_uid = Some(earlier.series_uid().to_owned());
    let measured = hilum_findings::EarlierStudy::of(&first.findings, Some("20260901"), Some("20261001"));
    assert_eq!(numbers, hilum_findings::EarlierStudy { from_report: true, ..measured });

    let mut second = visit("20261001", 1.25);
    let current = StudyFacts { date: Some("20261001".into()), ..StudyFacts::default() };
    let reported =
        ReportedStudy { numbers, facts: StudyFacts { date: Some("20260901".into()), ..StudyFacts::default() } };
    let result = crate::follow_up(&read_study(&second), vec![], vec![]).with_reported(&current, vec![reported]);
    assert!(result.follow_up.cautions.iter().any(|n| n.code == "patient-not-checked"));
    second.findings = second.findings.with_follow_up(result.follow_up);
    assert!(second.findings.with_nulls_explained().unexplained_nulls().is_empty());
    let report = report_of(&results_after(&second, SegmentationForm::Binary, &[earlier], None));
    let before = at_order(&report, 1.0);
    let [whole] = before[..] else { panic!("{before:?}") };
    assert!(close(value(whole, own::OPACITY_VOLUME), first.findings.lesions.total_ml.unwrap()));
    assert_eq!(whole.algorithm, None, "ours did not measure it");
    let remark =
        |e: &hilum_dicom::Evaluation| matches!(&e.value, EvaluationValue::Text(t) if t.contains("not measured again"));
    assert!(whole.evaluations.iter().any(remark), "{whole:?}");
    let lobe = |report: &ReportDocument| {
        let group = report.groups.iter().find(|g| g.tracking_id.as_deref() == Some("Left lower lobe")).unwrap();
        group.tracking_uid.clone().unwrap()
    };
    assert_eq!(lobe(&report), lobe(&first_report), "lobes are followed");
}

#[test]
fn a_study_that_is_read_again_is_followed_by_the_uids_its_own_report_would_have() {
    let first = visit("20260901", 1.0);
    let first_report = report_of(&results(&first, SegmentationForm::Binary));
    let (second, _) = followed(visit("20261001", 1.25), &[&first]);
    let report = report_of(&results_after(&second, SegmentationForm::Binary, &[EarlierStudy::of(&first.origin)], None));
    let of_first: BTreeSet<_> = first_report.groups.iter().map(|g| &g.tracking_uid).collect();
    let before = at_order(&report, 1.0);
    assert!(before.len() > 8 && before.iter().all(|g| of_first.contains(&g.tracking_uid)));
    assert!(before.iter().all(|g| g.segments.is_empty()), "no segmentation of it was written");
    assert!(report.predecessors.is_empty());

    // NIfTI has no identity to refer to, yet its numbers stand in the report.
    let unknown = report_of(&results_after(&second, SegmentationForm::Binary, &[], None));
    assert_eq!(at_order(&unknown, 1.0).len(), before.len());
    assert!(unknown.evidence.iter().all(|e| e.study_uid == second.origin.study_uid()));
    let without = Findings { follow_up: Some(FollowUp::default()), ..second.findings.clone() };
    let alone = report_of(&results(&Case { findings: without, ..second }, SegmentationForm::Binary));
    assert!(alone.groups.iter().all(|g| g.circumstances.is_empty()), "no time points without an earlier study");
}

/// An Explicit VR Little Endian file of a patient of that name, written in these character sets.
fn named(file: &[u8], sets: &[u8], name: &[u8]) -> Vec<u8> {
    let even = |value: &[u8]| [value, &b" "[..value.len() % 2]].concat();
    let element = |head: &[u8; 6], value: &[u8]| [head, &(value.len() as u16).to_le_bytes()[..], value].concat();
    let place = |head: &[u8; 6]| 132 + file[132..].windows(6).position(|w| w == head).expect("the element is there");
    // Specific Character Set comes before Image Type, which begins the group.
    let (image_type, patient) = (place(b"\x08\0\x08\0CS"), place(b"\x10\0\x10\0PN"));
    let length = usize::from(u16::from_le_bytes([file[patient + 6], file[patient + 7]]));
    [
        &file[..image_type],
        &element(b"\x08\0\x05\0CS", &even(sets)),
        &file[image_type..patient],
        &element(b"\x10\0\x10\0PN", &even(name)),
        &file[patient + 8 + length..],
    ]
    .concat()
}

#[test]
fn names_in_east_asian_character_sets_reach_every_result_in_utf8() {
    let cases: [(&str, &[u8], &str); 6] = [
        (
            "\\ISO 2022 IR 149",
            b"Hong^Gildong=\x1B$)C\xFB\xF3^\x1B$)C\xD1\xCE\xD4\xD7=\x1B$)C\xC8\xAB^\x1B$)C\xB1\xE6\xB5\xBF",
            "Hong^Gildong=洪^吉洞=홍^길동",
        ),
        (
            "ISO 2022 IR 13\\ISO 2022 IR 87",
            b"\xD4\xCF\xC0\xDE^\xC0\xDB\xB3=\x1B$B;3ED\x1B(J^\x1B$BB@O:\x1B(J=\x1B$B$d$^$@\x1B(J^\x1B$B$?$m$&\x1B(J",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
        ),
        ("\\ISO 2022 IR 58", b"Zhang^XiaoDong=\x1B$)A\xD5\xC5^\x1B$)A\xD0\xA1\xB6\xAB", "Zhang^XiaoDong=张^小东"),
        ("GB18030", b"Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB", "Wang^XiaoDong=王^小东"),
        ("GBK", b"Wang^XiaoDong=\xCD\xF5^\xD0\xA1\x96\x7C", "Wang^XiaoDong=王^小東"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小東".as_bytes(), "Wang^XiaoDong=王^小東"),
    ];
    let anatomy = Anatomy::new(1, Disease::Covid);
    for (set, name, expected) in cases {
        let case = case_of(Variant::Small, &anatomy, &CtSeriesDescription::default(), |file| {
            named(file, set.as_bytes(), name)
        });
        assert_eq!(case.origin.identity().patient_name.as_deref(), Some(expected), "{set}: at the head of the report");
        for (file, result) in &results(&case, SegmentationForm::Binary).files {
            let elements = list_elements(result.bytes(), &Limits::default()).unwrap();
            let text = |group, element| {
                let found = elements.iter().find(|e| e.depth == 0 && (e.tag.0, e.tag.1) == (group, element)).unwrap();
                match &found.value {
                    ListedValue::Values(values) => values.joined().to_owned(),
                    other => panic!("{other:?}"),
                }
            };
            assert_eq!(text(0x0008, 0x0005), "ISO_IR 192", "{set}, {file}");
            assert_eq!(text(0x0010, 0x0010), expected, "{set}, {file}");
        }
    }
}
