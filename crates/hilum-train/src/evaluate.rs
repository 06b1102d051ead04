//! Measuring a model on a labelled data set, patient by patient.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hilum_dicom::Limits;
use hilum_nn::{EngineOptions, Mirrored, Model, Runtime, sha256_hex};
use hilum_volume::{Geometry, Mask, PatientPoint, PatientVector, Volume};
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::agreement::{Agreement, Detection};
use crate::calibration::{LogitHistogram, Reliability, SliceProbability, volume_offset};
use crate::cases::{self, CHANNELS, Case, Layout, Reading, Slice};
use crate::config::{Side, Split};
use crate::lesionwise::{FOUND_FROM_SHARE, LEAST_ML, LesionCounts};
use crate::metrics::{MeanSd, Overlap, SurfaceAgreement, bootstrap_95, surface_agreement};
use crate::predict::{Prediction, Predictor};
use crate::structures::Structures;
use crate::subgroups::{Subgroup, subgroups};
use crate::threshold::ThresholdChoice;

/// What to measure, and on whom.
#[derive(Clone, Debug)]
pub struct EvaluateOptions {
    /// Measure one side of a split only; all patients otherwise.
    pub split: Option<(Split, Side)>,
    /// Goes before the names of patients the layout does not name itself.
    pub prefix: String,
    /// Scans that are stored with the patient's back up ([`Reading::upside_down`]).
    pub upside_down: Vec<String>,
    /// What the numbers in the masks of pairs stand for ([`Reading::labels`]).
    pub labels: Vec<Vec<String>>,
    /// Show the network every slice's mirror image too and take the mean of its logits ([`Mirrored`]).
    pub mirror: bool,
    /// Voxel size `[slice, row, column]` for sets that do not tell it. Without it, distances are left out there.
    pub spacing_mm: Option<[f64; 3]>,
    /// Distance up to which surfaces count as equal, for surface Dice.
    pub surface_tolerance_mm: f64,
    /// Resamples of the bootstrap interval.
    pub resamples: usize,
    /// Worker threads; 0 for as many as there are cores.
    pub threads: usize,
    /// What files of the data may occupy, and who unpacks compressed DICOM.
    pub limits: Limits,
}

impl Default for EvaluateOptions {
    fn default() -> Self {
        Self {
            split: None,
            prefix: String::new(),
            upside_down: Vec::new(),
            labels: Vec::new(),
            mirror: false,
            spacing_mm: None,
            surface_tolerance_mm: 3.0,
            resamples: 2000,
            threads: 0,
            limits: Limits::default(),
        }
    }
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Name of the data set's folder.
    pub data_set: String,
    /// Name of the model.
    pub model: String,
    /// Version of the model.
    pub version: String,
    /// Hash of its weights.
    pub sha256: String,
    /// What is looked for: the output that slices, lesions and thresholds are measured of ([`Structures::target`]).
    #[serde(default)]
    pub target: String,
    /// How the numbers were made, one sentence each.
    pub protocol: Vec<String>,
    /// Every patient, in the order of their names.
    pub patients: Vec<PatientResult>,
    /// Mean over patients of every channel.
    pub summary: Vec<ChannelSummary>,
    /// The same of parts of the patients, as far as the data set tells them apart.
    #[serde(default)]
    pub subgroups: Vec<Subgroup>,
    /// Telling slices with lesion from those without by the predicted area, where the set has both.
    pub slice_detection: Option<Detection>,
    /// How far the probabilities of single voxels can be believed, of every channel.
    #[serde(default)]
    pub calibration: Vec<ChannelCalibration>,
    /// How the network's opinion of whole slices becomes a probability, where the set has slices with and without lesion.
    #[serde(default)]
    pub slice_probability: Option<SliceProbability>,
    /// Where the true lesion volume of unseen patients lies, if they are like these.
    #[serde(default)]
    pub lesion_interval: Option<VolumeInterval>,
    /// Dice of the lesion if each patient's threshold is chosen by the others, of voxels within the lungs; patients in their order.
    #[serde(default)]
    pub lesion_threshold: Option<ThresholdChoice>,
    /// The predicted share of the lungs that is lesion against the labelled one, patient by patient, where lungs are labelled.
    #[serde(default)]
    pub lesion_share: Option<Agreement>,
}

