//! The loss: cross-entropy, overlap and distance per channel, blind where the truth is not known.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What is minimised: the weighted sum of its parts, mean over channels. The default is cross-entropy and soft Dice, one each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Loss {
    /// Weight of the binary cross-entropy, mean over known pixels.
    pub cross_entropy: f64,
    /// Exponent by which the cross-entropy of what is right already counts less; 0 for none (focal loss, Lin et al. 2017,
    /// doi:10.1109/ICCV.2017.324, without its balance of classes).
    pub focal_gamma: f64,
    /// Weight of 1 − overlap.
    pub overlap: f64,
    /// What a false alarm and a miss cost in the overlap `TP / (TP + a FP + b FN)`: Tversky's index (Salehi et al. 2017,
    /// doi:10.1007/978-3-319-67389-9_44). `[0.5, 0.5]` is soft Dice (Milletari 2016, doi:10.1109/3DV.2016.79, without the squares).
    pub tversky: [f64; 2],
    /// Weight of the boundary loss (Kervadec et al. 2019, doi:10.1016/j.media.2020.101851): the mean over known pixels of the
    /// probability times the distance to the outline of the truth, in units of [`BOUNDARY_PIXELS`], negative within it.
    pub boundary: f64,
    /// What a pixel of a small lesion weighs at most, where one of a lesion of 120 pixels or more weighs 1: small lesions are
    /// found more often, outlines of large ones suffer. 1 for all alike.
    pub small_lesions: f32,
    /// Weights of the same loss, without the boundary, on the decoder's stages of half the resolution, a quarter, and so on,
    /// beside 1 for the finest: deep supervision. None if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deep_supervision: Vec<f64>,
}

impl Default for Loss {
    fn default() -> Self {
        Self {
            cross_entropy: 1.0,
            focal_gamma: 0.0,
            overlap: 1.0,
            tversky: [0.5, 0.5],
            boundary: 0.0,
            small_lesions: 4.0,
            deep_supervision: Vec::new(),
        }
    }
}

impl Loss {
    /// What is wrong with the settings, in words.
    pub(crate) fn flaw(&self) -> Option<&'static str> {
        let weights = [self.cross_entropy, self.overlap, self.boundary];
        let all = [self.focal_gamma, self.tversky[0], self.tversky[1]].into_iter().chain(weights);
        let all = all.chain(self.deep_supervision.iter().copied());
        if all.into_iter().any(|value| !value.is_finite() || value < 0.0) {
            return Some("loss: weights and exponents are 0 or more");
        }
        if !self.small_lesions.is_finite() || self.small_lesions < 1.0 {
            return Some("loss: small_lesions is 1 or more");
        }
        if self.cross_entropy + self.overlap == 0.0 {
            return Some("loss: cross_entropy or overlap must count, the boundary alone tells nothing at the start");
        }
        (self.overlap > 0.0 && self.tversky[0] + self.tversky[1] == 0.0).then_some("loss: tversky costs nothing")
    }
}

/// Distance at which the boundary loss of a pixel is its probability; farther ones count as this far, so that the far
/// background does not drown the outline.
pub const BOUNDARY_PIXELS: f32 = 20.0;

/// The truth for one batch, flat in the order of the logits `[n, c, rows, columns]`.
pub(crate) struct Target {
    pub(crate) batch: usize,
    pub(crate) channels: usize,
    /// Pixels per image and channel.
    pub(crate) pixels: usize,
    /// 0 or 1.
    pub(crate) truth: Vec<f32>,
    /// 0 where the prediction is free, elsewhere how much the pixel counts, 1 as a rule.
    pub(crate) known: Vec<f32>,
    /// Signed distance to the outline of the truth in units of [`BOUNDARY_PIXELS`], −1 to 1, negative within it and 0 where
    /// an image has no outline; empty if the loss does not look at it.
    pub(crate) distance: Vec<f32>,
}

/// The parts of the loss, for the learning curve.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LossParts {
    /// What is minimised.
    pub(crate) total: f64,
    /// Mean binary cross-entropy over known pixels of all channels.
    pub(crate) cross_entropy: f64,
    /// Soft Dice of each channel over the whole batch; not a number where the batch has no known foreground.
    pub(crate) dice: Vec<f64>,
}

/// Keeps the soft Dice defined on almost empty batches, in pixels.
const DICE_SMOOTHING: f64 = 50.0;

/// Pixels that are summed by one task.
const PART: usize = 1 << 15;

#[derive(Default)]
struct Sums {
    known: f64,
    entropy: f64,
    overlap: f64,
    predicted: f64,
    truth: f64,
    boundary: f64,
}

