//! `cargo xtask fuzz`: the parsers of foreign bytes under libFuzzer and AddressSanitizer, from seeds made of the test data.
//!
//! The sanitizer is an unstable option of the compiler: a nightly toolchain takes it as it is, the stable one with
//! `RUSTC_BOOTSTRAP=1`, which is set where there is no nightly. cargo-fuzz is built into `target` where it is not installed.
//! Corpora grow in `fuzz/corpus`; what crashed once lies in `fuzz/regressions` and is run first.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{cargo_path, fuzz_seeds, run, target};

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

/// Targets that the feature `train` of `fuzz/Cargo.toml` is for.
const OF_TRAINING: [&str; 2] = ["config", "pictures"];

/// A target takes at most this much memory, and a single input this long.
const MEGABYTES: u32 = 512;
const SECONDS: u32 = 20;

pub(crate) fn fuzz(root: &Path, arguments: &FuzzArguments) -> Result<()> {
    let known = targets(root)?;
    let chosen = if arguments.targets.is_empty() { known.clone() } else { arguments.targets.clone() };
    if let Some(stranger) = chosen.iter().find(|target| !known.contains(target)) {
        bail!("there is no target `{stranger}`; there are: {}", known.join(", "));
    }
    let compiler = Compiler::find();
    eprintln!("{}", compiler.in_words());
    let tools = tools(root)?;
    fuzz_seeds::sow(root, &known)?;
    let folder = root.join("fuzz");
    let mut table = String::from("| target | inputs | seconds | coverage | peak MB |\n|---|---|---|---|---|\n");
    let mut found = Vec::new();
    for target in &chosen {
        let (corpus, regressions) = (folder.join("corpus").join(target), folder.join("regressions").join(target));
        fs::create_dir_all(&corpus)?;
        fs::create_dir_all(&regressions)?;
        let mut command = compiler.cargo(&tools)?;
        let features: &[&str] = if OF_TRAINING.contains(&target.as_str()) { &["--features", "train"] } else { &[] };
        command
            .args(["fuzz", "run"])
            .args(features)
            .arg(target)
            .arg(corpus)
            .arg(regressions)
            .arg("--")
            .current_dir(root);
        command.args([format!("-rss_limit_mb={MEGABYTES}"), format!("-timeout={SECONDS}"), "-max_len=65536".into()]);
        // Names of functions that are reached for the first time cost more than the runs do.
        command.args(["-print_final_stats=1", "-print_funcs=0"]).arg(match arguments.replay {
            true => "-runs=0".into(),
            false => format!("-max_total_time={}", 60 * arguments.minutes),
        });
        // Freed memory that the sanitizer keeps back to find uses of it counts as ours: 32 MB of it in place of 256.
        command.env("ASAN_OPTIONS", "quarantine_size_mb=32");
        let (statistics, passed) = watched(&mut command)?;
        table += &statistics.row(target, passed);
        if !passed {
            found.push(target.as_str());
        }
    }
    println!("\n{table}");
    if found.is_empty() { Ok(()) } else { bail!("found something in, or could not build: {}", found.join(", ")) }
}

