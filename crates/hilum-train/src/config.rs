//! The training configuration, a TOML file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hilum_nn::{Dims, Input, Output, UNet, WeightFile};
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::augment::Augmentation;
use crate::cases::{Case, Layout, Reading};
use crate::folds::Folds;
use crate::loss::Loss;
use crate::optimizer::Optimizer;
use crate::start::Start;
use crate::structures::{LabelBits, Structures};
use crate::supervision;

/// Everything that decides what a training run does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Name of the network, and of its card.
    pub name: String,
    /// Version of the network.
    pub version: String,
    /// Start of every random choice. The same seed, data and number of steps give the same weights.
    pub seed: u64,
    /// The network.
    pub network: UNet,
    /// Length, batch and pace.
    pub schedule: Schedule,
    /// The optimiser.
    #[serde(default)]
    pub optimizer: Optimizer,
    /// What is minimised.
    #[serde(default)]
    pub loss: Loss,
    /// What to start from; without it, from random weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// How slices are varied.
    #[serde(default)]
    pub augmentation: Augmentation,
    /// Where slices come from.
    pub data: Vec<Source>,
    /// Who is learned from and who is held out.
    pub split: Split,
    /// What the model card is to say.
    pub card: CardText,
}

/// What the model card says that training cannot know. See [`hilum_nn::ModelCard`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardText {
    /// Licence of the weights.
    pub licence: String,
    /// What the model is for.
    pub intended_use: String,
    /// Known limits.
    pub limits: Vec<String>,
    /// What the network reads. `size_divisor` must be that of the network.
    pub input: Input,
    /// What its channels mean, in the order of the network's ([`Structures`]).
    pub outputs: Vec<Output>,
    /// Data sets, their licences and the part they played.
    pub data: Vec<DataText>,
}

/// A data set as the card names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataText {
    /// Name and source.
    pub name: String,
    /// Licence.
    pub licence: String,
    /// Which part was learned from, which was held out, in words. Without it training says so, from the split and the patients
    /// of `folder`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The `folder` of its [`Source`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
}

/// Length, batch and pace of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Examples that are in memory at once.
    pub batch: usize,
    /// Batches whose gradients are averaged into one step, so that a step sees more examples than memory holds. Overlap and
    /// batch normalisation still see one batch.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// Pixels along the edge of an example.
    pub size: usize,
    /// Slices of an example of a three-dimensional network.
    #[serde(default = "one")]
    pub slices: usize,
    /// Stop after this many steps.
    pub max_steps: u64,
    /// Stop after this many minutes of training (pauses between a kill and its resumption do not count). The learning
    /// rate follows whichever of steps and minutes is further on; with minutes, a run on a busy machine ends in time
    /// but is no longer reproducible.
    pub max_minutes: Option<f64>,
    /// Steps of rising learning rate at the start.
    pub warmup_steps: u64,
    /// Decay per step of the averaged weights, which are the ones that are exported.
    pub average_decay: f32,
    /// Minutes between checkpoints.
    pub checkpoint_minutes: f64,
    /// When to stop early, by the patients of `split.validation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<Validation>,
}

/// Measuring on patients who are neither learned from nor held out, to keep the best weights and to stop in time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// Steps between measurements.
    pub every: u64,
    /// Stop after this many measurements without a better one; never if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
}

fn one() -> usize {
    1
}

/// A folder of labelled slices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// How the folder is laid out.
    pub layout: Layout,
    /// The folder, relative to the data root.
    pub folder: PathBuf,
    /// Goes before the names of patients the layout does not name itself.
    #[serde(default)]
    pub prefix: String,
    /// Scans of this source that are stored with the patient's back up: their rows are read from the last to the first. An
    /// entry that ends in `*` stands for all that begin so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upside_down: Vec<String>,
    /// For pairs of images and masks: the outputs that the numbers 1, 2 and so on of the masks stand for
    /// ([`Reading::labels`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Vec<String>>,
    /// Share of examples, relative to the other sources.
    pub weight: f64,
    /// Share of this source's examples that must show a lesion (without an output of that name, the last output); the rest must
    /// not. Without it, slices come as they are.
    #[serde(default)]
    pub lesion_share: Option<f64>,
}

