//! How well a mask or a score agrees with the truth.

use hilum_imaging::distance::squared_distance_mm2;
use hilum_volume::{Mask, Volume};
use serde::{Deserialize, Serialize};

/// Agreement of two masks, voxel by voxel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlap {
    /// Voxels in both.
    pub both: u64,
    /// Voxels predicted.
    pub predicted: u64,
    /// Voxels in truth.
    pub truth: u64,
}

impl Overlap {
    /// Counts two masks of the same length.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn count(predicted: &[bool], truth: &[bool]) -> Self {
        assert_eq!(predicted.len(), truth.len());
        let mut overlap = Self::default();
        for (p, t) in predicted.iter().zip(truth) {
            overlap.both += u64::from(*p && *t);
            overlap.predicted += u64::from(*p);
            overlap.truth += u64::from(*t);
        }
        overlap
    }

    /// Adds the counts of another part of the same case.
    pub fn add(&mut self, other: Self) {
        self.both += other.both;
        self.predicted += other.predicted;
        self.truth += other.truth;
    }

    /// Dice coefficient `2 |P ∩ T| / (|P| + |T|)`; 1 if both are empty.
    pub fn dice(&self) -> f64 {
        if self.predicted + self.truth == 0 {
            1.0
        } else {
            2.0 * self.both as f64 / (self.predicted + self.truth) as f64
        }
    }

    /// Share of the truth that was found; `None` if there is nothing to find.
    pub fn sensitivity(&self) -> Option<f64> {
        (self.truth > 0).then(|| self.both as f64 / self.truth as f64)
    }

    /// Share of the prediction that is right; `None` if nothing was predicted.
    pub fn precision(&self) -> Option<f64> {
        (self.predicted > 0).then(|| self.both as f64 / self.predicted as f64)
    }

    /// Predicted minus true volume, relative to the true one; `None` if that is empty.
    pub fn volume_error(&self) -> Option<f64> {
        (self.truth > 0).then(|| (self.predicted as f64 - self.truth as f64) / self.truth as f64)
    }
}

/// Agreement of two surfaces.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SurfaceAgreement {
    /// Share of both surfaces within the tolerance of the other, counted in surface voxels (Nikolov 2021,
    /// doi:10.2196/26151, who weighs them by area).
    pub surface_dice: f64,
    /// The larger of the two directed 95th percentiles of surface distance, in mm.
    pub hd95_mm: f64,
}

/// Compares the surfaces of two masks on one grid. A surface voxel is one of the mask with a neighbour outside of it,
/// of six, or of four if there is only one slice. `None` if one mask is empty and the other is not, or both are: there
/// is no distance to nothing.
///
/// # Panics
/// If the masks are not on the same grid.
pub fn surface_agreement(predicted: &Mask, truth: &Mask, tolerance_mm: f64) -> Option<SurfaceAgreement> {
    assert_eq!(predicted.shape(), truth.shape());
    let surfaces = [surface(predicted), surface(truth)];
    if surfaces.iter().any(|s| s.count() == 0) {
        return None;
    }
    let directed = |from: &Mask, to: &Mask| {
        let squared = squared_distance_mm2(to);
        let distances = from.data().iter().zip(squared.data()).filter(|(on, _)| **on);
        let mut distances: Vec<f64> = distances.map(|(_, d)| f64::from(*d).sqrt()).collect();
        distances.sort_by(f64::total_cmp);
        distances
    };
    let [there, back] = [directed(&surfaces[0], &surfaces[1]), directed(&surfaces[1], &surfaces[0])];
    // Squared distances are stored as f32; the slack keeps a voxel at exactly the tolerance inside.
    let within = |distances: &[f64]| distances.iter().filter(|d| **d <= tolerance_mm + 1e-5).count();
    let surface_dice = (within(&there) + within(&back)) as f64 / (there.len() + back.len()) as f64;
    let hd95_mm = percentile(&there, 95.0).max(percentile(&back, 95.0));
    Some(SurfaceAgreement { surface_dice, hd95_mm })
}

fn surface(mask: &Mask) -> Mask {
    let [slices, rows, columns] = mask.shape();
    let data = mask.data();
    let steps = [rows * columns, columns, 1];
    let on_surface = |index: usize| {
        let at = [index / steps[0], index / columns % rows, index % columns];
        let size = [slices, rows, columns];
        (0..3).filter(|axis| *axis > 0 || slices > 1).any(|axis| {
            at[axis] == 0 || at[axis] + 1 == size[axis] || !data[index - steps[axis]] || !data[index + steps[axis]]
        })
    };
    let surface = (0..data.len()).map(|index| data[index] && on_surface(index)).collect();
    Volume::new(mask.geometry().clone(), surface).expect("the grid is the mask's own")
}

