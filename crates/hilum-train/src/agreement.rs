//! Scores and measurements held against the truth.

use serde::{Deserialize, Serialize};

use crate::metrics::{MeanSd, auc, bootstrap_95};

/// Specificities at which the sensitivity is given.
const SPECIFICITIES: [f64; 3] = [0.8, 0.9, 0.95];

/// How well a score tells slices with lesion from those without.
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
    /// Pairs of a specificity and the largest sensitivity at a threshold that has at least it.
    #[serde(default)]
    pub sensitivity_at: Vec<[f64; 2]>,
    /// The curve: pairs of false positive rate and sensitivity, from (0, 0) to (1, 1).
    #[serde(default)]
    pub roc: Vec<[f64; 2]>,
}

impl Detection {
    /// Of slices: the place of the patient, the score, whether there is a lesion. `None` if one kind is missing.
    pub(crate) fn of(slices: &[(usize, f64, bool)], patients: usize, resamples: usize) -> Option<Self> {
        let area_under = |chosen: &[&(usize, f64, bool)]| {
            let scores: Vec<f64> = chosen.iter().map(|s| s.1).collect();
            let positive: Vec<bool> = chosen.iter().map(|s| s.2).collect();
            auc(&scores, &positive)
        };
        let by_patient: Vec<Vec<&(usize, f64, bool)>> =
            (0..patients).map(|patient| slices.iter().filter(|s| s.0 == patient).collect()).collect();
        let auc = area_under(&slices.iter().collect::<Vec<_>>())?;
        let roc = roc(slices.iter().map(|s| (s.1, s.2)).collect());
        let sensitivity = |specificity: f64| {
            let enough = roc.iter().filter(|point| 1.0 - point[0] >= specificity - 1e-12);
            enough.map(|point| point[1]).fold(0.0, f64::max)
        };
        let positive = slices.iter().filter(|s| s.2).count();
        Some(Self {
            positive,
            negative: slices.len() - positive,
            auc,
            auc_95: bootstrap_95(patients, resamples, 1, |drawn| {
                area_under(&drawn.iter().flat_map(|patient| by_patient[*patient].iter().copied()).collect::<Vec<_>>())
            }),
            sensitivity_at: SPECIFICITIES.map(|specificity| [specificity, sensitivity(specificity)]).to_vec(),
            roc,
        })
    }
}

/// The ROC curve of scores, of which both kinds are there: pairs of false positive rate and sensitivity, one for every threshold
/// that differs.
fn roc(mut scores: Vec<(f64, bool)>) -> Vec<[f64; 2]> {
    scores.sort_by(|a, b| b.0.total_cmp(&a.0));
    let positives = scores.iter().filter(|s| s.1).count() as f64;
    let negatives = scores.len() as f64 - positives;
    let mut curve = vec![[0.0; 2]];
    let (mut false_alarms, mut found) = (0.0, 0.0);
    for (at, (score, positive)) in scores.iter().enumerate() {
        if *positive {
            found += 1.0
        } else {
            false_alarms += 1.0
        }
        if scores.get(at + 1).is_none_or(|next| next.0 != *score) {
            curve.push([false_alarms / negatives, found / positives]);
        }
    }
    curve
}

/// A measurement against the true one, patient by patient (Bland and Altman 1986, doi:10.1016/S0140-6736(86)90837-8).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Pairs of the predicted and the true value.
    pub pairs: Vec<[f64; 2]>,
    /// Mean of the differences, predicted less true.
    pub bias: f64,
    /// Bias less and plus 1.96 sample standard deviations of the differences; `None` for fewer than two patients.
    pub limits: Option<[f64; 2]>,
}

impl Agreement {
    /// Of pairs of the predicted and the true value; `None` if there are none.
    pub(crate) fn of(pairs: &[[f64; 2]]) -> Option<Self> {
        let MeanSd { mean, sd, count } = MeanSd::of(pairs.iter().map(|[predicted, truth]| predicted - truth))?;
        let limits = (count > 1).then_some([mean - 1.96 * sd, mean + 1.96 * sd]);
        Some(Self { pairs: pairs.to_vec(), bias: mean, limits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scikit-learn 1.9.1, `roc_curve(y, s, drop_intermediate=False)`.
    #[test]
    fn the_curve_is_what_others_compute() {
        let scores = [0.1, 0.4, 0.35, 0.8, 0.4, 0.7];
        let positive = [false, false, true, true, true, false];
        let slices: Vec<_> = scores.into_iter().zip(positive).map(|(score, positive)| (0, score, positive)).collect();
        let found = Detection::of(&slices, 1, 10).unwrap();
        let third = 1.0 / 3.0;
        let expected =
            [[0.0, 0.0], [0.0, third], [third, third], [2.0 * third, 2.0 * third], [2.0 * third, 1.0], [1.0, 1.0]];
        for (found, expected) in found.roc.iter().zip(expected) {
            assert!((found[0] - expected[0]).abs() + (found[1] - expected[1]).abs() < 1e-12, "{found:?} {expected:?}");
        }
        assert_eq!(found.roc.len(), expected.len());
        assert_eq!(found.sensitivity_at[0], [0.8, third]);
    }

    #[test]
    fn limits_of_agreement() {
        let found = Agreement::of(&[[1.0, 2.0], [4.0, 3.0], [5.0, 2.0]]).unwrap();
        assert!((found.bias - 1.0).abs() < 1e-12);
        assert_eq!(found.limits, Some([1.0 - 1.96 * 2.0, 1.0 + 1.96 * 2.0]));
        assert_eq!(Agreement::of(&[[1.0, 2.0]]).unwrap().limits, None);
        assert_eq!(Agreement::of(&[]), None);
    }
}
