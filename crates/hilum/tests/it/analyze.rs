//! `hilum analyze` on the small phantom.

use std::path::Path;

use hilum_findings::Findings;

use crate::{hilum_ok, json, phantom, text};

/// Relative difference of two volumes.
fn off(found: f64, known: f64) -> f64 {
    (found / known - 1.0).abs()
}

fn findings(folder: &Path) -> Findings {
    let content = std::fs::read_to_string(folder.join("findings.json")).unwrap();
    Findings::from_json(&content).expect("findings.json has the layout of Findings")
}

#[test]
fn writes_every_file_and_comes_near_the_truth_and_twice_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (study, one, two) = (folder.path().join("study"), folder.path().join("one"), folder.path().join("two"));
    phantom(&study, "small");
    let series = study.join("series");
    hilum_ok(&["analyze", text(&series), "--out", text(&one), "--quiet"]);
    hilum_ok(&["analyze", text(&series), "--out", text(&two), "--quiet", "--threads", "1"]);

    for file in ["findings.json", "report.html", "report.pdf", "labels.nii.gz"] {
        assert!(one.join(file).is_file(), "{file} is missing");
    }
    assert!(std::fs::read_dir(one.join("pictures")).unwrap().count() >= 5, "pictures are missing");
    let html = std::fs::read_to_string(one.join("report.html")).unwrap();
    assert!(html.contains("not a medical device"));

    let (first, second) = (findings(&one), findings(&two));
    assert_eq!(first.without_run(), second.without_run(), "threads and repetition change nothing");
    let labels = |folder: &Path| std::fs::read(folder.join("labels.nii.gz")).unwrap();
    assert!(labels(&one) == labels(&two), "the label maps are the same bytes");

    let known = json(&study.join("answers.json"));
    let lung = first.anatomy.lung_volume_ml.total.unwrap();
    let known_lung = known["lung_volume_ml"]["total"].as_f64().unwrap();
    // Voxels of 3 mm: a surface displaced by a tenth of a voxel is 1 % of a lung.
    assert!(off(lung, known_lung) < 0.08, "lungs {lung} ml, known {known_lung} ml");
    assert_eq!(first.anatomy.lobes.len(), 5);
    assert!(first.anatomy.lobes.iter().all(|l| l.volume_ml.unwrap() > 50.0), "a lobe is missing");
    assert!(first.lesions.total_ml.unwrap() > 0.0, "the phantom's lesions were not found");
    assert_eq!(first.lesions.slices.len(), first.series.slices.unwrap());
    assert!(first.unexplained_nulls().is_empty(), "{:?}", first.unexplained_nulls());
}

#[test]
fn nifti_gives_what_dicom_gives() {
    let folder = tempfile::tempdir().unwrap();
    let (study, dicom) = (folder.path().join("study"), folder.path().join("dicom"));
    phantom(&study, "small");
    hilum_ok(&["analyze", text(&study.join("series")), "--out", text(&dicom), "--quiet"]);

    let scan =
        hilum_dicom::scan(&hilum_dicom::Source::from(study.join("series").as_path()), &Default::default()).unwrap();
    let series = hilum_dicom::load(&scan, &scan.series()[0].series_uid, &|_| {}).unwrap();
    let volume = folder.path().join("volume.nii.gz");
    let file = std::fs::File::create(&volume).unwrap();
    hilum_dicom::nifti::write_volume(&series.volume, file, hilum_dicom::nifti::Compression::Gzip).unwrap();
    let nifti = folder.path().join("nifti");
    hilum_ok(&["analyze", text(&volume), "--out", text(&nifti), "--quiet"]);

    let (dicom, nifti) = (findings(&dicom), findings(&nifti));
    assert_eq!(nifti.series.study_uid, None);
    let volumes = |f: &Findings| f.anatomy.lobes.iter().map(|l| l.volume_ml.unwrap()).collect::<Vec<_>>();
    for (a, b) in volumes(&dicom).iter().zip(volumes(&nifti)) {
        assert!(off(*a, b) < 1e-6, "{a} and {b} ml");
    }
    assert!(off(dicom.lesions.total_ml.unwrap(), nifti.lesions.total_ml.unwrap()) < 1e-6);
}
