//! Normalisation by the mean and variance of a batch or of an image, with the rectifier that follows it, forward and back.

use pulp::Arch;
use rayon::prelude::*;

use crate::kernels::{Gradients, Shape, lane_sum};

/// What is normalised together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Together {
    /// A channel of all images.
    Batch,
    /// A channel of one image.
    Image,
}

impl Together {
    /// Place of the statistics of a plane, counted over images and channels.
    fn place(self, plane: usize, channels: usize) -> usize {
        match self {
            Together::Batch => plane % channels,
            Together::Image => plane,
        }
    }

    /// The planes whose statistics are at `place`.
    fn planes(self, place: usize, images: usize, channels: usize) -> impl Iterator<Item = usize> {
        let images = if self == Together::Batch { images } else { 1 };
        (0..images).map(move |n| n * channels + place)
    }
}

/// One kind of normalisation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NormKind {
    pub(crate) together: Together,
    /// Added to the variance.
    pub(crate) epsilon: f32,
    /// Factor of negative results, 0 to 1: 0 for a rectifier, 1 for none.
    pub(crate) negative: f32,
}

/// Parameters and statistics of one normalisation.
#[derive(Clone, Debug)]
pub(crate) struct Norm {
    pub(crate) kind: NormKind,
    /// Per channel.
    pub(crate) weight: Vec<f32>,
    /// Per channel.
    pub(crate) bias: Vec<f32>,
    /// Per channel, or per image and channel.
    pub(crate) mean: Vec<f32>,
    /// Biased, as the mean.
    pub(crate) variance: Vec<f32>,
    /// `1 / sqrt(variance + epsilon)`, as the mean.
    inverse_deviation: Vec<f32>,
}

impl Norm {
    /// Measures what is to be normalised.
    pub(crate) fn of(x: &[f32], shape: Shape, kind: NormKind, weight: &[f32], bias: &[f32]) -> Self {
        let (mean, variance) = statistics(x, shape, kind.together);
        let inverse_deviation = variance.iter().map(|v| 1.0 / (v + kind.epsilon).sqrt()).collect();
        Self { kind, weight: weight.to_vec(), bias: bias.to_vec(), mean, variance, inverse_deviation }
    }

    /// The straight line that normalises a plane.
    fn line(&self, plane: usize) -> (f32, f32) {
        let channels = self.weight.len();
        let (place, channel) = (self.kind.together.place(plane, channels), plane % channels);
        let scale = self.weight[channel] * self.inverse_deviation[place];
        (scale, self.bias[channel] - self.mean[place] * scale)
    }
}

/// The unbiased variance, as running statistics keep it, of the biased one of all that is normalised together.
pub(crate) fn unbiased(variance: &[f32], shape: Shape) -> Vec<f32> {
    let count = (shape.iter().product::<usize>() / variance.len()) as f32;
    variance.iter().map(|v| v * count / (count - 1.0).max(1.0)).collect()
}

/// Mean and biased variance of all that is normalised together.
fn statistics(x: &[f32], shape: Shape, together: Together) -> (Vec<f32>, Vec<f32>) {
    let [images, channels, ..] = shape;
    let voxels: usize = shape[2..].iter().product();
    let places = if together == Together::Batch { channels } else { images * channels };
    let count = (images * channels / places * voxels) as f64;
    let planes = |place: usize| together.planes(place, images, channels).map(|plane| &x[plane * voxels..][..voxels]);
    (0..places)
        .into_par_iter()
        .map(|place| {
            let mean = planes(place).map(|p| lane_sum(p, |v| v)).sum::<f64>() / count;
            let centre = mean as f32;
            let variance = planes(place).map(|p| lane_sum(p, |v| (v - centre) * (v - centre))).sum::<f64>() / count;
            (centre, variance as f32)
        })
        .unzip()
}

/// `y = (x - mean) * inverse_deviation * weight + bias`, and negative `y` times `negative`.
pub(crate) fn normalize(x: &[f32], shape: Shape, norm: &Norm) -> Vec<f32> {
    let voxels: usize = shape[2..].iter().product();
    let mut out = vec![0.0; x.len()];
    out.par_chunks_mut(voxels).zip(x.par_chunks(voxels)).enumerate().for_each(|(plane, (out, x))| {
        let (scale, offset) = norm.line(plane);
        let negative = norm.kind.negative;
        Arch::new().dispatch(|| {
            out.iter_mut().zip(x).for_each(|(o, v)| {
                let y = v * scale + offset;
                *o = if y < 0.0 { y * negative } else { y };
            });
        });
    });
    out
}

