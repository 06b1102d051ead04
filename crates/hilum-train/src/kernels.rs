//! Convolution, transposed convolution and batch normalisation with rectifier on the CPU, forward and back.
//!
//! Burn's `flex` backend spends most of a training step moving data. Convolutions run on the kernels of the inference
//! engine instead, transposed ones as products of matrices. All sums run in a fixed order, so the same step gives the same
//! numbers whatever the number of threads.

use std::sync::{Arc, OnceLock};

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// `[images, channels, rows, columns]`.
pub(crate) type Shape4 = [usize; 4];

/// A convolution of `[image, channel, row, column]`.
pub(crate) type ConvShape = hilum_nn::Convolution;

/// Gradients by input, weight and bias.
pub(crate) struct Gradients {
    /// Empty if not asked for.
    pub(crate) input: Vec<f32>,
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

/// The threads of the convolutions: as many as Rayon's own, which wait meanwhile.
fn pool() -> &'static Arc<ThreadPool> {
    static POOL: OnceLock<Arc<ThreadPool>> = OnceLock::new();
    POOL.get_or_init(|| {
        let pool = ThreadPoolBuilder::new().num_threads(rayon::current_num_threads()).build();
        Arc::new(pool.expect("threads can be started, as Rayon's own were"))
    })
}

/// See [`hilum_nn::Convolution::forward`].
pub(crate) fn conv(shape: &ConvShape, x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    shape.forward(pool(), x, weight, bias).expect("`check_trainable` let it pass")
}

/// Gradients of [`conv`], that by the input only if asked for.
pub(crate) fn conv_backward(
    shape: &ConvShape,
    x: &[f32],
    weight: &[f32],
    slope: &[f32],
    wants_input: bool,
) -> Gradients {
    let input = match wants_input {
        true => shape.input_gradient(pool(), weight, slope).expect("`check_trainable` let it pass"),
        false => Vec::new(),
    };
    let pixels = shape.output_size().iter().product();
    let bias = plane_sums(slope, shape.out_channels, pixels);
    Gradients { input, weight: shape.weight_gradient(pool(), x, slope), bias }
}

/// A transposed convolution whose stride is its kernel: every pixel becomes a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BlockShape {
    pub(crate) input: Shape4,
    pub(crate) out_channels: usize,
    pub(crate) block: [usize; 2],
}

impl BlockShape {
    pub(crate) fn output(&self) -> Shape4 {
        [self.input[0], self.out_channels, self.input[2] * self.block[0], self.input[3] * self.block[1]]
    }

    /// Products per input pixel.
    fn taps(&self) -> usize {
        self.out_channels * self.block[0] * self.block[1]
    }

    /// Calls `visit(index in [taps, pixels], index in the image's output)` for every value.
    fn places(&self, mut visit: impl FnMut(usize, usize)) {
        let [_, _, rows, columns] = self.input;
        let [high, wide] = self.block;
        for tap in 0..self.taps() {
            let (channel, ky, kx) = (tap / (high * wide), tap / wide % high, tap % wide);
            for row in 0..rows {
                let start = ((channel * rows + row) * high + ky) * columns * wide + kx;
                let from = (tap * rows + row) * columns;
                for column in 0..columns {
                    visit(from + column, start + column * wide);
                }
            }
        }
    }

    pub(crate) fn forward(&self, x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
        let [images, channels, rows, columns] = self.input;
        let (pixels, taps) = (rows * columns, self.taps());
        let weight = matrix(weight, channels, taps);
        let block = self.block[0] * self.block[1];
        let mut out = vec![0.0; images * taps * pixels];
        out.par_chunks_mut(taps * pixels).zip(x.par_chunks(channels * pixels)).for_each(|(out, image)| {
            let mut products = vec![0.0; taps * pixels];
            let mut view = matrix_mut(&mut products, taps, pixels);
            general_mat_mul(1.0, &weight.t(), &matrix(image, channels, pixels), 0.0, &mut view);
            self.places(|from, to| out[to] = products[from]);
            out.chunks_mut(block * pixels)
                .zip(bias)
                .for_each(|(plane, bias)| plane.iter_mut().for_each(|v| *v += bias));
        });
        out
    }

