//! Everything that is not a convolution: normalisation, activation, pooling, concatenation.
//!
//! All of it is bound by memory rather than arithmetic; what is not done by the kernels is plain Rust over voxels of
//! sixteen lanes.

use super::execute::Workers;
use super::layout::{Layout, View};
use super::program::{InstanceNorm, Pointwise, Scale};
use crate::kernels::{Activation, KernelSet, LANES, MaximumRow, MeasureRow, ScaleRow};

type Voxel = [f32; LANES];

/// Some rows of one block, to be written.
struct BlockRows<'a> {
    block: usize,
    first_row: usize,
    rows: std::slice::ChunksExactMut<'a, f32>,
}

/// Calls `write(block, row, floats of the row)` for every row of `data`, rows counted over all slices.
fn for_each_row(
    workers: Workers<'_>,
    layout: Layout,
    data: &mut [f32],
    write: impl Fn(usize, usize, &mut [f32]) + Sync + Send,
) {
    let rows_per_task = workers.rows_per_task(layout.rows(), layout.blocks());
    let row_len = layout.row_len();
    let mut tasks = Vec::new();
    for (block, data) in data.chunks_exact_mut(layout.block_len()).enumerate() {
        for (part, rows) in data.chunks_mut(rows_per_task * row_len).enumerate() {
            tasks.push(BlockRows { block, first_row: part * rows_per_task, rows: rows.chunks_exact_mut(row_len) });
        }
    }
    workers.for_each(tasks, |task| {
        for (i, row) in task.rows.enumerate() {
            write(task.block, task.first_row + i, row);
        }
    });
}

fn lanes(values: &[f32], block: usize) -> &Voxel {
    values[block * LANES..].first_chunk().expect("one value per lane of every block")
}