/// Two thresholds between whose volumes the true one lies: the card's, moved up and down by the same number of logits. From patients
/// by split conformal prediction (Vovk et al. 2005, doi:10.1007/b106715).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeInterval {
    /// The move in logits.
    pub offset_logits: f64,
    /// The share of unseen patients whose true volume lies between, on average over such sets of patients.
    pub coverage: f64,
    /// Patients it was found with.
    pub patients: usize,
}

/// Least coverage of a [`VolumeInterval`].
const INTERVAL_COVERAGE: f64 = 0.9;

/// How far the probabilities of one channel's voxels can be believed; but for the lungs themselves, of voxels within the lungs, as
/// labelled or predicted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelCalibration {
    /// Name of the channel.
    pub channel: String,
    /// As the network says them.
    pub reliability: Reliability,
    /// What its logits would have to be divided by for these patients: above 1 it is too sure.
    pub temperature: Option<f64>,
    /// As they would be then.
    pub at_temperature: Option<Reliability>,
}

/// One patient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatientResult {
    /// Name in the data set.
    pub patient: String,
    /// Scans.
    pub volumes: usize,
    /// Slices of all scans.
    pub slices: usize,
    /// Distance of the slices in mm, where the set tells it and all scans have the same.
    #[serde(default)]
    pub slice_mm: Option<f64>,
    /// Manufacturer of the scanner, where the set tells it and all scans have the same.
    #[serde(default)]
    pub scanner: Option<String>,
    /// One entry for every channel the set has the truth of.
    pub channels: Vec<ChannelResult>,
}

/// One channel of one patient, all slices taken together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelResult {
    /// Name of the channel.
    pub channel: String,
    /// Dice over all voxels of the patient.
    pub dice: f64,
    /// The voxels it is made of.
    #[serde(default)]
    pub overlap: Overlap,
    /// Mean Dice of the slices that show this structure in truth or prediction.
    pub slice_dice: Option<f64>,
    /// Share of the truth found.
    pub sensitivity: Option<f64>,
    /// Share of the prediction that is right.
    pub precision: Option<f64>,
    /// Relative volume error.
    pub volume_error: Option<f64>,
    /// Surface Dice at the tolerance, mean over scans.
    pub surface_dice: Option<f64>,
    /// 95th percentile of surface distance in mm, mean over scans.
    pub hd95_mm: Option<f64>,
    /// Lesions one by one, of the lesion channel where the voxel size is known.
    #[serde(default)]
    pub lesions: Option<LesionCounts>,
}

/// Means over patients of one channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelSummary {
    /// Name of the channel.
    pub channel: String,
    /// Of the patients' Dice.
    pub dice: Option<MeanSd>,
    /// 95 % interval of the mean of the patients' Dice, by bootstrap over patients; `None` for fewer than two.
    #[serde(default)]
    pub dice_95: Option<[f64; 2]>,
    /// Over all slices of all patients that show the structure in truth or prediction, each counting the same.
    pub slice_dice: Option<MeanSd>,
    /// Of the patients' sensitivity.
    pub sensitivity: Option<MeanSd>,
    /// Of the patients' precision.
    pub precision: Option<MeanSd>,
    /// Of the patients' volume error.
    pub volume_error: Option<MeanSd>,
    /// Of the patients' surface Dice.
    pub surface_dice: Option<MeanSd>,
    /// Of the patients' surface distance.
    pub hd95_mm: Option<MeanSd>,
}

