//! `cargo xtask onnx`: what `hilum models export --onnx` writes, checked by ONNX and repeated by ONNX Runtime.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::python::Python;
use crate::{built_for_tests, cargo_path, run, target};

const PACKAGES: [&str; 3] = ["numpy", "onnx==1.23.2", "onnxruntime==1.32.0"];

/// The environment the check needs.
pub(crate) fn python(root: &Path) -> Result<Python> {
    Python::with(&target(root), "onnx", &PACKAGES)
}

/// Writes networks of every kind, has ONNX's checker and ONNX Runtime look at them from Python, and runs our own tests of
/// the feature `onnxruntime` with the library of that Python.
pub(crate) fn check(root: &Path, python: &Python) -> Result<()> {
    let cases = target(root).join("onnx-cases");
    let crate_root = root.join("crates/hilum-nn");
    run(Command::new(built_for_tests(root, "examples/onnx_cases")?).arg(&cases))?;
    run(python
        .command()
        .arg(crate_root.join("tests/onnx/compare.py"))
        .arg(&cases)
        .arg(crate_root.join("tests/data/tiny.onnx")))?;
    run(Command::new(cargo_path())
        .current_dir(root)
        .args(["test", "-p", "hilum-nn", "--features", "onnxruntime", "--test", "it", "onnxruntime"])
        .env("ORT_DYLIB_PATH", python.onnxruntime_library()?))
}
