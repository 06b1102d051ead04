//! Cross-validation: every patient is held out once.

use std::collections::BTreeMap;
use std::path::Path;

use hilum_dicom::Limits;
use serde::{Deserialize, Serialize};

use crate::config::{Split, TrainConfig};
use crate::structures::Structures;
use crate::{TrainError, cases};

/// Parts of the patients, each held out by one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Folds {
    /// That many, of about as many slices each: patients are dealt by their slices, the largest first, each to the smallest
    /// fold. The same data give the same folds.
    Count(usize),
    /// These. Patients that are in none go by `train` and `hold_out`.
    Lists(Vec<Vec<String>>),
}

/// Stands for the number of the fold in the name of what a run starts from.
const FOLD: &str = "{fold}";

impl TrainConfig {
    /// The configuration of one fold, counted from 0: its patients are held out, those of the others are learned from, and
    /// `split.train` beside them. In the name of what it starts from, `{fold}` becomes the number of the fold, so that each can go
    /// on from a model that has not seen its patients either.
    ///
    /// # Errors
    /// [`TrainError::Config`] if there is no such fold, [`TrainError::Leakage`] if a patient is in two, and whatever reading
    /// the data may say where folds are only counted.
    pub fn fold(&self, fold: usize, data_root: &Path, limits: &Limits) -> Result<Self, TrainError> {
        let no = |reason: String| Err(TrainError::Config(reason));
        let lists = match &self.split.folds {
            None => return no("split: there are no folds".into()),
            Some(Folds::Lists(lists)) => lists.clone(),
            Some(Folds::Count(count)) => self.dealt(*count, data_root, limits)?,
        };
        if fold >= lists.len() {
            return no(format!("split: there are {} folds, counted from 0; there is no fold {fold}", lists.len()));
        }
        let mut split = Split { folds: None, ..self.split.clone() };
        for (at, list) in lists.into_iter().enumerate() {
            if at == fold { &mut split.hold_out } else { &mut split.train }.extend(list);
        }
        split.check()?;
        let mut start = self.start.clone();
        if let Some(start) = &mut start {
            start.from = start.from.to_string_lossy().replace(FOLD, &fold.to_string()).into();
        }
        Ok(Self { split, start, ..self.clone() })
    }

    fn dealt(&self, count: usize, data_root: &Path, limits: &Limits) -> Result<Vec<Vec<String>>, TrainError> {
        let structures = Structures::of(&self.card.outputs)?;
        let mut slices = BTreeMap::<String, usize>::new();
        for source in &self.data {
            let folder = data_root.join(&source.folder);
            for case in cases::list(source.layout, &folder, &source.reading(&self.card.input, &structures))? {
                let patient = self.split.canonical(case.patient()).to_string();
                *slices.entry(patient).or_default() += case.read(limits)?.len();
            }
        }
        // Who is placed by name stays there.
        let placed = Split { folds: None, ..self.split.clone() };
        slices.retain(|patient, _| placed.side(patient).is_err());
        if count < 2 || slices.len() < count {
            return Err(TrainError::Config(format!("split: {} patients cannot make {count} folds", slices.len())));
        }
        Ok(deal(slices, count))
    }
}

fn deal(slices: BTreeMap<String, usize>, count: usize) -> Vec<Vec<String>> {
    let mut patients: Vec<(String, usize)> = slices.into_iter().collect();
    patients.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let mut folds = vec![(0, Vec::new()); count];
    for (patient, slices) in patients {
        let smallest = folds.iter_mut().min_by_key(|(sum, patients)| (*sum, patients.len())).expect("there are folds");
        smallest.0 += slices;
        smallest.1.push(patient);
    }
    folds.into_iter().map(|(_, patients)| patients).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patients_are_dealt_evenly_and_each_once() {
        let slices = [("a", 100), ("b", 60), ("c", 50), ("d", 40), ("e", 10)].map(|(name, n)| (name.to_string(), n));
        let folds = deal(slices.into(), 2);
        assert_eq!(folds, [vec!["a", "d"], vec!["b", "c", "e"]]);
    }
}