/// The loss of a batch and its slope by every logit.
///
/// The overlap is taken over the whole batch, so images without foreground lower it only through their false alarms. A
/// channel without known foreground has no overlap and no boundary; one without known pixels adds nothing.
pub(crate) fn masked(loss: &Loss, logits: &[f32], target: &Target) -> (LossParts, Vec<f32>) {
    let Target { batch, channels, pixels, .. } = *target;
    assert_eq!(logits.len(), batch * channels * pixels);
    // In parts of planes, so that few large ones are shared too.
    let parts_of_plane = pixels.div_ceil(PART).max(1);
    let planes: Vec<Sums> = (0..batch * channels * parts_of_plane)
        .into_par_iter()
        .map(|part| {
            let (plane, first) = (part / parts_of_plane, part % parts_of_plane * PART);
            sums(loss, logits, target, plane * pixels + first..plane * pixels + (first + PART).min(pixels))
        })
        .collect();
    let mut parts = LossParts { dice: vec![f64::NAN; channels], ..LossParts::default() };
    let mut known_pixels = 0.0;
    let mut factors = Vec::with_capacity(channels);
    let per_channel = 1.0 / channels as f64;
    let [false_alarm, miss] = loss.tversky;
    for channel in 0..channels {
        let parts_of = |n: usize| &planes[(n * channels + channel) * parts_of_plane..][..parts_of_plane];
        let sum = |part: fn(&Sums) -> f64| (0..batch).flat_map(parts_of).map(part).sum::<f64>();
        let (known, entropy) = (sum(|s| s.known), sum(|s| s.entropy));
        let (overlap, predicted, truth) = (sum(|s| s.overlap), sum(|s| s.predicted), sum(|s| s.truth));
        let scale = if known > 0.0 { per_channel / known } else { 0.0 };
        parts.cross_entropy += entropy;
        known_pixels += known;
        parts.total += loss.cross_entropy * entropy * scale;
        let mut factor = Factors { entropy: (loss.cross_entropy * scale) as f32, ..Factors::default() };
        if truth > 0.0 {
            parts.dice[channel] = (2.0 * overlap + DICE_SMOOTHING) / (predicted + truth + DICE_SMOOTHING);
            // Tversky's index `n / d`; by a probability, `n` grows by t and `d` by a + t (1 - a - b).
            let n = overlap + 0.5 * DICE_SMOOTHING;
            let d = n + false_alarm * (predicted - overlap) + miss * (truth - overlap);
            parts.total += loss.overlap * (1.0 - n / d) * per_channel;
            let gain = loss.overlap * per_channel / (d * d);
            factor.overlap_anywhere = (gain * n * false_alarm) as f32;
            factor.overlap_in_truth = (gain * (n * (1.0 - false_alarm - miss) - d)) as f32;
            parts.total += loss.boundary * sum(|s| s.boundary) * scale;
            factor.boundary = (loss.boundary * scale) as f32;
        }
        factors.push(factor);
    }
    parts.cross_entropy /= f64::max(known_pixels, 1.0);
    let mut slope = vec![0.0; logits.len()];
    let tasks: Vec<_> = slope.chunks_mut(pixels.max(1)).flat_map(|plane| plane.chunks_mut(PART)).collect();
    tasks.into_par_iter().enumerate().for_each(|(part, slope)| {
        let (plane, first) = (part / parts_of_plane, part % parts_of_plane * PART);
        let factor = &factors[plane % channels];
        let start = plane * pixels + first;
        for (i, out) in slope.iter_mut().enumerate() {
            let known = target.known[start + i];
            if known == 0.0 {
                continue;
            }
            let (x, truth) = (logits[start + i], target.truth[start + i]);
            let p = sigmoid(x);
            let by_probability = factor.overlap_anywhere
                + factor.overlap_in_truth * truth
                + factor.boundary * target.distance.get(start + i).unwrap_or(&0.0);
            let (_, entropy_slope) = entropy(x, truth, loss.focal_gamma);
            *out = known * (factor.entropy * entropy_slope + by_probability * p * (1.0 - p));
        }
    });
    (parts, slope)
}

/// What the slope of a pixel takes from the sums of its channel.
#[derive(Default)]
struct Factors {
    entropy: f32,
    overlap_anywhere: f32,
    overlap_in_truth: f32,
    boundary: f32,
}

fn sums(loss: &Loss, logits: &[f32], target: &Target, range: std::ops::Range<usize>) -> Sums {
    let mut sums = Sums::default();
    for i in range {
        let (x, truth, known) = (logits[i], target.truth[i], target.known[i]);
        if known == 0.0 {
            continue;
        }
        let p = sigmoid(x);
        sums.known += f64::from(known);
        sums.entropy += f64::from(known * entropy(x, truth, loss.focal_gamma).0);
        sums.overlap += f64::from(known * p * truth);
        sums.predicted += f64::from(known * p);
        sums.truth += f64::from(known * truth);
        sums.boundary += f64::from(known * p * target.distance.get(i).unwrap_or(&0.0));
    }
    sums
}