/// The split, by patient.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Patients to learn from. An entry that ends in `*` stands for all that begin so.
    #[serde(default)]
    pub train: Vec<String>,
    /// Patients never learned from.
    #[serde(default)]
    pub hold_out: Vec<String>,
    /// Patients who decide when to stop ([`Schedule::validation`]): not learned from, and no measure of the result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub validation: Vec<String>,
    /// Cross-validation: see [`TrainConfig::fold`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folds: Option<Folds>,
    /// Patients known under another name in another set: `other name = "patient"`.
    #[serde(default)]
    pub same_patient: BTreeMap<String, String>,
}

/// A side of the split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Learned from.
    Train,
    /// Never learned from.
    HoldOut,
    /// Decides when to stop.
    Validation,
}

impl TrainConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`TrainError::Config`] with the line that is not understood, or the setting that makes no sense.
    pub fn from_toml(text: &str) -> Result<Self, TrainError> {
        let config: Self = toml::from_str(text).map_err(|e| TrainError::Config(e.to_string()))?;
        config.check()?;
        Ok(config)
    }

    /// The configuration as text that [`TrainConfig::from_toml`] reads.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("settings are plain values and tables")
    }

    fn check(&self) -> Result<(), TrainError> {
        let fail = |reason: &str| Err(TrainError::Config(reason.to_string()));
        let graph = self.network.graph()?;
        let divisor = graph.size_divisor();
        let schedule = &self.schedule;
        match graph.dims() {
            Dims::Two if schedule.slices != 1 => {
                return fail("schedule: slices are those of a three-dimensional network's example");
            }
            Dims::Three if schedule.slices == 0 || !schedule.slices.is_multiple_of(divisor[0]) => {
                return Err(TrainError::Config(format!("schedule: slices must be a multiple of {}", divisor[0])));
            }
            Dims::Three if self.network.input_channels != 1 => {
                return fail(
                    "network: a three-dimensional network sees the neighbouring slices anyway: input_channels is 1",
                );
            }
            _ => {}
        }
        if schedule.batch == 0 || schedule.max_steps == 0 || schedule.accumulate == 0 {
            return fail("schedule: batch, accumulate and max_steps must be at least 1");
        }
        match &schedule.validation {
            Some(validation) if validation.every == 0 => return fail("schedule: validation every 0 steps"),
            Some(_) if self.split.validation.is_empty() => return fail("schedule: validation needs split.validation"),
            _ => {}
        }
        if let Some(flaw) = self.loss.flaw() {
            return fail(flaw);
        }
        supervision::with_heads(&graph, self.loss.deep_supervision.len())?;
        if let Some(flaw) = self.start.as_ref().and_then(|start| start.flaw(&graph)) {
            return fail(&flaw);
        }
        if schedule.size == 0 || !schedule.size.is_multiple_of(divisor[1]) || !schedule.size.is_multiple_of(divisor[2])
        {
            return Err(TrainError::Config(format!("schedule: size must be a multiple of {}", divisor[1])));
        }
        let structures = Structures::of(&self.card.outputs)?;
        if self.network.input_channels.is_multiple_of(2) {
            return fail("network: input_channels is one slice and as many above as below it");
        }
        if self.network.output_channels != structures.names().len() {
            return fail("network: output_channels is as many as there are [[card.outputs]]");
        }
        if self.augmentation.inserted_lesions > 0.0 && !structures.begin_with_lung_and_lesion() {
            return fail("augmentation: inserted_lesions are for networks whose first two outputs are lung and lesion");
        }
        if self.data.is_empty() || self.data.iter().any(|source| source.weight.is_nan() || source.weight <= 0.0) {
            return fail("data: at least one source, each with a positive weight");
        }
        for source in &self.data {
            source.check(&structures)?;
        }
        for data in &self.card.data {
            let has_source = |folder: &PathBuf| self.data.iter().any(|source| source.folder == *folder);
            match &data.folder {
                Some(folder) if !has_source(folder) => {
                    return Err(TrainError::Config(format!("card.data: there is no [[data]] {}", folder.display())));
                }
                None if data.part.is_none() => {
                    let name = &data.name;
                    return Err(TrainError::Config(format!("card.data: `{name}` has neither `part` nor `folder`")));
                }
                _ => {}
            }
        }
        // What the card contradicts itself in is said before hours of training.
        let file = WeightFile { file: String::new(), sha256: String::new() };
        crate::card::card(self, file, toml::Table::new()).graph()?;
        self.split.check()
    }
}

