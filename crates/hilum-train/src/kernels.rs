//! Convolution, transposed convolution and batch normalisation with rectifier on the CPU, forward and back.
//!
//! Burn's `flex` backend spends most of a training step moving data: it changes the layout of every activation and
//! unrolls whole batches. These kernels keep `[image, channel, row, column]`, unroll a few rows at a time into a buffer
//! that stays in the cache, and leave the products to `matrixmultiply`. All sums run in a fixed order, so the same step
//! gives the same numbers whatever the number of threads.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, s};
use rayon::prelude::*;

/// `[images, channels, rows, columns]`.
pub(crate) type Shape4 = [usize; 4];

/// A square-kernel convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ConvShape {
    pub(crate) input: Shape4,
    pub(crate) out_channels: usize,
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) padding: [usize; 2],
}

/// Gradients by input, weight and bias.
pub(crate) struct Gradients {
    /// Empty if not asked for.
    pub(crate) input: Vec<f32>,
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

/// Floats of the unrolled tile: 1 MB, within a core's second-level cache.
const TILE: usize = 1 << 18;

impl ConvShape {
    pub(crate) fn output(&self) -> Shape4 {
        let size =
            |axis: usize| (self.input[2 + axis] + 2 * self.padding[axis] - self.kernel[axis]) / self.stride[axis] + 1;
        [self.input[0], self.out_channels, size(0), size(1)]
    }

    /// Length of one unrolled column.
    fn taps(&self) -> usize {
        self.input[1] * self.kernel[0] * self.kernel[1]
    }

    /// Output rows per tile.
    fn tile_rows(&self) -> usize {
        let [_, _, rows, columns] = self.output();
        (TILE / (self.taps() * columns)).clamp(1, rows)
    }

    /// Output columns `[low, high)` whose tap at `offset` (before padding) lies within the input.
    fn inside(&self, axis: usize, offset: usize) -> (usize, usize) {
        let (stride, padding) = (self.stride[axis], self.padding[axis]);
        let low = padding.saturating_sub(offset).div_ceil(stride);
        let high = (self.input[2 + axis] + padding).saturating_sub(offset).div_ceil(stride);
        (low, high.min(self.output()[2 + axis]))
    }

    /// Calls `copy(tap row of the buffer, place in it, first input index, count)` for every run of a tile.
    fn runs(&self, first_row: usize, rows: usize, mut visit: impl FnMut(usize, usize, usize, usize)) {
        let [_, channels, in_rows, in_columns] = self.input;
        let columns = self.output()[3];
        let mut tap = 0;
        for channel in 0..channels {
            for ky in 0..self.kernel[0] {
                let (row_low, row_high) = self.inside(0, ky);
                for kx in 0..self.kernel[1] {
                    let (low, high) = self.inside(1, kx);
                    if low < high {
                        for row in first_row.max(row_low)..(first_row + rows).min(row_high) {
                            let y = row * self.stride[0] + ky - self.padding[0];
                            let x = low * self.stride[1] + kx - self.padding[1];
                            let source = (channel * in_rows + y) * in_columns + x;
                            visit(tap, (row - first_row) * columns + low, source, high - low);
                        }
                    }
                    tap += 1;
                }
            }
        }
    }

    fn unroll(&self, image: &[f32], first_row: usize, rows: usize, buffer: &mut [f32]) {
        let width = rows * self.output()[3];
        let step = self.stride[1];
        buffer[..self.taps() * width].fill(0.0);
        self.runs(first_row, rows, |tap, place, source, count| {
            let out = &mut buffer[tap * width + place..][..count];
            match step {
                1 => out.copy_from_slice(&image[source..source + count]),
                _ => out.iter_mut().zip(image[source..].iter().step_by(step)).for_each(|(o, v)| *o = *v),
            }
        });
    }

    /// Adds the buffer back to where [`ConvShape::unroll`] took it from.
    fn roll(&self, buffer: &[f32], first_row: usize, rows: usize, image: &mut [f32]) {
        let width = rows * self.output()[3];
        let step = self.stride[1];
        self.runs(first_row, rows, |tap, place, source, count| {
            let values = &buffer[tap * width + place..][..count];
            match step {
                1 => image[source..source + count].iter_mut().zip(values).for_each(|(o, v)| *o += *v),
                _ => image[source..].iter_mut().step_by(step).zip(values).for_each(|(o, v)| *o += *v),
            }
        });
    }

    pub(crate) fn forward(&self, x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
        let [images, out_channels, rows, columns] = self.output();
        let (pixels, taps, tile) = (rows * columns, self.taps(), self.tile_rows());
        let weight = matrix(weight, out_channels, taps);
        let mut out = vec![0.0; images * out_channels * pixels];
        out.par_chunks_mut(out_channels * pixels).zip(x.par_chunks(x.len() / images)).for_each(|(out, image)| {
            out.chunks_mut(pixels).zip(bias).for_each(|(plane, bias)| plane.fill(*bias));
            let mut out = matrix_mut(out, out_channels, pixels);
            let mut buffer = vec![0.0; taps * tile * columns];
            for first in (0..rows).step_by(tile) {
                let count = tile.min(rows - first);
                self.unroll(image, first, count, &mut buffer);
                let unrolled = matrix(&buffer[..taps * count * columns], taps, count * columns);
                let mut part = out.slice_mut(s![.., first * columns..(first + count) * columns]);
                general_mat_mul(1.0, &weight, &unrolled, 1.0, &mut part);
            }
        });
        out
    }