/// Gradients of [`normalize`] where mean and variance are those of the values themselves.
pub(crate) fn normalize_backward(x: &[f32], shape: Shape, norm: &Norm, slope: &[f32]) -> Gradients {
    let [images, channels, ..] = shape;
    let voxels: usize = shape[2..].iter().product();
    let passed =
        |v: f32, g: f32, (scale, offset): (f32, f32)| if v * scale + offset > 0.0 { g } else { g * norm.kind.negative };
    // Per plane: sum of the slope before the rectifier, and of the slope times the normalised value.
    let sums: Vec<[f64; 2]> = (0..images * channels)
        .into_par_iter()
        .map(|plane| {
            let line = norm.line(plane);
            let (x, slope) = (&x[plane * voxels..][..voxels], &slope[plane * voxels..][..voxels]);
            let place = norm.kind.together.place(plane, channels);
            let mean = norm.mean[place];
            let [total_bias, total_weight] = Arch::new().dispatch(|| {
                let mut totals = [0.0f64; 2];
                for (x, slope) in x.chunks(1024).zip(slope.chunks(1024)) {
                    let (mut by_bias, mut by_weight) = ([0.0f32; 16], [0.0f32; 16]);
                    let ((whole, rest), (slopes, rest_slopes)) = (x.as_chunks::<16>(), slope.as_chunks::<16>());
                    for (x, slope) in whole.iter().zip(slopes) {
                        for lane in 0..16 {
                            let g = passed(x[lane], slope[lane], line);
                            by_bias[lane] += g;
                            by_weight[lane] += g * (x[lane] - mean);
                        }
                    }
                    for (lane, (v, g)) in rest.iter().zip(rest_slopes).enumerate() {
                        let g = passed(*v, *g, line);
                        by_bias[lane] += g;
                        by_weight[lane] += g * (v - mean);
                    }
                    totals[0] += f64::from(by_bias.iter().sum::<f32>());
                    totals[1] += f64::from(by_weight.iter().sum::<f32>());
                }
                totals
            });
            [total_bias, total_weight * f64::from(norm.inverse_deviation[place])]
        })
        .collect();
    let total =
        |planes: &mut dyn Iterator<Item = usize>, part: usize| planes.map(|plane| sums[plane][part]).sum::<f64>();
    let of_channel = |part| -> Vec<f32> {
        let channels_planes = |channel| Together::Batch.planes(channel, images, channels);
        (0..channels).map(|channel| total(&mut channels_planes(channel), part) as f32).collect()
    };
    let count = (voxels * if norm.kind.together == Together::Batch { images } else { 1 }) as f64;
    let mut input = vec![0.0; x.len()];
    input.par_chunks_mut(voxels).enumerate().for_each(|(plane, out)| {
        let line = norm.line(plane);
        let place = norm.kind.together.place(plane, channels);
        let mean_of = |part| total(&mut norm.kind.together.planes(place, images, channels), part) / count;
        let mean = norm.mean[place];
        let (mean_bias, mean_weight) = (mean_of(0) as f32, mean_of(1) as f32 * norm.inverse_deviation[place]);
        let (x, slope) = (&x[plane * voxels..][..voxels], &slope[plane * voxels..][..voxels]);
        Arch::new().dispatch(|| {
            for ((out, v), g) in out.iter_mut().zip(x).zip(slope) {
                *out = line.0 * (passed(*v, *g, line) - mean_bias - (v - mean) * mean_weight);
            }
        });
    });
    Gradients { input, weight: of_channel(1), bias: of_channel(0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::tests::{check, values};

    #[test]
    fn normalisation_and_its_slopes() {
        let shape = [2, 3, 1, 5, 4];
        let cases = [Together::Batch, Together::Image].map(|t| [1.0, 0.1, 0.0].map(|negative| (t, negative)));
        for (together, negative) in cases.into_iter().flatten() {
            let (weight, bias) = (values(3, 2), values(3, 3));
            let kind = NormKind { together, epsilon: 1e-5, negative };
            let norm = |x: &[f32], weight: &[f32], bias: &[f32]| Norm::of(x, shape, kind, weight, bias);
            // Differences say nothing at the rectifier's kink: take values that all keep away from it.
            let away = |x: &Vec<f32>| {
                let plain = NormKind { negative: 1.0, ..kind };
                normalize(x, shape, &Norm::of(x, shape, plain, &weight, &bias)).iter().all(|v| v.abs() > 0.02)
            };
            let x = (0..).map(|seed| values(120, seed)).find(away).expect("there is no end of seeds");
            if negative == 1.0 {
                let first = norm(&x, &[1.0; 3], &[0.0; 3]);
                let (mean, variance) = statistics(&normalize(&x, shape, &first), shape, together);
                mean.iter().for_each(|m| assert!(m.abs() < 1e-6));
                variance.iter().for_each(|v| assert!((v - 1.0).abs() < 1e-3));
            }
            let slope = values(120, 4);
            let gradients = normalize_backward(&x, shape, &norm(&x, &weight, &bias), &slope);
            check([x, weight, bias], &slope, gradients, 1e-3, |x, w, b| normalize(x, shape, &norm(x, w, b)));
        }
    }
}
