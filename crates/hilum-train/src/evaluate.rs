//! Measuring a model on a labelled data set, patient by patient.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::Mutex;

use hilum_nn::{EngineOptions, Model, Runtime, run_slices, sha256_hex};
use hilum_volume::{Geometry, Mask, PatientPoint, PatientVector, Volume};
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::cases::{self, CHANNELS, Case, Layout, Reading, Slice};
use crate::config::{Side, Split};
use crate::lesionwise::{FOUND_FROM_SHARE, LEAST_ML, LesionCounts};
use crate::metrics::{MeanSd, Overlap, SurfaceAgreement, auc, bootstrap_95, surface_agreement};

/// What to measure, and on whom.
#[derive(Clone, Debug)]
pub struct EvaluateOptions {
    /// Measure one side of a split only; all patients otherwise.
    pub split: Option<(Split, Side)>,
    /// Goes before the names of patients the layout does not name itself.
    pub prefix: String,
    /// Voxel size `[slice, row, column]` for sets that do not tell it. Without it, distances are left out there.
    pub spacing_mm: Option<[f64; 3]>,
    /// Distance up to which surfaces count as equal, for surface Dice.
    pub surface_tolerance_mm: f64,
    /// Resamples of the bootstrap interval.
    pub resamples: usize,
    /// Worker threads; 0 for as many as there are cores.
    pub threads: usize,
}

