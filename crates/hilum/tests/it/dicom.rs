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
    assert!(
        listed.contains("CT, body part") && !listed.contains("Phantom") && listed.contains("plane axial"),
        "{listed}"
    );
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

    // Of what is refused nothing stays, not even a key.
    std::fs::create_dir(at("texts")).unwrap();
    std::fs::write(at("texts").join("a.dcm"), "no DICOM").unwrap();
    let none = ["dicom", "deidentify", text(&at("texts")), "--out", text(&at("o3")), "--key", text(&at("key-3.json"))]
        .map(str::to_owned);
    let refused = hilum(&none.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    assert!(!at("key-3.json").exists());
}

#[test]
fn results_are_listed_converted_and_measured_again() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    phantom(&at("phantom"), "small");
    let series = at("phantom").join("series");
    hilum_ok(&["analyze", "--quiet", text(&series), "--out", text(&at("first")), "--seg-form", "fractional"]);
    let seg = at("first").join("dicom/segmentation.dcm");

    let listed = hilum_ok(&["dicom", "info", text(&at("first").join("dicom"))]);
    for line in ["  5 Right lower lobe (266005 SCT), ", "(probability, 1 segments)", "Percentage of opacity: "] {
        assert!(listed.contains(line), "{line:?} in {listed}");
    }
    let tags = hilum_ok(&["dicom", "info", "--tags", text(&seg)]);
    assert!(
        tags.contains("(0008,0060) CS Modality: SEG") && tags.contains("(0062,0002) SQ SegmentSequence: "),
        "{tags}"
    );
    assert!(!tags.contains("PHANTOM"), "what identifies is not shown");
    assert!(hilum_ok(&["dicom", "info", "--tags", "--identity", text(&seg)]).contains("PHANTOM"));

    // Lobes and opacities, as a reader might have corrected them, give the same labels and the same numbers, in each form: in a
    // label map the lobes have holes under the opacities.
    let form = |out: &str, form: &str, masks: &Path| {
        let out = at(out);
        let arguments = ["analyze", "--quiet", text(&series), "--out", text(&out), "--masks", text(masks)];
        hilum_ok(&[&arguments[..], &["--seg-form", form]].concat());
    };
    form("again", "labelmap", &seg);
    form("third", "binary", &at("again").join("dicom/labelmap.dcm"));
    let labels = |name: &str| std::fs::read(at(name).join("labels.nii.gz")).unwrap();
    let first = json(&at("first").join("findings.json"));
    for name in ["again", "third"] {
        let again = json(&at(name).join("findings.json"));
        for part in ["anatomy", "scores"] {
            assert_eq!(first[part], again[part], "{name}: {part}");
        }
        for (field, value) in first["lesions"].as_object().unwrap() {
            // Whose the outlines are is told.
            if !["kind_method", "kind_method_text"].contains(&field.as_str()) {
                assert_eq!(value, &again["lesions"][field], "{name}: {field}");
            }
        }
        assert_eq!(labels("first"), labels(name), "{name}");
        let notes = again["quality"]["reasons"].as_array().unwrap();
        assert!(notes.iter().any(|n| n["code"] == "masks-given"), "{notes:?}");
        assert_eq!(again["lesions"]["kind_method"], "given");
        let tags = hilum_ok(&["dicom", "info", "--tags", text(&at(name).join("dicom/segmentation.dcm"))]);
        assert!(tags.contains("MANUAL") && !tags.contains("AUTOMATIC"), "outlines of a reader are not the network's");
        let tags = hilum_ok(&["dicom", "info", "--tags", text(&at(name).join("dicom/measurements.dcm"))]);
        assert!(tags.contains("measurements of given outlines"), "{tags}");
    }

    // Ground glass alone, on the grid of the series: the voxels of label 11.
    let out = at("ggo.nii");
    hilum_ok(&[
        "dicom",
        "convert",
        "--quiet",
        text(&seg),
        "--source",
        text(&series),
        "--segment",
        "8",
        "--out",
        text(&out),
    ]);
    let ggo = std::fs::read(&out).unwrap();
    let shape = |at: usize| usize::from(u16::from_le_bytes([ggo[40 + 2 * at], ggo[41 + 2 * at]]));
    let voxel_ml =
        [80, 84, 88].map(|at| f32::from_le_bytes(ggo[at..at + 4].try_into().unwrap())).iter().product::<f32>() / 1000.0;
    let voxels = &ggo[352..];
    assert_eq!(voxels.len(), shape(1) * shape(2) * shape(3));
    let ml = voxels.iter().filter(|v| **v == 1).count() as f64 * f64::from(voxel_ml);
    let known = first["lesions"]["ground_glass_ml"].as_f64().unwrap();
    assert!((ml - known).abs() < 1e-3 * known, "{ml} against {known} ml");

    // Masks of another series are not voxels of this one.
    phantom(&at("other"), "oblique");
    let other = at("other").join("series");
    let wrong = hilum(&["analyze", "--quiet", text(&other), "--out", text(&at("wrong")), "--masks", text(&seg)]);
    assert_eq!(wrong.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("The segmentation cannot be used"), "{wrong:?}");
    // Another patient's lungs on the same grid, as every scan of one protocol has it.
    hilum_ok(&["phantom", "--quiet", "--out", text(&at("stranger")), "--variant", "small", "--seed", "2"]);
    let other = at("stranger").join("series");
    let wrong = hilum(&["analyze", "--quiet", text(&other), "--out", text(&at("wrong")), "--masks", text(&seg)]);
    assert_eq!(wrong.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("it is of other images"), "{wrong:?}");
    let absent = hilum(&["analyze", text(&series), "--out", text(&at("wrong")), "--masks", "absent.dcm"]);
    assert_eq!(absent.status.code(), Some(2));
    let without = hilum(&["dicom", "convert", text(&series), "--segment", "8", "--out", text(&out)]);
    assert_eq!(without.status.code(), Some(2));
}

