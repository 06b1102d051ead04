//! The training loop.

use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;

use hilum_dicom::Limits;
use hilum_nn::{Graph, KernelStatus, Model, Weights, sha256_hex};

use crate::batches::Sampler;
use crate::card::export_card;
use crate::checkpoint::{self, State, write_atomically};
use crate::config::{TrainConfig, Validation};
use crate::curve::{Curve, Row};
use crate::network::{self, Learning, StepResult};
use crate::optimizer::{self, Moments};
use crate::parts::with_parts;
use crate::structures::Structures;
use crate::validation::{self, Measured};
use crate::{Arithmetic, TrainDevice, TrainError, supervision};

/// How far a run is, once per step.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// 0 to 1, by steps or by minutes, whichever is further.
    pub fraction: f64,
    /// Loss of this step.
    pub loss: f64,
    /// Soft Dice of each channel in this step's batch; not a number where it shows nothing of it.
    pub dice: Vec<f64>,
    /// Learning rate of this step.
    pub learning_rate: f32,
    /// Seconds of training so far, over all resumptions.
    pub elapsed_s: f64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Steps done, over all resumptions.
    pub steps: u64,
    /// Whether nothing was left to do: all files stay as they are.
    pub was_through: bool,
    /// Seconds of training, over all resumptions.
    pub elapsed_s: f64,
    /// Slices learned from.
    pub slices: usize,
    /// Patients learned from.
    pub patients: usize,
    /// The step whose weights did best in validation and are those of the model; `None` without validation: then the weights
    /// are the average after the last step.
    pub best_step: Option<u64>,
}

/// The program that trains, and when it began: `run.json` says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Name and version.
    pub name: String,
    /// Revision of the source it was built from, if known.
    pub commit: Option<String>,
    /// The time now, RFC 3339, if somebody knows it.
    pub now: Option<String>,
}

impl Default for Program {
    fn default() -> Self {
        Self { name: concat!("hilum-train ", env!("CARGO_PKG_VERSION")).into(), commit: None, now: None }
    }
}

/// How a run is computed; nothing of it changes what comes out but in the last digits.
#[derive(Clone)]
pub struct RunOptions<'a> {
    /// Who computes.
    pub program: Program,
    /// What computes.
    pub device: TrainDevice,
    /// How many cards compute at once. Each takes one of a step's batches ([`Schedule::accumulate`](crate::Schedule)), and the
    /// step is made from the mean of their gradients, as one card would make it.
    pub cards: usize,
    /// What convolutions multiply; `f32` on the processor.
    pub arithmetic: Arithmetic,
    /// Where prepared slices are kept; several runs may share it. Without it, the folder `cache` of the run.
    pub cache: Option<&'a Path>,
    /// What files of the data may occupy, and who unpacks compressed DICOM.
    pub limits: Limits,
    /// Told how much of the data is prepared, 0 to 1.
    pub preparing: &'a (dyn Fn(f32) + Sync),
}

impl Default for RunOptions<'_> {
    fn default() -> Self {
        Self {
            program: Program::default(),
            device: TrainDevice::Cpu,
            cards: 1,
            arithmetic: Arithmetic::F32,
            cache: None,
            limits: Limits::default(),
            preparing: &|_| (),
        }
    }
}

/// Name of the checkpoint in a run folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";

/// Momentum of the running statistics (PyTorch's default).
pub(crate) const STATISTICS_MOMENTUM: f32 = 0.1;
/// Learning rate at the end, as a fraction of the highest.
const FINAL_RATE: f64 = 0.01;

/// Trains until the schedule is through, going on from the checkpoint in `run_dir` if there is one.
///
/// `data_root` is where the folders of the configuration are. The folder `run_dir` receives what reproduces the run:
/// `config.toml` and `run.json` (program, time, device, hashes of data and of what it started from); and every few minutes, each
/// replaced atomically, `checkpoint.safetensors` (everything to resume), `weights.safetensors` (the averaged weights so far, or
/// those that did best in validation) with their `card.toml` and `CARD.md`, `curve.csv`, `curve.png` and `validation.csv`.
///
/// # Errors
/// [`TrainError`], among others for unreadable data, a checkpoint of another configuration, or a loss that is no
/// longer a number.
pub fn run(
    config: &TrainConfig,
    data_root: &Path,
    run_dir: &Path,
    options: &RunOptions<'_>,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Summary, TrainError> {
    let sampler = sampler(config, data_root, run_dir, options)?;
    let validate = |model: &Model| validation::measure(config, data_root, &options.limits, model);
    run_with(config, &sampler, run_dir, options, &validate, progress)
}