/// Reads a data set, runs the model on every slice of the chosen patients and compares.
///
/// The masks are compared on the data set's own grid. `progress` gets the share done, from 0 to 1.
///
/// # Errors
/// [`TrainError`] if the data cannot be read, no patient is left, or the model cannot run.
pub fn evaluate(
    layout: Layout,
    folder: &Path,
    model: &Model,
    options: &EvaluateOptions,
    progress: &(dyn Fn(f32) + Sync),
) -> Result<Evaluation, TrainError> {
    let engine_options = EngineOptions { threads: options.threads, ..EngineOptions::default() };
    let engine = model.engine(EngineOptions { precision: model.precision(), ..engine_options })?;
    evaluate_on(&engine, layout, folder, model, options, progress)
}

/// As [`evaluate`], with the model already made ready by whatever runs it; [`EvaluateOptions::threads`] is not looked at.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_on(
    runtime: &dyn Runtime,
    layout: Layout,
    folder: &Path,
    model: &Model,
    options: &EvaluateOptions,
    progress: &(dyn Fn(f32) + Sync),
) -> Result<Evaluation, TrainError> {
    let pool = measure(runtime, layout, folder, model, options, progress)?;
    let card = &model.card;
    Ok(pool.evaluation(folder, [&card.name, &card.version, &card.weights.sha256], protocol(options), options))
}

/// Cross-validation: every model is measured on the patients that its own split holds out, and all of them are put together as
/// if one model had been measured. Patients of the set that no fold holds out are left out.
///
/// # Errors
/// [`TrainError::Leakage`] if two folds hold out one patient, or a fold learned from one it holds out; otherwise as [`evaluate`].
pub fn cross_validate(
    folds: &[(Model, Split)],
    layout: Layout,
    folder: &Path,
    options: &EvaluateOptions,
    progress: &(dyn Fn(f32) + Sync),
) -> Result<Evaluation, TrainError> {
    let mut pool: Option<Pool> = None;
    let mut hashes = String::new();
    for (at, (model, split)) in folds.iter().enumerate() {
        split.check()?;
        let options = EvaluateOptions { split: Some((split.clone(), Side::HoldOut)), ..options.clone() };
        let engine_options = EngineOptions { threads: options.threads, ..EngineOptions::default() };
        let engine = model.engine(EngineOptions { precision: model.precision(), ..engine_options })?;
        let report = |share: f32| progress((at as f32 + share) / folds.len() as f32);
        let measured = measure(&engine, layout, folder, model, &options, &report)?;
        match &mut pool {
            Some(pool) => pool.join(measured)?,
            None => pool = Some(measured),
        }
        hashes.push_str(&model.card.weights.sha256);
    }
    let (Some((first, _)), Some(pool)) = (folds.first(), pool) else {
        return Err(TrainError::NoCases("there are no folds".into()));
    };
    let held_out = folds.first().map(|(_, split)| (split.clone(), Side::HoldOut));
    let mut lines = protocol(&EvaluateOptions { split: held_out, ..options.clone() });
    lines.push(format!(
        "{} model(s), each measured on patients that it never learned from; the hash is that of their hashes.",
        folds.len()
    ));
    let name = format!("{}, {} folds", first.card.name, folds.len());
    Ok(pool.evaluation(folder, [&name, &first.card.version, &sha256_hex(hashes.as_bytes())], lines, options))
}

/// What was measured of some patients.
struct Pool {
    structures: Structures,
    /// What the numbers in masks stand for, if that has to be said.
    in_masks: Option<String>,
    patients: Vec<PatientResult>,
    /// Dice of every slice that counts, by structure.
    slice_dice: Vec<Vec<f64>>,
    /// Place of the patient, predicted area and truth of every slice.
    detection: Vec<(usize, f64, bool)>,
    /// Of every patient, by channel, where it is known.
    histograms: Vec<Vec<Option<LogitHistogram>>>,
    /// Place of the patient, logit and truth of every slice.
    slice_logits: Vec<(usize, f32, bool)>,
    /// The card's threshold of what is looked for, as a logit; of the first model, if there are several.
    threshold: f64,
}