    pub(crate) fn backward(&self, x: &[f32], weight: &[f32], slope: &[f32]) -> Gradients {
        let [_, channels, rows, columns] = self.input;
        let (pixels, taps) = (rows * columns, self.taps());
        let weight_view = matrix(weight, channels, taps);
        let mut input = vec![0.0; x.len()];
        let per_image: Vec<Vec<f32>> = input
            .par_chunks_mut(channels * pixels)
            .enumerate()
            .map(|(index, input)| {
                let slope = &slope[index * taps * pixels..][..taps * pixels];
                let mut gathered = vec![0.0; taps * pixels];
                self.places(|to, from| gathered[to] = slope[from]);
                let gathered = matrix(&gathered, taps, pixels);
                general_mat_mul(1.0, &weight_view, &gathered, 0.0, &mut matrix_mut(input, channels, pixels));
                let image = matrix(&x[index * channels * pixels..][..channels * pixels], channels, pixels);
                let mut gradient = vec![0.0; weight.len()];
                general_mat_mul(1.0, &image, &gathered.t(), 0.0, &mut matrix_mut(&mut gradient, channels, taps));
                gradient
            })
            .collect();
        let mut total = vec![0.0; weight.len()];
        for gradient in &per_image {
            total.iter_mut().zip(gradient).for_each(|(t, g)| *t += g);
        }
        let bias = plane_sums(slope, self.out_channels, self.block[0] * self.block[1] * pixels);
        Gradients { input, weight: total, bias }
    }
}

/// Mean and biased variance of every channel over a batch.
pub(crate) fn statistics(x: &[f32], [images, channels, rows, columns]: Shape4) -> (Vec<f32>, Vec<f32>) {
    let pixels = rows * columns;
    let count = (images * pixels) as f64;
    let plane = |channel: usize| (0..images).map(move |n| &x[(n * channels + channel) * pixels..][..pixels]);
    (0..channels)
        .into_par_iter()
        .map(|channel| {
            let mean = plane(channel).map(|p| lane_sum(p, |v| v)).sum::<f64>() / count;
            let centre = mean as f32;
            let variance = plane(channel).map(|p| lane_sum(p, |v| (v - centre) * (v - centre))).sum::<f64>() / count;
            (centre, variance as f32)
        })
        .unzip()
}

/// `max(0, (x - mean) * inverse_deviation * weight + bias)` per channel; without the rectifier if `rectify` is false.
pub(crate) fn normalize(x: &[f32], shape: Shape4, norm: &Norm) -> Vec<f32> {
    let pixels = shape[2] * shape[3];
    let mut out = vec![0.0; x.len()];
    out.par_chunks_mut(pixels).zip(x.par_chunks(pixels)).enumerate().for_each(|(plane, (out, x))| {
        let (scale, offset) = norm.line(plane % shape[1]);
        match norm.rectify {
            true => out.iter_mut().zip(x).for_each(|(o, v)| *o = (v * scale + offset).max(0.0)),
            false => out.iter_mut().zip(x).for_each(|(o, v)| *o = v * scale + offset),
        }
    });
    out
}

/// Parameters and batch statistics of one normalisation.
#[derive(Clone, Debug)]
pub(crate) struct Norm {
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
    pub(crate) mean: Vec<f32>,
    /// `1 / sqrt(variance + epsilon)`.
    pub(crate) inverse_deviation: Vec<f32>,
    pub(crate) rectify: bool,
}

impl Norm {
    fn line(&self, channel: usize) -> (f32, f32) {
        let scale = self.weight[channel] * self.inverse_deviation[channel];
        (scale, self.bias[channel] - self.mean[channel] * scale)
    }
}