impl Source {
    /// How the files of this source are read for a network with this input and these outputs.
    pub fn reading(&self, input: &Input, structures: &Structures) -> Reading {
        Reading {
            prefix: self.prefix.clone(),
            window_hu: [input.window_low_hu, input.window_high_hu],
            pixel_mm: input.pixel_mm,
            upside_down: self.upside_down.clone(),
            structures: structures.clone(),
            labels: self.labels.clone(),
        }
    }

    fn check(&self, structures: &Structures) -> Result<(), TrainError> {
        let fail = |reason: &str| Err(TrainError::Config(format!("data: {}: {reason}", self.folder.display())));
        if self.layout.is_of_pairs() {
            let labels = LabelBits::of(structures, &self.labels)?;
            if self.lesion_share.is_some() && !labels.may_tell(structures.target()) {
                let target = &structures.names()[structures.target()];
                return fail(&format!("lesion_share: its labels do not tell `{target}`"));
            }
            return Ok(());
        }
        if !self.labels.is_empty() {
            return fail("labels are for pairs of images and masks");
        }
        if structures.of_pneumonia(u8::MAX) == 0 {
            return fail("this layout tells lung, lesion and consolidation, none of which is an output of the network");
        }
        Ok(())
    }
}

impl Split {
    /// Refuses a patient on two sides.
    ///
    /// # Errors
    /// [`TrainError::Leakage`] names the patient.
    pub fn check(&self) -> Result<(), TrainError> {
        let lists = match &self.folds {
            Some(Folds::Lists(lists)) => lists.as_slice(),
            _ => &[],
        };
        let mut sides: Vec<&[String]> = vec![&self.train, &self.hold_out, &self.validation];
        sides.extend(lists.iter().map(Vec::as_slice));
        for (at, side) in sides.iter().enumerate() {
            for entry in *side {
                let others = sides.iter().enumerate().filter(|(other, _)| *other != at).flat_map(|(_, side)| *side);
                let name = self.canonical(entry);
                if others.map(|other| self.canonical(other)).any(|other| matches(other, name) || matches(name, other)) {
                    return Err(TrainError::Leakage(name.to_string()));
                }
            }
        }
        Ok(())
    }

    /// Refuses an entry that none of the patients is meant by: a typing mistake would otherwise move a patient to another side.
    pub(crate) fn check_names<'a>(&self, patients: impl Iterator<Item = &'a str>) -> Result<(), TrainError> {
        let patients: std::collections::BTreeSet<&str> = patients.map(|patient| self.canonical(patient)).collect();
        let is_there = |entry: &str| patients.iter().any(|patient| matches(self.canonical(entry), patient));
        match [&self.train, &self.hold_out, &self.validation].into_iter().flatten().find(|entry| !is_there(entry)) {
            Some(entry) => Err(TrainError::Config(format!("split: no case is of patient `{entry}`"))),
            None => Ok(()),
        }
    }

    /// The side a patient is on.
    ///
    /// # Errors
    /// [`TrainError::Leakage`] if on two, [`TrainError::Unassigned`] if on none.
    pub fn side(&self, patient: &str) -> Result<Side, TrainError> {
        let patient = self.canonical(patient);
        let on = |list: &[String]| list.iter().any(|entry| matches(self.canonical(entry), patient));
        let sides = [(&self.train, Side::Train), (&self.hold_out, Side::HoldOut), (&self.validation, Side::Validation)];
        let mut found = sides.into_iter().filter(|(list, _)| on(list)).map(|(_, side)| side);
        match (found.next(), found.next()) {
            (Some(side), None) => Ok(side),
            (Some(_), Some(_)) => Err(TrainError::Leakage(patient.to_string())),
            (None, _) => Err(TrainError::Unassigned(patient.to_string())),
        }
    }

    /// The cases of one side.
    ///
    /// # Errors
    /// As [`Split::side`], for the first case that cannot be assigned.
    pub fn select(&self, cases: Vec<Case>, side: Side) -> Result<Vec<Case>, TrainError> {
        let mut selected = Vec::new();
        for case in cases {
            if self.side(case.patient())? == side {
                selected.push(case);
            }
        }
        Ok(selected)
    }

    pub(crate) fn canonical<'a>(&'a self, patient: &'a str) -> &'a str {
        self.same_patient.get(patient).map_or(patient, String::as_str)
    }
}

/// Whether an entry of a list stands for a name: an entry that ends in `*` for all that begin so.
pub(crate) fn matches(entry: &str, name: &str) -> bool {
    match entry.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => entry == name,
    }
}
