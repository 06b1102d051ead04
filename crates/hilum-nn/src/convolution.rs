//! One convolution, forward and back, for training: the engine's kernels on plain arrays.
//!
//! The gradient by the input is itself a convolution, of the slopes with the flipped filter. That by the weights has a kernel
//! of its own. All sums run in a fixed order, so results do not depend on the number of threads.

use std::sync::Arc;

use rayon::ThreadPool;
use rayon::prelude::*;

use crate::engine::{Engine, EngineError, EngineOptions, Layout, Workers};
use crate::graph::{Dims, Graph, Node, NodeId, Op};
use crate::kernels::{Kernel, KernelSet, LANES, WeightSums};
use crate::weights::Weights;

/// A convolution of `images` inputs `[image, channel, slice, row, column]` with weights `[out, in, slice, row, column]`.
///
/// Two-dimensional ones have one slice and a kernel of one slice. Voxels beyond the border count as zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Inputs computed alike.
    pub images: usize,
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Slices, rows and columns of the input.
    pub size: [usize; 3],
    /// Slices, rows and columns of the kernel.
    pub kernel: [usize; 3],
    /// Voxels from one output to the next along each axis.
    pub stride: [usize; 3],
    /// Zeros added on either side of each axis: half of the kernel, so that a step of 1 keeps the grid.
    pub padding: [usize; 3],
}

/// Bytes of inputs and slopes that are summed over before the next channels get their turn: half of a core's cache.
const BAND_BYTES: usize = 1 << 19;

/// Parts that the weight gradient is summed in if there are fewer images.
const PARTS: usize = 8;

impl Convolution {
    /// Slices, rows and columns of the output.
    pub fn output_size(&self) -> [usize; 3] {
        std::array::from_fn(|a| (self.size[a] + 2 * self.padding[a] - self.kernel[a]) / self.stride[a] + 1)
    }

    /// The output `[image, channel, slice, row, column]`.
    ///
    /// # Errors
    /// If lengths do not fit, the size is no multiple of the stride, or the kernel is one the engine does not have.
    pub fn forward(
        &self,
        pool: &Arc<ThreadPool>,
        input: &[f32],
        weight: &[f32],
        bias: &[f32],
    ) -> Result<Vec<f32>, EngineError> {
        let dims = if self.kernel[0] == 1 && self.size[0] == 1 { Dims::Two } else { Dims::Three };
        let op = Op::conv(self.out_channels, self.kernel, self.stride, self.padding);
        let node = Node { name: "conv".into(), op, inputs: vec![NodeId::INPUT] };
        let graph = Graph::part(dims, self.in_channels, vec![node], NodeId(1))?;
        let mut weights = Weights::new();
        for parameter in graph.parameters() {
            let values = if parameter.name == "conv.weight" { weight } else { bias };
            weights.insert(parameter.name, parameter.shape, values.to_vec());
        }
        let engine = Engine::with_pool(&graph, &weights, EngineOptions::default(), Arc::clone(pool))?;
        let [slices, rows, columns] = self.size;
        engine.run(input, [self.images, self.in_channels, slices, rows, columns])
    }

    /// The gradient by the input, given that by the output (`slope`).
    ///
    /// # Errors
    /// As [`Convolution::forward`].
    pub fn input_gradient(
        &self,
        pool: &Arc<ThreadPool>,
        weight: &[f32],
        slope: &[f32],
    ) -> Result<Vec<f32>, EngineError> {
        let taps: usize = self.kernel.iter().product();
        let mut flipped = vec![0.0; weight.len()];
        for (out, filters) in weight.chunks_exact(self.in_channels * taps).enumerate() {
            for (channel, filter) in filters.chunks_exact(taps).enumerate() {
                let target = &mut flipped[(channel * self.out_channels + out) * taps..][..taps];
                target.iter_mut().rev().zip(filter).for_each(|(t, f)| *t = *f);
            }
        }
        // With a stride, the slopes stand apart with zeros between them, and as many behind as the stride skipped.
        let spread: [usize; 3] = std::array::from_fn(|a| self.size[a] + 2 * self.padding[a] + 1 - self.kernel[a]);
        let back = Self {
            in_channels: self.out_channels,
            out_channels: self.in_channels,
            size: spread,
            stride: [1; 3],
            padding: std::array::from_fn(|a| self.kernel[a] - 1 - self.padding[a]),
            ..*self
        };
        let bias = vec![0.0; self.in_channels];
        match self.stride {
            [1, 1, 1] => back.forward(pool, slope, &flipped, &bias),
            _ => back.forward(pool, &self.spread(slope, spread), &flipped, &bias),
        }
    }

