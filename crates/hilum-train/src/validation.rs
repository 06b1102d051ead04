//! Measuring while training, on patients of their own, to keep the best weights and to stop in time.

use std::fmt::Write;
use std::path::Path;

use hilum_dicom::Limits;
use hilum_nn::{Model, Weights};
use serde::{Deserialize, Serialize};

use crate::config::{Side, TrainConfig, Validation};
use crate::{EvaluateOptions, TrainError, evaluate};

/// What was measured so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Measured {
    /// Every measurement, in order.
    pub(crate) rows: Vec<Row>,
    /// The weights of the best one.
    pub(crate) best: Option<Weights>,
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    step: u64,
    /// Mean Dice over the patients of every channel; not a number (null) where they do not show it.
    dice: Vec<Option<f64>>,
}

impl Row {
    /// Mean over the channels there are.
    fn score(&self) -> f64 {
        let known: Vec<f64> = self.dice.iter().flatten().copied().collect();
        known.iter().sum::<f64>() / known.len().max(1) as f64
    }
}

impl Measured {
    /// Takes up a measurement and, if there was no better one, its weights.
    pub(crate) fn note(&mut self, step: u64, dice: Vec<f64>, weights: &Weights) {
        let dice = dice.into_iter().map(|value| Some(value).filter(|value| !value.is_nan())).collect();
        self.rows.push(Row { step, dice });
        if self.best_row() == Some(self.rows.len() - 1) {
            self.best = Some(weights.clone());
        }
    }

    /// The first of the best.
    fn best_row(&self) -> Option<usize> {
        (0..self.rows.len()).rev().max_by(|a, b| self.rows[*a].score().total_cmp(&self.rows[*b].score()))
    }

    pub(crate) fn best(&self) -> Option<&Weights> {
        self.best.as_ref()
    }

    pub(crate) fn best_step(&self) -> Option<u64> {
        self.best_row().map(|row| self.rows[row].step)
    }

    /// Whether so many measurements went by without a better one that the run is to stop.
    pub(crate) fn is_over(&self, settings: Option<&Validation>) -> bool {
        let patience = settings.and_then(|settings| settings.patience);
        let stale = self.best_row().map_or(0, |best| self.rows.len() - 1 - best);
        patience.is_some_and(|patience| stale as u64 >= patience.max(1))
    }

    /// `validation.csv`; `None` without measurements.
    pub(crate) fn table(&self, channels: &[String]) -> Option<String> {
        let mut text = String::from("step");
        channels.iter().for_each(|channel| write!(text, ",dice_{channel}").expect("strings grow"));
        text.push_str(",score\n");
        for row in &self.rows {
            write!(text, "{}", row.step).expect("strings grow");
            for dice in &row.dice {
                let value = dice.map_or(String::new(), |dice| format!("{dice:.4}"));
                write!(text, ",{value}").expect("strings grow");
            }
            writeln!(text, ",{:.4}", row.score()).expect("strings grow");
        }
        (!self.rows.is_empty()).then_some(text)
    }
}

/// Mean Dice of every channel over the validation patients of all sources that have any.
pub(crate) fn measure(
    config: &TrainConfig,
    data_root: &Path,
    limits: &Limits,
    model: &Model,
) -> Result<Vec<f64>, TrainError> {
    let outputs = &model.card.outputs;
    let mut dice = vec![Vec::new(); outputs.len()];
    for source in &config.data {
        let options = EvaluateOptions {
            split: Some((config.split.clone(), Side::Validation)),
            prefix: source.prefix.clone(),
            upside_down: source.upside_down.clone(),
            labels: source.labels.clone(),
            limits: limits.clone(),
            ..EvaluateOptions::default()
        };
        let measured = match evaluate(source.layout, &data_root.join(&source.folder), model, &options, &|_| ()) {
            Err(TrainError::NoCases(_)) => continue,
            other => other?,
        };
        for patient in &measured.patients {
            for channel in &patient.channels {
                // What follows from the network's channels has no say of its own.
                if let Some(place) = outputs.iter().position(|output| output.name == channel.channel) {
                    dice[place].push(channel.dice);
                }
            }
        }
    }
    if dice.iter().all(Vec::is_empty) {
        return Err(TrainError::NoCases("no data set has a patient of split.validation".into()));
    }
    Ok(dice.into_iter().map(|values| values.iter().sum::<f64>() / values.len() as f64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structures::Structures;

    #[test]
    fn the_best_is_kept_and_patience_ends() {
        let mut measured = Measured::default();
        let settings = Validation { every: 10, patience: Some(2) };
        let weights = |value: f32| {
            let mut weights = Weights::new();
            weights.insert("a", vec![1], vec![value]);
            weights
        };
        for (step, score, over) in [(10, 0.5, false), (20, 0.7, false), (30, 0.6, false), (40, 0.7, true)] {
            measured.note(step, vec![score, f64::NAN, score], &weights(step as f32));
            assert_eq!(measured.is_over(Some(&settings)), over, "step {step}");
        }
        assert_eq!(measured.best_step(), Some(20), "the first of the best");
        assert_eq!(measured.best().unwrap(), &weights(20.0));
        assert!(!measured.is_over(None));
        assert!(measured.table(Structures::default().names()).unwrap().ends_with("40,0.7000,,0.7000,0.7000\n"));
    }
}
