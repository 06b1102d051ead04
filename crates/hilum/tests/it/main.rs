//! The program as a user meets it: arguments in, files and exit code out.

mod analyze;
mod commands;
mod dicom;
mod follow_up;
mod refusals;
mod training_data;

use std::path::Path;
use std::process::{Command, Output};

/// Runs `hilum` with these arguments.
fn hilum(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hilum")).args(arguments).output().expect("hilum starts")
}

/// As [`hilum`], which must succeed; what it printed.
fn hilum_ok(arguments: &[&str]) -> String {
    let output = hilum(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("output is UTF-8")
}

/// A phantom of this variant in `folder`.
fn phantom(folder: &Path, variant: &str) {
    hilum_ok(&["phantom", "--quiet", "--variant", variant, "--out", text(folder)]);
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

fn json(path: &Path) -> serde_json::Value {
    let content = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&content).expect("valid JSON")
}