/// Gradients of [`normalize`] where mean and variance are those of the batch itself.
pub(crate) fn normalize_backward(x: &[f32], shape: Shape4, norm: &Norm, slope: &[f32]) -> Gradients {
    let [images, channels, rows, columns] = shape;
    let pixels = rows * columns;
    // Per plane: sum of the slope, and of the slope times the normalised value, where the rectifier let through.
    let sums: Vec<(f64, f64)> = (0..images * channels)
        .into_par_iter()
        .map(|plane| {
            let channel = plane % channels;
            let (scale, offset) = norm.line(channel);
            let (x, slope) = (&x[plane * pixels..][..pixels], &slope[plane * pixels..][..pixels]);
            let mean = norm.mean[channel];
            let passes = |v: f32| !norm.rectify || v * scale + offset > 0.0;
            let (mut total_bias, mut total_weight) = (0.0f64, 0.0f64);
            for (x, slope) in x.chunks(1024).zip(slope.chunks(1024)) {
                let (mut by_bias, mut by_weight) = ([0.0f32; 16], [0.0f32; 16]);
                for (x, slope) in x.chunks(16).zip(slope.chunks(16)) {
                    for (lane, (v, g)) in x.iter().zip(slope).enumerate() {
                        let g = if passes(*v) { *g } else { 0.0 };
                        by_bias[lane] += g;
                        by_weight[lane] += g * (v - mean);
                    }
                }
                total_bias += f64::from(by_bias.iter().sum::<f32>());
                total_weight += f64::from(by_weight.iter().sum::<f32>());
            }
            (total_bias, total_weight * f64::from(norm.inverse_deviation[channel]))
        })
        .collect();
    let total = |channel: usize, part: fn(&(f64, f64)) -> f64| {
        (0..images).map(|n| part(&sums[n * channels + channel])).sum::<f64>() as f32
    };
    let bias: Vec<f32> = (0..channels).map(|channel| total(channel, |s| s.0)).collect();
    let weight: Vec<f32> = (0..channels).map(|channel| total(channel, |s| s.1)).collect();
    let count = (images * pixels) as f32;
    let mut input = vec![0.0; x.len()];
    input.par_chunks_mut(pixels).enumerate().for_each(|(plane, out)| {
        let channel = plane % channels;
        let (scale, offset) = norm.line(channel);
        let (mean, inverse) = (norm.mean[channel], norm.inverse_deviation[channel]);
        let mean_bias = bias[channel] / count;
        let mean_weight = weight[channel] / count * inverse;
        let (x, slope) = (&x[plane * pixels..][..pixels], &slope[plane * pixels..][..pixels]);
        for ((out, v), g) in out.iter_mut().zip(x).zip(slope) {
            let g = if !norm.rectify || v * scale + offset > 0.0 { *g } else { 0.0 };
            *out = scale * (g - mean_bias - (v - mean) * mean_weight);
        }
    });
    Gradients { input, weight, bias }
}

/// Sum per channel over images and pixels.
fn plane_sums(values: &[f32], channels: usize, pixels: usize) -> Vec<f32> {
    let planes: Vec<f64> = values.par_chunks(pixels).map(|plane| lane_sum(plane, |v| v)).collect();
    (0..channels).map(|channel| planes.iter().skip(channel).step_by(channels).sum::<f64>() as f32).collect()
}

/// Sum of `map(value)`: in 16 lanes of f32 over 1024 values (which the compiler turns into vector code), then f64.
fn lane_sum(values: &[f32], map: impl Fn(f32) -> f32) -> f64 {
    let block = |values: &[f32]| {
        let mut lanes = [0.0f32; 16];
        for values in values.chunks(16) {
            lanes.iter_mut().zip(values).for_each(|(lane, v)| *lane += map(*v));
        }
        f64::from(lanes.iter().sum::<f32>())
    };
    values.chunks(1024).map(block).sum()
}

fn matrix(values: &[f32], rows: usize, columns: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows, columns), values).expect("length matches shape")
}

