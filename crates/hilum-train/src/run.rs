//! The training loop.

use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;

use hilum_nn::sha256_hex;

use crate::batches::Sampler;
use crate::card::export_card;
use crate::checkpoint::{self, State};
use crate::config::TrainConfig;
use crate::curve::{Curve, Row};
use crate::network;
use crate::optimizer::{self, Moments};
use crate::{TrainDevice, TrainError};

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
    /// Steps done.
    pub steps: u64,
    /// Seconds of training, over all resumptions.
    pub elapsed_s: f64,
    /// Slices learned from.
    pub slices: usize,
    /// Patients learned from.
    pub patients: usize,
}

/// Momentum of the running statistics (PyTorch's default).
pub(crate) const STATISTICS_MOMENTUM: f32 = 0.1;
/// Learning rate at the end, as a fraction of the highest.
const FINAL_RATE: f64 = 0.01;

/// Trains until the schedule is through, going on from the checkpoint in `run_dir` if there is one.
///
/// `data_root` is where the folders of the configuration are. The folder `run_dir` receives `checkpoint.safetensors`
/// (everything to resume), `weights.safetensors` (the averaged weights so far) with their `card.toml`, `curve.csv` and
/// `curve.png`, all replaced atomically every few minutes.
///
/// # Errors
/// [`TrainError`], among others for unreadable data, a checkpoint of another configuration, or a loss that is no
/// longer a number.
pub fn run(
    config: &TrainConfig,
    data_root: &Path,
    run_dir: &Path,
    device: TrainDevice,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Summary, TrainError> {
    let sampler = Sampler::new(config, data_root)?;
    run_with(config, &sampler, run_dir, device, progress)
}

fn run_with(
    config: &TrainConfig,
    sampler: &Sampler,
    run_dir: &Path,
    device: TrainDevice,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Summary, TrainError> {
    std::fs::create_dir_all(run_dir).map_err(TrainError::file(run_dir))?;
    let graph = config.network.graph()?;
    let identity = identity(config);
    let checkpoint_path = run_dir.join("checkpoint.safetensors");
    let mut state = match checkpoint::load(&checkpoint_path, &identity)? {
        Some(state) => state,
        None => {
            let weights = network::initial_weights(&graph, config.seed);
            State { step: 0, elapsed_s: 0.0, average: weights.clone(), weights, moments: Moments::default() }
        }
    };
    state.weights.check(&graph)?;
    let mut curve = Curve::open(run_dir, state.step)?;
    let schedule = &config.schedule;
    let (slices, patients) = sampler.counts();
    let started = Instant::now();
    let before_s = state.elapsed_s;
    let mut saved_s = state.elapsed_s;
    let first = state.step;
    std::thread::scope(|scope| {
        // The next batches are made while the network works on this one.
        let (sender, batches) = mpsc::sync_channel(2);
        scope.spawn(move || (first..schedule.max_steps).all(|step| sender.send(sampler.batch(step)).is_ok()));
        while fraction(config, &state) < 1.0 {
            let (images, target) = batches.recv().expect("batches are made until the last step");
            let rate = learning_rate(config, &state);
            let result = network::step(&graph, &state.weights, &images, &target, device)?;
            if !result.loss.total.is_finite() {
                return Err(TrainError::Diverged(state.step));
            }
            state.step += 1;
            config.optimizer.apply(&mut state.weights, &mut state.moments, &result.gradients, state.step, rate);
            optimizer::update_statistics(&mut state.weights, &result.statistics, STATISTICS_MOMENTUM);
            // Early averages would remember the random start for long: the decay grows with the steps.
            let keep = schedule.average_decay.min((1.0 + state.step as f32) / (10.0 + state.step as f32));
            optimizer::average(&mut state.average, &state.weights, keep);
            state.elapsed_s = before_s + started.elapsed().as_secs_f64();
            curve.push(Row {
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
            if state.elapsed_s - saved_s >= schedule.checkpoint_minutes * 60.0 {
                save(config, run_dir, &state, &mut curve, &identity, sampler.counts())?;
                saved_s = state.elapsed_s;
            }
        }
        Ok(())
    })?;
    save(config, run_dir, &state, &mut curve, &identity, (slices, patients))?;
    Ok(Summary { steps: state.step, elapsed_s: state.elapsed_s, slices, patients })
}

fn save(
    config: &TrainConfig,
    run_dir: &Path,
    state: &State,
    curve: &mut Curve,
    identity: &str,
    (slices, patients): (usize, usize),
) -> Result<(), TrainError> {
    curve.write(run_dir)?;
    let summary = Summary { steps: state.step, elapsed_s: state.elapsed_s, slices, patients };
    export_card(config, &state.average, &summary, run_dir)?;
    checkpoint::save(&run_dir.join("checkpoint.safetensors"), state, identity)
}

/// A hash of what must stay the same when a run is resumed. Length and checkpoints may change.
fn identity(config: &TrainConfig) -> String {
    let fixed = (config.seed, &config.network, &config.data, &config.split, &config.schedule.size);
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
