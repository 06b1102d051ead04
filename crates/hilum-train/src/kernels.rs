//! Convolution, transposed convolution and pooling on the CPU, forward and back; normalisation is in `normalisation`.
//!
//! Burn's `flex` backend spends most of a training step moving data. Convolutions run on the kernels of the inference
//! engine instead, transposed ones as products of matrices. All sums run in a fixed order, so the same step gives the same
//! numbers whatever the number of threads.

use std::sync::{Arc, OnceLock};

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, s};
use pulp::Arch;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// `[images, channels, slices, rows, columns]`; images of two-dimensional networks have one slice.
pub(crate) type Shape = [usize; 5];

/// A convolution of `[image, channel, slice, row, column]`.
pub(crate) type ConvShape = hilum_nn::Convolution;

/// Parts that the channels of one image are computed in, for the threads to share.
const PARTS: usize = 4;

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

/// A transposed convolution whose stride is its kernel: every voxel becomes a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BlockShape {
    pub(crate) input: Shape,
    pub(crate) out_channels: usize,
    pub(crate) block: [usize; 3],
}

impl BlockShape {
    pub(crate) fn output(&self) -> Shape {
        let [images, _, slices, rows, columns] = self.input;
        let [deep, high, wide] = self.block;
        [images, self.out_channels, slices * deep, rows * high, columns * wide]
    }

    /// Voxels of one channel of the input.
    fn voxels(&self) -> usize {
        self.input[2..].iter().product()
    }

    /// Voxels of a block.
    fn block_len(&self) -> usize {
        self.block.iter().product()
    }

    /// Products per input voxel.
    fn taps(&self) -> usize {
        self.out_channels * self.block_len()
    }

    /// Calls `visit(first of a line in [taps, voxels], its first place in the output)` for every line of voxels of the first
    /// output channels.
    fn lines(&self, channels: usize, mut visit: impl FnMut(usize, usize)) {
        let [_, _, slices, rows, columns] = self.input;
        let [deep, high, wide] = self.block;
        for tap in 0..channels * self.block_len() {
            let (channel, kz, ky, kx) =
                (tap / self.block_len(), tap / (high * wide) % deep, tap / wide % high, tap % wide);
            for slice in 0..slices {
                for row in 0..rows {
                    let out_slice = (channel * slices + slice) * deep + kz;
                    let to = ((out_slice * rows + row) * high + ky) * columns * wide + kx;
                    visit(((tap * slices + slice) * rows + row) * columns, to);
                }
            }
        }
    }

    pub(crate) fn forward(&self, x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
        let [images, channels, .., columns] = self.input;
        let (voxels, taps, wide, block) = (self.voxels(), self.taps(), self.block[2], self.block_len());
        let weight = matrix(weight, channels, taps);
        // Some output channels of one image at a time.
        let share = self.out_channels.div_ceil(PARTS);
        let shares = self.out_channels.div_ceil(share);
        let mut out = vec![0.0; images * taps * voxels];
        let parts: Vec<&mut [f32]> =
            out.chunks_mut((taps * voxels).max(1)).flat_map(|image| image.chunks_mut(share * block * voxels)).collect();
        parts.into_par_iter().enumerate().for_each(|(index, out)| {
            let (image, first) = (index / shares, index % shares * share);
            let image = matrix(&x[image * channels * voxels..][..channels * voxels], channels, voxels);
            let of_part = first * block..first * block + out.len() / voxels;
            let weight = weight.slice(s![.., of_part.clone()]);
            let mut products = vec![0.0; out.len()];
            general_mat_mul(1.0, &weight.t(), &image, 0.0, &mut matrix_mut(&mut products, of_part.len(), voxels));
            self.lines(of_part.len() / block, |from, to| {
                let line = out[to..].iter_mut().step_by(wide);
                line.zip(&products[from..from + columns]).for_each(|(out, product)| *out = *product);
            });
            let planes = out.chunks_mut(block * voxels).zip(&bias[first..]);
            planes.for_each(|(plane, bias)| plane.iter_mut().for_each(|v| *v += bias));
        });
        out
    }