/// What [`rehearse`] found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rehearsal {
    /// Slices to learn from.
    pub slices: usize,
    /// Patients to learn from.
    pub patients: usize,
    /// Seconds until all slices were prepared; next to nothing if they were before.
    pub preparing_s: f64,
    /// Examples drawn, read and varied per second, on all threads.
    pub examples_per_s: f64,
}

/// Everything a run does but learning: reads what it starts from and the configuration's data, checks the split, prepares the
/// slices and makes `batches` batches. Nothing but the prepared slices is written.
///
/// # Errors
/// As [`run`], for what concerns data and the start.
pub fn rehearse(
    config: &TrainConfig,
    data_root: &Path,
    run_dir: &Path,
    options: &RunOptions<'_>,
    batches: u64,
) -> Result<Rehearsal, TrainError> {
    if let Some(start) = &config.start {
        start.weights(&graph(config)?, &config.card.outputs, config.seed)?;
    }
    let started = Instant::now();
    let sampler = sampler(config, data_root, run_dir, options)?;
    let preparing_s = started.elapsed().as_secs_f64();
    let (slices, patients) = sampler.counts();
    let started = Instant::now();
    for step in 0..batches {
        sampler.batch(step)?;
    }
    let examples = batches * config.schedule.batch as u64;
    let examples_per_s = examples as f64 / started.elapsed().as_secs_f64();
    Ok(Rehearsal { slices, patients, preparing_s, examples_per_s })
}

fn sampler(
    config: &TrainConfig,
    data_root: &Path,
    run_dir: &Path,
    options: &RunOptions<'_>,
) -> Result<Sampler, TrainError> {
    if config.split.folds.is_some() {
        return Err(TrainError::Config("split: there are folds; say which one is held out".into()));
    }
    let own_cache = run_dir.join("cache");
    let cache = options.cache.unwrap_or(&own_cache);
    Sampler::new(config, data_root, cache, &options.limits, options.preparing)
}

/// The network that is trained, with the heads of deep supervision.
fn graph(config: &TrainConfig) -> Result<Graph, TrainError> {
    supervision::with_heads(&config.network.graph()?, config.loss.deep_supervision.len())
}

/// Measures a model on the patients of the validation: one value per channel.
type Validate<'a> = dyn Fn(&Model) -> Result<Vec<f64>, TrainError> + 'a;

