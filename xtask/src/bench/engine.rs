//! Networks: our engine against ONNX Runtime (and PyTorch) on the ONNX files that it exports itself.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result, bail};

use super::Bench;
use super::contestant::Contestant;
use super::statistics::Sample;

/// Network, inputs at once.
const JOBS: [(&str, usize); 6] =
    [("2d-16-256", 1), ("2d-16-256", 8), ("2d-64-1024", 1), ("2d-64-1024", 8), ("3d-16-128", 1), ("3d-32-320", 1)];

/// Largest difference allowed between the mean magnitudes of the logits of two contestants in 32-bit floats: this only
/// makes sure that all do the same work; `cargo xtask onnx` compares every value.
const SAME_WORK: f64 = 1e-3;

/// The same for smaller numbers, whose results are meant to differ.
const SAME_WORK_SMALL: f64 = 0.5;

const OURS_EXACT: &str = "hilum exact";
const OURS_FASTEST: &str = "hilum fastest";
const OURS_BF16: &str = "hilum bf16";
const OURS_INT8: &str = "hilum int8";
const ONNX: &str = "ONNX Runtime f32";
const ONNX_INT8: &str = "ONNX Runtime int8";
const TORCH: &str = "PyTorch";

/// Operations per second of a loop of multiply-adds, kept beside the contestants' times.
const PEAK: &str = "peak";

/// Milliseconds of one contestant: of processor time with one thread, on the clock with more.
type Times = BTreeMap<&'static str, Sample>;

pub(super) fn measure(bench: &Bench) -> Result<String> {
    let mut ours = Contestant::start("hilum", &mut bench.program("engine"))?;
    let operations = operations(&ours.ask(&format!("export {}", bench.scratch.display()))?)?;
    drop(ours);
    let mut peaks = Sample::default();
    let torch = bench.with_torch;
    let mut exact = String::from(
        "| network | inputs | threads | ONNX Runtime, ms | hilum exact, ms | ratio | hilum fastest, ms | ratio | share of \
         peak, exact |",
    );
    exact += if torch { " PyTorch, ms |\n" } else { "\n" };
    exact += &format!("|{}\n", "---|".repeat(9 + usize::from(torch)));
    let mut small = String::from(
        "| network | inputs | threads | ONNX Runtime f32, ms | ONNX Runtime int8, ms | hilum bf16, ms | to f32 | hilum int8, \
         ms | to f32 | to int8 |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (network, inputs) in JOBS.into_iter().filter(|(name, _)| name.contains(&bench.network)) {
        for threads in [1, 2] {
            eprintln!("{network}, {inputs} input(s), {threads} thread(s)");
            let times = job(bench, network, inputs, threads)?;
            let of = |name: &str| times.get(name).map_or("-".into(), |sample: &Sample| sample.text(0));
            let ratio = |a: &str, b: &str| match (times.get(a), times.get(b)) {
                (Some(a), Some(b)) => format!("**{}**", a.ratio_to(b).text(2)),
                _ => "-".into(),
            };
            let work = operations.get(network).context("a network without a count of operations")? * inputs as f64;
            let share = match threads {
                1 => {
                    let reached = times[OURS_EXACT].0.iter().map(|ms| work / (ms / 1000.0)).collect();
                    peaks.0.extend(&times[PEAK].0);
                    format!("{} %", Sample(reached).ratio_to(&times[PEAK]).times(100.0).text(0))
                }
                _ => "-".into(),
            };
            let head = format!("| {network} | {inputs} | {threads} | {} |", of(ONNX));
            write!(
                exact,
                "{head} {} | {} | {} | {} | {share} |",
                of(OURS_EXACT),
                ratio(OURS_EXACT, ONNX),
                of(OURS_FASTEST),
                ratio(OURS_FASTEST, ONNX),
            )?;
            writeln!(exact, "{}", if torch { format!(" {} |", of(TORCH)) } else { String::new() })?;
            writeln!(
                small,
                "{head} {} | {} | {} | {} | {} | {} |",
                of(ONNX_INT8),
                of(OURS_BF16),
                ratio(OURS_BF16, ONNX),
                of(OURS_INT8),
                ratio(OURS_INT8, ONNX),
                ratio(OURS_INT8, ONNX_INT8),
            )?;
        }
    }
    let shared = shared(bench)?;
    let peers = Contestant::start("peer", bench.peer("engine.py").arg(&bench.scratch))?.ask("version")?.join(" ");
    Ok(format!(
        "32-bit floats:\n\n{exact}\n{shared}\n\nSmaller numbers (int8 is the default where a model's card shows that it costs no Dice):\n\n{small}\nPeer: ONNX Runtime {peers} from PyPI, default settings but for the number of threads, on the file our \
         engine exported. One thread: processor time. Two threads: wall time. Peak: a loop of f32 multiply-adds in every \
         round, {} GFLOP/s on one core.\n",
        peaks.times(1e-9).text(0)
    ))
}