    pub(crate) fn backward(&self, x: &[f32], weight: &[f32], slope: &[f32]) -> Gradients {
        let [_, channels, .., columns] = self.input;
        let (voxels, taps, wide) = (self.voxels(), self.taps(), self.block[2]);
        let weight_view = matrix(weight, channels, taps);
        // Some input channels of one image at a time.
        let share = channels.div_ceil(PARTS);
        let mut input = vec![0.0; x.len()];
        let per_image: Vec<Vec<Vec<f32>>> = input
            .par_chunks_mut((channels * voxels).max(1))
            .enumerate()
            .map(|(index, input)| {
                let slope = &slope[index * taps * voxels..][..taps * voxels];
                let mut gathered = vec![0.0; taps * voxels];
                self.lines(self.out_channels, |to, from| {
                    let line = slope[from..].iter().step_by(wide);
                    gathered[to..to + columns].iter_mut().zip(line).for_each(|(to, slope)| *to = *slope);
                });
                let gathered = matrix(&gathered, taps, voxels);
                let parts = input.par_chunks_mut(share * voxels).enumerate();
                let of_part = |(part, input): (usize, &mut [f32])| {
                    let own = part * share..part * share + input.len() / voxels;
                    let image = &x[(index * channels + own.start) * voxels..][..own.len() * voxels];
                    let own_weight = weight_view.slice(s![own.clone(), ..]);
                    general_mat_mul(1.0, &own_weight, &gathered, 0.0, &mut matrix_mut(input, own.len(), voxels));
                    let mut gradient = vec![0.0; own.len() * taps];
                    let image = matrix(image, own.len(), voxels);
                    general_mat_mul(1.0, &image, &gathered.t(), 0.0, &mut matrix_mut(&mut gradient, own.len(), taps));
                    gradient
                };
                parts.map(of_part).collect()
            })
            .collect();
        let mut total = vec![0.0; weight.len()];
        for parts in &per_image {
            let gradient = parts.iter().flatten();
            total.iter_mut().zip(gradient).for_each(|(t, g)| *t += g);
        }
        let bias = plane_sums(slope, self.out_channels, self.block_len() * voxels);
        Gradients { input, weight: total, bias }
    }
}

/// The maximum over blocks that do not overlap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PoolShape {
    pub(crate) input: Shape,
    pub(crate) block: [usize; 3],
}

impl PoolShape {
    pub(crate) fn output(&self) -> Shape {
        let [images, channels, slices, rows, columns] = self.input;
        let [deep, high, wide] = self.block;
        [images, channels, slices / deep, rows / high, columns / wide]
    }

    /// Calls `visit(first of a line of the input, the line of the output it belongs to)` for all lines of a channel, those
    /// of one output line one after another.
    fn lines(&self, mut visit: impl FnMut(usize, usize)) {
        let [.., rows, columns] = self.input;
        let [_, _, out_slices, out_rows, _] = self.output();
        let [deep, high, _] = self.block;
        for line in 0..out_slices * out_rows {
            let (slice, row) = (line / out_rows * deep, line % out_rows * high);
            for k in 0..deep * high {
                visit(((slice + k / high) * rows + row + k % high) * columns, line);
            }
        }
    }

    pub(crate) fn forward(&self, x: &[f32]) -> Vec<f32> {
        let [voxels, out_voxels] = [self.input, self.output()].map(|shape| shape[2..].iter().product::<usize>());
        let columns = self.output()[4];
        let mut out = vec![f32::NEG_INFINITY; self.output().iter().product()];
        let planes = out.par_chunks_mut(out_voxels.max(1)).zip(x.par_chunks(voxels.max(1)));
        planes.for_each(|(out, x)| {
            Arch::new().dispatch(|| {
                self.lines(|from, line| raise(&x[from..], self.block[2], &mut out[line * columns..][..columns]));
            });
        });
        out
    }

    /// The slope goes to the first of the largest voxels of a block, as in PyTorch.
    pub(crate) fn backward(&self, x: &[f32], slope: &[f32]) -> Vec<f32> {
        let [voxels, out_voxels] = [self.input, self.output()].map(|shape| shape[2..].iter().product::<usize>());
        let (columns, wide) = (self.output()[4], self.block[2]);
        let largest = self.forward(x);
        let mut left = slope.to_vec();
        let mut gradient = vec![0.0; x.len()];
        let planes = gradient.par_chunks_mut(voxels.max(1)).zip(x.par_chunks(voxels.max(1)));
        let of_out = left.par_chunks_mut(out_voxels.max(1)).zip(largest.par_chunks(out_voxels.max(1)));
        planes.zip(of_out).for_each(|((gradient, x), (left, largest))| {
            Arch::new().dispatch(|| {
                self.lines(|from, line| {
                    let out = line * columns..(line + 1) * columns;
                    hand_out(&x[from..], wide, &largest[out.clone()], &mut left[out], &mut gradient[from..]);
                });
            });
        });
        gradient
    }
}

/// Raises every output to the largest of the `wide` inputs over it. Not `f32::max`: what is no number must not vanish.
#[inline(always)]
fn raise(x: &[f32], wide: usize, out: &mut [f32]) {
    let larger = |out: f32, x: f32| if x > out || x.is_nan() { x } else { out };
    match wide {
        2 => out.iter_mut().zip(x.as_chunks::<2>().0).for_each(|(o, [a, b])| *o = larger(larger(*o, *a), *b)),
        _ => out.iter_mut().zip(x.chunks_exact(wide)).for_each(|(o, x)| *o = x.iter().fold(*o, |o, x| larger(o, *x))),
    }
}