impl Pool {
    /// Adds patients that are not there yet.
    fn join(&mut self, other: Self) -> Result<(), TrainError> {
        if self.structures != other.structures {
            return Err(TrainError::Config("the models of the folds have not the same outputs".into()));
        }
        if let Some(twice) = other.patients.iter().find(|p| self.patients.iter().any(|own| own.patient == p.patient)) {
            return Err(TrainError::Leakage(twice.patient.clone()));
        }
        let before = self.patients.len();
        self.detection.extend(other.detection.into_iter().map(|(at, area, truth)| (before + at, area, truth)));
        self.slice_logits.extend(other.slice_logits.into_iter().map(|(at, logit, truth)| (before + at, logit, truth)));
        self.patients.extend(other.patients);
        self.histograms.extend(other.histograms);
        for (own, other) in self.slice_dice.iter_mut().zip(other.slice_dice) {
            own.extend(other);
        }
        Ok(())
    }

    fn evaluation(
        self,
        folder: &Path,
        [model, version, sha256]: [&str; 3],
        mut protocol: Vec<String>,
        options: &EvaluateOptions,
    ) -> Evaluation {
        let Self { structures, in_masks, mut patients, slice_dice, detection, histograms, slice_logits, threshold } =
            self;
        let target = structures.target();
        protocol.extend(in_masks);
        let slice_probability = SliceProbability::of(&slice_logits, patients.len(), options.resamples);
        let lesions: Vec<_> = histograms.iter().filter_map(|of_patient| of_patient[target].clone()).collect();
        let interval = volume_offset(&lesions, threshold, INTERVAL_COVERAGE);
        let slice_detection = Detection::of(&detection, patients.len(), options.resamples);
        let channels = structures.names().iter().enumerate();
        let calibration = channels.filter_map(|(at, name)| calibrated(at, name, &histograms)).collect();
        // Threshold by threshold, patients in the order they are listed in.
        let mut order: Vec<usize> = (0..patients.len()).collect();
        order.sort_by(|a, b| patients[*a].patient.cmp(&patients[*b].patient));
        let ordered: Vec<_> = order.iter().filter_map(|at| histograms[*at][target].clone()).collect();
        let lesion_threshold = ThresholdChoice::of(&ordered);
        patients.sort_by(|a, b| a.patient.cmp(&b.patient));
        let summary = summaries(&structures, &patients, &mut slice_dice.into_iter(), options.resamples);
        let subgroups = subgroups(&structures, &patients, options.resamples);
        Evaluation {
            data_set: folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
            model: model.into(),
            version: version.into(),
            sha256: sha256.into(),
            target: structures.names()[target].clone(),
            protocol,
            slice_detection,
            calibration,
            slice_probability,
            lesion_interval: interval.map(|[offset_logits, coverage]| VolumeInterval {
                offset_logits,
                coverage,
                patients: lesions.len(),
            }),
            lesion_threshold,
            lesion_share: Agreement::of(&lesion_shares(&patients)),
            patients,
            summary,
            subgroups,
        }
    }
}