/// How two runs at once share one engine.
fn shared(bench: &Bench) -> Result<String> {
    let mut ours = Contestant::start("hilum", &mut bench.program("engine"))?;
    ours.ask("prepare 3d-16-128 1 2 fastest")?;
    ours.turn("run")?;
    let (mut alone, mut both, mut first) = (Sample::default(), Sample::default(), Sample::default());
    for _ in 0..bench.rounds {
        alone.0.push(ours.turn("run")?.wall_s);
        let turn = ours.turn("together 2")?;
        both.0.push(turn.wall_s);
        first.0.push(turn.rest[0]);
    }
    Ok(format!(
        "Two volumes at once through one engine of two threads (3d-16-128, fastest): both are done after {} times the time of \
         one, the first after {}.",
        both.ratio_to(&alone).text(2),
        first.ratio_to(&alone).text(2)
    ))
}

/// Operations of one input, by network.
fn operations(words: &[String]) -> Result<BTreeMap<String, f64>> {
    words
        .chunks_exact(2)
        .map(|pair| Ok((pair[0].clone(), pair[1].parse::<f64>()?)))
        .collect::<Result<_>>()
        .context("the answer to `export` is not understood")
}

/// All contestants on one job, in turns. One that this machine cannot run is left out with its
/// reason; the 32-bit ones must run.
fn job(bench: &Bench, network: &str, inputs: usize, threads: usize) -> Result<Times> {
    let mut settings =
        vec![(OURS_EXACT, "exact"), (ONNX, "f32"), (OURS_FASTEST, "fastest"), (OURS_BF16, "bf16"), (OURS_INT8, "int8")];
    if network.starts_with("2d") {
        settings.push((ONNX_INT8, "int8"));
    }
    if bench.with_torch {
        settings.push((TORCH, "torch"));
    }
    let mut contestants = Vec::new();
    for (name, setting) in settings {
        let ours = name.starts_with("hilum");
        let mut command = if ours { bench.program("engine") } else { bench.peer("engine.py") };
        if !ours {
            command.arg(&bench.scratch);
        }
        let mut contestant = Contestant::start(name, &mut command)?;
        let ready = contestant.ask(&format!("prepare {network} {inputs} {threads} {setting}"));
        // The first turn pays for caches and is not counted.
        match ready.and_then(|_| contestant.turn("run")) {
            Ok(first) => contestants.push((name, contestant, first.rest)),
            Err(error) if [OURS_EXACT, OURS_FASTEST, ONNX].contains(&name) => return Err(error),
            Err(error) => eprintln!("left out: {error:#}"),
        }
    }
    let reference = contestants[0].2[0];
    for (name, _, rest) in &contestants {
        let small = [OURS_BF16, OURS_INT8, ONNX_INT8].contains(name);
        let allowed = if small { SAME_WORK_SMALL } else { SAME_WORK };
        if (rest[0] / reference - 1.0).abs() > allowed {
            bail!("{name} computes something else on {network}: {} against {reference}", rest[0]);
        }
    }
    let mut times = Times::new();
    let mut peak = Contestant::start(PEAK, &mut bench.program("engine"))?;
    for _ in 0..bench.rounds {
        let turn = peak.turn("peak")?;
        times.entry(PEAK).or_default().0.push(turn.rest.first().context("a peak without operations")? / turn.cpu_s);
        for (name, contestant, _) in &mut contestants {
            let turn = contestant.turn("run")?;
            let seconds = if threads == 1 { turn.cpu_s } else { turn.wall_s };
            times.entry(name).or_default().0.push(seconds * 1000.0);
        }
    }
    Ok(times)
}
