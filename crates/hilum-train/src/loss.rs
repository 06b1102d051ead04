//! The loss: binary cross-entropy and soft Dice per channel, blind where the truth is not known.

use rayon::prelude::*;

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

struct Sums {
    known: f64,
    entropy: f64,
    overlap: f64,
    predicted: f64,
    truth: f64,
}

/// `mean over channels of (cross-entropy over known pixels + 1 - soft Dice)` and its slope by every logit.
///
/// Soft Dice is taken over the whole batch (Milletari 2016, doi:10.1109/3DV.2016.79, without the squares), so images
/// without foreground lower it only through their false alarms. A channel without known foreground adds only its
/// cross-entropy; one without known pixels adds nothing.
pub(crate) fn masked_bce_dice(logits: &[f32], target: &Target) -> (LossParts, Vec<f32>) {
    let Target { batch, channels, pixels, .. } = *target;
    assert_eq!(logits.len(), batch * channels * pixels);
    // In parts of planes, so that few large ones are shared too.
    let parts_of_plane = pixels.div_ceil(PART).max(1);
    let planes: Vec<Sums> = (0..batch * channels * parts_of_plane)
        .into_par_iter()
        .map(|part| {
            let (plane, first) = (part / parts_of_plane, part % parts_of_plane * PART);
            sums(logits, target, plane * pixels + first..plane * pixels + (first + PART).min(pixels))
        })
        .collect();
    let mut parts = LossParts { dice: vec![f64::NAN; channels], ..LossParts::default() };
    let mut known_pixels = 0.0;
    // Per channel: weight of the cross-entropy of a pixel; soft Dice as `d = (2 o + s) / (p + t + s)`.
    let mut factors = Vec::with_capacity(channels);
    for channel in 0..channels {
        let parts_of = |n: usize| &planes[(n * channels + channel) * parts_of_plane..][..parts_of_plane];
        let sum = |part: fn(&Sums) -> f64| (0..batch).flat_map(parts_of).map(part).sum::<f64>();
        let (known, entropy) = (sum(|s| s.known), sum(|s| s.entropy));
        let (overlap, predicted, truth) = (sum(|s| s.overlap), sum(|s| s.predicted), sum(|s| s.truth));
        let scale = if known > 0.0 { 1.0 / known } else { 0.0 };
        parts.cross_entropy += entropy;
        known_pixels += known;
        parts.total += entropy * scale / channels as f64;
        let denominator = predicted + truth + DICE_SMOOTHING;
        let dice = (2.0 * overlap + DICE_SMOOTHING) / denominator;
        let with_dice = truth > 0.0;
        if with_dice {
            parts.dice[channel] = dice;
            parts.total += (1.0 - dice) / channels as f64;
        }
        factors.push((scale, with_dice, dice, denominator));
    }
    parts.cross_entropy /= f64::max(known_pixels, 1.0);
    let mut slope = vec![0.0; logits.len()];
    let tasks: Vec<_> = slope.chunks_mut(pixels.max(1)).flat_map(|plane| plane.chunks_mut(PART)).collect();
    tasks.into_par_iter().enumerate().for_each(|(part, slope)| {
        let (plane, first) = (part / parts_of_plane, part % parts_of_plane * PART);
        let (scale, with_dice, dice, denominator) = factors[plane % channels];
        let per_channel = 1.0 / channels as f64;
        let entropy_scale = (scale * per_channel) as f32;
        let (truth_gain, loss_gain) = match with_dice {
            true => ((2.0 / denominator * per_channel) as f32, (dice / denominator * per_channel) as f32),
            false => (0.0, 0.0),
        };
        let start = plane * pixels + first;
        for (i, out) in slope.iter_mut().enumerate() {
            let known = target.known[start + i];
            if known == 0.0 {
                continue;
            }
            let truth = target.truth[start + i];
            let p = sigmoid(logits[start + i]);
            // d(1 - dice)/dp = -(2 t - dice) / denominator, and dp/dx = p (1 - p).
            let dice_slope = -(truth_gain * truth - loss_gain) * p * (1.0 - p);
            *out = known * (entropy_scale * (p - truth) + dice_slope);
        }
    });
    (parts, slope)
}

fn sums(logits: &[f32], target: &Target, range: std::ops::Range<usize>) -> Sums {
    let mut sums = Sums { known: 0.0, entropy: 0.0, overlap: 0.0, predicted: 0.0, truth: 0.0 };
    let values = logits[range.clone()].iter().zip(&target.truth[range.clone()]).zip(&target.known[range]);
    for ((&x, &truth), &known) in values {
        if known == 0.0 {
            continue;
        }
        let p = sigmoid(x);
        // log(1 + e^-|x|) never overflows.
        let entropy = x.max(0.0) - x * truth + (-x.abs()).exp().ln_1p();
        sums.known += f64::from(known);
        sums.entropy += f64::from(known * entropy);
        sums.overlap += f64::from(known * p * truth);
        sums.predicted += f64::from(known * p);
        sums.truth += f64::from(known * truth);
    }
    sums
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
        Target { batch: 2, channels: 2, pixels: 2, truth, known }
    }

    const LOGITS: [f32; 8] = [0.3, -1.2, 2.0, -0.4, 0.1, 0.9, -2.2, 1.1];

    #[test]
    fn slope_agrees_with_finite_differences() {
        for known in [vec![1.0; 8], vec![1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]] {
            let target = target(known);
            let (_, slope) = masked_bce_dice(&LOGITS, &target);
            for i in 0..8 {
                let at = |step: f32| {
                    let mut moved = LOGITS;
                    moved[i] += step;
                    masked_bce_dice(&moved, &target).0.total
                };
                let numeric = (at(1e-2) - at(-1e-2)) / 2e-2;
                assert!((numeric - f64::from(slope[i])).abs() < 1e-4, "{i}: {numeric} against {}", slope[i]);
            }
        }
    }

    #[test]
    fn unknown_pixels_do_not_count() {
        let known = vec![1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0];
        let (loss, slope) = masked_bce_dice(&LOGITS, &target(known.clone()));
        let mut other = LOGITS;
        other[4] = 50.0;
        assert_eq!(masked_bce_dice(&other, &target(known)).0, loss);
        assert_eq!((slope[4], slope[5]), (0.0, 0.0));
    }

    #[test]
    fn perfect_is_almost_zero() {
        let target = target(vec![1.0; 8]);
        let sure: Vec<f32> = target.truth.iter().map(|t| if *t > 0.5 { 30.0 } else { -30.0 }).collect();
        assert!(masked_bce_dice(&sure, &target).0.total < 1e-6);
    }
}
