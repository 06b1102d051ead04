//! `cargo xtask fuzz`: the parsers of foreign bytes under libFuzzer and AddressSanitizer, from seeds made of the test data.
//!
//! Needs a nightly toolchain and `cargo install cargo-fuzz`. Corpora grow in `fuzz/corpus`; what crashed once lies in
//! `fuzz/regressions` and is run first.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{cargo_path, run};

/// What to fuzz, and for how long.
#[derive(Args)]
pub(crate) struct FuzzArguments {
    /// Targets; without any, all of them one after the other
    targets: Vec<String>,
    /// Minutes for each
    #[arg(long, default_value_t = 5, value_name = "N")]
    minutes: u64,
    /// Only run what is in the corpus and among the regressions, once
    #[arg(long)]
    replay: bool,
}

/// A target takes at most this much memory, and a single input this long.
const MEGABYTES: u32 = 512;
const SECONDS: u32 = 20;

/// Stands between the files of one input of the target `dicom`.
const CUT: &[u8] = b"HILUMCUT";

pub(crate) fn fuzz(root: &Path, arguments: &FuzzArguments) -> Result<()> {
    let known = targets(root)?;
    let chosen = if arguments.targets.is_empty() { known.clone() } else { arguments.targets.clone() };
    if let Some(stranger) = chosen.iter().find(|target| !known.contains(target)) {
        bail!("there is no target `{stranger}`; there are: {}", known.join(", "));
    }
    seed(root)?;
    for target in &chosen {
        let folder = root.join("fuzz");
        let regressions = folder.join("regressions").join(target);
        fs::create_dir_all(&regressions)?;
        let mut command = Command::new(cargo_path());
        // The nightly toolchain is chosen by its name, whatever runs this.
        command.env_remove("RUSTUP_TOOLCHAIN").env_remove("RUSTC").env_remove("RUSTDOC");
        command.env("RUSTUP_TOOLCHAIN", "nightly").args(["fuzz", "run", target]).current_dir(root);
        command.arg(folder.join("corpus").join(target)).arg(&regressions).arg("--");
        command.args([format!("-rss_limit_mb={MEGABYTES}"), format!("-timeout={SECONDS}"), "-max_len=65536".into()]);
        command.arg(if arguments.replay {
            "-runs=0".into()
        } else {
            format!("-max_total_time={}", 60 * arguments.minutes)
        });
        run(&mut command).with_context(|| format!("the target `{target}` found something, or cannot be built"))?;
    }
    Ok(())
}

/// The names of the targets: the files of `fuzz/targets`.
fn targets(root: &Path) -> Result<Vec<String>> {
    let files = fs::read_dir(root.join("fuzz/targets"))?;
    let mut names: Vec<String> = files
        .map(|entry| Ok(entry?.path().file_stem().context("a target has a name")?.to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    names.sort();
    Ok(names)
}

/// Copies test data into the corpora, where it is not there yet.
fn seed(root: &Path) -> Result<()> {
    let data = root.join("crates/hilum-dicom/tests/data");
    let corpus = |target: &str| -> Result<PathBuf> {
        let folder = root.join("fuzz/corpus").join(target);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    };
    for path in files(&data.join("syntax"), "zip")? {
        let name = path.file_stem().context("a fixture has a name")?;
        fs::copy(&path, corpus("zip")?.join(name))?;
        let series = unpacked(&path)?;
        fs::write(corpus("dicom")?.join(name), series.join(CUT))?;
        fs::write(corpus("deidentify")?.join(name), [&[0], &series[0][..]].concat())?;
    }
    for path in files(&data.join("results"), "dcm")? {
        let name = path.file_stem().context("a fixture has a name")?;
        fs::copy(&path, corpus("results")?.join(name))?;
        fs::write(corpus("deidentify")?.join(name), [&[31], &fs::read(&path)?[..]].concat())?;
    }
    for path in files(&data.join("nifti"), "nii")?.into_iter().chain(files(&data.join("nifti"), "gz")?) {
        fs::copy(&path, corpus("nifti")?.join(path.file_name().context("a fixture has a name")?))?;
    }
    fs::copy(root.join("models/pneumonia-ct/card.toml"), corpus("card")?.join("pneumonia-ct"))?;
    for target in targets(root)? {
        for path in files(&root.join("fuzz/seeds").join(&target), "")? {
            fs::copy(&path, corpus(&target)?.join(path.file_name().context("a seed has a name")?))?;
        }
    }
    Ok(())
}

/// The files of a folder with this extension, or all if it is empty; none if there is no folder.
fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| extension.is_empty() || path.extension().is_some_and(|e| e == extension));
    paths.sort();
    Ok(paths)
}

fn unpacked(path: &Path) -> Result<Vec<Vec<u8>>> {
    let mut archive = zip::ZipArchive::new(fs::File::open(path)?)?;
    (0..archive.len())
        .map(|n| {
            let mut bytes = Vec::new();
            archive.by_index(n)?.read_to_end(&mut bytes)?;
            Ok(bytes)
        })
        .collect()
}