    pub(crate) fn backward(&self, x: &[f32], weight: &[f32], slope: &[f32], wants_input: bool) -> Gradients {
        let [images, out_channels, rows, columns] = self.output();
        let (pixels, taps, tile) = (rows * columns, self.taps(), self.tile_rows());
        let weight_view = matrix(weight, out_channels, taps);
        let image_values = x.len() / images;
        let mut input = vec![0.0; if wants_input { x.len() } else { 0 }];
        // Without a gradient by the input, every image gets an empty part of it.
        let mut parts: Vec<&mut [f32]> = match wants_input {
            true => input.chunks_mut(image_values).collect(),
            false => (0..images).map(|_| Default::default()).collect(),
        };
        let per_image: Vec<Vec<f32>> = parts
            .par_iter_mut()
            .enumerate()
            .map(|(index, input)| {
                let image = &x[index * image_values..][..image_values];
                let slope =
                    matrix(&slope[index * out_channels * pixels..][..out_channels * pixels], out_channels, pixels);
                let mut gradient = vec![0.0; weight.len()];
                let mut buffer = vec![0.0; taps * tile * columns];
                for first in (0..rows).step_by(tile) {
                    let count = tile.min(rows - first);
                    let slope = slope.slice(s![.., first * columns..(first + count) * columns]);
                    self.unroll(image, first, count, &mut buffer);
                    let used = &mut buffer[..taps * count * columns];
                    let unrolled = matrix(used, taps, count * columns);
                    general_mat_mul(
                        1.0,
                        &slope,
                        &unrolled.t(),
                        1.0,
                        &mut matrix_mut(&mut gradient, out_channels, taps),
                    );
                    if wants_input {
                        let mut rolled = matrix_mut(used, taps, count * columns);
                        general_mat_mul(1.0, &weight_view.t(), &slope, 0.0, &mut rolled);
                        self.roll(used, first, count, input);
                    }
                }
                gradient
            })
            .collect();
        let mut total = vec![0.0; weight.len()];
        for gradient in &per_image {
            total.iter_mut().zip(gradient).for_each(|(t, g)| *t += g);
        }
        Gradients { input, weight: total, bias: plane_sums(slope, out_channels, pixels) }
    }
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

    /// The definition of a convolution, one product at a time.
    fn plain_conv(shape: &ConvShape, x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
        let [images, channels, rows, columns] = shape.input;
        let [_, outs, out_rows, out_columns] = shape.output();
        let [high, wide] = shape.kernel;
        let mut result = Vec::new();
        for (n, o, r, c) in (0..images * outs * out_rows * out_columns).map(|i| {
            (
                i / (outs * out_rows * out_columns),
                i / (out_rows * out_columns) % outs,
                i / out_columns % out_rows,
                i % out_columns,
            )
        }) {
            let mut sum = bias[o];
            for (i, ky, kx) in (0..channels * high * wide).map(|t| (t / (high * wide), t / wide % high, t % wide)) {
                let y = (r * shape.stride[0] + ky).wrapping_sub(shape.padding[0]);
                let x_at = (c * shape.stride[1] + kx).wrapping_sub(shape.padding[1]);
                if y < rows && x_at < columns {
                    sum += x[((n * channels + i) * rows + y) * columns + x_at]
                        * weight[((o * channels + i) * high + ky) * wide + kx];
                }
            }
            result.push(sum);
        }
        result
    }

    #[test]
    fn convolutions_agree_with_the_definition_and_their_slopes_with_differences() {
        for (input, kernel, stride, padding) in [
            ([2, 3, 7, 6], [3, 3], [1, 1], [1, 1]),
            ([1, 2, 8, 10], [3, 3], [2, 2], [1, 1]),
            ([2, 4, 5, 5], [1, 1], [1, 1], [0, 0]),
            ([1, 1, 6, 9], [5, 3], [1, 3], [2, 0]),
        ] {
            let shape = ConvShape { input, out_channels: 4, kernel, stride, padding };
            let x = values(input.iter().product(), 1);
            let weight = values(4 * input[1] * kernel[0] * kernel[1], 2);
            let bias = values(4, 3);
            let out = shape.forward(&x, &weight, &bias);
            for (found, expected) in out.iter().zip(plain_conv(&shape, &x, &weight, &bias)) {
                assert!((found - expected).abs() < 1e-4, "{shape:?}: {found} against {expected}");
            }
            let slope = values(out.len(), 4);
            let gradients = shape.backward(&x, &weight, &slope, true);
            check([x, weight, bias], &slope, gradients, 1e-2, |x, w, b| shape.forward(x, w, b));
        }
    }

    #[test]
    fn tiles_make_no_difference() {
        // 64 channels of 3x3 on 200 columns: two rows per tile.
        let shape =
            ConvShape { input: [1, 64, 5, 200], out_channels: 2, kernel: [3, 3], stride: [1, 1], padding: [1, 1] };
        assert_eq!(shape.tile_rows(), 2);
        let (x, weight) = (values(64 * 1000, 5), values(2 * 64 * 9, 6));
        let out = shape.forward(&x, &weight, &[0.0, 1.0]);
        for (found, expected) in out.iter().zip(plain_conv(&shape, &x, &weight, &[0.0, 1.0])) {
            assert!((found - expected).abs() < 1e-4);
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