fn measure(
    runtime: &dyn Runtime,
    layout: Layout,
    folder: &Path,
    model: &Model,
    options: &EvaluateOptions,
    progress: &(dyn Fn(f32) + Sync),
) -> Result<Pool, TrainError> {
    let mirrored = Mirrored::new(runtime);
    let predictor = Predictor::new(if options.mirror { &mirrored } else { runtime }, model)?;
    let reading = Reading {
        prefix: options.prefix.clone(),
        window_hu: [model.card.input.window_low_hu, model.card.input.window_high_hu],
        pixel_mm: model.card.input.pixel_mm,
        upside_down: options.upside_down.clone(),
        structures: predictor.structures().clone(),
        labels: options.labels.clone(),
    };
    let mut cases = cases::list(layout, folder, &reading)?;
    if let Some((split, side)) = &options.split {
        cases = split.select(cases, *side)?;
    }
    if cases.is_empty() {
        return Err(TrainError::NoCases(format!("{} has no patient of that split", folder.display())));
    }
    let mut patients = BTreeMap::<&str, Vec<&Case>>::new();
    for case in &cases {
        patients.entry(case.patient()).or_default().push(case);
    }
    let structures = predictor.structures();
    let mut pool = Pool {
        structures: structures.clone(),
        in_masks: if layout.is_of_pairs() { reading.label_bits()?.in_words(structures) } else { None },
        patients: Vec::new(),
        slice_dice: vec![Vec::new(); structures.measured().len()],
        detection: Vec::new(),
        histograms: Vec::new(),
        slice_logits: Vec::new(),
        threshold: predictor.threshold(),
    };
    let mut done = 0;
    for (index, (patient, volumes)) in patients.iter().enumerate() {
        let mut measured = Measured::new(structures);
        let mut count = 0;
        let (mut slice_mm, mut scanner) = (BTreeSet::new(), BTreeSet::new());
        for case in volumes {
            // One scan at a time is in memory.
            let volume = case.read(&options.limits)?;
            let predicted = predictor.predict(&volume)?;
            measured.add(&volume, predicted, options);
            slice_mm.insert(volume[0].spacing_mm.map(|mm| mm[0].to_bits()));
            scanner.insert(volume[0].scanner.clone());
            count += volume.len();
            done += 1;
            progress(done as f32 / cases.len() as f32);
        }
        for (all, of_patient) in pool.slice_dice.iter_mut().zip(&measured.slice_dice) {
            all.extend(of_patient.iter().copied());
        }
        pool.detection.extend(measured.detection.iter().map(|(area, positive)| (index, *area, *positive)));
        pool.slice_logits.extend(measured.slice_logits.iter().map(|(logit, positive)| (index, *logit, *positive)));
        let channels = measured.channels();
        pool.histograms.push(measured.histograms());
        pool.patients.push(PatientResult {
            patient: (*patient).to_string(),
            volumes: volumes.len(),
            slices: count,
            slice_mm: only(slice_mm).map(f64::from_bits),
            scanner: only(scanner),
            channels,
        });
    }
    Ok(pool)
}

/// What all agree on.
fn only<T>(values: BTreeSet<Option<T>>) -> Option<T> {
    if values.len() == 1 { values.into_iter().next().flatten() } else { None }
}

/// Counts of one patient.
struct Measured<'a> {
    structures: &'a Structures,
    known: Vec<bool>,
    overlap: Vec<Overlap>,
    slice_dice: Vec<Vec<f64>>,
    surfaces: Vec<Vec<SurfaceAgreement>>,
    lesions: Option<LesionCounts>,
    /// Predicted lesion pixels and whether there is a lesion, of every slice.
    detection: Vec<(f64, bool)>,
    histograms: Vec<LogitHistogram>,
    /// The logit that enough pixels reach and whether there is a lesion, of every slice.
    slice_logits: Vec<(f32, bool)>,
}

impl<'a> Measured<'a> {
    fn new(structures: &'a Structures) -> Self {
        let count = structures.measured().len();
        Self {
            structures,
            known: vec![false; count],
            overlap: vec![Overlap::default(); count],
            slice_dice: vec![Vec::new(); count],
            surfaces: vec![Vec::new(); count],
            lesions: None,
            detection: Vec::new(),
            histograms: vec![LogitHistogram::default(); structures.names().len()],
            slice_logits: Vec::new(),
        }
    }

