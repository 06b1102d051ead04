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
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("altered"));
}

#[test]
fn doctor_says_what_the_machine_has() {
    let report = hilum_ok(&["doctor"]);
    assert!(report.contains("portable") && report.contains("pneumonia-ct"), "{report}");
    let report: serde_json::Value = serde_json::from_str(&hilum_ok(&["doctor", "--json"])).unwrap();
    assert!(report["threads"].as_u64().unwrap() >= 1);
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
