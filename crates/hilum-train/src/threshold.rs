//! The threshold that others would have chosen: Dice without a threshold fitted to the patient it is measured on.

use serde::{Deserialize, Serialize};

use crate::calibration::{LogitHistogram, sigmoid};
use crate::metrics::MeanSd;

/// The Dice of a channel's voxels if each patient's threshold is the one with the best mean Dice of all other patients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThresholdChoice {
    /// The threshold that is best for all patients together, as a probability: for use on further ones.
    pub probability: f64,
    /// Dice of every patient, in their order, each at the threshold chosen without it.
    pub dice: Vec<f64>,
    /// Mean over patients.
    pub mean: MeanSd,
}

impl ThresholdChoice {
    /// Of the voxels of each patient, counted by logit. `None` for fewer than two patients.
    pub(crate) fn of(patients: &[LogitHistogram]) -> Option<Self> {
        if patients.len() < 2 {
            return None;
        }
        // Dice of every patient at every threshold.
        let curves: Vec<Vec<(f64, f64)>> = patients.iter().map(LogitHistogram::dice).collect();
        let steps = curves[0].len();
        let sums: Vec<f64> = (0..steps).map(|at| curves.iter().map(|curve| curve[at].1).sum()).collect();
        let best = |left_out: Option<usize>| {
            let value = |at: usize| sums[at] - left_out.map_or(0.0, |patient| curves[patient][at].1);
            (0..steps).max_by(|a, b| value(*a).total_cmp(&value(*b))).expect("histograms have bins")
        };
        let dice: Vec<f64> = (0..patients.len()).map(|patient| curves[patient][best(Some(patient))].1).collect();
        let mean = MeanSd::of(dice.iter().copied())?;
        Some(Self { probability: sigmoid(curves[0][best(None)].0), dice, mean })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_patient_gets_the_threshold_of_the_others() {
        // True voxels at one logit, others half a logit below: Dice is 1 at any threshold between.
        let patient = |at: f32| {
            let mut histogram = LogitHistogram::default();
            (0..100).for_each(|_| histogram.add(at, true));
            (0..100).for_each(|_| histogram.add(at - 0.5, false));
            histogram
        };
        let alike = ThresholdChoice::of(&[patient(1.0), patient(1.0), patient(1.0)]).unwrap();
        assert_eq!(alike.dice, [1.0; 3]);
        assert!((0.62..0.74).contains(&alike.probability), "{}", alike.probability);
        // The odd one would be perfect at its own threshold; by that of the others nothing of it is found. To find it, they would
        // take all their own voxels: Dice 2 · 100 / (200 + 100).
        let odd = ThresholdChoice::of(&[patient(1.0), patient(1.0), patient(-3.0)]).unwrap();
        assert_eq!(odd.dice, [2.0 / 3.0, 2.0 / 3.0, 0.0]);
        assert_eq!(ThresholdChoice::of(&[patient(1.0)]), None);
    }
}