    /// Slopes `stride` voxels apart on a grid of `size`, zeros between them.
    fn spread(&self, slope: &[f32], size: [usize; 3]) -> Vec<f32> {
        let out = self.output_size();
        let mut spread = vec![0.0; self.images * self.out_channels * size.iter().product::<usize>()];
        for (line, values) in slope.chunks_exact(out[2]).enumerate() {
            let (plane, slice, row) = (line / (out[0] * out[1]), line / out[1] % out[0], line % out[1]);
            let start = ((plane * size[0] + slice * self.stride[0]) * size[1] + row * self.stride[1]) * size[2];
            spread[start..].iter_mut().step_by(self.stride[2]).zip(values).for_each(|(s, v)| *s = *v);
        }
        spread
    }

    /// The gradient by the weights, given the input and the gradient by the output (`slope`).
    ///
    /// # Panics
    /// If lengths do not fit.
    pub fn weight_gradient(&self, pool: &Arc<ThreadPool>, input: &[f32], slope: &[f32]) -> Vec<f32> {
        let kernels = KernelSet::new(Kernel::Auto).expect("there is always a set of kernels");
        self.weight_gradient_with(kernels, pool, input, slope)
    }

    fn weight_gradient_with(&self, kernels: KernelSet, pool: &ThreadPool, input: &[f32], slope: &[f32]) -> Vec<f32> {
        let (voxels, out) = (self.size.iter().product::<usize>(), self.output_size());
        let out_voxels = out.iter().product::<usize>();
        assert_eq!(input.len(), self.images * self.in_channels * voxels);
        assert_eq!(slope.len(), self.images * self.out_channels * out_voxels);
        let images = input.par_chunks_exact(self.in_channels * voxels);
        let slopes = slope.par_chunks_exact(self.out_channels * out_voxels);
        // Few images share their slices, always in the same parts: sums must not depend on the number of threads.
        let slices_per_part = out[0].div_ceil((PARTS / self.images.max(1)).clamp(1, out[0].max(1))).max(1);
        let workers = if slices_per_part < out[0] { Workers::Pool(pool) } else { Workers::Caller };
        let parts: Vec<Vec<Vec<f32>>> = pool.install(|| {
            let of_image = |(image, slope)| {
                let packed = self.packed(image, slope, workers);
                let firsts: Vec<usize> = (0..out[0]).step_by(slices_per_part).collect();
                let part = |first: usize| self.sums_of(kernels, &packed, first..(first + slices_per_part).min(out[0]));
                firsts.into_par_iter().map(part).collect()
            };
            images.zip(slopes).map(of_image).collect()
        });
        let taps: usize = self.kernel.iter().product();
        let mut total = vec![0.0; self.out_channels * self.in_channels * taps];
        for part in parts.iter().flatten() {
            for out in 0..self.out_channels {
                for channel in 0..self.in_channels {
                    let totals = &mut total[(out * self.in_channels + channel) * taps..][..taps];
                    for (tap, total) in totals.iter_mut().enumerate() {
                        *total += part[self.place(taps, out / LANES, channel, tap) + out % LANES];
                    }
                }
            }
        }
        total
    }

    /// Where the sums of one image have a block of outputs, a channel and a tap: `[block][channel][tap][lane]`.
    fn place(&self, taps: usize, block: usize, channel: usize, tap: usize) -> usize {
        ((block * self.in_channels.next_multiple_of(LANES) + channel) * taps + tap) * LANES
    }

    /// Input and slopes of one image as the kernels read them.
    fn packed(&self, image: &[f32], slope: &[f32], workers: Workers<'_>) -> Packed {
        let margin = [self.padding[2], self.padding[2] + self.stride[2]];
        let inputs = Layout { channels: self.in_channels, size: self.size, margin };
        let slopes = Layout { channels: self.out_channels, size: self.output_size(), margin: [0; 2] };
        let (mut packed, mut packed_slope) = (vec![0.0; inputs.len()], vec![0.0; slopes.len()]);
        inputs.pack(image, &mut packed, workers);
        slopes.pack(slope, &mut packed_slope, workers);
        Packed { inputs, slopes, packed, packed_slope }
    }

