//! The training configuration, a TOML file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hilum_nn::{Data, Input, Output, UNet};
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::augment::Augmentation;
use crate::cases::{Layout, Reading, Slice};
use crate::optimizer::AdamW;

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
    pub optimizer: AdamW,
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
    /// What its channels mean: lung, lesion, consolidation.
    pub outputs: Vec<Output>,
    /// Data sets, their licences and the part they played.
    pub data: Vec<Data>,
}

/// Length, batch and pace of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Examples per step.
    pub batch: usize,
    /// Pixels along the edge of an example.
    pub size: usize,
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
    /// Share of examples, relative to the other sources.
    pub weight: f64,
    /// Share of this source's examples that must show a lesion; the rest must not. Without it, slices come as they are.
    #[serde(default)]
    pub lesion_share: Option<f64>,
}

/// The split, by patient.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Patients to learn from. An entry that ends in `*` stands for all that begin so.
    pub train: Vec<String>,
    /// Patients never learned from.
    pub hold_out: Vec<String>,
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

    fn check(&self) -> Result<(), TrainError> {
        let fail = |reason: &str| Err(TrainError::Config(reason.to_string()));
        let graph = self.network.graph()?;
        if graph.dims() != hilum_nn::Dims::Two {
            return fail("network: batches are made of slices so far, which takes a two-dimensional network");
        }
        let divisor = graph.size_divisor();
        let schedule = &self.schedule;
        if schedule.batch == 0 || schedule.max_steps == 0 {
            return fail("schedule: batch and max_steps must be at least 1");
        }
        if schedule.size == 0 || !schedule.size.is_multiple_of(divisor[1]) || !schedule.size.is_multiple_of(divisor[2])
        {
            return Err(TrainError::Config(format!("schedule: size must be a multiple of {}", divisor[1])));
        }
        if self.network.input_channels.is_multiple_of(2) || self.network.output_channels != crate::cases::CHANNELS.len()
        {
            return fail(
                "network: input_channels is one slice and as many above as below it, output_channels three masks",
            );
        }
        if self.data.is_empty() || self.data.iter().any(|source| source.weight.is_nan() || source.weight <= 0.0) {
            return fail("data: at least one source, each with a positive weight");
        }
        if self.card.input.size_divisor != divisor {
            return Err(TrainError::Config(format!("card: size_divisor must be {divisor:?}")));
        }
        if !self.card.outputs.iter().map(|output| output.name.as_str()).eq(crate::cases::CHANNELS) {
            return Err(TrainError::Config(format!("card: outputs must be {:?}", crate::cases::CHANNELS)));
        }
        self.split.check()
    }
}

impl Source {
    /// How the files of this source are read for a network with this input.
    pub fn reading(&self, input: &Input) -> Reading {
        let window_hu = [input.window_low_hu, input.window_high_hu];
        Reading { prefix: self.prefix.clone(), window_hu, pixel_mm: input.pixel_mm }
    }
}

impl Split {
    /// Refuses a patient on both sides.
    ///
    /// # Errors
    /// [`TrainError::Leakage`] names the patient.
    pub fn check(&self) -> Result<(), TrainError> {
        for held in &self.hold_out {
            let held = self.canonical(held);
            if self.train.iter().any(|entry| matches(self.canonical(entry), held)) {
                return Err(TrainError::Leakage(held.to_string()));
            }
        }
        Ok(())
    }

    /// The side a patient is on.
    ///
    /// # Errors
    /// [`TrainError::Leakage`] if on both, [`TrainError::Unassigned`] if on none.
    pub fn side(&self, patient: &str) -> Result<Side, TrainError> {
        let patient = self.canonical(patient);
        let on = |list: &[String]| list.iter().any(|entry| matches(self.canonical(entry), patient));
        match (on(&self.train), on(&self.hold_out)) {
            (true, true) => Err(TrainError::Leakage(patient.to_string())),
            (true, false) => Ok(Side::Train),
            (false, true) => Ok(Side::HoldOut),
            (false, false) => Err(TrainError::Unassigned(patient.to_string())),
        }
    }

    /// The slices of one side.
    ///
    /// # Errors
    /// As [`Split::side`], for the first slice that cannot be assigned.
    pub fn select(&self, slices: Vec<Slice>, side: Side) -> Result<Vec<Slice>, TrainError> {
        let mut selected = Vec::new();
        for slice in slices {
            if self.side(&slice.patient)? == side {
                selected.push(slice);
            }
        }
        Ok(selected)
    }

    fn canonical<'a>(&'a self, patient: &'a str) -> &'a str {
        self.same_patient.get(patient).map_or(patient, String::as_str)
    }
}

fn matches(entry: &str, patient: &str) -> bool {
    match entry.strip_suffix('*') {
        Some(start) => patient.starts_with(start),
        None => entry == patient,
    }
}