/// The names of the targets: the files of `fuzz/targets`.
fn targets(root: &Path) -> Result<Vec<String>> {
    let files = fs::read_dir(root.join("fuzz/targets"))?;
    let mut names: Vec<String> = files
        .map(|entry| Ok(entry?.path().file_stem().context("a target has a name")?.to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    // Those of training last: the others do not wait for Burn.
    names.sort_by_key(|name| (OF_TRAINING.contains(&name.as_str()), name.clone()));
    Ok(names)
}

/// What compiles with a sanitizer.
enum Compiler {
    Nightly,
    /// The toolchain that runs this, told to take unstable options.
    Bootstrapped,
}

impl Compiler {
    fn find() -> Self {
        let mut command = Command::new("rustup");
        command.args(["run", "nightly", "rustc", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
        match command.status() {
            Ok(status) if status.success() => Self::Nightly,
            _ => Self::Bootstrapped,
        }
    }

    fn in_words(&self) -> &'static str {
        match self {
            Self::Nightly => "compiling with the nightly toolchain",
            Self::Bootstrapped => {
                "there is no nightly toolchain: compiling with this one, which takes unstable options by RUSTC_BOOTSTRAP=1"
            }
        }
    }

    /// Cargo with the programs in `tools` as its subcommands.
    fn cargo(&self, tools: &Path) -> Result<Command> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([tools.to_owned()].into_iter().chain(std::env::split_paths(&path)))?;
        let mut command = match self {
            // The toolchain is chosen by its name, whatever runs this.
            Self::Nightly => {
                let mut command = Command::new("cargo");
                command.env("RUSTUP_TOOLCHAIN", "nightly");
                command.env_remove("CARGO").env_remove("RUSTC").env_remove("RUSTDOC");
                command
            }
            Self::Bootstrapped => {
                let mut command = Command::new(cargo_path());
                command.env("RUSTC_BOOTSTRAP", "1");
                command
            }
        };
        command.env("PATH", path);
        Ok(command)
    }
}

/// Where cargo-fuzz is, if it is not installed for everybody; it is built there once.
fn tools(root: &Path) -> Result<PathBuf> {
    let folder = target(root).join("cargo-fuzz");
    let tools = folder.join("bin");
    let there = |command: &mut Command| command.arg("--version").output().is_ok_and(|o| o.status.success());
    if !there(&mut Command::new("cargo-fuzz")) && !there(&mut Command::new(tools.join("cargo-fuzz"))) {
        run(Command::new(cargo_path()).args(["install", "cargo-fuzz", "--locked", "--root"]).arg(&folder))
            .context("cargo-fuzz could not be built")?;
    }
    Ok(tools)
}

/// What libFuzzer says of a run.
#[derive(Debug, Default, PartialEq)]
struct Statistics {
    inputs: Option<u64>,
    seconds: Option<u64>,
    coverage: Option<u64>,
    peak_mb: Option<u64>,
}

impl Statistics {
    fn note(&mut self, line: &str) {
        let after = |what: &str| {
            let rest = line.split_once(what)?.1.trim_start();
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        self.coverage = after(" cov: ").or(self.coverage);
        self.inputs = after("stat::number_of_executed_units:").or(self.inputs);
        self.peak_mb = after("stat::peak_rss_mb:").or(self.peak_mb);
        if line.starts_with("Done ") {
            self.seconds = after(" runs in ").or(self.seconds);
        }
    }

    fn row(&self, target: &str, passed: bool) -> String {
        let shown = |number: Option<u64>| number.map_or_else(|| "-".into(), |n| n.to_string());
        let [inputs, seconds, coverage, peak] = [self.inputs, self.seconds, self.coverage, self.peak_mb].map(shown);
        let remark = if passed { "" } else { " (ended early)" };
        format!("| {target}{remark} | {inputs} | {seconds} | {coverage} | {peak} |\n")
    }
}

/// Runs a command, passing on what it says; what of it was statistics, and whether it succeeded.
fn watched(command: &mut Command) -> Result<(Statistics, bool)> {
    eprintln!("\n== {command:?}");
    let mut child = command.stderr(Stdio::piped()).spawn().with_context(|| format!("could not start {command:?}"))?;
    let mut statistics = Statistics::default();
    let mut said = BufReader::new(child.stderr.take().context("its words are piped")?);
    let mut line = Vec::new();
    while said.read_until(b'\n', &mut line)? > 0 {
        std::io::stderr().write_all(&line)?;
        statistics.note(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok((statistics, child.wait()?.success()))
}

#[cfg(test)]
mod tests {
    use super::Statistics;

    #[test]
    fn what_libfuzzer_says_is_counted() {
        let mut statistics = Statistics::default();
        for line in [
            "#2\tINITED cov: 431 ft: 432 corp: 1/1b exec/s: 0 rss: 39Mb",
            "#65536\tpulse  cov: 1207 ft: 3001 corp: 210/60Kb lim: 4096 exec/s: 900 rss: 77Mb",
            "Done 70001 runs in 61 second(s)",
            "stat::number_of_executed_units: 70001",
            "stat::average_exec_per_sec:     1147",
            "stat::peak_rss_mb:              81",
        ] {
            statistics.note(line);
        }
        let numbers = [Some(70001), Some(61), Some(1207), Some(81)];
        let [inputs, seconds, coverage, peak_mb] = numbers;
        assert_eq!(statistics, Statistics { inputs, seconds, coverage, peak_mb });
        assert_eq!(statistics.row("zip", true), "| zip | 70001 | 61 | 1207 | 81 |\n");
    }
}
