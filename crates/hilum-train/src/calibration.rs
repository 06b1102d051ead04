//! How far a network's probabilities can be believed.

use serde::{Deserialize, Serialize};

use crate::metrics::{Decision, bootstrap_95, decision};

/// Lowest logit told apart; what is below counts as this.
const LOWEST: f64 = -12.0;
/// Width of a bin in logits.
const STEP: f64 = 0.1;
/// Bins from [`LOWEST`] to its opposite.
const BINS: usize = 240;
/// Bins of a reliability diagram.
const RELIABILITY_BINS: usize = 10;

/// Voxels counted by the logit they got: all that calibration, and a threshold, need to know of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LogitHistogram {
    /// All voxels and those that are true, by bin.
    bins: Vec<[u64; 2]>,
}

impl Default for LogitHistogram {
    fn default() -> Self {
        Self { bins: vec![[0; 2]; BINS] }
    }
}

impl LogitHistogram {
    pub(crate) fn add(&mut self, logit: f32, truth: bool) {
        let bin = &mut self.bins[(((f64::from(logit) - LOWEST) / STEP) as usize).min(BINS - 1)];
        bin[0] += 1;
        bin[1] += u64::from(truth);
    }

    pub(crate) fn join(&mut self, other: &Self) {
        for (own, other) in self.bins.iter_mut().zip(&other.bins) {
            own[0] += other[0];
            own[1] += other[1];
        }
    }

    /// Voxels whose logit reaches `logit`, to the width of a bin.
    pub(crate) fn reaching(&self, logit: f64) -> u64 {
        self.each().filter(|(at, _)| *at >= logit).map(|(_, [all, _])| all).sum()
    }

    /// Voxels that are true.
    pub(crate) fn positive(&self) -> u64 {
        self.bins.iter().map(|bin| bin[1]).sum()
    }

    /// The lower end of every bin as a threshold, with the Dice it gives; 1 where nothing is true and nothing reaches it.
    pub(crate) fn dice(&self) -> Vec<(f64, f64)> {
        let positive = self.positive();
        let (mut predicted, mut both) = (0, 0);
        let mut found: Vec<(f64, f64)> = (0..BINS)
            .rev()
            .map(|at| {
                predicted += self.bins[at][0];
                both += self.bins[at][1];
                let all = predicted + positive;
                (LOWEST + at as f64 * STEP, if all == 0 { 1.0 } else { 2.0 * both as f64 / all as f64 })
            })
            .collect();
        found.reverse();
        found
    }

    /// Middle of every bin with its counts.
    fn each(&self) -> impl Iterator<Item = (f64, [u64; 2])> {
        self.bins.iter().enumerate().map(|(at, counts)| (LOWEST + (at as f64 + 0.5) * STEP, *counts))
    }

    /// How probabilities agree with what is true after logits are divided by `temperature`; `None` without voxels.
    pub(crate) fn reliability(&self, temperature: f64) -> Option<Reliability> {
        Reliability::of(self.each().map(|(logit, counts)| (sigmoid(logit / temperature), counts)))
    }

    /// The temperature that makes what is true most likely (Guo et al. 2017, arXiv:1706.04599); `None` where nothing, or all, is true.
    pub(crate) fn temperature(&self) -> Option<f64> {
        let all: u64 = self.bins.iter().map(|bin| bin[0]).sum();
        let positive = self.positive();
        if positive == 0 || positive == all {
            return None;
        }
        let surprise = |log: f64| -> f64 {
            let cost = |logit: f64| logit.max(0.0) + (-logit.abs()).exp().ln_1p();
            let of = |(logit, [all, positive]): (f64, [u64; 2])| {
                let scaled = logit / log.exp();
                all as f64 * cost(scaled) - positive as f64 * scaled
            };
            self.each().map(of).sum()
        };
        // It has a single minimum: thirds are cut off until nothing is left.
        let (mut low, mut high) = (-3.0_f64, 3.0_f64);
        for _ in 0..60 {
            let (a, b) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
            if surprise(a) < surprise(b) { high = b } else { low = a }
        }
        Some(((low + high) / 2.0).exp())
    }
}

pub(crate) fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

