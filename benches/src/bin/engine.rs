//! Our engine as a contestant: see the crate's page for the lines it answers.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use hilum_benches::{NETWORKS, Network, input_for, peak_operations, serve, weights_for};
use hilum_nn::{Algorithm, Engine, EngineOptions, Precision, to_onnx};

/// A network made ready, with its input.
struct Prepared {
    engine: Engine,
    input: Vec<f32>,
    shape: [usize; 5],
}

fn main() -> std::io::Result<()> {
    let mut prepared: Option<Prepared> = None;
    serve(|line| match line {
        ["export", folder] => export(Path::new(folder)),
        ["peak"] => {
            let started = Instant::now();
            let operations = peak_operations().context("there is no peak loop for this processor")?;
            Ok(format!("{} {operations}", started.elapsed().as_secs_f64()))
        }
        ["prepare", name, batch, threads, setting] => {
            prepared = None; // its memory goes before the next one's is taken
            let batch = batch.parse()?;
            prepared = Some(prepare(network(name)?, batch, threads.parse()?, setting)?);
            Ok(String::new())
        }
        ["run"] => {
            let Prepared { engine, input, shape } = prepared.as_ref().context("nothing is prepared")?;
            let started = Instant::now();
            let logits = engine.run(input, *shape)?;
            let seconds = started.elapsed().as_secs_f64();
            let magnitude: f64 = logits.iter().map(|l| f64::from(l.abs())).sum::<f64>() / logits.len() as f64;
            Ok(format!("{seconds} {magnitude}"))
        }
        ["together", count] => together(prepared.as_ref().context("nothing is prepared")?, count.parse()?),
        _ => bail!("not understood: {}", line.join(" ")),
    })
}

/// Runs that begin at once on one engine: seconds until the first and until the last is done.
fn together(prepared: &Prepared, count: usize) -> Result<String> {
    let Prepared { engine, input, shape } = prepared;
    let started = Instant::now();
    let run = || -> Result<f64> {
        black_box(engine.run(input, *shape)?);
        Ok(started.elapsed().as_secs_f64())
    };
    let seconds = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..count).map(|_| scope.spawn(run)).collect();
        runs.into_iter().map(|run| run.join().expect("no run panics")).collect::<Result<Vec<f64>>>()
    })?;
    let [first, last] = [f64::min, f64::max].map(|pick| seconds.iter().copied().reduce(pick).unwrap_or(f64::NAN));
    Ok(format!("{last} {first}"))
}

fn network(name: &str) -> Result<&'static Network> {
    NETWORKS.iter().find(|network| network.name == name).with_context(|| format!("there is no network {name}"))
}

fn prepare(network: &Network, batch: usize, threads: usize, setting: &str) -> Result<Prepared> {
    let (algorithm, precision) = match setting {
        "exact" => (Algorithm::Exact, Precision::F32),
        "fastest" => (Algorithm::Fastest, Precision::F32),
        "bf16" => (Algorithm::Fastest, Precision::Bf16),
        "int8" => (Algorithm::Fastest, Precision::Int8),
        other => bail!("there is no setting {other}"),
    };
    let graph = network.graph();
    let weights = weights_for(&graph);
    let options = EngineOptions { threads, algorithm, precision, ..EngineOptions::default() };
    let [slices, rows, columns] = network.size;
    let shape_of = |count: usize| [count, 1, slices, rows, columns];
    let input = input_for(shape_of(batch).iter().product());
    let engine = match precision {
        Precision::Int8 => {
            let one = shape_of(1);
            let exact = Engine::new(&graph, &weights, EngineOptions { precision: Precision::F32, ..options })?;
            let calibration = exact.calibrate(&input[..one.iter().product()], one)?;
            Engine::with_calibration(&graph, &weights, options, &calibration)?
        }
        _ => Engine::new(&graph, &weights, options)?,
    };
    Ok(Prepared { engine, input, shape: shape_of(batch) })
}

/// Writes all networks; the answer names each with the operations of one input (a multiply-add counts two).
fn export(folder: &Path) -> Result<String> {
    let mut answer = Vec::new();
    for network in &NETWORKS {
        let graph = network.graph();
        std::fs::write(folder.join(format!("{}.onnx", network.name)), to_onnx(&graph, &weights_for(&graph))?)?;
        answer.push(format!("{} {}", network.name, 2 * graph.multiply_adds(network.size)));
    }
    Ok(answer.join(" "))
}