#[test]
fn objects_are_sent_once_and_failures_have_their_exit_codes() {
    use hilum_network::{Receiver, ReceiverOptions, Status};
    use std::sync::atomic::{AtomicUsize, Ordering};
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    phantom(&at("phantom"), "small");
    let series = at("phantom").join("series");
    let count = files_below(&series).len();
    std::fs::write(series.join("readme.txt"), "not DICOM").unwrap();
    let came = std::sync::Arc::new(AtomicUsize::new(0));
    let counting = std::sync::Arc::clone(&came);
    // The third object is refused, once.
    let receiver = Receiver::start(ReceiverOptions::new("127.0.0.1:0".parse().unwrap(), "STORE"), move |_| {
        if counting.fetch_add(1, Ordering::Relaxed) == 2 { Status(0xC123) } else { Status::SUCCESS }
    });
    let receiver = receiver.unwrap();
    let to = format!("STORE@{}", receiver.address());
    let journal = at("sent.txt");
    let run = || hilum(&["dicom", "send", "--quiet", text(&series), "--to", &to, "--resume", text(&journal)]);
    let first = run();
    assert_eq!(first.status.code(), Some(3), "one object was refused");
    let said = String::from_utf8(first.stdout).unwrap();
    assert!(said.contains(&format!("{} objects sent", count - 1)), "{said}");
    let second = run();
    assert_eq!(second.status.code(), Some(0), "{second:?}");
    let said = String::from_utf8(second.stdout).unwrap();
    assert!(said.contains("1 objects sent") && said.contains(&format!("{} sent before, 1 files", count - 1)), "{said}");
    assert_eq!(came.load(Ordering::Relaxed), count + 1);

    // A file that was cut short is not sent, and the peer is not blamed. Objects of one UID are named: an archive keeps one of them.
    let whole = files_below(&series).into_iter().find(|path| path.extension().is_some_and(|e| e == "dcm")).unwrap();
    let whole = std::fs::read(whole).unwrap();
    let cut = at("cut.dcm");
    std::fs::write(&cut, &whole[..whole.len() - 1000]).unwrap();
    let refused = hilum(&["dicom", "send", "--quiet", text(&cut), "--to", &to]);
    assert_eq!(refused.status.code(), Some(3));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("not sent: the file is cut short") && !said.contains("attempts"), "{said}");
    let twins = ["a.dcm", "b.dcm"].map(at);
    twins.iter().for_each(|twin| std::fs::write(twin, &whole).unwrap());
    let sent = hilum(&["dicom", "send", "--quiet", text(&twins[0]), text(&twins[1]), "--to", &to]);
    assert_eq!(sent.status.code(), Some(0), "{sent:?}");
    let said = String::from_utf8(sent.stderr).unwrap();
    assert!(said.contains("2 objects have 1 SOP Instance UIDs between them"), "{said}");
    hilum_ok(&["dicom", "echo", "--to", &to]);
    assert_eq!(hilum(&["dicom", "echo", "--to", "no-port"]).status.code(), Some(2));
    let series_level = ["dicom", "query", "--from", &to, "--level", "series"];
    assert_eq!(hilum(&series_level).status.code(), Some(2), "a study has to be named");
    let patients = ["dicom", "query", "--from", "http://127.0.0.1:1/dicom-web", "--level", "patient"];
    assert_eq!(hilum(&patients).status.code(), Some(2), "no peer is asked for what DICOMweb has not");
    assert_eq!(
        hilum(&["dicom", "query", "--from", &to]).status.code(),
        Some(3),
        "it stores and does not answer queries"
    );
    let out = at("out");
    let outside = ["dicom", "retrieve", "--from", &to, "--study", "../..", "--out", text(&out)];
    assert_eq!(hilum(&outside).status.code(), Some(2));
    assert!(!out.exists());
}

#[test]
fn compressed_pixels_go_through_workers_unseen() {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hilum-dicom/tests/data/syntax");
    let converted = |name: &str| {
        let out = folder.path().join(format!("{name}.nii"));
        hilum_ok(&["dicom", "convert", "--quiet", text(&fixtures.join(name)), "--out", text(&out)]);
        std::fs::read(out).unwrap()
    };
    let plain = converted("explicit-u12.zip");
    assert_eq!(converted("jpeg-ls-u12.zip"), plain);
    assert_eq!(converted("jpeg-process14-sv2-u12.zip"), plain);
    assert!(!hilum_ok(&["--help"]).contains("decode-worker"));
    // Whoever calls it by hand is told, and nothing waits for more.
    let alone = std::process::Command::new(env!("CARGO_BIN_EXE_hilum"))
        .arg("decode-worker")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert_eq!(alone.status.code(), Some(1));
}