    /// Sums of some output slices of one image, see [`Convolution::place`].
    fn sums_of(&self, kernels: KernelSet, image: &Packed, slices: std::ops::Range<usize>) -> Vec<f32> {
        let Packed { inputs, slopes, packed, packed_slope } = image;
        let out = self.output_size();
        let [deep, high, wide] = self.kernel;
        let taps = deep * high * wide;
        let mut sums = vec![0.0; slopes.blocks() * inputs.blocks() * LANES * taps * LANES];
        let row_bytes = 4 * (inputs.row_len() * inputs.blocks() * self.stride[1] + slopes.row_len() * slopes.blocks());
        let band = (BAND_BYTES / row_bytes).clamp(1, out[1]);
        for slice in slices {
            for first in (0..out[1]).step_by(band) {
                let rows = first..(first + band).min(out[1]);
                for (kz, ky) in (0..deep).flat_map(|kz| (0..high).map(move |ky| (kz, ky))) {
                    let Some(z) = (slice * self.stride[0] + kz).checked_sub(self.padding[0]) else { continue };
                    // Output rows whose tap lies within the image.
                    let low = self.padding[1].saturating_sub(ky).div_ceil(self.stride[1]).max(rows.start);
                    let high_end = (self.size[1] + self.padding[1]).saturating_sub(ky).div_ceil(self.stride[1]);
                    let end = high_end.min(rows.end);
                    if z >= self.size[0] || low >= end {
                        continue;
                    }
                    let y = low * self.stride[1] + ky - self.padding[1];
                    for block in 0..slopes.blocks() {
                        let from = block * slopes.block_len() + (slice * out[1] + low) * slopes.row_len();
                        for in_block in 0..inputs.blocks() {
                            let at = in_block * inputs.block_len() + (z * self.size[1] + y) * inputs.row_len();
                            let first_tap = (kz * high + ky) * wide;
                            let job = RowBand {
                                input: &packed[at..],
                                input_row: inputs.row_len() * self.stride[1],
                                column_step: LANES * self.stride[2],
                                slope: &packed_slope[from..],
                                slope_row: slopes.row_len(),
                                rows: end - low,
                                width: out[2],
                            };
                            let channels = LANES.min(self.in_channels - in_block * LANES);
                            let add = |tap: usize, channel: usize, values: &[f32; LANES]| {
                                let place = self.place(taps, block, in_block * LANES + channel, first_tap + tap);
                                sums[place..place + LANES].iter_mut().zip(values).for_each(|(s, v)| *s += v);
                            };
                            job.sum(kernels, wide, channels, add);
                        }
                    }
                }
            }
        }
        sums
    }
}

/// One image, packed.
struct Packed {
    inputs: Layout,
    slopes: Layout,
    packed: Vec<f32>,
    packed_slope: Vec<f32>,
}

/// Rows of one input block against rows of one block of slopes; fields as in [`WeightSums`].
struct RowBand<'a> {
    input: &'a [f32],
    input_row: usize,
    column_step: usize,
    slope: &'a [f32],
    slope_row: usize,
    rows: usize,
    width: usize,
}

