//! `hilum analyze --prior`.

use std::path::Path;

use hilum_findings::{EarlierStudy, Findings, Trend};

use crate::{hilum, hilum_ok, phantom, text};

#[test]
fn an_earlier_result_is_read_back_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let (study, one, two) = (folder.path().join("study"), folder.path().join("one"), folder.path().join("two"));
    phantom(&study, "small");
    let series = study.join("series");
    hilum_ok(&["analyze", text(&series), "--out", text(&one), "--quiet"]);
    hilum_ok(&["analyze", text(&series), "--out", text(&two), "--prior", text(&one), "--quiet"]);

    for file in ["masks/change.nii.gz", "masks/prior-lesions.nii.gz", "ct-2mm.nii.gz"] {
        assert!(two.join(file).is_file(), "{file} is missing");
    }
    let content = std::fs::read_to_string(two.join("findings.json")).unwrap();
    let findings = Findings::from_json(&content).unwrap();
    assert!(findings.unexplained_nulls().is_empty(), "{:?}", findings.unexplained_nulls());
    let follow_up = findings.follow_up.unwrap();
    assert_eq!(follow_up.earlier[0].days_before, Some(0), "the date comes from the result's DICOM files");
    assert!(!follow_up.cautions.iter().any(|n| n.code == "patient-not-checked"), "{:?}", follow_up.cautions);
    let comparison = follow_up.comparison.unwrap();
    assert!(comparison.registration.lung_dice > 0.97, "{:?}", comparison.registration);
    assert!(comparison.regions.iter().all(|r| r.trend == Some(Trend::Unchanged)), "{:?}", comparison.regions);
    let html = std::fs::read_to_string(two.join("report.html")).unwrap();
    assert!(html.contains("Follow-up") && html.contains("Change: Axial") && html.contains("CTSS 0–25"));
    let impression = html.split_once("id=\"impression\"").unwrap().1.split_once("</section>").unwrap().0;
    for words in
        ["Compared with the study of ", " now: no sure change", "The study given as earlier is this very series"]
    {
        assert!(impression.contains(words), "{words}: {impression}");
    }
    assert!(!html.contains("No slice showed enough lung"), "what is known is not explained away");
    for file in ["pictures/change-axial-1.png", "pictures/change-coronal.png", "dicom/change.dcm"] {
        assert!(two.join(file).is_file(), "{file} is missing");
    }
    let info = hilum_ok(&["dicom", "info", text(&two.join("dicom/measurements.dcm"))]);
    for words in
        ["Lesion 1, ", ", Earlier study", "Difference in size: 0 mL (± ", "Opacity, since the earlier study: No change"]
    {
        assert!(info.contains(words), "{words}: {info}");
    }
    let checked = hilum_ok(&["dicom", "validate", "--quiet", text(&two.join("dicom"))]);
    assert!(checked.contains("Comprehensive 3D SR"), "{checked}");

    // Masks that lie beside the images of an earlier study are measured in place of those found.
    let beside = folder.path().join("beside");
    std::fs::create_dir(&beside).unwrap();
    for file in std::fs::read_dir(&series).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), beside.join(file.file_name())).unwrap();
    }
    for name in ["segmentation.dcm", "lesions.dcm"] {
        std::fs::copy(one.join("dicom").join(name), beside.join(name)).unwrap();
    }
    let masked = folder.path().join("masked");
    hilum_ok(&["analyze", text(&series), "--out", text(&masked), "--prior", text(&beside), "--quiet"]);
    let findings = Findings::from_json(&std::fs::read_to_string(masked.join("findings.json")).unwrap()).unwrap();
    let cautions = findings.follow_up.unwrap().cautions;
    let remark = cautions.iter().find(|n| n.code == "earlier-masks").unwrap_or_else(|| panic!("{cautions:?}"));
    assert!(remark.text.contains("Lobes and opacities are those of a segmentation"), "{}", remark.text);

    // Of an earlier study there may be its report alone; another one's says nothing that is understood.
    let report = folder.path().join("report");
    std::fs::create_dir(&report).unwrap();
    std::fs::copy(one.join("dicom/measurements.dcm"), report.join("sr")).unwrap();
    let foreign = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hilum-dicom/tests/data/results/dcmqi-sr.dcm");
    let (reported, priors) = (folder.path().join("reported"), [text(&report), "--prior", text(&foreign)]);
    let beside = ["analyze", text(&series), "--out", text(&reported), "--quiet", "--other-patient-id", "--prior"];
    hilum_ok(&[&beside[..], &priors[..]].concat());
    let read =
        |folder: &Path| Findings::from_json(&std::fs::read_to_string(folder.join("findings.json")).unwrap()).unwrap();
    let (findings, measured) = (read(&reported), read(&one));
    assert!(findings.unexplained_nulls().is_empty(), "{:?}", findings.unexplained_nulls());
    let follow_up = findings.follow_up.unwrap();
    let [row] = &follow_up.earlier[..] else { panic!("{:?}", follow_up.earlier) };
    let of_findings = EarlierStudy::of(&measured, Some("20260101"), Some("20260101"));
    let same = EarlierStudy { study_date: row.study_date.clone(), from_report: true, ..of_findings };
    assert_eq!((row, row.days_before), (&same, Some(0)), "the numbers of the report are those of the findings");
    assert!(follow_up.comparison.is_none() && !reported.join("masks/change.nii.gz").exists());
    for (code, words) in
        [("earlier-from-report", "study 1 are from its report (SR)"), ("earlier-unreadable", "study 2")]
    {
        let said = follow_up.cautions.iter().any(|n| n.code == code && n.text.contains(words));
        assert!(said, "{code}: {:?}", follow_up.cautions);
    }
    let html = std::fs::read_to_string(reported.join("report.html")).unwrap();
    assert!(html.contains("from its report (SR)"));
    let checked = hilum_ok(&["dicom", "validate", "--quiet", text(&reported.join("dicom"))]);
    assert!(checked.contains("Comprehensive 3D SR"), "{checked}");

    let (other, three) = (folder.path().join("other"), folder.path().join("three"));
    hilum_ok(&["phantom", "--quiet", "--variant", "small", "--seed", "2", "--out", text(&other)]);
    for prior in [&one, &report] {
        let refused =
            hilum(&["analyze", text(&other.join("series")), "--out", text(&three), "--prior", text(prior), "--quiet"]);
        assert_eq!(refused.status.code(), Some(3), "another patient's study is refused");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("--other-patient-id"));
    }
}
