//! Inputs that are refused: exit code 3, one sentence, and findings that say so.

use std::path::Path;

use crate::{hilum, hilum_ok, json, phantom, text};

/// Analyses `input`, which must be refused with a sentence that holds `words` and this code.
fn refused(input: &Path, code: &str, words: &str) {
    let out = tempfile::tempdir().unwrap();
    let output = hilum(&["analyze", text(input), "--out", text(out.path()), "--quiet"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{}: {message}", input.display());
    assert_eq!(message.lines().count(), 1, "one sentence: {message}");
    assert!(message.contains(words), "`{words}` is not in: {message}");
    let findings = json(&out.path().join("findings.json"));
    assert_eq!(findings["quality"]["usable"], false);
    assert_eq!(findings["quality"]["reasons"][0]["code"], code);
    let reason = findings["quality"]["reasons"][0]["text"].as_str().unwrap();
    assert!(message.contains(reason), "the findings say `{reason}`, standard error `{message}`");
    assert!(out.path().join("report.html").is_file() && out.path().join("report.pdf").is_file());
}

#[test]
fn unfit_phantoms() {
    struct Case {
        variant: &'static str,
        code: &'static str,
        words: &'static str,
    }
    let cases = [
        Case { variant: "mr", code: "not-ct", words: "not CT but MR" },
        Case { variant: "localiser", code: "localiser-only", words: "only localisers" },
        Case { variant: "knee", code: "no-chest", words: "chest" },
        Case { variant: "head", code: "no-chest", words: "chest" },
        Case { variant: "one-slice", code: "one-slice", words: "only one slice" },
        Case { variant: "secondary-capture", code: "not-hounsfield", words: "Hounsfield" },
        Case { variant: "third-missing", code: "missing-slices", words: "missing" },
    ];
    for case in cases {
        let folder = tempfile::tempdir().unwrap();
        phantom(folder.path(), case.variant);
        refused(&folder.path().join("series"), case.code, case.words);
    }
}

#[test]
fn files_that_are_no_study() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    refused(&empty, "empty", "no files");

    let text_file = folder.path().join("letter.dcm");
    std::fs::write(&text_file, "Dear colleague, please find the images attached.\n").unwrap();
    refused(&text_file, "no-images", "not a DICOM file");

    let study = folder.path().join("study");
    phantom(&study, "small");
    let first = std::fs::read_dir(study.join("series")).unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(first).unwrap();
    let cut = folder.path().join("cut.dcm");
    std::fs::write(&cut, &bytes[..bytes.len() / 3]).unwrap();
    refused(&cut, "no-images", "cut short");
}

#[test]
fn two_patients_are_refused_together_and_read_apart() {
    let folder = tempfile::tempdir().unwrap();
    phantom(folder.path(), "two-patients");
    refused(folder.path(), "several-patients", "2 patients");
    let scan = hilum_dicom::scan(&hilum_dicom::Source::from(folder.path()), &Default::default()).unwrap();
    assert_eq!(scan.series().len(), 2);
    for series in scan.series() {
        let out = tempfile::tempdir().unwrap();
        let arguments =
            ["analyze", text(folder.path()), "--series", &series.series_uid, "--out", text(out.path()), "--quiet"];
        hilum_ok(&arguments);
        assert_eq!(json(&out.path().join("findings.json"))["series"]["series_uid"], series.series_uid.as_str());
    }
}

#[test]
fn a_refusal_leaves_nothing_of_the_study_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("result");
    phantom(&folder.path().join("study"), "small");
    hilum_ok(&["analyze", text(&folder.path().join("study/series")), "--out", text(&out), "--quiet"]);
    assert!(out.join("labels.nii.gz").is_file() && out.join("dicom/segmentation.dcm").is_file());
    std::fs::write(out.join("dicom/IM0001.dcm"), "not ours").unwrap();
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    assert_eq!(hilum(&["analyze", text(&empty), "--out", text(&out), "--quiet"]).status.code(), Some(3));
    let names = |folder: &str| -> Vec<String> {
        let files = std::fs::read_dir(out.join(folder)).unwrap();
        let mut names: Vec<_> = files.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names(""), ["dicom", "findings.json", "pictures", "report.html", "report.pdf"]);
    assert_eq!(names("dicom"), ["IM0001.dcm"]);
    assert_eq!(names("pictures"), Vec::<String>::new());
}

#[test]
fn wrong_usage_is_no_refusal() {
    let out = tempfile::tempdir().unwrap();
    for arguments in [
        &["analyze", "/there/is/no/such/folder", "--out", text(out.path())][..],
        &["analyze", text(out.path()), "--out", text(out.path()), "--language", "tlh"],
        &["phantom", "--out", text(out.path()), "--variant", "unicorn"],
        &["analyze"],
    ] {
        assert_eq!(hilum(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
