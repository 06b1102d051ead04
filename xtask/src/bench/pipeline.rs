//! `hilum analyze` from the first file to the last: wall time and memory.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use super::Bench;
use super::statistics::Sample;

/// The steps of `timings_s` in findings.json.
const STEPS: [&str; 7] = ["load", "lungs", "lobes", "lesions", "classify", "measure", "report"];

pub(super) fn measure(bench: &Bench) -> Result<String> {
    let data = std::env::var_os("HILUM_DATA").map_or_else(|| bench.root.join("../shared/data"), PathBuf::from);
    let patient = data.join("covid-ct-md/covid-P002");
    let mut table = format!(
        "| study | wall, s | peak memory, MB | {} |\n|---|---|---|{}\n",
        STEPS.map(|step| format!("{step}, s")).join(" | "),
        "---|".repeat(STEPS.len())
    );
    let mut left_out = String::new();
    if patient.is_dir() {
        row(bench, &mut table, "covid-P002, 133 slices of 512²", &patient)?;
    } else {
        write!(left_out, " covid-P002 was left out: there is no {}.", patient.display())?;
    }
    row(bench, &mut table, "phantom, 1000 slices of 512²", &phantom(bench)?)?;
    Ok(format!(
        "{table}\nAll threads. Wall time of the whole command, report and pictures included; steps by its own clock \
         (medians).{left_out}\n"
    ))
}

fn row(bench: &Bench, table: &mut String, name: &str, study: &Path) -> Result<()> {
    let out = bench.scratch.join("analysis");
    let (mut wall_s, mut memory_mb, mut steps) = (Sample::default(), Sample::default(), BTreeMap::new());
    for round in 1..=bench.rounds {
        eprintln!("{name}: {round} of {}", bench.rounds);
        let started = Instant::now();
        crate::run(bench.program("hilum").args(["--quiet", "analyze"]).arg(study).arg("--out").arg(&out))?;
        wall_s.0.push(started.elapsed().as_secs_f64());
        let findings: serde_json::Value = serde_json::from_slice(&std::fs::read(out.join("findings.json"))?)?;
        memory_mb.0.push(findings["peak_memory_mb"].as_f64().context("findings.json tells no peak memory")?);
        for step in STEPS {
            let sample: &mut Sample = steps.entry(step).or_default();
            sample.0.extend(findings["timings_s"][step].as_f64());
        }
    }
    write!(table, "| {name} | **{}** | **{}** |", wall_s.text(1), memory_mb.text(0))?;
    for step in STEPS {
        match steps[step].median() {
            median if median.is_nan() => table.push_str(" - |"),
            median => write!(table, " {median:.1} |")?,
        }
    }
    table.push('\n');
    Ok(())
}

/// A phantom chest of 1000 slices, made once: the folder of its DICOM files.
pub(super) fn phantom(bench: &Bench) -> Result<PathBuf> {
    let folder = bench.scratch.join("phantom-1000");
    let series = folder.join("series");
    if std::fs::read_dir(&series).map_or(0, Iterator::count) != 1000 {
        let mut command: Command = bench.program("hilum");
        crate::run(command.args(["phantom", "--variant", "thousand-slices", "--out"]).arg(&folder))?;
    }
    Ok(series)
}
