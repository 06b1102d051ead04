//! Reading 300 CT slices of 512 x 512: Hilum against dicomsdl and pydicom.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::Bench;
use super::contestant::Contestant;
use super::pipeline::phantom;
use super::statistics::Sample;

const SLICES: usize = 300;

const OURS: &str = "hilum";
const PEERS: [&str; 2] = ["dicomsdl", "pydicom"];

pub(super) fn measure(bench: &Bench) -> Result<String> {
    let (plain, lossless) = files(bench)?;
    let mut table = String::from("| coding | threads |");
    for name in [OURS].iter().chain(&PEERS) {
        write!(table, " {name}, ms |")?;
    }
    for peer in PEERS {
        write!(table, " ratio to {peer} |")?;
    }
    table += &format!("\n|{}\n", "---|".repeat(3 + 2 * PEERS.len()));
    for (coding, folder) in [("uncompressed", &plain), ("JPEG lossless", &lossless)] {
        for threads in [1, 2] {
            eprintln!("decoding, {coding}, {threads} thread(s)");
            let samples = job(bench, folder, threads)?;
            write!(table, "| {coding} | {threads} |")?;
            for sample in &samples {
                write!(table, " {} |", sample.text(0))?;
            }
            for peer in &samples[1..] {
                write!(table, " **{}** |", samples[0].ratio_to(peer).text(2))?;
            }
            table.push('\n');
        }
    }
    Ok(format!(
        "{table}\n{SLICES} slices of a phantom; JPEG written by GDCM (lossless, process 14, selection value 1). Hilum also \
         groups, checks and sorts the files; dicomsdl gives HU too, pydicom (through pylibjpeg) the stored values. \
         One thread: processor time. Two threads: wall time.\n"
    ))
}

/// Milliseconds of all contestants, ours first, in turns.
fn job(bench: &Bench, folder: &Path, threads: usize) -> Result<Vec<Sample>> {
    let mut contestants = vec![Contestant::start(OURS, &mut bench.program("decode"))?];
    for peer in PEERS {
        contestants.push(Contestant::start(peer, bench.peer("decode.py").arg(peer))?);
    }
    let line = format!("run {} {threads}", folder.display());
    let mut samples = vec![Sample::default(); contestants.len()];
    // The first round pays for reading from the disk and is not counted.
    for round in 0..=bench.rounds {
        for (contestant, sample) in contestants.iter_mut().zip(&mut samples) {
            let turn = contestant.turn(&line)?;
            if turn.rest.first() != Some(&(SLICES as f64)) {
                bail!("{} read {:?} files instead of {SLICES}", contestant.name, turn.rest.first());
            }
            if round > 0 {
                sample.0.push(1000.0 * if threads == 1 { turn.cpu_s } else { turn.wall_s });
            }
        }
    }
    Ok(samples)
}

/// The files, uncompressed and in JPEG lossless; made once.
fn files(bench: &Bench) -> Result<(PathBuf, PathBuf)> {
    let (plain, lossless) = (bench.scratch.join("decode-plain"), bench.scratch.join("decode-lossless"));
    let whole = |folder: &Path| std::fs::read_dir(folder).is_ok_and(|files| files.count() == SLICES);
    if !whole(&plain) {
        std::fs::create_dir_all(&plain)?;
        let mut names = Vec::new();
        for file in std::fs::read_dir(phantom(bench)?)? {
            names.push(file?.path());
        }
        names.sort();
        for from in names.iter().take(SLICES) {
            std::fs::copy(from, plain.join(from.file_name().context("a file has a name")?))?;
        }
    }
    if !whole(&lossless) {
        crate::run(bench.peer("compress.py").args([&plain, &lossless]))?;
    }
    Ok((plain, lossless))
}