/// Percentile (0 to 100) of sorted values with linear interpolation, as numpy's default.
///
/// # Panics
/// If there are no values.
pub fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let place = percent / 100.0 * (sorted.len() - 1) as f64;
    let low = place.floor() as usize;
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + (sorted[high] - sorted[low]) * (place - low as f64)
}

/// Mean and standard deviation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeanSd {
    /// Mean.
    pub mean: f64,
    /// Sample standard deviation (divisor `n - 1`); 0 for a single value.
    pub sd: f64,
    /// Number of values.
    pub count: usize,
}

impl MeanSd {
    /// Of some values; `None` if there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        if values.is_empty() {
            return None;
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        let sd = if values.len() > 1 { (squares / (values.len() - 1) as f64).sqrt() } else { 0.0 };
        Some(Self { mean, sd, count: values.len() })
    }

    /// `mean±sd`; of a single value the value alone, because nothing is known of how such values spread.
    pub(crate) fn in_words(&self) -> String {
        let Self { mean, sd, count } = self;
        if *count > 1 { format!("{mean:.3}±{sd:.3}") } else { format!("{mean:.3}") }
    }
}

/// Area under the ROC curve: the probability that a positive case scores higher than a negative one, ties counting half
/// (Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747). `None` if one kind is missing.
///
/// # Panics
/// If the lengths differ or a score is not a number.
pub fn auc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    assert_eq!(scores.len(), positive.len());
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].partial_cmp(&scores[*b]).expect("scores are numbers"));
    let (mut rank_sum, mut first) = (0.0, 0);
    while first < order.len() {
        let ties = order[first..].iter().take_while(|i| scores[**i] == scores[order[first]]).count();
        // Tied cases share the mean of their ranks, which count from 1.
        let rank = first as f64 + (ties as f64 + 1.0) / 2.0;
        rank_sum += rank * order[first..first + ties].iter().filter(|i| positive[**i]).count() as f64;
        first += ties;
    }
    let positives = positive.iter().filter(|p| **p).count() as f64;
    let negatives = positive.len() as f64 - positives;
    let least = positives * (positives + 1.0) / 2.0;
    (positives > 0.0 && negatives > 0.0).then(|| (rank_sum - least) / (positives * negatives))
}

/// Agreement of a yes-or-no decision with the truth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Share of right decisions.
    pub accuracy: f64,
    /// Harmonic mean of sensitivity and precision; 0 if nothing positive was found.
    pub f1: f64,
}

/// Accuracy and F1 of `score >= threshold`. `None` without cases.
///
/// # Panics
/// If the lengths differ.
pub fn decision(scores: &[f64], positive: &[bool], threshold: f64) -> Option<Decision> {
    let called: Vec<bool> = scores.iter().map(|score| *score >= threshold).collect();
    let overlap = Overlap::count(&called, positive);
    let right = called.iter().zip(positive).filter(|(c, p)| c == p).count();
    let pairs = overlap.predicted + overlap.truth;
    (!scores.is_empty()).then(|| Decision {
        accuracy: right as f64 / scores.len() as f64,
        f1: if pairs == 0 { 0.0 } else { 2.0 * overlap.both as f64 / pairs as f64 },
    })
}

/// 95 % interval of a statistic by the percentile bootstrap (Efron 1979, doi:10.1214/aos/1176344552) over cases.
/// Resamples on which the statistic is not defined are drawn again, up to ten times as many; `None` if that is not
/// enough. The same seed gives the same interval.
pub fn bootstrap_95(
    cases: usize,
    resamples: usize,
    seed: u64,
    statistic: impl Fn(&[usize]) -> Option<f64>,
) -> Option<[f64; 2]> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut values = Vec::with_capacity(resamples);
    let mut drawn = vec![0; cases];
    for _ in 0..resamples * 10 {
        drawn.iter_mut().for_each(|case| *case = random.usize(..cases));
        values.extend(statistic(&drawn));
        if values.len() == resamples {
            values.sort_by(f64::total_cmp);
            return Some([percentile(&values, 2.5), percentile(&values, 97.5)]);
        }
    }
    None
}
