//! `cargo xtask bench`: Hilum and its peers in turns on one machine, written down in `docs/performance.md`.

mod contestant;
mod decode;
mod engine;
mod machine;
mod page;
mod pipeline;
mod statistics;
mod train;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::python::Python;
use crate::{cargo_path, run, target};

/// What to measure, and how often.
#[derive(Args)]
pub(crate) struct BenchArguments {
    /// Sections to measure; without any, all of them
    sections: Vec<Section>,
    /// Turns that every contestant gets
    #[arg(long, default_value_t = 7, value_name = "N")]
    rounds: usize,
    /// Also compare with PyTorch (its package is large)
    #[arg(long)]
    with_torch: bool,
    /// Measure the programs that were built last
    #[arg(long)]
    no_build: bool,
    /// Measure only networks whose name holds this: 2d-16-256, 2d-64-1024, 3d-16-128, 3d-32-320
    #[arg(long, value_name = "TEXT", default_value = "")]
    network: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Networks: our engine, ONNX Runtime and PyTorch
    Engine,
    /// One training step: Hilum and PyTorch (needs --with-torch)
    Train,
    /// Reading 300 CT slices: Hilum, dicomsdl and pydicom
    Decode,
    /// `hilum analyze` from start to end
    Pipeline,
}

impl Section {
    const ALL: [Section; 4] = [Section::Engine, Section::Train, Section::Decode, Section::Pipeline];

    fn name(self) -> &'static str {
        match self {
            Section::Engine => "engine",
            Section::Train => "train",
            Section::Decode => "decode",
            Section::Pipeline => "pipeline",
        }
    }
}

const PACKAGES: [&str; 8] = [
    "numpy",
    "onnx==1.23.2",
    "onnxruntime==1.32.0",
    "dicomsdl==0.109.4",
    "pydicom==3.0.2",
    "pylibjpeg",
    "pylibjpeg-libjpeg",
    "python-gdcm",
];

/// What every section works with.
struct Bench {
    root: PathBuf,
    /// Folder of the programs built in release.
    programs: PathBuf,
    /// Files that may be thrown away.
    scratch: PathBuf,
    python: Python,
    rounds: usize,
    with_torch: bool,
    network: String,
}

pub(crate) fn bench(root: &Path, arguments: BenchArguments) -> Result<()> {
    let target = target(root);
    if !arguments.no_build {
        run(Command::new(cargo_path())
            .args(["build", "--release", "-p", "hilum", "-p", "hilum-benches"])
            .current_dir(root))?;
    }
    let mut packages = PACKAGES.to_vec();
    if arguments.with_torch {
        packages.push("torch");
    }
    let bench = Bench {
        root: root.to_owned(),
        programs: target.join("release"),
        scratch: target.join("bench"),
        python: Python::with(&target, "bench", &packages)?,
        rounds: arguments.rounds.max(1),
        with_torch: arguments.with_torch,
        network: arguments.network,
    };
    std::fs::create_dir_all(&bench.scratch)?;
    let page = root.join("docs/performance.md");
    let chosen = if arguments.sections.is_empty() { Section::ALL.to_vec() } else { arguments.sections };
    for section in Section::ALL.into_iter().filter(|section| chosen.contains(section)) {
        let before = machine::Machine::now()?;
        let measured = match section {
            Section::Engine => engine::measure(&bench)?,
            Section::Train => train::measure(&bench)?,
            Section::Decode => decode::measure(&bench)?,
            Section::Pipeline => pipeline::measure(&bench)?,
        };
        println!("{measured}");
        page::put(&page, section.name(), &format!("{}\n\n{}", before.sentence(bench.rounds), measured.trim()))?;
    }
    eprintln!("written to {}", page.display());
    Ok(())
}

impl Bench {
    /// A program of ours.
    fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }

    /// A script of `benches/peers`.
    fn peer(&self, script: &str) -> Command {
        let mut command = self.python.command();
        command.arg(self.root.join("benches/peers").join(script));
        command
    }
}
