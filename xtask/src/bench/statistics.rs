//! Medians and spread of a few measurements.

/// Measurements of one contestant, in the order of the rounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample(pub(crate) Vec<f64>);

impl Sample {
    /// The middle one, or the mean of the two in the middle. NaN without measurements.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        match n {
            0 => f64::NAN,
            _ => (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0,
        }
    }

    /// The share of another sample's measurement, round by round.
    pub(crate) fn ratio_to(&self, other: &Sample) -> Sample {
        Sample(self.0.iter().zip(&other.0).map(|(ours, theirs)| ours / theirs).collect())
    }

    /// In another unit.
    pub(crate) fn times(&self, factor: f64) -> Sample {
        Sample(self.0.iter().map(|value| value * factor).collect())
    }

    /// Median and range: `0.52 (0.49-0.60)`.
    pub(crate) fn text(&self, decimals: usize) -> String {
        let low = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let high = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        format!("{:.decimals$} ({low:.decimals$}-{high:.decimals$})", self.median())
    }
}

#[cfg(test)]
mod tests {
    use super::Sample;

    #[test]
    fn medians_and_ratios() {
        let (a, b) = (Sample(vec![3.0, 1.0, 2.0]), Sample(vec![6.0, 1.0, 8.0]));
        assert_eq!(a.median(), 2.0);
        assert_eq!(Sample(vec![1.0, 2.0]).median(), 1.5);
        assert_eq!(a.ratio_to(&b).text(2), "0.50 (0.25-1.00)");
        assert!(Sample::default().median().is_nan());
    }
}