fn run_with(
    config: &TrainConfig,
    sampler: &Sampler,
    run_dir: &Path,
    options: &RunOptions<'_>,
    validate: &Validate<'_>,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Summary, TrainError> {
    std::fs::create_dir_all(run_dir).map_err(TrainError::file(run_dir))?;
    let graph = graph(config)?;
    let identity = identity(config);
    let mut state = match checkpoint::load(&run_dir.join(CHECKPOINT), &identity)? {
        Some(state) => state,
        None => begin(config, &graph, sampler, run_dir, options)?,
    };
    state.weights.check(&graph)?;
    let described = with_parts(config, sampler);
    let structures = Structures::of(&config.card.outputs)?;
    let mut files = RunFiles {
        config: &described,
        run_dir,
        identity,
        curve: Curve::open(run_dir, state.step, structures.names())?,
        structures,
        counts: sampler.counts(),
    };
    let schedule = &config.schedule;
    let parts = schedule.accumulate;
    if options.cards == 0 || !parts.is_multiple_of(options.cards) {
        let cards = options.cards;
        return Err(TrainError::Config(format!(
            "schedule: {parts} batches per step (accumulate) cannot be shared by {cards} cards"
        )));
    }
    let frozen = |name: &str| config.start.as_ref().is_some_and(|start| start.rate_of(name) == 0.0);
    let (device, arithmetic) = (options.device, options.arithmetic);
    let learning = Learning { loss: &config.loss, frozen: &frozen, device, card: 0, arithmetic };
    let started = Instant::now();
    let (before_s, step_before) = (state.elapsed_s, state.step);
    let mut saved_s = state.elapsed_s;
    let batches = state.step * parts as u64..schedule.max_steps * parts as u64;
    std::thread::scope(|scope| {
        // The next batches are made while the network works on this one.
        let (sender, receiver) = mpsc::sync_channel(2 * options.cards);
        scope.spawn(move || batches.into_iter().all(|batch| sender.send(sampler.batch(batch)).is_ok()));
        while fraction(config, &state) < 1.0 && !state.validation.is_over(schedule.validation.as_ref()) {
            let rate = learning_rate(config, &state);
            let mut sum: Option<StepResult> = None;
            for _ in 0..parts / options.cards {
                let next = || receiver.recv().expect("batches are made until the last step");
                let at_once = (0..options.cards).map(|_| next()).collect::<Result<Vec<_>, _>>()?;
                for result in network::steps(&graph, &state.weights, &at_once, learning)? {
                    if !result.loss.total.is_finite() {
                        return Err(TrainError::Diverged(state.step));
                    }
                    optimizer::update_statistics(&mut state.weights, &result.statistics, STATISTICS_MOMENTUM);
                    match &mut sum {
                        None => sum = Some(result),
                        Some(sum) => sum.add(&result),
                    }
                }
            }
            let mut result = sum.expect("a step has at least one batch");
            result.divide(parts as u64);
            state.step += 1;
            let rate_of = |name: &str| rate * config.start.as_ref().map_or(1.0, |start| start.rate_of(name));
            let State { weights, moments, step, .. } = &mut state;
            config.optimizer.apply(weights, moments, &result.gradients, *step, &rate_of);
            // Early averages would remember the random start for long: the decay grows with the steps.
            let keep = schedule.average_decay.min((1.0 + state.step as f32) / (10.0 + state.step as f32));
            optimizer::average(&mut state.average, &state.weights, keep);
            state.elapsed_s = before_s + started.elapsed().as_secs_f64();
            files.curve.push(Row {
                step: state.step,
                elapsed_s: state.elapsed_s,
                learning_rate: rate,
                loss: result.loss.clone(),
            });
            progress(&Progress {
                step: state.step,
                fraction: fraction(config, &state),
                loss: result.loss.total,
                dice: result.loss.dice,
                learning_rate: rate,
                elapsed_s: state.elapsed_s,
            });
            let is_due = |validation: &Validation| state.step.is_multiple_of(validation.every);
            let validates = schedule.validation.as_ref().is_some_and(is_due);
            if validates {
                let model = files.export(&state.average, &state)?;
                let values = validate(&model)?;
                state.validation.note(state.step, values, &state.average);
            }
            if validates || state.elapsed_s - saved_s >= schedule.checkpoint_minutes * 60.0 {
                files.save(&state)?;
                saved_s = state.elapsed_s;
            }
        }
        Ok(())
    })?;
    // What was through already keeps its card, into which results may have been written since.
    let was_through = state.step == step_before && run_dir.join("card.toml").is_file();
    if !was_through {
        files.save(&state)?;
    }
    Ok(Summary { was_through, ..files.summary(&state) })
}

/// The state before the first step, and the files that say what this run is.
fn begin(
    config: &TrainConfig,
    graph: &Graph,
    sampler: &Sampler,
    run_dir: &Path,
    options: &RunOptions<'_>,
) -> Result<State, TrainError> {
    let (weights, transfer) = match &config.start {
        Some(start) => start.weights(graph, &config.card.outputs, config.seed).map(|(w, t)| (w, Some(t)))?,
        None => (network::initial_weights(graph, config.seed), None),
    };
    let Program { name, commit, now } = &options.program;
    let sources: Vec<_> = config.data.iter().map(|source| source.folder.display().to_string()).collect();
    let origin = serde_json::json!({
        "program": name,
        "commit": commit,
        "started": now,
        "rustc": option_env!("HILUM_RUSTC"),
        "burn": option_env!("HILUM_BURN"),
        "device": options.device.name(),
        "arithmetic": options.arithmetic.name(),
        "kernels": fastest(&hilum_nn::available_kernels()),
        "data": sources,
        "data_sha256": sampler.hashes(),
        "started_from": transfer,
    });
    let origin = serde_json::to_string_pretty(&origin).expect("plain data serialises");
    write_atomically(&run_dir.join("run.json"), origin.as_bytes())?;
    write_atomically(&run_dir.join("config.toml"), config.to_toml().as_bytes())?;
    Ok(State {
        step: 0,
        elapsed_s: 0.0,
        average: weights.clone(),
        weights,
        moments: Moments::default(),
        validation: Measured::default(),
    })
}