fn matrix_mut(values: &mut [f32], rows: usize, columns: usize) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((rows, columns), values).expect("length matches shape")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize, seed: u64) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..count).map(|_| 2.0 * random.f32() - 1.0).collect()
    }

    /// Compares analytic gradients of `sum(forward * slope)` with central differences at a few places.
    fn check(
        inputs: [Vec<f32>; 3],
        slope: &[f32],
        gradients: Gradients,
        step: f32,
        forward: impl Fn(&[f32], &[f32], &[f32]) -> Vec<f32>,
    ) {
        let value = |inputs: &[Vec<f32>; 3]| -> f64 {
            forward(&inputs[0], &inputs[1], &inputs[2]).iter().zip(slope).map(|(a, b)| f64::from(a * b)).sum()
        };
        for (which, gradient) in [gradients.input, gradients.weight, gradients.bias].iter().enumerate() {
            assert_eq!(gradient.len(), inputs[which].len());
            for place in (0..gradient.len()).step_by(gradient.len() / 13 + 1) {
                let at = |step: f32| {
                    let mut moved = inputs.clone();
                    moved[which][place] += step;
                    value(&moved)
                };
                let numeric = (at(step) - at(-step)) / (2.0 * f64::from(step));
                let found = f64::from(gradient[place]);
                assert!((numeric - found).abs() < 2e-3 * (1.0 + numeric.abs()), "{which}[{place}]: {numeric}, {found}");
            }
        }
    }

    #[test]
    fn blocks_are_placed_where_they_belong() {
        let shape = BlockShape { input: [1, 1, 1, 2], out_channels: 1, block: [2, 2] };
        let out = shape.forward(&[1.0, 10.0], &[1.0, 2.0, 3.0, 4.0], &[0.5]);
        assert_eq!(out, [1.5, 2.5, 10.5, 20.5, 3.5, 4.5, 30.5, 40.5]);
        let shape = BlockShape { input: [2, 3, 4, 3], out_channels: 2, block: [2, 3] };
        let (x, weight, bias) = (values(72, 1), values(36, 2), values(2, 3));
        let slope = values(shape.output().iter().product(), 4);
        let gradients = shape.backward(&x, &weight, &slope);
        check([x, weight, bias], &slope, gradients, 1e-2, |x, w, b| shape.forward(x, w, b));
    }

    #[test]
    fn normalisation_and_its_slopes() {
        let shape = [2, 3, 5, 4];
        for rectify in [false, true] {
            let (weight, bias) = (values(3, 2), values(3, 3));
            let norm = |x: &[f32], weight: &[f32], bias: &[f32]| {
                let (mean, variance) = statistics(x, shape);
                let inverse_deviation = variance.iter().map(|v| 1.0 / (v + 1e-5).sqrt()).collect();
                Norm { weight: weight.to_vec(), bias: bias.to_vec(), mean, inverse_deviation, rectify }
            };
            // Differences say nothing at the rectifier's kink: take values that all keep away from it.
            let away = |x: &Vec<f32>| {
                let plain = Norm { rectify: false, ..norm(x, &weight, &bias) };
                normalize(x, shape, &plain).iter().all(|v| v.abs() > 0.02)
            };
            let x = (0..).map(|seed| values(120, seed)).find(away).expect("there is no end of seeds");
            let first = norm(&x, &[1.0; 3], &[0.0; 3]);
            if !rectify {
                let (mean, variance) = statistics(&normalize(&x, shape, &first), shape);
                mean.iter().for_each(|m| assert!(m.abs() < 1e-6));
                variance.iter().for_each(|v| assert!((v - 1.0).abs() < 1e-3));
            }
            let slope = values(120, 4);
            let gradients = normalize_backward(&x, shape, &norm(&x, &weight, &bias), &slope);
            check([x, weight, bias], &slope, gradients, 1e-3, |x, w, b| normalize(x, shape, &norm(x, w, b)));
        }
    }
}
