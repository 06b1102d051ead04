//! What a network's encoder makes of what it learned from.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use hilum_dicom::Limits;
use hilum_nn::{Dims, EngineOptions, Familiar, Familiarity, FeatureEngine, Model, run_slices};
use rayon::prelude::*;

use crate::TrainError;
use crate::augment::Example;
use crate::batches::Sampler;
use crate::config::TrainConfig;

/// Examples of every scan, at most.
const EXAMPLES_PER_SCAN: usize = 60;
/// Pixels of lung, as the network sees it, that a slice must have to be looked at.
const LUNG_PIXELS_MIN: usize = 400;
/// Patients that must be there to be left out in turn.
const PATIENTS_MIN: usize = 3;
/// How much farther than the farthest of the patients it learned from, left out, a scan may be.
const LIMIT_FACTOR: f64 = 1.3;

/// Runs the encoder over augmented slices of the training side and describes where their values lie; every patient is then left
/// out in turn to see how far one is that was not there.
///
/// # Errors
/// [`TrainError`] if the data cannot be read, the model cannot run, or too few slices or patients show lungs.
pub fn measure_familiarity(
    config: &TrainConfig,
    data_root: &Path,
    cache: &Path,
    model: &Model,
    threads: usize,
    limits: &Limits,
    progress: &(dyn Fn(f32) + Sync),
) -> Result<(Familiarity, Familiar), TrainError> {
    let sampler = Sampler::new(config, data_root, cache, limits, &|share| progress(0.3 * share))?;
    let examples = sampler.examples(EXAMPLES_PER_SCAN)?;
    progress(0.5);
    let options = EngineOptions { threads, ..EngineOptions::default() };
    let features = features(model, options, &examples)?;
    progress(0.9);
    let mut patients = BTreeMap::<&str, Vec<&[f32]>>::new();
    for ((patient, _), values) in examples.iter().zip(&features) {
        patients.entry(patient).or_default().extend(values.as_deref());
    }
    patients.retain(|_, values| !values.is_empty());
    let of = |without: Option<&str>| {
        let kept = patients.iter().filter(|(name, _)| Some(**name) != without);
        let values: Vec<&[f32]> = kept.flat_map(|(_, values)| values.iter().copied()).collect();
        Familiarity::fit(&values).ok_or_else(|| TrainError::NoCases("too few slices show lungs".into()))
    };
    let familiarity = of(None)?;
    // Single pictures have no median to speak of.
    let scans: Vec<(&str, &Vec<&[f32]>)> =
        patients.iter().map(|(name, values)| (*name, values)).filter(|(_, values)| values.len() >= 10).collect();
    if scans.len() < PATIENTS_MIN {
        return Err(TrainError::NoCases(format!(
            "{} patient(s) with ten examples that show lungs: what is unusual can be said from {PATIENTS_MIN} on",
            scans.len()
        )));
    }
    let distances = scans
        .par_iter()
        .map(|(name, values)| {
            let others = of(Some(name))?;
            Ok(median(values.iter().map(|v| others.distance(v)).collect()))
        })
        .collect::<Result<Vec<f64>, TrainError>>()?;
    let largest_left_out = distances.iter().copied().fold(0.0, f64::max);
    let familiar = Familiar {
        measured_on: format!(
            "{} augmented slices of {} patients of the training side; {} of them left out in turn",
            patients.values().map(Vec::len).sum::<usize>(),
            patients.len(),
            scans.len()
        ),
        limit: LIMIT_FACTOR * largest_left_out,
        largest_left_out,
    };
    progress(1.0);
    Ok((familiarity, familiar))
}

/// The encoder's values of every example within the lungs that the network finds; `None` where it finds none.
fn features(
    model: &Model,
    options: EngineOptions,
    examples: &[(String, Example)],
) -> Result<Vec<Option<Vec<f32>>>, TrainError> {
    if model.graph.dims() != Dims::Two {
        return Err(TrainError::Config("what scans look like is measured with networks of slices only".into()));
    }
    let lung = model.card.output_index(crate::CHANNELS[0]).unwrap_or(0);
    let Some(size) = examples.first().map(|(_, example)| [example.size; 2]) else {
        return Err(TrainError::NoCases("there are no examples".into()));
    };
    let plane = size[0] * size[1];
    let fill = |index: usize, image: &mut [f32]| image.copy_from_slice(&examples[index].1.image);
    let lungs = Mutex::new(vec![Vec::new(); examples.len()]);
    let take = |index: usize, logits: &[f32]| {
        let mut mask: Vec<bool> = logits[lung * plane..][..plane].iter().map(|l| *l >= 0.0).collect();
        if mask.iter().filter(|m| **m).count() < LUNG_PIXELS_MIN {
            mask.fill(false);
        }
        lungs.lock().expect("no thread panics while it holds the masks")[index] = mask;
    };
    run_slices(&model.engine(options)?, examples.len(), size, 0.0, fill, take)?;
    let lungs = lungs.into_inner().expect("no thread panicked");
    let within = |index: usize, mask: &mut [f32]| {
        mask.iter_mut().zip(&lungs[index]).for_each(|(m, lung)| *m = f32::from(u8::from(*lung)));
    };
    Ok(FeatureEngine::new(model, options)?.run(examples.len(), size, 0.0, fill, within)?)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