pub(crate) fn pointwise(
    (kernels, workers): (KernelSet, Workers<'_>),
    layer: &Pointwise,
    input: View<'_>,
    layout: Layout,
    output: &mut [f32],
) {
    let scale = match &layer.scale {
        Scale::None => None,
        Scale::Fixed { factor, offset } => Some((factor.clone(), offset.clone())),
        Scale::Instance(norm) => Some(instance_scale((kernels, workers), norm, input)),
    };
    for_each_row(workers, layout, output, |block, row, target| {
        layout.clear_margins(target);
        let source = input.row(block, row / layout.size[1], row % layout.size[1]);
        let target = &mut target[layout.columns()];
        target.copy_from_slice(&source[input.layout.columns()]);
        let activation = layer.activation;
        match &scale {
            Some((factor, offset)) => {
                let (factor, offset) = (lanes(factor, block), lanes(offset, block));
                kernels.scale_row(ScaleRow { row: target, factor, offset, activation });
            }
            None => target.iter_mut().for_each(|x| *x = activation.apply(*x)),
        }
    });
}

/// Instance normalisation and activation of a value in place.
pub(crate) fn normalise_in_place(
    (kernels, workers): (KernelSet, Workers<'_>),
    norm: &InstanceNorm,
    activation: Activation,
    layout: Layout,
    data: &mut [f32],
) {
    let (factor, offset) = instance_scale((kernels, workers), norm, View { layout, data });
    for_each_row(workers, layout, data, |block, _, row| {
        let (factor, offset) = (lanes(&factor, block), lanes(&offset, block));
        kernels.scale_row(ScaleRow { row: &mut row[layout.columns()], factor, offset, activation });
    });
}

/// Mean and sum of squared deviations of one row, per lane.
#[derive(Clone, Copy)]
struct RowMoments {
    mean: Voxel,
    squares: Voxel,
}

impl RowMoments {
    const ZERO: Self = Self { mean: [0.0; LANES], squares: [0.0; LANES] };
}

/// The factor and offset that normalise every channel of a value, per lane.
///
/// Rows are summed each on its own and joined in order with the pairwise update of Chan, Golub and LeVeque (1979,
/// Stanford STAN-CS-79-773) in `f64`: as exact as two passes, and the same for any number of threads.
fn instance_scale(
    (kernels, workers): (KernelSet, Workers<'_>),
    norm: &InstanceNorm,
    value: View<'_>,
) -> (Vec<f32>, Vec<f32>) {
    let layout = value.layout;
    let mut moments = vec![RowMoments::ZERO; layout.blocks() * layout.rows()];
    let rows_per_task = workers.rows_per_task(layout.rows(), layout.blocks());
    let tasks: Vec<_> =
        moments.chunks_mut(rows_per_task).zip(value.data.chunks(rows_per_task * layout.row_len())).collect();
    workers.for_each(tasks, |(moments, rows)| {
        for (moments, row) in moments.iter_mut().zip(rows.chunks_exact(layout.row_len())) {
            let RowMoments { mean, squares } = moments;
            kernels.measure_row(MeasureRow { row: &row[layout.columns()], mean, squares });
        }
    });
    let width = layout.size[2] as f64;
    let count = layout.rows() as f64 * width;
    let mut factor = vec![0.0; norm.weight.len()];
    let mut offset = vec![0.0; norm.weight.len()];
    for (block, rows) in moments.chunks_exact(layout.rows()).enumerate() {
        for lane in 0..LANES {
            let (mut mean, mut squares) = (0.0_f64, 0.0_f64);
            for (row, moments) in rows.iter().enumerate() {
                let before = row as f64 * width;
                let step = f64::from(moments.mean[lane]) - mean;
                mean += step * width / (before + width);
                squares += f64::from(moments.squares[lane]) + step * step * before * width / (before + width);
            }
            let channel = block * LANES + lane;
            let scale = f64::from(norm.weight[channel]) / (squares / count + f64::from(norm.epsilon)).sqrt();
            factor[channel] = scale as f32;
            offset[channel] = (f64::from(norm.bias[channel]) - mean * scale) as f32;
        }
    }
    (factor, offset)
}

/// Maximum over blocks that do not overlap. NaN in a block gives NaN, as in PyTorch.
pub(crate) fn max_pool(
    (kernels, workers): (KernelSet, Workers<'_>),
    size: [usize; 3],
    input: View<'_>,
    layout: Layout,
    output: &mut [f32],
) {
    for_each_row(workers, layout, output, |block, index, target| {
        layout.clear_margins(target);
        let target = &mut target[layout.columns()];
        let (slice, row) = (index / layout.size[1], index % layout.size[1]);
        target.fill(f32::NEG_INFINITY);
        for z in slice * size[0]..(slice + 1) * size[0] {
            for y in row * size[1]..(row + 1) * size[1] {
                let source = &input.row(block, z, y)[input.layout.columns()];
                kernels.maximum_row(MaximumRow { row: &mut *target, source, step: size[2] });
            }
        }
    });
}

/// Channels of all inputs one after another. Only for readers that cannot take the parts.
pub(crate) fn concatenate(workers: Workers<'_>, inputs: &[View<'_>], layout: Layout, output: &mut [f32]) {
    let source_of: Vec<(View<'_>, usize)> =
        inputs.iter().flat_map(|&view| (0..view.layout.channels).map(move |channel| (view, channel))).collect();
    for_each_row(workers, layout, output, |block, row, target| {
        target.fill(0.0);
        let (targets, _) = target[layout.columns()].as_chunks_mut::<LANES>();
        for (lane, &(view, channel)) in source_of[block * LANES..].iter().take(LANES).enumerate() {
            let source = view.row(channel / LANES, row / layout.size[1], row % layout.size[1]);
            let (voxels, _) = source[view.layout.columns()].as_chunks::<LANES>();
            for (target, voxel) in targets.iter_mut().zip(voxels) {
                target[lane] = voxel[channel % LANES];
            }
        }
    });
}

/// The sum of all inputs, in the order they are named, then the activation.
pub(crate) fn add(
    workers: Workers<'_>,
    activation: Activation,
    inputs: &[View<'_>],
    layout: Layout,
    output: &mut [f32],
) {
    for_each_row(workers, layout, output, |block, row, target| {
        layout.clear_margins(target);
        let target = &mut target[layout.columns()];
        for (index, view) in inputs.iter().enumerate() {
            let source = view.row(block, row / layout.size[1], row % layout.size[1]);
            let source = &source[view.layout.columns()];
            match index {
                0 => target.copy_from_slice(source),
                _ => target.iter_mut().zip(source).for_each(|(sum, value)| *sum += value),
            }
        }
        if activation != Activation::None {
            target.iter_mut().for_each(|x| *x = activation.apply(*x));
        }
    });
}

/// The mean of every channel as a single voxel, summed in `f64` row by row.
pub(crate) fn global_average(workers: Workers<'_>, input: View<'_>, layout: Layout, output: &mut [f32]) {
    for_each_row(workers, layout, output, |block, _, target| {
        layout.clear_margins(target);
        let [slices, rows, columns] = input.layout.size;
        let mut sums = [0.0_f64; LANES];
        for row in 0..slices * rows {
            let (voxels, _) = input.row(block, row / rows, row % rows)[input.layout.columns()].as_chunks::<LANES>();
            for voxel in voxels {
                for lane in 0..LANES {
                    sums[lane] += f64::from(voxel[lane]);
                }
            }
        }
        let count = (slices * rows * columns) as f64;
        target[layout.columns()].copy_from_slice(&sums.map(|sum| (sum / count) as f32));
    });
}
