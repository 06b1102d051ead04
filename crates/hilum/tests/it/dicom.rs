//! `hilum dicom`: everyday work on DICOM files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::{hilum, hilum_ok, json, phantom, text};

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

fn contents(folder: &Path) -> BTreeSet<Vec<u8>> {
    files_below(folder)
        .iter()
        .filter(|p| p.extension().is_some_and(|e| e == "dcm"))
        .map(|p| std::fs::read(p).unwrap())
        .collect()
}

#[test]
fn a_series_is_listed_checked_and_converted() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    phantom(&at("phantom"), "small");
    let series = at("phantom").join("series");
    let listed = hilum_ok(&["dicom", "info", text(&series)]);
    assert!(listed.contains("CT ") && listed.contains("plane axial"), "{listed}");
    assert!(hilum_ok(&["dicom", "validate", "--quiet", text(&series)]).contains("can be read"));
    hilum_ok(&["dicom", "convert", "--quiet", text(&series), "--out", text(&at("ct.nii.gz"))]);
    assert!(hilum_ok(&["dicom", "info", text(&series)]) == listed, "nothing was written there");
    assert!(at("ct.nii.gz").metadata().unwrap().len() > 100_000);
    let wrong = hilum(&["dicom", "convert", text(&series), "--out", text(&at("ct.mha"))]);
    assert_eq!(wrong.status.code(), Some(2));

    let one = files_below(&series).remove(0);
    let bytes = std::fs::read(&one).unwrap();
    std::fs::write(&one, &bytes[..bytes.len() / 2]).unwrap();
    let flawed = hilum(&["dicom", "validate", "--quiet", text(&series)]);
    assert_eq!(flawed.status.code(), Some(3), "{}", String::from_utf8_lossy(&flawed.stdout));
}

#[test]
fn what_identifies_is_taken_out_and_brought_back() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    phantom(&at("phantom"), "small");
    let series = at("phantom").join("series");
    let originals = contents(&series);
    let key = at("key.json");
    let run = ["dicom", "deidentify", "--quiet", text(&series), "--out", text(&at("out")), "--key", text(&key)]
        .map(str::to_owned);
    hilum_ok(&run.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(contents(&series), originals, "the input is left alone");
    let given = contents(&at("out"));
    assert_eq!(given.len(), originals.len());
    assert!(given.is_disjoint(&originals));
    let report = json(&at("out").join("deidentification.json"));
    assert_eq!(report["objects"], originals.len());

    // What was given out is a series that can be read, of another patient.
    assert!(hilum_ok(&["dicom", "validate", "--quiet", text(&at("out"))]).contains("can be read"));
    hilum_ok(&["dicom", "reidentify", "--quiet", text(&at("out")), "--out", text(&at("back")), "--key", text(&key)]);
    let info = |path: &Path| hilum_ok(&["dicom", "info", text(path)]);
    assert_eq!(info(&at("back")), info(&series));

    let within = hilum(&["dicom", "deidentify", text(&series), "--out", text(&series.join("x")), "--key", text(&key)]);
    assert_eq!(within.status.code(), Some(2));
    assert!(!series.join("x").exists());
    let beside =
        hilum(&["dicom", "deidentify", text(&series), "--out", text(&at("o2")), "--key", text(&at("o2").join("k"))]);
    assert_eq!(beside.status.code(), Some(2), "the key does not belong to what is given away");
}
