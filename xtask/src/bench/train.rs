//! One step of training: forward, backward and AdamW, against PyTorch.

use std::fmt::Write;

use anyhow::Result;

use super::Bench;
use super::contestant::Contestant;
use super::statistics::Sample;

/// Network, images in a batch.
const JOBS: [(&str, usize); 2] = [("2d-16-256", 8), ("3d-16-128", 1)];

/// Largest difference between the losses of the first step. Starting values differ, but near-zero last layers make both
/// close to that of a coin; what differs by more is not the same work.
const SAME_WORK: f64 = 0.2;

pub(super) fn measure(bench: &Bench) -> Result<String> {
    if !bench.with_torch {
        return Ok("Not measured in this run: the peer is PyTorch, which `--with-torch` installs.\n".into());
    }
    Contestant::start("hilum", &mut bench.program("engine"))?.ask(&format!("export {}", bench.scratch.display()))?;
    let mut table = String::from(
        "| network | images | threads | PyTorch, ms | PyTorch channels last, ms | hilum, ms | ratio to the faster |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for (network, images) in JOBS.into_iter().filter(|(name, _)| name.contains(&bench.network)) {
        for threads in [1, 2] {
            eprintln!("training {network}, {images} image(s), {threads} thread(s)");
            let [contiguous, last, ours] = job(bench, network, images, threads)?;
            let faster = if last.median() < contiguous.median() { &last } else { &contiguous };
            writeln!(
                table,
                "| {network} | {images} | {threads} | {} | {} | {} | **{}** |",
                contiguous.text(0),
                last.text(0),
                ours.text(0),
                ours.ratio_to(faster).text(2)
            )?;
        }
    }
    let version = Contestant::start("PyTorch", bench.peer("train.py").arg(&bench.scratch))?.ask("version")?.join(" ");
    Ok(format!(
        "{table}\nA step is forward pass, loss (cross-entropy and soft Dice), backward pass and AdamW. Peer: PyTorch {version} \
         from PyPI on the same network, in both its memory formats. One thread: processor time. Two threads: wall time.\n"
    ))
}

/// Milliseconds of PyTorch in both memory formats and of Hilum, in turns.
fn job(bench: &Bench, network: &str, images: usize, threads: usize) -> Result<[Sample; 3]> {
    let peer = |setting: &'static str| (setting, bench.peer("train.py"));
    let mut ours = bench.program("train");
    ours.env("MIMALLOC_PURGE_DELAY", "-1"); // as `hilum train` sets it for itself
    let mut contestants = Vec::new();
    for (setting, mut command) in [peer("contiguous"), peer("channels_last"), ("hilum", ours)] {
        let mut contestant = Contestant::start(setting, command.arg(&bench.scratch))?;
        contestant.ask(&format!("prepare {network} {images} {threads} {setting}"))?;
        let loss = contestant.turn("run")?.rest[0]; // pays for memory and caches
        contestants.push((contestant, loss));
    }
    let losses: Vec<f64> = contestants.iter().map(|(_, loss)| *loss).collect();
    anyhow::ensure!(losses.iter().all(|l| (l / losses[0] - 1.0).abs() < SAME_WORK), "losses differ: {losses:?}");
    let mut samples = [Sample::default(), Sample::default(), Sample::default()];
    for _ in 0..bench.rounds {
        for ((contestant, _), sample) in contestants.iter_mut().zip(&mut samples) {
            let turn = contestant.turn("run")?;
            sample.0.push(1000.0 * if threads == 1 { turn.cpu_s } else { turn.wall_s });
        }
    }
    Ok(samples)
}
