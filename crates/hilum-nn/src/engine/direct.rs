//! Convolutions as the sums that define them, one row of outputs at a time.

use super::execute::{RowTask, input_blocks};
use super::layout::{Layout, View};
use super::program::{Conv, ConvTranspose};
use crate::kernels::{Activation, DepthwiseRow, KernelSet, LANES, MAX_GROUP, RowJob, Tap};

/// Every output as the sum that defines it.
pub(crate) fn convolve(kernels: KernelSet, conv: &Conv, inputs: &[View<'_>], layout: Layout, task: RowTask<'_>) {
    let filter = &conv.filter;
    let group = task.groups.start;
    let per_channel = filter.groups[group] * LANES;
    let weights = &filter.weights[filter.starts[group]..];
    let bias = &filter.bias[task.first_block * LANES..];
    let window = conv.window;
    let [kernel_slices, kernel_rows, kernel_columns] = window.kernel;
    let size = inputs[0].layout.size;
    let read = &filter.reads[group];
    let blocks: Vec<_> = input_blocks(inputs).zip(&filter.block_channels).skip(read.start).take(read.len()).collect();
    let activation = if conv.norm.is_some() { Activation::None } else { conv.activation };
    let mut taps = Vec::new();
    task.for_each_row(layout, |index, outputs| {
        let (slice, row) = (index / layout.size[1], index % layout.size[1]);
        taps.clear();
        let mut weight = 0;
        for &((view, block), &channels) in &blocks {
            let per_tap = channels * per_channel;
            let left = view.layout.margin[0] - window.padding[2];
            for dz in 0..kernel_slices {
                for dy in 0..kernel_rows {
                    // Rows outside the input are zeros: they add nothing and are left out.
                    let (z, y) = (window.under(0, slice, dz, size[0]), window.under(1, row, dy, size[1]));
                    if let (Some(z), Some(y)) = (z, y) {
                        let input = view.row(block, z, y);
                        for dx in 0..kernel_columns {
                            let weights = &weights[weight + dx * per_tap..][..per_tap];
                            taps.push(Tap {
                                input: &input[(left + dx * window.dilation[2]) * LANES..],
                                channels,
                                weights,
                            });
                        }
                    }
                    weight += kernel_columns * per_tap;
                }
            }
        }
        let job = RowJob {
            taps: &taps,
            width: layout.size[2],
            column_step: window.stride[2] * LANES,
            output_step: LANES,
            bias,
            activation,
        };
        with_first_column(outputs, layout.first_column(), |outputs| kernels.convolve_row(&job, outputs));
    });
}

/// A transposed convolution whose blocks do not overlap: each of its taps makes outputs of its own.
pub(crate) fn convolve_transposed(
    kernels: KernelSet,
    conv: &ConvTranspose,
    inputs: &[View<'_>],
    layout: Layout,
    task: RowTask<'_>,
) {
    let filter = &conv.filter;
    let group = task.groups.start;
    let per_channel = filter.groups[group] * LANES;
    let per_tap = filter.channels_read(group) * per_channel;
    let weights = &filter.weights[filter.starts[group]..];
    let bias = &filter.bias[task.first_block * LANES..];
    let [kernel_slices, kernel_rows, kernel_columns] = conv.kernel;
    let mut taps = Vec::new();
    task.for_each_row(layout, |index, outputs| {
        let (slice, row) = (index / layout.size[1], index % layout.size[1]);
        let position = slice % kernel_slices * kernel_rows + row % kernel_rows;
        for dx in 0..kernel_columns {
            taps.clear();
            let mut weight = (position * kernel_columns + dx) * per_tap;
            for ((view, block), &channels) in input_blocks(inputs).zip(&filter.block_channels) {
                let input = &view.row(block, slice / kernel_slices, row / kernel_rows)[view.layout.columns()];
                let weights = &weights[weight..][..channels * per_channel];
                taps.push(Tap { input, channels, weights });
                weight += channels * per_channel;
            }
            let job = RowJob {
                taps: &taps,
                width: layout.size[2] / kernel_columns,
                column_step: LANES,
                output_step: kernel_columns * LANES,
                bias,
                activation: conv.activation,
            };
            let first = layout.first_column() + dx * LANES;
            with_first_column(outputs, first, |outputs| kernels.convolve_row(&job, outputs));
        }
    });
}

/// Every channel by itself.
pub(crate) fn convolve_depthwise(kernels: KernelSet, conv: &Conv, input: View<'_>, layout: Layout, task: RowTask<'_>) {
    let window = conv.window;
    let block = task.first_block;
    let (weights, _) = conv.filter.weights[conv.filter.starts[block]..].as_chunks::<LANES>();
    let bias = conv.filter.bias[block * LANES..].first_chunk().expect("one value per lane of every block");
    let size = input.layout.size;
    let left = input.layout.margin[0] - window.padding[2];
    let activation = if conv.norm.is_some() { Activation::None } else { conv.activation };
    let mut taps = Vec::new();
    task.for_each_row(layout, |index, outputs| {
        let (slice, row) = (index / layout.size[1], index % layout.size[1]);
        taps.clear();
        for (tap, weights) in weights.iter().take(window.kernel.iter().product()).enumerate() {
            let [dz, dy, dx] = [
                tap / (window.kernel[1] * window.kernel[2]),
                tap / window.kernel[2] % window.kernel[1],
                tap % window.kernel[2],
            ];
            let (z, y) = (window.under(0, slice, dz, size[0]), window.under(1, row, dy, size[1]));
            if let (Some(z), Some(y)) = (z, y) {
                taps.push((&input.row(block, z, y)[(left + dx * window.dilation[2]) * LANES..], weights));
            }
        }
        let column_step = window.stride[2] * LANES;
        let output = &mut outputs[0][layout.columns()];
        kernels.convolve_depthwise(DepthwiseRow { taps: &taps, column_step, bias, activation, output });
    });
}

/// Lends the rows from float `first` on.
pub(crate) fn with_first_column(rows: &mut [&mut [f32]], first: usize, work: impl FnOnce(&mut [&mut [f32]])) {
    let mut shifted: [&mut [f32]; MAX_GROUP] = Default::default();
    let count = rows.len();
    for (shifted, row) in shifted.iter_mut().zip(rows) {
        *shifted = &mut row[first..];
    }
    work(&mut shifted[..count]);
}