impl Default for EvaluateOptions {
    fn default() -> Self {
        Self {
            split: None,
            prefix: String::new(),
            spacing_mm: None,
            surface_tolerance_mm: 3.0,
            resamples: 2000,
            threads: 0,
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
    /// How the numbers were made, one sentence each.
    pub protocol: Vec<String>,
    /// Every patient, in the order of their names.
    pub patients: Vec<PatientResult>,
    /// Mean over patients of every channel.
    pub summary: Vec<ChannelSummary>,
    /// Telling slices with lesion from those without, where the set has both.
    pub slice_detection: Option<Detection>,
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

/// How well predicted lesion area tells slices with lesion from those without.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Slices with lesion.
    pub positive: usize,
    /// Slices without.
    pub negative: usize,
    /// Area under the ROC curve.
    pub auc: f64,
    /// Its 95 % interval, by bootstrap over patients.
    pub auc_95: Option<[f64; 2]>,
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
    let mut pool = Pool::default();
    let mut hashes = String::new();
    for (at, (model, split)) in folds.iter().enumerate() {
        split.check()?;
        let options = EvaluateOptions { split: Some((split.clone(), Side::HoldOut)), ..options.clone() };
        let engine_options = EngineOptions { threads: options.threads, ..EngineOptions::default() };
        let engine = model.engine(EngineOptions { precision: model.precision(), ..engine_options })?;
        let report = |share: f32| progress((at as f32 + share) / folds.len() as f32);
        pool.join(measure(&engine, layout, folder, model, &options, &report)?)?;
        hashes.push_str(&model.card.weights.sha256);
    }
    let Some((first, _)) = folds.first() else {
        return Err(TrainError::NoCases("there are no folds".into()));
    };
    let mut lines = protocol(options);
    lines.push(format!(
        "{} models, each measured on patients that it never learned from; the hash is that of their hashes.",
        folds.len()
    ));
    let name = format!("{}, {} folds", first.card.name, folds.len());
    Ok(pool.evaluation(folder, [&name, &first.card.version, &sha256_hex(hashes.as_bytes())], lines, options))
}

/// What was measured of some patients.
#[derive(Default)]
struct Pool {
    patients: Vec<PatientResult>,
    /// Dice of every slice that counts, by channel.
    slice_dice: [Vec<f64>; CHANNELS.len()],
    /// Place of the patient, predicted area and truth of every slice.
    detection: Vec<(usize, f64, bool)>,
}

impl Pool {
    /// Adds patients that are not there yet.
    fn join(&mut self, other: Self) -> Result<(), TrainError> {
        if let Some(twice) = other.patients.iter().find(|p| self.patients.iter().any(|own| own.patient == p.patient)) {
            return Err(TrainError::Leakage(twice.patient.clone()));
        }
        let before = self.patients.len();
        self.detection.extend(other.detection.into_iter().map(|(at, area, truth)| (before + at, area, truth)));
        self.patients.extend(other.patients);
        for (own, other) in self.slice_dice.iter_mut().zip(other.slice_dice) {
            own.extend(other);
        }
        Ok(())
    }

    fn evaluation(
        self,
        folder: &Path,
        [model, version, sha256]: [&str; 3],
        protocol: Vec<String>,
        options: &EvaluateOptions,
    ) -> Evaluation {
        let Self { mut patients, slice_dice, detection } = self;
        let slice_detection = detect(&detection, patients.len(), options);
        patients.sort_by(|a, b| a.patient.cmp(&b.patient));
        let channels = CHANNELS.iter().zip(slice_dice);
        let summary = channels.filter_map(|(name, dice)| summarise(name, &patients, dice, options.resamples)).collect();
        Evaluation {
            data_set: folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
            model: model.into(),
            version: version.into(),
            sha256: sha256.into(),
            protocol,
            slice_detection,
            patients,
            summary,
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
    let channels = channel_indices(model)?;
    let reading = Reading {
        prefix: options.prefix.clone(),
        window_hu: [model.card.input.window_low_hu, model.card.input.window_high_hu],
        pixel_mm: model.card.input.pixel_mm,
    };
    let mut cases = cases::list(layout, folder, &reading)?;
    if let Some((split, side)) = &options.split {
        cases = split.select(cases, *side)?;
    }
    if cases.is_empty() {
        return Err(TrainError::NoCases(format!("{} has no patient of that split", folder.display())));
    }
    let predictor = Predictor { runtime, model, channels };
    let mut patients = BTreeMap::<&str, Vec<&Case>>::new();
    for case in &cases {
        patients.entry(case.patient()).or_default().push(case);
    }
    let mut pool = Pool::default();
    let mut done = 0;
    for (index, (patient, volumes)) in patients.iter().enumerate() {
        let mut measured = Measured::default();
        let mut count = 0;
        for case in volumes {
            // One scan at a time is in memory.
            let volume = case.read()?;
            let predicted = predictor.predict(&volume)?;
            measured.add(&volume, &predicted, options);
            count += volume.len();
            done += 1;
            progress(done as f32 / cases.len() as f32);
        }
        for (all, of_patient) in pool.slice_dice.iter_mut().zip(&measured.slice_dice) {
            all.extend(of_patient.iter().copied());
        }
        pool.detection.extend(measured.detection.iter().map(|(area, positive)| (index, *area, *positive)));
        let channels = measured.channels();
        pool.patients.push(PatientResult {
            patient: (*patient).to_string(),
            volumes: volumes.len(),
            slices: count,
            channels,
        });
    }
    Ok(pool)
}

/// Output channel of the model for each of [`CHANNELS`].
fn channel_indices(model: &Model) -> Result<[usize; 3], TrainError> {
    let mut indices = [0; CHANNELS.len()];
    for (index, name) in indices.iter_mut().zip(CHANNELS) {
        let found = model.card.output_index(name);
        *index = found.ok_or_else(|| TrainError::Config(format!("the model predicts no channel `{name}`")))?;
    }
    Ok(indices)
}

struct Predictor<'a> {
    runtime: &'a dyn Runtime,
    model: &'a Model,
    channels: [usize; 3],
}

impl Predictor<'_> {
    /// Labels (bits as in [`Slice::labels`]) of every slice of a scan.
    fn predict(&self, volume: &[Slice]) -> Result<Vec<Vec<u8>>, TrainError> {
        let (width, height) = (volume[0].width, volume[0].height);
        // Images finer than the network's are averaged by whole factors, the logits interpolated back.
        let factor = (1.0 / volume[0].pixel).round().max(1.0) as usize;
        let size = [height.div_ceil(factor), width.div_ceil(factor)];
        let input = &self.model.card.input;
        let results = Mutex::new(vec![Vec::new(); volume.len()]);
        let input_channels = self.runtime.graph().input_channels();
        let fill = |index: usize, out: &mut [f32]| {
            let spacing_mm = volume[0].spacing_mm.map(|mm| mm[0]);
            let seen = input.slices_seen(input_channels, index, volume.len(), spacing_mm);
            let planes = seen.zip(out.chunks_exact_mut(size[0] * size[1]));
            for ((i, out), image) in
                planes.flat_map(|(seen, out)| out.iter_mut().enumerate().zip(std::iter::repeat(&volume[seen].image)))
            {
                let (row, column) = (i / size[1] * factor, i % size[1] * factor);
                let rows = row..(row + factor).min(height);
                let columns = column..(column + factor).min(width);
                let count = (rows.len() * columns.len()) as f32;
                let sum: f32 = rows
                    .map(|r| {
                        image[r * width + columns.start..r * width + columns.end]
                            .iter()
                            .map(|v| input.grey_from_8_bit(*v))
                            .sum::<f32>()
                    })
                    .sum();
                *out = sum / count;
            }
        };
        let take = |index: usize, logits: &[f32]| {
            let plane = size[0] * size[1];
            let mut labels = vec![0u8; width * height];
            for (bit, channel) in self.channels.iter().enumerate() {
                let threshold = self.model.card.outputs[*channel].logit_threshold();
                let logits = &logits[channel * plane..][..plane];
                for (i, label) in labels.iter_mut().enumerate() {
                    let logit = enlarged(logits, size, factor, i / width, i % width);
                    *label |= u8::from(logit >= threshold) << bit;
                }
            }
            results.lock().expect("no thread panics while it holds the results")[index] = labels;
        };
        run_slices(self.runtime, volume.len(), size, 0.0, fill, take)?;
        Ok(results.into_inner().expect("no thread panicked"))
    }
}

/// The value of a coarse plane at a pixel of the fine one, linearly between the coarse pixels' centres.
fn enlarged(plane: &[f32], size: [usize; 2], factor: usize, row: usize, column: usize) -> f32 {
    if factor == 1 {
        return plane[row * size[1] + column];
    }
    let place = |fine: usize, size: usize| {
        let at = ((fine as f32 + 0.5) / factor as f32 - 0.5).clamp(0.0, size as f32 - 1.0);
        let low = at as usize;
        (low, (low + 1).min(size - 1), at - low as f32)
    };
    let ((r0, r1, fr), (c0, c1, fc)) = (place(row, size[0]), place(column, size[1]));
    let at = |r: usize, c: usize| plane[r * size[1] + c];
    (at(r0, c0) * (1.0 - fc) + at(r0, c1) * fc) * (1.0 - fr) + (at(r1, c0) * (1.0 - fc) + at(r1, c1) * fc) * fr
}

/// Counts of one patient.
#[derive(Default)]
struct Measured {
    known: [bool; 3],
    overlap: [Overlap; 3],
    slice_dice: [Vec<f64>; 3],
    surfaces: [Vec<SurfaceAgreement>; 3],
    lesions: Option<LesionCounts>,
    /// Predicted lesion pixels and whether there is a lesion, of every slice.
    detection: Vec<(f64, bool)>,
}

impl Measured {
    fn add(&mut self, volume: &[Slice], predicted: &[Vec<u8>], options: &EvaluateOptions) {
        let known = [volume[0].known.lung, true, volume[0].known.consolidation];
        let bit = |labels: &[u8], channel: usize| labels.iter().map(|l| l >> channel & 1 == 1).collect::<Vec<bool>>();
        for channel in (0..CHANNELS.len()).filter(|channel| known[*channel]) {
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
                if channel == LESION {
                    self.lesions.get_or_insert_default().add(&predicted, &truth);
                }
            }
        }
        for (slice, predicted) in volume.iter().zip(predicted) {
            let area = predicted.iter().filter(|labels| **labels & 2 != 0).count();
            self.detection.push((area as f64, slice.has_lesion()));
        }
    }

    fn channels(&self) -> Vec<ChannelResult> {
        let result = |channel: usize| {
            let overlap = &self.overlap[channel];
            let surfaces = &self.surfaces[channel];
            let mean = |part: fn(&SurfaceAgreement) -> f64| MeanSd::of(surfaces.iter().map(part)).map(|m| m.mean);
            ChannelResult {
                channel: CHANNELS[channel].to_string(),
                dice: overlap.dice(),
                slice_dice: MeanSd::of(self.slice_dice[channel].iter().copied()).map(|m| m.mean),
                sensitivity: overlap.sensitivity(),
                precision: overlap.precision(),
                volume_error: overlap.volume_error(),
                surface_dice: mean(|s| s.surface_dice),
                hd95_mm: mean(|s| s.hd95_mm),
                lesions: self.lesions.filter(|_| channel == LESION),
            }
        };
        (0..CHANNELS.len()).filter(|channel| self.known[*channel]).map(result).collect()
    }
}

/// Place of lesion in [`CHANNELS`].
const LESION: usize = 1;

fn mask(data: Vec<bool>, shape: [usize; 3], spacing_mm: [f64; 3]) -> Mask {
    let axes = [PatientVector([0.0, 0.0, 1.0]), PatientVector([0.0, 1.0, 0.0]), PatientVector([1.0, 0.0, 0.0])];
    let geometry =
        Geometry::new(shape, PatientPoint([0.0; 3]), axes, spacing_mm).expect("spacing was read from a grid");
    Volume::new(geometry, data).expect("slices of one scan have one size")
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

fn detect(slices: &[(usize, f64, bool)], patients: usize, options: &EvaluateOptions) -> Option<Detection> {
    let area_under = |chosen: &[&(usize, f64, bool)]| {
        let scores: Vec<f64> = chosen.iter().map(|s| s.1).collect();
        let positive: Vec<bool> = chosen.iter().map(|s| s.2).collect();
        auc(&scores, &positive)
    };
    let by_patient: Vec<Vec<&(usize, f64, bool)>> =
        (0..patients).map(|patient| slices.iter().filter(|s| s.0 == patient).collect()).collect();
    let all: Vec<_> = slices.iter().collect();
    let positive = slices.iter().filter(|s| s.2).count();
    area_under(&all).map(|auc| Detection {
        positive,
        negative: slices.len() - positive,
        auc,
        auc_95: bootstrap_95(patients, options.resamples, 1, |drawn| {
            area_under(&drawn.iter().flat_map(|patient| by_patient[*patient].iter().copied()).collect::<Vec<_>>())
        }),
    })
}

fn protocol(options: &EvaluateOptions) -> Vec<String> {
    let mut lines = vec![
        "Masks are compared on the data set's own grid, after the thresholds of the model card and nothing else."
            .into(),
        "Dice, sensitivity, precision and volume error are taken over all voxels of a patient; mean and sample \
         standard deviation are over patients."
            .into(),
        "Slice Dice is the mean over the slices that show the structure in truth or prediction.".into(),
    ];
    if let Some((_, side)) = &options.split {
        lines.push(match side {
            Side::HoldOut => "Only patients held out of training.".into(),
            Side::Validation => "Only the patients that decided when to stop training.".into(),
            Side::Train => "Only patients the model was trained on: these numbers say nothing about others.".into(),
        });
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

impl Evaluation {
    /// The results as a table for a terminal.
    pub fn table(&self) -> String {
        let mut text = format!("{} {} on {}\n\n", self.model, self.version, self.data_set);
        let columns = ["Dice", "slice", "sens", "prec", "vol err", "surface", "HD95 mm"];
        let line = |text: &mut String, name: &str, channel: &str, cells: [String; 7]| {
            write!(text, "{name:<20} {channel:<14}").expect("strings grow");
            cells.iter().for_each(|cell| write!(text, " {cell:>12}").expect("strings grow"));
            text.push('\n');
        };
        line(&mut text, "patient", "channel", columns.map(str::to_string));
        let cell = |value: Option<f64>| value.map_or_else(|| "-".to_string(), |v| format!("{v:.3}"));
        for patient in &self.patients {
            for r in &patient.channels {
                let values =
                    [Some(r.dice), r.slice_dice, r.sensitivity, r.precision, r.volume_error, r.surface_dice, r.hd95_mm];
                line(&mut text, &patient.patient, &r.channel, values.map(cell));
            }
        }
        let cell =
            |value: Option<MeanSd>| value.map_or_else(|| "-".to_string(), |v| format!("{:.3}±{:.3}", v.mean, v.sd));
        for s in &self.summary {
            let values = [s.dice, s.slice_dice, s.sensitivity, s.precision, s.volume_error, s.surface_dice, s.hd95_mm];
            line(&mut text, "mean ± sd", &s.channel, values.map(cell));
        }
        let counted = |p: &PatientResult| p.channels.iter().find_map(|c| c.lesions);
        for (patient, lesions) in self.patients.iter().filter_map(|p| Some((&p.patient, counted(p)?))) {
            let LesionCounts { scans, truth, found, false_alarms } = lesions;
            writeln!(
                text,
                "lesions of {patient}: {found} of {truth} found, {false_alarms} false alarms in {scans} scan(s)"
            )
            .expect("strings grow");
        }
        for s in &self.summary {
            if let Some([low, high]) = s.dice_95 {
                writeln!(
                    text,
                    "mean Dice of {}: 95 % interval {low:.3} to {high:.3} (bootstrap over patients)",
                    s.channel
                )
                .expect("strings grow");
            }
        }
        if let Some(d) = &self.slice_detection {
            let range =
                d.auc_95.map_or_else(String::new, |[low, high]| format!(" (95 % interval {low:.3} to {high:.3})"));
            let (positive, negative) = (d.positive, d.negative);
            writeln!(text, "\nslices with lesion {positive}, without {negative}: AUC {:.3}{range}", d.auc)
                .expect("strings grow");
        }
        text.push('\n');
        self.protocol.iter().for_each(|sentence| writeln!(text, "- {sentence}").expect("strings grow"));
        text
    }
}