/// Focal cross-entropy of a logit, and its slope.
fn entropy(x: f32, truth: f32, gamma: f64) -> (f32, f32) {
    // log(1 + e^-|x|) never overflows.
    let plain = x.max(0.0) - x * truth + (-x.abs()).exp().ln_1p();
    let error = sigmoid(x) - truth;
    if gamma == 0.0 {
        return (plain, error);
    }
    // With q the probability of what is true: (1 - q)^g and -ln q.
    let gamma = gamma as f32;
    let wrong = error.abs();
    let easing = wrong.powf(gamma);
    (easing * plain, error.signum() * easing * (wrong + gamma * (1.0 - wrong) * plain))
}

/// Probability of a logit.
pub(crate) fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(known: Vec<f32>) -> Target {
        let truth = vec![1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let distance = vec![-0.3, 0.2, 0.0, -1.0, 0.4, 1.0, 0.1, -0.2];
        Target { batch: 2, channels: 2, pixels: 2, truth, known, distance }
    }

    const LOGITS: [f32; 8] = [0.3, -1.2, 2.0, -0.4, 0.1, 0.9, -2.2, 1.1];

    #[test]
    fn slope_agrees_with_finite_differences() {
        let losses = [
            Loss::default(),
            Loss { focal_gamma: 2.0, ..Loss::default() },
            Loss { cross_entropy: 0.3, tversky: [0.3, 0.7], boundary: 0.5, ..Loss::default() },
        ];
        let known = [vec![1.0; 8], vec![1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]];
        for (loss, known) in losses.iter().flat_map(|loss| known.iter().map(move |known| (loss, known))) {
            let target = target(known.clone());
            let (_, slope) = masked(loss, &LOGITS, &target);
            for i in 0..8 {
                let at = |step: f32| {
                    let mut moved = LOGITS;
                    moved[i] += step;
                    masked(loss, &moved, &target).0.total
                };
                let numeric = (at(1e-2) - at(-1e-2)) / 2e-2;
                assert!((numeric - f64::from(slope[i])).abs() < 1e-4, "{i}: {numeric} against {}", slope[i]);
            }
        }
    }

    #[test]
    fn unknown_pixels_do_not_count() {
        let known = vec![1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0];
        let (loss, slope) = masked(&Loss::default(), &LOGITS, &target(known.clone()));
        let mut other = LOGITS;
        other[4] = 50.0;
        assert_eq!(masked(&Loss::default(), &other, &target(known)).0, loss);
        assert_eq!((slope[4], slope[5]), (0.0, 0.0));
    }

    /// Half the false alarms' price halves what a false alarm costs; a focal loss forgives what is nearly right.
    #[test]
    fn settings_do_what_they_say() {
        let target = Target {
            batch: 1,
            channels: 1,
            pixels: 100,
            truth: vec![0.0; 100],
            known: vec![1.0; 100],
            distance: vec![],
        };
        let target = Target { truth: (0..100).map(|i| f32::from(u8::from(i < 50))).collect(), ..target };
        let false_alarms: Vec<f32> = (0..100).map(|i| if i < 60 { 30.0 } else { -30.0 }).collect();
        let overlap = |tversky| Loss { cross_entropy: 0.0, tversky, ..Loss::default() };
        let cost = |loss: &Loss| masked(loss, &false_alarms, &target).0.total;
        assert!((cost(&overlap([0.5, 0.5])) - 5.0 / 80.0).abs() < 1e-6);
        assert!((cost(&overlap([0.25, 0.75])) - 2.5 / 77.5).abs() < 1e-6);
        let nearly = vec![2.0; 100];
        let all = Target { truth: vec![1.0; 100], ..target };
        let focal = |focal_gamma| Loss { overlap: 0.0, focal_gamma, ..Loss::default() };
        let [plain, eased] = [0.0, 2.0].map(|gamma| masked(&focal(gamma), &nearly, &all).0.total);
        let wrong = 1.0 - f64::from(sigmoid(2.0));
        assert!((eased / plain - wrong * wrong).abs() < 1e-6);
    }

    #[test]
    fn perfect_is_almost_zero() {
        let target = target(vec![1.0; 8]);
        let sure: Vec<f32> = target.truth.iter().map(|t| if *t > 0.5 { 30.0 } else { -30.0 }).collect();
        assert!(masked(&Loss::default(), &sure, &target).0.total < 1e-6);
    }
}