    fn add(&mut self, volume: &[Slice], prediction: Prediction, options: &EvaluateOptions) {
        let predicted = &prediction.labels;
        self.histograms.iter_mut().zip(&prediction.histograms).for_each(|(all, own)| all.join(own));
        let (structures, target) = (self.structures, self.structures.target());
        let bit =
            |labels: &[u8], channel: usize| labels.iter().map(|l| structures.shows(*l, channel)).collect::<Vec<bool>>();
        for channel in (0..self.known.len()).filter(|channel| structures.tells(volume[0].known, *channel)) {
            self.known[channel] = true;
            for (slice, predicted) in volume.iter().zip(predicted) {
                let overlap = Overlap::count(&bit(predicted, channel), &bit(&slice.labels, channel));
                self.overlap[channel].add(overlap);
                if overlap.predicted + overlap.truth > 0 {
                    self.slice_dice[channel].push(overlap.dice());
                }
            }
            if let Some(spacing_mm) = volume[0].spacing_mm.or(options.spacing_mm) {
                let stack = |planes: &mut dyn Iterator<Item = &[u8]>| {
                    let shape = [volume.len(), volume[0].height, volume[0].width];
                    mask(planes.flat_map(|labels| bit(labels, channel)).collect(), shape, spacing_mm)
                };
                let truth = stack(&mut volume.iter().map(|slice| slice.labels.as_slice()));
                let predicted = stack(&mut predicted.iter().map(Vec::as_slice));
                self.surfaces[channel].extend(surface_agreement(&predicted, &truth, options.surface_tolerance_mm));
                if channel == target {
                    self.lesions.get_or_insert_default().add(&predicted, &truth);
                }
            }
        }
        if !structures.tells(volume[0].known, target) {
            return;
        }
        for (slice, predicted) in volume.iter().zip(predicted) {
            let area = predicted.iter().filter(|labels| **labels >> target & 1 == 1).count();
            self.detection.push((area as f64, slice.shows(target)));
        }
        let truths = volume.iter().map(|slice| slice.shows(target));
        self.slice_logits.extend(prediction.slice_logits.iter().copied().zip(truths));
    }

    fn channels(&self) -> Vec<ChannelResult> {
        let result = |(channel, name): (usize, String)| {
            let overlap = &self.overlap[channel];
            let surfaces = &self.surfaces[channel];
            let mean = |part: fn(&SurfaceAgreement) -> f64| MeanSd::of(surfaces.iter().map(part)).map(|m| m.mean);
            ChannelResult {
                channel: name,
                dice: overlap.dice(),
                overlap: *overlap,
                slice_dice: MeanSd::of(self.slice_dice[channel].iter().copied()).map(|m| m.mean),
                sensitivity: overlap.sensitivity(),
                precision: overlap.precision(),
                volume_error: overlap.volume_error(),
                surface_dice: mean(|s| s.surface_dice),
                hd95_mm: mean(|s| s.hd95_mm),
                lesions: self.lesions.filter(|_| channel == self.structures.target()),
            }
        };
        self.structures
            .measured()
            .into_iter()
            .enumerate()
            .filter(|(channel, _)| self.known[*channel])
            .map(result)
            .collect()
    }

    fn histograms(&self) -> Vec<Option<LogitHistogram>> {
        self.histograms.iter().zip(&self.known).map(|(own, known)| known.then(|| own.clone())).collect()
    }
}

/// The calibration of a channel over all patients; `None` if none has it.
fn calibrated(channel: usize, name: &str, patients: &[Vec<Option<LogitHistogram>>]) -> Option<ChannelCalibration> {
    let mut all = LogitHistogram::default();
    patients.iter().filter_map(|patient| patient[channel].as_ref()).for_each(|own| all.join(own));
    let temperature = all.temperature();
    Some(ChannelCalibration {
        channel: name.to_string(),
        reliability: all.reliability(1.0)?,
        temperature,
        at_temperature: temperature.and_then(|t| all.reliability(t)),
    })
}

/// Predicted and labelled share of the lungs that is lesion, in percent, of every patient with both.
fn lesion_shares(patients: &[PatientResult]) -> Vec<[f64; 2]> {
    let of = |patient: &PatientResult| {
        let overlap = |name| patient.channels.iter().find(|c| c.channel == name).map(|c| c.overlap);
        let (lung, lesion) = (overlap(CHANNELS[0])?, overlap(CHANNELS[1])?);
        let percent = |lesion: u64, lung: u64| 100.0 * lesion as f64 / lung as f64;
        (lung.predicted > 0 && lung.truth > 0)
            .then(|| [percent(lesion.predicted, lung.predicted), percent(lesion.truth, lung.truth)])
    };
    patients.iter().filter_map(of).collect()
}