/// The kernels that compute here: the first that this processor can run.
fn fastest(kernels: &[KernelStatus]) -> Option<&'static str> {
    kernels.iter().find(|kernel| kernel.is_available()).map(|kernel| kernel.name)
}

/// What a run leaves behind every few minutes.
struct RunFiles<'a> {
    config: &'a TrainConfig,
    run_dir: &'a Path,
    identity: String,
    structures: Structures,
    curve: Curve,
    counts: (usize, usize),
}

impl RunFiles<'_> {
    fn save(&mut self, state: &State) -> Result<(), TrainError> {
        self.curve.write(self.run_dir)?;
        if let Some(table) = state.validation.table(self.structures.names()) {
            write_atomically(&self.run_dir.join("validation.csv"), table.as_bytes())?;
        }
        self.export(state.validation.best().unwrap_or(&state.average), state)?;
        checkpoint::save(&self.run_dir.join(CHECKPOINT), state, &self.identity)
    }

    fn export(&self, weights: &Weights, state: &State) -> Result<Model, TrainError> {
        let weights = supervision::without_heads(weights);
        let card = export_card(self.config, &weights, &self.summary(state), self.run_dir)?;
        Ok(Model { card, graph: self.config.network.graph()?, weights, familiarity: None })
    }

    fn summary(&self, state: &State) -> Summary {
        let (slices, patients) = self.counts;
        Summary {
            steps: state.step,
            was_through: false,
            elapsed_s: state.elapsed_s,
            slices,
            patients,
            best_step: state.validation.best_step(),
        }
    }
}

/// A hash of what must stay the same when a run is resumed. Length and checkpoints may change.
fn identity(config: &TrainConfig) -> String {
    let outputs: Vec<&str> = config.card.outputs.iter().map(|output| output.name.as_str()).collect();
    let fixed = (
        (config.seed, outputs, &config.card.input),
        &config.network,
        &config.data,
        &config.split,
        (&config.schedule.size, &config.schedule.slices),
        &config.start,
        config.loss.deep_supervision.len(),
    );
    sha256_hex(&serde_json::to_vec(&fixed).expect("plain data serialises"))
}

fn fraction(config: &TrainConfig, state: &State) -> f64 {
    let steps = state.step as f64 / config.schedule.max_steps as f64;
    let time = config.schedule.max_minutes.map_or(0.0, |minutes| state.elapsed_s / (60.0 * minutes));
    steps.max(time).min(1.0)
}

/// Linear warm-up, then half a cosine (Loshchilov and Hutter 2017, arXiv:1608.03983).
fn learning_rate(config: &TrainConfig, state: &State) -> f32 {
    let warmup = (state.step + 1) as f64 / config.schedule.warmup_steps.max(1) as f64;
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * fraction(config, state)).cos());
    let cosine = FINAL_RATE + (1.0 - FINAL_RATE) * cosine;
    (f64::from(config.optimizer.learning_rate) * warmup.min(1.0) * cosine) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use hilum_nn::Kernel;

    #[test]
    fn kernels_that_are_missing_did_not_compute() {
        let status = |kernel, name, missing| KernelStatus { kernel, name, missing };
        let kernels = [
            status(Kernel::Avx512, "AVX-512", Some("this processor has no AVX-512 F")),
            status(Kernel::Avx2, "AVX2 + FMA", None),
            status(Kernel::Scalar, "portable", None),
        ];
        assert_eq!(fastest(&kernels), Some("AVX2 + FMA"));
    }
}