/// How predicted probabilities agree with how often they come true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Tenths of the probability that hold anything, from low to high.
    pub bins: Vec<ReliabilityBin>,
    /// Mean difference of probability and share over the bins, weighed by their counts: expected calibration error (Naeini et al. 2015,
    /// doi:10.1609/aaai.v29i1.9602).
    pub expected_calibration_error: f64,
    /// Mean squared difference of probability and truth (Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2).
    pub brier: f64,
}

/// Predictions of about the same probability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Their mean probability.
    pub probability: f64,
    /// The share of them that is true.
    pub share: f64,
    /// How many there are.
    pub count: u64,
}

impl Reliability {
    /// Of predictions: a probability, how many have it, and how many of these are true. `None` if there are none.
    pub fn of(predictions: impl Iterator<Item = (f64, [u64; 2])>) -> Option<Self> {
        let mut bins = [(0.0, 0, 0); RELIABILITY_BINS];
        let mut squares = 0.0;
        for (probability, [all, positive]) in predictions {
            let bin = &mut bins[((probability * RELIABILITY_BINS as f64) as usize).min(RELIABILITY_BINS - 1)];
            bin.0 += probability * all as f64;
            bin.1 += all;
            bin.2 += positive;
            squares += positive as f64 * (1.0 - probability).powi(2) + (all - positive) as f64 * probability.powi(2);
        }
        let total: u64 = bins.iter().map(|bin| bin.1).sum();
        let bins: Vec<ReliabilityBin> = bins
            .into_iter()
            .filter(|(_, count, _)| *count > 0)
            .map(|(sum, count, positive)| ReliabilityBin {
                probability: sum / count as f64,
                share: positive as f64 / count as f64,
                count,
            })
            .collect();
        let error = |bin: &ReliabilityBin| (bin.probability - bin.share).abs() * bin.count as f64;
        (total > 0).then(|| Self {
            expected_calibration_error: bins.iter().map(error).sum::<f64>() / total as f64,
            brier: squares / total as f64,
            bins,
        })
    }
}

/// How the network's opinion of whole slices becomes a probability that they show a lesion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceProbability {
    /// The probability is the sigmoid of `scale * logit + shift` of the lesion's logit that 50 mm² of the slice reach (25 pixels of
    /// the network), which makes what is true most likely (Platt 1999).
    pub scale: f64,
    /// See `scale`.
    pub shift: f64,
    /// Patients it was found with.
    pub patients: usize,
    /// How far it can be believed, each patient judged by a map found with the others.
    pub reliability: Reliability,
    /// Calling the slices by it, each patient's by the others' map.
    #[serde(default)]
    pub called: Option<SlicesCalled>,
}

/// Slices called with lesion where its probability is at least one half.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlicesCalled {
    /// Accuracy and F1 over all slices.
    pub decision: Decision,
    /// 95 % interval of the accuracy, by bootstrap over patients.
    pub accuracy_95: Option<[f64; 2]>,
    /// The same of F1.
    pub f1_95: Option<[f64; 2]>,
}

impl SlicesCalled {
    /// Of slices: the place of the patient, the probability, whether there is a lesion. `None` without slices.
    fn of(slices: &[(usize, f64, bool)], patients: usize, resamples: usize) -> Option<Self> {
        let called = |patients: &[usize]| {
            let drawn = patients.iter().flat_map(|patient| slices.iter().filter(move |slice| slice.0 == *patient));
            let (probability, positive): (Vec<f64>, Vec<bool>) = drawn.map(|slice| (slice.1, slice.2)).unzip();
            decision(&probability, &positive, 0.5)
        };
        let interval = |of: fn(Decision) -> f64| bootstrap_95(patients, resamples, 1, |drawn| called(drawn).map(of));
        Some(Self {
            decision: called(&(0..patients).collect::<Vec<_>>())?,
            accuracy_95: interval(|decision| decision.accuracy),
            f1_95: interval(|decision| decision.f1),
        })
    }
}

