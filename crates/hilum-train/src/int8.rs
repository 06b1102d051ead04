//! What 8-bit convolutions would cost a model, measured.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use hilum_nn::{Calibration, Engine, EngineError, EngineOptions, Graph, Int8, Model, Precision, Runtime};

use crate::TrainError;
use crate::cases::Layout;
use crate::config::{Side, Split};
use crate::evaluate::{EvaluateOptions, Evaluation, evaluate_on};

/// Fewer held-out patients say nothing of the mean that decides whether 8-bit convolutions are a model's default.
const PATIENTS_MIN: usize = 3;

/// Our engine, watched while it runs.
#[derive(Debug)]
struct Watched {
    engine: Engine,
    seen: Mutex<Calibration>,
    failed: Mutex<Option<EngineError>>,
}

impl Runtime for Watched {
    fn name(&self) -> String {
        self.engine.name()
    }

    fn graph(&self) -> &Graph {
        self.engine.graph()
    }

    fn run_each(
        &self,
        size: [usize; 3],
        count: usize,
        fill: &(dyn Fn(usize, &mut [f32]) + Sync),
        take: &(dyn Fn(usize, &[f32]) + Sync),
    ) -> Result<(), EngineError> {
        let fill = |index: usize, input: &mut [f32]| {
            fill(index, input);
            let shape = [1, self.graph().input_channels(), size[0], size[1], size[2]];
            match self.engine.calibrate(input, shape) {
                Ok(ranges) => self.seen.lock().unwrap_or_else(PoisonError::into_inner).merge(&ranges),
                Err(error) => *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error),
            }
        };
        self.engine.run_each(size, count, fill, take)?;
        match self.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

/// Measures the ranges of 8-bit convolutions on the training side of a split, and what they do to the Dice of its held-out
/// patients. Returns what belongs into the card, and the two evaluations: `f32`, then 8-bit. `options` say how data are read and
/// measured; their split is not looked at.
///
/// # Errors
/// As [`evaluate`](crate::evaluate()); [`TrainError::Config`] if fewer than three patients of the set are held out; and if this
/// processor has no instructions for 8-bit convolutions.
pub fn measure_int8(
    layout: Layout,
    folder: &Path,
    model: &Model,
    split: &Split,
    options: &EvaluateOptions,
    progress: &(dyn Fn(f32) + Sync),
) -> Result<(Int8, [Evaluation; 2]), TrainError> {
    let engine_options = EngineOptions { threads: options.threads, ..EngineOptions::default() };
    let plain = Engine::new(&model.graph, &model.weights, engine_options)?;
    let of = |side| EvaluateOptions { split: Some((split.clone(), side)), ..options.clone() };
    let held_out = of(Side::HoldOut);
    let before = evaluate_on(&plain, layout, folder, model, &held_out, &|share| progress(share * 0.2))?;
    if before.patients.len() < PATIENTS_MIN {
        return Err(TrainError::Config(format!(
            "split: what 8-bit convolutions cost takes {PATIENTS_MIN} held-out patients or more; of {} it holds out {}",
            before.data_set,
            before.patients.len()
        )));
    }
    let watched = Watched { engine: plain, seen: Mutex::default(), failed: Mutex::default() };
    let seen = evaluate_on(&watched, layout, folder, model, &of(Side::Train), &|share| progress(0.2 + share * 0.6))?;
    let calibration = watched.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    let small = EngineOptions { precision: Precision::Int8, ..engine_options };
    let small = Engine::with_calibration(&model.graph, &model.weights, small, &calibration)?;
    let after = evaluate_on(&small, layout, folder, model, &held_out, &|share| progress(0.8 + share * 0.2))?;
    let int8 = Int8 {
        measured_on: format!(
            "{}: ranges on all slices of {} training patients, Dice on the {} held out",
            before.data_set,
            seen.patients.len(),
            before.patients.len()
        ),
        dice_change: dice_change(&before, &after),
        calibration,
    };
    Ok((int8, [before, after]))
}

/// By channel: the mean Dice of `after` less that of `before`.
fn dice_change(before: &Evaluation, after: &Evaluation) -> BTreeMap<String, f64> {
    let both = before.summary.iter().zip(&after.summary);
    both.filter_map(|(before, after)| {
        let change = after.dice.as_ref()?.mean - before.dice.as_ref()?.mean;
        Some((before.channel.clone(), (change * 1e5).round() / 1e5))
    })
    .collect()
}
