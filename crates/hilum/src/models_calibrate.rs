//! `hilum models calibrate`: how far a model can be believed, written into its card and weights.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use hilum_nn::{ModelCard, Trust, Weights, sha256_hex};
use hilum_train::{Evaluation, measure_familiarity};

use crate::evaluate::read_config;
use crate::models::{from_file, with_section, write_card};
use crate::outcome::WrongUsage;
use crate::progress::Progress;
use crate::{machine, output, train};

pub(crate) fn run(
    card_path: &Path,
    config: &Path,
    evaluated: &[PathBuf],
    measured_on: &str,
    cache: Option<&Path>,
    threads: Option<usize>,
    progress: &Progress,
) -> Result<()> {
    let threads = machine::set_threads(threads)?;
    let trust = trust(evaluated, measured_on)?;
    let config = read_config(config)?;
    train::check_data(&config)?;
    let entry = from_file(card_path)?;
    let model = entry.card.clone().with_weights(&entry.weights)?;
    let temporary = tempfile::tempdir()?;
    let report = |share| progress.report("measuring", share);
    let cache = cache.unwrap_or(temporary.path());
    let (data, limits) = (train::data_root(), machine::limits());
    let (familiarity, familiar) = measure_familiarity(&config, &data, cache, &model, threads, &limits, &report)?;
    progress.finish();

    let mut weights = Weights::from_safetensors(&entry.weights)?;
    familiarity.store(&mut weights);
    let weights = weights.to_safetensors();
    println!(
        "like what it learned from up to a distance of {:.2}; the farthest patient left out was at {:.2}",
        familiar.limit, familiar.largest_left_out
    );
    let mut text = entry.card_text.replace(&entry.card.weights.sha256, &sha256_hex(&weights));
    text = with_section(&text, "trust", &toml::to_string(&BTreeMap::from([("trust", trust)]))?);
    text = with_section(&text, "familiar", &toml::to_string(&BTreeMap::from([("familiar", familiar)]))?);
    // Nothing is written before all of it is known to fit.
    let card = ModelCard::from_toml(&text)?;
    let file = card_path.with_file_name(&card.weights.file);
    card.with_weights(&weights)?;
    output::write(&file, &weights)?;
    write_card(card_path, &text)
}

/// What the evaluations say of volumes and slices.
fn trust(evaluated: &[PathBuf], measured_on: &str) -> Result<Trust> {
    let evaluations = evaluated
        .iter()
        .map(|path| {
            if !path.is_file() {
                return Err(WrongUsage(format!("there is no evaluation at {}", path.display())).into());
            }
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            serde_json::from_str::<Evaluation>(&text).with_context(|| path.display().to_string())
        })
        .collect::<Result<Vec<_>>>()?;
    let volume = evaluations.iter().find_map(|e| e.lesion_interval);
    let slices = evaluations.iter().find_map(|e| e.slice_probability.as_ref());
    let Some(volume) = volume else {
        return Err(WrongUsage("no evaluation has an interval of volumes: it takes nine patients".into()).into());
    };
    let Some(slices) = slices else {
        let reason =
            "no evaluation has a probability of slices: it takes three patients, and slices with and without lesion";
        return Err(WrongUsage(reason.into()).into());
    };
    Ok(Trust {
        measured_on: measured_on.into(),
        volume_offset_logits: volume.offset_logits,
        volume_coverage: volume.coverage,
        volume_patients: volume.patients,
        slice_scale: slices.scale,
        slice_shift: slices.shift,
        slice_patients: slices.patients,
    })
}