impl SliceProbability {
    /// Of slices: the place of the patient, the logit, whether there is a lesion. `None` if there are fewer than three patients, or one
    /// kind is missing.
    pub(crate) fn of(slices: &[(usize, f32, bool)], patients: usize, resamples: usize) -> Option<Self> {
        let logistic = |without: Option<usize>| {
            logistic(slices.iter().filter(|s| Some(s.0) != without).map(|s| (clamped(s.1), s.2)))
        };
        if patients < 3 {
            return None;
        }
        let maps = (0..patients).map(|patient| logistic(Some(patient))).collect::<Option<Vec<_>>>()?;
        let judged: Vec<(usize, f64, bool)> = slices
            .iter()
            .map(|(patient, logit, truth)| {
                let [scale, shift] = maps[*patient];
                (*patient, sigmoid(scale * clamped(*logit) + shift), *truth)
            })
            .collect();
        let [scale, shift] = logistic(None)?;
        let counted = judged.iter().map(|(_, probability, truth)| (*probability, [1, u64::from(*truth)]));
        let (reliability, called) = (Reliability::of(counted)?, SlicesCalled::of(&judged, patients, resamples));
        Some(Self { scale, shift, patients, reliability, called })
    }
}

fn clamped(logit: f32) -> f64 {
    f64::from(logit).clamp(LOWEST, -LOWEST)
}

/// Scale and shift of the logistic regression of truth on a value, by Newton's method, with a trace of a penalty on the scale so that
/// values which tell both kinds apart without fault have one; `None` if one kind is missing.
fn logistic(values: impl Iterator<Item = (f64, bool)>) -> Option<[f64; 2]> {
    const PENALTY: f64 = 1e-2;
    let values: Vec<(f64, bool)> = values.collect();
    let positive = values.iter().filter(|v| v.1).count();
    if positive == 0 || positive == values.len() {
        return None;
    }
    let [mut scale, mut shift] = [0.0, 0.0];
    for _ in 0..100 {
        let (mut slope, mut curve) = ([PENALTY * scale, 0.0], [PENALTY, 0.0, 1e-9]);
        for (value, truth) in &values {
            let probability = sigmoid(scale * value + shift);
            let (error, spread) = (probability - f64::from(u8::from(*truth)), probability * (1.0 - probability));
            slope = [slope[0] + error * value, slope[1] + error];
            curve = [curve[0] + spread * value * value, curve[1] + spread * value, curve[2] + spread];
        }
        let determinant = curve[0] * curve[2] - curve[1] * curve[1];
        let step = [
            (curve[2] * slope[0] - curve[1] * slope[1]) / determinant,
            (curve[0] * slope[1] - curve[1] * slope[0]) / determinant,
        ];
        // Far from the minimum a full step overshoots.
        let length = step[0].abs().max(step[1].abs());
        let share = if length > 1.0 { 1.0 / length } else { 1.0 };
        (scale, shift) = (scale - share * step[0], shift - share * step[1]);
        if length < 1e-9 {
            break;
        }
    }
    Some([scale, shift])
}

