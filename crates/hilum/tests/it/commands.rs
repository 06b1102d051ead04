//! The smaller commands.

use crate::{hilum, hilum_ok, text};

#[test]
fn the_schema_is_the_committed_one() {
    let committed = include_str!("../../../../docs/findings.schema.json");
    assert_eq!(hilum_ok(&["schema", "findings"]), committed);
}

#[test]
fn models_are_listed_verified_exported_and_imported() {
    let folder = tempfile::tempdir().unwrap();
    let (exported, installed) = (folder.path().join("exported"), folder.path().join("installed"));
    assert!(hilum_ok(&["models", "list"]).contains("pneumonia-ct"));
    assert!(hilum_ok(&["models", "show", "pneumonia-ct"]).contains("sha256"));
    assert!(hilum_ok(&["models", "verify"]).contains("match"));
    hilum_ok(&["models", "export", "pneumonia-ct", "--out", text(&exported)]);

    let hilum_there = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hilum"));
        command.args(arguments).env("HILUM_MODELS", &installed).output().unwrap()
    };
    let card = exported.join("card.toml");
    assert!(hilum_there(&["models", "import", text(&card)]).status.success());
    assert!(String::from_utf8(hilum_there(&["models", "list"]).stdout).unwrap().contains("installed"));

    let weights = exported.join("weights.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let refused = hilum_there(&["models", "import", text(&card)]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("altered"));
}

#[test]
fn doctor_says_what_the_machine_has() {
    let report = hilum_ok(&["doctor"]);
    assert!(report.contains("portable") && report.contains("pneumonia-ct"), "{report}");
    let report: serde_json::Value = serde_json::from_str(&hilum_ok(&["doctor", "--json"])).unwrap();
    assert!(report["threads"].as_u64().unwrap() >= 1);
    let ways = report["ways_to_compute"].as_array().unwrap();
    let missing = |kind: &str, name: &str| {
        let way = ways.iter().find(|w| w["kind"] == kind && w["name"] == name);
        way.unwrap_or_else(|| panic!("{kind} {name} is not listed"))["missing"].clone()
    };
    assert!(missing("engine", "portable").is_null());
    assert!(missing("onnxruntime", "TensorRT").is_string() || cfg!(feature = "onnxruntime"));
}

#[test]
fn a_model_becomes_one_onnx_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.onnx");
    assert!(hilum_ok(&["models", "export", "pneumonia-ct", "--onnx", text(&file)]).contains("opset 17"));
    // What it holds is the business of hilum-nn; here it must be there, whole, with the name of the card.
    let bytes = std::fs::read(&file).unwrap();
    assert!(bytes.len() > 1_000_000 && bytes.windows(12).any(|w| w == b"pneumonia-ct"), "{} bytes", bytes.len());
    let neither = hilum(&["models", "export", "pneumonia-ct"]);
    assert_eq!(neither.status.code(), Some(2), "an export without a place must be asked back");
}

#[test]
fn a_device_that_is_not_there_is_no_excuse_for_another() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "analyze",
        text(folder.path()),
        "--out",
        text(folder.path()),
        "--device",
        "cpu",
        "--onnxruntime",
        "/no/such/library",
    ];
    let refused = hilum(&arguments);
    let said = String::from_utf8(refused.stderr).unwrap();
    if cfg!(feature = "onnxruntime") {
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("/no/such/library") && said.contains("ORT_DYLIB_PATH"), "{said}");
    } else {
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains("--features onnxruntime"), "{said}");
    }
}

#[test]
fn the_phantoms_are_listed() {
    let list = hilum_ok(&["phantom", "--list"]);
    for name in ["oblique", "left-handed", "tilted-gantry", "missing-slice", "thick-slices", "thousand-slices"] {
        assert!(list.contains(name), "{name} is not in {list}");
    }
}

#[test]
fn help_names_the_exit_codes() {
    let help = hilum_ok(&["--help"]);
    assert!(help.contains("Exit codes") && help.contains("analyze"), "{help}");
    assert_eq!(hilum(&["no-such-command"]).status.code(), Some(2));
}

#[test]
fn a_path_that_is_not_there_is_wrong_usage() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (nowhere, out) = (folder.path().join("nowhere"), elsewhere.path().join("out"));
    let (nowhere, nifti, key) = (text(&nowhere), folder.path().join("out.nii"), folder.path().join("no/key.json"));
    let here = text(folder.path());
    for arguments in [
        &["info", nowhere][..],
        &["info", "--tags", nowhere],
        &["validate", nowhere],
        &["convert", nowhere, "--out", text(&nifti)],
        &["send", nowhere, "--to", "localhost:1"],
        &["send", here, "--to", "localhost:1", "--tls", "--ca", nowhere],
        &["deidentify", nowhere, "--out", text(&out), "--key", text(&key)],
        &["deidentify", here, "--out", text(&out), "--key", text(&key)],
        &["reidentify", here, "--out", text(&out), "--key", nowhere],
        &["reidentify", nowhere, "--out", text(&out), "--key", nowhere],
    ] {
        let refused = hilum(&[&["dicom"], arguments].concat());
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains("there is no "), "{arguments:?}: {said}");
    }
}
