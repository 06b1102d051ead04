//! Results of a phantom's own truth: what is written is what is known.

use std::collections::BTreeSet;
use std::sync::Arc;

use hilum_dicom::{CtSeriesDescription, Device, Limits, Moment, Origin, Source, ct_images, load, scan};
use hilum_findings::{FindingsInput, KindMethod, Software, measure};
use hilum_phantom::{Anatomy, Disease, PhantomOptions, Variant};

use super::*;
use crate::Study;

/// A phantom's series with its truth as the finding.
struct Case {
    origin: Origin,
    findings: Findings,
    lobes: LabelMap,
    labels: LabelMap,
}

fn case(variant: Variant, disease: Disease) -> Case {
    let options =
        PhantomOptions { variant, disease, matrix: Some(80), slice_spacing_mm: Some(7.0), ..PhantomOptions::default() };
    let anatomy = Anatomy::new(options.seed, options.disease);
    let (hu, _) = anatomy.sample(&options.geometry(), &options.scanner());
    let description = CtSeriesDescription::default();
    let images = ct_images(&hu, &description);
    let files = images.map(|i| i.unwrap()).map(|i| (i.slice.to_string(), Arc::from(i.bytes))).collect();
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
    Case { origin, findings, lobes, labels: truth.into_labels() }
}

fn results(case: &Case, form: SegmentationForm) -> DicomResults {
    let device = Device::new("Hilum", "hilum", "0", &["0.1.0".into()]).unwrap();
    let created = Moment::new("20260102", "030405").unwrap();
    let context = ResultContext { origin: &case.origin, device: &device, created: &created };
    let picture = ("A picture.".to_owned(), [2, 3], vec![7u8; 18]);
    let input = DicomInput {
        lesion_probability: None,
        findings: &case.findings,
        labels: &case.labels,
        lobes: &case.lobes,
        form,
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
        form: SegmentationForm::Fractional,
        pdf: None,
        first_page: None,
        report_names_patient: true,
        pictures: &[],
    };
    let results = dicom_results(&context, &input).unwrap();
    results.files.into_iter().find(|(name, _)| name == "probability.dcm").expect("it was asked for").1
}