fn mask(data: Vec<bool>, shape: [usize; 3], spacing_mm: [f64; 3]) -> Mask {
    let axes = [PatientVector([0.0, 0.0, 1.0]), PatientVector([0.0, 1.0, 0.0]), PatientVector([1.0, 0.0, 0.0])];
    let geometry =
        Geometry::new(shape, PatientPoint([0.0; 3]), axes, spacing_mm).expect("spacing was read from a grid");
    Volume::new(geometry, data).expect("slices of one scan have one size")
}

/// Means over patients of every channel that one of them has; `slice_dice` gives those of single slices, by structure.
pub(crate) fn summaries(
    structures: &Structures,
    patients: &[PatientResult],
    slice_dice: &mut dyn Iterator<Item = Vec<f64>>,
    resamples: usize,
) -> Vec<ChannelSummary> {
    let measured = structures.measured();
    measured.iter().zip(slice_dice).filter_map(|(name, dice)| summarise(name, patients, dice, resamples)).collect()
}

fn summarise(name: &str, patients: &[PatientResult], slice_dice: Vec<f64>, resamples: usize) -> Option<ChannelSummary> {
    let results: Vec<&ChannelResult> =
        patients.iter().flat_map(|p| p.channels.iter().filter(|result| result.channel == name)).collect();
    let of = |part: fn(&ChannelResult) -> Option<f64>| MeanSd::of(results.iter().filter_map(|result| part(result)));
    (!results.is_empty()).then(|| ChannelSummary {
        channel: name.to_string(),
        dice: of(|r| Some(r.dice)),
        dice_95: bootstrap_95(results.len(), resamples, 1, |drawn| {
            Some(drawn.iter().map(|at| results[*at].dice).sum::<f64>() / drawn.len() as f64)
        })
        .filter(|_| results.len() > 1),
        slice_dice: MeanSd::of(slice_dice),
        sensitivity: of(|r| r.sensitivity),
        precision: of(|r| r.precision),
        volume_error: of(|r| r.volume_error),
        surface_dice: of(|r| r.surface_dice),
        hd95_mm: of(|r| r.hd95_mm),
    })
}

fn protocol(options: &EvaluateOptions) -> Vec<String> {
    let mut lines = vec![
        "Masks are compared on the data set's own grid, after the thresholds of the model card and nothing else."
            .into(),
        "Dice, sensitivity, precision and volume error are taken over all voxels of a patient; mean and sample \
         standard deviation are over patients."
            .into(),
        "Slice Dice is mean and standard deviation over the slices that show the structure in truth or prediction."
            .into(),
    ];
    if let Some((_, side)) = &options.split {
        lines.push(match side {
            Side::HoldOut => "Only patients held out of training.".into(),
            Side::Validation => "Only the patients that decided when to stop training.".into(),
            Side::Train => "Only patients the model was trained on: these numbers say nothing about others.".into(),
        });
    } else {
        lines.push("All patients of the set, those the model may have learned from too.".into());
    }
    if options.mirror {
        lines.push("Logits are the mean of those of a slice and of its mirror image.".into());
    }
    lines.push(format!(
        "Lesions are connected parts of {LEAST_ML} ml or more; one is found if {:.0} % of its voxels are predicted, and a predicted one \
         is a false alarm if less of it is true (Commowick 2018).",
        100.0 * FOUND_FROM_SHARE
    ));
    lines.push(format!("Surface Dice counts surface voxels within {} mm.", options.surface_tolerance_mm));
    match options.spacing_mm {
        Some(mm) => lines.push(format!("Where the set does not tell its voxel size, {mm:?} mm is assumed.")),
        None => lines.push("Where the set does not tell its voxel size, distances are left out.".into()),
    }
    lines
}
