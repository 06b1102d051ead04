//! Model cards on disk, beside their weights.

use std::path::Path;

use hilum_nn::{Data, Model, ModelCard, WeightFile, Weights, sha256_hex};

use crate::TrainError;
use crate::checkpoint::write_atomically;
use crate::config::{DataText, TrainConfig};
use crate::run::Summary;

/// Name of the weight file beside a card.
const WEIGHTS_FILE: &str = "weights.safetensors";

/// Writes `weights.safetensors` and the `card.toml` and `CARD.md` that belong to it.
///
/// # Errors
/// If the files cannot be written.
pub fn export_card(
    config: &TrainConfig,
    weights: &Weights,
    summary: &Summary,
    folder: &Path,
) -> Result<ModelCard, TrainError> {
    let bytes = weights.to_safetensors();
    let mut training = toml::Table::new();
    let integer = |value: usize| toml::Value::Integer(value as i64);
    training.insert("steps".into(), toml::Value::Integer(summary.steps as i64));
    training.insert("examples_per_step".into(), integer(config.schedule.batch));
    training.insert("example_pixels".into(), integer(config.schedule.size));
    training.insert("minutes".into(), ((summary.elapsed_s / 6.0).round() / 10.0).into());
    training.insert("slices".into(), integer(summary.slices));
    training.insert("patients".into(), integer(summary.patients));
    let weights_are = match summary.best_step {
        Some(step) => format!("exponential moving average over steps, after step {step}, the best in validation"),
        None => "exponential moving average over steps, after the last step".into(),
    };
    training.insert("weights_are".into(), weights_are.into());
    if let Some(start) = &config.start {
        training.insert("started_from".into(), start.from.display().to_string().into());
    }
    let held_out = config.split.hold_out.iter().map(|patient| patient.as_str().into()).collect();
    training.insert("hold_out".into(), toml::Value::Array(held_out));
    let file = WeightFile { file: WEIGHTS_FILE.into(), sha256: sha256_hex(&bytes) };
    let card = card(config, file, training);
    write_atomically(&folder.join(WEIGHTS_FILE), &bytes)?;
    write_card(&card, folder)?;
    Ok(card)
}

/// The card of what a configuration makes.
pub(crate) fn card(config: &TrainConfig, weights: WeightFile, training: toml::Table) -> ModelCard {
    ModelCard {
        name: config.name.clone(),
        version: config.version.clone(),
        licence: config.card.licence.clone(),
        intended_use: config.card.intended_use.clone(),
        limits: config.card.limits.clone(),
        weights,
        input: config.card.input.clone(),
        outputs: config.card.outputs.clone(),
        network: config.network.clone(),
        data: config.card.data.iter().map(data).collect(),
        trust: None,
        familiar: None,
        int8: None,
        training,
        results: toml::Table::new(),
    }
}

fn data(text: &DataText) -> Data {
    let DataText { name, licence, part, .. } = text.clone();
    Data { name, licence, part: part.unwrap_or_default() }
}

/// Writes a card as `card.toml`, and as `CARD.md` for people.
///
/// # Errors
/// If a file cannot be written.
pub fn write_card(card: &ModelCard, folder: &Path) -> Result<(), TrainError> {
    write_atomically(&folder.join("CARD.md"), card.to_markdown().as_bytes())?;
    write_atomically(&folder.join("card.toml"), card.to_toml().as_bytes())
}

/// Reads a card and the weight file it names, which lies beside it.
///
/// # Errors
/// If a file cannot be read, or [`hilum_nn::CardError`] if card and weights do not belong together.
pub fn read_model(card_path: &Path) -> Result<Model, TrainError> {
    let text = std::fs::read_to_string(card_path).map_err(TrainError::file(card_path))?;
    let card = ModelCard::from_toml(&text)?;
    let weights_path = card_path.with_file_name(&card.weights.file);
    let bytes = std::fs::read(&weights_path).map_err(TrainError::file(&weights_path))?;
    Ok(card.with_weights(&bytes)?)
}
