//! Two models on the same patients.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::evaluate::Evaluation;
use crate::metrics::bootstrap_95;

/// How two models differ in one channel, patient by patient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Name of the channel.
    pub channel: String,
    /// Dice of the first less that of the second, in the order of the patients' names.
    pub differences: Vec<f64>,
    /// Their mean.
    pub mean: f64,
    /// 95 % interval of the mean by bootstrap over patients; `None` for fewer than two.
    pub mean_95: Option<[f64; 2]>,
    /// Probability of differences at least as one-sided if neither model is better: Wilcoxon's signed-rank test, two-sided, exact,
    /// zeros left out (Wilcoxon 1945, doi:10.2307/3001968).
    pub p_value: f64,
    /// The smallest value that `p_value` can take with so many patients.
    pub p_value_least: f64,
}

/// Compares two evaluations of the same patients, channel by channel; patients that only one of them has are left out.
#[must_use]
pub fn compare(first: &Evaluation, second: &Evaluation, resamples: usize) -> Vec<Comparison> {
    let names = first.summary.iter().map(|summary| summary.channel.clone());
    let dice = |evaluation: &Evaluation, patient: &str, channel: &str| {
        let patient = evaluation.patients.iter().find(|p| p.patient == patient)?;
        patient.channels.iter().find(|c| c.channel == channel).map(|c| c.dice)
    };
    names
        .filter_map(|channel| {
            let differences: Vec<f64> = first
                .patients
                .iter()
                .filter_map(|p| Some(dice(first, &p.patient, &channel)? - dice(second, &p.patient, &channel)?))
                .collect();
            let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
            let mean_95 = bootstrap_95(differences.len(), resamples, 1, |drawn| {
                Some(mean(&drawn.iter().map(|at| differences[*at]).collect::<Vec<_>>()))
            });
            (!differences.is_empty()).then(|| Comparison {
                channel,
                mean: mean(&differences),
                mean_95: mean_95.filter(|_| differences.len() > 1),
                p_value: wilcoxon(&differences),
                p_value_least: 0.5_f64.powi(differences.len() as i32 - 1).min(1.0),
                differences,
            })
        })
        .collect()
}

/// The comparisons as a table for a terminal.
#[must_use]
pub fn comparison_table(comparisons: &[Comparison]) -> String {
    let mut text = String::from("first less second, Dice by patient\n\n");
    for c in comparisons {
        let range =
            c.mean_95.map_or_else(String::new, |[low, high]| format!(" (95 % interval {low:+.4} to {high:+.4})"));
        let n = c.differences.len();
        writeln!(text, "{:<14} {:+.4}{range}, Wilcoxon p = {:.4}, {n} patients", c.channel, c.mean, c.p_value)
            .expect("strings grow");
        if c.p_value_least > 0.05 {
            writeln!(text, "{:<14} {n} patients cannot decide: p cannot be less than {:.3}", "", c.p_value_least)
                .expect("strings grow");
        }
    }
    text
}

/// Two-sided p-value of the signed-rank test: the share of all assignments of signs to the ranks whose sum lies at least as far
/// from its mean. Ties share their mean rank.
fn wilcoxon(differences: &[f64]) -> f64 {
    let mut sizes: Vec<(f64, bool)> = differences.iter().filter(|d| **d != 0.0).map(|d| (d.abs(), *d > 0.0)).collect();
    sizes.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Twice the ranks, which are whole numbers with ties too.
    let mut doubled = Vec::with_capacity(sizes.len());
    for group in sizes.chunk_by(|a, b| a.0 == b.0) {
        let rank = 2 * doubled.len() + group.len() + 1;
        doubled.extend(std::iter::repeat_n(rank, group.len()));
    }
    let total: usize = doubled.iter().sum();
    let positive: usize = doubled.iter().zip(&sizes).filter(|(_, (_, up))| *up).map(|(rank, _)| *rank).sum();
    // Share of the assignments that reach each sum.
    let mut shares = vec![0.0; total + 1];
    shares[0] = 1.0;
    for rank in &doubled {
        for sum in (0..=total).rev() {
            let without = shares[sum];
            let with = if sum >= *rank { shares[sum - rank] } else { 0.0 };
            shares[sum] = 0.5 * (without + with);
        }
    }
    let off = |sum: usize| (2 * sum).abs_diff(total);
    (0..=total).filter(|sum| off(*sum) >= off(positive)).map(|sum| shares[sum]).sum::<f64>().min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.wilcoxon(differences, method="exact")` of SciPy 1.14; the case with ties by enumeration of all signs.
    #[test]
    fn the_test_agrees_with_scipy() {
        let cases: [(&[f64], f64); 5] = [
            (&[0.1, 0.2, 0.3], 0.25),
            (&[0.1, -0.2, 0.3, 0.4, 0.5], 0.1875),
            (&[0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, -0.005], 0.015625),
            (&[0.1, 0.1, -0.1, 0.3], 0.5),
            (&[0.0, 0.0], 1.0),
        ];
        for (differences, expected) in cases {
            let found = wilcoxon(differences);
            assert!((found - expected).abs() < 1e-12, "{differences:?}: {found} against {expected}");
        }
    }
}