impl RowBand<'_> {
    /// Calls `add` with the sums of every one of `taps` columns of the kernel and every channel.
    fn sum(&self, kernels: KernelSet, taps: usize, channels: usize, mut add: impl FnMut(usize, usize, &[f32; LANES])) {
        // Threes of taps share what they load; what registers there are decides on the channels at once.
        let many = kernels.sums_at_once() >= 24;
        let mut first_tap = 0;
        while first_tap < taps {
            let count = if taps - first_tap >= 3 { 3 } else { 1 };
            let step = if many { 8 } else { 2 };
            for first in (0..channels).step_by(step) {
                let add = |tap: usize, channel: usize, values: &[f32; LANES]| {
                    if first + channel < channels {
                        add(first_tap + tap, first + channel, values);
                    }
                };
                match (count, many) {
                    (3, true) => self.run::<3, 8>(kernels, first_tap, first, add),
                    (3, false) => self.run::<3, 2>(kernels, first_tap, first, add),
                    (_, true) => self.run::<1, 8>(kernels, first_tap, first, add),
                    (_, false) => self.run::<1, 2>(kernels, first_tap, first, add),
                }
            }
            first_tap += count;
        }
    }

    fn run<const TAPS: usize, const CHANNELS: usize>(
        &self,
        kernels: KernelSet,
        first_tap: usize,
        first_channel: usize,
        mut add: impl FnMut(usize, usize, &[f32; LANES]),
    ) {
        let mut sums = [[[0.0; LANES]; CHANNELS]; TAPS];
        kernels.weight_sums(WeightSums {
            input: &self.input[first_tap * LANES + first_channel..],
            input_row: self.input_row,
            column_step: self.column_step,
            slope: self.slope,
            slope_row: self.slope_row,
            rows: self.rows,
            width: self.width,
            sums: &mut sums,
        });
        for (tap, sums) in sums.iter().enumerate() {
            sums.iter().enumerate().for_each(|(channel, values)| add(tap, channel, values));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::available_kernels;

    fn values(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// Calls `visit(input index, weight index, output index)` for every product of the definition.
    fn products(conv: &Convolution, mut visit: impl FnMut(usize, usize, usize)) {
        let (out, [sz, sy, sx]) = (conv.output_size(), conv.size);
        let [kz, ky, kx] = conv.kernel;
        for image in 0..conv.images {
            for (o, i) in (0..conv.out_channels).flat_map(|o| (0..conv.in_channels).map(move |i| (o, i))) {
                for voxel in 0..out.iter().product() {
                    let at = [voxel / (out[1] * out[2]), voxel / out[2] % out[1], voxel % out[2]];
                    for tap in 0..kz * ky * kx {
                        let offset = [tap / (ky * kx), tap / kx % ky, tap % kx];
                        let from: [usize; 3] =
                            std::array::from_fn(|a| (at[a] * conv.stride[a] + offset[a]).wrapping_sub(conv.padding[a]));
                        if (0..3).all(|a| from[a] < conv.size[a]) {
                            let plane = image * conv.in_channels + i;
                            let input = ((plane * sz + from[0]) * sy + from[1]) * sx + from[2];
                            let weight = (o * conv.in_channels + i) * kz * ky * kx + tap;
                            let output = (image * conv.out_channels + o) * out.iter().product::<usize>() + voxel;
                            visit(input, weight, output);
                        }
                    }
                }
            }
        }
    }

    fn cases() -> Vec<Convolution> {
        let conv = |channels: [usize; 2], size, kernel, stride, padding| Convolution {
            images: 2,
            in_channels: channels[0],
            out_channels: channels[1],
            size,
            kernel,
            stride,
            padding,
        };
        vec![
            conv([3, 16], [1, 9, 7], [1, 3, 3], [1, 1, 1], [0, 1, 1]),
            conv([17, 33], [1, 6, 11], [1, 3, 3], [1, 1, 1], [0, 1, 1]),
            conv([2, 5], [1, 8, 10], [1, 3, 3], [1, 2, 2], [0, 1, 1]),
            conv([4, 3], [1, 5, 5], [1, 1, 1], [1, 1, 1], [0, 0, 0]),
            conv([2, 2], [1, 9, 9], [1, 5, 5], [1, 1, 1], [0, 2, 2]),
            conv([3, 4], [4, 5, 6], [3, 3, 3], [1, 1, 1], [1, 1, 1]),
            conv([3, 4], [4, 6, 8], [3, 3, 3], [2, 2, 2], [1, 1, 1]),
        ]
    }

    #[test]
    fn all_three_passes_agree_with_the_definition() {
        let pool = Arc::new(rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap());
        for conv in cases() {
            let out: usize = conv.images * conv.out_channels * conv.output_size().iter().product::<usize>();
            let input = values(conv.images * conv.in_channels * conv.size.iter().product::<usize>(), 1);
            let weight = values(conv.out_channels * conv.in_channels * conv.kernel.iter().product::<usize>(), 2);
            let (bias, slope) = (values(conv.out_channels, 3), values(out, 4));
            let voxels = out / conv.images / conv.out_channels;
            let mut output: Vec<f64> = (0..out).map(|i| f64::from(bias[i / voxels % conv.out_channels])).collect();
            let (mut by_input, mut by_weight) = (vec![0.0; input.len()], vec![0.0; weight.len()]);
            products(&conv, |i, w, o| {
                output[o] += f64::from(input[i]) * f64::from(weight[w]);
                by_input[i] += f64::from(weight[w]) * f64::from(slope[o]);
                by_weight[w] += f64::from(input[i]) * f64::from(slope[o]);
            });
            let close = |found: &[f32], expected: &[f64], what: &str| {
                assert_eq!(found.len(), expected.len(), "{what} of {conv:?}");
                let largest = expected.iter().fold(1.0f64, |a, b| a.max(b.abs()));
                for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
                    let apart = (f64::from(*found) - expected).abs();
                    assert!(apart < 1e-5 * largest, "{what} of {conv:?} [{at}]: {found} not {expected}");
                }
            };
            close(&conv.forward(&pool, &input, &weight, &bias).unwrap(), &output, "output");
            close(&conv.input_gradient(&pool, &weight, &slope).unwrap(), &by_input, "gradient by input");
            for status in available_kernels().into_iter().filter(|status| status.is_available()) {
                let kernels = KernelSet::new(status.kernel).unwrap();
                let found = conv.weight_gradient_with(kernels, &pool, &input, &slope);
                close(&found, &by_weight, &format!("gradient by weight with {}", status.name));
            }
        }
    }
}