/// The least offset in logits by which a threshold must be moved, up and down, so that the true volume lies between both
/// predicted volumes in at least `coverage` of unseen patients if they are like these (split conformal prediction, Vovk et
/// al. 2005, doi:10.1007/b106715); with the share of patients it promises. `None` if there are too few patients.
pub(crate) fn volume_offset(patients: &[LogitHistogram], threshold: f64, coverage: f64) -> Option<[f64; 2]> {
    let offset = |patient: &LogitHistogram| {
        let truth = patient.positive();
        // Offsets grow bin by bin until the truth is between both volumes; one that never is asks for all there is.
        let holds = |offset: &f64| {
            (patient.reaching(threshold + offset)..=patient.reaching(threshold - offset)).contains(&truth)
        };
        (0..BINS).map(|steps| steps as f64 * STEP).find(holds).unwrap_or(BINS as f64 * STEP)
    };
    let mut needed: Vec<f64> = patients.iter().map(offset).collect();
    needed.sort_by(f64::total_cmp);
    let rank = ((patients.len() + 1) as f64 * coverage).ceil() as usize;
    let offset = needed.get(rank.checked_sub(1)?)?;
    Some([*offset, rank as f64 / (patients.len() + 1) as f64])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Voxels of two hundred logits, true as often as `sigmoid(logit / temperature)` says.
    fn histogram(temperature: f64) -> LogitHistogram {
        let mut histogram = LogitHistogram::default();
        for at in -100..100 {
            let logit = f64::from(at) / 20.0 + 0.025;
            let positive = (1000.0 * sigmoid(logit / temperature)).round() as usize;
            (0..1000).for_each(|voxel| histogram.add(logit as f32, voxel < positive));
        }
        histogram
    }

    #[test]
    fn the_temperature_of_overconfident_logits_is_found() {
        let found = histogram(2.5).temperature().unwrap();
        assert!((found - 2.5).abs() < 0.05, "{found}");
        let [before, after] = [1.0, 2.5].map(|t| histogram(2.5).reliability(t).unwrap());
        assert!(before.expected_calibration_error > 0.1, "{before:?}");
        assert!(after.expected_calibration_error < 0.005, "{after:?}");
        assert!(after.brier < before.brier);
        assert_eq!(LogitHistogram::default().temperature(), None);
    }

    /// scikit-learn 1.9.1: `brier_score_loss([0, 0, 1, 1, 1], [.1, .35, .4, .82, .97])` is 0.10516; the calibration error by hand.
    #[test]
    fn reliability_is_what_others_compute() {
        let predictions = [(0.1, 0), (0.35, 0), (0.4, 1), (0.82, 1), (0.97, 1)];
        let found = Reliability::of(predictions.into_iter().map(|(p, truth)| (p, [1, truth]))).unwrap();
        assert!((found.brier - 0.10516).abs() < 1e-5, "{found:?}");
        assert!((found.expected_calibration_error - (0.1 + 0.35 + 0.6 + 0.18 + 0.03) / 5.0).abs() < 1e-12, "{found:?}");
        assert_eq!(found.bins.len(), 5);
        assert_eq!(Reliability::of(std::iter::empty()), None);
    }

    /// scikit-learn 1.9.1, `LogisticRegression(C=100)` on the same eight values.
    #[test]
    fn the_logistic_map_is_what_others_find() {
        let values = [
            (-3.0, false),
            (-1.0, false),
            (-0.5, true),
            (0.2, false),
            (0.4, true),
            (1.0, false),
            (2.0, true),
            (4.0, true),
        ];
        let [scale, shift] = logistic(values.into_iter()).unwrap();
        assert!((scale - 0.89506).abs() < 1e-3 && (shift + 0.30773).abs() < 1e-3, "{scale} {shift}");
        assert_eq!(logistic([(1.0, true)].into_iter()), None);
    }

    #[test]
    fn every_patient_is_judged_by_the_others() {
        let slices: Vec<_> = (0..60).map(|i| (i % 3, (i as f32 - 30.0) / 5.0, i > 25 && i != 40)).collect();
        let found = SliceProbability::of(&slices, 3, 10).unwrap();
        assert!(found.scale > 0.3 && found.reliability.brier < 0.2, "{found:?}");
        assert_eq!(SliceProbability::of(&slices[..30], 2, 10), None);
    }

    /// Counted by hand: of five slices three are called rightly, two of the positive ones with one false alarm.
    #[test]
    fn slices_are_called_where_the_probability_reaches_one_half() {
        let slices = [(0, 0.9, true), (0, 0.5, false), (1, 0.4, true), (1, 0.6, true), (1, 0.1, false)];
        let found = SlicesCalled::of(&slices, 2, 50).unwrap();
        assert!((found.decision.accuracy - 0.6).abs() < 1e-12, "{found:?}");
        assert!((found.decision.f1 - 2.0 / 3.0).abs() < 1e-12, "{found:?}");
        // The patients alone have accuracies of 1/2 and 2/3.
        let [low, high] = found.accuracy_95.unwrap();
        assert!((low - 0.5).abs() < 1e-12 && (high - 2.0 / 3.0).abs() < 1e-12, "{found:?}");
        assert_eq!(SlicesCalled::of(&[], 2, 50), None);
    }

    #[test]
    fn the_offset_covers_as_many_patients_as_it_says() {
        // A patient with 100 true voxels, of which the network is so sure that `shift` moves the count to the truth.
        let patient = |shift: i32| {
            let mut histogram = LogitHistogram::default();
            for voxel in 0..200 {
                let logit = f64::from(100 - voxel + shift * 10) * 0.01;
                histogram.add(logit as f32, voxel < 100);
            }
            histogram
        };
        let patients: Vec<LogitHistogram> = (-4..5).map(patient).collect();
        let [all, share] = volume_offset(&patients, 0.0, 0.9).unwrap();
        assert!((all - 0.4).abs() < 0.11, "{all}");
        assert_eq!(share, 0.9);
        let [half, share] = volume_offset(&patients, 0.0, 0.5).unwrap();
        assert!(half < all && share == 0.5, "{half}");
        assert_eq!(volume_offset(&patients, 0.0, 0.95), None);
    }
}