/// Gives what is left of every slope to the first of the `wide` inputs over it that is the largest of its block.
#[inline(always)]
fn hand_out(x: &[f32], wide: usize, largest: &[f32], left: &mut [f32], gradient: &mut [f32]) {
    let give = |x: f32, largest: f32, left: &mut f32, gradient: &mut f32| {
        let given = if x == largest { *left } else { 0.0 };
        *gradient = given;
        *left -= given;
    };
    let outs = largest.iter().zip(left);
    match wide {
        2 => {
            let voxels = x.as_chunks::<2>().0.iter().zip(gradient.as_chunks_mut::<2>().0);
            outs.zip(voxels).for_each(|((largest, left), ([a, b], [ga, gb]))| {
                give(*a, *largest, left, ga);
                give(*b, *largest, left, gb);
            });
        }
        _ => {
            let voxels = x.chunks_exact(wide).zip(gradient.chunks_exact_mut(wide));
            outs.zip(voxels).for_each(|((largest, left), (x, gradient))| {
                x.iter().zip(gradient).for_each(|(x, gradient)| give(*x, *largest, left, gradient));
            });
        }
    }
}

/// Sum per channel over images and voxels.
fn plane_sums(values: &[f32], channels: usize, pixels: usize) -> Vec<f32> {
    let planes: Vec<f64> = values.par_chunks(pixels).map(|plane| lane_sum(plane, |v| v)).collect();
    (0..channels).map(|channel| planes.iter().skip(channel).step_by(channels).sum::<f64>() as f32).collect()
}

/// Sum of `map(value)`: in 16 lanes of f32 over 1024 values (which the compiler turns into vector code), then f64.
pub(crate) fn lane_sum(values: &[f32], map: impl Fn(f32) -> f32) -> f64 {
    Arch::new().dispatch(|| {
        let mut total = 0.0;
        for values in values.chunks(1024) {
            let mut lanes = [0.0f32; 16];
            let (whole, rest) = values.as_chunks::<16>();
            for values in whole {
                for lane in 0..16 {
                    lanes[lane] += map(values[lane]);
                }
            }
            lanes.iter_mut().zip(rest).for_each(|(lane, v)| *lane += map(*v));
            total += f64::from(lanes.iter().sum::<f32>());
        }
        total
    })
}

fn matrix(values: &[f32], rows: usize, columns: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows, columns), values).expect("length matches shape")
}

fn matrix_mut(values: &mut [f32], rows: usize, columns: usize) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((rows, columns), values).expect("length matches shape")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn values(count: usize, seed: u64) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..count).map(|_| 2.0 * random.f32() - 1.0).collect()
    }

    /// Compares analytic gradients of `sum(forward * slope)` with central differences at a few places.
    pub(crate) fn check(
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
        let shape = BlockShape { input: [1, 1, 1, 1, 2], out_channels: 1, block: [1, 2, 2] };
        let out = shape.forward(&[1.0, 10.0], &[1.0, 2.0, 3.0, 4.0], &[0.5]);
        assert_eq!(out, [1.5, 2.5, 10.5, 20.5, 3.5, 4.5, 30.5, 40.5]);
        for (input, block) in [([2, 3, 1, 4, 3], [1, 2, 3]), ([2, 3, 2, 2, 3], [2, 1, 2])] {
            let shape = BlockShape { input, out_channels: 2, block };
            let x = values(input.iter().product(), 1);
            let (weight, bias) = (values(3 * shape.taps(), 2), values(2, 3));
            let slope = values(shape.output().iter().product(), 4);
            let gradients = shape.backward(&x, &weight, &slope);
            check([x, weight, bias], &slope, gradients, 1e-2, |x, w, b| shape.forward(x, w, b));
        }
    }

    #[test]
    fn the_largest_gets_the_slope() {
        let shape = PoolShape { input: [1, 1, 2, 2, 5], block: [2, 2, 2] };
        // Every line alike, so the largest of a block is there four times.
        let x = [3.0, 1.0, 9.0, 7.0, 50.0].repeat(4);
        assert_eq!(shape.forward(&x), [3.0, 9.0], "the last column is in no block");
        let mut expected = vec![0.0; 20];
        (expected[0], expected[2]) = (2.0, 4.0);
        assert_eq!(shape.backward(&x, &[2.0, 4.0]), expected, "the first gets all");
        let mut unknown = x;
        unknown[1] = f32::NAN;
        assert!(shape.forward(&unknown)[0].is_nan());
    }
}
